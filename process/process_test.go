//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/paradetest"
	"github.com/parade-go/parade/process"
)

// A test that needs children whose main misbehaves says so with mainVariable;
// one that needs a parent that it can kill starts this binary again, and says
// with roleVariable which of roles it is.
const (
	mainVariable = "PARADE_TEST_MAIN"
	roleVariable = "PARADE_TEST_ROLE"
)

var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	switch os.Getenv(mainVariable) {
	case "talks":
		fmt.Println("main starts")
		fmt.Fprintln(os.Stderr, "main starts here, too")
	case "exits":
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(7)
	case "hangs":
		time.Sleep(time.Hour)
	}
	parade.Serve()
	if role := os.Getenv(roleVariable); role != "" {
		f := roles[role]
		if f == nil {
			fmt.Fprintf(os.Stderr, "no role %q\n", role)
			os.Exit(1)
		}
		if err := f(); err != nil {
			fmt.Fprintf(os.Stderr, "role %s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) {
				return process.Open(ctx, process.Config{
					Workers: n, Heartbeat: 200 * time.Millisecond, Missed: 4, Grace: 500 * time.Millisecond,
				})
			}, paradetest.Features{
				Kill:   func(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) },
				Freeze: func(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) },
			})
		})
	}
}

// The functions that the tests of this package run.

var identify = parade.Func("process.identify", func(int) (int, error) { return os.Getpid(), nil })

// spin takes some time, in microseconds, of a core.
var spin = parade.Pure2("process.spin", func(us int, v int) int {
	for end := time.Now().Add(time.Duration(us) * time.Microsecond); time.Now().Before(end); {
	}
	return 7*v + 3
})

var crash = parade.FuncContext("process.crash", func(ctx context.Context, v int) (int, error) {
	if task, _ := parade.TaskOf(ctx); task.Attempt == 1 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return v, nil
})

var nest = parade.FuncContext("process.nest", func(ctx context.Context, n int) ([]int, error) {
	ex, err := process.Open(ctx, process.Config{Workers: 1})
	if err != nil {
		return nil, err
	}
	pids, err := parade.Map(ctx, ex, identify, make([]int, n))
	return pids, errors.Join(err, ex.Close())
})

// open opens an executor that is closed at the end of the test, and a context
// that ends before the test binary's patience does.
func open(t *testing.T, cfg process.Config) (context.Context, *process.Executor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ex, err := process.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ex.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return ctx, ex
}

func TestNested(t *testing.T) {
	t.Parallel()
	ctx, ex := open(t, process.Config{Workers: 2})
	outer, err := parade.Map(ctx, ex, identify, []int{0, 1, 2, 3}, parade.BatchSize(1))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := parade.Map(ctx, ex, nest, []int{3, 4})
	if err != nil {
		t.Fatal(err)
	}
	for i, pids := range inner {
		if len(pids) != 3+i {
			t.Errorf("nested job %d has %d results, want %d", i, len(pids), 3+i)
		}
		for _, pid := range pids {
			for _, other := range append(outer, os.Getpid()) {
				if pid == other {
					t.Errorf("a task of nested job %d ran in process %d, which is no child of a worker", i, pid)
				}
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		cfg  process.Config
	}{
		{"workers", process.Config{Workers: -1}},
		{"threads", process.Config{Threads: -1}},
		{"tasks", process.Config{MaxTasks: -1}},
		{"memory", process.Config{MemoryLimit: -1}},
	} {
		if ex, err := process.Open(t.Context(), tc.cfg); err == nil {
			t.Errorf("%s: a negative number is accepted", tc.name)
			_ = ex.Close()
		}
	}
	for _, spec := range []string{"processes:0", "processes:-2", "processes:two", "processes:2:3"} {
		if ex, err := parade.Open(t.Context(), spec); err == nil {
			t.Errorf("%q is accepted", spec)
			_ = ex.Close()
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if ex, err := process.Open(ended, process.Config{Workers: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context Open says %v", err)
		if err == nil {
			_ = ex.Close()
		}
	}
}
