//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
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
