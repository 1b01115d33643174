package spike

import (
	"fmt"
	"math"
	"slices"

	"github.com/parade-go/parade/unit"
)

// SpikeTimeTilingCoefficient measures how far the spikes of two trains coincide,
// from -1 to 1, whatever their rates (Cutts and Eglen 2014):
//
//	1/2 ((PA - TB) / (1 - PA TB) + (PB - TA) / (1 - PB TA))
//
// PA is the part of a's spikes that are within dt of one of b, ends included, TA the
// part of the time that is within dt of a spike of a; PB and TB likewise. Where PA
// TB is 1, the quotient counts as 1. An unset dt is 5 ms. A train without
// spikes gives NaN. Spikes may be in any order.
//
// It is elephant.spike_train_correlation.spike_time_tiling_coefficient, bit for bit, but
// for an error of Elephant 0.12 to 1.2 (its pull request 706 mends it): there dt grows
// by 1e-5 of the spike time, to 15 ms at 1000 s. Here it grows by 1e-8 of itself, so
// that spikes exactly dt apart on a grid, such as that of 30 kHz samples, are within it
// whatever the rounding.
//
// The error wraps ErrLags where dt is not above 0, ErrMixedUnits, ErrInterval
// where the trains differ in t_start or t_stop by more than 1e-8 of their unit,
// unit.ErrDimension, or what Train.Validate finds. It is a *TrainError
// where one train is to blame, a being 0.
func SpikeTimeTilingCoefficient(a, b Train, dt unit.Time) (float64, error) {
	for k, t := range []Train{a, b} {
		if err := t.Validate(); err != nil {
			return 0, &TrainError{Index: k, Err: err}
		}
	}
	switch {
	case a.Unit != b.Unit:
		return 0, &TrainError{Index: 1, Err: fmt.Errorf("%w: it is in %s and train 0 in %s; convert one with Train.In", ErrMixedUnits, b.Unit, a.Unit)}
	case math.Abs(a.TStart-b.TStart) > tolerance || math.Abs(a.TStop-b.TStop) > tolerance:
		return 0, &TrainError{Index: 1, Err: fmt.Errorf("%w: it is from %v to %v and train 0 from %v to %v", ErrInterval,
			b.Start(), b.Stop(), a.Start(), a.Stop())}
	}
	if !dt.IsSet() {
		dt = unit.Seconds(0.005)
	}
	window, err := dt.In(a.Unit)
	if err != nil {
		return 0, fmt.Errorf("spike: dt: %w", err)
	}
	if !(window.Value > 0) {
		return 0, fmt.Errorf("spike: %w: dt is %v, want more than 0", ErrLags, dt)
	}
	if len(a.Times) == 0 || len(b.Times) == 0 {
		return math.NaN(), nil
	}
	a.Times, b.Times = inOrder(a.Times), inOrder(b.Times)
	ta, tb := a.tiled(window.Value), b.tiled(window.Value)
	within := window.Value * (1 + tolerance)
	pa, pb := a.near(b, within), b.near(a, within)
	return halfTiling(pa, tb) + halfTiling(pb, ta), nil
}

// halfTiling is one of the two terms of the coefficient.
func halfTiling(p, t float64) float64 {
	if p*t == 1 {
		return 0.5
	}
	return 0.5 * (p - t) / (1 - float64(p*t))
}

// inOrder gives times in ascending order, itself where they are.
func inOrder(times []float64) []float64 {
	if slices.IsSorted(times) {
		return times
	}
	return slices.Sorted(slices.Values(times))
}

// tiled is the part of the train's time that is within dt of one of its
// spikes, which are in order.
func (t Train) tiled(dt float64) float64 {
	var overlaps []float64
	apart := 0
	for i, v := range t.Times[1:] {
		if d := v - t.Times[i]; d <= 2*dt {
			overlaps = append(overlaps, d)
		} else {
			apart++
		}
	}
	// In the order of Elephant's additions.
	overlap, whole := sum(overlaps), float64(float64(apart)*2*dt)
	for _, edge := range [2]float64{t.Times[0] - t.TStart, t.TStop - t.Times[len(t.Times)-1]} {
		if edge < dt {
			overlap += edge
		} else {
			whole += dt
		}
	}
	return (overlap + whole) / (t.TStop - t.TStart)
}

// near is the part of t's spikes that are within dt of one of other. Both are in
// order.
func (t Train) near(other Train, dt float64) float64 {
	n, k := 0, 0
	for _, v := range t.Times {
		// The first that is not before v is the nearest but for the one before it.
		for k < len(other.Times) && other.Times[k] < v {
			k++
		}
		if k < len(other.Times) && other.Times[k]-v <= dt || k > 0 && v-other.Times[k-1] <= dt {
			n++
		}
	}
	return float64(n) / float64(len(t.Times))
}
