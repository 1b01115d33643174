package spike_test

import (
	"errors"
	"math"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// seededTrain is a train of a golden file: its times are given, or Seed stands
// for N sample numbers of a 30 kHz recording.
type seededTrain struct {
	goldenTrain
	Seed uint32
	N    int
}

func (g seededTrain) train() spike.Train {
	train := g.goldenTrain.train()
	if g.Seed != 0 {
		perUnit := map[unit.Unit]float64{unit.Second: 30000, unit.Millisecond: 30}[g.Unit]
		train.Times = sampleNumbers(g.Seed, g.N)
		for i := range train.Times {
			train.Times[i] /= perUnit
		}
	}
	return train
}

func trainsOf(set []seededTrain) []spike.Train {
	var trains []spike.Train
	for _, g := range set {
		trains = append(trains, g.train())
	}
	return trains
}

func TestInstantaneousRateGolden(t *testing.T) {
	t.Parallel()
	var golden struct {
		Trains [][]seededTrain
		Rates  []struct {
			Name, Refuse        string
			Trains              int
			Period              hexQuantity
			Kernel              spike.KernelShape
			Sigma               hexQuantity
			Cutoff              hexFloat
			TStart              hexQuantity `json:"t_start"`
			TStop               hexQuantity `json:"t_stop"`
			Invert, Trim, Keep  bool
			Border, Pool        bool
			N, Channels, Stride int
			Values              []float64
			Max, Width          hexFloat
			Start, Rate         hexQuantity
			Used                string
		}
	}
	readTopic(t, "instantaneous.json", &golden)
	if n := len(golden.Rates); n < 300 {
		t.Fatalf("only %d rates", n)
	}
	for _, c := range golden.Rates {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			kernel := spike.Kernel{Shape: c.Kernel, Sigma: c.Sigma.time(), Invert: c.Invert}
			r, err := spike.InstantaneousRate(trainsOf(golden.Trains[c.Trains]), c.Period.time(), kernel, spike.InstantaneousRateOptions{
				TStart: c.TStart.time(), TStop: c.TStop.time(), Cutoff: float64(c.Cutoff),
				Trim: c.Trim, KeepOrigin: c.Keep, BorderCorrection: c.Border, Pool: c.Pool,
			})
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			tolerance := 1e-13
			switch {
			case c.Kernel == spike.KernelAlpha && !c.Keep:
				tolerance = 1e-6
			case c.Kernel == spike.KernelAuto:
				tolerance = 1e-8
				diff(t, "kernel", r.Kernel, spike.GaussianKernel(r.Kernel.Sigma))
				if !near(r.Kernel.Sigma.Value, float64(c.Width), 0, 1e-9) {
					t.Errorf("the automatic width is %v, want %v", r.Kernel.Sigma, float64(c.Width))
				}
			default:
				diff(t, "kernel", r.Kernel, kernel)
			}
			if r.Len() != c.N || r.Channels != c.Channels {
				t.Fatalf("%d samples of %d channels, want %d of %d", r.Len(), r.Channels, c.N, c.Channels)
			}
			for i, want := range c.Values {
				k, channel := i/c.Channels*c.Stride, i%c.Channels
				if got := r.At(k, channel); !near(got, want, float64(c.Max), tolerance) || got < 0 {
					t.Errorf("sample %d of channel %d is %v, want %v (the largest is %v)", k, channel, got, want, float64(c.Max))
				}
			}
			diff(t, "t_start", r.TStart, c.Start.time())
			diff(t, "sampling rate", r.SamplingRate, c.Rate.rate())
			diff(t, "unit", r.Unit, unit.Hertz)
			if err := r.Validate(); err != nil {
				t.Error(err)
			}
			if want := max(5, kernel.MinCutoff()); c.Cutoff == 0 && r.Cutoff != want {
				t.Errorf("cutoff is %v, want %v", r.Cutoff, want)
			}
		})
	}
}

// TestInstantaneousRateTrim wants of a trimmed rate that it is part of the rate,
// with the same times.
func TestInstantaneousRateTrim(t *testing.T) {
	t.Parallel()
	train, err := spike.PoissonProcess{Rate: unit.Hz(20), TStop: unit.Seconds(5)}.Train(newRand(5))
	if err != nil {
		t.Fatal(err)
	}
	for shape := spike.KernelRectangular; shape <= spike.KernelAlpha; shape++ {
		kernel := spike.Kernel{Shape: shape, Sigma: unit.Milliseconds(100)}
		opts := spike.InstantaneousRateOptions{KeepOrigin: true, BorderCorrection: shape == spike.KernelGaussian}
		whole, err := spike.InstantaneousRate([]spike.Train{train}, unit.Milliseconds(10), kernel, opts)
		if err != nil {
			t.Fatal(err)
		}
		opts.Trim = true
		part, err := spike.InstantaneousRate([]spike.Train{train}, unit.Milliseconds(10), kernel, opts)
		if err != nil {
			t.Fatal(err)
		}
		from := int(math.Round((part.TStart.Value - whole.TStart.Value) / 0.01))
		if from != 50 || part.Len() != whole.Len()-100 {
			t.Errorf("%v: the part begins at %d and has %d samples, want 50 and %d", shape, from, part.Len(), whole.Len()-100)
			continue
		}
		diff(t, "trimmed "+shape.String(), part.Samples, whole.Samples[50:len(whole.Samples)-50])
	}
}

// TestInstantaneousRateWays compares the sum over spikes with the Fourier
// transform, on trains where one or the other is chosen, at every phase of the blocks.
func TestInstantaneousRateWays(t *testing.T) {
	t.Parallel()
	rng := newRand(11)
	for _, n := range []int{1, 7, 300, 5000} {
		for _, milliseconds := range []float64{1, 13, 100} {
			times := make([]float64, n)
			for i := range times {
				times[i] = math.Floor(1000 * rng.Float64())
			}
			train := spike.Train{Times: times, Unit: unit.Millisecond, TStop: 1000}
			kernel := spike.GaussianKernel(unit.Milliseconds(milliseconds))
			r, err := spike.InstantaneousRate([]spike.Train{train}, unit.Milliseconds(1), kernel, spike.InstantaneousRateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			half := int(5 * milliseconds)
			offsets := make([]float64, 2*half+1)
			for i := range offsets {
				offsets[i] = float64(i - half)
			}
			weights, err := kernel.Density(offsets, unit.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			counts, want, largest := make([]float64, 1000), make([]float64, 1000), 0.0
			for _, at := range times {
				counts[int(at)]++
			}
			for i := range want {
				for k := max(0, i-half); k < min(1000, i+half+1); k++ {
					want[i] += 1000 * counts[k] * weights[i-k+half]
				}
				largest = max(largest, want[i])
			}
			for i, v := range r.Samples {
				if !near(v, want[i], largest, 1e-12) {
					t.Fatalf("%d spikes, sigma %v ms: sample %d is %v, want %v", n, milliseconds, i, v, want[i])
				}
			}
		}
	}
}

// TestInstantaneousRateRefuses tries what Elephant has no words for.
func TestInstantaneousRateRefuses(t *testing.T) {
	t.Parallel()
	train := spike.Train{Times: []float64{0.25, 0.5, 0.75}, Unit: unit.Second, TStop: 1}
	gaussian := spike.GaussianKernel(unit.Milliseconds(50))
	for _, c := range []struct {
		name   string
		train  spike.Train
		period unit.Time
		kernel spike.Kernel
		opts   spike.InstantaneousRateOptions
		want   error
	}{
		{"a train in V", spike.Train{Unit: unit.Volt, TStop: 1}, unit.Seconds(0.1), gaussian, spike.InstantaneousRateOptions{}, unit.ErrDimension},
		{"no period", train, unit.Time{}, gaussian, spike.InstantaneousRateOptions{}, unit.ErrDimension},
		{"too many samples", train, unit.Nanoseconds(0.1), gaussian, spike.InstantaneousRateOptions{}, spike.ErrBinSize},
		{"an endless window", train, unit.Seconds(0.1), gaussian, spike.InstantaneousRateOptions{TStop: unit.Seconds(math.Inf(1))}, spike.ErrInterval},
		{"an unknown kernel", train, unit.Seconds(0.1), spike.Kernel{Shape: 200, Sigma: unit.Seconds(1)}, spike.InstantaneousRateOptions{}, spike.ErrKernel},
		{"a kernel in Hz", train, unit.Seconds(0.1), spike.GaussianKernel(unit.Time{Value: 1, Unit: unit.Hertz}), spike.InstantaneousRateOptions{}, unit.ErrDimension},
		{"a kernel of endless length", train, unit.Seconds(1e-3), spike.GaussianKernel(unit.Seconds(1e307)), spike.InstantaneousRateOptions{}, spike.ErrKernel},
		{"trimmed by a long kernel", train, unit.Seconds(1e-3), spike.GaussianKernel(unit.Seconds(1e200)), spike.InstantaneousRateOptions{Trim: true}, spike.ErrKernel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := spike.InstantaneousRate([]spike.Train{c.train}, c.period, c.kernel, c.opts)
			if !errors.Is(err, c.want) {
				t.Errorf("got error %v, want one that is %q", err, c.want)
			}
		})
	}
}
