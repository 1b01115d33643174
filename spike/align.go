package spike

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/parade-go/parade/unit"
)

// Slice gives the part of the train from tStart to tStop, both ends included, as
// neo's time_slice; an unset bound, or one outside of the train, is the train's
// own. The times are a copy, in the unit of the train. A slice that is reversed or
// wholly outside of the train is refused with an error that wraps ErrInterval;
// other errors wrap unit.ErrDimension.
func (t Train) Slice(tStart, tStop unit.Time) (Train, error) {
	if t.Unit.Dimension() != unit.DimensionTime {
		return Train{}, fmt.Errorf("spike: unit of the train: %w: %s is not a unit of time", unit.ErrDimension, t.Unit)
	}
	start, err := inOr(tStart, t.Unit, t.TStart)
	if err != nil {
		return Train{}, fmt.Errorf("spike: t_start: %w", err)
	}
	stop, err := inOr(tStop, t.Unit, t.TStop)
	if err != nil {
		return Train{}, fmt.Errorf("spike: t_stop: %w", err)
	}
	if !(start <= t.TStop && stop >= t.TStart) {
		return Train{}, fmt.Errorf("spike: %w: the slice from %v to %v is outside of the train, %v to %v", ErrInterval,
			unit.Time{Value: start, Unit: t.Unit}, unit.Time{Value: stop, Unit: t.Unit}, t.Start(), t.Stop())
	}
	if !(start <= stop) {
		return Train{}, fmt.Errorf("spike: %w: the slice's t_stop (%v) is before its t_start (%v)", ErrInterval,
			unit.Time{Value: stop, Unit: t.Unit}, unit.Time{Value: start, Unit: t.Unit})
	}
	part := t
	part.TStart, part.TStop = max(start, t.TStart), min(stop, t.TStop)
	part.Times = nil
	for _, v := range t.Times {
		if start <= v && v <= stop {
			part.Times = append(part.Times, v)
		}
	}
	return part, nil
}

// Merge joins trains into one, sorted, in the unit of the first, as neo's merge.
// Trains must agree on t_start and t_stop to the last bit, once in that unit. The
// name is the common one, or "merge(a; b)" of the different ones. The error wraps
// ErrNoTrains, ErrInterval or unit.ErrDimension and is a *TrainError where one
// train is to blame.
func Merge(trains []Train) (Train, error) {
	if len(trains) == 0 {
		return Train{}, fmt.Errorf("spike: %w: nothing to merge", ErrNoTrains)
	}
	merged := trains[0]
	merged.Times = nil
	var names []string
	for i, t := range trains {
		same, err := t.In(merged.Unit)
		if err == nil {
			err = same.Validate()
		}
		if err != nil {
			return Train{}, &TrainError{Index: i, Err: err}
		}
		if same.TStart != merged.TStart || same.TStop != merged.TStop {
			return Train{}, &TrainError{Index: i, Err: fmt.Errorf("%w: it is from %v to %v and train 0 from %v to %v", ErrInterval,
				same.Start(), same.Stop(), merged.Start(), merged.Stop())}
		}
		merged.Times = append(merged.Times, same.Times...)
		if t.Name != "" && !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(merged.Times)
	merged.Name = strings.Join(names, "; ")
	if len(names) > 1 {
		merged.Name = "merge(" + merged.Name + ")"
	}
	return merged, nil
}

// Events are points in time, such as the onsets of stimuli, as neo.Event.
type Events struct {
	Times []float64
	Unit  unit.Unit
}

// Align cuts a recording into trials, one for each event, in the order of the
// events: the spikes from before the event to after it, both ends included, with
// the event at time 0. Every trial is in the unit of the train, from -before to
// after, so that trials can be compared bin by bin. A negative before begins
// behind the event.
//
// Where -before is not before after, or the trial of an event reaches beyond the
// train by more than 1e-8 of its unit, the error wraps ErrInterval and names the event; such an event is to
// be left out. Other errors wrap ErrTimes (an event that is no number) or
// unit.ErrDimension.
func Align(train Train, events Events, before, after unit.Time) ([]Train, error) {
	if err := train.Validate(); err != nil {
		return nil, err
	}
	u := train.Unit
	factor, err := unit.Factor(events.Unit, u)
	if err != nil {
		return nil, fmt.Errorf("spike: unit of the events: %w", err)
	}
	lead, err := before.In(u)
	if err != nil {
		return nil, fmt.Errorf("spike: time before the events: %w", err)
	}
	tail, err := after.In(u)
	if err != nil {
		return nil, fmt.Errorf("spike: time after the events: %w", err)
	}
	start, stop := 0-lead.Value, tail.Value // 0-0 is 0 and not -0
	if !(start < stop) {
		return nil, fmt.Errorf("spike: %w: trials from %v before the events to %v after them are empty", ErrInterval, before, after)
	}
	sorted := sort.Float64sAreSorted(train.Times)
	trials := make([]Train, len(events.Times))
	for k, v := range events.Times {
		event := v
		if events.Unit != u {
			event *= factor
		}
		if event != event {
			return nil, fmt.Errorf("spike: %w: event %d is not a number", ErrTimes, k)
		}
		if event+start < train.TStart-tolerance || event+stop > train.TStop+tolerance {
			return nil, fmt.Errorf("spike: %w: the trial of event %d, %v to %v, reaches beyond the train, %v to %v; leave the event out", ErrInterval, k,
				unit.Time{Value: event + start, Unit: u}, unit.Time{Value: event + stop, Unit: u}, train.Start(), train.Stop())
		}
		trial := Train{Unit: u, TStart: start, TStop: stop, Name: train.Name}
		near := train.Times
		if sorted { // then only spikes around the event need a look
			near = near[sort.Search(len(near), func(i int) bool { return near[i]-event >= start }):]
			near = near[:sort.Search(len(near), func(i int) bool { return near[i]-event > stop })]
		}
		for _, t := range near {
			if s := t - event; start <= s && s <= stop {
				trial.Times = append(trial.Times, s)
			}
		}
		trials[k] = trial
	}
	return trials, nil
}
