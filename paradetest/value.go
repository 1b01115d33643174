package paradetest

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

var valueTests = []test{
	{"bit for bit", needs{}, (*suite).valueBits},
	{"large", needs{}, (*suite).valueLarge},
	{"small inputs, large results", needs{}, (*suite).valueResults},
}

var boundTests = []test{
	{"small", needs{}, func(s *suite) { s.boundOnce(10) }},
	{"above 64 KiB", needs{}, func(s *suite) { s.boundOnce(20_000) }},
	{"large", needs{}, (*suite).boundLarge},
	{"two at once", needs{}, (*suite).boundTwo},
	{"a lost worker's successor has it", needs{loses: true}, (*suite).boundLost},
}

var randTests = []test{
	{"as serial", needs{}, (*suite).randEqual},
	{"retries", needs{}, (*suite).randRetry},
	{"after a lost worker", needs{loses: true}, (*suite).randLost},
	{"seed", needs{}, (*suite).randSeed},
}

// specimen has a field of every sort that is easily damaged on the way.
type specimen struct {
	Int     int64
	Uint    uint64
	Small   int8
	Flag    bool
	Float   float64
	Single  float32
	Complex complex128
	Text    string
	Bytes   []byte
	Floats  []float64
	Singles []float32
	Shorts  []int16
	Matrix  [][]float64
	Grid    [2][3]float32
	Names   map[string]int
	Levels  map[int][]float64
	Nested  nested
	Pointer *nested
	Chain   **int
	At      time.Time
	Took    time.Duration
	Any     any
	List    []any
	Shape   shape
	Empty   struct{}
}

type nested struct {
	Name string
	Bin  []uint32
	Next *nested
}

type shape interface{ Area() float64 }

type disc struct{ Radius float64 }

func (d disc) Area() float64 { return math.Pi * d.Radius * d.Radius }

type box struct{ Sides []float64 }

func (b *box) Area() float64 { return b.Sides[0] * b.Sides[1] }

func init() {
	parade.Type[disc]("paradetest.disc")
	parade.Type[*box]("paradetest.box")
}

var echo = parade.Pure("paradetest.echo", func(s specimen) specimen { return s })

// work changes every number, so that results are not just copies.
var work = parade.Pure("paradetest.work", func(s specimen) specimen {
	s.Float = math.Sin(s.Float) * 1.1
	for i, x := range s.Floats {
		s.Floats[i] = x / 3
	}
	s.Complex = cmplx.Exp(s.Complex)
	return s
})

func specimens() []specimen {
	seven := 7
	pointer := &seven
	payload := math.Float64frombits(0x7ff8_dead_beef_0001)
	negative := math.Copysign(0, -1)
	zone := time.FixedZone("far", 5*3600+1800)
	return []specimen{
		{},
		{Int: math.MinInt64, Uint: math.MaxUint64, Small: -128, Flag: true, Float: payload, Single: float32(negative),
			Complex: complex(negative, math.Inf(-1))},
		{Text: "", Bytes: []byte{}, Floats: []float64{}, Names: map[string]int{}, List: []any{}, Levels: map[int][]float64{}},
		{Text: "µ\x00\xff not UTF-8 \xc3", Bytes: []byte{0, 255}, Floats: []float64{payload, negative, math.Inf(1), 5e-324},
			Singles: []float32{math.Float32frombits(0x7fc0_0123), -0.5}, Shorts: []int16{-32768, 32767}},
		{Matrix: [][]float64{{1, 2}, nil, {}, {payload}}, Grid: [2][3]float32{{1, 2, 3}, {4, 5, float32(math.NaN())}}},
		{Names: map[string]int{"": 0, "a": 1, "é": -1}, Levels: map[int][]float64{-1: nil, 0: {}, 1: {negative}}},
		{Nested: nested{"outer", []uint32{1}, &nested{Name: "inner"}}, Pointer: &nested{"p", nil, &nested{Bin: []uint32{}}}},
		{Chain: &pointer, Took: -time.Nanosecond, At: time.Date(1969, 7, 20, 20, 17, 40, 123456789, time.UTC)},
		{At: time.Date(2026, 11, 21, 3, 4, 5, 6, zone), Any: 3.5, List: []any{1, "two", nil, []float64{3}, map[string]any{"four": 4.0}}},
		{Any: disc{2}, Shape: disc{1.5}, List: []any{disc{payload}, &box{[]float64{1, 2}}, int8(3), uint16(4), float32(5)}},
		{Shape: &box{[]float64{2, negative}}, Any: []string{"x", ""}},
	}
}

func (s *suite) valueBits() {
	many := func() []specimen {
		var all []specimen
		for range 20 {
			all = append(all, specimens()...)
		}
		return all
	}
	for _, f := range []*parade.Function[specimen, specimen]{echo, work} {
		want, err := parade.Map(s.ctx, parade.Serial(), f, many())
		if err != nil {
			s.Fatal(err)
		}
		for _, opts := range [][]parade.Option{nil, {parade.BatchSize(1)}, {parade.BatchSize(64)}} {
			got, err := parade.Map(s.ctx, s.ex, f, many(), opts...)
			if err != nil {
				s.Fatal(err)
			}
			for i := range want {
				if g, w := bits(got[i]), bits(want[i]); g != w {
					s.Fatalf("%s: result %d differs from serial's\n got %s\nwant %s", f.Name(), i, g, w)
				}
			}
		}
	}
}

// bits writes a value so that two values that differ in a bit look different.
func bits(v any) string {
	var b strings.Builder
	writeBits(&b, reflect.ValueOf(v))
	return b.String()
}

func writeBits(b *strings.Builder, v reflect.Value) {
	if !v.IsValid() {
		b.WriteString("nil")
		return
	}
	if at, ok := v.Interface().(time.Time); ok {
		name, offset := at.Zone()
		fmt.Fprintf(b, "time %d.%09d %s%+d", at.Unix(), at.Nanosecond(), name, offset)
		return
	}
	switch v.Kind() {
	case reflect.Float32:
		fmt.Fprintf(b, "f%08x", math.Float32bits(v.Interface().(float32)))
	case reflect.Float64:
		fmt.Fprintf(b, "f%016x", math.Float64bits(v.Float()))
	case reflect.Complex128:
		fmt.Fprintf(b, "c%016x,%016x", math.Float64bits(real(v.Complex())), math.Float64bits(imag(v.Complex())))
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		fmt.Fprintf(b, "%s:", v.Elem().Type())
		writeBits(b, v.Elem())
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			b.WriteString("nil")
			return
		}
		b.WriteByte('[')
		for i := range v.Len() {
			writeBits(b, v.Index(i))
			b.WriteByte(' ')
		}
		b.WriteByte(']')
	case reflect.Map:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		var entries []string
		for key, value := range v.Seq2() {
			entries = append(entries, bits(key.Interface())+"="+bits(value.Interface()))
		}
		slices.Sort(entries)
		fmt.Fprintf(b, "%v", entries)
	case reflect.Struct:
		b.WriteByte('{')
		for i := range v.NumField() {
			fmt.Fprintf(b, "%s:", v.Type().Field(i).Name)
			writeBits(b, v.Field(i))
			b.WriteByte(' ')
		}
		b.WriteByte('}')
	default:
		fmt.Fprintf(b, "%v", v.Interface())
	}
}

func (s *suite) valueLarge() {
	const size = 8 << 20 / 8
	in := make([][]float64, 6)
	for k := range in {
		in[k] = make([]float64, size)
		for i := range in[k] {
			in[k][i] = float64(k*size + i)
		}
	}
	var report parade.Report
	out, err := parade.Map(s.ctx, s.ex, scale, in, parade.WithReport(&report))
	if err != nil {
		s.Fatal(err)
	}
	for k := range out {
		if len(out[k]) != size {
			s.Fatalf("result %d has %d numbers, want %d", k, len(out[k]), size)
		}
		for i, x := range out[k] {
			if x != 2*in[k][i] {
				s.Fatalf("number %d of result %d is %v, want %v", i, k, x, 2*in[k][i])
			}
		}
	}
	if payload := int64(len(in) * size * 8); !s.features.Shared && (report.BytesOut < payload || report.BytesIn < payload) {
		s.Errorf("%d bytes out and %d in by the report, the values alone are %d", report.BytesOut, report.BytesIn, payload)
	}
}

func (s *suite) valueResults() {
	in := []int{1 << 20, 0, 3 << 20, 1, 5 << 20, 100, 2 << 20}
	out, err := parade.Map(s.ctx, s.ex, block, in)
	if err != nil {
		s.Fatal(err)
	}
	for i, n := range in {
		if len(out[i]) != n {
			s.Errorf("result %d has %d bytes, want %d", i, len(out[i]), n)
		}
	}
}

func newTable(n int) table {
	t := table{ID: int(lastTable.Add(1)), Numbers: make([]float64, n)}
	for i := range t.Numbers {
		t.Numbers[i] = float64(t.ID) + float64(i)/1024
	}
	return t
}

// checkReadings wants the numbers of the table, decoded once in each process.
func (s *suite) checkReadings(t table, all []reading) {
	s.Helper()
	want := int64(1)
	if s.features.Shared {
		want = 0 // handed over as it is
	}
	for i, r := range all {
		if r.Number != t.Numbers[i%len(t.Numbers)] {
			s.Fatalf("task %d read %v, want %v", i, r.Number, t.Numbers[i%len(t.Numbers)])
		}
		if r.Decoded != want {
			s.Fatalf("process %d had decoded the bound argument %d times at task %d, want %d", r.PID, r.Decoded, i, want)
		}
	}
}

// boundOnce: a bound argument is decoded once per worker, not per task or batch.
func (s *suite) boundOnce(n int) {
	t := newTable(n)
	for _, size := range []int{1, 16} {
		all, err := parade.Map(s.ctx, s.ex, parade.Bind(readTable, t), numbers(500), parade.BatchSize(size))
		if err != nil {
			s.Fatal(err)
		}
		s.checkReadings(t, all)
		t = newTable(n)
	}
}

func (s *suite) boundLarge() {
	v := make([]float64, s.features.Large/8)
	for i := range v {
		v[i] = float64(i)
	}
	var report parade.Report
	all, err := parade.Map(s.ctx, s.ex, parade.Bind(readNumbers, v), numbers(200), parade.BatchSize(1), parade.WithReport(&report))
	if err != nil {
		s.Fatal(err)
	}
	for i, r := range all {
		if r.Number != float64(i) {
			s.Fatalf("task %d read %v", i, r.Number)
		}
	}
	least, most := int64(8*len(v)), int64(8*len(v)*(s.workers()+1)+1<<20)
	if s.features.Shared {
		least = 0
	}
	if report.BytesOut < least || report.BytesOut > most {
		s.Errorf("%d bytes were sent for a bound argument of %d and %d workers", report.BytesOut, 8*len(v), s.workers())
	}
}

// boundTwo: two calls with their own bound arguments do not mix them up.
func (s *suite) boundTwo() {
	var calls sync.WaitGroup
	for _, n := range []int{5, 30_000, 6, 31_000} {
		calls.Go(func() {
			t := newTable(n)
			all, err := parade.Map(s.ctx, s.ex, parade.Bind(readTable, t), numbers(300))
			if err != nil {
				s.Error(err)
				return
			}
			for i, r := range all {
				if r.Number != t.Numbers[i%n] {
					s.Errorf("task %d read %v, want %v", i, r.Number, t.Numbers[i%n])
					return
				}
			}
		})
	}
	calls.Wait()
}

// mortal reads from a bound argument, and ends its process the first time.
var mortal = parade.Func2Context("paradetest.mortal", func(ctx context.Context, t table, s step) (float64, error) {
	if task, _ := parade.TaskOf(ctx); s.Act != "" && task.Attempt <= s.Until {
		if err := act(ctx, s); err != nil {
			return 0, err
		}
	}
	return t.Numbers[s.Value%len(t.Numbers)], nil
})

func (s *suite) boundLost() {
	for _, n := range []int{5, 30_000} {
		ex := s.own()
		t := newTable(n)
		in := steps(100, nil)
		in[50].Act, in[50].Until = "kill", 1
		all, err := parade.Map(s.ctx, ex, parade.Bind(mortal, t), in)
		if err != nil {
			s.Fatal(err)
		}
		for i, v := range all {
			if v != t.Numbers[i%n] {
				s.Fatalf("task %d read %v, want %v", i, v, t.Numbers[i%n])
			}
		}
	}
}

// drawn is what serial draws.
func (s *suite) drawn(in []step, opts ...parade.Option) [][4]uint64 {
	s.Helper()
	plain := slices.Clone(in)
	for i := range plain {
		plain[i].Act = ""
	}
	out, err := parade.Map(s.ctx, parade.Serial(), draw, plain, opts...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func (s *suite) randEqual() {
	in := steps(300, nil)
	want := s.drawn(in, parade.Seed(42))
	for _, opts := range [][]parade.Option{nil, {parade.BatchSize(1)}, {parade.BatchSize(50)}, {parade.Workers(1)}} {
		got, err := parade.Map(s.ctx, s.ex, draw, in, append(opts, parade.Seed(42))...)
		if err != nil || !slices.Equal(got, want) {
			s.Errorf("numbers differ from serial's, error %v", err)
		}
	}
	next := 0
	for r := range parade.Stream(s.ctx, s.ex, draw, slices.Values(in), parade.Seed(42)) {
		if r.Err != nil || r.Value != want[r.Index] {
			s.Fatalf("number %d of the stream differs from serial's: %+v", next, r)
		}
		next++
	}
}

func (s *suite) randRetry() {
	in := steps(50, func(st *step) {
		if st.Value%5 == 0 {
			st.Act, st.Until = []string{"fail", "panic"}[st.Value%2], 1+st.Value%3
		}
	})
	got, err := parade.Map(s.ctx, s.ex, draw, in, parade.Seed(7), parade.Retries(3))
	if err != nil || !slices.Equal(got, s.drawn(in, parade.Seed(7))) {
		s.Errorf("numbers differ from serial's after retries, error %v", err)
	}
}

func (s *suite) randLost() {
	in := steps(50, nil)
	in[25].Act, in[25].Until = "kill", 1
	got, err := parade.Map(s.ctx, s.own(), draw, in, parade.Seed(7))
	if err != nil || !slices.Equal(got, s.drawn(in, parade.Seed(7))) {
		s.Errorf("numbers differ from serial's after a lost worker, error %v", err)
	}
}

func (s *suite) randSeed() {
	in := steps(100, nil)
	seen := map[uint64]bool{}
	for _, opts := range [][]parade.Option{nil, {parade.Seed(1)}, {parade.Seed(math.MaxUint64)}} {
		out, err := parade.Map(s.ctx, s.ex, draw, in, opts...)
		if err != nil {
			s.Fatal(err)
		}
		for i, v := range out {
			if seen[v[0]] {
				s.Fatalf("input %d draws a number that another input or seed had", i)
			}
			seen[v[0]] = true
		}
	}
}
