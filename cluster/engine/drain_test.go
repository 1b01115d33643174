//go:build unix

package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/engine"
)

// TestCleanStops: engines that end one after another, with a task running, do not
// count as lost, so that the task is not set aside.
func TestCleanStops(t *testing.T) {
	t.Parallel()
	c, client, conn := lab(t)
	cache := t.TempDir()
	f := parade.Go(t.Context(), client.LoadBalanced(), nap, 700)
	for range 6 { // more than a parcel may cost
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- engine.Run(ctx, engine.Config{Connection: conn, Slots: 1, Cache: cache, Drain: time.Millisecond, Log: quiet})
		}()
		for running := 0; running == 0; time.Sleep(5 * time.Millisecond) {
			observer, err := cluster.Load(c.File(cluster.RoleObserver))
			if err != nil {
				t.Fatal(err)
			}
			s, err := cluster.Look(t.Context(), observer)
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(s.Queues, func(q cluster.Queue) bool { return q.Kind == "session" }); i >= 0 {
				running = s.Queues[i].Running
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx, engine.Config{Connection: conn, Slots: 1, Cache: cache, Log: quiet}) }()
	if v, err := f.Wait(t.Context()); v != 700 || err != nil {
		t.Errorf("the task gave %d, %v", v, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
