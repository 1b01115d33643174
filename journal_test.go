package parade_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parade-go/parade"
	"pgregory.net/rapid"
)

// ran counts the calls of the functions below.
var ran atomic.Int64

type measured struct {
	Name   string
	Values []float64
	Notes  map[string]*int
	Nested [][]byte
}

var (
	// measure gives results of many shapes and sizes, and draws from its stream.
	measure = parade.FuncContext("journal.measure", func(ctx context.Context, n int) (measured, error) {
		ran.Add(1)
		if n < 0 {
			return measured{}, fmt.Errorf("%d: %w", n, errNegative)
		}
		r := parade.Rand(ctx)
		m := measured{Name: fmt.Sprint(n), Values: make([]float64, n%50), Notes: map[string]*int{"n": &n, "none": nil}}
		for i := range m.Values {
			m.Values[i] = r.NormFloat64()
		}
		switch n % 4 {
		case 0:
			m.Values = nil
		case 1:
			m.Nested = [][]byte{nil, {}, {1}}
		case 2:
			m.Values = append(m.Values, math.Float64frombits(0x7ff8000000000000|uint64(n)), math.Copysign(0, -1))
		}
		return m, nil
	})
	// consume changes its input, as a function on threads may.
	consume = parade.Func("journal.consume", func(v []int) (int, error) {
		ran.Add(1)
		sum := 0
		for i := range v {
			sum += v[i]
			v[i] = -1
		}
		return sum, nil
	})
	scale = parade.Func2("journal.scale", func(factor []float64, x float64) (float64, error) {
		ran.Add(1)
		return factor[0] * x, nil
	})
	other = parade.Func("journal.other", func(n int) (measured, error) {
		ran.Add(1)
		return measured{Name: "other"}, nil
	})
	large = parade.Func("journal.large", func(n int) ([]float64, error) {
		ran.Add(1)
		v := make([]float64, 1<<20)
		for i := range v {
			v[i] = float64(n + i)
		}
		return v, nil
	})
	anything = parade.Func("journal.anything", func(n int) (any, error) {
		if n == 1 {
			return struct{ unknown int }{n}, nil
		}
		return n, nil
	})
)

// calls runs f and returns how often the functions above were called.
func calls(f func()) int {
	before := ran.Load()
	f()
	return int(ran.Load() - before)
}

func journalPath(t testing.TB) string { return filepath.Join(t.TempDir(), "test.journal") }

// forget makes the next calls be like those of a new process.
var forget = parade.ForgetEndedCalls

func upTo(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}

func executorsHere(t *testing.T) map[string]parade.Executor {
	t.Helper()
	all := map[string]parade.Executor{"serial": parade.Serial(), "threads": parade.Threads(3)}
	t.Cleanup(func() {
		for _, ex := range all {
			ex.Close()
		}
	})
	return all
}

// same compares bit by bit: NaN has to be the same NaN.
func same(t *testing.T, got, want any) {
	t.Helper()
	if g, w := bitwise(got), bitwise(want); g != w {
		t.Errorf("results differ:\n%.500s\n%.500s", g, w)
	}
}

func bitwise(v any) string {
	var b strings.Builder
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Float64:
			fmt.Fprintf(&b, "%x ", math.Float64bits(v.Float()))
		case reflect.Slice:
			fmt.Fprintf(&b, "%v[", v.IsNil())
			for i := range v.Len() {
				walk(v.Index(i))
			}
			b.WriteString("]")
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Map:
			for _, k := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
				fmt.Fprintf(&b, "%s:", k)
				walk(v.MapIndex(k))
			}
		case reflect.Pointer:
			if v.IsNil() {
				b.WriteString("nil")
			} else {
				walk(v.Elem())
			}
		default:
			fmt.Fprintf(&b, "%v ", v)
		}
	}
	walk(reflect.ValueOf(v))
	return b.String()
}

// The tests that count calls are not parallel to each other, as they share a counter.

func TestJournalMap(t *testing.T) {
	ctx := t.Context()
	want, err := parade.Map(ctx, parade.Serial(), measure, upTo(300), parade.Seed(5))
	if err != nil {
		t.Fatal(err)
	}
	for name, ex := range executorsHere(t) {
		t.Run(name, func(t *testing.T) {
			path := journalPath(t)
			for _, step := range []struct{ known, computed int }{{100, 100}, {100, 0}, {300, 200}, {300, 0}, {0, 0}, {50, 0}} {
				forget()
				var report parade.Report
				var last parade.Progress
				n := calls(func() {
					got, err := parade.Map(ctx, ex, measure, upTo(step.known), parade.Seed(5), parade.Journal(path),
						parade.WithReport(&report), parade.OnProgress(func(p parade.Progress) { last = p }))
					if err != nil {
						t.Fatal(err)
					}
					same(t, got, want[:step.known])
				})
				if n != step.computed {
					t.Errorf("%d inputs were computed, want %d", n, step.computed)
				}
				from := step.known - step.computed
				if report.Done != step.known || report.Journaled != from || report.Tasks != step.known {
					t.Errorf("the report has %d of %d done, %d from the journal; want %d and %d", report.Done, report.Tasks, report.Journaled, step.known, from)
				}
				if last.Done != step.known || last.Journaled != from || !last.Ended {
					t.Errorf("the last progress is %+v", last)
				}
			}
		})
	}
}

func TestJournalStream(t *testing.T) {
	ctx := t.Context()
	want, err := parade.Map(ctx, parade.Serial(), measure, upTo(400))
	if err != nil {
		t.Fatal(err)
	}
	endless := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}
	for name, ex := range executorsHere(t) {
		for _, order := range []string{"ordered", "unordered"} {
			t.Run(name+" "+order, func(t *testing.T) {
				opts := []parade.StreamOption{parade.Journal(journalPath(t)), parade.InFlight(8, 3000)}
				if order == "unordered" {
					opts = append(opts, parade.Unordered())
				}
				taken := 0
				for _, stop := range []int{1, 37, 37, 150, 400, 20} {
					forget()
					var got []int
					n := calls(func() {
						for r := range parade.Stream(ctx, ex, measure, endless, opts...) {
							if r.Err != nil {
								t.Fatal(r.Err)
							}
							if r.Index < len(want) {
								same(t, r.Value, want[r.Index])
							}
							if order == "ordered" && r.Index != len(got) {
								t.Fatalf("result %d came after %d", r.Index, len(got))
							}
							if got = append(got, r.Index); len(got) == stop {
								break
							}
						}
					})
					if slices.Sort(got); len(slices.Compact(got)) != stop {
						t.Errorf("some of %d results came twice", stop)
					}
					// What was taken was kept; the loop may have left a few that were not.
					if most := max(0, stop-taken) + 12; n > most {
						t.Errorf("%d inputs were computed for %d results, of which %d were known", n, stop, taken)
					}
					taken = max(taken, stop)
				}
			})
		}
	}
}

// Each result that the loop has seen is in the journal.
func TestJournalStreamKeepsBeforeItYields(t *testing.T) {
	for name, ex := range executorsHere(t) {
		t.Run(name, func(t *testing.T) {
			path := journalPath(t)
			seen := 0
			for r := range parade.Stream(t.Context(), ex, measure, slices.Values(upTo(200)), parade.Journal(path)) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(data), fmt.Sprintf(`"index":%d,`, r.Index)) {
					t.Fatalf("result %d is not in the journal yet", r.Index)
				}
				seen++
			}
			if seen != 200 {
				t.Errorf("%d results", seen)
			}
		})
	}
}

func TestJournalKey(t *testing.T) {
	ctx, ex, path := t.Context(), parade.Serial(), journalPath(t)
	keep := parade.Journal(path)
	mapOf := func(f *parade.Function[float64, float64], in []float64, opts ...parade.Option) func() {
		return func() {
			forget()
			got, err := parade.Map(ctx, ex, f, in, append(opts, keep)...)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := parade.Map(ctx, ex, f, in, opts...)
			if err != nil {
				t.Fatal(err)
			}
			ran.Add(-int64(len(in)))
			same(t, got, plain)
		}
	}
	double, triple := parade.Bind(scale, []float64{2}), parade.Bind(scale, []float64{3})
	for _, step := range []struct {
		name     string
		run      func()
		computed int
	}{
		{"first", mapOf(double, []float64{1, 2, 3}), 3},
		{"again", mapOf(double, []float64{1, 2, 3}), 0},
		{"an input changed", mapOf(double, []float64{1, 20, 3}), 1},
		{"changed back", mapOf(double, []float64{1, 2, 3}), 0},
		{"both are kept", mapOf(double, []float64{1, 20, 3}), 0},
		{"in another order", mapOf(double, []float64{3, 2, 1}), 2},
		{"another zero", mapOf(double, []float64{math.Copysign(0, -1)}), 1},
		{"than this one", mapOf(double, []float64{0}), 1},
		{"another bound argument", mapOf(triple, []float64{1, 2, 3}), 3},
		{"the first bound argument", mapOf(double, []float64{1, 2, 3}), 0},
		{"an equal bound argument", mapOf(parade.Bind(scale, []float64{3}), []float64{1, 2, 3}), 0},
		{"another seed", mapOf(double, []float64{1, 2, 3}, parade.Seed(1)), 3},
		{"the same seed", mapOf(double, []float64{1, 2, 3}, parade.Seed(1)), 0},
		{"what does not matter", mapOf(double, []float64{1, 2, 3}, parade.BatchSize(2), parade.Retries(3), parade.CollectErrors()), 0},
	} {
		if n := calls(step.run); n != step.computed {
			t.Errorf("%s: %d inputs were computed, want %d", step.name, n, step.computed)
		}
	}
	// Another function of the same type, another build.
	run := func(f *parade.Function[int, measured]) func() {
		return func() {
			forget()
			if _, err := parade.Map(ctx, ex, f, upTo(5), keep); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range []*parade.Function[int, measured]{measure, other} {
		if n := calls(run(f)); n != 5 {
			t.Errorf("%s: %d inputs were computed, want 5", f.Name(), n)
		}
		if n := calls(run(f)); n != 0 {
			t.Errorf("%s: %d inputs were computed again", f.Name(), n)
		}
	}
	restore := parade.SetExecutableSum("another build")
	n := calls(run(measure))
	restore()
	if n != 5 {
		t.Errorf("another build: %d inputs were computed, want 5", n)
	}
	if n := calls(run(measure)); n != 0 {
		t.Errorf("the first build again: %d inputs were computed, want 0", n)
	}
}

// Tasks on threads may change their inputs; results are kept under what they were.
func TestJournalOfChangedInputs(t *testing.T) {
	inputs := func() [][]int { return [][]int{{1, 2}, {3}, {}, nil, {4, 5, 6}} }
	for name, ex := range executorsHere(t) {
		path := journalPath(t)
		for _, want := range []int{5, 0} {
			forget()
			n := calls(func() {
				got, err := parade.Map(t.Context(), ex, consume, inputs(), parade.Journal(path))
				if want := []int{3, 3, 0, 0, 15}; err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %v, error %v; want %v", name, got, err, want)
				}
			})
			if n != want {
				t.Errorf("%s: %d inputs were computed, want %d", name, n, want)
			}
		}
	}
}

func TestJournalFailures(t *testing.T) {
	for name, ex := range executorsHere(t) {
		t.Run(name, func(t *testing.T) {
			path := journalPath(t)
			in := []int{1, -1, 2, -2, 3}
			run := func(in []int, computed, failed int) {
				t.Helper()
				forget()
				n := calls(func() {
					out, err := parade.Map(t.Context(), ex, measure, in, parade.Journal(path), parade.CollectErrors())
					var job *parade.JobError
					if failed == 0 && err != nil || failed > 0 && (!errors.As(err, &job) || len(job.Failed) != failed || job.Done != len(in)-failed || job.Err != nil) {
						t.Errorf("%v, want %d failures", err, failed)
					}
					for i, v := range in {
						if v >= 0 && out[i].Name != fmt.Sprint(v) {
							t.Errorf("result %d is %q", i, out[i].Name)
						}
					}
				})
				if n != computed {
					t.Errorf("%d inputs were computed, want %d", n, computed)
				}
			}
			run(in, 5, 2)
			run(in, 2, 2)
			run([]int{1, 10, 2, -2, 3}, 2, 1)
			run([]int{1, 10, 2, 20, 3}, 1, 0)
			run([]int{1, 10, 2, 20, 3}, 0, 0)
		})
	}
}

func TestJournalOfSeveralCalls(t *testing.T) {
	ctx, ex, path := t.Context(), parade.Serial(), journalPath(t)
	keep := parade.Journal(path)
	program := func() int {
		forget()
		return calls(func() {
			for range 3 { // each has its own results, though they are alike
				if _, err := parade.Map(ctx, ex, measure, upTo(10), keep); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := parade.Map(ctx, ex, other, upTo(10), keep); err != nil {
				t.Fatal(err)
			}
			for r := range parade.Stream(ctx, ex, measure, slices.Values(upTo(20)), keep) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
		})
	}
	if n := program(); n != 60 {
		t.Errorf("%d inputs were computed, want 60", n)
	}
	if n := program(); n != 0 {
		t.Errorf("%d inputs were computed again", n)
	}

	// A call that failed is continued by the next one like it.
	keep = parade.Journal(journalPath(t))
	for i, want := range []int{3, 1, 3} {
		in := []int{1, 2, -3}
		if i > 0 {
			in[2] = 3
		}
		n := calls(func() {
			if _, err := parade.Map(ctx, ex, measure, in, keep); (err != nil) != (i == 0) {
				t.Errorf("attempt %d: %v", i, err)
			}
		})
		if n != want {
			t.Errorf("attempt %d: %d inputs were computed, want %d", i, n, want)
		}
	}
}

func TestJournalInUse(t *testing.T) {
	t.Parallel()
	ctx, path := t.Context(), journalPath(t)
	for r := range parade.Stream(ctx, parade.Serial(), measure, slices.Values(upTo(3)), parade.Journal(path)) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		_, err := parade.Map(ctx, parade.Serial(), measure, upTo(3), parade.Journal(path))
		if !errors.Is(err, parade.ErrJournalHeld) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Fatalf("%v, want ErrJournalHeld with path and process", err)
		}
	}
	if _, err := parade.Map(ctx, parade.Serial(), measure, upTo(3), parade.Journal(path)); err != nil {
		t.Error(err) // the stream has given it back
	}
}

func TestJournalRefusals(t *testing.T) {
	t.Parallel()
	ctx, ex := t.Context(), parade.Serial()
	text := filepath.Join(t.TempDir(), "data.csv")
	if err := os.WriteFile(text, []byte("1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closure := parade.Closure(func(_ context.Context, x int) (int, error) { return x, nil })
	for _, tc := range []struct {
		name string
		run  func() error
		want []string
	}{
		{"a closure", func() error {
			_, err := parade.Map(ctx, ex, closure, upTo(3), parade.Journal(journalPath(t)))
			if !errors.Is(err, parade.ErrNotDeclared) {
				t.Errorf("%v is not ErrNotDeclared", err)
			}
			return err
		}, []string{"closure", `parade.Func("name", f)`}},
		{"a closure in a stream", func() error {
			for r := range parade.Stream(ctx, ex, closure, slices.Values(upTo(3)), parade.Journal(journalPath(t))) {
				return r.Err
			}
			return nil
		}, []string{"closure", `parade.Func("name", f)`}},
		{"no path", func() error {
			_, err := parade.Map(ctx, ex, measure, upTo(3), parade.Journal(""))
			return err
		}, []string{"path"}},
		{"no folder", func() error {
			_, err := parade.Map(ctx, ex, measure, upTo(3), parade.Journal(filepath.Join(t.TempDir(), "x", "j")))
			return err
		}, []string{"no such file"}},
		{"a file of another kind", func() error {
			_, err := parade.Map(ctx, ex, measure, upTo(3), parade.Journal(text))
			return err
		}, []string{"data.csv", "choose another file"}},
		{"a single call", func() error {
			_, err := parade.Go(ctx, ex, measure, 3, parade.Journal(journalPath(t))).Wait(ctx)
			return err
		}, []string{"Map and Stream"}},
	} {
		err := tc.run()
		if err == nil {
			t.Errorf("%s: no error", tc.name)
			continue
		}
		for _, part := range tc.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v has no %q", tc.name, err, part)
			}
		}
	}
}

func TestJournalOfWhatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	for name, ex := range executorsHere(t) {
		out, err := parade.Map(t.Context(), ex, anything, upTo(3), parade.Journal(journalPath(t)), parade.CollectErrors())
		var task *parade.TaskError
		if !errors.Is(err, parade.ErrEncode) || !errors.As(err, &task) || task.Index != 1 || task.Kind != parade.Unsendable {
			t.Errorf("%s: %v, want ErrEncode for input 1", name, err)
		}
		if out[0] != 0 || out[2] != 2 {
			t.Errorf("%s: results %v", name, out)
		}
	}
}

func TestJournalOfLargeResults(t *testing.T) {
	path := journalPath(t)
	want, err := parade.Map(t.Context(), parade.Serial(), large, upTo(4))
	if err != nil {
		t.Fatal(err)
	}
	for _, computed := range []int{4, 0} {
		forget()
		n := calls(func() {
			got, err := parade.Map(t.Context(), parade.Threads(2), large, upTo(4), parade.Journal(path))
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("result %d of 8 MiB differs", i)
				}
			}
		})
		if n != computed {
			t.Errorf("%d inputs were computed, want %d", n, computed)
		}
	}
}

func TestJournalCancelled(t *testing.T) {
	path := journalPath(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := parade.Map(ctx, parade.Serial(), measure, upTo(3), parade.Journal(path)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
	if _, err := parade.Map(t.Context(), parade.Serial(), measure, upTo(3), parade.Journal(path)); err != nil {
		t.Error(err)
	}
}

// Cut anywhere, a journal gives the results of a call without one.
func TestJournalCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.SliceOfN(rapid.IntRange(0, 60), 0, 40).Draw(rt, "inputs")
		seed := rapid.Uint64Range(0, 2).Draw(rt, "seed")
		want, err := parade.Map(t.Context(), parade.Serial(), measure, in, parade.Seed(seed))
		if err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, "j")
		defer os.Remove(path)
		threads := parade.Threads(2)
		defer threads.Close()
		for range 3 {
			forget()
			ex := rapid.SampledFrom([]parade.Executor{parade.Serial(), threads}).Draw(rt, "executor")
			var got []measured
			switch rapid.SampledFrom([]string{"map", "stream", "unordered"}).Draw(rt, "call") {
			case "map":
				if got, err = parade.Map(t.Context(), ex, measure, in, parade.Seed(seed), parade.Journal(path)); err != nil {
					rt.Fatal(err)
				}
			case "stream":
				for r := range parade.Stream(t.Context(), ex, measure, slices.Values(in), parade.Seed(seed), parade.Journal(path)) {
					if r.Err != nil || r.Index != len(got) {
						rt.Fatal(r.Index, r.Err)
					}
					got = append(got, r.Value)
				}
			case "unordered":
				got = make([]measured, len(in))
				for r := range parade.Stream(t.Context(), ex, measure, slices.Values(in), parade.Seed(seed), parade.Journal(path), parade.Unordered()) {
					if r.Err != nil {
						rt.Fatal(r.Err)
					}
					got[r.Index] = r.Value
				}
			}
			if bitwise(append([]measured{}, got...)) != bitwise(append([]measured{}, want...)) {
				rt.Fatalf("results %v, want %v", got, want)
			}
			info, err := os.Stat(path)
			if err != nil {
				rt.Fatal(err)
			}
			cut := rapid.Int64Range(0, info.Size()).Draw(rt, "cut")
			if err := os.Truncate(path, cut); err != nil {
				rt.Fatal(err)
			}
			// Some inputs change, so that there are gaps in what is known.
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, max(0, len(in)-1)), 0, min(len(in), 5)).Draw(rt, "changed") {
				in[i]++
			}
			if want, err = parade.Map(t.Context(), parade.Serial(), measure, in, parade.Seed(seed)); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// A stream that finds everything in its journal holds what InFlight allows, and the
// index: 8 bytes for each.
func TestJournalMemory(t *testing.T) {
	const n = 200_000
	path := journalPath(t)
	ex := parade.Threads(2)
	defer ex.Close()
	in := make([]float64, n)
	for i := range in {
		in[i] = float64(i)
	}
	f := parade.Bind(scale, []float64{2})
	if _, err := parade.Map(t.Context(), ex, f, in, parade.Journal(path)); err != nil {
		t.Fatal(err)
	}
	forget()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	i, most := 0, uint64(0)
	for r := range parade.Stream(t.Context(), ex, f, slices.Values(in), parade.Journal(path), parade.InFlight(1000, 1<<20)) {
		if r.Err != nil || r.Value != 2*in[r.Index] {
			t.Fatal(r)
		}
		if i++; i%(n/4) == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
		}
	}
	if i != n {
		t.Errorf("%d results, want %d", i, n)
	}
	if limit := uint64(8*n + 2<<20); most > limit {
		t.Errorf("a stream of %d results held %d bytes more, want at most %d", n, most, limit)
	}
}

// BenchmarkJournal compares calls of a cheap function with and without a journal, and
// with one that has all results.
func BenchmarkJournal(b *testing.B) {
	const n = 100_000
	in := make([]float64, n)
	for i := range in {
		in[i] = float64(i)
	}
	ex := parade.Threads(2)
	defer ex.Close()
	f := parade.Bind(scale, []float64{2})
	run := func(b *testing.B, opts ...parade.Option) {
		forget()
		if _, err := parade.Map(b.Context(), ex, f, in, opts...); err != nil {
			b.Fatal(err)
		}
	}
	perTask := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*b.N), "ns/task")
	}
	b.Run("without", func(b *testing.B) {
		for b.Loop() {
			run(b)
		}
		perTask(b)
	})
	path := journalPath(b)
	b.Run("first run", func(b *testing.B) {
		for b.Loop() {
			os.Remove(path)
			run(b, parade.Journal(path))
		}
		perTask(b)
	})
	b.Run("resumed", func(b *testing.B) {
		for b.Loop() {
			run(b, parade.Journal(path))
		}
		perTask(b)
	})
	b.Run("results of 8 MiB, first run", func(b *testing.B) {
		path := journalPath(b)
		b.SetBytes(8 << 20)
		for b.Loop() {
			forget()
			os.Remove(path)
			if _, err := parade.Map(b.Context(), ex, large, []int{1}, parade.Journal(path)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("results of 8 MiB, resumed", func(b *testing.B) {
		path := journalPath(b)
		b.SetBytes(8 << 20)
		for b.Loop() {
			forget()
			if _, err := parade.Map(b.Context(), ex, large, []int{1}, parade.Journal(path)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
