package spike

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"

	"github.com/parade-go/parade/unit"
)

// CrossCorrelationOptions are the choices of CrossCorrelationHistogram; the
// zero value counts pairs of spikes at every lag there can be.
type CrossCorrelationOptions struct {
	// MinLag and MaxLag bound the lags, in bins, both included. Both 0 is every
	// lag at which the trains overlap.
	MinLag, MaxLag int
	// Valid restricts the lags to those at which the trains overlap fully:
	// one lag for trains of one duration. MinLag and MaxLag must then be 0.
	Valid bool
	// BorderCorrection multiplies each value by the number of bins of the
	// shorter train, divided by the number of those that overlap at the lag.
	BorderCorrection bool
	// Binary counts spikes of a train in one bin as one.
	Binary bool
	// Kernel, where there is one, smooths the histogram: it is normalized to
	// sum 1 and convolved with it. It has at most as many weights as there are lags.
	Kernel []float64
	// Coefficient turns counts into the correlation coefficient, from -1 to 1,
	// as the last step.
	Coefficient bool
}

// CrossCorrelation is the result of CrossCorrelationHistogram: a signal of one
// channel with a sample for each lag.
type CrossCorrelation struct {
	// AnalogSignal has the value at Lags[k] as sample k. Its times are the left
	// edges of the lags' bins: (lag - 1/2) bin sizes.
	AnalogSignal
	// Lags are in bins, ascending by 1. At a positive lag a spike of the
	// second train follows one of the first.
	Lags    []int
	BinSize unit.Time
	// Dropped is the number of spikes of both trains that are in no bin, and
	// Moved of those moved over an edge, as in a Histogram.
	Dropped, Moved int
}

// CrossCorrelationHistogram counts, for each lag, the pairs of a spike of a and
// a spike of b that many bins later:
// elephant.spike_train_correlation.cross_correlation_histogram. Each train is
// put into bins from its own t_start on, as by TimeHistogram; they may differ
// in t_start and t_stop by any number of bins, and in unit, that of a being the
// unit of the result.
//
// Where Elephant's two methods differ, results are those of method "memory".
// Elephant's errors are not copied: with trains that start at different times
// its border correction takes the wrong lags (it can be negative), and it may
// lose, add or shift a lag of "valid"; a kernel longer than the lags changes the
// number of samples.
//
// The error wraps ErrLags where MinLag is not below MaxLag, where a lag is one at
// which the trains do not overlap, or where the trains' starts are not a
// multiple of the bin size apart, by more than 1e-5 bins; ErrKernel where the kernel
// is too long or its sum is 0 or no number; ErrBinSize, ErrInterval or
// unit.ErrDimension as in TimeHistogram. It is a *TrainError where one train is
// to blame, a being 0.
func CrossCorrelationHistogram(a, b Train, binSize unit.Time, opts CrossCorrelationOptions) (CrossCorrelation, error) {
	var binned [2]binnedTrain
	for k, t := range [2]Train{a, b} {
		g, err := newGrid([]Train{t}, binSize, HistogramOptions{})
		if blamed := (*TrainError)(nil); errors.As(err, &blamed) {
			blamed.Index = k
		}
		if err != nil {
			return CrossCorrelation{}, err
		}
		binned[k] = g.occupied(t.Times, opts.Binary)
	}
	bin, err := binSize.In(a.Unit)
	if err != nil {
		return CrossCorrelation{}, fmt.Errorf("spike: bin size: %w", err)
	}
	start, err := b.Start().In(a.Unit)
	if err != nil {
		return CrossCorrelation{}, &TrainError{Index: 1, Err: err}
	}
	shift := (start.Value - a.TStart) / bin.Value
	if !(math.Abs(shift-math.Round(shift)) <= 1e-5) || math.Abs(shift) > MaxBins {
		return CrossCorrelation{}, fmt.Errorf("spike: %w: the trains start %v bins apart (%v and %v), want a whole number", ErrLags,
			unit.FormatFloat(shift), a.Start(), b.Start())
	}
	l, err := newLags(binned[0].bins, binned[1].bins, int(math.Round(shift)), opts)
	if err != nil {
		return CrossCorrelation{}, err
	}
	values := binned[0].correlate(binned[1], l.from, l.to)
	if opts.BorderCorrection {
		l.correctBorder(values)
	}
	if len(opts.Kernel) > 0 {
		if values, err = smooth(values, opts.Kernel); err != nil {
			return CrossCorrelation{}, err
		}
	}
	if opts.Coefficient {
		binned[0].normalize(values, binned[1])
	}
	c := CrossCorrelation{
		AnalogSignal: AnalogSignal{
			Samples:      values,
			Channels:     1,
			TStart:       unit.Time{Value: (float64(l.from+l.shift) - 0.5) * bin.Value, Unit: a.Unit},
			SamplingRate: bin.Inverse(),
		},
		Lags:    make([]int, len(values)),
		BinSize: binSize,
		Dropped: binned[0].dropped + binned[1].dropped,
		Moved:   binned[0].moved + binned[1].moved,
	}
	for k := range c.Lags {
		c.Lags[k] = l.from + l.shift + k
	}
	return c, nil
}

// CovarianceOptions are the choices of Covariance and CorrelationCoefficient.
type CovarianceOptions struct {
	// TStart and TStop bound the bins, as in HistogramOptions.
	TStart, TStop unit.Time
	// Binary counts spikes of a train in one bin as one.
	Binary bool
}

// Covariance gives the matrix of the covariances of the trains' numbers of spikes
// in bins, row by row; the divisor is the number of bins less one. It equals
// elephant.spike_train_correlation.covariance with fast=False, bit for bit. The bins,
// and what is refused, are those of TimeHistogram.
func Covariance(trains []Train, binSize unit.Time, opts CovarianceOptions) ([][]float64, error) {
	matrix, bins, err := scatter(trains, binSize, opts)
	for _, row := range matrix {
		divide(row, float64(bins-1))
	}
	return matrix, err
}

// CorrelationCoefficient gives the matrix of Pearson's correlation coefficients of
// the trains' numbers of spikes in bins, row by row. A train with the same number in
// every bin, such as a silent one, has NaN in its row and column. It equals
// elephant.spike_train_correlation.correlation_coefficient with fast=False, bit for
// bit. The bins, and what is refused, are those of TimeHistogram.
func CorrelationCoefficient(trains []Train, binSize unit.Time, opts CovarianceOptions) ([][]float64, error) {
	matrix, _, err := scatter(trains, binSize, opts)
	spread := make([]float64, len(matrix))
	for i, row := range matrix {
		spread[i] = math.Sqrt(row[i])
	}
	for i, row := range matrix {
		for j := range row {
			row[j] /= float64(spread[i] * spread[j])
		}
	}
	return matrix, err
}

// scatter gives the sums of the products of deviations from the mean, and the
// number of bins.
func scatter(trains []Train, binSize unit.Time, opts CovarianceOptions) (matrix [][]float64, bins int, err error) {
	g, err := newGrid(trains, binSize, HistogramOptions{TStart: opts.TStart, TStop: opts.TStop})
	if err != nil {
		return nil, 0, err
	}
	binned := make([]binnedTrain, len(trains))
	matrix = make([][]float64, len(trains))
	for i, t := range trains {
		binned[i] = g.occupied(t.Times, opts.Binary)
		matrix[i] = make([]float64, len(trains))
		for j := range i + 1 {
			v := binned[i].dot(binned[j]) - float64(binned[i].spikes*binned[j].spikes)/float64(g.bins)
			matrix[i][j], matrix[j][i] = v, v
		}
	}
	return matrix, g.bins, nil
}

// binnedTrain is a train in bins, of which only the occupied ones are kept.
type binnedTrain struct {
	bins           int       // number of bins, empty ones included
	index          []int     // of the occupied ones, ascending
	count          []float64 // of spikes in each
	spikes         float64   // in all bins
	dropped, moved int
}

func (g *grid) occupied(times []float64, binary bool) binnedTrain {
	b := binnedTrain{bins: g.bins, index: make([]int, 0, len(times)), count: make([]float64, 0, len(times))}
	for _, t := range times {
		i, next := g.place(t)
		if next {
			b.moved++
		}
		if i >= g.bins {
			b.dropped++
		} else if i >= 0 {
			b.index = append(b.index, i)
		}
	}
	if !slices.IsSorted(b.index) {
		slices.Sort(b.index)
	}
	n := 0
	for _, i := range b.index {
		if n == 0 || b.index[n-1] != i {
			b.index[n] = i
			b.count = append(b.count, 1)
			n++
		} else if !binary {
			b.count[n-1]++
		}
	}
	b.index = b.index[:n]
	for _, c := range b.count {
		b.spikes += c
	}
	return b
}

// dot is the sum over bins of the product of the counts.
func (a binnedTrain) dot(b binnedTrain) float64 {
	total, k := 0.0, 0
	for i, at := range a.index {
		for k < len(b.index) && b.index[k] < at {
			k++
		}
		if k < len(b.index) && b.index[k] == at {
			total += float64(a.count[i] * b.count[k])
		}
	}
	return total
}

// correlate gives the sums of count products at the lags from..to, both
// included, in bins from the own starts of the trains.
func (a binnedTrain) correlate(b binnedTrain, from, to int) []float64 {
	products := 0
	a.reach(b, from, to-from+1, func(_, first, end int) { products += end - first })
	size := a.bins + b.bins - 1 // so that no lag runs into another
	// A transform costs as much as so many products for each bin, and must be exact
	// when rounded.
	if products > 90*size && math.Sqrt(a.dot(a)*b.dot(b)) < 1e10 {
		return a.transform(b, size, from, to)
	}
	// As many lags at a time as a processor's first cache holds.
	const atOnce = 4096
	values := make([]float64, to-from+1)
	for k := 0; k < len(values); k += atOnce {
		part := values[k:min(k+atOnce, len(values))]
		a.reach(b, from+k, len(part), func(i, first, end int) {
			index, count := b.index[first:end], b.count[first:end]
			for n, c := range count {
				part[index[n]-a.index[i]-from-k] += float64(a.count[i] * c)
			}
		})
	}
	return values
}

// reach calls f for every occupied bin i of a and those of b, first to end-1, that
// are n lags from the lag from on.
func (a binnedTrain) reach(b binnedTrain, from, n int, f func(i, first, end int)) {
	first, end := 0, 0
	for i, at := range a.index {
		for first < len(b.index) && b.index[first] < at+from {
			first++
		}
		for end < len(b.index) && b.index[end] < at+from+n {
			end++
		}
		f(i, first, end)
	}
}

// transform is correlate by a Fourier transform of at least size samples: as
// exact, since the results are whole numbers.
func (a binnedTrain) transform(b binnedTrain, size, from, to int) []float64 {
	for !smooth235(size) {
		size++
	}
	fft := fourier.NewFFT(size)
	samples := make([]float64, size)
	var spectra [2][]complex128
	for k, t := range [2]binnedTrain{a, b} {
		clear(samples)
		for i, at := range t.index {
			samples[at] = t.count[i]
		}
		spectra[k] = fft.Coefficients(nil, samples)
	}
	for i, v := range spectra[0] {
		spectra[1][i] *= complex(real(v)/float64(size), -imag(v)/float64(size))
	}
	fft.Sequence(samples, spectra[1])
	values := make([]float64, to-from+1)
	for k := range values {
		values[k] = math.Round(samples[(from+k+size)%size]) + 0 // not -0
	}
	return values
}

// smooth235 tells whether a transform of n samples is fast.
func smooth235(n int) bool {
	for _, factor := range [...]int{2, 3, 5} {
		for n%factor == 0 {
			n /= factor
		}
	}
	return n == 1
}

// normalize turns counts into correlation coefficients (Eggermont 2010, 5.10,
// for any number of spikes in a bin).
func (a binnedTrain) normalize(values []float64, b binnedTrain) {
	bins := float64(max(a.bins, b.bins))
	expected := float64(a.spikes*b.spikes) / bins
	spread := math.Sqrt((a.dot(a) - float64(a.spikes*a.spikes)/bins) * (b.dot(b) - float64(b.spikes*b.spikes)/bins))
	for k := range values {
		values[k] = (values[k] - expected) / spread
	}
}

// lags is a range of lags, both ends included, in bins from the own starts of
// two trains: a lag of the result is shift more.
type lags struct {
	from, to, shift int
	fullFrom        int // the least lag of full overlap
	fullTo          int // and the largest
	shorter         int // bins of the shorter train
}

func newLags(binsA, binsB, shift int, opts CrossCorrelationOptions) (lags, error) {
	l := lags{
		from: 1 - binsA, to: binsB - 1, shift: shift,
		fullFrom: min(0, binsB-binsA), fullTo: max(0, binsB-binsA), shorter: min(binsA, binsB),
	}
	given := opts.MinLag != 0 || opts.MaxLag != 0
	switch {
	case given && opts.Valid:
		return lags{}, fmt.Errorf("spike: %w: from %d to %d and valid ones only; give one or the other", ErrLags, opts.MinLag, opts.MaxLag)
	case given && opts.MinLag >= opts.MaxLag:
		return lags{}, fmt.Errorf("spike: %w: the least (%d) must be below the largest (%d)", ErrLags, opts.MinLag, opts.MaxLag)
	case given && (opts.MinLag < l.from+shift || opts.MaxLag > l.to+shift):
		return lags{}, fmt.Errorf("spike: %w: from %d to %d, but the trains overlap from %d to %d only", ErrLags,
			opts.MinLag, opts.MaxLag, l.from+shift, l.to+shift)
	case given:
		l.from, l.to = opts.MinLag-shift, opts.MaxLag-shift
	case opts.Valid:
		l.from, l.to = l.fullFrom, l.fullTo
	}
	return l, nil
}

// correctBorder scales each value up to what all bins of the shorter train would
// give, where only a part of them overlaps.
func (l lags) correctBorder(values []float64) {
	for k := range values {
		lag := l.from + k
		missing := max(0, l.fullFrom-lag, lag-l.fullTo)
		values[k] *= float64(l.shorter) / float64(l.shorter-missing)
	}
}

// smooth is numpy.convolve(values, kernel / sum(kernel), "same").
func smooth(values, kernel []float64) ([]float64, error) {
	if len(kernel) > len(values) {
		return nil, fmt.Errorf("spike: %w: it has %d weights, want at most the number of lags, %d", ErrKernel, len(kernel), len(values))
	}
	total := sum(kernel)
	if total == 0 || math.IsNaN(total) || math.IsInf(total, 0) {
		return nil, fmt.Errorf("spike: %w: its weights add up to %v and cannot be normalized", ErrKernel, unit.FormatFloat(total))
	}
	weights := slices.Clone(kernel)
	divide(weights, total)
	smoothed := make([]float64, len(values))
	for i := range smoothed {
		last := i + (len(weights)-1)/2 // the value under the first weight
		for k := max(0, last-len(weights)+1); k <= min(last, len(values)-1); k++ {
			smoothed[i] += float64(values[k] * weights[last-k])
		}
	}
	return smoothed, nil
}
