package parade_test

import (
	"context"
	"slices"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
)

// TestThreadsAnnounceWorkers looks at what numeric libraries are told. It is not
// parallel: other tests' workers would count.
func TestThreadsAnnounceWorkers(t *testing.T) {
	seen := parade.Closure(func(context.Context, int) (int, error) { return cores.Workers(), nil })
	ask := func(ctx context.Context, ex parade.Executor, tasks int, opts ...parade.Option) int {
		t.Helper()
		counts, err := parade.Map(ctx, ex, seen, make([]int, tasks), opts...)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Max(counts)
	}
	ctx := t.Context()
	serial, threads := parade.Serial(), parade.Threads(3)
	defer serial.Close()
	defer threads.Close()
	if n := ask(ctx, serial, 5); n != 1 {
		t.Errorf("serial: %d workers, want 1", n)
	}
	if n := ask(ctx, threads, 9); n != 3 {
		t.Errorf("threads:3: %d workers, want 3", n)
	}
	if n := ask(ctx, threads, 2); n != 2 {
		t.Errorf("two tasks on threads:3: %d workers, want 2", n)
	}
	nested := parade.Closure(func(ctx context.Context, _ int) (int, error) { return ask(ctx, threads, 4), nil })
	counts, err := parade.Map(ctx, threads, nested, make([]int, 6))
	if err != nil {
		t.Fatal(err)
	}
	if n := slices.Max(counts); n != 3 {
		t.Errorf("jobs in tasks of threads:3: %d workers, want 3", n)
	}
	if n := cores.Workers(); n != 1 {
		t.Errorf("after all jobs: %d workers, want 1", n)
	}
}
