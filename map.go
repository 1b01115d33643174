package parade

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// Map runs f over every input and returns the results in the inputs' order.
//
// When tasks fail, the results that were computed are returned too, at their
// inputs' positions, with a [*JobError] that lists the failures and which
// inputs have no result. By default the first failure stops the call; see
// [CollectErrors], [StopAfter] and [Retries].
func Map[A, R any](ctx context.Context, ex Executor, f *Function[A, R], inputs []A, opts ...Option) ([]R, error) {
	d := newMapData(f, inputs)
	j, err := prepareMap(ctx, ex, d, opts)
	if err != nil {
		return d.out, err
	}
	j.runOn(ctx, ex)
	return d.out, j.result(d.failed, d.unfinished)
}

// prepareMap makes the job of a Map, or says what is wrong with the call.
func prepareMap[A, R any](ctx context.Context, ex Executor, d *mapData[A, R], opts []Option) (*Job, error) {
	set, err := settingsOf(opts)
	if err == nil {
		err = check(ctx, ex, d.f)
	}
	var l *ledger
	if err == nil {
		l, err = openLedger(d.f, set)
	}
	if err != nil {
		return nil, err
	}
	j := newMapJob(ctx, d, set)
	if j.ledger = l; l != nil {
		j.recall = func() error { return d.recall(j) }
	}
	return j, nil
}

// check refuses what cannot work before any of it is done.
func check[A, R any](ctx context.Context, ex Executor, f *Function[A, R]) error {
	switch {
	case ctx == nil:
		return errors.New("parade: the context is nil; pass context.Background()")
	case ex == nil:
		return errors.New("parade: the executor is nil; open one with parade.Open")
	case f == nil:
		return errors.New("parade: the function is nil; declare it with parade.Func")
	}
	return nil
}

func newJob[A, R any](ctx context.Context, f *Function[A, R], d data, set settings) *Job {
	j := &Job{set: set, data: d, declared: f.declared, unsent: f.unsent, bound: f.bound, keeps: f.keeps}
	j.run.name, j.run.seed, j.run.timeout, j.run.stopAt = f.name, set.seed, set.timeout, set.maxFailed
	j.run.values = valuesOf(set.values)
	j.run.details, j.run.capture = set.onTask != nil, set.capture
	j.wake.L = &j.mu
	j.finished = make(chan struct{})
	j.started = time.Now()
	// Only stop ends it, so that tasks do not fail of a cancelled context
	// before the job knows that it was cancelled.
	j.run.ctx, j.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	return j
}

func newMapJob[A, R any](ctx context.Context, d *mapData[A, R], set settings) *Job {
	j := newJob(ctx, d.f, d, set)
	j.known, j.complete = len(d.in), true
	return j
}

// runOn runs the job to its end.
func (j *Job) runOn(ctx context.Context, ex Executor) {
	defer j.report(ex)
	defer j.closeLedger()
	defer j.announce()()
	defer j.watch(ctx)()
	defer j.tell()
	defer j.stop(errLeft) // for what panics or exits its way through here
	if ctx.Err() != nil {
		j.stop(context.Cause(ctx))
		return
	}
	if j.recall != nil {
		if err := j.recall(); err != nil {
			j.stop(err)
			return
		}
	}
	j.mu.Lock()
	j.endIfDone() // there may be no inputs at all
	ended := j.ended
	j.mu.Unlock()
	if ended {
		return
	}
	if err := ex.Run(j.run.ctx, j); err != nil {
		j.stop(err)
	}
	<-j.finished
}

// result is the error of an ended job whose results have all been taken, nil when
// everything has one.
func (j *Job) result(failed []*TaskError, unfinished func(known int) []Range) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ledger != nil && j.err == nil && j.complete && j.tally.done == j.known {
		j.ledger.ended()
	}
	if j.err == nil && len(failed) == 0 {
		return nil
	}
	slices.SortFunc(failed, func(a, b *TaskError) int { return cmp.Compare(a.Index, b.Index) })
	e := &JobError{Func: j.run.name, Tasks: j.known, Done: j.tally.done, Failed: failed, Err: j.err}
	if unfinished != nil {
		e.Unfinished = unfinished(j.known)
	}
	return e
}

// mapData is the typed end of a Map: both slices are there from the start.
type mapData[A, R any] struct {
	f       *Function[A, R]
	in      []A
	out     []R
	settled []uint64 // a bit for each task that has a result
	failed  []*TaskError
}

func newMapData[A, R any](f *Function[A, R], in []A) *mapData[A, R] {
	return &mapData[A, R]{f: f, in: in, out: make([]R, len(in)), settled: make([]uint64, (len(in)+63)/64)}
}

// recall takes the results that the journal has, before anything runs.
func (d *mapData[A, R]) recall(j *Job) error {
	for i := range d.in {
		if j.over() {
			break
		}
		found, err := recall(j.ledger, d.f, i, d.in[i:i+1], d.out[i:i+1])
		if err != nil {
			return err
		}
		if found {
			j.mu.Lock()
			d.settled[i/64] |= 1 << (i % 64)
			j.pass(i)
			j.mu.Unlock()
		}
	}
	return nil
}

func (d *mapData[A, R]) cut(first, n int, maxBytes int64) (int, work, int64) {
	n, bytes := d.f.in.Prefix(d.in[first:first+n], maxBytes)
	return first, d.f.work(d.in[first : first+n : first+n]), bytes
}

func (d *mapData[A, R]) deliver(first int, w work, lo, hi int) {
	copy(d.out[first+lo:first+hi], w.(*tasks[A, R]).out[lo:hi])
	for i := first + lo; i < first+hi; i++ {
		d.settled[i/64] |= 1 << (i % 64)
	}
}

func (d *mapData[A, R]) fail(_ work, e *TaskError) { d.failed = append(d.failed, e) }
func (d *mapData[A, R]) full() bool                { return false }

func (d *mapData[A, R]) unfinished(known int) []Range {
	var ranges []Range
	for i := range known {
		if d.settled[i/64]&(1<<(i%64)) != 0 {
			continue
		}
		if n := len(ranges); n > 0 && ranges[n-1].First+ranges[n-1].Len == i {
			ranges[n-1].Len++
		} else {
			ranges = append(ranges, Range{First: i, Len: 1})
		}
	}
	return ranges
}
