package spike_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// TestTimeHistogramProperties compares with the rule written down plainly, on
// trains large enough to pass through every path of the loops.
func TestTimeHistogramProperties(t *testing.T) {
	t.Parallel()
	rng := newRand(7)
	for n := range 200 {
		trains := make([]spike.Train, 1+rng.IntN(3))
		stop := 1 + 20*rng.Float64()
		for k := range trains {
			times := make([]float64, rng.IntN(500))
			for i := range times {
				times[i] = stop * rng.Float64()
				if rng.IntN(3) == 0 { // on a grid, so that edges are hit
					times[i] = min(stop, math.Round(times[i]*30)/30)
				}
			}
			trains[k] = spike.Train{Times: times, Unit: unit.Second, TStop: stop}
		}
		bin := []float64{0.1, 1.0 / 30, 0.7, 1.0 / 3, rng.Float64()}[n%5]
		opts := spike.HistogramOptions{Binary: n%2 == 1}
		if n%3 == 0 {
			opts.TStart, opts.TStop = unit.Seconds(0.2*stop), unit.Seconds(0.9*stop)
		}
		h, err := spike.TimeHistogram(trains, unit.Seconds(bin), opts)
		if errors.Is(err, spike.ErrBinSize) && bin > 0.7*stop {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		start, end := 0.0, stop
		if opts.TStart.IsSet() {
			start, end = opts.TStart.Value, opts.TStop.Value
		}
		want := make([]float64, h.Len())
		dropped, moved, inside := 0, 0, 0
		for _, train := range trains {
			seen := make(map[int]bool)
			for _, at := range train.Times {
				if at < start || at > end {
					continue
				}
				inside++
				v := (at - start) * (1 / bin)
				i := int(math.Floor(v))
				if math.Mod(v, 1) >= 1-1e-8 {
					i++
					moved++
				}
				if i >= len(want) {
					dropped++
				} else if !opts.Binary || !seen[i] {
					want[i]++
					seen[i] = true
				}
			}
		}
		diff(t, "values", h.Samples, want)
		diff(t, "dropped", h.Dropped, dropped)
		diff(t, "moved", h.Moved, moved)
		if t.Failed() {
			t.Fatalf("in round %d", n)
		}
	}
}

func TestTimeHistogramRefuses(t *testing.T) {
	t.Parallel()
	train := func(u unit.Unit, start, stop float64) spike.Train {
		return spike.Train{Unit: u, TStart: start, TStop: stop}
	}
	s := unit.Second
	tests := []struct {
		name   string
		trains []spike.Train
		bin    unit.Time
		opts   spike.HistogramOptions
		want   error
		index  int // of the train to blame, or -1
		text   string
	}{
		{"none", nil, unit.Seconds(1), spike.HistogramOptions{}, spike.ErrNoTrains, -1, "spike: no trains: a histogram needs at least one"},
		{"units", []spike.Train{train(s, 0, 1), train(unit.Millisecond, 0, 1)}, unit.Seconds(1), spike.HistogramOptions{}, spike.ErrMixedUnits, 1,
			"spike: train 1: trains differ in unit: it is in ms and train 0 in s; convert one with Train.In"},
		{"t_stop", []spike.Train{train(s, 0, 1), train(s, 0, 1), train(s, 0, 2)}, unit.Seconds(1), spike.HistogramOptions{}, spike.ErrInterval, 2,
			"spike: train 2: bad interval: its t_stop is 2.0 s and that of train 0 1.0 s; give a t_start and a t_stop that all trains cover"},
		{"window", []spike.Train{train(s, 0, 2), train(s, 1, 2)}, unit.Seconds(1), spike.HistogramOptions{TStart: unit.Seconds(0)}, spike.ErrInterval, 1,
			"spike: train 1: bad interval: t_start 0.0 s is before its own, 1.0 s; give a t_start and a t_stop that all trains cover"},
		{"too many bins", []spike.Train{train(s, 0, 3)}, unit.Nanoseconds(1), spike.HistogramOptions{}, spike.ErrBinSize, -1,
			"spike: bad bin size: 1.0 ns makes 3000000000.0 bins of 3.0 s, want 1 to 2147483647"},
		{"infinite train", []spike.Train{train(s, 0, math.Inf(1))}, unit.Seconds(1), spike.HistogramOptions{}, spike.ErrBinSize, -1,
			"spike: bad bin size: 1.0 s makes inf bins of inf s, want 1 to 2147483647"},
		{"train without unit", []spike.Train{train(0, 0, 3)}, unit.Seconds(1), spike.HistogramOptions{}, unit.ErrDimension, 0,
			"spike: train 0: wrong dimension: dimensionless is not a unit of time"},
		{"output", []spike.Train{train(s, 0, 3)}, unit.Seconds(1), spike.HistogramOptions{Output: 3}, spike.ErrOutput, -1,
			"spike: bad output: unknown output 3, want counts, mean or rate"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := spike.TimeHistogram(c.trains, c.bin, c.opts)
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want one that is %q", err, c.want)
			}
			index := -1
			if blamed := (*spike.TrainError)(nil); errors.As(err, &blamed) {
				index = blamed.Index
			}
			diff(t, "index", index, c.index)
			diff(t, "message", err.Error(), c.text)
		})
	}
}

// TestTimeHistogramOfInvalidTrain: literals need not keep the rules of a train,
// and what lies outside of the window, or is no number, is in no bin.
func TestTimeHistogramOfInvalidTrain(t *testing.T) {
	t.Parallel()
	times := []float64{math.NaN(), -1, 1e300, math.Inf(-1), math.Inf(1), 0.5, 1.5, math.Nextafter(2, 3), 2, -1e-320}
	h, err := spike.TimeHistogram([]spike.Train{{Times: times, Unit: unit.Second, TStop: 2}}, unit.Seconds(1), spike.HistogramOptions{})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "values", h.Samples, []float64{1, 1})
	diff(t, "dropped", h.Dropped, 1) // the spike at t_stop
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	signal := spike.AnalogSignal{Samples: make([]float64, 6), Channels: 2, Unit: unit.Millivolt, TStart: unit.Seconds(0), SamplingRate: unit.Hz(1)}
	change := func(f func(*spike.AnalogSignal)) spike.AnalogSignal {
		s := signal
		f(&s)
		return s
	}
	tests := []struct {
		name  string
		value interface{ Validate() error }
		want  error
	}{
		{"signal", signal, nil},
		{"no channels", change(func(s *spike.AnalogSignal) { s.Channels = 0 }), spike.ErrSignal},
		{"odd samples", change(func(s *spike.AnalogSignal) { s.Channels = 4 }), spike.ErrSignal},
		{"t_start without unit", change(func(s *spike.AnalogSignal) { s.TStart = unit.Time{} }), unit.ErrDimension},
		{"rate 0", change(func(s *spike.AnalogSignal) { s.SamplingRate = unit.Hz(0) }), spike.ErrSignal},
		{"rate nan", change(func(s *spike.AnalogSignal) { s.SamplingRate = unit.Hz(math.NaN()) }), spike.ErrSignal},
		{"unknown unit", change(func(s *spike.AnalogSignal) { s.Unit = 200 }), unit.ErrDimension},
		{"nan time", spike.Train{Times: []float64{math.NaN()}, Unit: unit.Second, TStop: 1}, spike.ErrTimes},
		{"nan t_stop", spike.Train{Unit: unit.Second, TStop: math.NaN()}, spike.ErrInterval},
		{"no unit", spike.Train{TStop: 1}, unit.ErrDimension},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.value.Validate(); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

func TestValidateNamesTheBoundThatIsNoNumber(t *testing.T) {
	t.Parallel()
	_, err := spike.NewTrain(nil, unit.Millisecond, unit.Milliseconds(math.NaN()), unit.Seconds(1))
	const want = "spike: bad interval: t_start (nan ms) and t_stop (1000.0 ms) must be numbers"
	if err == nil || err.Error() != want || !errors.Is(err, spike.ErrInterval) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func TestMeanFiringRateWithoutUnit(t *testing.T) {
	t.Parallel()
	if _, err := spike.MeanFiringRate(spike.Train{TStop: 1}); !errors.Is(err, unit.ErrDimension) {
		t.Errorf("got error %v", err)
	}
	if _, err := spike.MeanFiringRateWithin(spike.Train{TStop: 1}, unit.Time{}, unit.Time{}); !errors.Is(err, unit.ErrDimension) {
		t.Errorf("got error %v", err)
	}
	// Elephant refuses a window on an empty train; a silent neuron has rate 0.
	r, err := spike.MeanFiringRateWithin(spike.Train{Unit: unit.Second, TStop: 1}, unit.Seconds(0), unit.Time{})
	if want := (unit.Rate{Value: 0, Unit: unit.PerSecond}); err != nil || r != want {
		t.Errorf("got %v and error %v, want %v", r, err, want)
	}
}

// TestJSON: a result goes through JSON and comes back the same.
func TestJSON(t *testing.T) {
	t.Parallel()
	train := spike.Train{Times: []float64{0.1, 1.0 / 3}, Unit: unit.Second, TStop: 0.7000000000000001, Name: "a"}
	h, err := spike.TimeHistogram([]spike.Train{train}, unit.Milliseconds(100), spike.HistogramOptions{Output: spike.OutputRate})
	if err != nil {
		t.Fatal(err)
	}
	for _, output := range []spike.Output{spike.OutputCounts, spike.OutputMean, spike.OutputRate} {
		h.Output = output
		data, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back spike.Histogram
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		diff(t, "histogram", back, h)
	}
	if _, err := json.Marshal(spike.Output(9)); !errors.Is(err, spike.ErrOutput) {
		t.Errorf("got error %v", err)
	}
}
