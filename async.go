package parade

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
)

// Async is a [Map] that may still be running.
type Async[R any] struct {
	job  *Job // nil for a call that was refused
	done chan struct{}

	out    []R
	err    error
	report *Report

	mu    sync.Mutex
	tasks []TaskInfo
}

// MapAsync is [Map] that returns at once, except on serial, where the call has ended by
// then. What it returns tells how far the call is, and of each task where and when it ran:
//
//	a := parade.MapAsync(ctx, ex, smooth, subjects, parade.CaptureOutput())
//	fmt.Println(a.Progress())
//	images, err := a.Wait(ctx)
//	for _, t := range a.Tasks() { fmt.Println(t.Index, t.Worker, t.Time(), t.Stderr.Text) }
//
// The inputs must not change while it runs. It keeps some 250 bytes for each task; a call of
// millions of short ones is better a Map with [OnProgress].
func MapAsync[A, R any](ctx context.Context, ex Executor, f *Function[A, R], inputs []A, opts ...Option) *Async[R] {
	a := &Async[R]{done: make(chan struct{}), report: new(Report)}
	d := newMapData(f, inputs)
	j, err := prepareMap(ctx, ex, d, append(opts[:len(opts):len(opts)], option(func(s *settings) {
		if s.report == nil {
			s.report = a.report
		}
		a.report = s.report
		also := s.onTask
		s.onTask = func(t TaskInfo) {
			a.mu.Lock()
			a.tasks = append(a.tasks, t)
			a.mu.Unlock()
			if also != nil {
				also(t)
			}
		}
	})))
	if err != nil {
		a.out, a.err = d.out, err
		close(a.done)
		return a
	}
	a.job = j
	run := func() {
		defer close(a.done)
		j.runOn(ctx, ex)
		a.out, a.err = d.out, j.result(d.failed, d.unfinished)
	}
	if _, inline := ex.(*serial); inline {
		run()
	} else {
		go run()
	}
	return a
}

// Wait returns what [Map] would have returned when the call has ended, or ctx's error
// before that. It may be called any number of times.
func (a *Async[R]) Wait(ctx context.Context) ([]R, error) {
	select {
	case <-a.done:
		return a.out, a.err
	default:
	}
	select {
	case <-a.done:
		return a.out, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Done is closed when the call has ended.
func (a *Async[R]) Done() <-chan struct{} { return a.done }

// Cancel stops the call, whose error then is context.Canceled. Results that there are
// stay.
func (a *Async[R]) Cancel() {
	if a.job != nil {
		a.job.stop(errCancelled)
	}
}

var errCancelled = fmt.Errorf("the call was given up by its Cancel: %w", context.Canceled)

// Progress is the state of the call now.
func (a *Async[R]) Progress() Progress {
	if a.job == nil {
		return Progress{Ended: true}
	}
	return a.job.progress()
}

// Tasks returns what is known of the tasks that have ended, by index. See [OnTask] for
// those that it leaves out.
func (a *Async[R]) Tasks() []TaskInfo {
	a.mu.Lock()
	tasks := slices.Clone(a.tasks)
	a.mu.Unlock()
	slices.SortFunc(tasks, func(a, b TaskInfo) int { return cmp.Compare(a.Index, b.Index) })
	return tasks
}

// Report is the account of the call, with its speed-up, once it has ended; ok is false
// before that.
func (a *Async[R]) Report() (r Report, ok bool) {
	select {
	case <-a.done:
		return *a.report, true
	default:
		return Report{}, false
	}
}
