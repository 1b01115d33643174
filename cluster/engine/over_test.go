//go:build unix

package engine

import (
	"encoding/binary"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// taken is a parcel of job 1 of a queue, which has a slot.
func taken(e *engine, q *source, seq uint64) *held {
	h := &held{source: q, job: "1", msg: &nats.Msg{Data: queue.Message{Head: []byte("a head")}.AppendTo(nil)}, seq: seq, owed: 1}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[h], q.held[seq] = struct{}{}, h
	e.running++
	return h
}

// TestOverMeanwhile: what waits for its program when its call ends is not begun.
func TestOverMeanwhile(t *testing.T) {
	t.Parallel()
	e, _, _ := bare(t)
	e.ctx, e.ended = t.Context(), map[relayKey]time.Time{}
	q := &source{Record: queue.Record{ID: "q"}, held: map[uint64]*held{}, pool: "program"}
	p := &pool{engine: e, ready: make(chan struct{}), relays: map[relayKey]*relay{}}
	e.pools = map[string]*pool{"program": p}
	h := taken(e, q, 1)
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		e.begin(h)
	}()
	e.over(&nats.Msg{Subject: queue.Over("q"), Data: binary.LittleEndian.AppendUint64(nil, 1)})
	before := e.conn.Stats().OutMsgs
	close(p.ready)
	<-begun
	if n := e.conn.Stats().OutMsgs - before; n != 0 || e.has() || e.running != 0 {
		t.Errorf("%d messages were sent, %d parcels are held and %d run; want none", n, len(e.held), e.running)
	}
}

// TestRemovedAfterCancel: of a job that is cancelled and then removed nothing stays, and nothing
// is sent any more.
func TestRemovedAfterCancel(t *testing.T) {
	t.Parallel()
	e, _, _ := bare(t)
	q := &source{Record: queue.Record{ID: "q", Kind: queue.Job, Job: &queue.JobRecord{}}, held: map[uint64]*held{}}
	var err error
	if q.sub, err = e.conn.SubscribeSync(e.conn.NewInbox()); err != nil {
		t.Fatal(err)
	}
	e.ctx, e.queues = t.Context(), []*source{q}
	h := taken(e, q, 1)
	e.leave("q", true)
	if err := e.unwanted(h); !errors.Is(err, errCancelled) || !e.has() {
		t.Errorf("after it was cancelled: %v, %d held", err, len(e.held))
	}
	e.leave("q", false)
	if err := e.unwanted(h); !errors.Is(err, errOver) || e.has() {
		t.Errorf("after it was removed: %v, %d held", err, len(e.held))
	}
	before := e.conn.Stats().OutMsgs
	e.handBack(h) // as its task ends
	e.refuse(h, errors.New("no such function"))
	e.giveBack(h, queue.Message{}, parcel(t, 1))
	if n := e.conn.Stats().OutMsgs - before; n != 0 {
		t.Errorf("%d messages were sent to a queue that is gone", n)
	}
}

// TestRemembersEnded: what is over is remembered while parcels may come of it.
func TestRemembersEnded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		name        string
		queue       string
		ended, want int
		ago         time.Duration
	}{
		{"of a queue that is here", "q", 3, 3, time.Hour},
		{"of another, lately", "r", 3, 3, time.Second},
		{"of another", "r", 3, 0, time.Hour},
		{"too many", "q", maxEnded + 3, maxEnded, time.Hour},
		{"many lately", "q", maxEnded + 3, maxEnded + 3, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := &engine{queues: []*source{{Record: queue.Record{ID: "q"}}}, ended: map[relayKey]time.Time{}}
			for i := range test.ended {
				e.ended[relayKey{test.queue, strconv.Itoa(i)}] = now.Add(-test.ago)
			}
			if e.forgetEnded(now); len(e.ended) != test.want {
				t.Errorf("%d jobs are remembered, want %d", len(e.ended), test.want)
			}
		})
	}
}
