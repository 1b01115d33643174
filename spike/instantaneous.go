package spike

import (
	"fmt"
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"

	"github.com/parade-go/parade/unit"
)

// InstantaneousRateOptions are the choices of InstantaneousRate; the zero value
// gives each train's rate over the whole of the trains.
type InstantaneousRateOptions struct {
	// TStart and TStop bound the rate; unset is the bound of the trains, which
	// must then agree on it. They may lie outside of the trains.
	TStart, TStop unit.Time
	// Cutoff is the half width at which the kernel is cut, in units of its
	// standard deviation; unset is 5. Less than Kernel.MinCutoff becomes that.
	Cutoff float64
	// Trim leaves only the samples that the whole of the kernel contributes to,
	// the same numbers as without.
	Trim bool
	// KeepOrigin leaves the origin of the kernel at the spike. By default its
	// median is there, so that kernels which are not symmetric move no rate.
	KeepOrigin bool
	// BorderCorrection makes up for the part of a Gaussian that reaches over
	// TStart and TStop, and scales each rate so that its integral is the number
	// of spikes.
	BorderCorrection bool
	// Pool gives the mean rate of the trains, in one channel.
	Pool bool
}

// RateEstimate is the result of InstantaneousRate: a signal in Hz with a channel
// for each train, and the kernel it was made with.
type RateEstimate struct {
	AnalogSignal
	// Kernel is the kernel used; of an automatic one, what was found.
	Kernel Kernel
	// Cutoff is the half width of the kernel in units of its standard deviation.
	Cutoff float64
}

// InstantaneousRate estimates the firing rate of each train over time by
// smoothing it with a kernel, as elephant.statistics.instantaneous_rate does
// (1.2). Spikes are counted in intervals of samplingPeriod from t_start on, which
// hold their left end, the last one also its right end; a rest shorter than
// samplingPeriod is left out. Counts are convolved with the kernel. The signal
// starts at t_start, in the unit of the trains. The automatic kernel (the zero
// Kernel) needs a single train.
//
// Samples agree with Elephant to 1e-13 of the largest one, since sums are taken
// in another order, and with an alpha kernel to 1e-6, whose median Elephant has
// to 1e-7 only. Where rounding would leave out the last whole interval, as with
// 0.7 s and 100 ms, it is there. Trimmed rates keep their time, also where
// Elephant moves those of a kernel that is not symmetric to its median, and are
// corrected for the borders of the trains and not for those of the trimmed part.
// Spikes outside of t_start and t_stop count for no correction.
//
// Refused are: no trains (ErrNoTrains), trains that differ in unit
// (ErrMixedUnits) or, where a bound is not given, in that bound by more than 1e-8
// of the unit (ErrInterval), an empty window (ErrInterval), a sampling period that
// is not above 0 or gives no sample or more than MaxBins (ErrBinSize), a kernel
// that Kernel.Validate refuses, one to be trimmed away that is longer than the
// window, and border correction of any but a Gaussian (ErrKernel), an automatic
// kernel of several trains (ErrKernel) or of too few spikes (ErrTooFew), and units
// that are no times (unit.ErrDimension).
func InstantaneousRate(trains []Train, samplingPeriod unit.Time, kernel Kernel, opts InstantaneousRateOptions) (RateEstimate, error) {
	g, err := newSampling(trains, samplingPeriod, opts)
	if err != nil {
		return RateEstimate{}, err
	}
	if kernel.Shape == KernelAuto {
		if len(trains) > 1 {
			return RateEstimate{}, fmt.Errorf("spike: %w: the automatic kernel needs a single train, not %d; give a kernel", ErrKernel, len(trains))
		}
		found, err := OptimalKernelBandwidth(trains[0], BandwidthOptions{})
		if err != nil {
			return RateEstimate{}, err
		}
		kernel = GaussianKernel(found.Sigma)
	}
	if opts.BorderCorrection && kernel.Shape != KernelGaussian {
		return RateEstimate{}, fmt.Errorf("spike: %w: border correction needs a Gaussian kernel, not %v", ErrKernel, kernel)
	}
	cutoff, err := kernel.cutoff(opts.Cutoff)
	if err != nil {
		return RateEstimate{}, err
	}
	half, err := kernel.halfLength(cutoff, samplingPeriod)
	if err != nil {
		return RateEstimate{}, err
	}
	if opts.Trim && 2*half+1 > float64(g.n) {
		return RateEstimate{}, fmt.Errorf("spike: %w: %v, cut at %v sigma, is %v samples long, of the rate there are %d; take a narrower kernel, a smaller cutoff or no trimming",
			ErrKernel, kernel, cutoff, unit.FormatFloat(2*half+1), g.n)
	}
	weights, err := kernel.sample(cutoff, half, samplingPeriod, opts.KeepOrigin, g.n-1)
	if err != nil {
		return RateEstimate{}, err
	}

	signal := AnalogSignal{
		Channels:     len(trains),
		Unit:         unit.Hertz,
		TStart:       unit.Time{Value: g.start, Unit: g.unit},
		SamplingRate: samplingPeriod.Inverse(),
	}
	if opts.Pool {
		signal.Channels = 1
	}
	signal.Samples = make([]float64, g.n*signal.Channels)
	var border []float64
	if opts.BorderCorrection {
		if border, err = borderFactors(signal, g, kernel.Sigma); err != nil {
			return RateEstimate{}, err
		}
	}
	smooth := newConvolution(weights)
	const together = 8 // trains whose samples are written at once: a cache line
	counts, rates := make([]float64, g.n), make([][]float64, min(together, len(trains)))
	for i := range rates {
		rates[i] = make([]float64, g.n)
	}
	apart := 1 // channels between trains
	if opts.Pool {
		apart = 0
	}
	for from := 0; from < len(trains); from += together {
		some := trains[from:min(from+together, len(trains))]
		for i, t := range some {
			g.count(t.Times, counts)
			smooth.same(rates[i], counts)
			if border != nil {
				g.correct(rates[i], border, t.Times)
			}
		}
		for k := range g.n {
			row := signal.Samples[k*signal.Channels:][:signal.Channels]
			for i := range some {
				row[(from+i)*apart] += rates[i][k]
			}
		}
	}
	if opts.Pool {
		divide(signal.Samples, float64(len(trains)))
	}
	if opts.Trim {
		cut := int(half)
		signal.Samples = signal.Samples[cut*signal.Channels : (g.n-cut)*signal.Channels]
		// A period is first a number of seconds, as in Elephant.
		seconds, err := samplingPeriod.In(unit.Second)
		if err != nil {
			return RateEstimate{}, err
		}
		inSeconds, err := unit.Factor(g.unit, unit.Second)
		if err != nil {
			return RateEstimate{}, err
		}
		signal.TStart.Value += float64(half * (seconds.Value / inSeconds)) // float64 forbids a fused multiply-add
	}
	return RateEstimate{AnalogSignal: signal, Kernel: kernel, Cutoff: cutoff}, nil
}

// cutoff gives the half width to cut the kernel at, in units of Sigma.
func (k Kernel) cutoff(asked float64) (float64, error) {
	if asked == 0 {
		asked = 5
	}
	if math.IsNaN(asked) || math.IsInf(asked, 1) {
		return 0, fmt.Errorf("spike: %w: cutoff %v is not a finite number", ErrKernel, asked)
	}
	return max(asked, k.MinCutoff()), nil
}

// halfLength gives the number of samples of the kernel on each side, which may be
// beyond an int.
func (k Kernel) halfLength(cutoff float64, period unit.Time) (float64, error) {
	if err := k.Validate(); err != nil {
		return 0, err
	}
	ratio, err := quotient(k.Sigma.Value, k.Sigma.Unit, period)
	if err != nil {
		return 0, err
	}
	half := math.Ceil(cutoff * ratio)
	if !(half >= 1) || math.IsInf(half, 1) {
		return 0, fmt.Errorf("spike: %w: %v, cut at %v sigma, cannot be sampled every %v", ErrKernel, k, cutoff, period)
	}
	return half, nil
}

// quotient gives v in u divided by t, rounded as quantities does it when it
// simplifies: the values are divided first, then scaled by the size of u times the
// inverse size of t's unit (of ms and us 1000, where unit.Factor is an ulp more).
func quotient(v float64, u unit.Unit, t unit.Time) (float64, error) {
	size, err := unit.Factor(u, unit.Second)
	if err != nil {
		return 0, fmt.Errorf("spike: %w", err)
	}
	of, err := unit.Factor(t.Unit, unit.Second)
	if err != nil {
		return 0, fmt.Errorf("spike: %w", err)
	}
	if u == t.Unit {
		return v / t.Value, nil
	}
	return v / t.Value * (size * (1 / of)), nil
}

// sample evaluates the kernel, in Hz, at the odd number of points that half makes,
// one for each period, from -cutoff to cutoff around its median or origin; but at
// most limit points on each side, since more would meet no sample.
func (k Kernel) sample(cutoff, half float64, period unit.Time, keepOrigin bool, limit int) ([]float64, error) {
	seconds, err := period.In(unit.Second)
	if err != nil {
		return nil, err
	}
	inSeconds, err := k.sigmaIn(unit.Second)
	if err != nil {
		return nil, err
	}
	k.Sigma = unit.Time{Value: inSeconds / seconds.Value, Unit: unit.Second} // from here on, 1 s stands for a period
	var median unit.Time
	if !keepOrigin {
		if median, err = k.ICDF(0.5); err != nil {
			return nil, err
		}
	}
	sigma := k.Sigma.Value
	first, last := float64(-cutoff*sigma)+median.Value, float64(cutoff*sigma)+median.Value
	step := (last - first) / (2 * half)
	reach := int(min(half, float64(limit)))
	weights := make([]float64, 2*reach+1)
	for i := range weights {
		m := half - float64(reach) + float64(i)
		t := first + float64(m*step) // float64 forbids a fused multiply-add
		if m == 2*half {
			t = last
		}
		weights[i] = k.density(t, sigma) / seconds.Value
	}
	return weights, nil
}

// sampling is where the samples of a rate lie, in the unit of the trains.
type sampling struct {
	unit        unit.Unit
	start, stop float64 // the window
	n           int
	edges       []float64 // of the intervals, n+1 of them
}

func newSampling(trains []Train, period unit.Time, opts InstantaneousRateOptions) (sampling, error) {
	if len(trains) == 0 {
		return sampling{}, fmt.Errorf("spike: %w: a rate needs at least one", ErrNoTrains)
	}
	first := trains[0]
	u := first.Unit
	if u.Dimension() != unit.DimensionTime {
		return sampling{}, &TrainError{Index: 0, Err: fmt.Errorf("%w: %s is not a unit of time", unit.ErrDimension, u)}
	}
	inUnit, err := period.In(u)
	if err != nil {
		return sampling{}, fmt.Errorf("spike: sampling period: %w", err)
	}
	start, err := inOr(opts.TStart, u, first.TStart)
	if err != nil {
		return sampling{}, fmt.Errorf("spike: t_start: %w", err)
	}
	stop, err := inOr(opts.TStop, u, first.TStop)
	if err != nil {
		return sampling{}, fmt.Errorf("spike: t_stop: %w", err)
	}
	for i, t := range trains {
		// Its own bounds, since the window may lie outside of them.
		if err := checkShared(t, first, t.TStart, t.TStop, HistogramOptions{TStart: opts.TStart, TStop: opts.TStop}); err != nil {
			return sampling{}, &TrainError{Index: i, Err: err}
		}
	}
	if !(start < stop) || math.IsInf(stop-start, 0) {
		return sampling{}, fmt.Errorf("spike: %w: t_start (%v) must be before t_stop (%v), both finite", ErrInterval,
			unit.Time{Value: start, Unit: u}, unit.Time{Value: stop, Unit: u})
	}
	q, err := quotient(stop-start, u, period)
	if err != nil {
		return sampling{}, err
	}
	n := wholeBins(q)
	if !(period.Value > 0) || !(n >= 1) || n > MaxBins {
		return sampling{}, fmt.Errorf("spike: %w: a sampling period of %v makes %v samples of %v, want 1 to %d", ErrBinSize, period,
			unit.FormatFloat(n), unit.Time{Value: stop - start, Unit: u}, MaxBins)
	}
	end := start + float64(n*inUnit.Value) // float64 forbids a fused multiply-add
	return sampling{unit: u, start: start, stop: stop, n: int(n), edges: linspace(start, end, int(n)+1)}, nil
}

// linspace gives n numbers from first to last as numpy.linspace does.
func linspace(first, last float64, n int) []float64 {
	points := make([]float64, n)
	step := (last - first) / float64(n-1)
	for i := range points {
		points[i] = float64(float64(i)*step) + first // float64 forbids a fused multiply-add
	}
	if n > 1 {
		points[n-1] = last
	}
	return points
}

// count counts spikes into intervals, as numpy.histogram does.
func (g *sampling) count(times, counts []float64) {
	clear(counts)
	first, last := g.edges[0], g.edges[g.n]
	for _, t := range times {
		if !(first <= t && t <= last) {
			continue
		}
		i := min(int((t-first)/(last-first)*float64(g.n)), g.n-1)
		if t < g.edges[i] {
			i--
		} else if t >= g.edges[i+1] && i != g.n-1 {
			i++
		}
		counts[i]++
	}
}

// borderFactors gives for each sample the inverse of the part of the Gaussian
// that is within the window.
func borderFactors(s AnalogSignal, g sampling, sigma unit.Time) ([]float64, error) {
	width, err := sigma.In(g.unit)
	if err != nil {
		return nil, err
	}
	scale := math.Sqrt2 * width.Value
	factors := make([]float64, g.n)
	for k := range factors {
		t := s.time(k)
		factors[k] = 2 / (math.Erf((g.stop-t)/scale) - math.Erf((g.start-t)/scale))
	}
	return factors, nil
}

// correct applies the factors to the rate of a train and makes its integral the
// number of spikes within the window.
func (g *sampling) correct(rate, factors, times []float64) {
	for k := range rate {
		rate[k] *= factors[k]
	}
	average := mean(rate)
	if average == 0 {
		return
	}
	spikes := 0
	for _, t := range times {
		if g.start <= t && t <= g.stop {
			spikes++
		}
	}
	seconds := unit.Time{Value: g.stop - g.start, Unit: g.unit}
	seconds, _ = seconds.In(unit.Second)
	scale := float64(spikes) / (average * seconds.Value)
	for k := range rate {
		rate[k] *= scale
	}
}

// convolution convolves counts with a kernel of odd length: spike by spike, or
// block by block, each by a Fourier transform of one length (overlap-add).
type convolution struct {
	kernel   []float64
	fft      *fourier.FFT // nil until a train has enough spikes
	spectrum []complex128 // of the kernel, scaled for the way back
	work     []complex128
	block    []float64
}

func newConvolution(kernel []float64) *convolution { return &convolution{kernel: kernel} }

// same convolves counts and gives the middle part, as long as counts; like
// Elephant it cuts what rounding brings below 0.
func (c *convolution) same(rate, counts []float64) {
	clear(rate)
	spikes := 0
	for _, v := range counts {
		if v != 0 {
			spikes++
		}
	}
	log := bits.Len(uint(len(c.kernel) + min(len(counts), 3*len(c.kernel)))) // some times the kernel, or all at once
	size := 1 << log
	blocks := 1 + (len(counts)-1)/(size-len(c.kernel)+1)
	const perStep = 5 // additions of spread in the time of a step of a transform
	if float64(spikes)*float64(len(c.kernel)) <= perStep*float64(blocks)*float64(size)*float64(log) {
		c.spread(rate, counts)
	} else {
		c.transform(rate, counts, size)
	}
}

// spread adds a kernel for each spike: exact and, where spikes are sparse, faster
// than transforms.
func (c *convolution) spread(rate, counts []float64) {
	half := len(c.kernel) / 2
	for i, v := range counts {
		if v == 0 {
			continue
		}
		from, to := max(0, i-half), min(len(rate), i+half+1)
		kernel := c.kernel[from-i+half:]
		for k, w := range kernel[:to-from] {
			rate[from+k] += float64(v * w) // float64 forbids a fused multiply-add
		}
	}
}

// transform adds the convolution of each block, with a transform of size.
func (c *convolution) transform(rate, counts []float64, size int) {
	if c.fft == nil {
		c.fft = fourier.NewFFT(size)
		c.block = make([]float64, size)
		copy(c.block, c.kernel)
		c.spectrum = c.fft.Coefficients(nil, c.block)
		for i := range c.spectrum {
			c.spectrum[i] /= complex(float64(size), 0)
		}
		c.work = make([]complex128, len(c.spectrum))
	}
	half, length := len(c.kernel)/2, size-len(c.kernel)+1
	for from := 0; from < len(counts); from += length {
		n := copy(c.block, counts[from:min(from+length, len(counts))])
		clear(c.block[n:])
		c.fft.Coefficients(c.work, c.block)
		for i, w := range c.spectrum {
			c.work[i] *= w
		}
		c.fft.Sequence(c.block, c.work)
		for k, v := range c.block[:n+2*half] {
			if at := from + k - half; at >= 0 && at < len(rate) {
				rate[at] += v
			}
		}
	}
	for k, v := range rate {
		rate[k] = max(v, 0)
	}
}
