package queue

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// SweepOlder is Sweep with other ages.
func SweepOlder(ctx context.Context, js jetstream.JetStream, orphaned, unused time.Duration) error {
	return sweep(ctx, js, orphaned, unused)
}

// SetHalf changes how long a queue may have no record.
func SetHalf(d time.Duration) (restore func()) {
	before := half
	half = d
	return func() { half = before }
}
