package spike

import (
	"fmt"

	"github.com/parade-go/parade/unit"
)

// Intervals are the times from spike to spike, in the order of the train.
type Intervals struct {
	Values []float64
	Unit   unit.Unit
}

// ISI gives the inter-spike intervals of a train, each spike time minus the one
// before it, in the unit of the train: elephant.statistics.isi. A train of fewer
// than two spikes has none. The order of the times is kept: where they are not
// sorted, intervals are negative. The error wraps unit.ErrDimension where the
// train's unit is no unit of time.
func ISI(train Train) (Intervals, error) {
	if train.Unit.Dimension() != unit.DimensionTime {
		return Intervals{}, fmt.Errorf("spike: unit of the train: %w: %s is not a unit of time", unit.ErrDimension, train.Unit)
	}
	iv := Intervals{Values: make([]float64, max(0, len(train.Times)-1)), Unit: train.Unit}
	for i := range iv.Values {
		iv.Values[i] = train.Times[i+1] - train.Times[i]
	}
	return iv, nil
}

// check refuses intervals that are no times, or fewer than a statistic needs.
func (iv Intervals) check(atLeast int) error {
	if iv.Unit.Dimension() != unit.DimensionTime {
		return fmt.Errorf("spike: unit of the intervals: %w: %s is not a unit of time", unit.ErrDimension, iv.Unit)
	}
	if n := len(iv.Values); n < atLeast {
		return fmt.Errorf("spike: %w: %d intervals, want at least %d", ErrTooFew, n, atLeast)
	}
	return nil
}
