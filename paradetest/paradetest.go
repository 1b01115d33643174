// Package paradetest is the suite that every executor must pass, ours or
// another's. A test of the executor runs it with one call:
//
//	func TestConformance(t *testing.T) {
//		paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) {
//			return lab.Open(ctx, lab.Config{Workers: 4})
//		}, paradetest.Features{})
//	}
//
// The suite's functions are declared when the package is imported, so worker
// processes that run the test binary have them, too. Such a binary needs a
// TestMain that calls [parade.Serve] first.
//
// No test measures speed. Every one has a deadline instead, generous enough
// for a busy machine, and shows all goroutines when it is missed.
package paradetest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"go.uber.org/goleak"
)

// Features says in what an executor differs from others. The zero Features
// describe one whose workers are processes, out of reach of the suite.
type Features struct {
	// Shared: tasks run in the test's own process. They may be closures,
	// their values need no encoding, and no worker can be lost.
	Shared bool
	// Holds: a task that ignores its context, or ends its goroutine, holds up
	// its job, because there is nothing else that could go on: serial.
	Holds bool
	// Fatal: a worker that dies takes everything with it, the test too: ranks of
	// MPI. The tests whose tasks end their workers are left out.
	Fatal bool
	// Kill ends the process with the given id at once, and Freeze stops it
	// from running (SIGSTOP). With nil the tests that need them are left out.
	Kill, Freeze func(pid int) error
	// SharedWorkers: executors that open gives have the same workers, as clients of one
	// cluster have. Tests that strike a worker then run alone.
	SharedWorkers bool
	// Host is the machine that the workers are on; "" is this one.
	Host string
	// Tasks is the number of tasks of the largest test; 0 is 100,000.
	Tasks int
	// Large is the size in bytes of the largest bound argument; 0 is 80 MB.
	Large int
	// Deadline is when one test counts as hanging; 0 is a minute.
	Deadline time.Duration
	// Leaks are functions of libraries whose goroutines may be left, by a fault of theirs.
	Leaks []string
}

// needs are the features without which a test makes no sense.
type needs struct {
	remote, kill, freeze, shared, replaces, loses bool
}

func (n needs) metBy(f Features) bool {
	switch {
	case n.remote && f.Shared, n.shared && !f.Shared:
		return false
	case n.kill && f.Kill == nil, n.freeze && f.Freeze == nil:
		return false
	case n.replaces && f.Holds, n.loses && (f.Shared || f.Fatal):
		return false
	}
	return true
}

// group is the tests of one subject.
type group struct {
	name  string
	tests []test
}

type test struct {
	name  string
	needs needs
	run   func(*suite)
}

// groups is the table of contents.
var groups = []group{
	{"map", mapTests},
	{"stream", streamTests},
	{"future", futureTests},
	{"errors", errorTests},
	{"panics", panicTests},
	{"retries", retryTests},
	{"timeouts", timeoutTests},
	{"cancel", cancelTests},
	{"lost", lostTests},
	{"values", valueTests},
	{"bound", boundTests},
	{"named", namedTests},
	{"told", toldTests},
	{"rand", randTests},
	{"options", optionTests},
	{"jobs", jobTests},
	{"account", accountTests},
	{"journal", journalTests},
	{"close", closeTests},
}

// suite is one run of one test against one executor.
type suite struct {
	*testing.T
	features Features
	open     func(context.Context) (parade.Executor, error)
	ctx      context.Context
	ex       parade.Executor // for tests that leave it as it was; others open their own
	finally  []func()
}

// Run runs the suite. open is called several times, each time for an executor
// of its own, which the suite closes; it must give an executor with the same
// number of workers every time. At the end nothing may be left: no goroutine,
// no descriptor, no child process.
func Run(t *testing.T, open func(context.Context) (parade.Executor, error), features Features) {
	if features.Tasks == 0 {
		features.Tasks = 100_000
	}
	if features.Large == 0 {
		features.Large = 80_000_000
	}
	if features.Deadline == 0 {
		features.Deadline = time.Minute
	}
	running := goleak.IgnoreCurrent()
	before := resourcesNow()
	ex, err := open(t.Context())
	if err != nil {
		t.Fatalf("opening the executor: %v", err)
	}
	// The tests run at the same time, and this after the last of them.
	t.Cleanup(func() {
		if err := ex.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		allowed := []goleak.Option{running}
		for _, f := range features.Leaks {
			allowed = append(allowed, goleak.IgnoreTopFunction(f))
		}
		if err := goleak.Find(allowed...); err != nil {
			t.Errorf("goroutines are left after Close: %v", err)
		}
		before.compare(t)
	})
	var striking sync.RWMutex
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range g.tests {
				if !tc.needs.metBy(features) {
					continue
				}
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					switch {
					case features.SharedWorkers && (tc.needs.kill || tc.needs.freeze):
						striking.Lock()
						defer striking.Unlock()
					case features.SharedWorkers:
						striking.RLock()
						defer striking.RUnlock()
					}
					(&suite{T: t, features: features, open: open, ex: ex}).guard(tc.run)
				})
			}
		})
	}
}

// guard runs a test under the deadline. A test that misses it fails with all
// goroutines shown, and its context ends, so that the others may go on.
func (s *suite) guard(run func(*suite)) {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	s.ctx = ctx
	done := make(chan struct{})
	go func() {
		defer close(done) // also when the test calls FailNow
		defer func() {
			for _, f := range slices.Backward(s.finally) {
				f()
			}
		}()
		run(s)
	}()
	deadline := time.NewTimer(s.features.Deadline)
	defer deadline.Stop()
	select {
	case <-done:
		return
	case <-deadline.C:
	}
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	s.Errorf("the test hangs: not finished after %v\n%s", s.features.Deadline, stacks)
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
	}
}

// atEnd has f called at the end of the test. Unlike Cleanup it is under the
// deadline.
func (s *suite) atEnd(f func()) { s.finally = append(s.finally, f) }

// own opens an executor that the test may harm; it is closed at the end.
func (s *suite) own() parade.Executor {
	s.Helper()
	ex, err := s.open(s.ctx)
	if err != nil {
		s.Fatalf("opening an executor: %v", err)
	}
	s.atEnd(func() {
		if err := ex.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	})
	return ex
}

// workers is how many tasks the executor runs at once.
func (s *suite) workers() int { return s.ex.Info().Workers }

// eventually waits for something that must happen; the deadline bounds it.
func (s *suite) eventually(what string, holds func() bool) {
	s.Helper()
	for !holds() {
		select {
		case <-s.ctx.Done():
			s.Fatalf("still waiting for: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
