package spike

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"

	"gonum.org/v1/gonum/dsp/fourier"

	"github.com/parade-go/parade/unit"
)

// BandwidthOptions are the choices of OptimalKernelBandwidth. All numbers are in
// the unit of the train.
type BandwidthOptions struct {
	// Times are the points, ascending, at which the density is estimated; nil is
	// at most 1000 from the first spike to the last.
	Times []float64
	// Bandwidths are the standard deviations to choose from; nil searches for
	// the best one.
	Bandwidths []float64
}

// KernelBandwidth is the result of OptimalKernelBandwidth. Its numbers are in
// the unit of Sigma or the inverse of it.
type KernelBandwidth struct {
	// Sigma is the bandwidth of the least cost found, a standard deviation.
	Sigma unit.Time
	// Times and Density are the estimated density of spikes.
	Times, Density []float64
	// Bandwidths are those that were examined, in order, and Costs their costs.
	Bandwidths, Costs []float64
}

// maxSteps bounds bandwidths, in steps of the times: a transform is three times as
// long.
const maxSteps = 1e6

// OptimalKernelBandwidth finds the width of the Gaussian kernel with which a
// train is best smoothed, the one of least mean integrated squared error
// (H. Shimazaki and S. Shinomoto, J. Comput. Neurosci. 29 (2010) 171), as
// elephant.statistics.optimal_kernel_bandwidth does: by at most 20 steps of a
// golden section search, from twice the resolution to the range of the spikes.
//
// The width agrees with Elephant's to 1e-9 of itself. Unlike there the spikes
// need not be sorted. The bootstrap, which Elephant answers with an error, is
// left out.
//
// Refused are spikes, or spikes within Times, at fewer than two different times,
// and trains in which no width is found, as with three spikes (ErrTooFew), Times
// that do not ascend and bandwidths, given or to be searched, that are not above 0
// or beyond a million steps of Times (ErrKernel), and units that are no times (unit.ErrDimension).
func OptimalKernelBandwidth(train Train, opts BandwidthOptions) (KernelBandwidth, error) {
	if err := train.Validate(); err != nil {
		return KernelBandwidth{}, err
	}
	spikes := slices.Clone(train.Times)
	slices.Sort(spikes)
	times := opts.Times
	if times != nil {
		if len(times) < 2 || !(smallestStep(times) > 0) || math.IsInf(times[len(times)-1]-times[0], 0) {
			return KernelBandwidth{}, fmt.Errorf("spike: %w: the times to estimate a density at must be two or more finite ones that ascend", ErrKernel)
		}
		from, to := times[0], times[len(times)-1]
		spikes = spikes[sort.SearchFloat64s(spikes, from):]
		spikes = spikes[:sort.Search(len(spikes), func(i int) bool { return spikes[i] > to })]
	}
	isi := math.Inf(1)
	for i := 1; i < len(spikes); i++ {
		if d := spikes[i] - spikes[i-1]; d > 0 {
			isi = min(isi, d)
		}
	}
	if math.IsInf(isi, 1) {
		return KernelBandwidth{}, fmt.Errorf("spike: %w: a bandwidth needs spikes at two or more times, there are %d spikes", ErrTooFew, len(spikes))
	}
	at := times // where the density is computed, and interpolated to times
	if at == nil || isi > smallestStep(at) {
		from, to := spikes[0], spikes[len(spikes)-1]
		if at != nil {
			from, to = at[0], at[len(at)-1]
		}
		at = linspace(from, to, int(min((to-from)/isi+0.5, 1000)))
	}
	if times == nil {
		times = at
	}
	if len(at) < 2 {
		return KernelBandwidth{}, errNoBandwidth(train)
	}
	d := newDensity(spikes, at, smallestStep(times))
	b := KernelBandwidth{Times: times}
	sigma := math.NaN()
	var density []float64
	if opts.Bandwidths != nil {
		least := math.Inf(1)
		for _, w := range opts.Bandwidths {
			if !(w > 0) || w > maxSteps*d.dt {
				return KernelBandwidth{}, fmt.Errorf("spike: %w: bandwidth %v, want more than 0 and at most %v", ErrKernel,
					unit.Time{Value: w, Unit: train.Unit}, unit.Time{Value: maxSteps * d.dt, Unit: train.Unit})
			}
			cost, y := d.cost(w)
			b.Bandwidths, b.Costs = append(b.Bandwidths, w), append(b.Costs, cost)
			if cost < least {
				least, sigma, density = cost, w, y
			}
		}
	} else {
		longest := spikes[len(spikes)-1] - spikes[0]
		if longest > maxSteps*d.dt {
			return KernelBandwidth{}, fmt.Errorf("spike: %w: the smallest step of the times, %v, is too small to search bandwidths up to %v; give the bandwidths or coarser times",
				ErrKernel, unit.Time{Value: d.dt, Unit: train.Unit}, unit.Time{Value: longest, Unit: train.Unit})
		}
		sigma, density = d.search(2*d.dt, longest, &b)
	}
	if density == nil || math.IsNaN(sigma) {
		return KernelBandwidth{}, errNoBandwidth(train)
	}
	b.Sigma = unit.Time{Value: sigma, Unit: train.Unit}
	b.Density = interpolate(times, at, density)
	return b, nil
}

func errNoBandwidth(train Train) error {
	return fmt.Errorf("spike: %w: no bandwidth fits %d spikes from %v to %v; give a kernel", ErrTooFew, len(train.Times), train.Start(), train.Stop())
}

// smallestStep gives the smallest difference of neighbours.
func smallestStep(times []float64) float64 {
	step := math.Inf(1)
	for i := 1; i < len(times); i++ {
		step = min(step, times[i]-times[i-1])
	}
	return step
}

// densityHistogram is what the costs of bandwidths are computed from.
type densityHistogram struct {
	y  []float64 // density of spikes
	n  float64   // their number
	dt float64   // the resolution
}

// newDensity counts sorted spikes around the times at.
func newDensity(spikes, at []float64, dt float64) densityHistogram {
	d := densityHistogram{y: make([]float64, len(at)), dt: dt}
	begin := sort.SearchFloat64s(spikes, at[0]-dt/2)
	for i := range d.y {
		var end int
		if i+1 < len(at) {
			end = sort.SearchFloat64s(spikes, at[i+1]-dt/2)
		} else {
			edge := at[i] + dt/2 // the last one counts
			end = sort.Search(len(spikes), func(k int) bool { return spikes[k] > edge })
		}
		d.y[i] = float64(end - begin)
		d.n += d.y[i]
		begin = end
	}
	divide(d.y, d.n*dt)
	return d
}

// cost gives the cost of bandwidth w and the density smoothed by it.
func (d densityHistogram) cost(w float64) (float64, []float64) {
	y := gaussianSmooth(d.y, w/d.dt)
	var squares, products float64
	for i, v := range y {
		y[i] = math.Abs(v)
		squares += y[i] * y[i]
		products += y[i] * d.y[i]
	}
	c := squares*d.dt - 2*products*d.dt + 2/math.Sqrt(2*math.Pi)/w/d.n
	return c * d.n * d.n, y
}

// gaussianSmooth convolves x with a Gaussian of w samples by a Fourier transform
// of a power of 2.
func gaussianSmooth(x []float64, w float64) []float64 {
	n := 1 << bits.Len(uint(math.Ceil(float64(len(x))+3*w))-1)
	y := make([]float64, n)
	copy(y, x)
	fft := fourier.NewFFT(n)
	spectrum := fft.Coefficients(nil, y)
	for k := range spectrum {
		v := w * 2 * math.Pi * (float64(k) / float64(n))
		spectrum[k] *= complex(math.Exp(-0.5*(v*v))/float64(n), 0)
	}
	fft.Sequence(y, spectrum)
	return y[:len(x)]
}

// search looks for the bandwidth of least cost between two by golden sections on
// a scale that is logarithmic below 1 and linear above. It notes in b what it
// examines; the density is nil where there is nothing to search.
func (d densityHistogram) search(smallest, largest float64, b *KernelBandwidth) (sigma float64, density []float64) {
	const steps, precision = 20, 1e-5
	phi := 0.5 * (math.Sqrt(5) + 1) // the golden ratio
	linear := func(w float64) float64 {
		if w < 1e2 {
			return math.Log(math.Exp(w) - 1)
		}
		return w
	}
	bandwidth := func(x float64) float64 {
		if x < 1e2 {
			return math.Log(1 + math.Exp(x))
		}
		return x
	}
	lower := func(a, b float64) float64 { return float64((phi-1)*a) + float64((2-phi)*b) }
	upper := func(a, b float64) float64 { return float64((2-phi)*a) + float64((phi-1)*b) }
	lo, hi := linear(smallest), linear(largest)
	c1, c2 := lower(lo, hi), upper(lo, hi)
	f1, _ := d.cost(bandwidth(c1))
	f2, _ := d.cost(bandwidth(c2))
	for k := 0; k < steps && math.Abs(hi-lo) > precision*(math.Abs(c1)+math.Abs(c2)); k++ {
		var cost float64
		if f1 < f2 {
			hi, c2, f2 = c2, c1, f1
			c1 = lower(lo, hi)
			sigma = bandwidth(c1)
			f1, density = d.cost(sigma)
			cost = f1
		} else {
			lo, c1, f1 = c1, c2, f2
			c2 = upper(lo, hi)
			sigma = bandwidth(c2)
			f2, density = d.cost(sigma)
			cost = f2
		}
		b.Bandwidths, b.Costs = append(b.Bandwidths, sigma), append(b.Costs, cost)
	}
	area := 0.0
	for _, v := range density {
		area += v * d.dt
	}
	divide(density, area)
	return sigma, density
}

// interpolate gives the values of the polygon through (x, y), x ascending, at the
// given times, constant beyond its ends, as numpy.interp does.
func interpolate(times, x, y []float64) []float64 {
	out := make([]float64, len(times))
	for i, t := range times {
		k := sort.SearchFloat64s(x, t)
		switch {
		case k == len(x):
			out[i] = y[len(y)-1]
		case k == 0 || x[k] == t:
			out[i] = y[k]
		default:
			slope := (y[k] - y[k-1]) / (x[k] - x[k-1])
			out[i] = float64(slope*(t-x[k-1])) + y[k-1]
		}
	}
	return out
}
