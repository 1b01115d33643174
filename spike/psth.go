package spike

import (
	"math"

	"github.com/parade-go/parade/unit"
)

// PSTHOptions are the choices of PSTH; the zero value covers the whole of the
// trials.
type PSTHOptions struct {
	// TStart and TStop bound the histogram; unset is the bound of the trials,
	// which must then agree on it.
	TStart, TStop unit.Time
}

// PeristimulusHistogram is the result of PSTH: a time histogram of the firing rate,
// averaged over trials, and how well it is known.
type PeristimulusHistogram struct {
	Histogram
	// SEM is the standard error of the rate in each bin, in the unit of the
	// histogram: the standard deviation over trials (divisor n-1) by √n. With a
	// single trial it is NaN.
	SEM []float64
}

// PSTH gives the peri-stimulus time histogram of trials, such as Align makes: the
// mean firing rate in each bin, in 1/(unit of binSize), and its standard error
// over trials. The rate is that of TimeHistogram with OutputRate, whose rules and
// errors are these.
func PSTH(trials []Train, binSize unit.Time, opts PSTHOptions) (PeristimulusHistogram, error) {
	window := HistogramOptions{TStart: opts.TStart, TStop: opts.TStop, Output: OutputRate}
	h, err := TimeHistogram(trials, binSize, window)
	if err != nil {
		return PeristimulusHistogram{}, err
	}
	g, err := newGrid(trials, binSize, window)
	if err != nil {
		return PeristimulusHistogram{}, err
	}
	counts, sums, squares := make([]float64, g.bins), make([]float64, g.bins), make([]float64, g.bins)
	for _, t := range trials {
		clear(counts)
		g.count(t.Times, counts)
		for i, c := range counts {
			sums[i] += c
			squares[i] += c * c
		}
	}
	// Counts are whole numbers, of which n Σc² - (Σc)² loses nothing.
	n := float64(len(trials))
	for i, sum := range sums {
		variance := (n*squares[i] - float64(sum*sum)) / (n * (n - 1))
		squares[i] = math.Sqrt(variance/n) / binSize.Value
	}
	return PeristimulusHistogram{Histogram: h, SEM: squares}, nil
}
