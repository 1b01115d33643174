//go:build unix

package engine

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// TestTried: engines that begin a parcel count, and not what is delivered to others that
// never see it.
func TestTried(t *testing.T) {
	t.Parallel()
	e, _, _ := bare(t)
	var err error
	if e.tries, err = queue.Bucket(t.Context(), e.js, queue.Tries); err != nil {
		t.Fatal(err)
	}
	e.ctx = t.Context()
	again := func(seq uint64, losses int) *held {
		return &held{source: &source{Record: queue.Record{ID: "q"}}, seq: seq, losses: losses, msg: &nats.Msg{}}
	}
	for want := 1; want <= maxLosses; want++ {
		if n, err := e.tried(again(7, 20*want)); n != want || err != nil {
			t.Fatalf("%d engines have begun it, %v; want %d", n, err, want)
		}
	}
	if n, err := e.tried(again(8, 20)); n != 1 || err != nil {
		t.Errorf("%d engines have begun another, %v; want 1", n, err)
	}
}
