package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// Observer looks at a cluster again and again, over one connection. It is safe for concurrent use.
type Observer struct {
	connection Connection
	conn       *nats.Conn
	js         jetstream.JetStream
}

// Observe connects to a cluster to look at it. It needs a connection of any role.
func Observe(conn Connection) (*Observer, error) {
	nc, err := conn.Dial("parade observer")
	if err != nil {
		return nil, err
	}
	js, err := queue.JetStream(nc)
	if err != nil {
		access.Close(nc)
		return nil, err
	}
	return &Observer{conn, nc, js}, nil
}

// Close ends the connection.
func (o *Observer) Close() error {
	access.Close(o.conn)
	return nil
}

// StopEngines asks engines to end: they finish what they can within a few seconds and hand the
// rest back. It asks all at once and returns when each has answered, or ctx has ended, with an error
// that names those that did not. It needs a client's connection.
func StopEngines(ctx context.Context, conn Connection, ids ...string) error {
	return askEngines(ctx, conn, queue.Stop, ids)
}

// RetireEngines asks engines to take no more tasks, and to end when those that run are done,
// however long that takes. Otherwise it is as [StopEngines].
func RetireEngines(ctx context.Context, conn Connection, ids ...string) error {
	return askEngines(ctx, conn, queue.Retire, ids)
}

func askEngines(ctx context.Context, conn Connection, verb string, ids []string) error {
	subjects := make([]string, len(ids))
	for i, id := range ids {
		subjects[i] = queue.EngineVerb(id, verb)
	}
	return ask(ctx, conn, subjects...)
}

// ask makes requests that are answered with nothing, all at once.
func ask(ctx context.Context, conn Connection, subjects ...string) error {
	if conn.Role != access.Client {
		return fmt.Errorf("%v: only a client may stop anything", conn)
	}
	nc, err := conn.Dial("parade client")
	if err != nil {
		return err
	}
	defer access.Close(nc)
	var all sync.WaitGroup
	errs := make([]error, len(subjects))
	for i, s := range subjects {
		all.Go(func() {
			if _, err := nc.RequestWithContext(ctx, s, nil); err != nil {
				errs[i] = fmt.Errorf("%v: %s: %w", conn, s, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
