package spike

import (
	"fmt"
	"math"

	"github.com/parade-go/parade/unit"
)

// PoissonProcess is a stationary Poisson process: spikes at a constant rate,
// independent of one another but for a refractory period, where there is one, as
// Elephant's StationaryPoissonProcess.
type PoissonProcess struct {
	// Rate is the firing rate, at least 0, required. It is the rate obtained, with
	// a refractory period as without: the intervals are shorter by as much on average.
	Rate unit.Rate
	// TStart is the beginning of the trains; unset is 0.
	TStart unit.Time
	// TStop is the end of the trains; unset is 1000 ms. Trains are in its unit.
	TStop unit.Time
	// RefractoryPeriod is the dead time after each spike; unset is none. It must
	// be shorter than 1/Rate.
	RefractoryPeriod unit.Time
	// Ordinary begins each train as if there was a spike at TStart. Otherwise
	// the process has been running for ever (equilibrium), so that the rate is the
	// same all along. They differ only where there is a refractory period.
	Ordinary bool
}

// Train draws one train from the stream rng. Intervals between spikes are
// exponential with mean 1/Rate or, with a refractory period d, d plus exponential
// with mean 1/Rate - d. Spikes are sorted and before TStop.
//
// The error wraps ErrRate, ErrInterval, ErrRefractory, unit.ErrDimension or, where
// rng is nil, ErrRandom. Unlike Elephant (up to 1.2.1), which loses TStart at the
// first spike, trains with a refractory period may begin anywhere.
func (p PoissonProcess) Train(rng Random) (Train, error) {
	trains, err := p.Trains(rng, 1)
	if err != nil {
		return Train{}, err
	}
	return trains[0], nil
}

// Trains draws n trains one after another from the stream rng, as n calls of
// Train do. Besides the errors of Train, n below 0 is refused.
func (p PoissonProcess) Trains(rng Random, n int) ([]Train, error) {
	r, err := p.resolve()
	if err != nil {
		return nil, err
	}
	return repeat(rng, n, func() (Train, error) { return r.train(rng), nil })
}

// ExpectedCV is the coefficient of variation that the intervals have: 1, or with
// a refractory period d 1 - Rate*d. The errors are those of Train.
func (p PoissonProcess) ExpectedCV() (float64, error) {
	r, err := p.resolve()
	if err != nil {
		return 0, err
	}
	return 1 - float64(r.rate*r.dead), nil
}

// repeat makes n trains one after another from the stream that draw uses.
func repeat(rng Random, n int, draw func() (Train, error)) ([]Train, error) {
	if rng == nil {
		return nil, fmt.Errorf("spike: %w: it is nil, want one such as a *rand.Rand", ErrRandom)
	}
	if n < 0 {
		return nil, fmt.Errorf("spike: %w: %d trains asked for", ErrNoTrains, n)
	}
	trains := make([]Train, n)
	for i := range trains {
		var err error
		if trains[i], err = draw(); err != nil {
			return nil, err
		}
	}
	return trains, nil
}

// maxSpikes bounds the expected number of spikes of a train: 16 GiB of times.
const maxSpikes = 1 << 31

// renewal is a process that has been checked: all numbers are in the unit of the
// trains.
type renewal struct {
	empty      Train // the train without spikes
	rate       float64
	expected   float64 // number of spikes, rounded up
	dead       float64 // refractory period
	refractory bool    // one was given, be it 0
	ordinary   bool
}

// resolve checks the process, in the unit of TStop.
func (p PoissonProcess) resolve() (renewal, error) {
	tStop := p.TStop
	if !tStop.IsSet() {
		tStop = unit.Milliseconds(1000)
	}
	u := tStop.Unit
	if u.Dimension() != unit.DimensionTime {
		return renewal{}, fmt.Errorf("spike: t_stop: %w: %v is not a time", unit.ErrDimension, tStop)
	}
	start, err := inOr(p.TStart, u, 0)
	if err != nil {
		return renewal{}, fmt.Errorf("spike: t_start: %w", err)
	}
	if !(start < tStop.Value) {
		return renewal{}, fmt.Errorf("spike: %w: t_start (%v) must be before t_stop (%v)", ErrInterval, unit.Time{Value: start, Unit: u}, tStop)
	}
	rate, err := p.Rate.In(u.Inverse())
	if err != nil {
		return renewal{}, fmt.Errorf("spike: rate: %w", err)
	}
	if !(rate.Value >= 0) {
		return renewal{}, fmt.Errorf("spike: %w: %v, want a rate of at least 0", ErrRate, p.Rate)
	}
	r := renewal{empty: Train{Unit: u, TStart: start, TStop: tStop.Value}, rate: rate.Value, refractory: p.RefractoryPeriod.IsSet(), ordinary: p.Ordinary}
	r.expected = math.Ceil((tStop.Value - start) * rate.Value)
	if !(r.expected <= maxSpikes) {
		return renewal{}, fmt.Errorf("spike: %w: %v from %v to %v makes %.3g spikes, want at most %.3g in a train", ErrRate, p.Rate, unit.Time{Value: start, Unit: u}, tStop, r.expected, float64(maxSpikes))
	}
	if r.dead, err = refractoryIn(p.RefractoryPeriod, u); err != nil {
		return renewal{}, err
	}
	if r.rate*r.dead >= 1 {
		return renewal{}, fmt.Errorf("spike: %w: 1/rate (%v) must be longer than the refractory period (%v)", ErrRate, p.Rate.Inverse(), p.RefractoryPeriod)
	}
	return r, nil
}

// refractoryIn gives a refractory period in u, 0 where it is unset.
func refractoryIn(period unit.Time, u unit.Unit) (float64, error) {
	v, err := inOr(period, u, 0)
	if err != nil {
		return 0, fmt.Errorf("spike: refractory period: %w", err)
	}
	if !(v >= 0) || math.IsInf(v, 1) {
		return 0, fmt.Errorf("spike: %w: %v, want 0 or more", ErrRefractory, period)
	}
	return v, nil
}

// train draws a train in Elephant's order: the first spike, then blocks of
// intervals, each block whole, until one has passed the end. The sums of a block
// begin at 0 and not at its first spike: far from zero they would lose intervals,
// or never reach the end. Conversions to float64 forbid fused multiply-adds.
func (r renewal) train(rng Random) Train {
	train := r.empty
	start, stop := train.TStart, train.TStop
	if r.expected == 0 {
		return train
	}
	mean := 1 / r.rate
	if r.refractory {
		mean = 1 / (r.rate / (1 - float64(r.rate*r.dead)))
	}
	last := r.first(rng, mean)
	if !(last < stop) {
		return train
	}
	train.Times = make([]float64, 1, int((stop-start)*r.rate+4*math.Sqrt(r.expected))+2)
	train.Times[0] = last
	block := int(math.Ceil(r.expected + float64(3*math.Sqrt(r.expected))))
	for last < stop {
		before, elapsed := last, 0.0
		for range block {
			elapsed += float64(rng.ExpFloat64()*mean) + r.dead
			if last = before + elapsed; last < stop {
				train.Times = append(train.Times, last)
			}
		}
	}
	return train
}

// first draws the first spike. In equilibrium the time to it has the density
// rate * P(interval > t), drawn by inversion: uniform over the dead time, and
// exponential after it (Deger et al. 2012).
func (r renewal) first(rng Random, mean float64) float64 {
	if r.ordinary || !r.refractory {
		return float64(rng.ExpFloat64()*mean) + r.dead + r.empty.TStart
	}
	u, dead := rng.Float64(), float64(r.rate*r.dead)
	if u <= dead {
		return u/r.rate + r.empty.TStart
	}
	return (math.Log(1-dead)-math.Log(1-u))/(r.rate/(1-dead)) + r.dead + r.empty.TStart
}
