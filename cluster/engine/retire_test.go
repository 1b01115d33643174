//go:build unix

package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/engine"
)

// TestRetire: an engine that retires finishes its task however long that takes, and not a second
// one; asked to stop meanwhile, or told by its context, it ends without.
func TestRetire(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		then func(ctx context.Context, clients cluster.Connection, end func()) error // while it retires
		long bool                                                                    // does its task finish there
	}{
		{"alone", nil, true},
		{"and stopped", func(ctx context.Context, clients cluster.Connection, _ func()) error {
			return cluster.StopEngines(ctx, clients, "one")
		}, false},
		{"and ended", func(_ context.Context, _ cluster.Connection, end func()) error { end(); return nil }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, client, conn := lab(t)
			life, end := context.WithCancel(context.WithoutCancel(t.Context()))
			defer end()
			ended := make(chan error, 1)
			go func() {
				ended <- engine.Run(life, engine.Config{Connection: conn, ID: "one", Slots: 1, Cache: t.TempDir(), Drain: time.Millisecond, Log: quiet})
			}()
			if err := client.WaitForEngines(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			ms := 5000
			if !tc.long {
				ms = 60_000
			}
			f := parade.Go(t.Context(), client.LoadBalanced(), nap, ms)
			for deadline := time.Now().Add(20 * time.Second); client.Engines()[0].Running == 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the engine did not take the task")
				}
			}
			clients, err := cluster.Load(c.File(cluster.RoleClient))
			if err != nil {
				t.Fatal(err)
			}
			if err := cluster.RetireEngines(t.Context(), clients, "one"); err != nil {
				t.Fatal(err)
			}
			if tc.long { // it is there, but has no slot
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
					if all := client.Engines(); len(all) == 1 && all[0].Slots == 0 {
						break
					} else if time.Now().After(deadline) {
						t.Fatalf("the engines are %v, want one without slots", all)
					}
				}
			}
			if tc.then != nil {
				if err := tc.then(t.Context(), clients, end); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("the engine says %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the engine goes on")
			}
			if tc.long {
				if v, err := f.Wait(t.Context()); v != ms || err != nil {
					t.Errorf("the task that ran gave %d, %v", v, err)
				}
			}
		})
	}
}

// TestIdle: an engine ends when it has had nothing to do for a while, and not before.
func TestIdle(t *testing.T) {
	t.Parallel()
	c, client, conn := lab(t)
	const idle = 2 * time.Second
	f := parade.Go(t.Context(), client.LoadBalanced(), nap, int((idle + time.Second).Milliseconds()))
	observer, err := cluster.Load(c.File(cluster.RoleObserver))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // the task waits already
		s, err := cluster.Look(t.Context(), observer)
		if err == nil && len(s.Queues) == 1 && s.Queues[0].Waiting == 1 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the task is not there: %v, %v", s, err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		ended <- engine.Run(context.WithoutCancel(t.Context()), engine.Config{Connection: conn, Slots: 1, Cache: t.TempDir(), Idle: idle, Batch: "slurm 7", Log: quiet})
	}()
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if batch := client.Engines()[0].Batch; batch != "slurm 7" {
		t.Errorf("it runs in %q", batch)
	}
	if _, err := f.Wait(t.Context()); err != nil {
		t.Fatalf("a task longer than that: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the engine says %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the engine goes on")
	}
}
