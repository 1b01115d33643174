package spike_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// TestPoissonStatistics checks what defines the process: counts with mean and
// variance rate * duration, independent of one another, and exponential
// intervals. Bounds are 4 standard errors; the seed is fixed.
func TestPoissonStatistics(t *testing.T) {
	t.Parallel()
	p := spike.PoissonProcess{Rate: unit.Hz(20), TStart: unit.Seconds(5), TStop: unit.Milliseconds(15000)}
	const n, mean = 4000, 20.0 * 10
	trains, err := p.Trains(newRand(28), n)
	if err != nil {
		t.Fatal(err)
	}
	var sum, squares, early, pairs, intervals, first float64
	var all []float64
	for _, train := range trains {
		if err := train.Validate(); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(train.Times) || train.Times[len(train.Times)-1] >= train.TStop {
			t.Fatal("spikes are not sorted and before t_stop")
		}
		if train.Unit != unit.Millisecond || train.TStart != 5000 || train.TStop != 15000 {
			t.Fatalf("got %v to %v", train.Start(), train.Stop())
		}
		count := float64(len(train.Times))
		sum += count
		squares += (count - mean) * (count - mean)
		half, _ := slices.BinarySearch(train.Times, 10000)
		early += float64(half)
		pairs += (float64(half) - mean/2) * (count - float64(half) - mean/2)
		first += train.Times[0] - train.TStart
		for i := 1; i < len(train.Times); i++ {
			all = append(all, train.Times[i]-train.Times[i-1])
			intervals += train.Times[i] - train.Times[i-1]
		}
	}
	within := func(what string, got, want, standardError float64) {
		t.Helper()
		if math.Abs(got-want) > 4*standardError {
			t.Errorf("%s is %v, want %v ± %v", what, got, want, 4*standardError)
		}
	}
	within("mean count", sum/n, mean, math.Sqrt(mean/n))
	within("variance of counts", squares/n, mean, mean*math.Sqrt(2.0/n))
	within("mean count of the first half", early/n, mean/2, math.Sqrt(mean/2/n))
	within("covariance of the halves", pairs/n, 0, mean/2/math.Sqrt(n))
	within("mean time to the first spike", first/n, 50, 50/math.Sqrt(n))

	// Kolmogorov-Smirnov against 1 - exp(-x/50 ms). Intervals that the end cuts
	// off are missing, which shortens the rest by less than 1 in 200.
	slices.Sort(all)
	worst := 0.0
	for i, x := range all {
		worst = max(worst, math.Abs(float64(i)/float64(len(all))-(1-math.Exp(-x/50))))
	}
	if worst > 0.005 {
		t.Errorf("intervals differ from exponential ones by %v", worst)
	}
}

func TestPoissonIsItsStream(t *testing.T) {
	t.Parallel()
	p := spike.PoissonProcess{Rate: unit.Hz(20)}
	many, err := p.Trains(newRand(3), 3)
	if err != nil {
		t.Fatal(err)
	}
	rng := newRand(3)
	for i := range many {
		one, err := p.Train(rng)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "train", one, many[i])
	}
	if slices.Equal(many[0].Times, many[1].Times) {
		t.Error("two trains of a stream are equal")
	}
}

func TestPoissonBounds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		p    spike.PoissonProcess
		n    int
		want error
	}{
		{"too many spikes", spike.PoissonProcess{Rate: unit.Hz(1e12)}, 1, spike.ErrRate},
		{"a little below 0, where Elephant rounds up", spike.PoissonProcess{Rate: unit.Hz(-0.5)}, 1, spike.ErrRate},
		{"no rate", spike.PoissonProcess{}, 1, unit.ErrDimension},
		{"fewer than no trains", spike.PoissonProcess{Rate: unit.Hz(1)}, -1, spike.ErrNoTrains},
		{"no trains", spike.PoissonProcess{Rate: unit.Hz(1)}, 0, nil},
		// Neighbouring floats are 128 s apart here: sums of intervals must end.
		{"far from zero", spike.PoissonProcess{Rate: unit.Hz(10), TStart: unit.Seconds(1e18), TStop: unit.Seconds(1e18 + 1024)}, 1, nil},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			trains, err := c.p.Trains(newRand(1), c.n)
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want %v", err, c.want)
			}
			for _, train := range trains {
				if err := train.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
