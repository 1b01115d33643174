package paradetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade"
)

var mapTests = []test{
	{"order", needs{}, (*suite).mapOrder},
	{"empty", needs{}, (*suite).mapEmpty},
	{"one", needs{}, (*suite).mapOne},
	{"many", needs{}, (*suite).mapMany},
	{"batch sizes", needs{}, (*suite).mapBatchSizes},
	{"slow after fast", needs{}, (*suite).mapSlow},
	{"task of context", needs{}, (*suite).mapTaskOf},
	{"every worker works", needs{}, (*suite).mapMeeting},
	{"closure", needs{}, (*suite).mapClosure},
	{"declared late", needs{}, (*suite).mapLate},
	{"nested on its own executor", needs{}, (*suite).mapNestedOwn},
	{"nested on the same executor", needs{shared: true}, (*suite).mapNestedSame},
}

// mapOrder has tasks finish in another order than they start.
func (s *suite) mapOrder() {
	in := steps(60, func(st *step) { st.Sleep = time.Duration((st.Value*7)%5) * time.Millisecond })
	out, err := parade.Map(s.ctx, s.ex, play, in)
	s.check(out, err, 60)
}

// check wants the results of n plain steps.
func (s *suite) check(out []int, err error, n int) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	s.checkResults(out, n, nil)
}

// checkResults wants the results of n plain steps, but for some missing ones.
func (s *suite) checkResults(out []int, n int, missing []int) {
	s.Helper()
	if len(out) != n {
		s.Fatalf("%d results for %d inputs", len(out), n)
	}
	for i, v := range out {
		want := result(i)
		if slices.Contains(missing, i) {
			want = 0
		}
		if v != want {
			s.Fatalf("result %d is %d, want %d", i, v, want)
		}
	}
}

func (s *suite) mapEmpty() {
	for _, in := range [][]int{nil, {}} {
		out, err := parade.Map(s.ctx, s.ex, triple, in)
		if err != nil || out == nil || len(out) != 0 {
			s.Errorf("of no inputs: %v, %v; want an empty slice", out, err)
		}
	}
}

func (s *suite) mapOne() {
	out, err := parade.Map(s.ctx, s.ex, triple, []int{5})
	if err != nil || len(out) != 1 || out[0] != result(5) {
		s.Errorf("of one input: %v, %v", out, err)
	}
}

func (s *suite) mapMany() {
	out, err := parade.Map(s.ctx, s.ex, triple, numbers(s.features.Tasks))
	s.check(out, err, s.features.Tasks)
}

func (s *suite) mapBatchSizes() {
	for _, size := range []int{1, 2, 7, 1000, 5000} {
		out, err := parade.Map(s.ctx, s.ex, triple, numbers(3000), parade.BatchSize(size))
		s.check(out, err, 3000)
	}
}

// mapSlow has tasks turn slow when batches have grown: what a batch gives back
// must not be lost.
func (s *suite) mapSlow() {
	in := steps(3000, func(st *step) {
		if st.Value >= 2000 && st.Value%20 == 0 {
			st.Sleep = 4 * time.Millisecond
		}
	})
	out, err := parade.Map(s.ctx, s.ex, play, in)
	s.check(out, err, 3000)
}

func (s *suite) mapTaskOf() {
	tasks, err := parade.Map(s.ctx, s.ex, whoami, numbers(20), parade.Seed(9))
	if err != nil {
		s.Fatal(err)
	}
	for i, task := range tasks {
		worker := task.Worker
		task.Worker = ""
		want := parade.Task{Func: "paradetest.whoami", Index: i, Attempt: 1, Seed: 9}
		if task != want || worker == "" {
			s.Fatalf("task %d says it is %+v on %q", i, task, worker)
		}
	}
	if _, ok := parade.TaskOf(s.ctx); ok {
		s.Error("there is a task outside of tasks")
	}
}

// mapMeeting has tasks that wait until all of them run.
func (s *suite) mapMeeting() {
	ex := s.own() // two tests that each wait for all workers would wait for each other
	dir, n := s.TempDir(), ex.Info().Workers
	in := steps(n, func(st *step) { st.Act, st.Dir, st.Gate = "meet", dir, n })
	out, err := parade.Map(s.ctx, ex, play, in)
	s.check(out, err, n)
}

func (s *suite) mapClosure() {
	var calls atomic.Int64
	f := parade.Closure(func(_ context.Context, v int) (int, error) {
		calls.Add(1)
		return result(v), nil
	})
	out, err := parade.Map(s.ctx, s.ex, f, numbers(100))
	if s.features.Shared {
		s.check(out, err, 100)
		return
	}
	if !errors.Is(err, parade.ErrNotDeclared) || !strings.Contains(err.Error(), "parade.Func") {
		s.Errorf("a closure is refused with %v, want ErrNotDeclared and what to write", err)
	}
	if n := calls.Load(); n > 0 {
		s.Errorf("the closure was called %d times", n)
	}
}

var late atomic.Int64

func (s *suite) mapLate() {
	name := fmt.Sprintf("paradetest.late%d", late.Add(1))
	out, err := parade.Map(s.ctx, s.ex, parade.Pure(name, result), numbers(10))
	if s.features.Shared {
		s.check(out, err, 10)
		return
	}
	if !errors.Is(err, parade.ErrNotDeclared) || !strings.Contains(err.Error(), name) {
		s.Errorf("a function declared late is refused with %v, want ErrNotDeclared and its name", err)
	}
}

func (s *suite) mapNestedOwn() {
	for _, spec := range []string{"serial", "threads:2"} {
		sums, err := parade.Map(s.ctx, s.ex, parade.Bind(inner, spec), []int{10, 20, 30})
		if err != nil {
			s.Fatalf("%s: %v", spec, err)
		}
		for i, n := range []int{10, 20, 30} {
			if want := 3*n*(n-1)/2 + n; sums[i] != want {
				s.Errorf("%s: sum %d is %d, want %d", spec, i, sums[i], want)
			}
		}
	}
}

// mapNestedSame has every worker hold a task that waits for tasks on the same
// executor, three levels deep.
func (s *suite) mapNestedSame() {
	var level func(depth int) *parade.Function[int, int]
	level = func(depth int) *parade.Function[int, int] {
		return parade.Closure(func(ctx context.Context, v int) (int, error) {
			if depth == 0 {
				return result(v), nil
			}
			out, err := parade.Map(ctx, s.ex, level(depth-1), []int{v, v, v})
			if err != nil {
				return 0, err
			}
			if out[0] != out[1] || out[1] != out[2] {
				return 0, fmt.Errorf("one input, results %v", out)
			}
			return out[0], nil
		})
	}
	out, err := parade.Map(s.ctx, s.ex, level(3), numbers(40))
	s.check(out, err, 40)
}
