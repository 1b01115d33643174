package spike_test

import (
	"errors"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func TestOptimalKernelBandwidthGolden(t *testing.T) {
	t.Parallel()
	var golden struct {
		Bandwidths []struct {
			Name, Refuse          string
			Spikes, Times, Widths []hexFloat
			Unit                  unit.Unit
			Sigma, Max            hexFloat
			Examined, Costs, At   []hexFloat
			Density               []float64
			N, Stride             int
		}
	}
	readTopic(t, "bandwidth.json", &golden)
	if n := len(golden.Bandwidths); n < 100 {
		t.Fatalf("only %d bandwidths", n)
	}
	for _, c := range golden.Bandwidths {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			train := spike.Train{Times: floats(c.Spikes), Unit: c.Unit, TStart: -1e6, TStop: 1e6}
			var opts spike.BandwidthOptions
			if c.Times != nil {
				opts.Times = floats(c.Times)
			}
			if c.Widths != nil {
				opts.Bandwidths = floats(c.Widths)
			}
			b, err := spike.OptimalKernelBandwidth(train, opts)
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			diff(t, "unit", b.Sigma.Unit, c.Unit)
			diff(t, "spikes, which stay as they are", train.Times, floats(c.Spikes))
			if !near(b.Sigma.Value, float64(c.Sigma), 0, 1e-9) {
				t.Errorf("sigma is %v, want %v", b.Sigma, float64(c.Sigma))
			}
			if len(b.Bandwidths) != len(c.Examined) || len(b.Costs) != len(c.Costs) {
				t.Fatalf("%d bandwidths with %d costs, want %d and %d", len(b.Bandwidths), len(b.Costs), len(c.Examined), len(c.Costs))
			}
			largest := 0.0
			for _, cost := range c.Costs {
				largest = max(largest, float64(cost), -float64(cost))
			}
			for i, w := range floats(c.Examined) {
				if !near(b.Bandwidths[i], w, 0, 1e-9) {
					t.Errorf("bandwidth %d is %v, want %v", i, b.Bandwidths[i], w)
				}
				if want := float64(c.Costs[i]); !near(b.Costs[i], want, largest, 1e-7) {
					t.Errorf("cost %d is %v, want %v", i, b.Costs[i], want)
				}
			}
			if len(b.Times) != c.N || len(b.Density) != c.N {
				t.Fatalf("%d times and %d densities, want %d", len(b.Times), len(b.Density), c.N)
			}
			for i, at := range floats(c.At) {
				diff(t, "time", b.Times[i*c.Stride], at)
				if got := b.Density[i*c.Stride]; !near(got, c.Density[i], float64(c.Max), 1e-7) {
					t.Errorf("density at %v is %v, want %v", at, got, c.Density[i])
				}
			}
		})
	}
}

// A search over steps that are too fine would take more memory than there is.
func TestOptimalKernelBandwidthOfTooSmallSteps(t *testing.T) {
	t.Parallel()
	train := spike.Train{Times: []float64{0.1, 10, 20, 500, 900}, Unit: unit.Second, TStop: 1000}
	_, err := spike.OptimalKernelBandwidth(train, spike.BandwidthOptions{Times: []float64{0, 1e-9, 1000}})
	if !errors.Is(err, spike.ErrKernel) {
		t.Errorf("error %v, want %v", err, spike.ErrKernel)
	}
}
