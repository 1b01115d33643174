package paradetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade"
)

var streamTests = []test{
	{"order", needs{}, (*suite).streamOrder},
	{"unordered", needs{}, (*suite).streamUnordered},
	{"as completed", needs{}, (*suite).streamAsCompleted},
	{"empty", needs{}, (*suite).streamEmpty},
	{"many", needs{}, (*suite).streamMany},
	{"endless, left early", needs{}, (*suite).streamEndless},
	{"twice", needs{}, (*suite).streamTwice},
	{"items in flight", needs{}, (*suite).streamItems},
	{"bytes in flight", needs{}, (*suite).streamBytes},
	{"results in flight", needs{shared: true}, (*suite).streamResults},
	{"failure ends it", needs{}, (*suite).streamFailure},
	{"failures collected", needs{}, (*suite).streamCollect},
	{"sequence panics", needs{}, (*suite).streamSequencePanics},
	{"loop panics", needs{}, (*suite).streamLoopPanics},
	{"cancel", needs{}, (*suite).streamCancel},
}

// endless counts up for ever.
func endless(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

func (s *suite) streamOrder() {
	in := steps(300, func(st *step) { st.Sleep = time.Duration((st.Value*7)%5) * time.Millisecond })
	next := 0
	for r := range parade.Stream(s.ctx, s.ex, play, slices.Values(in)) {
		if r.Err != nil || r.Index != next || r.Value != result(next) {
			s.Fatalf("result %d is %+v", next, r)
		}
		next++
	}
	if next != 300 {
		s.Errorf("%d results for 300 inputs", next)
	}
}

func (s *suite) streamUnordered() {
	const n = 5000
	seen := make([]bool, n)
	for r := range parade.Stream(s.ctx, s.ex, triple, slices.Values(numbers(n)), parade.Unordered()) {
		if r.Err != nil || r.Index < 0 || r.Index >= n || r.Value != result(r.Index) {
			s.Fatalf("wrong result: %+v", r)
		}
		if seen[r.Index] {
			s.Fatalf("result %d came twice", r.Index)
		}
		seen[r.Index] = true
	}
	if i := slices.Index(seen, false); i >= 0 {
		s.Errorf("result %d is missing", i)
	}
}

// streamAsCompleted has the first task wait until results of later ones have
// been read.
func (s *suite) streamAsCompleted() {
	if s.workers() < 2 {
		return // the others could not overtake it
	}
	ex := s.own() // it takes a worker for good, and waits for another
	dir := s.TempDir()
	in := steps(50, nil)
	in[0].Act, in[0].Dir = "await", dir
	read := 0
	for r := range parade.Stream(s.ctx, ex, play, slices.Values(in), parade.Unordered()) {
		if r.Err != nil {
			s.Fatal(r.Err)
		}
		if read++; read == 5 {
			touch(dir, "go")
		}
	}
	if read != 50 {
		s.Errorf("%d results for 50 inputs", read)
	}
}

func (s *suite) streamEmpty() {
	for r := range parade.Stream(s.ctx, s.ex, triple, slices.Values([]int(nil))) {
		s.Errorf("result of no input: %+v", r)
	}
}

func (s *suite) streamMany() {
	n, next := s.features.Tasks, 0
	for r := range parade.Stream(s.ctx, s.ex, triple, slices.Values(numbers(n))) {
		if r.Err != nil || r.Index != next || r.Value != result(next) {
			s.Fatalf("result %d is %+v", next, r)
		}
		next++
	}
	if next != n {
		s.Errorf("%d results for %d inputs", next, n)
	}
}

func (s *suite) streamEndless() {
	for _, opts := range [][]parade.StreamOption{nil, {parade.Unordered()}} {
		var ended atomic.Bool
		inputs := func(yield func(int) bool) {
			defer ended.Store(true)
			endless(yield)
		}
		read := 0
		for r := range parade.Stream(s.ctx, s.ex, triple, inputs, opts...) {
			if r.Err != nil || r.Value != result(r.Index) {
				s.Fatalf("wrong result: %+v", r)
			}
			if read++; read == 1000 {
				break
			}
		}
		if !ended.Load() {
			s.Error("the sequence goes on after the loop has been left")
		}
	}
}

// streamTwice takes the same stream two times: it is a sequence like others.
func (s *suite) streamTwice() {
	stream := parade.Stream(s.ctx, s.ex, triple, slices.Values(numbers(10)))
	for range 2 {
		n := 0
		for r := range stream {
			if r.Err != nil || r.Value != result(n) {
				s.Fatalf("result %d is %+v", n, r)
			}
			n++
		}
		if n != 10 {
			s.Errorf("%d results for 10 inputs", n)
		}
	}
}

// gauge measures what a stream has read and the loop has not taken yet.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) add(n int64) {
	now := g.now.Add(n)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
}

// watched counts the items that are read from a sequence.
func watched[T any](g *gauge, seq iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range seq {
			g.add(1)
			if !yield(v) {
				return
			}
		}
	}
}

func (s *suite) streamItems() {
	for _, opts := range [][]parade.StreamOption{nil, {parade.Unordered()}} {
		const items = 50
		var g gauge
		read := 0
		opts = append(opts, parade.InFlight(items, 1<<20))
		for r := range parade.Stream(s.ctx, s.ex, triple, watched(&g, endless), opts...) {
			if r.Err != nil {
				s.Fatal(r.Err)
			}
			time.Sleep(200 * time.Microsecond) // a slow reader
			g.add(-1)
			if read++; read == 400 {
				break
			}
		}
		// One more is on its way into the stream, and a batch counts as held
		// until its last result has been taken.
		if most := g.most.Load(); most > items+1 {
			s.Errorf("%d items were in flight, %d are allowed", most, items)
		}
	}
}

func (s *suite) streamBytes() {
	const items, size, limit = 200, 16 << 10, 1 << 20
	inputs := func(yield func([]float64) bool) {
		for range items {
			if !yield(make([]float64, size/8)) {
				return
			}
		}
	}
	var g gauge
	read := 0
	for r := range parade.Stream(s.ctx, s.ex, scale, watched(&g, inputs), parade.InFlight(items, limit)) {
		if r.Err != nil {
			s.Fatal(r.Err)
		}
		time.Sleep(time.Millisecond)
		g.add(-1)
		read++
	}
	if read != items {
		s.Errorf("%d results for %d inputs", read, items)
	}
	if most := g.most.Load(); most > limit/size+1 {
		s.Errorf("%d items of %d bytes were in flight, %d bytes are allowed", most, size, limit)
	}
}

// streamResults makes large results of small inputs, for a slow reader.
func (s *suite) streamResults() {
	const items, size, limit = 300, 64 << 10, 1 << 20
	var g gauge
	made := parade.Closure(func(_ context.Context, n int) ([]byte, error) {
		g.add(1)
		return make([]byte, size), nil
	})
	read := 0
	for r := range parade.Stream(s.ctx, s.ex, made, slices.Values(numbers(items)), parade.InFlight(items, limit)) {
		if r.Err != nil {
			s.Fatal(r.Err)
		}
		time.Sleep(time.Millisecond)
		g.add(-1)
		read++
	}
	if read != items {
		s.Errorf("%d results for %d inputs", read, items)
	}
	// The size of results shows with the first ones only: what runs by then
	// may come on top.
	if most := g.most.Load(); most > 2*limit/size+int64(2*s.workers()) {
		s.Errorf("%d results of %d bytes were waiting, %d bytes are allowed", most, size, limit)
	}
}

func (s *suite) streamFailure() {
	in := func(yield func(step) bool) {
		for i := range endless {
			st := step{Value: i}
			if i == 30 {
				st.Act = "fail"
			}
			if !yield(st) {
				return
			}
		}
	}
	failed := 0
	for r := range parade.Stream(s.ctx, s.ex, play, in) {
		switch {
		case r.Err == nil && r.Value != result(r.Index):
			s.Fatalf("wrong result: %+v", r)
		case r.Err != nil:
			failed++
			var task *parade.TaskError
			if !errors.As(r.Err, &task) || r.Index != 30 {
				s.Fatalf("result %d has error %v, want a TaskError of input 30", r.Index, r.Err)
			}
			s.taskError(task, "paradetest.play", 30, 1, parade.Failed)
		}
	}
	if failed != 1 {
		s.Errorf("%d results have an error, want 1", failed)
	}
}

func (s *suite) streamCollect() {
	in := steps(500, func(st *step) {
		if st.Value%50 == 7 {
			st.Act = "sentinel"
		}
	})
	next := 0
	for r := range parade.Stream(s.ctx, s.ex, play, slices.Values(in), parade.CollectErrors()) {
		if r.Index != next {
			s.Fatalf("result %d is %+v", next, r)
		}
		var task *parade.TaskError
		switch {
		case next%50 != 7:
			if r.Err != nil || r.Value != result(next) {
				s.Fatalf("result %d is %+v", next, r)
			}
		case !errors.As(r.Err, &task) || task.Index != next || !errors.Is(r.Err, errRefused):
			s.Fatalf("result %d has error %v, want a TaskError with errRefused", next, r.Err)
		}
		next++
	}
	if next != 500 {
		s.Errorf("%d results for 500 inputs", next)
	}
}

func (s *suite) streamSequencePanics() {
	in := func(yield func(int) bool) {
		for i := range 10 {
			if !yield(i) {
				return
			}
		}
		panic("the file is torn")
	}
	var last parade.Result[int]
	for r := range parade.Stream(s.ctx, s.ex, triple, in) {
		last = r
	}
	if last.Index != -1 || last.Err == nil || !strings.Contains(last.Err.Error(), "the file is torn") {
		s.Errorf("the last result is %+v, want index -1 and the panic", last)
	}
}

// streamLoopPanics: a panic in the user's loop passes, and leaves nothing behind.
func (s *suite) streamLoopPanics() {
	defer func() {
		if v := recover(); v != "loop" {
			s.Errorf("recovered %v, want the loop's own panic", v)
		}
	}()
	for range parade.Stream(s.ctx, s.ex, triple, endless) {
		panic("loop")
	}
}

func (s *suite) streamCancel() {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	read := 0
	var last parade.Result[int]
	for r := range parade.Stream(ctx, s.ex, triple, endless) {
		if read++; read == 100 {
			cancel()
		}
		last = r
	}
	if last.Index != -1 || !errors.Is(last.Err, context.Canceled) {
		s.Errorf("the last result is %+v, want index -1 and context.Canceled", last)
	}
}
