package cluster

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// Held is how many parcels of this client's calls engines have at the moment, as far as the
// cluster knows: what else its calls have handed over waits, and 0 while no engine is
// there that could have any.
func (v *View) Held(ctx context.Context) (parcels int, err error) {
	if err := v.usable(); err != nil {
		return 0, err
	}
	c := v.client
	able := false
	c.mu.Lock()
	for _, e := range c.known {
		able = able || v.takes(e.Engine) > 0 || e.Running > 0 // one that ends takes none, but may have some
	}
	c.mu.Unlock()
	if !able { // until another asks, the queue counts what an engine had that is gone
		return 0, nil
	}
	sessions, err := c.made(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range sessions {
		engines, err := c.js.Consumer(ctx, queue.WorkStream(s.id), queue.Consumer)
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue // it is being made anew
		}
		if err != nil {
			return 0, err
		}
		parcels += engines.CachedInfo().NumAckPending
	}
	return parcels, nil
}
