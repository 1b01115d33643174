// Package spike holds spike trains: it reads, generates, describes and compares
// them. It follows Elephant and Neo: the same words, the same rules, and results
// equal to the last bit wherever arithmetic allows; each function names the one that
// it follows, and says where it differs.
//
//	trains, err := spike.ReadFile("recording.nwb", spike.ReadOptions{})
//	rate, err := spike.MeanFiringRate(trains[0]) // 10.01 1/s
//	hist, err := spike.TimeHistogram(trains, unit.Milliseconds(100), spike.HistogramOptions{})
//	fmt.Println(hist) // <AnalogSignal(array([[7], ...
//
// What there is:
//
//   - files: [ReadFile], [WriteFile] and [WriteCSV], for CSV, NumPy, JSON for Neo, Kilosort and NWB
//   - trains: [Train], [Merge], [Align] to events, [AnalogSignal]
//   - rates: [MeanFiringRate], [TimeHistogram], [InstantaneousRate] by a [Kernel], [PSTH]
//   - intervals: [ISI], [CV], [CV2], [LV], [LVR]; counts: [FanoFactor]
//   - pairs: [CrossCorrelationHistogram], [Covariance], [CorrelationCoefficient],
//     [SpikeTimeTilingCoefficient]
//   - generators: [PoissonProcess], [RateModulatedPoisson]; [Surrogate] trains for tests
//
// What draws at random takes a [Random] stream, and nothing else is random. All types
// are plain data with exported fields: they travel between processes as they are, and
// functions of this package know nothing of who calls them.
package spike

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers branch on; every error of this package wraps one of them
// or one of package unit, where a quantity has the wrong dimension.
var (
	// ErrTimes says that spike times break the rules of a train: one is
	// outside of [t_start, t_stop] or is no number.
	ErrTimes = errors.New("bad spike times")
	// ErrInterval says that t_start and t_stop do not make an interval that
	// can be used, or that trains do not share one.
	ErrInterval = errors.New("bad interval")
	// ErrMixedUnits says that trains differ in unit.
	ErrMixedUnits = errors.New("trains differ in unit")
	// ErrNoTrains says that a function of several trains got none.
	ErrNoTrains = errors.New("no trains")
	// ErrBinSize says that a bin size gives no usable number of bins.
	ErrBinSize = errors.New("bad bin size")
	// ErrRate says that a process cannot have the rate asked for.
	ErrRate = errors.New("bad rate")
	// ErrOutput says that an Output is none of the known ones.
	ErrOutput = errors.New("bad output")
	// ErrSignal says that an AnalogSignal has an impossible shape or time axis.
	ErrSignal = errors.New("bad signal")
	// ErrTooFew says that there are too few spikes or intervals for a statistic.
	ErrTooFew = errors.New("too few")
	// ErrKernel says that a kernel or its width cannot be used.
	ErrKernel = errors.New("bad kernel")
	// ErrLags says that the lags of a correlation cannot be used.
	ErrLags = errors.New("bad lags")
	// ErrSurrogate says that a surrogate cannot be made as asked for.
	ErrSurrogate = errors.New("bad surrogate")
	// ErrFormat says that a file is not what ReadFile can read.
	ErrFormat = errors.New("bad file")
)

// TrainError says which train of several an error is about.
type TrainError struct {
	Index int // its index, from 0
	Err   error
}

// Error gives "train 3: " and what is wrong with it.
func (e *TrainError) Error() string {
	return fmt.Sprintf("spike: train %d: %s", e.Index, strings.TrimPrefix(e.Err.Error(), "spike: "))
}

// Unwrap gives what is wrong with the train.
func (e *TrainError) Unwrap() error { return e.Err }
