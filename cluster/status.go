package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// Status is what there is in a cluster at one moment.
type Status struct {
	Cluster string   `json:"cluster"`
	URLs    []string `json:"urls"`
	Engines []Engine `json:"engines"`
	Queues  []Queue  `json:"queues"`
}

// Queue is a client's calls, or a job.
type Queue struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`    // "session" or "job"
	Name     string    `json:"name"`    // of the job; of a session its ID
	Owner    string    `json:"owner"`   // user@host
	Program  string    `json:"program"` // the file that the client ran
	Priority int       `json:"priority"`
	Requires []string  `json:"requires,omitempty"` // of an engine
	Created  time.Time `json:"created"`
	Waiting  int       `json:"waiting"` // parcels that no engine has
	Running  int       `json:"running"` // parcels that engines have
}

// Has is what the engine offers to jobs that require it, as one writes it.
func (e Engine) Has() []string {
	all := slices.Clone(e.Labels)
	for _, name := range slices.Sorted(maps.Keys(e.Resources)) {
		all = append(all, name+"="+queue.Amount(e.Resources[name]))
	}
	return all
}

// Takes is how many of a queue's parcels the engine runs at a time, by what it has as a whole;
// 0 if it lacks what the queue requires.
func (e Engine) Takes(q Queue) int {
	needs, err := queue.ParseNeeds(q.Requires)
	if err != nil {
		return 0
	}
	return needs.Tasks(e.Slots, e.Labels, e.Resources)
}

// Offer describes an engine before it is started: with so many slots, and labels and resources
// as in the engine's Config.
func Offer(slots int, labels, resources []string) (Engine, error) {
	for _, l := range labels {
		if err := queue.Valid(l); err != nil {
			return Engine{}, fmt.Errorf("label: %w", err)
		}
	}
	amounts, err := queue.ParseResources(resources)
	return Engine{Slots: slots, Labels: labels, Resources: amounts}, err
}

// CheckRequire says what is wrong with requirements such as those of [Require].
func CheckRequire(requires ...string) error {
	_, err := queue.ParseNeeds(requires)
	return err
}

// Slots is the number of tasks that all engines run at a time.
func (s Status) Slots() (n int) {
	for _, e := range s.Engines {
		n += e.Slots
	}
	return n
}

// Look says what there is. It needs a connection of any role; that of an observer
// can do nothing else.
func Look(ctx context.Context, conn Connection) (Status, error) {
	o, err := Observe(conn)
	if err != nil {
		return Status{Cluster: conn.Cluster, URLs: conn.URLs}, err
	}
	defer o.Close()
	return o.Look(ctx)
}

// Look says what there is now.
func (o *Observer) Look(ctx context.Context) (Status, error) {
	conn, js := o.connection, o.js
	s := Status{Cluster: conn.Cluster, URLs: conn.URLs}
	err := queue.Each(ctx, js, queue.Engines, func(e queue.Engine) { s.Engines = append(s.Engines, engineOf(e)) })
	if err != nil {
		return s, fmt.Errorf("%v: its engines: %w", conn, err)
	}
	slices.SortFunc(s.Engines, byPlace)
	err = queue.Each(ctx, js, queue.Records, func(r queue.Record) {
		s.Queues = append(s.Queues, Queue{ID: r.ID, Kind: r.Kind, Name: r.Name(), Owner: r.Owner, Program: r.Program.Path, Priority: r.Priority, Requires: r.Requires, Created: r.Created})
	})
	if err != nil {
		return s, fmt.Errorf("%v: its queues: %w", conn, err)
	}
	slices.SortFunc(s.Queues, func(a, b Queue) int { return a.Created.Compare(b.Created) })
	for i := range s.Queues {
		q := &s.Queues[i]
		engines, err := js.Consumer(ctx, queue.WorkStream(q.ID), queue.Consumer)
		if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue // it is being removed
		}
		if err != nil {
			return s, fmt.Errorf("%v: queue %s: %w", conn, q.ID, err)
		}
		info := engines.CachedInfo()
		q.Waiting, q.Running = int(info.NumPending), info.NumAckPending
	}
	return s, nil
}

func byPlace(a, b Engine) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), a.Started.Compare(b.Started))
}

func engineOf(e queue.Engine) Engine {
	return Engine{
		ID: e.ID, Host: e.Host, PID: e.PID, Slots: e.Slots, Running: e.Running, Done: e.Done, Failed: e.Failed,
		Labels: e.Labels, Started: e.Started, OS: e.OS, Arch: e.Arch, Resources: e.Resources, Free: e.Free, Batch: e.Batch,
	}
}

// ErrNobody says that there was nobody to stop.
var ErrNobody = nats.ErrNoResponders

// StopController asks the controller to end. Queues stay, for when it starts again.
func StopController(ctx context.Context, conn Connection) error {
	return ask(ctx, conn, queue.ControllerStop)
}
