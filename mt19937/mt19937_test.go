package mt19937_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/mt19937"
	"github.com/parade-go/parade/spike"
)

var (
	_ rand.Source  = (*mt19937.RandomState)(nil)
	_ spike.Random = (*mt19937.RandomState)(nil)
)

// hexFloat is a float64 written in hexadecimal, so that nothing is lost.
type hexFloat float64

func (f *hexFloat) UnmarshalText(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	*f = hexFloat(v)
	return err
}

type draws struct {
	Seed         uint32
	Key          []uint32
	Words        []uint32
	Uint64       []string
	Floats       []hexFloat
	Exponentials []hexFloat
	Permutation  []int
	Shuffled     []int
	Sum, Last    hexFloat
}

type goldenFile struct {
	Seeds, Keys []draws
	Python      []struct {
		Seed   string
		Key    []uint32
		Words  []uint32
		Floats []hexFloat
	}
}

func readGolden(t *testing.T) goldenFile {
	t.Helper()
	data, err := os.ReadFile("testdata/randomstate.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func diff[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// repeat makes n draws.
func repeat[T, R any](n int, draw func() T, as func(T) R) []R {
	list := make([]R, n)
	for i := range list {
		list[i] = as(draw())
	}
	return list
}

func same[T any](v T) T { return v }

func toHex(v float64) hexFloat { return hexFloat(v) }

func permutation(rng *mt19937.RandomState, n int) []int {
	x := make([]int, n)
	for i := range x {
		x[i] = i
	}
	rng.Shuffle(n, func(i, j int) { x[i], x[j] = x[j], x[i] })
	return x
}

func check(t *testing.T, rng *mt19937.RandomState, want draws) {
	t.Helper()
	diff(t, "words", repeat(len(want.Words), rng.Uint32, same), want.Words)
	diff(t, "uint64", repeat(len(want.Uint64), rng.Uint64, func(v uint64) string { return fmt.Sprint(v) }), want.Uint64)
	diff(t, "floats", repeat(len(want.Floats), rng.Float64, toHex), want.Floats)
	for i, w := range want.Exponentials {
		want := float64(w)
		if got := rng.ExpFloat64(); math.Abs(got-want) > math.Nextafter(want, math.Inf(1))-want {
			t.Errorf("exponential %d is %v, want %v within 1 ulp", i, got, want)
		}
	}
	diff(t, "permutation", permutation(rng, len(want.Permutation)), want.Permutation)
	diff(t, "shuffled", permutation(rng, 300)[:len(want.Shuffled)], want.Shuffled)
	sum := 0.0
	for range 5000 {
		sum += rng.Float64()
	}
	diff(t, "sum", hexFloat(sum), want.Sum)
	diff(t, "last", hexFloat(rng.Float64()), want.Last)
}

func TestNewGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Seeds {
		t.Run(fmt.Sprint(c.Seed), func(t *testing.T) {
			t.Parallel()
			check(t, mt19937.New(c.Seed), c)
		})
	}
}

func TestNewFromKeyGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Keys {
		t.Run(fmt.Sprint(len(c.Key), " words"), func(t *testing.T) {
			t.Parallel()
			check(t, mt19937.NewFromKey(c.Key...), c)
		})
	}
}

func TestPythonGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Python {
		t.Run(c.Seed, func(t *testing.T) {
			t.Parallel()
			rng := mt19937.NewFromKey(c.Key...)
			diff(t, "words", repeat(len(c.Words), rng.Uint32, same), c.Words)
			diff(t, "floats", repeat(len(c.Floats), rng.Float64, toHex), c.Floats)
		})
	}
}

func TestShuffleOfFew(t *testing.T) {
	t.Parallel()
	rng := mt19937.New(1)
	for _, n := range []int{-1, 0, 1} {
		rng.Shuffle(n, func(int, int) { t.Errorf("swap of %d items", n) })
	}
	if got, want := rng.Uint32(), mt19937.New(1).Uint32(); got != want {
		t.Error("shuffling nothing has drawn a number")
	}
}

func Example() {
	rng := mt19937.New(28) // numpy.random.seed(28)
	fmt.Println(rng.Float64())
	fmt.Println(rng.ExpFloat64())
	x := []int{0, 1, 2, 3, 4, 5, 6, 7}
	rng.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
	fmt.Println(x)
	// Output:
	// 0.7290137422891191
	// 0.8238018060843254
	// [1 2 5 6 7 3 0 4]
}

func ExampleNewFromKey() {
	rng := mt19937.NewFromKey(28) // random.seed(28)
	fmt.Println(rng.Float64())    // random.random()
	// Output: 0.11295717017616302
}

func BenchmarkFloat64(b *testing.B) {
	rng := mt19937.New(1)
	for b.Loop() {
		rng.Float64()
	}
}

func BenchmarkExpFloat64(b *testing.B) {
	rng := mt19937.New(1)
	for b.Loop() {
		rng.ExpFloat64()
	}
}
