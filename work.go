package parade

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/parade-go/parade/internal/wire"
)

// work is the typed part of a batch: inputs and, once run, results. It is the
// one place where the dispatcher, which knows no types, meets the user's.
type work interface {
	len() int
	usesContext() bool
	run(ctx context.Context, k int) error // runs task k and keeps its result
	slice(lo, hi int) work                // the tasks [lo, hi), to be run afresh
	resultBytes(lo, hi int) int64
	// Values follow one another, or apart, each as a message of its own, so that a
	// process that does not know their types can take some of them.
	encodeInputs(b *wire.Buffer, apart bool) (n int, err error) // n < len: the input at n is at fault
	encodeResults(b *wire.Buffer, lo, hi int, apart bool) (n int, err error)
	decodeResults(r *wire.Reader, lo, hi int, apart bool) error
	sumInputs()              // before they run, for a journal
	inputSum(k int) inputSum // as it was then
	detach(k int) work       // with the results of [0, k), out of reach of task k, which still runs
	part(lo, hi int) work    // the tasks [lo, hi) with their results
}

// workFactory makes the work of one batch in a worker process.
type workFactory func(r *wire.Reader, n int, apart bool) (work, error)

func (f *Function[A, R]) factory() workFactory {
	return func(r *wire.Reader, n int, apart bool) (work, error) {
		in := make([]A, n)
		if err := decodeValues(f.in, r, in, apart); err != nil {
			return nil, err
		}
		return f.work(in), nil
	}
}

func (f *Function[A, R]) work(in []A) *tasks[A, R] {
	t := &tasks[A, R]{f: f, in: in}
	if len(in) == 1 {
		t.out = t.one[:]
	} else {
		t.out = make([]R, len(in))
	}
	return t
}

type tasks[A, R any] struct {
	f   *Function[A, R]
	in  []A
	out []R
	one [1]R // results of a batch of one, without a second allocation

	sums []inputSum // of in, which tasks may change; nil without a journal
}

func (t *tasks[A, R]) len() int          { return len(t.in) }
func (t *tasks[A, R]) usesContext() bool { return t.f.context }

func (t *tasks[A, R]) run(ctx context.Context, k int) (err error) {
	// A Goexit also runs this, without a panic to recover: then returned stays
	// false, and the lane that owns the goroutine takes over.
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: string(debug.Stack())}
		}
	}()
	t.out[k], err = t.f.call(ctx, t.in[k])
	returned = true
	return err
}

func (t *tasks[A, R]) slice(lo, hi int) work {
	part := t.f.work(t.in[lo:hi:hi])
	if t.sums != nil {
		part.sums = t.sums[lo:hi]
	}
	return part
}

func (t *tasks[A, R]) sumInputs() {
	if t.sums != nil {
		return // it is tried again
	}
	t.sums = make([]inputSum, len(t.in))
	s := scratches.Get().(*scratch)
	defer s.release()
	for k := range t.in {
		t.sums[k] = sumInput(t.f.in, &s.wire, t.in[k:k+1])
	}
}

func (t *tasks[A, R]) inputSum(k int) inputSum { return t.sums[k] }

func (t *tasks[A, R]) resultBytes(lo, hi int) int64 { return total(t.f.out, t.out[lo:hi]) }

func total[T any](c wire.Codec[T], vs []T) int64 {
	_, bytes := c.Prefix(vs, math.MaxInt64)
	return bytes
}

func (t *tasks[A, R]) encodeInputs(b *wire.Buffer, apart bool) (int, error) {
	return appendValues(t.f.in, b, t.in, apart)
}

func (t *tasks[A, R]) encodeResults(b *wire.Buffer, lo, hi int, apart bool) (int, error) {
	return appendValues(t.f.out, b, t.out[lo:hi], apart)
}

func (t *tasks[A, R]) decodeResults(r *wire.Reader, lo, hi int, apart bool) error {
	return decodeValues(t.f.out, r, t.out[lo:hi], apart)
}

// appendValues appends vs and returns how many it could encode.
func appendValues[T any](c wire.Codec[T], b *wire.Buffer, vs []T, apart bool) (int, error) {
	if !apart {
		return c.AppendUpTo(b, vs, math.MaxInt)
	}
	return appendApart(c, b, vs)
}

func decodeValues[T any](c wire.Codec[T], r *wire.Reader, vs []T, apart bool) error {
	if !apart {
		return c.Decode(r, vs)
	}
	return decodeApart(c, r, vs)
}

func (t *tasks[A, R]) part(lo, hi int) work {
	p := &tasks[A, R]{f: t.f, in: t.in[lo:hi:hi], out: t.out[lo:hi:hi]}
	if t.sums != nil {
		p.sums = t.sums[lo:hi]
	}
	return p
}

func (t *tasks[A, R]) detach(k int) work {
	d := t.f.work(t.in)
	copy(d.out, t.out[:k])
	d.sums = t.sums
	return d
}

// panicError is a panic on its way to becoming a TaskError.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprint(e.value) }

// Unwrap gives the panic's value when it was an error itself.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
