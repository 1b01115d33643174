package engine

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// onVerb returns a channel that gets something when a client asks for a verb.
func (e *engine) onVerb(verb string) (chan struct{}, error) {
	asked := make(chan struct{}, 1)
	_, err := e.conn.Subscribe(queue.EngineVerb(e.cfg.ID, verb), func(m *nats.Msg) {
		if !access.FromClient(m.Reply) {
			return
		}
		_ = m.Respond(nil)
		select {
		case asked <- struct{}{}:
		default:
		}
	})
	return asked, err
}

// retire takes no more parcels and waits until all are done, or the engine is to end at once. So long
// its state has no slots.
func (e *engine) retire(ctx context.Context, stop <-chan struct{}) {
	retiring := func(is bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.retiring = is
	}
	retiring(true)
	defer retiring(false)
	e.cease()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if !e.has() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case <-e.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// has reports whether there are parcels here. Those of a queue that was removed do not count: nobody
// waits for them.
func (e *engine) has() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for h := range e.held {
		if !h.source.gone {
			return true
		}
	}
	return false
}

// idle asks for the engine's end when it had nothing to do for so long.
func (e *engine) idle(retire chan<- struct{}) {
	tick := time.NewTicker(min(e.cfg.Idle/4+time.Millisecond, time.Second))
	defer tick.Stop()
	since, did := time.Now(), int64(0)
	for {
		select {
		case <-e.ctx.Done():
			return
		case now := <-tick.C:
			has := e.has()
			e.mu.Lock()
			busy := has || e.done+e.failed != did
			did = e.done + e.failed
			e.mu.Unlock()
			if busy {
				since = now
			}
			if now.Sub(since) < e.cfg.Idle {
				continue
			}
			e.log.Info("the engine had nothing to do", "for", e.cfg.Idle)
			select {
			case retire <- struct{}{}:
			default:
			}
			return
		}
	}
}
