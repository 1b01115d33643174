package parade

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Result is what became of one input of a [Stream].
type Result[R any] struct {
	Index int // of the input; -1 for an error of the stream itself
	Value R
	Err   error // a *TaskError, or why the stream ended early
}

// defaultItems is how many inputs a stream holds unless InFlight says otherwise.
const defaultItems = 64 << 10

// Stream runs f over a sequence of inputs, which may be endless, and yields
// the results in input order, or as they are completed with [Unordered]. It
// reads inputs as they are needed and holds a bounded number of items and
// bytes, results that the loop has not taken yet included; see [InFlight].
//
//	for r := range parade.Stream(ctx, ex, f, seq) {
//		if r.Err != nil { ... }
//	}
//
// Leaving the loop stops the work. A failed task yields a Result with Err; by
// default the stream ends there, after the results that were ready. When ctx
// ends or the executor fails, the last Result has Index -1 and says why.
// A sequence that may block for long should watch ctx itself: a goroutine
// that waits in it cannot be stopped from outside.
func Stream[A, R any](ctx context.Context, ex Executor, f *Function[A, R], inputs iter.Seq[A], opts ...StreamOption) iter.Seq[Result[R]] {
	return func(yield func(Result[R]) bool) {
		if err := runStream(ctx, ex, f, inputs, opts, yield); err != nil {
			yield(Result[R]{Index: -1, Err: err})
		}
	}
}

// runStream returns the error that is still to be yielded.
func runStream[A, R any](ctx context.Context, ex Executor, f *Function[A, R], inputs iter.Seq[A], opts []StreamOption, yield func(Result[R]) bool) error {
	set, err := settingsOf(opts)
	if err == nil {
		err = check(ctx, ex, f)
	}
	if err == nil && inputs == nil {
		err = errors.New("parade: the input sequence is nil; pass for example slices.Values(inputs)")
	}
	var l *ledger
	if err == nil {
		l, err = openLedger(f, set)
	}
	if err != nil {
		return err
	}
	if set.items == 0 {
		set.items = defaultItems
	}
	s := &streamData[A, R]{f: f, unordered: set.unordered, items: set.items, bytes: set.bytes, ready: map[int]segment[R]{}, sizes: map[int]int64{}}
	j := newJob(ctx, f, s, set)
	s.job, j.ledger = j, l
	s.changed.L = &j.mu
	j.onEnd = s.changed.Broadcast

	if _, ok := ex.(*serial); ok {
		return s.onCaller(ctx, ex, inputs, yield)
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		s.feed(func() {
			for v := range inputs {
				if !s.push(v) {
					return
				}
			}
			s.close()
		})
	}()
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		j.runOn(ctx, ex)
	}()
	defer func() { // also when yield panics
		j.stop(errLeft)
		<-ran
		select {
		case <-fed:
		case <-time.After(strayGrace): // it hangs in the caller's sequence
		}
	}()
	for s.await() {
		if !s.emit(yield, false) {
			return nil
		}
	}
	if !s.emit(yield, true) {
		return nil
	}
	<-ran // a journal may fail when it is closed
	return j.result(nil, nil)
}

// onCaller runs a stream on the caller's goroutine: an input is read, run and
// its result yielded before the next is read.
func (s *streamData[A, R]) onCaller(ctx context.Context, ex Executor, inputs iter.Seq[A], yield func(Result[R]) bool) error {
	next, stop := iter.Pull(inputs)
	defer stop()
	left := false
	s.job.step = func() {
		for { // more than once when results come from a journal
			if left = !s.emit(yield, false); left {
				s.job.stop(errLeft)
			}
			if s.job.over() || s.job.ready() {
				return
			}
			s.feed(func() {
				if v, ok := next(); !ok {
					s.close()
				} else {
					s.push(v)
				}
			})
		}
	}
	s.job.runOn(ctx, ex)
	if left || !s.emit(yield, true) {
		return nil
	}
	return s.job.result(nil, nil)
}

var errLeft = fmt.Errorf("the call was left: %w", context.Canceled)

// segment is consecutive outcomes, ready to be yielded.
type segment[R any] struct {
	first  int
	values []R
	err    error // of the one task, which then has no value
	bytes  int64
}

func (s *segment[R]) len() int {
	if s.err != nil {
		return 1
	}
	return len(s.values)
}

// streamData is the typed end of a stream. Its fields are guarded by the job's
// lock.
type streamData[A, R any] struct {
	f         *Function[A, R]
	job       *Job
	unordered bool
	items     int
	bytes     int64

	changed   sync.Cond // for the loop that takes results and the one that feeds inputs
	pending   []A       // not handed out yet
	ready     map[int]segment[R]
	queue     []int         // unordered: keys of ready in order of completion
	nextOut   int           // ordered: the input whose result is due
	taken     int           // results taken by the loop
	sizes     map[int]int64 // of inputs not settled, unless all are the same
	held      int64         // bytes: inputs not settled and results not taken
	unread    int64         // the results among them
	resultAvg int64         // bytes of a result, about
}

func (s *streamData[A, R]) cut(next, n int, maxBytes int64) (int, work, int64) {
	if s.resultAvg > 0 { // no more than the results' room allows
		room := s.bytes - s.unread - int64(s.job.running)*s.resultAvg
		n = int(min(int64(n), max(1, room/s.resultAvg)))
	}
	n, bytes := s.f.in.Prefix(s.pending[:n], maxBytes)
	in := s.pending[:n:n]
	s.pending = s.pending[n:]
	return next, s.f.work(in), bytes
}

func (s *streamData[A, R]) deliver(first int, w work, lo, hi int) {
	t := w.(*tasks[A, R])
	bytes := w.resultBytes(lo, hi)
	s.held += bytes - s.settled(first+lo, first+hi)
	s.unread += bytes
	per := bytes / int64(hi-lo)
	if s.resultAvg == 0 {
		s.resultAvg = per
	}
	s.resultAvg = (s.resultAvg + per + 1) / 2
	s.put(segment[R]{first: first + lo, values: t.out[lo:hi], bytes: bytes})
}

func (s *streamData[A, R]) fail(_ work, e *TaskError) {
	s.held -= s.settled(e.Index, e.Index+1)
	s.put(segment[R]{first: e.Index, err: e})
}

func (s *streamData[A, R]) put(g segment[R]) {
	s.ready[g.first] = g
	if s.unordered {
		s.queue = append(s.queue, g.first)
	}
	s.changed.Broadcast()
}

// settled returns how many bytes inputs were when they came in. Their tasks may
// have changed them since.
func (s *streamData[A, R]) settled(from, to int) (bytes int64) {
	if size, ok := s.f.in.Fixed(); ok {
		return int64(size) * int64(to-from)
	}
	for i := from; i < to; i++ {
		bytes += s.sizes[i]
		delete(s.sizes, i)
	}
	return bytes
}

// full holds work back while results are waiting that must be taken first. It
// never holds back the input that the loop is waiting for: that one has been
// handed out before all later ones.
func (s *streamData[A, R]) full() bool {
	if s.job.running == 0 && !s.due() {
		return false
	}
	return s.unread+int64(s.job.running)*s.resultAvg >= s.bytes
}

// due says whether the loop has something to take.
func (s *streamData[A, R]) due() bool {
	if s.unordered {
		return len(s.queue) > 0
	}
	_, ok := s.ready[s.nextOut]
	return ok
}

// await waits for something to take; false when the job has ended.
func (s *streamData[A, R]) await() bool {
	s.job.mu.Lock()
	defer s.job.mu.Unlock()
	for !s.due() && !s.job.ended {
		s.changed.Wait()
	}
	return !s.job.ended
}

// emit yields what is due; at the end of the job also what lies beyond a gap
// that will not be filled. It returns false when the loop was left.
func (s *streamData[A, R]) emit(yield func(Result[R]) bool, last bool) bool {
	for {
		batch := s.collect(last)
		if len(batch) == 0 {
			return true
		}
		for _, g := range batch {
			if g.err != nil && !yield(Result[R]{Index: g.first, Err: g.err}) {
				return false
			}
			for i, v := range g.values {
				if !yield(Result[R]{Index: g.first + i, Value: v}) {
					return false
				}
			}
			s.release(g)
		}
	}
}

func (s *streamData[A, R]) collect(last bool) (batch []segment[R]) {
	s.job.mu.Lock()
	defer s.job.mu.Unlock()
	switch {
	case s.unordered:
		for _, key := range s.queue {
			batch = append(batch, s.ready[key])
			delete(s.ready, key)
		}
		s.queue = s.queue[:0]
	case last:
		for _, key := range slices.Sorted(maps.Keys(s.ready)) {
			batch = append(batch, s.ready[key])
		}
		clear(s.ready)
	default:
		for g, ok := s.ready[s.nextOut]; ok; g, ok = s.ready[s.nextOut] {
			batch = append(batch, g)
			delete(s.ready, s.nextOut)
			s.nextOut += g.len()
		}
	}
	return batch
}

// release gives back the room that a taken segment held.
func (s *streamData[A, R]) release(g segment[R]) {
	s.job.mu.Lock()
	defer s.job.mu.Unlock()
	s.taken += g.len()
	s.held -= g.bytes
	s.unread -= g.bytes
	s.changed.Broadcast()
	s.job.notify()
}

// feed runs source, which pushes inputs, and turns a panic in it into the
// stream's error.
func (s *streamData[A, R]) feed(source func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			s.job.stop(fmt.Errorf("the input sequence panicked: %v\n%s", v, debug.Stack()))
		} else {
			s.job.stop(errors.New("the input sequence called runtime.Goexit, for example by a test's FailNow"))
		}
	}()
	source()
	returned = true
}

// push adds an input when there is room, or its result if a journal has it; false
// when no more are wanted.
func (s *streamData[A, R]) push(v A) bool {
	j := s.job
	var recalled []R
	bytes := int64(s.f.in.Size(&v))
	if j.ledger != nil {
		out := make([]R, 1)
		found, err := recall(j.ledger, s.f, j.known, []A{v}, out) // known grows here alone
		if err != nil {
			j.stop(err)
			return false
		}
		if found {
			recalled, bytes = out, total(s.f.out, out)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.ended && j.known > s.taken && (j.known-s.taken >= s.items || s.held+bytes > s.bytes) {
		s.changed.Wait()
	}
	if j.ended {
		return false
	}
	if recalled != nil {
		s.held += bytes
		s.unread += bytes
		s.put(segment[R]{first: j.known, values: recalled, bytes: bytes})
		j.known++
		j.pass(j.known - 1)
		return true
	}
	idle := !j.hasWork()
	s.pending = append(s.pending, v)
	s.held += bytes
	if _, fixed := s.f.in.Fixed(); !fixed {
		s.sizes[j.known] = bytes
	}
	j.known++
	if idle {
		j.notify()
	}
	return true
}

func (s *streamData[A, R]) close() {
	s.job.mu.Lock()
	defer s.job.mu.Unlock()
	s.job.complete = true
	s.job.endIfDone()
	s.changed.Broadcast()
}
