package parade_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/parade-go/parade"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	cause := errors.New("file is empty")
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"closure", &parade.TaskError{Index: 3, Attempt: 1, Err: cause}, "closure: input 3 failed: file is empty"},
		{"first attempt", &parade.TaskError{Func: "smooth", Index: 3, Attempt: 1, Worker: "threads/0", Err: cause},
			"smooth: input 3 failed (threads/0): file is empty"},
		{"later attempt", &parade.TaskError{Func: "smooth", Index: 3, Attempt: 2, Worker: "threads/0", Kind: parade.TimedOut, Err: cause},
			"smooth: input 3 timed out (attempt 2, threads/0): file is empty"},
		{"stopped", &parade.JobError{Func: "smooth", Tasks: 9, Done: 4, Err: context.Canceled},
			"smooth stopped after 4 of 9 tasks: context canceled"},
		{"one task", &parade.JobError{Func: "smooth", Tasks: 9, Done: 8, Failed: []*parade.TaskError{{Func: "smooth", Index: 3, Attempt: 1, Err: cause}}},
			"smooth: input 3 failed: file is empty"},
		{"two tasks", &parade.JobError{Func: "smooth", Tasks: 9, Done: 7, Failed: []*parade.TaskError{
			{Func: "smooth", Index: 3, Attempt: 1, Err: cause},
			{Func: "smooth", Index: 5, Attempt: 1, Kind: parade.Panicked, Err: cause},
		}}, "smooth: 2 of 9 tasks failed\n\tsmooth: input 3 failed: file is empty\n\tsmooth: input 5 panicked: file is empty"},
		{"stopped by a task", &parade.JobError{Func: "smooth", Tasks: 9, Done: 2, Failed: []*parade.TaskError{{Func: "smooth", Index: 3, Attempt: 1, Err: cause}}},
			"smooth: input 3 failed: file is empty; stopped, 7 of 9 inputs have no result"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	var many parade.JobError
	for i := range 100 {
		many.Failed = append(many.Failed, &parade.TaskError{Index: i, Err: cause})
	}
	if text := many.Error(); strings.Count(text, "\n") > 10 || !strings.Contains(text, "and 95 more") {
		t.Errorf("the error of 100 tasks is %q", text)
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	all := []error{parade.ErrPanic, parade.ErrTimeout, parade.ErrWorkerLost, parade.ErrEncode, context.DeadlineExceeded}
	for kind, want := range map[parade.Kind][]error{
		parade.Failed:     nil,
		parade.Panicked:   {parade.ErrPanic},
		parade.TimedOut:   {parade.ErrTimeout, context.DeadlineExceeded},
		parade.Lost:       {parade.ErrWorkerLost},
		parade.Unsendable: {parade.ErrEncode},
	} {
		err := error(&parade.JobError{Failed: []*parade.TaskError{{Kind: kind, Err: errors.New("x")}}})
		for _, target := range all {
			expected := false
			for _, w := range want {
				expected = expected || w == target
			}
			if errors.Is(err, target) != expected {
				t.Errorf("a task that %v: errors.Is(%v) is %v", kind, target, !expected)
			}
		}
		if s := kind.String(); s == "" || strings.HasPrefix(s, "kind") {
			t.Errorf("kind %d has no word", kind)
		}
	}
}

// message returns what f panics with.
func message(f func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}

// locked has a field that would be lost on the way.
type locked struct {
	Name  string
	Inner []struct{ Lock sync.Mutex }
}

func TestDeclarationsRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		declare func()
		says    []string
	}{
		{"no name", func() { parade.Pure("", func(int) int { return 0 }) }, []string{"name", "parade.Closure"}},
		{"a name that is taken", func() { parade.Pure("test.three", func(int) int { return 0 }) }, []string{`"test.three"`, "two functions"}},
		{"a channel", func() { parade.Pure("test.refused1", func(chan int) int { return 0 }) }, []string{`"test.refused1"`, "argument", "chan int"}},
		{"a function", func() { parade.Pure("test.refused2", func(int) func() { return nil }) }, []string{`"test.refused2"`, "result", "func()"}},
		{"a hidden field", func() { parade.Pure("test.refused3", func(locked) int { return 0 }) }, []string{`"test.refused3"`, "Inner", "Lock"}},
		{"a bound argument", func() { parade.Pure2("test.refused4", func(locked, int) int { return 0 }) }, []string{"bound argument", "Inner"}},
		{"a type", func() { parade.Type[locked]("test.refused5") }, []string{`"test.refused5"`, "Inner"}},
		{"a driver that is there", func() { parade.Register("serial", parade.Driver{}) }, []string{`"serial"`}},
	} {
		text := message(tc.declare)
		for _, part := range tc.says {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the panic says %q, want it to have %q", tc.name, text, part)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ spec, says string }{
		{"", "serial, threads"},
		{"quantum", "serial, threads"},
		{"serial:2", "no number"},
		{"threads:0", "threads:4"},
		{"threads:many", "threads:4"},
		{"threads:2:2", "threads:4"},
		// The packages of these are not part of this program.
		{"processes", `add import _ "github.com/parade-go/parade/process"`},
		{"processes:4", `add import _ "github.com/parade-go/parade/process"`},
		{"mpi", `add import _ "github.com/parade-go/parade/mpi"`},
		{"cluster:lab", `add import _ "github.com/parade-go/parade/cluster"`},
	} {
		ex, err := parade.Open(t.Context(), tc.spec)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q: the error is %v, want it to have %q", tc.spec, err, tc.says)
		}
		if ex != nil {
			t.Errorf("%q: there is an executor beside the error", tc.spec)
		}
	}
}

// broken is an executor that cannot run anything.
type broken struct{ parade.Executor }

var errBroken = errors.New("the machine room is flooded")

func (broken) Run(context.Context, *parade.Job) error { return errBroken }
func (broken) Info() parade.Info                      { return parade.Info{Kind: "broken", Workers: 1} }

func TestExecutorFails(t *testing.T) {
	t.Parallel()
	out, err := parade.Map(t.Context(), broken{}, three, []int{1, 2})
	var job *parade.JobError
	if !errors.Is(err, errBroken) || !errors.As(err, &job) || len(job.Failed) != 0 || len(out) != 2 {
		t.Errorf("Map gives %v, %v", out, err)
	}
	if _, err := parade.Go(t.Context(), broken{}, three, 1).Wait(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("Go gives %v", err)
	}
	n := 0
	for r := range parade.Stream(t.Context(), broken{}, three, func(yield func(int) bool) {
		for yield(0) {
		}
	}) {
		if n++; r.Index != -1 || !errors.Is(r.Err, errBroken) {
			t.Errorf("Stream gives %+v", r)
		}
	}
	if n != 1 {
		t.Errorf("Stream gives %d results", n)
	}
}
