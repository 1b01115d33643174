package spike

import (
	"fmt"
	"math"
	"slices"

	"github.com/parade-go/parade/unit"
)

// RateModulatedPoisson is a Poisson process whose rate changes in time, as
// Elephant's NonStationaryPoissonProcess.
type RateModulatedPoisson struct {
	// Rate is the firing rate, a signal of one channel in a unit of rate, at least
	// 0 everywhere. Each sample holds from its time to that of the next one. Trains
	// last from its TStart to its TStop, in the unit of its TStart.
	Rate AnalogSignal
	// RefractoryPeriod is the dead time after each spike; unset is none. It must be
	// shorter than 1/Rate everywhere. The rate obtained is close to Rate, as far
	// as that changes little within a refractory period.
	RefractoryPeriod unit.Time
}

// Train draws one train from the stream rng: a stationary process in operational
// time, the integral of the rate, is brought back to real time. With a refractory
// period d the rate is raised to rate/(1 - rate*d) first, and spikes within d
// after another are left out. Spikes are sorted.
//
// The error wraps ErrSignal for a signal without samples, of more channels or of
// no duration, ErrRate for a rate below 0, or too high for a train or the
// refractory period, ErrRefractory, unit.ErrDimension or, where rng is nil,
// ErrRandom.
func (p RateModulatedPoisson) Train(rng Random) (Train, error) {
	trains, err := p.Trains(rng, 1)
	if err != nil {
		return Train{}, err
	}
	return trains[0], nil
}

// Trains draws n trains one after another from the stream rng, as n calls of
// Train do, but for less work. Besides the errors of Train, n below 0 is refused.
func (p RateModulatedPoisson) Trains(rng Random, n int) ([]Train, error) {
	m, err := p.resolve()
	if err != nil {
		return nil, err
	}
	return repeat(rng, n, func() (Train, error) { return m.train(rng), nil })
}

// modulation is a process that has been checked: all numbers are in the unit of
// the trains.
type modulation struct {
	process     renewal // in operational time
	operational []float64
	real        []float64
	period      float64 // of the samples
	dead        float64 // refractory period
	refractory  bool    // one was given, be it 0
}

// resolve checks the process and integrates its rate.
func (p RateModulatedPoisson) resolve() (modulation, error) {
	s := p.Rate
	if err := s.Validate(); err != nil {
		return modulation{}, err
	}
	if s.Channels != 1 || s.Len() == 0 {
		return modulation{}, fmt.Errorf("spike: %w: %d samples of %d channels, want the rate as at least one sample of one channel", ErrSignal, s.Len(), s.Channels)
	}
	u := s.TStart.Unit
	rates, err := p.rates(u)
	if err != nil {
		return modulation{}, err
	}
	m := modulation{real: append(s.Times(), s.TStop().Value), refractory: p.RefractoryPeriod.IsSet()}
	rate := mean(rates)
	m.process, err = PoissonProcess{Rate: unit.Rate{Value: rate, Unit: u.Inverse()}, TStart: s.TStart, TStop: s.TStop()}.resolve()
	if err != nil {
		return modulation{}, err
	}
	if m.dead, err = refractoryIn(p.RefractoryPeriod, u); err != nil {
		return modulation{}, err
	}
	period, err := s.SamplingPeriod().In(u)
	if err != nil {
		return modulation{}, fmt.Errorf("spike: sampling rate: %w", err)
	}
	m.period = period.Value
	// Operational time runs from TStart to TStop, too: a process of the mean rate
	// in it has as many spikes.
	m.operational = make([]float64, len(rates)+1)
	m.operational[0] = s.TStart.Value
	sum, scale := 0.0, m.period/rate
	for i, r := range rates {
		sum += r
		m.operational[i+1] = float64(sum*scale) + s.TStart.Value
	}
	return m, nil
}

// rates gives the rates of the process in operational time, per u: those asked
// for, raised by what a refractory period takes.
func (p RateModulatedPoisson) rates(u unit.Unit) ([]float64, error) {
	perSecond, err := unit.Factor(p.Rate.Unit, unit.PerSecond)
	if err != nil {
		return nil, fmt.Errorf("spike: rate: %w", err)
	}
	perU, err := unit.Factor(p.Rate.Unit, u.Inverse())
	if err != nil {
		return nil, fmt.Errorf("spike: rate: %w", err)
	}
	dead, err := refractoryIn(p.RefractoryPeriod, unit.Second)
	if err != nil {
		return nil, err
	}
	rates := make([]float64, len(p.Rate.Samples))
	for i, r := range p.Rate.Samples {
		at := func() string {
			return fmt.Sprintf("sample %d of the rate is %v", i, unit.Rate{Value: r, Unit: p.Rate.Unit})
		}
		if !(r >= 0) || math.IsInf(r, 1) {
			return nil, fmt.Errorf("spike: %w: %s, want a rate of at least 0", ErrRate, at())
		}
		active := 1 - float64(float64(perSecond*r)*dead) // fraction of time that is not dead
		if !(active > 0) {
			return nil, fmt.Errorf("spike: %w: %s, and 1/rate must be longer than the refractory period (%v)", ErrRate, at(), p.RefractoryPeriod)
		}
		rates[i] = float64(perU * (r / active))
	}
	return rates, nil
}

// train draws a train in operational time and brings it back to real time. By
// rounding, a spike may lie at TStart or after the last operational time, where
// Elephant (up to 1.2.1) fails; it is of the first or last sample of a rate above 0.
func (m modulation) train(rng Random) Train {
	train := m.process.train(rng)
	earliest, latest := math.Nextafter(train.TStart, math.Inf(1)), m.operational[len(m.operational)-1]
	previous, kept := train.TStart-m.dead, train.Times[:0]
	for _, t := range train.Times {
		t = min(t, latest)
		i, _ := slices.BinarySearch(m.operational, max(t, earliest))
		from, to := m.operational[i-1], m.operational[i]
		t = m.real[i-1] + float64(m.period*((t-from)/(to-from)))
		t = min(t, train.TStop)
		if m.refractory && !(t > previous+m.dead) {
			continue
		}
		kept, previous = append(kept, t), t
	}
	train.Times = kept
	return train
}
