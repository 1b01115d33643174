package parade

import (
	"context"
	"errors"
)

// Future is the result of a call that may still be running.
type Future[R any] struct {
	done  chan struct{}
	value R
	err   error
}

// Go starts one call of f on ex and returns at once, except on serial, where
// the call has ended by then. Cancel ctx to give it up.
func Go[A, R any](ctx context.Context, ex Executor, f *Function[A, R], input A, opts ...Option) *Future[R] {
	fu := &Future[R]{done: make(chan struct{})}
	d := newMapData(f, []A{input})
	set, err := settingsOf(opts)
	if err == nil {
		err = check(ctx, ex, f)
	}
	if err == nil && set.journal != "" {
		err = errors.New("parade: Journal is for Map and Stream; for one call write parade.Map with one input")
	}
	if err != nil {
		fu.settle(d.out[0], err)
		return fu
	}
	j := newMapJob(ctx, d, set)
	finish := func() { fu.settle(d.out[0], j.result(d.failed, d.unfinished)) }
	s, ok := ex.(Starter)
	switch _, inline := ex.(*serial); {
	case inline:
		j.runOn(ctx, ex)
		finish()
	case ok && set.progress == nil && set.onTask == nil && ctx.Err() == nil:
		release := j.watch(ctx)
		j.mu.Lock()
		j.finally = func() {
			release()
			j.report(ex)
			finish()
		}
		j.unlock() // it may have been cancelled already
		if err := s.Start(j); err != nil {
			j.stop(err)
		}
	default:
		go func() {
			j.runOn(ctx, ex)
			finish()
		}()
	}
	return fu
}

func (f *Future[R]) settle(value R, err error) {
	f.value, f.err = value, err
	// There is one task, so its own error says it all.
	var job *JobError
	if errors.As(err, &job) && job.Err == nil {
		f.err = job.Failed[0]
	}
	close(f.done)
}

// Wait returns the result when the call has ended, or ctx's error before
// that. It may be called any number of times.
func (f *Future[R]) Wait(ctx context.Context) (R, error) {
	select {
	case <-f.done:
		return f.value, f.err
	default:
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var zero R
		return zero, context.Cause(ctx)
	}
}

// Done is closed when the call has ended.
func (f *Future[R]) Done() <-chan struct{} { return f.done }
