package spike

import (
	"fmt"
	"math"

	"github.com/parade-go/parade/unit"
)

// Train is a sequence of spike times, observed from TStart to TStop, as
// neo.SpikeTrain. Every number is in Unit. Times may be in any order and may
// repeat; each lies in [TStart, TStop], both ends included. Train literals
// are welcome; Validate checks them, and NewTrain makes only valid ones.
type Train struct {
	Times  []float64
	Unit   unit.Unit
	TStart float64
	TStop  float64
	Name   string // a label, such as the unit's id in a file; may be empty
}

// NewTrain makes a train of times in u. tStart and tStop are converted to u;
// an unset tStart is 0, and tStop is required. The train keeps times, it does
// not copy them. A time outside of [tStart, tStop], be it by one ulp, is
// refused with an error that wraps ErrTimes, a reversed interval with
// ErrInterval, and a unit that is no time with unit.ErrDimension. Unlike neo,
// NaN is refused everywhere, since no comparison would find it later.
func NewTrain(times []float64, u unit.Unit, tStart, tStop unit.Time) (Train, error) {
	if u.Dimension() != unit.DimensionTime {
		return Train{}, fmt.Errorf("spike: unit of the times: %w: %s is not a unit of time", unit.ErrDimension, u)
	}
	start, err := inOr(tStart, u, 0)
	if err != nil {
		return Train{}, fmt.Errorf("spike: t_start: %w", err)
	}
	stop, err := tStop.In(u)
	if err != nil {
		return Train{}, fmt.Errorf("spike: t_stop: %w", err)
	}
	t := Train{Times: times, Unit: u, TStart: start, TStop: stop.Value}
	if err := t.Validate(); err != nil {
		return Train{}, err
	}
	return t, nil
}

// inOr gives the value of t in u, or the given value where t is not set.
func inOr(t unit.Time, u unit.Unit, unset float64) (float64, error) {
	if !t.IsSet() {
		return unset, nil
	}
	v, err := t.In(u)
	return v.Value, err
}

// Validate reports the first rule of a train that t breaks, as NewTrain does.
func (t Train) Validate() error {
	if t.Unit.Dimension() != unit.DimensionTime {
		return fmt.Errorf("spike: unit of the times: %w: %s is not a unit of time", unit.ErrDimension, t.Unit)
	}
	if math.IsNaN(t.TStart) || math.IsNaN(t.TStop) {
		return fmt.Errorf("spike: %w: t_start (%v) and t_stop (%v) must be numbers", ErrInterval, t.Start(), t.Stop())
	}
	if t.TStop < t.TStart {
		return fmt.Errorf("spike: %w: t_stop (%v) is before t_start (%v)", ErrInterval, t.Stop(), t.Start())
	}
	for i, v := range t.Times {
		if t.TStart <= v && v <= t.TStop {
			continue
		}
		at := unit.Time{Value: v, Unit: t.Unit}
		switch {
		case math.IsNaN(v):
			return fmt.Errorf("spike: %w: spike %d is not a number", ErrTimes, i)
		case v < t.TStart:
			return fmt.Errorf("spike: %w: spike %d at %v is before t_start (%v)", ErrTimes, i, at, t.Start())
		default:
			return fmt.Errorf("spike: %w: spike %d at %v is after t_stop (%v)", ErrTimes, i, at, t.Stop())
		}
	}
	return nil
}

// Start gives t_start as a quantity.
func (t Train) Start() unit.Time { return unit.Time{Value: t.TStart, Unit: t.Unit} }

// Stop gives t_stop as a quantity.
func (t Train) Stop() unit.Time { return unit.Time{Value: t.TStop, Unit: t.Unit} }

// In gives a copy of the train in another unit of time. Each number is
// rescaled by one multiplication, as neo does. The error wraps
// unit.ErrDimension.
func (t Train) In(u unit.Unit) (Train, error) {
	factor, err := unit.Factor(t.Unit, u)
	if err != nil {
		return Train{}, fmt.Errorf("spike: %w", err)
	}
	scaled := t
	scaled.Unit = u
	scaled.TStart *= factor
	scaled.TStop *= factor
	scaled.Times = make([]float64, len(t.Times))
	for i, v := range t.Times {
		scaled.Times[i] = factor * v
	}
	return scaled, nil
}

// String prints the train as neo does, long ones shortened:
// <SpikeTrain(array([3., 4., 5.]) * s, [0.0 s, 10.0 s])>.
func (t Train) String() string {
	return fmt.Sprintf("<SpikeTrain(%s * %s, [%v, %v])>", formatArray(t.Times, 0, false), t.Unit, t.Start(), t.Stop())
}
