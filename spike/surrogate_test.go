package spike_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"testing"

	"github.com/parade-go/parade/mt19937"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func init() { refusals["surrogate"] = spike.ErrSurrogate }

type goldenSurrogate struct {
	Method      spike.SurrogateMethod
	Train       int
	Seed        uint32
	Stream      string
	Dither      hexQuantity
	Refractory  hexQuantity
	Keep        bool
	Bin         hexQuantity
	Length, Gap hexQuantity
	Limit       hexQuantity
	Bins        int
	Sigma       hexQuantity
	Sqrt        bool
	Whole       bool
	NoCutoff    bool `json:"no_cutoff"`
	Refuse      string
	Exception   string // Elephant's, where it fails
	Made        []struct {
		goldenDraw
		CRC uint32
	}
	After []hexFloat
}

func (g goldenSurrogate) surrogate() spike.Surrogate {
	return spike.Surrogate{
		Method: g.Method, Dither: g.Dither.time(), RefractoryPeriod: g.Refractory.time(), KeepOutside: g.Keep, BinSize: g.Bin.time(),
		TrialLength: g.Length.time(), TrialSeparation: g.Gap.time(),
		JointISI: spike.JointISI{TruncationLimit: g.Limit.time(), Bins: g.Bins, Sigma: g.Sigma.time(), SquareRoot: g.Sqrt, WholeRange: g.Whole, NoCutoff: g.NoCutoff},
	}
}

func (g goldenSurrogate) name(i int) string {
	return fmt.Sprintf("%v %d of train %d, %v", g.Method, i, g.Train, g.Dither.time())
}

// surrogates.json, made by surrogates.py.
type surrogateFile struct {
	Trains         []goldenTrain
	Cases, Refused []goldenSurrogate
}

// bothStreams are those of Elephant: numpy.random.shuffle, and random.random of
// Python.
type bothStreams struct{ numpy, python *mt19937.RandomState }

func (s bothStreams) Float64() float64                   { return s.python.Float64() }
func (s bothStreams) ExpFloat64() float64                { return s.numpy.ExpFloat64() }
func (s bothStreams) Shuffle(n int, swap func(i, j int)) { s.numpy.Shuffle(n, swap) }

// checksum is the CRC-32 of numbers in little-endian order.
func checksum(v []float64) uint32 {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return crc32.ChecksumIEEE(b)
}

func TestSurrogateGolden(t *testing.T) {
	t.Parallel()
	golden := readJSON[surrogateFile](t, "testdata/surrogates.json")
	if n := len(golden.Cases); n < 800 {
		t.Fatalf("only %d cases", n)
	}
	for i, c := range golden.Cases {
		t.Run(c.name(i), func(t *testing.T) {
			t.Parallel()
			train := golden.Trains[c.Train].train()
			train.Name = "a name"
			before := slices.Clone(train.Times)
			streams := bothStreams{mt19937.New(c.Seed), mt19937.NewFromKey(c.Seed)}
			var rng spike.Random
			switch c.Stream {
			case "numpy":
				rng = streams.numpy
			case "python":
				rng = streams.python
			default:
				rng = streams
			}
			surrogates, err := c.surrogate().Trains(rng, train, max(1, len(c.Made)))
			if err != nil {
				t.Fatal(err)
			}
			for k, s := range surrogates {
				if err := s.Validate(); err != nil {
					t.Error(err)
				}
				if !slices.IsSorted(s.Times) {
					t.Error("spikes are not sorted")
				}
				if c.Exception != "" {
					continue
				}
				want := c.Made[k]
				sum := checksum(s.Times)
				if len(s.Times) != want.N {
					t.Fatalf("surrogate %d has %d spikes, want %d", k, len(s.Times), want.N)
				}
				var some []float64
				for i := 0; i < len(s.Times); i += want.Step {
					some = append(some, s.Times[i])
				}
				diff(t, "times", append([]float64{}, some...), floats(want.Times))
				diff(t, "checksum", sum, want.CRC)
			}
			if c.Exception == "" {
				diff(t, "numbers after the surrogates", []float64{streams.numpy.Float64(), streams.python.Float64()}, floats(c.After))
			}
			diff(t, "the train itself", train.Times, before)
			train.Times, surrogates[0].Times = nil, nil
			diff(t, "train", surrogates[0], train)
		})
	}
}

func TestSurrogateRefused(t *testing.T) {
	t.Parallel()
	golden := readJSON[surrogateFile](t, "testdata/surrogates.json")
	for i, c := range golden.Refused {
		t.Run(c.name(i), func(t *testing.T) {
			t.Parallel()
			_, err := c.surrogate().Train(newRand(1), golden.Trains[c.Train].train())
			checkRefusal(t, c.Refuse, err)
		})
	}
	// What Elephant takes, to no good end.
	train := spike.Train{Times: []float64{1, 2, 3, 4}, Unit: unit.Second, TStop: 5}
	ms := unit.Milliseconds
	for _, c := range []struct {
		name      string
		surrogate spike.Surrogate
		train     spike.Train
		n         int
		want      error
	}{
		{"negative dither", spike.Surrogate{Method: spike.DitherSpikes, Dither: ms(-1)}, train, 1, spike.ErrSurrogate},
		{"dither nan", spike.Surrogate{Dither: ms(math.NaN())}, train, 1, spike.ErrSurrogate},
		{"dither infinite", spike.Surrogate{Method: spike.TrialShifting, Dither: ms(math.Inf(1))}, train, 1, spike.ErrSurrogate},
		{"dither of trials in Hz", spike.Surrogate{Method: spike.TrialShifting, Dither: unit.Time{Value: 1, Unit: unit.Hertz}}, train, 1, unit.ErrDimension},
		{"negative refractory period", spike.Surrogate{Method: spike.DitherSpikes, Dither: ms(1), RefractoryPeriod: ms(-1)}, train, 1, spike.ErrRefractory},
		{"negative refractory period of intervals", spike.Surrogate{Method: spike.ISIDithering, RefractoryPeriod: ms(-1)}, train, 1, spike.ErrRefractory},
		{"infinite bins", spike.Surrogate{Method: spike.JitterSpikes, BinSize: ms(math.Inf(1))}, train, 1, spike.ErrBinSize},
		{"more bins than can be", spike.Surrogate{Method: spike.BinShuffling, Dither: unit.Nanoseconds(2), BinSize: unit.Nanoseconds(1)}, train, 1, spike.ErrBinSize},
		{"more bins in a window than can be", spike.Surrogate{Method: spike.BinShuffling, Dither: ms(1e15), BinSize: ms(1)}, train, 1, spike.ErrSurrogate},
		{"more trials than can be", spike.Surrogate{Method: spike.TrialShifting, Dither: ms(1), TrialLength: ms(1e-9)}, train, 1, spike.ErrSurrogate},
		{"negative time between trials", spike.Surrogate{Method: spike.TrialShifting, Dither: ms(1), TrialLength: ms(10), TrialSeparation: ms(-1)}, train, 1, spike.ErrSurrogate},
		{"no duration", spike.Surrogate{Method: spike.TrialShifting, Dither: ms(1)}, spike.Train{Unit: unit.Second}, 1, spike.ErrSurrogate},
		{"too many bins of intervals", spike.Surrogate{Method: spike.JointISIDithering, JointISI: spike.JointISI{Bins: spike.MaxJointISIBins + 1}}, train, 1, spike.ErrSurrogate},
		{"a dither of too many bins", spike.Surrogate{Method: spike.JointISIDithering, Dither: unit.Seconds(1e9)}, train, 1, spike.ErrSurrogate},
		{"too wide a Gaussian", spike.Surrogate{Method: spike.JointISIDithering, JointISI: spike.JointISI{Sigma: unit.Seconds(1e9)}}, train, 1, spike.ErrSurrogate},
		{"no such method", spike.Surrogate{Method: 200}, train, 1, spike.ErrSurrogate},
		{"no valid train", spike.Surrogate{Method: spike.ShuffleISIs}, spike.Train{Times: []float64{9}, Unit: unit.Second, TStop: 5}, 1, spike.ErrTimes},
		{"a train without end", spike.Surrogate{Method: spike.RandomiseSpikes}, spike.Train{Times: []float64{9}, Unit: unit.Second, TStop: math.Inf(1)}, 1, spike.ErrInterval},
		{"fewer than no surrogates", spike.Surrogate{Method: spike.ShuffleISIs}, train, -1, spike.ErrNoTrains},
		{"no surrogates", spike.Surrogate{Method: spike.ShuffleISIs}, train, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.surrogate.Trains(newRand(1), c.train, c.n); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

func TestSurrogateMethodText(t *testing.T) {
	t.Parallel()
	for m := spike.DitherSpikeTrain; m <= spike.ISIDithering; m++ {
		text, err := m.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got spike.SurrogateMethod
		if err := got.Set(string(text)); err != nil || got != m {
			t.Errorf("%s reads as %v, %v", text, got, err)
		}
	}
	if _, err := spike.ParseSurrogateMethod("dither"); !errors.Is(err, spike.ErrSurrogate) {
		t.Errorf("an unknown name: got error %v, want %v", err, spike.ErrSurrogate)
	}
	if _, err := spike.SurrogateMethod(200).MarshalText(); !errors.Is(err, spike.ErrSurrogate) {
		t.Errorf("an unknown method: got error %v, want %v", err, spike.ErrSurrogate)
	}
}

// TestSurrogateProperties checks what each method promises to keep, for trains
// that Elephant has wrong and for a stream of Go.
func TestSurrogateProperties(t *testing.T) {
	t.Parallel()
	const ms = 1e-3
	for _, start := range []float64{0, -7, 1234.5, 1e9} {
		train, err := spike.PoissonProcess{Rate: unit.Hz(30), TStart: unit.Seconds(start), TStop: unit.Seconds(start + 20), RefractoryPeriod: unit.Milliseconds(2)}.Train(newRand(7))
		if err != nil {
			t.Fatal(err)
		}
		train.Times = append(train.Times, start+20)                                                 // a spike on the last edge
		slack := max(1e-12, 4*(math.Nextafter(math.Abs(start)+20, math.Inf(1))-math.Abs(start)-20)) // sums are rounded
		near := func(most float64) func(a, b []float64) bool {
			return func(a, b []float64) bool {
				return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) <= most+slack })
			}
		}
		intervals := func(v []float64) []float64 {
			d := []float64{v[0] - start}
			for i := 1; i < len(v); i++ {
				d = append(d, v[i]-v[i-1])
			}
			return d
		}
		sorted := func(v []float64) []float64 { return slices.Sorted(slices.Values(v)) }
		bins := func(v []float64, size float64) []float64 {
			out := make([]float64, len(v))
			for i, x := range v {
				out[i] = min(math.Floor((x-start)/size), 20/size-1)
			}
			return out
		}
		for _, c := range []struct {
			s    spike.Surrogate
			keep func(made, of []float64) bool
		}{
			{spike.Surrogate{Method: spike.DitherSpikes, Dither: unit.Milliseconds(15), RefractoryPeriod: unit.Milliseconds(2)}, func(made, of []float64) bool {
				return near(15*ms)(made, of) && slices.Min(intervals(made)[1:]) >= min(2*ms, slices.Min(intervals(of)[1:]))-slack
			}},
			{spike.Surrogate{Method: spike.DitherSpikes, Dither: unit.Milliseconds(15), KeepOutside: true}, near(15 * ms)},
			{spike.Surrogate{Method: spike.DitherSpikeTrain, Dither: unit.Milliseconds(15), KeepOutside: true}, near(15 * ms)},
			{spike.Surrogate{Method: spike.JitterSpikes, BinSize: unit.Milliseconds(50)}, func(made, of []float64) bool {
				return near(50*ms)(made, of) && (start == 1e9 || slices.Equal(bins(made, 0.05), bins(of, 0.05)))
			}},
			{spike.Surrogate{Method: spike.RandomiseSpikes}, near(20)},
			{spike.Surrogate{Method: spike.ShuffleISIs}, func(made, of []float64) bool { return near(0)(sorted(intervals(made)), sorted(intervals(of))) }},
			{spike.Surrogate{Method: spike.BinShuffling, Dither: unit.Milliseconds(50), BinSize: unit.Milliseconds(5)}, func(made, of []float64) bool {
				return len(made) >= len(of)-2
			}},
			{spike.Surrogate{Method: spike.TrialShifting, Dither: unit.Seconds(1)}, func(made, of []float64) bool { return len(made) == len(of) }},
			{spike.Surrogate{Method: spike.TrialShifting, Dither: unit.Seconds(1), TrialLength: unit.Seconds(2)}, func(made, of []float64) bool {
				return len(made) == len(of) && near(2)(made, of)
			}},
			{spike.Surrogate{Method: spike.JointISIDithering}, func(made, of []float64) bool { return near(20)(made, of) && made[0] == of[0] }},
			{spike.Surrogate{Method: spike.ISIDithering, JointISI: spike.JointISI{WholeRange: true}}, func(made, of []float64) bool {
				return near(20)(made, of) && made[0] == of[0]
			}},
		} {
			t.Run(fmt.Sprintf("%v from %v s", c.s.Method, start), func(t *testing.T) {
				t.Parallel()
				made, err := c.s.Trains(newRand(3), train, 5)
				if err != nil {
					t.Fatal(err)
				}
				rng := newRand(3)
				for i, m := range made {
					one, err := c.s.Train(rng, train)
					if err != nil {
						t.Fatal(err)
					}
					diff(t, "one of several, and one by itself", one, m)
					if err := m.Validate(); err != nil {
						t.Error(err)
					}
					if !slices.IsSorted(m.Times) {
						t.Error("spikes are not sorted")
					}
					if !c.keep(m.Times, train.Times) {
						t.Errorf("surrogate %d does not keep what it should", i)
					}
					if slices.Equal(m.Times, train.Times) || i > 0 && slices.Equal(m.Times, made[i-1].Times) {
						t.Errorf("surrogate %d changes nothing", i)
					}
				}
			})
		}
	}
}

// TestSurrogateEdgeOfTrials: a spike where two trials touch is there once.
func TestSurrogateEdgeOfTrials(t *testing.T) {
	t.Parallel()
	train := spike.Train{Times: []float64{0, 1, 2, 3}, Unit: unit.Second, TStop: 3}
	s := spike.Surrogate{Method: spike.TrialShifting, Dither: unit.Seconds(0.25), TrialLength: unit.Seconds(1)}
	made, err := s.Train(newRand(1), train)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Times) != 4 {
		t.Errorf("got %v, want four spikes", made)
	}
}

func BenchmarkSurrogate(b *testing.B) {
	train, err := spike.PoissonProcess{Rate: unit.Hz(20), TStop: unit.Seconds(100)}.Train(newRand(1))
	if err != nil {
		b.Fatal(err)
	}
	for m := spike.DitherSpikeTrain; m <= spike.ISIDithering; m++ {
		b.Run(m.String(), func(b *testing.B) {
			rng := newRand(1)
			s := spike.Surrogate{Method: m, Dither: unit.Milliseconds(15), BinSize: unit.Milliseconds(5)}
			for b.Loop() {
				if _, err := s.Train(rng, train); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(train.Times)), "ns/spike")
		})
	}
}
