package spike

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/parade-go/parade/unit"
)

// PoissonProcess is a stationary Poisson process: spikes at a constant rate,
// independent of one another, as Elephant's StationaryPoissonProcess.
type PoissonProcess struct {
	// Rate is the firing rate, at least 0, required.
	Rate unit.Rate
	// TStart is the beginning of the trains; unset is 0.
	TStart unit.Time
	// TStop is the end of the trains; unset is 1000 ms. Trains are in its unit.
	TStop unit.Time
}

// Train draws one train from the stream rng: intervals between spikes are
// exponential with mean 1/Rate, and so is the one from TStart to the first
// spike. Spikes are sorted and before TStop. The error wraps ErrRate,
// ErrInterval or unit.ErrDimension.
func (p PoissonProcess) Train(rng *rand.Rand) (Train, error) {
	trains, err := p.Trains(rng, 1)
	if err != nil {
		return Train{}, err
	}
	return trains[0], nil
}

// Trains draws n trains one after another from the stream rng, as n calls of
// Train do. Besides the errors of Train, n below 0 is refused.
func (p PoissonProcess) Trains(rng *rand.Rand, n int) ([]Train, error) {
	if n < 0 {
		return nil, fmt.Errorf("spike: %w: %d trains asked for", ErrNoTrains, n)
	}
	empty, rate, err := p.resolve()
	if err != nil {
		return nil, err
	}
	trains := make([]Train, n)
	for i := range trains {
		trains[i] = empty
		trains[i].Times = drawPoisson(rng, rate, empty.TStart, empty.TStop)
	}
	return trains, nil
}

// maxSpikes bounds the expected number of spikes of a train: 16 GiB of times.
const maxSpikes = 1 << 31

// resolve checks the process and gives the train without spikes, in the unit
// of TStop, and the rate per that unit.
func (p PoissonProcess) resolve() (empty Train, rate float64, err error) {
	tStop := p.TStop
	if !tStop.IsSet() {
		tStop = unit.Milliseconds(1000)
	}
	u := tStop.Unit
	if u.Dimension() != unit.DimensionTime {
		return Train{}, 0, fmt.Errorf("spike: t_stop: %w: %v is not a time", unit.ErrDimension, tStop)
	}
	start, err := inOr(p.TStart, u, 0)
	if err != nil {
		return Train{}, 0, fmt.Errorf("spike: t_start: %w", err)
	}
	if !(start < tStop.Value) {
		return Train{}, 0, fmt.Errorf("spike: %w: t_start (%v) must be before t_stop (%v)", ErrInterval, unit.Time{Value: start, Unit: u}, tStop)
	}
	r, err := p.Rate.In(u.Inverse())
	if err != nil {
		return Train{}, 0, fmt.Errorf("spike: rate: %w", err)
	}
	if !(r.Value >= 0) {
		return Train{}, 0, fmt.Errorf("spike: %w: %v, want a rate of at least 0", ErrRate, p.Rate)
	}
	if n := (tStop.Value - start) * r.Value; !(n <= maxSpikes) {
		return Train{}, 0, fmt.Errorf("spike: %w: %v from %v to %v makes %.3g spikes, want at most %.3g in a train", ErrRate, p.Rate, unit.Time{Value: start, Unit: u}, tStop, n, float64(maxSpikes))
	}
	return Train{Unit: u, TStart: start, TStop: tStop.Value}, r.Value, nil
}

// drawPoisson draws spike times in [start, stop). It sums intervals from 0 and
// not from start: far from zero the sum would lose them, or never reach stop.
func drawPoisson(rng *rand.Rand, rate, start, stop float64) []float64 {
	if rate == 0 {
		return nil
	}
	expected := (stop - start) * rate
	times := make([]float64, 0, int(expected+4*math.Sqrt(expected))+1)
	mean := 1 / rate
	elapsed := 0.0
	for {
		elapsed += float64(rng.ExpFloat64() * mean) // float64 forbids a fused multiply-add
		t := start + elapsed
		if !(t < stop) {
			return times
		}
		times = append(times, t)
	}
}
