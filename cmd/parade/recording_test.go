package main

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func TestBinSizes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		train       spike.Train
		first, last unit.Time
	}{
		{"the tutorial's", spike.Train{Unit: unit.Second, TStop: 10}, unit.Seconds(0.1), unit.Seconds(1)},
		{"a second in ms", spike.Train{Unit: unit.Millisecond, TStart: 500, TStop: 1500}, unit.Milliseconds(10), unit.Milliseconds(100)},
		{"an hour", spike.Train{Unit: unit.Second, TStop: 3600}, unit.Seconds(0.1), unit.Seconds(1)},
		{"odd", spike.Train{Unit: unit.Second, TStop: 4.13}, unit.Seconds(0.05), unit.Seconds(0.5)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sizes, err := binSizes([]spike.Train{tc.train}, 8)
			if err != nil {
				t.Fatal(err)
			}
			if len(sizes) != 8 || sizes[0] != tc.first || sizes[7] != tc.last {
				t.Errorf("%v, want 8 from %v to %v", sizes, tc.first, tc.last)
			}
			for _, size := range sizes {
				if _, err := spike.TimeHistogram([]spike.Train{tc.train}, size, spike.HistogramOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, bad := range [][]spike.Train{nil, {{Unit: unit.Second}}, {{Unit: unit.Hertz, TStop: 1}}} {
		if sizes, err := binSizes(bad, 8); err == nil {
			t.Errorf("%v has bin sizes %v", bad, sizes)
		}
	}
}

// The numbers are those of numpy.linspace(0.1, 1, 8).
func TestLinspace(t *testing.T) {
	t.Parallel()
	want := []float64{0.1, 0.2285714285714286, 0.3571428571428572, 0.48571428571428577, 0.6142857142857143, 0.7428571428571429, 0.8714285714285716, 1}
	if d := cmp.Diff(want, linspace(0.1, 1, 8)); d != "" {
		t.Error(d)
	}
}

func TestRound125(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{1: 1, 0.1: 0.1, 0.99: 1, 0.0413: 0.05, 3: 2, 3.3: 5, 8: 10, 1.4e-9: 1e-9, 2.5e7: 2e7} {
		if got := round125(v); got != want {
			t.Errorf("%v is near %v, want %v", v, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		values []float64
		width  int
		part   float64
		want   string
	}{
		{[]float64{0, 7}, 4, 1, "▁▁██"},
		{[]float64{0, 7}, 4, 0.5, "▁█"},
		{[]float64{1, 3, 5, 9}, 2, 1, "▃█"},
		{[]float64{0, 0}, 2, 1, "▁▁"},
		{[]float64{1}, 3, 0, "█"},
	} {
		if got := sparkline(tc.values, tc.width, tc.part); got != tc.want {
			t.Errorf("%v in %d columns: %q, want %q", tc.values, tc.width, got, tc.want)
		}
	}
}

func TestSameBits(t *testing.T) {
	t.Parallel()
	rates := func(v float64) []unit.Rate { return []unit.Rate{{Value: v, Unit: unit.PerSecond}} }
	if !sameRates(rates(math.NaN()), rates(math.NaN())) {
		t.Error("NaN is not the same as itself")
	}
	if sameRates(rates(0), rates(math.Copysign(0, -1))) {
		t.Error("0 is the same as -0")
	}
	trains := []spike.Train{{Unit: unit.Second, TStop: 1, Times: []float64{0.5}}}
	a, err := spike.TimeHistogram(trains, unit.Seconds(0.5), spike.HistogramOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := a
	b.Samples = slices.Clone(a.Samples)
	if !sameHistograms([]spike.Histogram{a}, []spike.Histogram{b}) {
		t.Error("a copy is another histogram")
	}
	b.Samples[0]++
	if sameHistograms([]spike.Histogram{a}, []spike.Histogram{b}) {
		t.Error("another count is not seen")
	}
}
