//go:build unix

package cluster_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
)

// TestFrozenRequests: an engine that freezes while it has asked for many parcels is handed
// some of them again and again. None of their tasks is taken for one that kills engines.
func TestFrozenRequests(t *testing.T) {
	t.Parallel()
	_, engines, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all := client.LoadBalanced()
	// Short parcels, so that both ask for many.
	if _, err := parade.Map(ctx, all, square, make([]int, 5000), parade.BatchSize(1)); err != nil {
		t.Fatal(err)
	}
	engines[0].signal(syscall.SIGSTOP)
	in := make([]int, 30)
	for i := range in {
		in[i] = 300
	}
	var r parade.Report
	start := time.Now()
	out, err := parade.Map(ctx, all, doze, in, parade.BatchSize(1), parade.WithReport(&r))
	took := time.Since(start)
	engines[0].signal(syscall.SIGCONT)
	if err != nil {
		t.Fatal(err)
	}
	if err := dozed(in, out, r); err != nil {
		t.Error(err)
	}
	t.Logf("%d tasks in %v by the engine that is left", len(in), took)
}
