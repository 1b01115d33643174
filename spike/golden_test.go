package spike_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// hexFloat is a float64 written in hexadecimal, so that nothing is lost.
type hexFloat float64

func (f *hexFloat) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*f = hexFloat(v)
	return err
}

// hexQuantity is [value, unit].
type hexQuantity struct {
	value float64
	unit  unit.Unit
}

func (q *hexQuantity) UnmarshalJSON(b []byte) error {
	var f hexFloat
	err := json.Unmarshal(b, &[]any{&f, &q.unit})
	q.value = float64(f)
	return err
}

func (q hexQuantity) time() unit.Time { return unit.Time{Value: q.value, Unit: q.unit} }
func (q hexQuantity) rate() unit.Rate { return unit.Rate{Value: q.value, Unit: q.unit} }

func floats(list []hexFloat) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = float64(v)
	}
	return out
}

type goldenTrain struct {
	Times  []hexFloat
	Unit   unit.Unit
	TStart hexFloat `json:"t_start"`
	TStop  hexFloat `json:"t_stop"`
	Text   string
}

func (g goldenTrain) train() spike.Train {
	return spike.Train{Times: floats(g.Times), Unit: g.Unit, TStart: float64(g.TStart), TStop: float64(g.TStop)}
}

type goldenFile struct {
	Trains     [][]goldenTrain
	Histograms []struct {
		Name, Refuse, Output, Text string
		Trains                     int
		Bin                        hexQuantity
		TStart                     hexQuantity `json:"t_start"`
		TStop                      hexQuantity `json:"t_stop"`
		Binary                     bool
		Values                     []hexFloat
		Unit                       unit.Unit
		Start, Rate, Stop          hexQuantity
		Last                       hexFloat
		Dropped, Moved             int
	}
	Rates []struct {
		Name, Refuse, Text string
		Trains, Train      int
		TStart             hexQuantity `json:"t_start"`
		TStop              hexQuantity `json:"t_stop"`
		Value              hexFloat
		Unit               unit.Unit
	}
	NewTrains []struct {
		Name, Refuse, Text string
		Times              []hexFloat
		Unit               unit.Unit
		TStart             hexQuantity `json:"t_start"`
		TStop              hexQuantity `json:"t_stop"`
		Start, Stop        hexFloat
		In                 []goldenTrain
	}
	Signals []struct {
		Name, Refuse, Text     string
		Channels, Ramp         int
		Samples                []hexFloat
		Unit                   unit.Unit
		TStart                 hexQuantity `json:"t_start"`
		Rate                   hexQuantity
		Stop, Period, Duration hexQuantity
		Times                  []hexFloat
	}
	Poisson []struct {
		Name, Refuse string
		Rate         hexQuantity
		TStart       hexQuantity `json:"t_start"`
		TStop        hexQuantity `json:"t_stop"`
		Unit         unit.Unit
		Start, Stop  hexFloat
		Empty        bool
	}
}

func readGolden(t *testing.T) goldenFile {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return g
}

// refusals maps the kinds of refusal in the golden file to errors.
var refusals = map[string]error{
	"trains":    spike.ErrNoTrains,
	"mixed":     spike.ErrMixedUnits,
	"interval":  spike.ErrInterval,
	"dimension": unit.ErrDimension,
	"bin":       spike.ErrBinSize,
	"output":    spike.ErrOutput,
	"times":     spike.ErrTimes,
	"rate":      spike.ErrRate,
}

// checkRefusal reports whether the case is a refusal, which it checks.
func checkRefusal(t *testing.T, refuse string, err error) bool {
	t.Helper()
	if refuse == "" {
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	if !errors.Is(err, refusals[refuse]) {
		t.Fatalf("got error %v, want one that is %q", err, refusals[refuse])
	}
	if first := err.Error()[0]; first < 'a' || first > 'z' {
		t.Errorf("message %q does not begin in lower case", err)
	}
	return true
}

// bits compares floats bit by bit, all NaN being one.
var bits = cmp.Comparer(func(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
})

func diff[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, bits); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestTimeHistogramGolden(t *testing.T) {
	t.Parallel()
	golden := readGolden(t)
	if n := len(golden.Histograms); n < 400 {
		t.Fatalf("only %d histograms", n)
	}
	for _, c := range golden.Histograms {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var trains []spike.Train
			for _, g := range golden.Trains[c.Trains] {
				trains = append(trains, g.train())
			}
			opts := spike.HistogramOptions{TStart: c.TStart.time(), TStop: c.TStop.time(), Binary: c.Binary}
			if c.Output != "" {
				if err := opts.Output.Set(c.Output); err != nil {
					checkRefusal(t, c.Refuse, err)
					return
				}
			}
			if c.TStart.unit == unit.Dimensionless && c.TStop.unit == unit.Dimensionless && c.Refuse == "" && c.Values == nil {
				t.Fatal("a case without result")
			}
			h, err := spike.TimeHistogram(trains, c.Bin.time(), opts)
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			diff(t, "values", h.Samples, floats(c.Values))
			diff(t, "unit", h.Unit, c.Unit)
			diff(t, "t_start", h.TStart, c.Start.time())
			diff(t, "t_stop", h.TStop(), c.Stop.time())
			diff(t, "sampling rate", h.SamplingRate, c.Rate.rate())
			times := h.Times()
			diff(t, "last time", times[len(times)-1], float64(c.Last))
			diff(t, "dropped", h.Dropped, c.Dropped)
			diff(t, "moved", h.Moved, c.Moved)
			diff(t, "trains", h.Trains, len(trains))
			if c.Text != "" {
				diff(t, "text", h.String(), c.Text)
			}
			if err := h.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMeanFiringRateGolden(t *testing.T) {
	t.Parallel()
	golden := readGolden(t)
	for _, c := range golden.Rates {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			train := golden.Trains[c.Trains][c.Train].train()
			r, err := spike.MeanFiringRateWithin(train, c.TStart.time(), c.TStop.time())
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			want := unit.Rate{Value: float64(c.Value), Unit: c.Unit}
			diff(t, "rate within window", r, want)
			diff(t, "text", r.String(), c.Text)
			if (c.TStart == hexQuantity{}) && (c.TStop == hexQuantity{}) {
				r, err := spike.MeanFiringRate(train)
				if err != nil {
					t.Fatal(err)
				}
				diff(t, "rate", r, want)
			}
		})
	}
}

func TestNewTrainGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).NewTrains {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			train, err := spike.NewTrain(floats(c.Times), c.Unit, c.TStart.time(), c.TStop.time())
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			diff(t, "train", train, spike.Train{Times: floats(c.Times), Unit: c.Unit, TStart: float64(c.Start), TStop: float64(c.Stop)})
			diff(t, "text", train.String(), c.Text)
			for _, want := range c.In {
				got, err := train.In(want.Unit)
				if err != nil {
					t.Fatal(err)
				}
				diff(t, "in "+want.Unit.String(), got, want.train())
				diff(t, "text in "+want.Unit.String(), got.String(), want.Text)
			}
		})
	}
}

func TestAnalogSignalGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Signals {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			samples := floats(c.Samples)
			for i := range c.Ramp { // (0, 1, ... 96, 0, ...) / 97
				samples = append(samples, float64(i%97)/97)
			}
			s, err := spike.NewAnalogSignal(samples, c.Channels, c.Unit, c.TStart.time(), c.Rate.rate())
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			diff(t, "text", s.String(), c.Text)
			diff(t, "t_stop", s.TStop(), c.Stop.time())
			diff(t, "sampling period", s.SamplingPeriod(), c.Period.time())
			diff(t, "duration", s.Duration(), c.Duration.time())
			times := s.Times()
			diff(t, "times", times[max(0, len(times)-3):], floats(c.Times))
		})
	}
}

func TestPoissonGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Poisson {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			train, err := spike.PoissonProcess{Rate: c.Rate.rate(), TStart: c.TStart.time(), TStop: c.TStop.time()}.Train(newRand(1))
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			if err := train.Validate(); err != nil {
				t.Fatal(err)
			}
			diff(t, "empty", len(train.Times) == 0, c.Empty)
			train.Times = nil
			diff(t, "train", train, spike.Train{Unit: c.Unit, TStart: float64(c.Start), TStop: float64(c.Stop)})
		})
	}
}
