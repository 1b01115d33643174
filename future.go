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
	call := func() {
		defer close(fu.done)
		out, err := Map(ctx, ex, f, []A{input}, opts...)
		fu.value, fu.err = out[0], err
		// There is one task, so its own error says it all.
		var job *JobError
		if errors.As(err, &job) && job.Err == nil {
			fu.err = job.Failed[0]
		}
	}
	if _, ok := ex.(*serial); ok {
		call()
	} else {
		go call()
	}
	return fu
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
