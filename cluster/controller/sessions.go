package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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
		c.left(id)
	}
	return nil
}

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
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if removed, err := c.remove(ctx, id); err != nil {
			c.cfg.Log.Warn("the queue of a client that is gone stays", "queue", id, "error", err)
		} else if removed {
			c.cfg.Log.Info("removed the queue of a client that is gone", "queue", id)
		}
	})
}

func (c *Controller) back(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if timer := c.leaving[id]; timer != nil {
		timer.Stop()
		delete(c.leaving, id)
	}
}

// remove removes a session's queue. Jobs stay.
func (c *Controller) remove(ctx context.Context, id string) (removed bool, err error) {
	records, err := c.js.KeyValue(ctx, queue.Records)
	if err != nil {
		return false, err
	}
	entry, err := records.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var r queue.Record
	if err := json.Unmarshal(entry.Value(), &r); err != nil || r.Kind != queue.Session {
		return false, err
	}
	return true, queue.Remove(ctx, c.js, id)
}
