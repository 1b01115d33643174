package spike

import (
	"fmt"

	"github.com/parade-go/parade/unit"
)

// MeanFiringRate gives the number of spikes divided by the duration of the
// train, in 1/(unit of the train): elephant.statistics.mean_firing_rate(train).
// An empty train has rate 0; a train of no duration NaN, or infinity where it
// has spikes. The error wraps unit.ErrDimension where the train's unit is no
// unit of time.
func MeanFiringRate(train Train) (unit.Rate, error) {
	if train.Unit.Dimension() != unit.DimensionTime {
		return unit.Rate{}, fmt.Errorf("spike: unit of the train: %w: %s is not a unit of time", unit.ErrDimension, train.Unit)
	}
	return unit.Rate{Value: float64(len(train.Times)) / (train.TStop - train.TStart), Unit: train.Unit.Inverse()}, nil
}

// MeanFiringRateWithin gives the rate within a window: the number of spikes with
// tStart <= t <= tStop, both included, divided by tStop - tStart, in 1/(unit of
// the train): elephant.statistics.mean_firing_rate(train, t_start, t_stop). An
// unset bound is the train's own. The window may exceed the train, and a
// reversed one gives -0, as in Elephant. An empty train has rate 0 (Elephant
// refuses it here, and only here). The error wraps unit.ErrDimension.
func MeanFiringRateWithin(train Train, tStart, tStop unit.Time) (unit.Rate, error) {
	if train.Unit.Dimension() != unit.DimensionTime {
		return unit.Rate{}, fmt.Errorf("spike: unit of the train: %w: %s is not a unit of time", unit.ErrDimension, train.Unit)
	}
	start, err := inOr(tStart, train.Unit, train.TStart)
	if err != nil {
		return unit.Rate{}, fmt.Errorf("spike: t_start: %w", err)
	}
	stop, err := inOr(tStop, train.Unit, train.TStop)
	if err != nil {
		return unit.Rate{}, fmt.Errorf("spike: t_stop: %w", err)
	}
	n := 0
	for _, t := range train.Times {
		if start <= t && t <= stop {
			n++
		}
	}
	return unit.Rate{Value: float64(n) / (stop - start), Unit: train.Unit.Inverse()}, nil
}
