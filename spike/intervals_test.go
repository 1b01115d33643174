package spike_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func init() {
	refusals["few"] = spike.ErrTooFew
	refusals["refractory"] = spike.ErrRefractory
	refusals["lags"] = spike.ErrLags
	refusals["kernel"] = spike.ErrKernel
}

// readTopic reads the golden file of one topic.
func readTopic(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// sampleNumbers is samples of intervals.py.
func sampleNumbers(seed uint32, n int) []float64 {
	out := make([]float64, n)
	at := 0
	for k := range out {
		seed = 1664525*seed + 1013904223
		at += 1 + int(seed>>20)
		out[k] = float64(at)
	}
	return out
}

type goldenMeasure struct {
	Refuse string
	Value  hexFloat
}

func (m goldenMeasure) check(t *testing.T, name string, got float64, err error) {
	t.Helper()
	if !checkRefusal(t, m.Refuse, err) {
		diff(t, name, got, float64(m.Value))
	}
}

type goldenIntervals struct {
	Intervals []struct {
		Name             string
		Unit             unit.Unit
		R                hexQuantity
		TStart           hexFloat `json:"t_start"`
		TStop            hexFloat `json:"t_stop"`
		Times, ISI       []hexFloat
		Intervals        []hexFloat
		Seed             uint32
		N                int
		CV, CV2, LV, LVR goldenMeasure
	}
	Strict []struct {
		Name, Refuse string
		Unit         unit.Unit
		Intervals    []hexFloat
	}
	Fanos []struct {
		Name      string
		Counts    []int
		Durations []hexQuantity
		goldenMeasure
	}
}

func TestIntervalsGolden(t *testing.T) {
	t.Parallel()
	var golden goldenIntervals
	readTopic(t, "intervals.json", &golden)
	if n := len(golden.Intervals); n < 100 {
		t.Fatalf("only %d intervals", n)
	}
	for _, c := range golden.Intervals {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			iv := spike.Intervals{Values: floats(c.Intervals), Unit: c.Unit}
			if c.Intervals == nil {
				train := goldenTrain{Times: c.Times, Unit: c.Unit, TStart: c.TStart, TStop: c.TStop}.train()
				if c.Seed != 0 {
					train.Times = sampleNumbers(c.Seed, c.N)
					for i := range train.Times {
						train.Times[i] /= 30000
					}
				}
				var err error
				if iv, err = spike.ISI(train); err != nil {
					t.Fatal(err)
				}
				diff(t, "unit", iv.Unit, c.Unit)
				if c.Seed == 0 {
					diff(t, "isi", iv.Values, floats(c.ISI))
				}
			}
			got, err := spike.CV(iv)
			c.CV.check(t, "cv", got, err)
			got, err = spike.CV2(iv)
			c.CV2.check(t, "cv2", got, err)
			got, err = spike.LV(iv)
			c.LV.check(t, "lv", got, err)
			got, err = spike.LVR(iv, c.R.time())
			c.LVR.check(t, "lvr", got, err)
		})
	}
}

func TestIntervalsRefuseUnits(t *testing.T) {
	t.Parallel()
	var golden goldenIntervals
	readTopic(t, "intervals.json", &golden)
	for _, c := range golden.Strict {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			iv := spike.Intervals{Values: floats(c.Intervals), Unit: c.Unit}
			for _, f := range []func(spike.Intervals) (float64, error){spike.CV, spike.CV2, spike.LV,
				func(iv spike.Intervals) (float64, error) { return spike.LVR(iv, unit.Time{}) }} {
				_, err := f(iv)
				checkRefusal(t, c.Refuse, err)
			}
			if _, err := spike.ISI(spike.Train{Unit: c.Unit}); !errors.Is(err, unit.ErrDimension) {
				t.Errorf("isi: got error %v", err)
			}
		})
	}
}

func TestFanoFactorGolden(t *testing.T) {
	t.Parallel()
	var golden goldenIntervals
	readTopic(t, "intervals.json", &golden)
	if len(golden.Fanos) < 20 {
		t.Fatalf("only %d Fano factors", len(golden.Fanos))
	}
	for _, c := range golden.Fanos {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			trains := make([]spike.Train, len(c.Counts))
			for i, n := range c.Counts {
				d := c.Durations[i%len(c.Durations)]
				trains[i] = spike.Train{Times: make([]float64, n), Unit: d.unit, TStop: d.value}
			}
			got, err := spike.FanoFactor(trains)
			c.check(t, "Fano factor", got, err)
		})
	}
}

// TestFanoFactorRefuses: the error names the train and both durations.
func TestFanoFactorRefuses(t *testing.T) {
	t.Parallel()
	train := func(u unit.Unit, stop float64) spike.Train { return spike.Train{Unit: u, TStop: stop} }
	tests := []struct {
		name   string
		trains []spike.Train
		want   error
		text   string
	}{
		{"longer", []spike.Train{train(unit.Second, 1), train(unit.Second, 1), train(unit.Millisecond, 2000)}, spike.ErrInterval,
			"spike: train 2: bad interval: it lasts 2.0 s and one before it 1.0 s; cut all to one duration"},
		{"shorter", []spike.Train{train(unit.Second, 3), train(unit.Second, 2)}, spike.ErrInterval,
			"spike: train 1: bad interval: it lasts 2.0 s and one before it 3.0 s; cut all to one duration"},
		{"no unit", []spike.Train{train(unit.Second, 3), {TStop: 3}}, unit.ErrDimension,
			"spike: train 1: unit: wrong dimension: 3.0 dimensionless is not a time (want a unit of s, ms, us, ns, ps, min, h, d)"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := spike.FanoFactor(c.trains)
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want one that is %q", err, c.want)
			}
			diff(t, "message", err.Error(), c.text)
		})
	}
}

func ExampleISI() {
	train := spike.Train{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10}
	intervals, err := spike.ISI(train)
	fmt.Printf("%.1f %v %v\n", intervals.Values, intervals.Unit, err)
	// Output: [4.2 2.2 2.6] s <nil>
}

// The measures of one train: 1 for a Poisson process, less for a regular one.
func ExampleCV() {
	train := spike.Train{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10}
	intervals, err := spike.ISI(train)
	if err != nil {
		fmt.Println(err)
		return
	}
	cv, _ := spike.CV(intervals)
	cv2, _ := spike.CV2(intervals)
	lv, _ := spike.LV(intervals)
	lvr, _ := spike.LVR(intervals, unit.Milliseconds(5))
	fmt.Printf("%.4f %.4f %.4f %.4f\n", cv, cv2, lv, lvr)
	// Output: 0.2880 0.3958 0.1569 0.1574
}

func ExampleFanoFactor() {
	trials := []spike.Train{
		{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10},
		{Times: []float64{1.4, 3.3, 8.2}, Unit: unit.Second, TStop: 10},
	}
	fmt.Println(spike.FanoFactor(trials))
	// Output: 0.07142857142857142 <nil>
}

// BenchmarkIntervals is of 100,000 intervals.
func BenchmarkIntervals(b *testing.B) {
	train, err := spike.PoissonProcess{Rate: unit.Hz(100), TStop: unit.Seconds(1000)}.Train(newRand(1))
	if err != nil {
		b.Fatal(err)
	}
	iv, err := spike.ISI(train)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		f    func() (float64, error)
	}{
		{"isi", func() (float64, error) { _, err := spike.ISI(train); return 0, err }},
		{"cv", func() (float64, error) { return spike.CV(iv) }},
		{"cv2", func() (float64, error) { return spike.CV2(iv) }},
		{"lv", func() (float64, error) { return spike.LV(iv) }},
		{"lvr", func() (float64, error) { return spike.LVR(iv, unit.Time{}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(iv.Values)), "ns/interval")
		})
	}
}
