//go:build unix

package engine

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// delivery is a message as a stream delivers it for the nth time.
func delivery(seq uint64, n int, stored time.Time) *nats.Msg {
	return &nats.Msg{
		Subject: queue.Work("q", "1"), Sub: &nats.Subscription{},
		Reply: fmt.Sprintf("$JS.ACK.%s.%s.%d.%d.%d.%d.0", queue.WorkStream("q"), queue.Consumer, n, seq, n, stored.UnixNano()),
	}
}

// TestDeliveredAgain: what this engine has does not run a second time when the server
// delivers it again.
func TestDeliveredAgain(t *testing.T) {
	t.Parallel()
	e := &engine{held: map[*held]struct{}{}}
	q := &source{Record: queue.Record{ID: "q"}, held: map[uint64]*held{}}
	now := time.Now()
	e.receive(q, delivery(7, 1, now))
	first := q.waiting[0]
	last := delivery(7, 3, now)
	e.receive(q, delivery(7, 2, now))
	e.receive(q, last)
	e.receive(q, delivery(8, 1, now))
	if len(q.waiting) != 2 || len(e.held) != 2 || e.waiting != 2 {
		t.Fatalf("%d wait, %d are held, %d are counted; want 2 of each", len(q.waiting), len(e.held), e.waiting)
	}
	if first.delivery() != last {
		t.Error("it would not confirm the last delivery")
	}
	if first.losses != 0 {
		t.Errorf("%d engines were lost", first.losses)
	}
	e.release(first)
	e.receive(q, delivery(7, 4, now)) // its confirmation was lost
	if len(q.waiting) != 3 || q.waiting[2].losses != 3 {
		t.Errorf("%d wait", len(q.waiting))
	}
}

// TestAsksForNothing: an engine that has not what a queue requires asks it for nothing, and
// for a parcel once it has. Each request for none would bring one all the same.
func TestAsksForNothing(t *testing.T) {
	t.Parallel()
	e, _, _ := bare(t)
	needs, err := queue.ParseNeeds([]string{"license=1"})
	if err != nil {
		t.Fatal(err)
	}
	q := &source{Record: queue.Record{ID: "q"}, needs: needs, lacks: time.Now(), requests: e.conn.NewInbox()}
	e.cfg.Slots, e.queues, e.free = 4, []*source{q}, map[string]int64{"license": 0}
	for _, test := range []struct {
		name string
		free int64
		want uint64 // requests
	}{{"there is none", 0, 0}, {"there is one", 1, 1}} {
		e.free["license"] = test.free
		before := e.conn.Stats().OutMsgs
		for range 5 {
			e.proceed()
		}
		if n := e.conn.Stats().OutMsgs - before; n != test.want {
			t.Errorf("%s: it asked %d times, want %d", test.name, n, test.want)
		}
	}
}

func TestLosses(t *testing.T) {
	t.Parallel()
	stored := time.Now()
	e := &engine{breaks: []time.Time{stored.Add(-time.Second), stored.Add(time.Second), stored.Add(time.Minute)}}
	for name, test := range map[string]struct{ delivered, want int }{
		"the first":            {1, 0},
		"after a restart":      {2, 0},
		"after both":           {3, 0},
		"and an engine's loss": {4, 1},
		"and four":             {7, 4},
	} {
		meta, err := delivery(1, test.delivered, stored).Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if n := e.losses(meta); n != test.want {
			t.Errorf("%s: %d losses, want %d", name, n, test.want)
		}
	}
}

// TestStarted: an engine that starts after the controller did again knows of it, so that
// what this delivered once more is not counted as a loss.
func TestStarted(t *testing.T) {
	t.Parallel()
	cfg := controller.Config{Name: "lab", Folder: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for range 2 {
		before := time.Now()
		c, err := controller.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		conn, err := access.Load(c.File(access.Engine))
		if err != nil {
			t.Fatal(err)
		}
		nc, err := conn.Dial("parade test")
		if err != nil {
			t.Fatal(err)
		}
		js, err := queue.JetStream(nc)
		if err != nil {
			t.Fatal(err)
		}
		states, err := queue.Bucket(t.Context(), js, queue.Engines)
		if err != nil {
			t.Fatal(err)
		}
		if at, known := started(t.Context(), states); !known || at.Before(before) || at.After(time.Now()) {
			t.Errorf("it started at %v, and the engine says %v", before, at)
		}
		nc.Close()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
