package spike_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// TestTimeHistogramFollowsItsRule counts spikes, most of them where something has
// to be decided, by the rule of the documentation, one by one.
func TestTimeHistogramFollowsItsRule(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name               string
		start, stop, bin   float64 // s
		trains, each, bins int
	}{
		{"few bins", 0, 10, 0.1, 3, 1001, 100},
		{"one bin", 0, 10, 7, 3, 1001, 1},
		{"two bins", -1, 1, 1, 3, 998, 2},
		{"bins that do not divide the window", 2, 9, 0.03, 3, 1003, 233},
		{"bins beyond the cache", 0, 600, 0.001, 20, 5000, 600000},
		{"far from zero", 1e6, 1e6 + 100, 0.001, 5, 4000, 100000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rng := newRand(7)
			// Up to a few ulps from an edge, in the window or not.
			near := func() float64 {
				v := tc.start + float64(rng.IntN(tc.bins+2))*tc.bin
				for range rng.IntN(4) {
					v = math.Nextafter(v, math.Inf(1-2*rng.IntN(2)))
				}
				return v + float64(rng.IntN(3)-1)*tc.bin*2e-8*rng.Float64()
			}
			special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), tc.start, tc.stop, math.Copysign(0, -1), -5e-324,
				math.Nextafter(tc.start, -1e300), math.Nextafter(tc.stop, 1e300), 1e300, -1e300}
			trains := make([]spike.Train, tc.trains)
			want := make([]float64, tc.bins)
			dropped, moved := 0, 0
			for i := range trains {
				trains[i] = spike.Train{Unit: unit.Second, TStart: tc.start, TStop: tc.stop}
				for range tc.each {
					v := tc.start + rng.Float64()*(tc.stop-tc.start)
					switch rng.IntN(40) {
					case 0:
						v = special[rng.IntN(len(special))]
					case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
						v = near()
					}
					trains[i].Times = append(trains[i].Times, v)
					if !(tc.start <= v && v <= tc.stop) {
						continue
					}
					place := float64((v - tc.start) * (1 / tc.bin)) // no fused multiply-subtract below
					bin := int(place)
					if place-float64(bin) >= 1-1e-8 {
						bin++
						moved++
					}
					if bin < tc.bins {
						want[bin]++
					} else {
						dropped++
					}
				}
			}
			h, err := spike.TimeHistogram(trains, unit.Seconds(tc.bin), spike.HistogramOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, h.Samples); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if h.Dropped != dropped || h.Moved != moved || moved == 0 {
				t.Errorf("%d dropped and %d moved, want %d and %d", h.Dropped, h.Moved, dropped, moved)
			}
		})
	}
}
