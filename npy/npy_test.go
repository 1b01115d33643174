package npy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/npy"
)

// golden is testdata/golden.json, which golden.py makes.
type golden struct {
	Arrays   []goldenArray
	Archives map[string][]goldenArray
	Bad      map[string]string
}

type goldenArray struct {
	Name, Type    string
	Shape         []int
	Fortran, Same bool
	Values        []string
}

func readGolden(t testing.TB) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// check compares an array with what numpy says of it.
func check(t *testing.T, a npy.Array, want goldenArray) {
	t.Helper()
	if got := a.Type.String(); got != want.Type {
		t.Errorf("type %s, want %s", got, want.Type)
	}
	if diff := cmp.Diff(want.Shape, append([]int{}, a.Shape...)); diff != "" {
		t.Errorf("shape (-want +got):\n%s", diff)
	}
	if a.Fortran != want.Fortran && len(a.Shape) > 1 {
		t.Errorf("fortran is %v, want %v", a.Fortran, want.Fortran)
	}
	got, err := texts(a)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Values, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// texts writes the values of an array as golden.py does.
func texts(a npy.Array) ([]string, error) {
	list := []string{}
	var err error
	switch a.Type.Kind {
	case npy.Bool:
		err = each(a, func(v bool) { list = append(list, map[bool]string{true: "True", false: "False"}[v]) })
	case npy.Int:
		err = each(a, func(v int64) { list = append(list, strconv.FormatInt(v, 10)) })
	case npy.Uint:
		err = each(a, func(v uint64) { list = append(list, strconv.FormatUint(v, 10)) })
	case npy.Float:
		err = each(a, func(v float64) { list = append(list, hexed(v)) })
	case npy.Complex:
		err = each(a, func(v complex128) { list = append(list, hexed(real(v)), hexed(imag(v))) })
	case npy.Bytes:
		err = each(a, func(v string) {
			var latin1 strings.Builder
			for _, b := range []byte(v) {
				latin1.WriteRune(rune(b))
			}
			list = append(list, latin1.String())
		})
	default:
		err = each(a, func(v string) { list = append(list, v) })
	}
	return list, err
}

func each[T npy.Item](a npy.Array, use func(T)) error {
	values, err := npy.Values[T](a)
	for _, v := range values {
		use(v)
	}
	return err
}

// hexed writes a float as float.hex of Python does.
func hexed(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64)), "+")
	}
	bits := math.Float64bits(v)
	sign := ""
	if bits>>63 != 0 {
		sign = "-"
	}
	exponent, fraction := int(bits>>52&2047), bits&(1<<52-1)
	switch {
	case exponent == 0 && fraction == 0:
		return sign + "0x0.0p+0"
	case exponent == 0:
		return fmt.Sprintf("%s0x0.%013xp-1022", sign, fraction)
	}
	return fmt.Sprintf("%s0x1.%013xp%+d", sign, fraction, exponent-1023)
}

func TestGoldenArrays(t *testing.T) {
	t.Parallel()
	for _, want := range readGolden(t).Arrays {
		t.Run(want.Name, func(t *testing.T) {
			t.Parallel()
			file := readFile(t, want.Name+".npy")
			a, err := npy.Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			check(t, a, want)

			f, err := npy.Open(filepath.Join("testdata", want.Name+".npy"))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Guard(func() error { check(t, f.Array, want); return nil }); err != nil {
				t.Error(err)
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}

			stream := bytes.NewReader(append(bytes.Clone(file), "rest"...))
			if a, err = npy.Read(stream); err != nil {
				t.Fatal(err)
			}
			check(t, a, want)
			if rest, _ := io.ReadAll(stream); string(rest) != "rest" {
				t.Errorf("after the array there is %q", rest)
			}

			var out bytes.Buffer
			if err := npy.Write(&out, a); err != nil {
				t.Fatal(err)
			}
			if same := bytes.Equal(out.Bytes(), file); same != want.Same {
				t.Errorf("the bytes are those of numpy: %v, want %v", same, want.Same)
			}
		})
	}
}

func TestHalf(t *testing.T) {
	t.Parallel()
	archive, err := npy.OpenArchive("testdata/half.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var lists [2][]float32
	for i, name := range []string{"half", "single"} {
		a, err := archive.Read(name)
		if err == nil {
			lists[i], err = npy.Values[float32](a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(lists[0]) != 1<<16 {
		t.Fatalf("%d half floats", len(lists[0]))
	}
	for i, v := range lists[0] {
		if want := lists[1][i]; math.Float32bits(v) != math.Float32bits(want) && (v == v || want == want) {
			t.Fatalf("half float %#04x is %v, want %v", i, v, want)
		}
	}
}

// convert loads one value of S as a T.
func convert[T, S npy.Item](t *testing.T, v S, want T, ok bool) {
	t.Helper()
	a, err := npy.New([]S{v})
	if err != nil {
		t.Fatal(err)
	}
	got, err := npy.Values[T](a)
	if ok {
		if err != nil || got[0] != want {
			t.Errorf("%T %v as %T: %v and error %v, want %v", v, v, want, got, err, want)
		}
		return
	}
	var bad *npy.ValueError
	if !errors.Is(err, npy.ErrValue) || !errors.As(err, &bad) || bad.Index != 0 || bad.Want != fmt.Sprintf("%T", want) {
		t.Errorf("%T %v as %T: %v and error %v, want a ValueError", v, v, want, got, err)
	}
}

func TestValuesAreExact(t *testing.T) {
	t.Parallel()
	convert[float64](t, int64(1<<53), 1<<53, true)
	convert[float64](t, int64(1<<53+1), 0, false)
	convert[float64](t, int64(math.MaxInt64), 0, false)
	convert[float64](t, int64(math.MinInt64), math.MinInt64, true)
	convert[float64](t, uint64(math.MaxUint64), 0, false)
	convert[float64](t, uint64(1<<63), 1<<63, true)
	convert[float32](t, int32(1<<24+1), 0, false)
	convert[float32](t, 0.1, 0, false)
	convert[float32](t, 0.5, 0.5, true)
	convert[float32](t, 1e40, 0, false)
	convert[float32](t, math.Inf(-1), float32(math.Inf(-1)), true)
	convert[float64](t, float32(0.1), float64(float32(0.1)), true)
	convert[int64](t, 9223372036854775807.0, 0, false)
	convert[int64](t, -9223372036854775808.0, math.MinInt64, true)
	convert[int64](t, 0.5, 0, false)
	convert[int64](t, math.NaN(), 0, false)
	convert[int64](t, math.Inf(1), 0, false)
	convert[uint64](t, 18446744073709551615.0, 0, false)
	convert[uint64](t, 9223372036854775808.0, 1<<63, true)
	convert[uint64](t, -1.0, 0, false)
	convert[uint64](t, int8(-1), 0, false)
	convert[int64](t, uint64(1<<63), 0, false)
	convert[int8](t, int16(128), 0, false)
	convert[int8](t, int16(-128), -128, true)
	convert[uint8](t, int16(255), 255, true)
	convert[uint16](t, float32(65535), 65535, true)
	convert[int](t, uint32(math.MaxInt32), math.MaxInt32, true)
	convert[complex64](t, complex(0.1, 0), 0, false)
	convert[complex64](t, complex(0.5, -2), complex(0.5, -2), true)
	convert[complex128](t, complex64(complex(0.5, -2)), complex(0.5, -2), true)
	convert[string](t, "µ", "µ", true)
	convert[bool](t, true, true, true)
}

func TestValuesRefuse(t *testing.T) {
	t.Parallel()
	numbers, _ := npy.New([]float64{1})
	flags, _ := npy.New([]bool{true})
	words, _ := npy.New([]string{"a"})
	pairs, _ := npy.New([]complex128{1})
	kind := npy.Type{Kind: npy.Float, Size: 8}
	surrogate := npy.Array{Type: npy.Type{Kind: npy.Text, Size: 4}, Shape: []int{1}, Data: []byte{0, 0xd8, 0, 0}}
	beyond := npy.Array{Type: npy.Type{Kind: npy.Text, Size: 4}, Shape: []int{1}, Data: []byte{0, 0, 0, 0xff}}
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"number as text", values[string](numbers), npy.ErrType},
		{"number as bool", values[bool](numbers), npy.ErrType},
		{"number as complex", values[complex128](numbers), npy.ErrType},
		{"bool as number", values[int](flags), npy.ErrType},
		{"text as number", values[float64](words), npy.ErrType},
		{"complex as number", values[float64](pairs), npy.ErrType},
		{"half a surrogate pair", values[string](surrogate), npy.ErrValue},
		{"beyond Unicode", values[string](beyond), npy.ErrValue},
		{"too little data", values[float64](npy.Array{Type: kind, Shape: []int{2}, Data: make([]byte, 8)}), npy.ErrShape},
		{"negative shape", values[float64](npy.Array{Type: kind, Shape: []int{-1}}), npy.ErrShape},
		{"overflowing shape", values[float64](npy.Array{Type: kind, Shape: []int{math.MaxInt, 8}}), npy.ErrShape},
		{"too many axes", values[float64](npy.Array{Type: kind, Shape: make([]int, 65)}), npy.ErrShape},
		{"no kind", values[float64](npy.Array{Shape: []int{0}}), npy.ErrType},
		{"half a code point", values[string](npy.Array{Type: npy.Type{Kind: npy.Text, Size: 6}, Shape: []int{1}, Data: make([]byte, 6)}), npy.ErrType},
		{"Load before", npy.Load(make([]float64, 1), numbers, -1), npy.ErrShape},
		{"Load behind", npy.Load(make([]float64, 1), numbers, 1), npy.ErrShape},
		{"Write", npy.Write(io.Discard, npy.Array{Type: kind, Shape: []int{2}}), npy.ErrShape},
	}
	for _, c := range tests {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: error %v, want one that is %q", c.name, c.err, c.want)
		}
	}
	for _, list := range [][]string{{"a\xff"}, {"a", "b\x00"}} {
		if _, err := npy.New(list); !errors.Is(err, npy.ErrValue) {
			t.Errorf("New(%q): error %v", list, err)
		}
	}
	if _, err := npy.New([]int8{1, 2, 3}, 2, 2); !errors.Is(err, npy.ErrShape) {
		t.Errorf("New with a wrong shape: error %v", err)
	}
}

func values[T npy.Item](a npy.Array) error {
	_, err := npy.Values[T](a)
	return err
}

func TestViewSharesMemory(t *testing.T) {
	t.Parallel()
	numbers := []float64{1, 2, 3}
	a, err := npy.New(numbers)
	if err != nil {
		t.Fatal(err)
	}
	view, ok := npy.View[float64](a)
	if !ok || &view[0] != &numbers[0] {
		t.Errorf("View gave %v, %v, want the very numbers", view, ok)
	}
	if _, ok := npy.View[int64](a); ok {
		t.Error("floats were viewed as integers")
	}
	swapped := a
	swapped.Type.BigEndian = !swapped.Type.BigEndian
	if _, ok := npy.View[float64](swapped); ok {
		t.Error("numbers of the other byte order were viewed")
	}
	odd := make([]byte, 25)
	at := 1 - int(uintptr(unsafe.Pointer(&odd[0]))%2)
	shifted := npy.Array{Type: a.Type, Shape: []int{3}, Data: odd[at:][:24]}
	if _, ok := npy.View[float64](shifted); ok {
		t.Error("numbers at an odd address were viewed")
	}
	if err := values[float64](shifted); err != nil {
		t.Errorf("numbers at an odd address: %v", err)
	}
	if flags, _ := npy.New([]bool{true}); true {
		if _, ok := npy.View[bool](flags); ok {
			t.Error("bytes were viewed as bools")
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	kinds := map[string]error{"type": npy.ErrType, "format": npy.ErrFormat}
	for name, kind := range readGolden(t).Bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", name)
			if strings.HasSuffix(name, ".npy") {
				if _, err := npy.Open(path); !errors.Is(err, kinds[kind]) || strings.Count(err.Error(), path) != 1 {
					t.Errorf("error %v, want one that is %q and names the file once", err, kinds[kind])
				}
				return
			}
			archive, err := npy.OpenArchive(path)
			for i := 0; err == nil && i < len(archive.Names()); i++ {
				_, err = archive.Read(archive.Names()[i])
			}
			if !errors.Is(err, kinds[kind]) {
				t.Errorf("error %v, want one that is %q", err, kinds[kind])
			}
		})
	}
	for _, name := range []string{"absent.npy", "."} {
		if _, err := npy.Open(filepath.Join(t.TempDir(), name)); err == nil || errors.Is(err, npy.ErrFormat) {
			t.Errorf("Open(%q): error %v", name, err)
		}
	}
	if _, err := npy.OpenArchive("absent.npz"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an archive that is absent: error %v", err)
	}
	// A stream claims what it likes; only what arrives takes memory.
	head := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"
	for _, shape := range []string{"100000000000,", "1152921504606846976,", "9223372036854775807, 9223372036854775807", "5, 0, 9223372036854775807, 9223372036854775807"} {
		text := fmt.Sprintf(head, shape)
		text += strings.Repeat(" ", 128-len(text))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := npy.Read(strings.NewReader(text))
		runtime.ReadMemStats(&after)
		if wants := !strings.Contains(shape, " 0"); errors.Is(err, npy.ErrFormat) != wants {
			t.Errorf("a claimed shape (%s): error %v", shape, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("a claimed shape (%s) took %d bytes", shape, grown)
		}
	}
	if _, err := npy.Parse([]byte("\x93NUMPY\x01\x00\x76\x00" + "{'descr': '<U0', 'fortran_order': False, 'shape': (99999999999,), }" + strings.Repeat(" ", 51))); !errors.Is(err, npy.ErrFormat) {
		t.Errorf("many strings of nothing: error %v", err)
	}
}

func TestParseType(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "<", "f8", "=f8", "<f3", "<f16", "<i16", "<c4", "|b2", "|O", "<M8[s]", "|V8", "|f8", "<U4294967295", "<U2147483647", "<f8 ", "<f-8", "<f+8", "<x8"} {
		if got, err := npy.ParseType(name); !errors.Is(err, npy.ErrType) {
			t.Errorf("ParseType(%q) is %v, error %v", name, got, err)
		}
	}
	for name, want := range map[string]npy.Type{"<i1": {Kind: npy.Int, Size: 1}, ">u1": {Kind: npy.Uint, Size: 1}, ">S7": {Kind: npy.Bytes, Size: 7}, ">U7": {Kind: npy.Text, Size: 28, BigEndian: true}} {
		if got, err := npy.ParseType(name); err != nil || got != want {
			t.Errorf("ParseType(%q) is %v, error %v, want %v", name, got, err, want)
		}
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	for name, want := range readGolden(t).Archives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := npy.OpenArchive(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			err = archive.Guard(func() error {
				for _, array := range want {
					names = append(names, array.Name)
					a, err := archive.Read(array.Name)
					if err != nil {
						return err
					}
					check(t, a, array)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(names, archive.Names()); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if _, err := archive.Read("absent"); !errors.Is(err, npy.ErrName) {
				t.Errorf("an absent array: error %v", err)
			}
			if err := archive.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestArchiveWriter(t *testing.T) {
	t.Parallel()
	for _, compress := range []bool{false, true} {
		times := make([]float64, 1000)
		for i := range times {
			times[i] = float64(i)
		}
		a, err := npy.New(times, 10, 100)
		if err != nil {
			t.Fatal(err)
		}
		b, err := npy.New([]string{"a", "µm", ""})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := npy.NewArchiveWriter(&out)
		w.Compress = compress
		for _, err := range []error{w.Write("times", a), w.Write("names", b)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Write("times", a); !errors.Is(err, npy.ErrName) {
			t.Errorf("a name twice: error %v", err)
		}
		if err := w.Write("bad", npy.Array{Shape: []int{1}}); !errors.Is(err, npy.ErrType) {
			t.Errorf("a bad array: error %v", err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if small := out.Len() < 4000; small != compress {
			t.Errorf("compress is %v: %d bytes", compress, out.Len())
		}
		archive, err := npy.ParseArchive(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]npy.Array{"times": a, "names": b} {
			got, err := archive.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		// Cut anywhere, it is never read in part.
		for n := range out.Len() {
			if n%101 != 0 && n < out.Len()-100 {
				continue
			}
			if _, err := npy.ParseArchive(out.Bytes()[:n]); !errors.Is(err, npy.ErrFormat) {
				t.Fatalf("cut at %d of %d: error %v", n, out.Len(), err)
			}
		}
	}
}

// TestOpenTakesNoMemory maps a file of 1 GB that is a hole but for its header.
func TestOpenTakesNoMemory(t *testing.T) {
	if runtime.GOOS == "windows" || strconv.IntSize == 32 {
		t.Skip("files are not mapped here")
	}
	path := filepath.Join(t.TempDir(), "hole.npy")
	const n = 1 << 27
	var head bytes.Buffer
	small, err := npy.New([]float64{0})
	if err != nil {
		t.Fatal(err)
	}
	if err := npy.Write(&head, small); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(head.Bytes()[:head.Len()-8]), "(1,), }         ", "(134217728,), } ", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(text))+8*n); err != nil {
		t.Skip("no sparse files here:", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	items, ok := npy.View[float64](f.Array)
	if !ok || len(items) != n || items[n-1] != 0 {
		t.Fatalf("View gave %d items, %v", len(items), ok)
	}
	part := make([]float32, 1000)
	if err := npy.Load(part, f.Array, n-1000); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("mapping took %d bytes", grown)
	}
	// Cut meanwhile, it is an error and no signal.
	if err := os.Truncate(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Guard(func() error { return npy.Load(part, f.Array, n-1000) }); !errors.Is(err, npy.ErrChanged) {
		t.Errorf("a file that was cut: error %v", err)
	}
}

type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if len(b) > d.left {
		return 0, errors.New("no space")
	}
	d.left -= len(b)
	return len(b), nil
}

func TestWriteToAFullDisk(t *testing.T) {
	t.Parallel()
	a, err := npy.New([]float64{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{0, 128} {
		if err := npy.Write(&fullDisk{left}, a); err == nil || err.Error() != "no space" {
			t.Errorf("%d bytes left: error %v", left, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, a := range readGolden(f).Arrays {
		if data := readFile(f, a.Name+".npy"); len(data) < 2000 {
			f.Add(data)
		}
	}
	for name := range readGolden(f).Bad {
		if data := readFile(f, name); len(data) < 2000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := npy.Parse(data)
		stream := bytes.NewReader(data)
		b, streamErr := npy.Read(stream)
		if (err == nil) != (streamErr == nil && stream.Len() == 0) {
			t.Fatalf("Parse gives error %v, Read %v with %d bytes left", err, streamErr, stream.Len())
		}
		if err != nil {
			if !errors.Is(err, npy.ErrFormat) && !errors.Is(err, npy.ErrType) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		if !bytes.Equal(a.Data, b.Data) {
			t.Fatal("Parse and Read differ")
		}
		list, err := texts(a)
		if err != nil && !errors.Is(err, npy.ErrValue) {
			t.Fatal(err)
		}
		// What was read can be written and read again.
		var out bytes.Buffer
		if err := npy.Write(&out, a); err != nil {
			t.Fatal(err)
		}
		c, err := npy.Parse(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		again, _ := texts(c)
		if diff := cmp.Diff(list, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseArchive(f *testing.F) {
	f.Add(readFile(f, "stored.npz"))
	f.Add(readFile(f, "compressed.npz"))
	f.Add(readFile(f, "none.npz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		archive, err := npy.ParseArchive(data)
		if err != nil {
			if !errors.Is(err, npy.ErrFormat) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		for _, name := range archive.Names() {
			a, err := archive.Read(name)
			if err == nil {
				_, err = texts(a)
			}
			if err != nil && !errors.Is(err, npy.ErrFormat) && !errors.Is(err, npy.ErrType) && !errors.Is(err, npy.ErrValue) {
				t.Fatalf("error %v is of no kind", err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	numbers := make([]int64, 1<<20)
	a, err := npy.New(numbers)
	if err != nil {
		b.Fatal(err)
	}
	swapped := a
	swapped.Type.BigEndian = !a.Type.BigEndian
	same, other := make([]int64, len(numbers)), make([]float64, len(numbers))
	b.Run("same", func(b *testing.B) {
		b.SetBytes(int64(len(a.Data)))
		for b.Loop() {
			if err := npy.Load(same, a, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("int64 to float64", func(b *testing.B) {
		b.SetBytes(int64(len(a.Data)))
		for b.Loop() {
			if err := npy.Load(other, a, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("other byte order", func(b *testing.B) {
		b.SetBytes(int64(len(a.Data)))
		for b.Loop() {
			if err := npy.Load(same, swapped, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}
