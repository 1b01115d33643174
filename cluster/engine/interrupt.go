package engine

import (
	"encoding/json"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade/cluster/internal/access"
)

// interrupt fails the tasks of a client that run here now.
func (e *engine) interrupt(m *nats.Msg) {
	var queues []string
	if !access.FromClient(m.Reply) || json.Unmarshal(m.Data, &queues) != nil {
		return
	}
	e.mu.Lock()
	var running []*relay
	for _, p := range e.pools {
		p.mu.Lock()
		for key, r := range p.relays {
			if slices.Contains(queues, key.queue) {
				running = append(running, r)
			}
		}
		p.mu.Unlock()
	}
	e.mu.Unlock()
	for _, r := range running {
		r.mu.Lock()
		made := r.Relay
		r.mu.Unlock()
		if made != nil { // else it runs nothing yet
			made.Interrupt()
		}
	}
	_ = m.Respond(nil)
}
