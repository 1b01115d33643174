package parade

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade/internal/wire"
)

// Interrupt fails the tasks of the relay that run now, with [ErrInterrupted], and does not
// run them again; all others go on. Their context ends at once; a task that runs on for the
// executor's grace takes its worker along.
func (r *Relay) Interrupt() {
	r.job.mu.Lock()
	interrupt := r.job.onInterrupt
	r.job.mu.Unlock()
	if interrupt != nil {
		interrupt()
	}
}

// interrupt has each worker interrupt the task of a job that it is running.
func (d *Dispatcher) interrupt(run *dispatch) {
	for _, r := range *d.workers.Load() {
		if !r.holds(run) {
			continue
		}
		r.post(func(b *wire.Buffer) {
			if r.known[run.id] {
				mark := b.BeginFrame(wire.Header{Kind: frameInterrupt, Job: run.id})
				b.Uint64(uint64(d.cfg.Grace))
				b.EndFrame(mark)
			}
		})
	}
}

// scope is the context of the tasks that begin between two interruptions of a job.
type scope struct {
	context.Context
	cancel context.CancelCauseFunc
}

// scopes are those of a job in a worker process, one after another.
type scopes struct {
	current atomic.Pointer[scope]
	mu      sync.Mutex
	ended   bool
}

func newScopes() *scopes {
	s := &scopes{}
	s.current.Store(newScope())
	return s
}

func newScope() *scope {
	s := &scope{}
	s.Context, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// end ends the tasks of a job that has ended.
func (s *scopes) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.current.Load().cancel(context.Canceled)
}

// interrupt ends the current scope, which it returns, and begins another; nil when the job
// has ended.
func (s *scopes) interrupt() *scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	old := s.current.Swap(newScope())
	old.cancel(ErrInterrupted)
	return old
}

// enter has the lane's next tasks run under the current scope of a job, whose context it
// returns.
func (l *lane) enter(s *scopes) context.Context {
	current := s.current.Load()
	l.under.Store(current)
	return current.Context
}

// interruptedError is the outcome of a task that was interrupted.
type interruptedError struct{ error }

var (
	errUnheeded = errors.New("it went on to its end, and its result is dropped")
	errDeaf     = errors.New("it did not heed the end of its context, and its worker was ended")
)

// heed is what becomes of the error of a task that was interrupted.
func heed(err error) error {
	if err == nil {
		err = errUnheeded
	}
	return &interruptedError{err}
}

// interrupt is the worker's part of it. A task that goes on beyond its grace is named to
// the dispatcher, which ends this process.
func (s *server) interrupt(job uint32, grace time.Duration) {
	s.inbox.Lock()
	run := s.runs[job]
	s.inbox.Unlock()
	if run == nil {
		return
	}
	old := run.scopes.interrupt()
	if old == nil {
		return
	}
	time.AfterFunc(grace, func() {
		at := s.end.Status.index.Load()
		if s.lane.under.Load() != old || at == 0 || at == decodingBatch {
			return
		}
		s.send(func(b *wire.Buffer) {
			mark := b.BeginFrame(wire.Header{Kind: frameDeaf, Job: job})
			b.Uint64(at - 1)
			b.EndFrame(mark)
		})
	})
}

// deafError ends a worker whose task goes on although it was interrupted.
type deafError struct {
	job   uint32
	index int
}

func (e *deafError) Error() string { return fmt.Sprintf("task %d: %v", e.index, errDeaf) }

// deafTo is the task of a batch for which its worker was ended, -1 if it was another's.
func deafTo(cause error, f flight) int {
	var deaf *deafError
	if errors.As(cause, &deaf) && deaf.job == f.run.id && deaf.index >= f.batch.first && deaf.index < f.batch.first+f.batch.work.len() {
		return deaf.index
	}
	return -1
}
