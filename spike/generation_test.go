package spike_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/parade-go/parade/mt19937"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

var _ spike.Random = (*rand.Rand)(nil)

func init() { refusals["signal"] = spike.ErrSignal }

// goldenDraw is a train of generation.json: every step-th of n spikes.
type goldenDraw struct {
	N, Step int
	Times   []hexFloat
}

type goldenProcess struct {
	Name, Refuse         string
	Rate                 hexQuantity
	TStart               hexQuantity `json:"t_start"`
	TStop                hexQuantity `json:"t_stop"`
	Refractory           hexQuantity
	Ordinary             bool
	CV                   hexFloat
	Seed                 uint32
	Trains               []goldenDraw
	Unit                 unit.Unit
	Start, Stop, After   hexFloat
	Uniform, Exponential []hexFloat
	Signal               int
}

func (g goldenProcess) process() spike.PoissonProcess {
	return spike.PoissonProcess{Rate: g.Rate.rate(), TStart: g.TStart.time(), TStop: g.TStop.time(), RefractoryPeriod: g.Refractory.time(), Ordinary: g.Ordinary}
}

// generation.json, made by generation.py.
type generationFile struct {
	Poisson, Exact, Refused, Modulated []goldenProcess
	Signals                            []struct {
		Samples  []hexFloat
		Channels int
		Unit     unit.Unit
		TStart   hexQuantity `json:"t_start"`
		Rate     hexQuantity
	}
}

func (g generationFile) modulated(c goldenProcess) spike.RateModulatedPoisson {
	s := g.Signals[c.Signal]
	return spike.RateModulatedPoisson{
		Rate:             spike.AnalogSignal{Samples: floats(s.Samples), Channels: max(1, s.Channels), Unit: s.Unit, TStart: s.TStart.time(), SamplingRate: s.Rate.rate()},
		RefractoryPeriod: c.Refractory.time(),
	}
}

// readJSON reads a golden file.
func readJSON[T any](t *testing.T, path string) T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g T
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// sumTolerance is that of sums of logarithms, as a part of the largest time.
const sumTolerance = 2e-15

// checkDraws compares trains with Elephant's.
func checkDraws(t *testing.T, c goldenProcess, trains []spike.Train, tolerance float64) {
	t.Helper()
	if len(trains) != len(c.Trains) {
		t.Fatalf("got %d trains, want %d", len(trains), len(c.Trains))
	}
	for k, train := range trains {
		if err := train.Validate(); err != nil {
			t.Error(err)
		}
		if len(train.Times) != c.Trains[k].N {
			t.Errorf("train %d has %d spikes, want %d", k, len(train.Times), c.Trains[k].N)
			continue
		}
		most := max(math.Abs(train.TStart), math.Abs(train.TStop)) * tolerance
		for i, want := range c.Trains[k].Times {
			i *= c.Trains[k].Step
			if got := train.Times[i]; math.Abs(got-float64(want)) > most {
				t.Errorf("spike %d of train %d is at %v, want %v", i, k, got, float64(want))
				break
			}
		}
	}
}

func TestPoissonSeedGolden(t *testing.T) {
	t.Parallel()
	golden := readJSON[generationFile](t, "testdata/generation.json")
	if n := len(golden.Poisson); n < 150 {
		t.Fatalf("only %d cases", n)
	}
	for _, c := range golden.Poisson {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			p, rng := c.process(), mt19937.New(c.Seed)
			trains, err := p.Trains(rng, len(c.Trains))
			if err != nil {
				t.Fatal(err)
			}
			checkDraws(t, c, trains, sumTolerance)
			diff(t, "a number after the trains", rng.Float64(), float64(c.After))
			trains[0].Times = nil
			diff(t, "train", trains[0], spike.Train{Unit: c.Unit, TStart: float64(c.Start), TStop: float64(c.Stop)})
			cv, err := p.ExpectedCV()
			if err != nil {
				t.Error(err)
			}
			diff(t, "expected CV", cv, float64(c.CV))
		})
	}
}

// replay gives out numbers that were drawn elsewhere.
type replay struct{ uniform, exponential []hexFloat }

func (r *replay) Float64() float64 {
	v := r.uniform[0]
	r.uniform = r.uniform[1:]
	return float64(v)
}

func (r *replay) ExpFloat64() float64 {
	v := r.exponential[0]
	r.exponential = r.exponential[1:]
	return float64(v)
}

func (r *replay) Shuffle(int, func(i, j int)) { panic("not drawn") }

func TestPoissonExactGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readJSON[generationFile](t, "testdata/generation.json").Exact {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			rng := &replay{c.Uniform, c.Exponential}
			trains, err := c.process().Trains(rng, len(c.Trains))
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 0.0
			if len(c.Uniform) > 0 { // the first spike after a dead time is a logarithm
				tolerance = sumTolerance
			}
			checkDraws(t, c, trains, tolerance)
			if len(rng.uniform) > 0 || len(rng.exponential) > 0 {
				t.Errorf("%d uniform and %d exponential numbers were not drawn", len(rng.uniform), len(rng.exponential))
			}
		})
	}
}

func TestPoissonRefractoryRefused(t *testing.T) {
	t.Parallel()
	for _, c := range readJSON[generationFile](t, "testdata/generation.json").Refused {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			_, err := c.process().Train(newRand(1))
			checkRefusal(t, c.Refuse, err)
			_, err = c.process().ExpectedCV()
			checkRefusal(t, c.Refuse, err)
		})
	}
	for _, d := range []float64{-1, math.NaN(), math.Inf(1)} { // Elephant draws negative intervals, or nothing but NaN
		_, err := spike.PoissonProcess{Rate: unit.Hz(10), RefractoryPeriod: unit.Milliseconds(d)}.Train(newRand(1))
		if !errors.Is(err, spike.ErrRefractory) {
			t.Errorf("refractory period %v: got error %v, want %v", d, err, spike.ErrRefractory)
		}
	}
}

func TestRateModulatedPoissonGolden(t *testing.T) {
	t.Parallel()
	golden := readJSON[generationFile](t, "testdata/generation.json")
	if n := len(golden.Modulated); n < 150 {
		t.Fatalf("only %d cases", n)
	}
	for _, c := range golden.Modulated {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			rng := mt19937.New(c.Seed)
			trains, err := golden.modulated(c).Trains(rng, 2)
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			checkDraws(t, c, trains, sumTolerance)
			diff(t, "a number after the trains", rng.Float64(), float64(c.After))
			trains[0].Times = nil
			diff(t, "train", trains[0], spike.Train{Unit: c.Unit, TStart: float64(c.Start), TStop: float64(c.Stop)})
		})
	}
}

// moments gives the mean and the coefficient of variation.
func moments(v []float64) (mean, cv float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	squares := 0.0
	for _, x := range v {
		squares += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(squares) / mean
}

func within(t *testing.T, what string, got, want, standardError float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 4*standardError) {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, 4*standardError)
	}
}

// TestPoissonRefractoryStatistics checks what a dead time may not change, the
// rate, and what it must, the intervals. Bounds are 4 standard errors; the seeds
// are fixed.
func TestPoissonRefractoryStatistics(t *testing.T) {
	t.Parallel()
	const rate, dead, duration, n = 50.0, 0.008, 10.0, 400
	for _, start := range []float64{0, 5, 1e9} {
		for _, ordinary := range []bool{false, true} {
			t.Run(fmt.Sprintf("from %v s, ordinary=%t", start, ordinary), func(t *testing.T) {
				t.Parallel()
				p := spike.PoissonProcess{Rate: unit.Hz(rate), TStart: unit.Seconds(start), TStop: unit.Seconds(start + duration), RefractoryPeriod: unit.Milliseconds(1e3 * dead), Ordinary: ordinary}
				trains, err := p.Trains(newRand(28), n)
				if err != nil {
					t.Fatal(err)
				}
				ulp := math.Nextafter(start+duration, math.Inf(1)) - start - duration
				var intervals []float64
				var count, first, early float64
				for _, train := range trains {
					count += float64(len(train.Times)) / n
					first += (train.Times[0] - start) / n
					for i, x := range train.Times {
						if x < start+0.02 {
							early++
						}
						if i > 0 {
							intervals = append(intervals, x-train.Times[i-1])
						}
					}
				}
				for _, x := range intervals {
					if x < dead-2*ulp {
						t.Fatalf("an interval of %v s, within the dead time", x)
					}
				}
				wantCV, err := p.ExpectedCV()
				if err != nil {
					t.Fatal(err)
				}
				diff(t, "expected CV", wantCV, 1-rate*dead)
				mean, cv := moments(intervals)
				m := math.Sqrt(float64(len(intervals)))
				within(t, "CV", cv, wantCV, wantCV/m)
				within(t, "mean interval", mean, 1/rate, wantCV/rate/m)
				// The variance of counts is about CV^2 times that without dead time. An
				// ordinary process starts (1-CV^2)/2 spikes behind.
				lost, firstSpike, deviation := 0.0, dead/2*rate*dead+(1-rate*dead)*(dead+(1/rate-dead)), 1/rate
				if ordinary {
					lost, firstSpike = (1-wantCV*wantCV)/2, 1/rate
				}
				within(t, "mean count", count, rate*duration-lost, wantCV*math.Sqrt(rate*duration/n))
				within(t, "mean time to the first spike", first, firstSpike, deviation/math.Sqrt(n))
				if !ordinary { // the rate is there from the start
					within(t, "spikes of the first 20 ms", early, 0.02*rate*n, math.Sqrt(0.02*rate*n))
				}
			})
		}
	}
}

// TestPoissonFarFromZero checks that a rate is obtained where times are coarse: at
// 1e9 s floats are 0.12 us apart, at 1e12 s 0.12 ms.
func TestPoissonFarFromZero(t *testing.T) {
	t.Parallel()
	for _, start := range []float64{1e9, 1e12, -1e12} {
		p := spike.PoissonProcess{Rate: unit.Hz(1000), TStart: unit.Seconds(start), TStop: unit.Seconds(start + 1000)}
		train, err := p.Train(newRand(4))
		if err != nil {
			t.Fatal(err)
		}
		within(t, fmt.Sprintf("count from %v s", start), float64(len(train.Times)), 1e6, 1e3)
		half := 0
		for _, x := range train.Times {
			if x < start+500 {
				half++
			}
		}
		within(t, fmt.Sprintf("count of the first half from %v s", start), float64(half), 5e5, math.Sqrt(5e5))
	}
}

func TestRateModulatedPoissonStatistics(t *testing.T) {
	t.Parallel()
	const n, samples, period = 1000, 100, 0.02
	rates := make([]float64, samples)
	for k := range rates {
		rates[k] = max(0, 40*math.Sin(float64(k)/8))
	}
	for _, start := range []float64{0, -1, 1e9} {
		for _, dead := range []float64{0, 0.002} {
			t.Run(fmt.Sprintf("from %v s, dead time %v s", start, dead), func(t *testing.T) {
				t.Parallel()
				p := spike.RateModulatedPoisson{Rate: spike.AnalogSignal{Samples: rates, Channels: 1, Unit: unit.Hertz, TStart: unit.Seconds(start), SamplingRate: unit.Hz(1 / period)}}
				if dead > 0 {
					p.RefractoryPeriod = unit.Seconds(dead)
				}
				trains, err := p.Trains(newRand(28), n)
				if err != nil {
					t.Fatal(err)
				}
				var counts [samples + 1]float64
				for _, train := range trains {
					if err := train.Validate(); err != nil {
						t.Fatal(err)
					}
					for i, x := range train.Times {
						counts[min(int((x-start)/period), samples)]++
						if i > 0 && x-train.Times[i-1] < dead-1e-6 {
							t.Fatalf("an interval of %v s, within the dead time", x-train.Times[i-1])
						}
					}
				}
				for k, r := range rates {
					want := n * period * r
					within(t, fmt.Sprintf("spikes of sample %d", k), counts[k], want, math.Sqrt(want))
				}
				diff(t, "spikes after the end", counts[samples], 0)
			})
		}
	}
}

func TestRateModulatedPoissonBounds(t *testing.T) {
	t.Parallel()
	signal := func(rates ...float64) spike.AnalogSignal {
		return spike.AnalogSignal{Samples: rates, Channels: 1, Unit: unit.Hertz, TStart: unit.Seconds(0), SamplingRate: unit.Hz(10)}
	}
	tests := []struct {
		name string
		p    spike.RateModulatedPoisson
		n    int
		want error
	}{
		{"no signal", spike.RateModulatedPoisson{}, 1, spike.ErrSignal},
		{"too many spikes", spike.RateModulatedPoisson{Rate: signal(1e12)}, 1, spike.ErrRate},
		{"negative dead time", spike.RateModulatedPoisson{Rate: signal(1), RefractoryPeriod: unit.Seconds(-1)}, 1, spike.ErrRefractory},
		{"fewer than no trains", spike.RateModulatedPoisson{Rate: signal(1)}, -1, spike.ErrNoTrains},
		{"no trains", spike.RateModulatedPoisson{Rate: signal(1)}, 0, nil},
		{"too far from zero for a duration", spike.RateModulatedPoisson{Rate: spike.AnalogSignal{Samples: []float64{1}, Channels: 1, Unit: unit.Hertz, TStart: unit.Seconds(1e18), SamplingRate: unit.Hz(10)}}, 1, spike.ErrInterval},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.p.Trains(newRand(1), c.n); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

// edges draws spikes at the first and beside the last operational time.
type edges struct{ exponential []float64 }

func (e *edges) Float64() float64            { return 0 }
func (e *edges) Shuffle(int, func(i, j int)) {}
func (e *edges) ExpFloat64() float64 {
	v := 1.0
	if len(e.exponential) > 0 {
		v, e.exponential = e.exponential[0], e.exponential[1:]
	}
	return v
}

// TestRateModulatedPoissonEdges is where Elephant fails: a spike at t_start, which
// is of the first sample with a rate, and one after the last operational time.
func TestRateModulatedPoissonEdges(t *testing.T) {
	t.Parallel()
	// Three times 0.1 is less than 0.3 in floats, and the mean 7 more than a third of the sum.
	for _, rates := range [][]float64{{7, 7, 7}, {0, 7, 7}, {0, 0.1, 0.7, 0.2, 0}, {0, 1.0 / 3, 1.0 / 7, 1.0 / 9, 0}} {
		p := spike.RateModulatedPoisson{Rate: spike.AnalogSignal{Samples: rates, Channels: 1, Unit: unit.Hertz, TStart: unit.Seconds(0), SamplingRate: unit.Hz(1 / 0.3)}}
		mean, _ := moments(rates)
		stop := p.Rate.TStop().Value
		silent, end := 0, len(rates)
		for rates[silent] == 0 {
			silent++
		}
		for rates[end-1] == 0 {
			end--
		}
		times := p.Rate.Times()
		times = append(times, stop)
		for ulps := range 4 {
			late := stop
			for range ulps + 1 {
				late = math.Nextafter(late, 0)
			}
			train, err := p.Train(&edges{exponential: []float64{0, late * mean}})
			if err != nil {
				t.Fatal(err)
			}
			if err := train.Validate(); err != nil {
				t.Error(err)
			}
			if len(train.Times) == 0 || train.Times[0] != times[silent] {
				t.Errorf("rates %v: first spike of %v, want it at %v", rates, train.Times, times[silent])
			}
			if n := len(train.Times); n == 2 && math.Abs(train.Times[1]-times[end]) > 1e-12 {
				t.Errorf("rates %v: last spike of %v, want it at %v", rates, train.Times, times[end])
			}
		}
	}
}

// TestNilStream: what draws at random says so where it has nothing to draw from.
func TestNilStream(t *testing.T) {
	t.Parallel()
	signal := spike.AnalogSignal{Samples: []float64{20, 20}, Channels: 1, Unit: unit.Hertz, TStart: unit.Seconds(0), SamplingRate: unit.Hz(1)}
	train := spike.Train{Times: []float64{1, 2, 3}, Unit: unit.Second, TStop: 4}
	for name, draw := range map[string]func(spike.Random) (spike.Train, error){
		"Poisson":        spike.PoissonProcess{Rate: unit.Hz(20)}.Train,
		"rate modulated": spike.RateModulatedPoisson{Rate: signal}.Train,
		"surrogate": func(rng spike.Random) (spike.Train, error) {
			return spike.Surrogate{Method: spike.RandomiseSpikes}.Train(rng, train)
		},
	} {
		if _, err := draw(newRand(1)); err != nil {
			t.Errorf("%s: got error %v with a stream", name, err)
		}
		if _, err := draw(nil); !errors.Is(err, spike.ErrRandom) {
			t.Errorf("%s: got error %v, want one that is %q", name, err, spike.ErrRandom)
		}
	}
}
