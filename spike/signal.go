package spike

import (
	"fmt"
	"math"

	"github.com/parade-go/parade/unit"
)

// AnalogSignal is a signal of one or more channels, sampled at equal steps
// from TStart on, as neo.AnalogSignal.
type AnalogSignal struct {
	// Samples holds the samples in Unit, all channels of the first sample
	// first: channel c of sample k is Samples[k*Channels+c].
	Samples  []float64
	Channels int
	Unit     unit.Unit
	TStart   unit.Time
	// SamplingRate is kept, and the period is one divided by it, so that it
	// need not give back a bin size to the last bit.
	SamplingRate unit.Rate
	// Integer says that the samples are whole numbers, printed without point.
	Integer bool
}

// NewAnalogSignal makes a signal of the given samples, which it keeps. The
// number of samples must be a multiple of channels, and rate a rate above 0;
// who has a period passes period.Inverse(). The error wraps ErrSignal or
// unit.ErrDimension.
func NewAnalogSignal(samples []float64, channels int, u unit.Unit, tStart unit.Time, rate unit.Rate) (AnalogSignal, error) {
	s := AnalogSignal{Samples: samples, Channels: channels, Unit: u, TStart: tStart, SamplingRate: rate}
	if err := s.Validate(); err != nil {
		return AnalogSignal{}, err
	}
	return s, nil
}

// Validate reports the first rule of a signal that s breaks, as
// NewAnalogSignal does.
func (s AnalogSignal) Validate() error {
	if s.Channels < 1 {
		return fmt.Errorf("spike: %w: %d channels, want at least 1", ErrSignal, s.Channels)
	}
	if len(s.Samples)%s.Channels != 0 {
		return fmt.Errorf("spike: %w: %d samples do not divide into %d channels", ErrSignal, len(s.Samples), s.Channels)
	}
	if _, err := s.TStart.In(unit.Second); err != nil {
		return fmt.Errorf("spike: t_start: %w", err)
	}
	if _, err := s.SamplingRate.In(unit.Hertz); err != nil {
		return fmt.Errorf("spike: sampling rate: %w", err)
	}
	if !(s.SamplingRate.Value > 0) {
		return fmt.Errorf("spike: %w: sampling rate %v is not above 0", ErrSignal, s.SamplingRate)
	}
	if _, err := unit.Factor(s.Unit, s.Unit); err != nil {
		return fmt.Errorf("spike: unit of the samples: %w", err)
	}
	return nil
}

// Len is the number of samples of each channel.
func (s AnalogSignal) Len() int {
	if s.Channels < 1 {
		return 0
	}
	return len(s.Samples) / s.Channels
}

// At gives sample k of channel c, in Unit.
func (s AnalogSignal) At(k, c int) float64 { return s.Samples[k*s.Channels+c] }

// SamplingPeriod is 1/SamplingRate.
func (s AnalogSignal) SamplingPeriod() unit.Time { return s.SamplingRate.Inverse() }

// Duration is Len()/SamplingRate.
func (s AnalogSignal) Duration() unit.Time { return s.after(s.Len()) }

// TStop is TStart + Duration, in the unit of TStart.
func (s AnalogSignal) TStop() unit.Time {
	return unit.Time{Value: s.time(s.Len()), Unit: s.TStart.Unit}
}

// Times gives the time of every sample, TStart + k/SamplingRate, in the unit of
// TStart.
func (s AnalogSignal) Times() []float64 {
	times := make([]float64, s.Len())
	for k := range times {
		times[k] = s.time(k)
	}
	return times
}

// after gives k/SamplingRate, in the inverse of the rate's unit.
func (s AnalogSignal) after(k int) unit.Time {
	return unit.Time{Value: float64(k) / s.SamplingRate.Value, Unit: s.SamplingRate.Unit.Inverse()}
}

// time gives TStart + k/SamplingRate in the unit of TStart. Units that do not
// fit, which Validate refuses, give NaN.
func (s AnalogSignal) time(k int) float64 {
	t := s.after(k)
	factor, err := unit.Factor(t.Unit, s.TStart.Unit)
	if err != nil {
		return math.NaN()
	}
	return s.TStart.Value + float64(factor*t.Value) // float64 forbids a fused multiply-add
}

// String prints the signal as neo does, long ones shortened:
// <AnalogSignal(array([[2], ... [1]]) * dimensionless, [0.0 s, 10.0 s], sampling rate: 1.0 1/s)>.
func (s AnalogSignal) String() string {
	return fmt.Sprintf("<AnalogSignal(%s * %s, [%v, %v], sampling rate: %v)>",
		formatArray(s.Samples, s.Channels, s.Integer), s.Unit, s.TStart, s.TStop(), s.SamplingRate)
}
