package spike

import (
	"fmt"
	"math"

	"github.com/parade-go/parade/unit"
)

// Output says what a time histogram holds.
type Output uint8

// The outputs of TimeHistogram. Their numbers are part of the wire format.
const (
	// OutputCounts is the number of spikes of all trains in each bin.
	OutputCounts Output = iota
	// OutputMean is counts divided by the number of trains.
	OutputMean
	// OutputRate is counts divided by (number of trains * bin size), in
	// 1/(unit of the bin size).
	OutputRate
)

// HistogramOptions are the choices of TimeHistogram; the zero value counts
// spikes over the whole of the trains.
type HistogramOptions struct {
	// TStart and TStop bound the histogram; unset is the bound of the trains,
	// which must then agree on it.
	TStart, TStop unit.Time
	// Output is what the bins hold.
	Output Output
	// Binary counts a train at most once in a bin.
	Binary bool
}

// Histogram is the result of TimeHistogram: a signal of one channel with a
// sample for each bin, and what a user should know of how it came about.
type Histogram struct {
	AnalogSignal
	Output  Output
	BinSize unit.Time
	// Trains is the number of trains, silent ones included.
	Trains int
	// Dropped is the number of spikes in the window but in no bin: those at
	// TStop and in the tail where the bin size does not divide the window.
	Dropped int
	// Moved is the number of spikes within 1e-8 bins before an edge, which
	// count for the bin that begins there.
	Moved int
}

// TimeHistogram counts the spikes of trains in bins of equal size, bit for bit
// as elephant.statistics.time_histogram does (1.2). All trains must have one
// unit, u; the result has a sample for each whole bin of the window, starting
// at t_start in u, at the rate 1/binSize.
//
// A spike at t in the window, both ends included, belongs to bin
// floor((t - t_start) * (1/binSize)), or to the next one when it is within 1e-8
// of it. Bins begin with their left edge; where binSize does not divide the
// window the rest is left out; spikes in no bin are counted as Dropped.
//
// Refused are: no trains (ErrNoTrains), trains that differ in unit
// (ErrMixedUnits) or, where a bound is not given, in that bound by more than
// 1e-8 u (ErrInterval), a window that is empty or exceeds the range shared by all
// trains by more than 1e-8 u (ErrInterval), a bin size that gives no bin or more
// than MaxBins (ErrBinSize), and units that are no times (unit.ErrDimension). The
// error is a *TrainError where one train is to blame.
func TimeHistogram(trains []Train, binSize unit.Time, opts HistogramOptions) (Histogram, error) {
	if opts.Output > OutputRate {
		return Histogram{}, fmt.Errorf("spike: %w: %v, want counts, mean or rate", ErrOutput, opts.Output)
	}
	g, err := newGrid(trains, binSize, opts)
	if err != nil {
		return Histogram{}, err
	}
	h := Histogram{
		AnalogSignal: AnalogSignal{
			Samples:      make([]float64, g.bins),
			Channels:     1,
			TStart:       unit.Time{Value: g.start, Unit: trains[0].Unit},
			SamplingRate: binSize.Inverse(),
			Integer:      opts.Output == OutputCounts,
		},
		Output:  opts.Output,
		BinSize: binSize,
		Trains:  len(trains),
	}
	if opts.Binary {
		h.Dropped, h.Moved = g.countAllOnce(trains, h.Samples)
	} else {
		h.Dropped, h.Moved = g.countAll(trains, h.Samples)
	}
	switch opts.Output {
	case OutputMean:
		divide(h.Samples, float64(len(trains)))
	case OutputRate:
		divide(h.Samples, float64(len(trains))*binSize.Value)
		h.Unit = binSize.Unit.Inverse()
	}
	return h, nil
}

// MaxBins is the largest number of bins of a histogram, as in Elephant, which
// indexes bins by 32-bit integers.
const MaxBins = math.MaxInt32

// tolerance is Elephant's: absolute in the unit of the trains for bounds, and
// in bins for the fractional part of a spike's place.
const tolerance = 1e-8

// lastOfBin is the fraction of a bin from which on a spike is of the next one.
const lastOfBin = 1 - float64(tolerance)

// grid is where the bins of a histogram lie, in the unit of the trains.
type grid struct {
	start, stop float64
	perUnit     float64 // bins per unit of time
	bins        int
}

func newGrid(trains []Train, binSize unit.Time, opts HistogramOptions) (grid, error) {
	if len(trains) == 0 {
		return grid{}, fmt.Errorf("spike: %w: a histogram needs at least one", ErrNoTrains)
	}
	first := trains[0]
	u := first.Unit
	if u.Dimension() != unit.DimensionTime {
		return grid{}, &TrainError{Index: 0, Err: fmt.Errorf("%w: %s is not a unit of time", unit.ErrDimension, u)}
	}
	bin, err := binSize.In(u)
	if err != nil {
		return grid{}, fmt.Errorf("spike: bin size: %w", err)
	}
	start, err := inOr(opts.TStart, u, first.TStart)
	if err != nil {
		return grid{}, fmt.Errorf("spike: t_start: %w", err)
	}
	stop, err := inOr(opts.TStop, u, first.TStop)
	if err != nil {
		return grid{}, fmt.Errorf("spike: t_stop: %w", err)
	}
	for i, t := range trains {
		if err := checkShared(t, first, start, stop, opts); err != nil {
			return grid{}, &TrainError{Index: i, Err: err}
		}
	}
	if !(start < stop) {
		return grid{}, fmt.Errorf("spike: %w: t_start (%v) must be before t_stop (%v)", ErrInterval,
			unit.Time{Value: start, Unit: u}, unit.Time{Value: stop, Unit: u})
	}
	n := wholeBins((stop - start) / bin.Value)
	if !(bin.Value > 0) || !(n >= 1) || n > MaxBins {
		return grid{}, fmt.Errorf("spike: %w: %v makes %v bins of %v, want 1 to %d", ErrBinSize, binSize,
			unit.FormatFloat(n), unit.Time{Value: stop - start, Unit: u}, MaxBins)
	}
	return grid{start: start, stop: stop, perUnit: 1 / bin.Value, bins: int(n)}, nil
}

// wholeBins gives how many bins fit; a whisker below a whole number is that number.
func wholeBins(quotient float64) float64 {
	n := math.Floor(quotient)
	if quotient-n >= lastOfBin {
		n++
	}
	return n
}

// checkShared tells whether train t can be in one histogram with the first one.
func checkShared(t, first Train, start, stop float64, opts HistogramOptions) error {
	if t.Unit != first.Unit {
		return fmt.Errorf("%w: it is in %s and train 0 in %s; convert one with Train.In", ErrMixedUnits, t.Unit, first.Unit)
	}
	const remedy = "give a t_start and a t_stop that all trains cover"
	if !opts.TStart.IsSet() && math.Abs(t.TStart-first.TStart) > tolerance {
		return fmt.Errorf("%w: its t_start is %v and that of train 0 %v; %s", ErrInterval, t.Start(), first.Start(), remedy)
	}
	if !opts.TStop.IsSet() && math.Abs(t.TStop-first.TStop) > tolerance {
		return fmt.Errorf("%w: its t_stop is %v and that of train 0 %v; %s", ErrInterval, t.Stop(), first.Stop(), remedy)
	}
	if start < t.TStart-tolerance {
		return fmt.Errorf("%w: t_start %v is before its own, %v; %s", ErrInterval, unit.Time{Value: start, Unit: t.Unit}, t.Start(), remedy)
	}
	if stop > t.TStop+tolerance {
		return fmt.Errorf("%w: t_stop %v is after its own, %v; %s", ErrInterval, unit.Time{Value: stop, Unit: t.Unit}, t.Stop(), remedy)
	}
	return nil
}

// place gives the bin of a spike: -1 outside of the window, g.bins or more behind
// the last bin, and moved where the tolerance made it the next bin.
func (g *grid) place(t float64) (i int, moved bool) {
	if !(g.start <= t && t <= g.stop) {
		return -1, false
	}
	v := float64((t - g.start) * g.perUnit) // float64 forbids a fused multiply-subtract below
	i = int(v)
	if v-float64(i) >= lastOfBin {
		return i + 1, true
	}
	return i, false
}

// countAll adds the spikes of all trains to bins, for many bins the first part of
// each train, then the second of each: sorted trains then meet in a part of the
// bins that the cache holds. In which order spikes are counted changes nothing.
func (g *grid) countAll(trains []Train, bins []float64) (dropped, moved int) {
	const cached = 1 << 14 // bins, 128 KiB
	parts := 1 + (len(bins)-1)/cached
	for part := range parts {
		for _, t := range trains {
			n := len(t.Times)
			drop, move := g.count(t.Times[n*part/parts:n*(part+1)/parts], bins)
			dropped, moved = dropped+drop, moved+move
		}
	}
	return dropped, moved
}

// count adds spikes to bins. It takes four spikes at a time, one from each quarter
// of the times: neighbours mostly share a bin, and the second addition would wait
// for the first. Places are computed in units of 1/2^placeBits bins, which changes
// no bit of them, so that one conversion gives bin and fraction. Spikes about which
// there is anything to decide are left to countEach: those before the window or
// at its very beginning, close to the next bin, or in the last bin or later, where
// alone a spike can be behind the window.
func (g *grid) count(times, bins []float64) (dropped, moved int) {
	const (
		placeBits = 26 // 2^-26 is above the tolerance
		fraction  = 1<<placeBits - 1
	)
	inner := bins[:len(bins)-1]
	start, scale := g.start, g.perUnit*(1<<placeBits)
	n := len(times) / 4
	a, b, c, d := times[:n], times[n:][:n], times[2*n:][:n], times[3*n:][:n]
	for k := range a {
		p := int((a[k] - start) * scale)
		q := int((b[k] - start) * scale)
		r := int((c[k] - start) * scale)
		s := int((d[k] - start) * scale)
		i, j, l, m := uint(p>>placeBits), uint(q>>placeBits), uint(r>>placeBits), uint(s>>placeBits)
		if p > 0 && q > 0 && r > 0 && s > 0 &&
			(p+1)&fraction != 0 && (q+1)&fraction != 0 && (r+1)&fraction != 0 && (s+1)&fraction != 0 &&
			i < uint(len(inner)) && j < uint(len(inner)) && l < uint(len(inner)) && m < uint(len(inner)) {
			inner[i]++
			inner[j]++
			inner[l]++
			inner[m]++
			continue
		}
		for _, t := range [...]float64{a[k], b[k], c[k], d[k]} {
			drop, move := g.countEach([]float64{t}, bins)
			dropped, moved = dropped+drop, moved+move
		}
	}
	drop, move := g.countEach(times[4*n:], bins)
	return dropped + drop, moved + move
}

// countEach is count by the rule alone.
func (g *grid) countEach(times, bins []float64) (dropped, moved int) {
	for _, t := range times {
		i, next := g.place(t)
		if next {
			moved++
		}
		if uint(i) < uint(len(bins)) {
			bins[i]++
		} else if i >= 0 {
			dropped++
		}
	}
	return dropped, moved
}

// countAllOnce is countAll, but a train counts at most once in a bin. Until the
// end, the bits of a sample are the number of trains (low half) and 1 + the last
// train seen (high half), so that no second array is needed.
func (g *grid) countAllOnce(trains []Train, bins []float64) (dropped, moved int) {
	for k, t := range trains {
		stamp := uint64(k+1) << 32
		for _, t := range t.Times {
			i, next := g.place(t)
			if next {
				moved++
			}
			if uint(i) >= uint(len(bins)) {
				if i >= 0 {
					dropped++
				}
				continue
			}
			old := math.Float64bits(bins[i])
			counted := stamp | uint64(uint32(old)+1)
			if old >= stamp {
				counted = old
			}
			bins[i] = math.Float64frombits(counted)
		}
	}
	for i, v := range bins {
		bins[i] = float64(uint32(math.Float64bits(v)))
	}
	return dropped, moved
}

func divide(v []float64, by float64) {
	for i := range v {
		v[i] /= by
	}
}

// String gives "counts", "mean" or "rate".
func (o Output) String() string {
	switch o {
	case OutputCounts:
		return "counts"
	case OutputMean:
		return "mean"
	case OutputRate:
		return "rate"
	}
	return fmt.Sprintf("unknown output %d", uint8(o))
}

// ParseOutput reads "counts", "mean" or "rate"; other text is an error that
// wraps ErrOutput.
func ParseOutput(text string) (Output, error) {
	for _, o := range []Output{OutputCounts, OutputMean, OutputRate} {
		if text == o.String() {
			return o, nil
		}
	}
	return 0, fmt.Errorf("spike: %w: %q, want counts, mean or rate", ErrOutput, text)
}

// MarshalText is String; an unknown output is an error.
func (o Output) MarshalText() ([]byte, error) {
	if o > OutputRate {
		return nil, fmt.Errorf("spike: %w: %v", ErrOutput, o)
	}
	return []byte(o.String()), nil
}

// UnmarshalText is ParseOutput.
func (o *Output) UnmarshalText(text []byte) error {
	v, err := ParseOutput(string(text))
	if err != nil {
		return err
	}
	*o = v
	return nil
}

// Set is ParseOutput, so that *Output is a flag.Value.
func (o *Output) Set(text string) error { return o.UnmarshalText([]byte(text)) }
