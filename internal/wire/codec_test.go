package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// encode returns the bytes of vs.
func encode[T any](t rapid.TB, vs ...T) []byte {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	var b Buffer
	if err := c.Append(&b, vs); err != nil {
		t.Fatalf("Append(%T): %v", vs, err)
	}
	return b.AppendTo(alignedBytes(b.Len())[:0])
}

// decode reads n values and fails unless that takes all of data.
func decode[T any](t rapid.TB, data []byte, n int, alias bool) []T {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]T, n)
	r := NewReader(data, alias)
	if err := c.Decode(r, out); err != nil {
		t.Fatalf("Decode(%T): %v", out, err)
	}
	if r.Len() != 0 {
		t.Fatalf("Decode(%T): %d bytes left", out, r.Len())
	}
	return out
}

func roundTrip[T any](t rapid.TB, v T) T {
	t.Helper()
	return decode[T](t, encode(t, v), 1, false)[0]
}

type (
	celsius float64
	person  struct {
		Name     string
		Age      uint8
		Children []person
		Best     *person
		Notes    map[string]string
	}
	inner struct {
		A int
		B string
	}
	outer struct {
		inner
		*Exported
		C complex64
	}
	Exported struct{ D []bool }
	padded   struct {
		A int8
		_ [3]byte
		B int32
		_ struct{}
		_ [0]func()
		C int64
	}
	plain3 struct{ X, Y, Z float32 }
	list   struct {
		Value int
		Next  *list
	}
	nest   []nest
	nested map[string]nested
	shape  interface{ Area() float64 }
	square struct{ Side float64 }
	circle struct{ Radius float64 }
)

func (s square) Area() float64  { return s.Side * s.Side }
func (c *circle) Area() float64 { return math.Pi * c.Radius * c.Radius }

func init() {
	RegisterType("wire.square", reflect.TypeFor[square]())
	RegisterType("wire.circle", reflect.TypeFor[*circle]())
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	cet, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Log("no time zones on this host")
		cet = time.UTC
	}
	nan := math.Float64frombits(0x7ff8_dead_beef_0001)
	_, _, _ = nan, cet, err
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"bool", same(true, false)},
		{"int", same(0, -1, math.MaxInt, math.MinInt)},
		{"int8", same[int8](-128, 127)},
		{"int16", same[int16](-32768, 32767)},
		{"int32", same[int32](math.MinInt32)},
		{"int64", same[int64](math.MinInt64)},
		{"uint", same[uint](math.MaxUint)},
		{"uint8", same[uint8](255)},
		{"uint16", same[uint16](65535)},
		{"uint32", same[uint32](math.MaxUint32)},
		{"uint64", same[uint64](math.MaxUint64)},
		{"float32", same[float32](math.MaxFloat32, float32(math.Inf(-1)))},
		{"float64", same(math.SmallestNonzeroFloat64, math.Inf(1), math.Copysign(0, -1))},
		{"complex64", same[complex64](complex(1, -2))},
		{"complex128", same(complex(math.Inf(1), -2))},
		{"named float", same[celsius](36.6)},
		{"duration", same(3 * time.Second)},
		{"string", same("", "a", "\xff\x00", strings.Repeat("x", 300), strings.Repeat("y", 100_000))},
		{"empty array", same([0]string{})},
		{"array of strings", same([2]string{"a", "b"})},
		{"array of floats", same([5]float64{1, 2, 3})},
		{"bytes", same(nil, []byte{}, []byte{1}, make([]byte, 5000), make([]byte, 100_000))},
		{"floats", same(nil, []float64{}, []float64{1}, make([]float64, 5000), make([]float64, 1000))},
		{"bools", same(nil, []bool{}, []bool{true, false})},
		{"plain structs", same([]plain3{{1, 2, 3}, {4, 5, 6}}, make([]plain3, 7000))},
		{"padded structs", same([]padded{{A: 1, B: 2, C: 3}, {}})},
		{"strings", same([]string{"a", ""}, nil, []string{})},
		{"slices of slices", same([][]float64{nil, {}, {1, 2}, make([]float64, 200), make([]float64, 9000)})},
		{"empty structs", same([]struct{}{{}, {}}, nil, []struct{}{})},
		{"map", same(nil, map[string]int{}, map[string]int{"a": 1, "b": 2})},
		{"map with struct key", same(map[plain3][]int{{1, 2, 3}: {4}})},
		{"map with long keys", same(map[string]int{strings.Repeat("x", 70_000): 1, strings.Repeat("y", 70_000): 2})},
		{"map with any key", same(map[any]any{1: "a", "b": 2.5, square{3}: nil})},
		{"map of nothing", same(map[struct{}]struct{}{{}: {}})},
		{"pointer", same(nil, new(int))},
		{"pointer to pointer", same(new(*int))},
		{"struct", same(person{Name: "Ann", Age: 40, Children: []person{{Name: "Bo"}}, Best: &person{Name: "Cy"}, Notes: map[string]string{"x": "y"}})},
		{"embedded", same(outer{inner{1, "b"}, &Exported{[]bool{true}}, 3}, outer{})},
		{"recursive slice", same(nest{nil, {}, {nil, {{}}}})},
		{"recursive map", same(nested{"a": nil, "b": {"c": {}}})},
		{"list", same(&list{1, &list{2, nil}})},
		{"any", same[any](nil, 1, "a", 2.5, []any{1, nil, "x"}, map[string]any{"k": []float64{1}}, struct{}{})},
		{"interface", same[shape](square{2}, &circle{1}, (*circle)(nil), nil)},
		{"time", same(time.Time{}, time.Unix(1, 2).UTC(), time.Unix(1<<40, 999_999_999), time.Date(-5, 1, 1, 1, 1, 1, 1, time.UTC), time.Unix(math.MinInt64, 0).UTC())},
		{"time in a zone", same(time.Date(2026, 7, 1, 0, 0, 0, 0, cet), time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("X", -1234)))},
		{"big", same(big.NewInt(-5), new(big.Int).Lsh(big.NewInt(1), 1000), nil)},
		{"big value", same(*big.NewInt(77))},
		{"addr", same(netip.MustParseAddr("fe80::1%eth0"), netip.Addr{})},
		{"url", same(url.URL{Scheme: "https", Host: "example.org", Path: "/a"})},
	} {
		t.Run(test.name, test.run)
	}
}

// same returns a test that vs stay what they are, alone, in a batch, as views, and
// with the portable encoding of other hosts.
func same[T any](vs ...T) func(*testing.T) {
	return func(t *testing.T) {
		for _, v := range vs {
			if got := roundTrip(t, v); !reflect.DeepEqual(v, got) {
				t.Errorf("%#v became %#v", v, got)
			}
		}
		data := encode(t, vs...)
		if again := encode(t, vs...); !bytes.Equal(data, again) {
			t.Error("the same values gave two encodings")
		}
		for _, alias := range []bool{false, true} {
			got := decode[T](t, data, len(vs), alias)
			if !reflect.DeepEqual(vs, got) {
				t.Errorf("alias %t: %#v became %#v", alias, vs, got)
			}
			if again := encode(t, got...); !bytes.Equal(data, again) {
				t.Error("the second encoding differs")
			}
		}
		for cut := range min(len(data), 2000) {
			decodeAny[T](data[:cut])
		}
		got, err := portable(vs)
		if err != nil {
			t.Errorf("portable encoding: %v", err)
		} else if !reflect.DeepEqual(vs, got) {
			t.Errorf("portable encoding: %#v became %#v", vs, got)
		}
		checkSize(t, vs)
	}
}

// decodeAny must fail, or not, but nothing worse.
func decodeAny[T any](data []byte) {
	c, _ := For[T]()
	_ = c.Decode(NewReader(data, false), make([]T, 3))
}

// portable encodes and decodes as on a big-endian host with 32-bit ints.
func portable[T any](vs []T) ([]T, error) {
	c := compiler{root: reflect.TypeFor[T](), plans: map[reflect.Type]*plan{}}
	p, err := c.compile(c.root, "")
	if err != nil {
		return nil, err
	}
	codec := Codec[T]{p}
	var b Buffer
	if err := codec.Append(&b, vs); err != nil {
		return nil, err
	}
	out := make([]T, len(vs))
	r := NewReader(b.AppendTo(nil), true)
	if err := codec.Decode(r, out); err != nil {
		return nil, err
	}
	if r.Len() != 0 {
		return nil, fmt.Errorf("%d bytes left", r.Len())
	}
	return out, nil
}

// checkSize compares Size with the truth.
func checkSize[T any](t rapid.TB, vs []T) {
	t.Helper()
	c, _ := For[T]()
	for i := range vs {
		size, is := c.Size(&vs[i]), len(encode(t, vs[i]))
		if c.plan.fixed && size != is || size < is/2-64 || size > 4*is+200 {
			t.Errorf("Size(%T) = %d, encoded: %d", vs[i], size, is)
		}
	}
}

func TestFloatBits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOf(rapid.Uint64()).Draw(t, "bits")
		in := make([]float64, len(bits))
		for i, x := range bits {
			in[i] = math.Float64frombits(x)
		}
		type pair struct {
			F float64
			S []float64
		}
		for i, x := range roundTrip(t, pair{math.Float64frombits(0x7ff0_0000_0000_0001), in}).S {
			if math.Float64bits(x) != bits[i] {
				t.Fatalf("%x became %x", bits[i], math.Float64bits(x))
			}
		}
	})
}

// everything has every kind that rapid can make.
type everything struct {
	B   bool
	I   int
	I8  int8
	U16 uint16
	I32 int32
	U64 uint64
	F32 float32
	F64 float64
	S   string
	Bs  []byte
	Is  []int
	Fs  [][]float64
	Ss  []string
	Bo  []bool
	Arr [3]struct {
		A int8
		B string
	}
	Plain []struct{ A, B int16 }
	Loose []struct {
		A int8
		B int64
	}
	M   map[string]int
	MM  map[int16]map[bool]string
	MF  map[[2]float32]*string
	P   *int
	PP  **string
	Rec *struct {
		Next []*int
	}
}

func TestEverything(t *testing.T) {
	t.Parallel()
	gen := rapid.Make[everything]()
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(gen, 1, 4).Draw(t, "values")
		data := encode(t, vs...)
		got := decode[everything](t, data, len(vs), rapid.Bool().Draw(t, "alias"))
		if d := cmp.Diff(vs, got); d != "" {
			t.Fatal(d)
		}
		if !bytes.Equal(data, encode(t, got...)) {
			t.Fatal("the second encoding differs")
		}
		// Values that were there before leave no trace.
		c, _ := For[everything]()
		used := rapid.SliceOfN(gen, len(vs), len(vs)).Draw(t, "used")
		if err := c.Decode(NewReader(data, false), used); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(vs, used); d != "" {
			t.Fatal(d)
		}
		if got, err := portable(vs); err != nil || !cmp.Equal(vs, got) {
			t.Fatalf("portable: %v %s", err, cmp.Diff(vs, got))
		}
		checkSize(t, vs)
		// A message that was cut is an error.
		cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
		if err := c.Decode(NewReader(data[:cut], false), used); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", cut, len(data), err)
		}
	})
}

func TestMapOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "map")
		other := make(map[string]int, 1000)
		for k, v := range m {
			other[k] = v
		}
		if !bytes.Equal(encode(t, m), encode(t, other)) {
			t.Fatal("equal maps, two encodings")
		}
	})
}

func TestMapNaN(t *testing.T) {
	t.Parallel()
	in := map[float64]int{1: 1, math.NaN(): 3}
	for i := range 20 {
		in[math.NaN()] = i
	}
	first := encode(t, in)
	for range 5 {
		if !bytes.Equal(first, encode(t, in)) {
			t.Fatal("one map, two encodings")
		}
	}
	out := roundTrip(t, in)
	if len(out) != len(in) || out[1] != 1 {
		t.Fatalf("%v became %v", in, out)
	}
}

// lossy forgets part of a key.
type lossy struct{ N int }

func (l lossy) MarshalBinary() ([]byte, error)     { return nil, nil }
func (l *lossy) UnmarshalBinary(data []byte) error { return nil }

func TestMapKeysThatBecomeOne(t *testing.T) {
	t.Parallel()
	c, err := For[map[lossy]int]()
	if err != nil {
		t.Fatal(err)
	}
	var b Buffer
	err = c.Append(&b, []map[lossy]int{{{1}: 1, {2}: 2}})
	if err == nil || !strings.Contains(err.Error(), "two keys") {
		t.Errorf("got error %v", err)
	}
	if b.Len() != 0 {
		t.Error("the buffer was changed")
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	in := [][]float64{make([]float64, 127), make([]float64, 128), make([]float64, 5000)}
	data := encode(t, in...)
	out := decode[[]float64](t, data, 3, true)
	isView := func(p []float64) bool {
		for i := 0; i+8 <= len(data); i++ {
			if uintptr(reflect.ValueOf(p).Pointer()) == uintptr(reflect.ValueOf(data).Pointer())+uintptr(i) {
				return true
			}
		}
		return false
	}
	for i, want := range []bool{false, true, true} {
		if isView(out[i]) != want {
			t.Errorf("slice %d: view %t", i, !want)
		}
		if cap(out[i]) != len(out[i]) {
			t.Errorf("slice %d: cap %d, len %d", i, cap(out[i]), len(out[i]))
		}
	}
	if p := reflect.ValueOf(out[2]).Pointer(); p%64 != 0 {
		t.Errorf("large slice at %x", p)
	}
	for _, s := range decode[[]float64](t, data, 3, false) {
		if isView(s) {
			t.Error("a view although nobody handed the data over")
		}
	}
	// Data that start anywhere are copied when they have to be.
	for shift := range 8 {
		moved := append(make([]byte, shift, shift+len(data)), data...)[shift:]
		if got := decode[[]float64](t, moved, 3, true); !reflect.DeepEqual(in, got) {
			t.Fatalf("shifted by %d: values changed", shift)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	in := []float64{1}
	in = append(in, make([]float64, 10_000)...)
	c, _ := For[[]float64]()
	var b Buffer
	if err := c.Append(&b, [][]float64{in, {5}, in}); err != nil {
		t.Fatal(err)
	}
	if len(b.buf) > 300 {
		t.Errorf("%d bytes were copied", len(b.buf))
	}
	in[0] = 2 // seen at both places
	out := decode[[]float64](t, b.AppendTo(nil), 3, false)
	if out[0][0] != 2 || out[2][0] != 2 || out[1][0] != 5 {
		t.Error("wrong values")
	}
	b.Reset()
	for _, r := range b.refs[:cap(b.refs)] {
		if r.data != nil {
			t.Error("Reset kept a reference")
		}
	}
}

func TestAppendUpTo(t *testing.T) {
	t.Parallel()
	ints, _ := For[int]()
	var b Buffer
	for _, test := range []struct{ limit, n int }{{0, 1}, {-5, 1}, {1, 1}, {8, 1}, {9, 2}, {800, 100}, {math.MaxInt, 100}, {math.MinInt, 1}} {
		b.Reset()
		if n, err := ints.AppendUpTo(&b, make([]int, 100), test.limit); n != test.n || err != nil || b.Len() != 8*n {
			t.Errorf("ints up to %d: %d values, %d bytes, %v", test.limit, n, b.Len(), err)
		}
	}
	words, _ := For[string]()
	b.Reset()
	if n, err := words.AppendUpTo(&b, []string{"aaa", "bbb", "ccc"}, 5); n != 2 || err != nil || b.Len() != 8 {
		t.Errorf("strings: %d values, %d bytes, %v", n, b.Len(), err)
	}
	if n, err := words.AppendUpTo(&b, nil, 5); n != 0 || err != nil {
		t.Errorf("no strings: %d values, %v", n, err)
	}
	empties, _ := For[struct{}]()
	if n, err := empties.AppendUpTo(&b, make([]struct{}, 9), 5); n != 9 || err != nil {
		t.Errorf("empty structs: %d values, %v", n, err)
	}
	mixed, _ := For[any]()
	b.Reset()
	n, err := mixed.AppendUpTo(&b, []any{1, 2, struct{ X int }{3}, 4}, 1000)
	if n != 2 || err == nil {
		t.Errorf("%d values, %v", n, err)
	}
	if got := decode[any](t, b.AppendTo(nil), 2, false); !reflect.DeepEqual(got, []any{1, 2}) {
		t.Errorf("got %v", got)
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	ints, _ := For[int]()
	words, _ := For[string]()
	channels, _ := For[chan int]()
	for _, test := range []struct{ limit, ints, words, channels int64 }{
		{-1, 1, 1, 1}, {0, 1, 1, 1}, {8, 1, 2, 1}, {15, 1, 3, 1}, {16, 2, 4, 2}, {1000, 4, 4, 4},
	} {
		if n, bytes := ints.Prefix(make([]int, 4), test.limit); int64(n) != test.ints || bytes != 8*test.ints {
			t.Errorf("ints up to %d: %d values, %d bytes", test.limit, n, bytes)
		}
		if n, bytes := words.Prefix([]string{"aaa", "bbb", "ccc", "ddd"}, test.limit); int64(n) != test.words || bytes != 4*test.words {
			t.Errorf("strings up to %d: %d values, %d bytes", test.limit, n, bytes)
		}
		if strconv.IntSize == 64 {
			if n, _ := channels.Prefix(make([]chan int, 4), test.limit); int64(n) != test.channels {
				t.Errorf("channels up to %d: %d values", test.limit, n)
			}
		}
	}
	if n, bytes := ints.Prefix(nil, 10); n != 0 || bytes != 0 {
		t.Errorf("nothing: %d values, %d bytes", n, bytes)
	}
}

func TestBool(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{{2}, {255}} {
		c, _ := For[bool]()
		if c.Decode(NewReader(data, false), make([]bool, 1)) == nil {
			t.Errorf("%v is a bool", data)
		}
	}
	c, _ := For[[]bool]()
	if c.Decode(NewReader([]byte{3, 1, 2}, false), make([][]bool, 1)) == nil {
		t.Error("2 is a bool in a slice")
	}
}

type deep struct {
	Next *deep
	Any  any
	Err  error
	Map  map[string]deep
	List []deep
}

func TestDepth(t *testing.T) {
	t.Parallel()
	c, err := For[*list]()
	if err != nil {
		t.Fatal(err)
	}
	chain := func(n int) *list {
		var l *list
		for i := range n {
			l = &list{i, l}
		}
		return l
	}
	if in := chain(maxDepth); !reflect.DeepEqual(in, roundTrip(t, in)) {
		t.Error("a long list changed")
	}
	var b Buffer
	b.Uint8(7)
	cycle := &list{Value: 1}
	cycle.Next = cycle
	for _, l := range []*list{chain(maxDepth + 1), cycle} {
		err := c.Append(&b, []*list{l})
		if !errors.Is(err, errTooDeep) {
			t.Errorf("got error %v", err)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
		if b.Len() != 1 || b.depth != 0 {
			t.Errorf("left: length %d, depth %d", b.Len(), b.depth)
		}
		c.Size(&l)
	}

	deeps, err := For[deep]()
	if err != nil {
		t.Fatal(err)
	}
	v := deep{List: make([]deep, 1)}
	v.List[0] = v
	v.List[0].List = v.List
	if err := deeps.Append(&b, []deep{v}); !errors.Is(err, errTooDeep) {
		t.Errorf("cycle by slice: %v", err)
	}
	v = deep{Map: map[string]deep{}}
	v.Map["a"] = v
	if err := deeps.Append(&b, []deep{v}); !errors.Is(err, errTooDeep) {
		t.Errorf("cycle by map: %v", err)
	}
	loop := make([]any, 1)
	loop[0] = loop
	if err := deeps.Append(&b, []deep{{Any: loop}}); !errors.Is(err, errTooDeep) {
		t.Errorf("cycle by interface: %v", err)
	}
	if b.Len() != 1 || b.depth != 0 {
		t.Errorf("left: length %d, depth %d", b.Len(), b.depth)
	}
	// On the way back.
	hostile := bytes.Repeat(append(make([]byte, 8), 1), maxDepth+2)
	if err := c.Decode(NewReader(append([]byte{1}, hostile...), false), make([]*list, 1)); !errors.Is(err, errTooDeep) {
		t.Errorf("hostile list: %v", err)
	}
}

// TestClaims checks that lengths that each could be true, but not all together, do
// not add up to more memory than the message.
func TestClaims(t *testing.T) {
	c, err := For[nest]()
	if err != nil {
		t.Fatal(err)
	}
	var b Buffer
	const size = 100_000
	for b.Len() < size-8 {
		b.Uvarint(uint64(size - b.Len() - 3))
	}
	allocated := allocatedBy(func() {
		if c.Decode(NewReader(b.AppendTo(nil), false), make([]nest, 1)) == nil {
			t.Error("no error")
		}
	})
	if allocated > 100*size {
		t.Errorf("%d bytes were allocated for a message of %d", allocated, size)
	}

	type big struct {
		Next *big
		Data [1 << 16]*int
	}
	bigs, err := For[*big]()
	if err != nil {
		t.Fatal(err)
	}
	ones := bytes.Repeat([]byte{1}, 1<<17)
	allocated = allocatedBy(func() {
		if bigs.Decode(NewReader(ones, false), make([]*big, 1)) == nil {
			t.Error("no error")
		}
	})
	if allocated > 64*uint64(len(ones)) {
		t.Errorf("%d bytes were allocated for a message of %d", allocated, len(ones))
	}

	empties, _ := For[[]struct{}]()
	b.Reset()
	b.Uvarint(1 << 40)
	if empties.Decode(NewReader(b.AppendTo(nil), false), make([][]struct{}, 1)) == nil {
		t.Error("no limit for empty structs")
	}
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

type (
	withMutex struct {
		Grid struct{ Mu sync.Mutex }
	}
	withChan struct{ Done []chan int }
	secret   struct{ n int }
	withKeys struct{ M map[*int]string }
)

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		path string
		says string
	}{
		{refusal[withMutex](), "withMutex.Grid.Mu", "type wire.withMutex: field withMutex.Grid.Mu (sync.Mutex) has unexported field mu: "},
		{refusal[withChan](), "withChan.Done[]", "type wire.withChan: field withChan.Done[] (chan int) is a chan"},
		{refusal[secret](), "", "type wire.secret has unexported field n: it would be lost; export it or give the type MarshalBinary and UnmarshalBinary"},
		{refusal[*secret](), "", "unexported field n"},
		{refusal[[]map[string]secret](), "value[][]", "field value[][] (wire.secret) has unexported"},
		{refusal[withKeys](), "withKeys.M", "keys with a pointer"},
		{refusal[map[error]int](), "", "keys with an error"},
		{refusal[func()](), "", "is a func"},
		{refusal[uintptr](), "", "is a uintptr"},
		{refusal[struct{ F func() }](), "value.F", "func"},
		{refusal[*time.Location](), "", "unexported"},
		{refusal[struct{ celsius }](), "", "unexported field celsius"},
	} {
		var e *TypeError
		if !errors.As(test.err, &e) {
			t.Errorf("want %s: got %v", test.says, test.err)
			continue
		}
		if e.Path != test.path || !strings.Contains(e.Error(), test.says) {
			t.Errorf("got %q, path %q, want %q, path %q", e, e.Path, test.says, test.path)
		}
	}
}

// What cannot travel still has a size, for executors that share memory.
func TestSizeOfRefused(t *testing.T) {
	t.Parallel()
	type work struct {
		In   []float64
		Done chan bool
		secret
		name string
	}
	c, err := For[work]()
	if err == nil {
		t.Fatal("a channel travels")
	}
	v := work{make([]float64, 1000), nil, secret{n: 1}, "name"}
	if got := c.Size(&v); got < 8000 || got > 8200 {
		t.Errorf("size %d", got)
	}
}

func refusal[T any]() error {
	_, err := For[T]()
	return err
}

// A rescued type and its parts: text saves the whole, not the part.
type (
	label struct{ text string }
	part  struct {
		L      *label
		hidden int
	}
	circleA struct{ B *circleB }
	circleB struct {
		A *circleA
		C chan int
	}
)

func (l label) MarshalText() ([]byte, error)       { return []byte(l.text), nil }
func (l *label) UnmarshalText(text []byte) error   { l.text = string(text); return nil }
func (b circleB) MarshalText() ([]byte, error)     { return []byte("b"), nil }
func (b *circleB) UnmarshalText(text []byte) error { return nil }

func TestText(t *testing.T) {
	t.Parallel()
	if got := roundTrip(t, label{"x"}); got.text != "x" {
		t.Errorf("got %v", got)
	}
	if refusal[part]() == nil || (part{}) != (part{hidden: 0}) {
		t.Error("part travels")
	}
	if got := roundTrip(t, regexp.MustCompile("a+")); got.String() != "a+" {
		t.Errorf("got %v", got)
	}
	if got := roundTrip(t, circleA{&circleB{A: &circleA{}}}); got.B == nil {
		t.Errorf("got %v", got)
	}
	// slog.Level and its like are numbers, whatever text they have.
	if got := encode(t, level(3)); len(got) != 8 {
		t.Errorf("%d bytes", len(got))
	}
}

type level int

func (l level) MarshalText() ([]byte, error)     { return nil, errors.New("not called") }
func (l *level) UnmarshalText(text []byte) error { return errors.New("not called") }

func TestBigFloat(t *testing.T) {
	t.Parallel()
	in := new(big.Float).SetPrec(300).SetMode(big.ToZero)
	in.Quo(big.NewFloat(1).SetPrec(300), big.NewFloat(3))
	out := roundTrip(t, in)
	if in.Cmp(out) != 0 || out.Prec() != 300 || out.Mode() != big.ToZero || out.Acc() != in.Acc() {
		t.Errorf("%v (%d, %v) became %v (%d, %v)", in, in.Prec(), in.Mode(), out, out.Prec(), out.Mode())
	}
}

// Marshalers by embedding: promoted methods would lose the other fields.
type (
	stamped struct {
		time.Time
		N int
	}
	pointed struct {
		*big.Int
		N int
	}
	own struct {
		time.Time
		N int
	}
	ownByPointer struct {
		quick
		N int
	}
	quick struct{ V byte }
	hasty struct { // the methods are inlined into the promoting ones
		quick
		N int
	}
	generic[T any] struct {
		time.Time
		V T
	}
	half struct {
		quick
		N int
	}
	hidden struct {
		netip.Addr
		n int
	}
)

func (o own) MarshalBinary() ([]byte, error)              { return []byte("own"), nil }
func (o *own) UnmarshalBinary(data []byte) error          { o.N = len(data); return nil }
func (o *ownByPointer) MarshalBinary() ([]byte, error)    { return []byte("mine"), nil }
func (o *ownByPointer) UnmarshalBinary(data []byte) error { o.N = len(data); return nil }
func (q quick) MarshalBinary() ([]byte, error)            { return []byte{q.V}, nil }
func (q *quick) UnmarshalBinary(data []byte) error        { q.V = data[0]; return nil }
func (h half) MarshalBinary() ([]byte, error)             { return nil, errors.New("half a pair") }
func (g generic[T]) MarshalBinary() ([]byte, error)       { return nil, errors.New("not called") }
func (g *generic[T]) UnmarshalBinary(data []byte) error   { return errors.New("not called") }

func TestPromotedMarshalers(t *testing.T) {
	t.Parallel()
	now := time.Unix(1234, 5678).UTC()
	type local struct {
		quick
		N int
	}
	same(stamped{now, 7})(t)
	same(&stamped{now, 7})(t)
	same(pointed{big.NewInt(5), 7}, pointed{nil, 8})(t)
	same(hasty{quick{3}, 7})(t)
	same(half{quick{3}, 7})(t)
	same(local{quick{3}, 7})(t)
	same(struct {
		time.Time
		N int
	}{now, 7})(t)
	same(generic[int]{now, 7})(t)
	if got := roundTrip(t, own{now, 7}); got.N != 3 {
		t.Errorf("own methods were not called: %v", got)
	}
	if got := roundTrip(t, ownByPointer{quick{1}, 7}); got.N != 4 {
		t.Errorf("own methods were not called: %v", got)
	}
	if err := refusal[hidden](); err == nil || (hidden{n: 1}).n == 0 {
		t.Error("the promoted methods would lose n")
	}
}

// bomb goes off in one of its methods.
type bomb struct{ When string }

func (x bomb) MarshalBinary() ([]byte, error) {
	switch x.When {
	case "panic":
		panic("boom")
	case "error":
		return nil, io.ErrClosedPipe
	}
	return []byte(x.When), nil
}

func (x *bomb) UnmarshalBinary(data []byte) error {
	if x.When = string(data); x.When == "later" {
		panic("boom")
	}
	return nil
}

func TestMarshalerPanics(t *testing.T) {
	t.Parallel()
	c, err := For[map[string][]bomb]()
	if err != nil {
		t.Fatal(err)
	}
	var b Buffer
	err = c.Append(&b, []map[string][]bomb{{}, {"x": {{}, {"panic"}}}})
	if want := "value 1: value[key 0][1]: wire.bomb panicked while it encoded itself: boom"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err = c.Append(&b, []map[string][]bomb{{"x": {{"error"}}}}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	if b.Len() != 0 {
		t.Error("the buffer was changed")
	}
	if err := c.Append(&b, []map[string][]bomb{{"x": {{"later"}}}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Decode(NewReader(b.AppendTo(nil), false), make([]map[string][]bomb, 1)); err == nil || !strings.Contains(err.Error(), "panicked while it decoded itself: boom") {
		t.Errorf("got %v", err)
	}
}

type undeclared struct{ X int }

type holder struct {
	Shapes map[string][]shape
	Any    any
}

func (undeclared) Area() float64 { return 0 }

func TestUndeclared(t *testing.T) {
	t.Parallel()
	c, err := For[holder]()
	if err != nil {
		t.Fatal(err)
	}
	c.Size(&holder{Any: undeclared{}})
	var b Buffer
	err = c.Append(&b, []holder{{Shapes: map[string][]shape{"a": {nil, undeclared{}}}}})
	want := "holder.Shapes[key 0][1]: dynamic type wire.undeclared of interface wire.shape is not declared: declare it with parade.Type"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
	if err := c.Append(&b, []holder{{Any: map[string]any{"x": make(chan int)}}}); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("got %v", err)
	}
	keys, _ := For[map[any]int]()
	if err := keys.Append(&b, []map[any]int{{&circle{}: 1}}); err == nil || !strings.Contains(err.Error(), "a pointer") {
		t.Errorf("pointer as a map key: %v", err)
	}
	// A message that names another type than belongs there.
	b.Reset()
	b.String("string")
	b.String("x")
	shapes, _ := For[shape]()
	if err := shapes.Decode(NewReader(b.AppendTo(nil), false), make([]shape, 1)); err == nil || !strings.Contains(err.Error(), "does not implement") {
		t.Errorf("got %v", err)
	}
	// Or a map key that has no hash.
	b.Reset()
	b.Uvarint(2)
	b.String("[]int")
	b.Uint8(0)
	b.Uint64(0)
	if err := keys.Decode(NewReader(b.AppendTo(nil), false), make([]map[any]int, 1)); err == nil || !strings.Contains(err.Error(), "compared") {
		t.Errorf("got %v", err)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"name twice":      func() { RegisterType("int", reflect.TypeFor[undeclared]()) },
		"type twice":      func() { RegisterType("other", reflect.TypeFor[int]()) },
		"interface":       func() { RegisterType("shape", reflect.TypeFor[shape]()) },
		"loses data":      func() { RegisterType("secret", reflect.TypeFor[secret]()) },
		"error twice":     func() { RegisterError("mine", io.EOF) },
		"error name":      func() { RegisterError("io.EOF", errors.New("x")) },
		"nil error":       func() { RegisterError("nil", nil) },
		"no such compare": func() { RegisterError("uncomparable", uncomparable{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if got := roundTrip(t, now); !got.Equal(now) || got != now.Round(0) {
		t.Errorf("%v became %v", now, got)
	}
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		t.Skip("no time zones on this host")
	}
	summer := time.Date(2026, 7, 1, 12, 0, 0, 0, zurich)
	got := roundTrip(t, summer)
	if later := got.AddDate(0, 6, 0); later.Format("-0700") != "+0100" || got.Location().String() != "Europe/Zurich" {
		t.Errorf("%v lost its zone: half a year later it is %v", got, later)
	}
	if again := roundTrip(t, summer); again != got {
		t.Error("two equal times differ")
	}
	// A fixed zone stays fixed even when there is a location of its name.
	cet := time.Date(2026, 1, 1, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	if later := roundTrip(t, cet).AddDate(0, 6, 0); later.Format("-0700 MST") != "+0100 CET" {
		t.Errorf("half a year later it is %v", later)
	}
	// A location that this host does not know keeps its offset.
	var b Buffer
	b.Uint64(0)
	b.Uint32(0)
	b.Uint8(zoneNamed)
	b.String("Mars/Olympus")
	b.String("OLY")
	b.Uint64(7200)
	c, _ := For[time.Time]()
	out := make([]time.Time, 1)
	if err := c.Decode(NewReader(b.AppendTo(nil), false), out); err != nil || out[0].Format("15:04 MST") != "02:00 OLY" {
		t.Errorf("got %v, %v", out[0], err)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	add := func(name string, h uint64) {
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have one fingerprint", name, other)
		}
		seen[h] = name
	}
	add("int", fingerprint[int](t))
	add("int64", fingerprint[int64](t))
	add("[]int", fingerprint[[]int](t))
	add("person", fingerprint[person](t))
	add("A", fingerprint[struct{ A int }](t))
	add("B", fingerprint[struct{ B int }](t))
	add("AB", fingerprint[struct{ A, B int }](t))
	add("time", fingerprint[time.Time](t))
	add("any", fingerprint[any](t))
	add("shape", fingerprint[shape](t))
	add("map", fingerprint[map[string]int](t))
	// It does not depend on what this process has compiled before.
	if got := fingerprint[small](t); got != 0x7b5fd5f9282bbcc6 && strconv.IntSize == 64 {
		t.Errorf("fingerprint %x of a known type", got)
	}
}

func fingerprint[T any](t *testing.T) uint64 {
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c.Fingerprint()
}

type small struct {
	ID   int
	Name string
	On   bool
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	type fresh struct {
		A []string
		B map[string]*small
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			in := fresh{[]string{"a"}, map[string]*small{"x": {1, "y", true}, "z": nil}}
			for range 100 {
				if got := roundTrip(t, in); !reflect.DeepEqual(in, got) {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	wg.Wait()
}

// TestCollector lets the garbage collector look at decoded values while they grow.
func TestCollector(t *testing.T) {
	t.Parallel()
	in := make([]person, 50)
	for i := range in {
		in[i] = person{Name: fmt.Sprint(i), Children: []person{{Name: "c"}}, Best: &person{Notes: map[string]string{"a": "b"}}}
	}
	data := encode(t, in...)
	for i := range 50 {
		out := decode[person](t, data, len(in), true)
		if i%5 == 0 {
			runtime.GC()
		}
		if !reflect.DeepEqual(in, out) {
			t.Fatal("values changed")
		}
	}
}

func TestWireFormat(t *testing.T) {
	t.Parallel()
	want := binary.LittleEndian.AppendUint64(nil, 1)
	want = append(want, 1, 'a', 1)
	if got := encode(t, small{1, "a", true}); !bytes.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
