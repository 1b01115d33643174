package spike

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// TestSumsGolden compares with NumPy bit by bit.
func TestSumsGolden(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/intervals.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Sums []struct {
			N                   int
			Seed                uint32
			Sum, Mean, Var, Std string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Sums) < 40 {
		t.Fatalf("only %d sums", len(golden.Sums))
	}
	for _, c := range golden.Sums {
		v := make([]float64, c.N)
		at, x := 0, c.Seed
		for i := range v {
			x = 1664525*x + 1013904223
			at += 1 + int(x>>20)
			v[i] = (float64(at%977) - 400) / 3
		}
		for _, f := range []struct {
			name string
			got  float64
			want string
		}{{"sum", sum(v), c.Sum}, {"mean", mean(v), c.Mean}, {"var", variance(v), c.Var}, {"std", deviation(v), c.Std}} {
			want, err := strconv.ParseFloat(f.want, 64)
			if err != nil {
				t.Fatal(err)
			}
			if math.Float64bits(f.got) != math.Float64bits(want) && !(math.IsNaN(f.got) && math.IsNaN(want)) {
				t.Errorf("%s of %d numbers is %v, want %v", f.name, c.N, f.got, want)
			}
		}
	}
}

// TestSumTerms: a sum of terms is that of the array they would make.
func TestSumTerms(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 700 {
		v := make([]float64, n)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		got := sumTerms(n, func(buffer []float64, from int) { copy(buffer, v[from:]) })
		if want := sum(v); got != want {
			t.Errorf("%d terms add up to %v, want %v", n, got, want)
		}
	}
	for _, n := range []int{1, 9} {
		v := make([]float64, n)
		for i := range v {
			v[i] = math.Copysign(0, -1)
		}
		if math.Signbit(sum(v)) {
			t.Errorf("the sum of %d times -0 is -0, want 0 as in NumPy", n)
		}
	}
}
