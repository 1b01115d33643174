package controller

import (
	"context"
	"time"

	"github.com/parade-go/parade/cluster/internal/queue"
)

// sweepEvery is how often what nobody has any more is removed.
const sweepEvery = 10 * time.Minute

// sweep removes what is left of queues that were not made or removed wholly, now and every
// so often, until ctx ends.
func (k *Keeper) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		one, cancel := context.WithTimeout(ctx, time.Minute)
		if err := queue.Sweep(one, k.js); err != nil && ctx.Err() == nil {
			k.log.Warn("what is left of old queues could not be removed", "error", err)
		}
		cancel()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
