package cluster

import (
	"time"

	"github.com/parade-go/parade/cluster/internal/queue"
)

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
