package spike_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

type goldenCorrelation struct {
	Trains     []goldenTrain
	Histograms []struct {
		Name, Refuse, Bug           string
		A, B                        int
		Bin                         hexQuantity
		Window                      json.RawMessage
		Border, Binary, Coefficient bool
		Kernel, Values              []hexFloat
		Lags                        [2]int
		Start, Rate                 hexQuantity
		Tolerance                   hexFloat
	}
	Matrices []struct {
		Name, Refuse            string
		Trains                  []int
		Bin                     hexQuantity
		TStart                  hexQuantity `json:"t_start"`
		TStop                   hexQuantity `json:"t_stop"`
		Binary                  bool
		Covariance, Correlation []hexFloat
	}
	Tilings []struct {
		Name, Refuse, Bug string
		A, B              int
		DT                hexQuantity
		Value, Released   hexFloat
	}
}

func TestCrossCorrelationHistogramGolden(t *testing.T) {
	t.Parallel()
	var golden goldenCorrelation
	readTopic(t, "correlation.json", &golden)
	if n := len(golden.Histograms); n < 500 {
		t.Fatalf("only %d histograms", n)
	}
	for _, c := range golden.Histograms {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			opts := spike.CrossCorrelationOptions{BorderCorrection: c.Border, Binary: c.Binary, Kernel: floats(c.Kernel), Coefficient: c.Coefficient}
			switch {
			case string(c.Window) == `"valid"`:
				opts.Valid = true
			case c.Window != nil:
				if err := json.Unmarshal(c.Window, &[]any{&opts.MinLag, &opts.MaxLag}); err != nil {
					t.Fatal(err)
				}
			}
			a, b := golden.Trains[c.A].train(), golden.Trains[c.B].train()
			h, err := spike.CrossCorrelationHistogram(a, b, c.Bin.time(), opts)
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			want := floats(c.Values)
			if c.Tolerance == 0 {
				diff(t, "values", h.Samples, want)
			} else if len(h.Samples) != len(want) {
				t.Errorf("%d values, want %d", len(h.Samples), len(want))
			} else {
				for k, v := range h.Samples {
					if !(math.Abs(v-want[k]) <= float64(c.Tolerance)) {
						t.Errorf("value %d is %v, want %v within %v", k, v, want[k], c.Tolerance)
					}
				}
			}
			diff(t, "first and last lag", [2]int{h.Lags[0], h.Lags[len(h.Lags)-1]}, c.Lags)
			diff(t, "number of lags", len(h.Lags), len(want))
			diff(t, "t_start", h.TStart, c.Start.time())
			diff(t, "sampling rate", h.SamplingRate, c.Rate.rate())
			diff(t, "unit", h.Unit, unit.Dimensionless)
			if err := h.Validate(); err != nil {
				t.Error(err)
			}
			var dropped, moved int // the bins are those of time histograms
			for _, train := range []spike.Train{a, b} {
				h, err := spike.TimeHistogram([]spike.Train{train}, c.Bin.time(), spike.HistogramOptions{})
				if err != nil {
					t.Fatal(err)
				}
				dropped, moved = dropped+h.Dropped, moved+h.Moved
			}
			diff(t, "dropped", h.Dropped, dropped)
			diff(t, "moved", h.Moved, moved)
		})
	}
}

func TestCovarianceGolden(t *testing.T) {
	t.Parallel()
	var golden goldenCorrelation
	readTopic(t, "correlation.json", &golden)
	if n := len(golden.Matrices); n < 30 {
		t.Fatalf("only %d matrices", n)
	}
	for _, c := range golden.Matrices {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var trains []spike.Train
			for _, k := range c.Trains {
				trains = append(trains, golden.Trains[k].train())
			}
			opts := spike.CovarianceOptions{TStart: c.TStart.time(), TStop: c.TStop.time(), Binary: c.Binary}
			for _, f := range []struct {
				name string
				f    func([]spike.Train, unit.Time, spike.CovarianceOptions) ([][]float64, error)
				want []hexFloat
			}{{"covariance", spike.Covariance, c.Covariance}, {"correlation coefficient", spike.CorrelationCoefficient, c.Correlation}} {
				got, err := f.f(trains, c.Bin.time(), opts)
				if checkRefusal(t, c.Refuse, err) {
					continue
				}
				var flat []float64
				for _, row := range got {
					flat = append(flat, row...)
				}
				diff(t, f.name, flat, floats(f.want))
			}
		})
	}
}

func TestSpikeTimeTilingCoefficientGolden(t *testing.T) {
	t.Parallel()
	var golden goldenCorrelation
	readTopic(t, "correlation.json", &golden)
	if n := len(golden.Tilings); n < 140 {
		t.Fatalf("only %d tilings", n)
	}
	for _, c := range golden.Tilings {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			got, err := spike.SpikeTimeTilingCoefficient(golden.Trains[c.A].train(), golden.Trains[c.B].train(), c.DT.time())
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			diff(t, "coefficient", got, float64(c.Value))
			if c.Bug != "" && got == float64(c.Released) {
				t.Errorf("got %v, the error of Elephant's", got)
			}
		})
	}
}

// TestCrossCorrelationHistogramProperties compares with the definition, written
// down plainly: pairs of bins at a lag.
func TestCrossCorrelationHistogramProperties(t *testing.T) {
	t.Parallel()
	rng := newRand(3)
	for n := range 100 {
		var trains [2]spike.Train
		var counts [2][]float64
		for k := range trains {
			start := float64(rng.IntN(5))
			train := spike.Train{Unit: unit.Second, TStart: start, TStop: start + 1 + float64(rng.IntN(20))}
			spikes := rng.IntN(200)
			if n%10 == 0 { // so many that there is a transform
				train.TStop, spikes = start+120+float64(rng.IntN(20)), 5000
			}
			until := train.TStop
			if n%20 == 0 { // and lags without any
				until -= 20
			}
			for range spikes {
				train.Times = append(train.Times, start+max(1, until-start)*rng.Float64())
			}
			h, err := spike.TimeHistogram([]spike.Train{train}, unit.Seconds(0.5), spike.HistogramOptions{Binary: n%2 == 1})
			if err != nil {
				t.Fatal(err)
			}
			trains[k], counts[k] = train, h.Samples
		}
		shift := int(2 * (trains[1].TStart - trains[0].TStart))
		h, err := spike.CrossCorrelationHistogram(trains[0], trains[1], unit.Seconds(0.5), spike.CrossCorrelationOptions{Binary: n%2 == 1})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, len(counts[0])+len(counts[1])-1)
		for i, a := range counts[0] {
			for j, b := range counts[1] {
				want[j-i+len(counts[0])-1] += a * b
			}
		}
		diff(t, "values", h.Samples, want)
		diff(t, "first lag", h.Lags[0], 1-len(counts[0])+shift)

		mirrored, err := spike.CrossCorrelationHistogram(trains[1], trains[0], unit.Seconds(0.5), spike.CrossCorrelationOptions{Binary: n%2 == 1, BorderCorrection: true, Coefficient: true})
		if err != nil {
			t.Fatal(err)
		}
		h, err = spike.CrossCorrelationHistogram(trains[0], trains[1], unit.Seconds(0.5), spike.CrossCorrelationOptions{Binary: n%2 == 1, BorderCorrection: true, Coefficient: true})
		if err != nil {
			t.Fatal(err)
		}
		for k, lag := range h.Lags {
			back := len(h.Lags) - 1 - k
			diff(t, "lag seen from the other train", mirrored.Lags[back], -lag)
			diff(t, "value seen from the other train", mirrored.Samples[back], h.Samples[k])
		}
		if t.Failed() {
			t.Fatalf("in round %d", n)
		}
	}
}

func TestCorrelationRefuses(t *testing.T) {
	t.Parallel()
	train := spike.Train{Times: []float64{1, 2}, Unit: unit.Second, TStop: 10}
	late := spike.Train{Times: []float64{3, 4}, Unit: unit.Second, TStart: 2.5, TStop: 10}
	outside := spike.Train{Times: []float64{3, 14}, Unit: unit.Second, TStop: 10}
	cch := func(a, b spike.Train, opts spike.CrossCorrelationOptions) func() error {
		return func() error {
			_, err := spike.CrossCorrelationHistogram(a, b, unit.Seconds(1), opts)
			return err
		}
	}
	tiling := func(a, b spike.Train, dt unit.Time) func() error {
		return func() error {
			_, err := spike.SpikeTimeTilingCoefficient(a, b, dt)
			return err
		}
	}
	tests := []struct {
		name  string
		call  func() error
		want  error
		index int // of the train to blame, or -1
		text  string
	}{
		{"second without unit", cch(train, spike.Train{TStop: 10}, spike.CrossCorrelationOptions{}), unit.ErrDimension, 1,
			"spike: train 1: wrong dimension: dimensionless is not a unit of time"},
		{"starts apart", cch(train, late, spike.CrossCorrelationOptions{}), spike.ErrLags, -1,
			"spike: bad lags: the trains start 2.5 bins apart (0.0 s and 2.5 s), want a whole number"},
		{"two ranges", cch(train, train, spike.CrossCorrelationOptions{Valid: true, MinLag: -1, MaxLag: 1}), spike.ErrLags, -1,
			"spike: bad lags: from -1 to 1 and valid ones only; give one or the other"},
		{"reversed", cch(train, train, spike.CrossCorrelationOptions{MinLag: 2, MaxLag: 1}), spike.ErrLags, -1,
			"spike: bad lags: the least (2) must be below the largest (1)"},
		{"beyond", cch(train, train, spike.CrossCorrelationOptions{MinLag: -2, MaxLag: 10}), spike.ErrLags, -1,
			"spike: bad lags: from -2 to 10, but the trains overlap from -9 to 9 only"},
		{"kernel", cch(train, train, spike.CrossCorrelationOptions{MinLag: -1, MaxLag: 1, Kernel: make([]float64, 4)}), spike.ErrKernel, -1,
			"spike: bad kernel: it has 4 weights, want at most the number of lags, 3"},
		{"kernel of nothing", cch(train, train, spike.CrossCorrelationOptions{Kernel: make([]float64, 4)}), spike.ErrKernel, -1,
			"spike: bad kernel: its weights add up to 0.0 and cannot be normalized"},
		{"dt", tiling(train, train, unit.Seconds(-1)), spike.ErrLags, -1, "spike: bad lags: dt is -1.0 s, want more than 0"},
		{"dt a bare number", tiling(train, train, unit.Time{Value: 1}), unit.ErrDimension, -1,
			"spike: dt: unit: wrong dimension: 1.0 dimensionless is not a time (want a unit of s, ms, us, ns, ps, min, h, d)"},
		{"ends", tiling(train, late, unit.Time{}), spike.ErrInterval, 1,
			"spike: train 1: bad interval: it is from 2.5 s to 10.0 s and train 0 from 0.0 s to 10.0 s"},
		{"spike outside", tiling(train, outside, unit.Time{}), spike.ErrTimes, 1, ""},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.call()
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want one that is %q", err, c.want)
			}
			index := -1
			if blamed := (*spike.TrainError)(nil); errors.As(err, &blamed) {
				index = blamed.Index
			}
			diff(t, "index", index, c.index)
			if c.text != "" {
				diff(t, "message", err.Error(), c.text)
			}
		})
	}
}

// TestTilingKeepsOrder: the spikes of a caller stay in their order.
func TestTilingKeepsOrder(t *testing.T) {
	t.Parallel()
	train := spike.Train{Times: []float64{3, 1, 2}, Unit: unit.Second, TStop: 10}
	if _, err := spike.SpikeTimeTilingCoefficient(train, train, unit.Time{}); err != nil {
		t.Fatal(err)
	}
	diff(t, "times", train.Times, []float64{3, 1, 2})
}

// The second neuron follows the first by 2 or 3 ms.
func ExampleCrossCorrelationHistogram() {
	a := spike.Train{Times: []float64{3, 20, 41, 77}, Unit: unit.Millisecond, TStop: 100}
	b := spike.Train{Times: []float64{5, 22, 44, 79}, Unit: unit.Millisecond, TStop: 100}
	h, err := spike.CrossCorrelationHistogram(a, b, unit.Milliseconds(1), spike.CrossCorrelationOptions{MinLag: -4, MaxLag: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Lags)
	fmt.Println(h.Samples, "from", h.TStart)
	// Output:
	// [-4 -3 -2 -1 0 1 2 3 4]
	// [0 0 0 0 0 0 3 1 0] from -4.5 ms
}

func ExampleCorrelationCoefficient() {
	trains := []spike.Train{
		{Times: []float64{3, 21, 42, 77}, Unit: unit.Millisecond, TStop: 100},
		{Times: []float64{5, 22, 44, 79}, Unit: unit.Millisecond, TStop: 100},
		{Times: []float64{15, 33, 54, 95}, Unit: unit.Millisecond, TStop: 100},
	}
	matrix, err := spike.CorrelationCoefficient(trains, unit.Milliseconds(10), spike.CovarianceOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range matrix {
		fmt.Printf("%5.2f\n", row)
	}
	// Output:
	// [ 1.00  1.00 -0.67]
	// [ 1.00  1.00 -0.67]
	// [-0.67 -0.67  1.00]
}

func ExampleSpikeTimeTilingCoefficient() {
	a := spike.Train{Times: []float64{1.3, 7.56, 15.87, 28.23, 30.9, 34.2, 38.2, 43.2}, Unit: unit.Millisecond, TStop: 50}
	b := spike.Train{Times: []float64{1.02, 2.71, 18.82, 28.46, 28.79, 43.6}, Unit: unit.Millisecond, TStop: 50}
	fmt.Println(spike.SpikeTimeTilingCoefficient(a, b, unit.Milliseconds(5)))
	// Output: 0.4958601655933762 <nil>
}

// BenchmarkCorrelation is of two trains of 20 Hz and 600 s, bins of 1 ms.
func BenchmarkCorrelation(b *testing.B) {
	trains, err := spike.PoissonProcess{Rate: unit.Hz(20), TStop: unit.Seconds(600)}.Trains(newRand(1), 2)
	if err != nil {
		b.Fatal(err)
	}
	bin := unit.Milliseconds(1)
	histogram := func(opts spike.CrossCorrelationOptions) func() error {
		return func() error {
			_, err := spike.CrossCorrelationHistogram(trains[0], trains[1], bin, opts)
			return err
		}
	}
	for _, c := range []struct {
		name string
		f    func() error
	}{
		{"lags=100", histogram(spike.CrossCorrelationOptions{MinLag: -100, MaxLag: 100})},
		{"lags=full", histogram(spike.CrossCorrelationOptions{})},
		{"lags=full/corrected", histogram(spike.CrossCorrelationOptions{BorderCorrection: true, Coefficient: true})},
		{"covariance", func() error { _, err := spike.Covariance(trains, bin, spike.CovarianceOptions{}); return err }},
		{"tiling", func() error {
			_, err := spike.SpikeTimeTilingCoefficient(trains[0], trains[1], unit.Time{})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
