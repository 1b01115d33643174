//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/engine"
)

// where is the process id of the engine that runs the task.
var where = parade.Pure("cluster.where", func(int) int { return os.Getppid() })

// TestViews: tasks run on the engines that were chosen, and on no other.
func TestViews(t *testing.T) {
	_, actors, client := stage(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engines := client.Engines()
	pids := map[int]bool{}
	for _, e := range engines {
		pids[e.PID] = true
	}
	if len(engines) != 3 || len(pids) != 3 {
		t.Fatalf("engines %+v", engines)
	}
	some := client.LoadBalanced(engines[2].ID, engines[0].ID)
	if n := some.Info().Workers; n != 4 {
		t.Errorf("the view has %d workers, want 4", n)
	}
	ran, err := parade.Map(ctx, some, where, make([]int, 200), parade.BatchSize(1))
	if err != nil || slices.Contains(ran, engines[1].PID) {
		t.Errorf("%v, or a task ran on the engine that was not chosen", err)
	}

	all := client.Direct()
	each, err := cluster.Apply(ctx, all, where, 0)
	if err != nil || len(each) != 3 {
		t.Fatalf("each engine says %v, %v", each, err)
	}
	for i, e := range engines {
		if each[i] != e.PID {
			t.Errorf("engine %d is %d, and ran as %d", i, e.PID, each[i])
		}
	}
	// Equal parts, in order.
	dealt, err := parade.Map(ctx, all, where, make([]int, 300))
	if err != nil {
		t.Fatal(err)
	}
	for i, pid := range dealt {
		if pid != engines[i/100].PID {
			t.Fatalf("task %d ran on %d, want %d", i, pid, engines[i/100].PID)
		}
	}
	n := 0
	for r := range parade.Stream(ctx, all, where, slices.Values(make([]int, 50))) {
		if r.Err != nil || !pids[r.Value] {
			t.Fatalf("a stream yields %+v", r)
		}
		n++
	}
	if n != 50 {
		t.Errorf("%d results, want 50", n)
	}
	if _, err := cluster.Apply(ctx, some, where, 0); err == nil {
		t.Error("Apply takes a load-balanced view")
	}
	if _, err := parade.Map(ctx, client.Direct("nobody"), where, []int{1}); !errors.Is(err, parade.ErrWorkerLost) {
		t.Errorf("an engine that is not there: %v, want ErrWorkerLost", err)
	}

	// An engine that is lost takes its part along, which is said.
	lost := engines[1]
	for _, a := range actors {
		if a.cmd.Process.Pid == lost.PID {
			time.AfterFunc(300*time.Millisecond, func() { a.signal(syscall.SIGKILL) })
		}
	}
	_, err = parade.Map(ctx, all, doze, []int{0, 60_000, 0}, parade.CollectErrors())
	if !errors.Is(err, parade.ErrWorkerLost) {
		t.Errorf("a lost engine: %v, want ErrWorkerLost", err)
	}
	if out, err := parade.Map(ctx, client.LoadBalanced(), doze, make([]int, 20)); err != nil || len(out) != 20 {
		t.Errorf("afterwards: %v", err)
	}
}

// TestDirectRequire: a direct view that requires something has the engines that have it, and
// one without any says so.
func TestDirectRequire(t *testing.T) {
	t.Parallel()
	l := ownLab(t, 1)
	conn, err := cluster.Load(l.controller.File(cluster.RoleEngine))
	if err != nil {
		t.Fatal(err)
	}
	life, stop := context.WithCancel(context.Background())
	l.engines.Go(func() {
		cfg := engine.Config{Connection: conn, ID: "able", Slots: 1, Cache: t.TempDir(), Labels: []string{"gpu"}, Resources: []string{"mem=8G"}, Log: quiet}
		if err := engine.Run(life, cfg); err != nil {
			t.Errorf("engine: %v", err)
		}
	})
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.client.WaitForEngines(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if out, err := cluster.Apply(ctx, l.client.Direct().Require("gpu").Require("mem=8G"), where, 0); err != nil || len(out) != 1 {
		t.Errorf("one of two has it: %v, %v", out, err)
	}
	for _, requires := range []string{"tpu", "mem=9G"} {
		if out, err := cluster.Apply(ctx, l.client.Direct().Require(requires), where, 0); err == nil || ctx.Err() != nil {
			t.Errorf("none has %s: %v, %v", requires, out, err)
		}
	}
	if _, err := cluster.Apply(ctx, l.client.Direct("nobody").Require("gpu"), where, 0); !errors.Is(err, parade.ErrWorkerLost) {
		t.Errorf("an engine that is not there: %v, want ErrWorkerLost", err)
	}
}

// TestRetiringEngine: an engine that takes no more tasks is interrupted all the same, and is
// in no new view.
func TestRetiringEngine(t *testing.T) {
	t.Parallel()
	l := ownLab(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := cluster.Load(l.controller.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	running := parade.MapAsync(ctx, l.View, bear, []patience{{dir, "it", "heeds"}})
	await := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				t.Fatal(what)
			}
		}
	}
	await("the task has not begun", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "it"))
		return err == nil && len(data) > 0
	})
	if err := cluster.RetireEngines(ctx, conn, "engine-0"); err != nil {
		t.Fatal(err)
	}
	await("the engine does not retire", func() bool {
		engines := l.client.Engines()
		return len(engines) == 1 && engines[0].Slots == 0
	})
	if out, err := cluster.Apply(ctx, l.client.Direct(), where, 0); err == nil || ctx.Err() != nil {
		t.Errorf("a view of no engine that takes tasks: %v, %v", out, err)
	}
	if err := l.View.Interrupt(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := running.Wait(ctx); !errors.Is(err, parade.ErrInterrupted) {
		t.Errorf("its task: %v, want ErrInterrupted", err)
	}
}
