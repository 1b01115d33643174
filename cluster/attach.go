package cluster

import (
	"context"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// Attach waits for a job to end and returns its results, in the order of its inputs, as
// parade.Map does. It can be called any number of times, by any number of programs. With
// parade.StopAfter it returns when so many tasks have failed; the job goes on. Of a job that
// is cancelled it returns the results that there are, and an error that is [ErrCancelled].
// What fails while it waits stays failed for it, though another program calls [Retry].
func Attach[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R], opts ...parade.Option) ([]R, error) {
	r, err := c.storedJob(ctx, name, f.Name())
	if err != nil {
		return nil, err
	}
	opts = append([]parade.Option{parade.CollectErrors()}, opts...)
	return parade.Map(ctx, &attacher{client: c, record: r}, f, make([]A, r.Job.Tasks), opts...)
}

// storedJob returns the record of a job that has been stored wholly and runs a function.
func (c *Client) storedJob(ctx context.Context, name, function string) (queue.Record, error) {
	r, err := c.job(ctx, name)
	switch {
	case err != nil:
		return r, err
	case r.Job.Func != function:
		return r, fmt.Errorf("job %s runs %q, not %q", name, r.Job.Func, function)
	case !r.Job.Complete:
		return r, fmt.Errorf("job %s: %w; remove it and submit it again", name, ErrSubmitting)
	}
	return r, nil
}

// attacher is an executor that takes the results of a job that runs elsewhere.
type attacher struct {
	client *Client
	record queue.Record
}

func (a *attacher) Info() parade.Info { return a.client.LoadBalanced().Info() }
func (a *attacher) Close() error      { return nil }

// Run implements [parade.Executor].
func (a *attacher) Run(ctx context.Context, job *parade.Job) error {
	p, err := job.Post(func() {})
	if err != nil {
		return err
	}
	if err := p.Adopt(); err != nil {
		return err
	}
	over := func() bool {
		select {
		case <-p.Done():
			return true
		default:
			return false
		}
	}
	s := newStanding(a.record.Job)
	from := answers{js: a.client.js, record: a.record}
	err = from.follow(ctx, func(x *answer) (bool, error) {
		if x.refused == nil {
			if err := s.see(x); err != nil {
				return false, err
			}
		}
		err := p.SettleExcept(x.Data, func(i int) bool { return s.void(x, i) })
		return !over(), err
	})
	if over() {
		return nil
	}
	return err
}

// Outcome is what became of one task of a job.
type Outcome[A, R any] struct {
	parade.Result[R]    // its Index is that of the input, or -1 for an error that is no task's
	Input            *A // of a task that failed
}

// Follow yields what becomes of the tasks of a job, each once, as their answers come, from
// the first on, and ends when it has all. An Outcome with the Index -1 may come before
// that, with [ErrCancelled] after the results that there are, [ErrNoJob], or the end of ctx.
func Follow[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R]) iter.Seq[Outcome[A, R]] {
	return outcomes(ctx, c, name, f, true)
}

// Results is [Follow] without waiting: it ends with the results that there are now.
func Results[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R]) iter.Seq[Outcome[A, R]] {
	return outcomes(ctx, c, name, f, false)
}

func outcomes[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R], wait bool) iter.Seq[Outcome[A, R]] {
	return func(yield func(Outcome[A, R]) bool) {
		r, err := c.storedJob(ctx, name, f.Name())
		if err == nil {
			err = settled(ctx, c.js, r, wait, func(one parade.Settled, input func() (parade.Parcel, bool)) bool {
				o := Outcome[A, R]{Result: parade.Result[R]{Index: one.Index}}
				if one.Err != nil {
					o.Err = one.Err
					if p, ok := input(); ok {
						if in, err := parade.DecodeInputs(f, p); err == nil {
							o.Input = &in[0]
						}
					}
				} else if o.Value, err = parade.DecodeResult(f, one.Result); err != nil {
					o.Err = &parade.TaskError{Func: f.Name(), Index: one.Index, Kind: parade.Unsendable, Err: err}
				}
				return yield(o)
			})
		}
		if err != nil {
			yield(Outcome[A, R]{Result: parade.Result[R]{Index: -1, Err: err}})
		}
	}
}

// settled calls tell with what became of each task, once, until it returns false. input
// finds the input of a task that failed.
func settled(ctx context.Context, js jetstream.JetStream, r queue.Record, wait bool, tell func(one parade.Settled, input func() (parade.Parcel, bool)) bool) error {
	told, left := make([]bool, r.Job.Tasks), r.Job.Tasks
	if left == 0 {
		return nil
	}
	s := newStanding(r.Job)
	from := answers{js: js, record: r}
	take := func(a *answer) (bool, error) {
		if a.refused != nil {
			return false, a.refused
		}
		if err := s.see(a); err != nil {
			return false, err
		}
		all, err := parade.ReadAnswer(r.Job.Func, a.Data)
		if err != nil {
			return false, err
		}
		for _, one := range all {
			if one.Index < 0 || one.Index >= len(told) {
				return false, fmt.Errorf("an answer for task %d of %d", one.Index, len(told))
			}
			if told[one.Index] || one.Err != nil && s.void(a, one.Index) {
				continue
			}
			told[one.Index] = true
			left--
			if !tell(one, func() (parade.Parcel, bool) { return a.input(one.Index) }) {
				return false, nil
			}
		}
		return left > 0, nil
	}
	if wait {
		return from.follow(ctx, take)
	}
	return from.read(ctx, false, take)
}

// input returns the input of a task that failed.
func (a *answer) input(index int) (parade.Parcel, bool) {
	for _, data := range a.Inputs {
		if p, err := parade.ParseParcel(data); err == nil && p.First <= index && index < p.First+p.Len() {
			return p.Slice(index-p.First, index-p.First+1), true
		}
	}
	return parade.Parcel{}, false
}

// Task is what became of one task of a job of any program.
type Task struct {
	Index     int
	Err       *parade.TaskError // nil if it has a result
	Size      int               // of the encoded result, in bytes
	Value     string            // the result as text
	JSON      []byte            // and as JSON; NaN, infinite and complex numbers are texts there
	Printable bool              // there are both: the result is a bool, a number, a text, or a slice of these
}

// Tasks yields what there is now of a job's tasks, in the order of their answers, whatever
// its program and its types are. An error ends it.
func Tasks(ctx context.Context, conn Connection, name string) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		more := true
		err := withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error {
			return settled(ctx, js, r, false, func(one parade.Settled, _ func() (parade.Parcel, bool)) bool {
				t := Task{Index: one.Index, Err: one.Err, Size: len(one.Result)}
				if one.Err == nil {
					t.Value, t.JSON, t.Printable = printed(r.Job.Result, one.Result)
				}
				more = yield(t, nil)
				return more
			})
		})
		if err != nil && more {
			yield(Task{Index: -1}, err)
		}
	}
}
