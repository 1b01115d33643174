package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// housekeep removes the queues of clients that are gone. The server tells at once
// when a connection ends, and a client's has its queue's id in its name.
func (c *Controller) housekeep(ctx context.Context) error {
	for verb, act := range map[string]func(id string){"DISCONNECT": c.left, "CONNECT": c.back} {
		_, err := c.system.Subscribe("$SYS.ACCOUNT."+account+"."+verb, func(m *nats.Msg) {
			var event struct {
				Client struct {
					Name string `json:"name"`
				} `json:"client"`
			}
			if json.Unmarshal(m.Data, &event) == nil {
				if id, ok := strings.CutPrefix(event.Client.Name, queue.ClientName("")); ok && queue.Valid(id) == nil {
					act(id)
				}
			}
		})
		if err != nil {
			return fmt.Errorf("events of the server: %w", err)
		}
	}
	var once sync.Once
	_, err := c.conn.Subscribe(queue.ControllerStop, func(m *nats.Msg) {
		if !access.FromClient(m.Reply) {
			return
		}
		_ = m.Respond(nil)
		_ = c.conn.Flush()
		once.Do(func() { close(c.asked) })
	})
	if err != nil {
		return err
	}
	if err := c.system.Flush(); err != nil {
		return err
	}
	// Clients of the last controller have as long to come back.
	records, err := c.js.KeyValue(ctx, queue.Records)
	if err != nil {
		return err
	}
	keys, err := records.ListKeys(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for id := range keys.Keys() {
		ids = append(ids, id)
	}
	for _, id := range ids {
		c.left(owner(id))
	}
	return nil
}

// left is told that a client is gone: its queues have an end.
func (c *Controller) left(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving == nil || c.leaving[id] != nil {
		return
	}
	c.leaving[id] = time.AfterFunc(c.cfg.SessionGrace, func() {
		c.mu.Lock()
		if c.leaving == nil { // closed
			c.mu.Unlock()
			return
		}
		delete(c.leaving, id)
		c.done.Add(1)
		c.mu.Unlock()
		defer c.done.Done()
		if c.isConnected(id) { // since before this controller listened to events
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if removed, err := c.remove(ctx, owner(id)); err != nil {
			c.cfg.Log.Warn("the queue of a client that is gone stays", "queue", id, "error", err)
		} else if removed {
			c.cfg.Log.Info("removed the queue of a client that is gone", "queue", id)
		}
	})
}

// isConnected looks for the client of a queue among the connections.
func (c *Controller) isConnected(id string) bool {
	all, err := c.server.Connz(&server.ConnzOptions{Limit: 1 << 20})
	if err != nil {
		return true // it will be asked again when a connection ends
	}
	return slices.ContainsFunc(all.Conns, func(i *server.ConnInfo) bool { return i.Name == queue.ClientName(owner(id)) })
}

// owner is the client whose queue it is: queues for chosen engines have a suffix.
func owner(id string) string {
	id, _, _ = strings.Cut(id, "-")
	return id
}

func (c *Controller) back(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if timer := c.leaving[id]; timer != nil {
		timer.Stop()
		delete(c.leaving, id)
	}
}

// remove removes the queues of a client. Jobs stay.
func (c *Controller) remove(ctx context.Context, client string) (removed bool, err error) {
	records, err := c.js.KeyValue(ctx, queue.Records)
	if err != nil {
		return false, err
	}
	keys, err := records.ListKeys(ctx)
	if err != nil {
		return false, err
	}
	var ids []string
	for id := range keys.Keys() {
		if owner(id) == client {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		r, err := queue.Get(ctx, c.js, id)
		if errors.Is(err, jetstream.ErrKeyNotFound) || err == nil && r.Kind != queue.Session {
			continue
		}
		if err == nil {
			err = queue.Remove(ctx, c.js, r)
		}
		if err != nil {
			return removed, err
		}
		removed = true
	}
	return removed, nil
}
