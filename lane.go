package parade

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// batchTarget is how long an automatic batch should take: long beside the
	// cost of handing it over, short beside a person's patience.
	batchTarget = time.Millisecond
	// yieldAfter is when a batch that turned out slow gives its remaining
	// tasks back, so that other workers can have them.
	yieldAfter = 20 * time.Millisecond
	// timeoutGrace is the time a task has, once its context has ended, to
	// return by itself.
	timeoutGrace = 500 * time.Millisecond
)

var errGoexit = errors.New("the function called runtime.Goexit, for example by a test's FailNow; return an error instead")

// run is what all tasks of a job share in the process that runs them.
type run struct {
	ctx     context.Context // ends when the job does
	name    string
	seed    uint64
	timeout time.Duration
	stopAt  int  // failures after which a batch is not worth finishing; 0: never
	shares  bool // a batch that turns out slow gives back what others could run
	apart   bool // each value is a message of its own
	values  values
	details bool    // the caller wants to know of each task
	capture bool    // and what it prints
	scopes  *scopes // in a worker process: what its tasks run under, in place of ctx
}

// outcome is what became of a batch.
type outcome struct {
	ran      int // tasks [0, ran) were run, the rest is given back
	failures []failure
	user     time.Duration // in the user's function
	codec    time.Duration // encoding and decoding, at both ends
	bytesOut int64         // sent to the worker
	bytesIn  int64         // received from it
	details  []detail      // of the tasks that ran, if the caller wants them
}

// failure is one failed task of a batch.
type failure struct {
	offset int
	kind   Kind
	err    error
	stack  string

	attempt int    // 0: the batch's
	worker  string // "": the batch's
	detail  *detail
}

// Status says which task a worker is running, to whoever is left to ask. It
// may lie in memory that survives the worker.
type Status struct {
	job   atomic.Uint64
	index atomic.Uint64 // plus one; 0 between batches
}

// decodingBatch stands for the index while a worker decodes a batch or encodes
// its results.
const decodingBatch = 1 << 63

// lane runs batches one after another on one goroutine: a thread of the
// threads executor, the serial executor, or the inside of a worker process.
type lane struct {
	worker  string
	status  *Status
	replace func()  // starts another lane when this one's goroutine is lost
	capture Capture // nil where output cannot be captured

	yield   atomic.Bool
	timer   *time.Timer // sets yield
	overrun bool        // the goroutine has been replaced

	under     atomic.Pointer[scope] // the task, in a worker process
	began     time.Time             // the task, if the caller wants details
	capturing bool
}

func newLane(worker string, status *Status, replace func()) *lane {
	return &lane{worker: worker, status: status, replace: replace}
}

// yieldSoon has the batch that is starting give back what it has not run when
// yieldAfter is over.
func (l *lane) yieldSoon() {
	if l.timer == nil {
		l.timer = time.AfterFunc(yieldAfter, func() { l.yield.Store(true) })
	} else {
		l.timer.Reset(yieldAfter)
	}
}

// execute runs the tasks of w, the first of which is task number first, and
// calls settle exactly once with what became of them. It returns false when
// the lane has been replaced, after a task that would not stop; its goroutine
// then has to end.
func (l *lane) execute(r *run, w work, first, attempt int, settle func(work, outcome)) bool {
	var o outcome
	n, k, ended := w.len(), 0, false
	start := time.Now()
	l.yield.Store(false)
	if r.capture && l.capture != nil {
		settle = l.captured(settle)
	}
	if r.shares && n > 1 {
		l.yieldSoon()
		defer l.timer.Stop()
	}
	defer func() {
		if ended || l.overrun {
			return
		}
		// Goexit: this goroutine is past saving, its batch is not.
		o.ran, o.user = k+1, time.Since(start)
		o.failures = append(o.failures, failure{offset: k, kind: Panicked, err: errGoexit})
		if r.details {
			o.note(l, attempt, l.began)
		}
		l.status.index.Store(0)
		settle(w, o)
		if l.replace != nil {
			l.replace()
		}
	}()
	base := r.ctx
	if r.scopes != nil {
		base = l.enter(r.scopes)
	}
	for ; k < n; k++ {
		if k > 0 && l.yield.Load() || base.Err() != nil {
			break
		}
		l.status.index.Store(uint64(first+k) + 1)
		if r.details {
			l.began = time.Now()
		}
		ctx := base
		var err error
		switch {
		case r.timeout > 0:
			var alive bool
			if err, alive = l.runTimed(base, r, w, k, first, attempt, &o, start, settle); !alive {
				ended = true
				return false
			}
		case w.usesContext():
			ctx = &taskContext{Context: ctx, run: r, index: first + k, attempt: attempt, worker: l.worker}
			err = w.run(ctx, k)
		default:
			err = w.run(ctx, k)
		}
		if r.scopes != nil && r.scopes.current.Load() != l.under.Load() {
			err = heed(err) // it was interrupted
			base = l.enter(r.scopes)
		}
		if r.details {
			o.note(l, attempt, l.began)
		}
		if err != nil {
			o.failures = append(o.failures, failureOf(k, err))
			if len(o.failures) == r.stopAt {
				k++
				break
			}
		}
	}
	ended = true
	l.status.index.Store(0)
	o.ran, o.user = k, time.Since(start)
	settle(w, o)
	return true
}

// captured begins to capture what is printed, up to when the batch is settled.
func (l *lane) captured(settle func(work, outcome)) func(work, outcome) {
	if err := l.capture.Begin(); err != nil {
		slog.Warn("what tasks print cannot be captured here", "error", err)
		return settle
	}
	l.capturing = true
	return func(w work, o outcome) {
		l.capture.End()
		l.capturing = false
		settle(w, o)
	}
}

// runTimed runs task k under the job's timeout. When the function goes on
// beyond the grace period, the batch is settled without it and alive is false.
func (l *lane) runTimed(base context.Context, r *run, w work, k, first, attempt int, o *outcome, start time.Time, settle func(work, outcome)) (err error, alive bool) {
	ctx, cancel := context.WithTimeout(base, r.timeout)
	defer cancel()
	late := fmt.Errorf("it ran longer than its timeout of %v", r.timeout)
	const running, returned, overrun = 0, 1, 2
	var state atomic.Int32
	began := l.began
	guard := time.AfterFunc(r.timeout+timeoutGrace, func() {
		// Where nobody can take over, as on serial, there is only waiting.
		if l.replace == nil || !state.CompareAndSwap(running, overrun) {
			return
		}
		o.ran, o.user = k+1, time.Since(start)
		o.failures = append(o.failures, failure{offset: k, kind: TimedOut, err: late})
		if r.details {
			o.note(l, attempt, began)
		}
		l.status.index.Store(0)
		settle(w.detach(k), *o)
		l.replace()
	})
	defer func() { // deferred, as the function may end in Goexit
		guard.Stop()
		alive = state.CompareAndSwap(running, returned)
		l.overrun = !alive
	}()
	err = w.run(&taskContext{Context: ctx, run: r, index: first + k, attempt: attempt, worker: l.worker}, k)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && base.Err() == nil {
		err = &lateError{late}
	}
	return err, true
}

// lateError is the outcome of a task that returned after its deadline.
type lateError struct{ error }

func failureOf(offset int, err error) failure {
	switch e := err.(type) { //nolint:errorlint // our own wrappers, never wrapped
	case *panicError:
		cause := e.Unwrap()
		if cause == nil {
			cause = errors.New(e.Error())
		}
		return failure{offset: offset, kind: Panicked, err: cause, stack: e.stack}
	case *lateError:
		return failure{offset: offset, kind: TimedOut, err: e.error}
	case *interruptedError:
		return failure{offset: offset, kind: Interrupted, err: e.error}
	}
	return failure{offset: offset, kind: Failed, err: err}
}
