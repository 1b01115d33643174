package cluster

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// overhear takes the engines' states as they pass, whether or not they are stored: while a site's
// servers elect one that leads the bucket, engines are not gone.
func (c *Client) overhear() error {
	_, err := c.conn.Subscribe(queue.State("*"), func(m *nats.Msg) {
		id := strings.TrimPrefix(m.Subject, queue.State(""))
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(m.Header) > 0 { // it takes its state back
			delete(c.known, id)
			return
		}
		var s seen
		if json.Unmarshal(m.Data, &s.Engine) == nil && s.ID == id {
			s.at = time.Now()
			c.known[id] = s
		}
	})
	return err
}

// present says all the time that this client is there, so that its queues stay. Nobody has to
// confirm it: what is lost comes again.
func (c *Client) present() {
	tick := time.NewTicker(queue.Beat)
	defer tick.Stop()
	for {
		_ = c.conn.Publish(queue.Presence(c.id), nil)
		select {
		case <-c.ended.Done():
			return
		case <-tick.C:
		}
	}
}
