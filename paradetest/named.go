package paradetest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/parade-go/parade"
)

var namedTests = []test{
	{"values", needs{}, (*suite).namedValues},
	{"beside a bound argument", needs{}, (*suite).namedBound},
	{"small, once", needs{}, func(s *suite) { s.namedOnce(10) }},
	{"above 64 KiB, once", needs{}, func(s *suite) { s.namedOnce(20_000) }},
	{"two calls at once", needs{}, (*suite).namedTwo},
	{"missing or of another type", needs{}, (*suite).namedMissing},
	{"unsendable", needs{}, (*suite).namedUnsendable},
	{"a lost worker's successor has them", needs{loses: true}, (*suite).namedLost},
}

// shelf is what named tells of the values that it finds.
type shelf struct {
	Text    string
	Numbers []float64
	Absent  bool
	Nested  map[string][]int
}

var named = parade.FuncContext("paradetest.named", func(ctx context.Context, _ int) (s shelf, err error) {
	if s.Text, err = parade.Value[string](ctx, "text"); err != nil {
		return s, err
	}
	if s.Numbers, err = parade.Value[[]float64](ctx, "numbers"); err != nil {
		return s, err
	}
	absent, err := parade.Value[*step](ctx, "absent")
	if err != nil {
		return s, err
	}
	s.Absent = absent == nil
	s.Nested, err = parade.Value[map[string][]int](ctx, "nested")
	return s, err
})

// readNamed reads from the table that is under a name.
var readNamed = parade.FuncContext("paradetest.readNamed", func(ctx context.Context, s step) (reading, error) {
	if s.Act != "" {
		if task, _ := parade.TaskOf(ctx); task.Attempt <= s.Until {
			if err := act(ctx, s); err != nil {
				return reading{}, err
			}
		}
	}
	t, err := parade.Value[table](ctx, "table")
	if err != nil {
		return reading{}, err
	}
	r := reading{Number: t.Numbers[s.Value%len(t.Numbers)], PID: os.Getpid()}
	if n, ok := decoded.Load(t.ID); ok {
		r.Decoded = n.(*atomic.Int64).Load()
	}
	return r, nil
})

// decodings is how often the table of a bound ID has been decoded in this process.
var decodings = parade.Pure2("paradetest.decodings", func(id, _ int) int64 {
	if n, ok := decoded.Load(id); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
})

// readBoth adds a number of the bound table to one of the named table.
var readBoth = parade.Func2Context("paradetest.readBoth", func(ctx context.Context, bound table, i int) (float64, error) {
	t, err := parade.Value[table](ctx, "table")
	if err != nil {
		return 0, err
	}
	return bound.Numbers[i%len(bound.Numbers)] + t.Numbers[i%len(t.Numbers)], nil
})

// askFor asks for values that are not there.
var askFor = parade.FuncContext("paradetest.askFor", func(ctx context.Context, name string) (float32, error) {
	return parade.Value[float32](ctx, name)
})

func (s *suite) namedValues() {
	want := shelf{"a\x00b", make([]float64, 40_000), true, map[string][]int{"none": nil, "two": {1, 2}}}
	want.Numbers[7] = 7
	with := []parade.Option{
		parade.With("text", "hidden by the next"), parade.With("text", want.Text), parade.With("numbers", want.Numbers),
		parade.With("absent", (*step)(nil)), parade.With("nested", want.Nested),
	}
	check := func(got shelf, err error) {
		s.Helper()
		if err != nil || got.Text != want.Text || !slices.Equal(got.Numbers, want.Numbers) || !got.Absent ||
			len(got.Nested) != 2 || got.Nested["none"] != nil || !slices.Equal(got.Nested["two"], []int{1, 2}) {
			s.Fatalf("a task found %q, %d numbers, %v, %v: %v", got.Text, len(got.Numbers), got.Absent, got.Nested, err)
		}
	}
	all, err := parade.Map(s.ctx, s.ex, named, numbers(20), with...)
	for _, got := range all {
		check(got, err)
	}
	streamOptions := make([]parade.StreamOption, len(with))
	for i, o := range with {
		streamOptions[i] = o
	}
	for r := range parade.Stream(s.ctx, s.ex, named, slices.Values(numbers(20)), streamOptions...) {
		check(r.Value, r.Err)
	}
	check(parade.Go(s.ctx, s.ex, named, 0, with...).Wait(s.ctx))
}

func (s *suite) namedBound() {
	for _, n := range []int{3, 30_000} {
		bound, t := newTable(n), newTable(n+1)
		all, err := parade.Map(s.ctx, s.ex, parade.Bind(readBoth, bound), numbers(100), parade.With("table", t))
		if err != nil {
			s.Fatal(err)
		}
		for i, v := range all {
			if want := bound.Numbers[i%n] + t.Numbers[i%(n+1)]; v != want {
				s.Fatalf("task %d read %v, want %v", i, v, want)
			}
		}
	}
}

// namedOnce: a value is decoded once at each worker, and not when nobody asks for it.
func (s *suite) namedOnce(n int) {
	t := newTable(n)
	all, err := parade.Map(s.ctx, s.ex, readNamed, steps(300, nil), parade.With("table", t), parade.BatchSize(4))
	if err != nil {
		s.Fatal(err)
	}
	s.checkReadings(t, all)
	t = newTable(n)
	counts, err := parade.Map(s.ctx, s.ex, parade.Bind(decodings, t.ID), numbers(100), parade.With("table", t))
	if err != nil || slices.Max(counts) != 0 {
		s.Errorf("a value that nobody asks for was decoded: %v, %v", counts, err)
	}
}

// namedTwo: calls do not see each other's values.
func (s *suite) namedTwo() {
	var calls sync.WaitGroup
	for _, n := range []int{5, 30_000, 6, 31_000} {
		calls.Go(func() {
			t := newTable(n)
			all, err := parade.Map(s.ctx, s.ex, readNamed, steps(200, nil), parade.With("table", t))
			for i, r := range all {
				if err != nil || r.Number != t.Numbers[i%n] {
					s.Errorf("task %d read %v, want %v: %v", i, r.Number, t.Numbers[i%n], err)
					return
				}
			}
		})
	}
	calls.Wait()
}

func (s *suite) namedMissing() {
	_, err := parade.Map(s.ctx, s.ex, askFor, []string{"scale", "shift", "nothing"},
		parade.With("scale", float32(2)), parade.With("shift", 1.5), parade.CollectErrors())
	job := s.jobError(err, 2)
	for i, want := range []string{"is of type float64, not float32", `no value "nothing", it has scale, shift`} {
		if e := job.Failed[i]; !errors.Is(e, parade.ErrNoValue) || !strings.Contains(e.Error(), want) {
			s.Errorf("the error is %v, want ErrNoValue with %q", e, want)
		}
	}
	if _, err := parade.Value[float32](s.ctx, "scale"); !errors.Is(err, parade.ErrNoValue) {
		s.Errorf("outside a task: %v, want ErrNoValue", err)
	}
}

// namedUnsendable: what cannot travel is refused before anything runs, by its name.
func (s *suite) namedUnsendable() {
	dir := s.TempDir()
	in := steps(3, func(st *step) { st.Act, st.Dir, st.Gate = "meet", dir, 1 })
	_, err := parade.Map(s.ctx, s.ex, play, in, parade.With("channel", make(chan int)))
	if !errors.Is(err, parade.ErrEncode) || !strings.Contains(err.Error(), `"channel"`) {
		s.Errorf("the error is %v, want ErrEncode with the name", err)
	}
	if !s.features.Shared {
		_, err = parade.Map(s.ctx, s.ex, play, in, parade.With("ring", closed(1)))
		if !errors.Is(err, parade.ErrEncode) || !strings.Contains(err.Error(), `"ring"`) {
			s.Errorf("the error is %v, want ErrEncode with the name", err)
		}
	}
	if n := count(dir, "here-*"); n != 0 {
		s.Errorf("%d tasks ran all the same", n)
	}
}

func (s *suite) namedLost() {
	for _, n := range []int{5, 30_000} {
		t := newTable(n)
		in := steps(60, nil)
		in[30].Act, in[30].Until = "kill", 1
		all, err := parade.Map(s.ctx, s.own(), readNamed, in, parade.With("table", t))
		for i, r := range all {
			if err != nil || r.Number != t.Numbers[i%n] {
				s.Fatalf("task %d read %v, want %v: %v", i, r.Number, t.Numbers[i%n], err)
			}
		}
	}
}
