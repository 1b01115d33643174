package spike

import (
	"fmt"
	"math"

	"github.com/parade-go/parade/unit"
)

// FanoFactor gives the variance of the numbers of spikes (that of the population,
// not of a sample) divided by their mean: elephant.statistics.fanofactor. The
// trains are those of one neuron in several trials; for Poisson processes of one
// rate it is 1. Without any spike it is NaN. Units may differ.
//
// Numbers of spikes compare only over equal times: durations that differ by more
// than 0.1 ms are refused with ErrInterval, where Elephant warns, and so are units that are
// no times with unit.ErrDimension. The error is a *TrainError.
func FanoFactor(trains []Train) (float64, error) {
	const leeway = 1e-4 // s
	counts := make([]float64, len(trains))
	spikes := 0
	var shortest, longest float64
	for i, t := range trains {
		duration, err := unit.Time{Value: t.TStop - t.TStart, Unit: t.Unit}.In(unit.Second)
		if err != nil {
			return 0, &TrainError{Index: i, Err: err}
		}
		if i == 0 {
			shortest, longest = duration.Value, duration.Value
		}
		if other := longest; other-duration.Value > leeway || duration.Value-shortest > leeway {
			if duration.Value > shortest {
				other = shortest
			}
			return 0, &TrainError{Index: i, Err: fmt.Errorf("%w: it lasts %v and one before it %v; cut all to one duration", ErrInterval,
				duration, unit.Seconds(other))}
		}
		shortest, longest = min(shortest, duration.Value), max(longest, duration.Value)
		counts[i] = float64(len(t.Times))
		spikes += len(t.Times)
	}
	if spikes == 0 {
		return math.NaN(), nil
	}
	return variance(counts) / mean(counts), nil
}
