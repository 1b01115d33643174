package spike

import (
	"errors"
	"fmt"
	"math"

	"github.com/parade-go/parade/unit"
)

// ErrRefractory says that a refractory period is negative or no number.
var ErrRefractory = errors.New("bad refractory period")

// CV gives the coefficient of variation, the standard deviation (that of the
// population, not of a sample) divided by the mean: elephant.statistics.cv. It
// is 1 for a Poisson process of constant rate.
//
// No intervals give NaN, and so does a mean of 0 without spread; a mean of 0
// with spread gives infinity. The error wraps unit.ErrDimension where the unit is
// no unit of time.
func CV(iv Intervals) (float64, error) {
	if err := iv.check(0); err != nil {
		return 0, err
	}
	return deviation(iv.Values) / mean(iv.Values), nil
}

// CV2 gives a coefficient of variation that slow changes of the rate leave alone,
// the mean of 2 |b - a| / |a + b| over all neighbours a, b (Holt et al. 1996):
// elephant.statistics.cv2. It is 1 for a Poisson process.
//
// Neighbours that are both 0, from three spikes at one time, make it NaN. The
// error wraps ErrTooFew for fewer than two intervals, or unit.ErrDimension.
func CV2(iv Intervals) (float64, error) {
	if err := iv.check(2); err != nil {
		return 0, err
	}
	return 2 * iv.meanOverNeighbours(func(a, b float64) float64 { return math.Abs((b - a) / (a + b)) }), nil
}

// LV gives the local variation, the mean of 3 ((a - b) / (a + b))^2 over all
// neighbours a, b (Shinomoto et al. 2003): elephant.statistics.lv. It is 1 for a
// Poisson process, 0 for a regular train.
//
// Neighbours that are both 0, from three spikes at one time, make it NaN. The
// error wraps ErrTooFew for fewer than two intervals, or unit.ErrDimension.
func LV(iv Intervals) (float64, error) {
	if err := iv.check(2); err != nil {
		return 0, err
	}
	return 3 * iv.meanOverNeighbours(func(a, b float64) float64 {
		x := (b - a) / (a + b)
		return float64(x * x)
	}), nil
}

// LVR gives the local variation revised for the refractory period r of the
// neuron, the mean of 3 (1 - 4ab/(a+b)^2) (1 + 4r/(a+b)) over all neighbours a, b
// (Shinomoto et al. 2009): elephant.statistics.lvr. An unset r is 5 ms.
//
// Neighbours that are both 0, from three spikes at one time, make it NaN. The
// error wraps ErrTooFew for fewer than two intervals, ErrRefractory where r is
// negative or NaN, or unit.ErrDimension.
func LVR(iv Intervals, r unit.Time) (float64, error) {
	if err := iv.check(2); err != nil {
		return 0, err
	}
	// Elephant computes in ms, and the last bits depend on it.
	period, err := inOr(r, unit.Millisecond, 5)
	if err != nil {
		return 0, fmt.Errorf("spike: refractory period: %w", err)
	}
	if !(period >= 0) {
		return 0, fmt.Errorf("spike: %w: %v, want 0 or more", ErrRefractory, r)
	}
	factor, err := unit.Factor(iv.Unit, unit.Millisecond)
	if err != nil {
		return 0, fmt.Errorf("spike: unit of the intervals: %w", err)
	}
	pairs := len(iv.Values) - 1
	total := sumTerms(pairs, func(buffer []float64, from int) {
		b := float64(factor * iv.Values[from])
		for i, v := range iv.Values[from+1:][:len(buffer)] {
			a := b
			b = float64(factor * v)
			both := a + b
			buffer[i] = float64((1 - 4*a*b/float64(both*both)) * (1 + 4*period/both))
		}
	})
	return 3 / float64(pairs) * total, nil
}

// meanOverNeighbours is numpy.mean of f over all pairs of neighbours.
func (iv Intervals) meanOverNeighbours(f func(a, b float64) float64) float64 {
	pairs := len(iv.Values) - 1
	return sumTerms(pairs, func(buffer []float64, from int) {
		for i := range buffer {
			buffer[i] = f(iv.Values[from+i], iv.Values[from+i+1])
		}
	}) / float64(pairs)
}
