package spike

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/parade-go/parade/unit"
)

// JointISI holds the choices of JointISIDithering, elephant's JointISI (Gerstein
// 2004, Louis et al. 2010); the zero value is Elephant's. Pairs of an interval and
// the next one are counted in a square histogram, which is smoothed. A spike moves
// along the pairs that have the sum of its own, with probabilities from the
// histogram; every second spike is moved first, and then the others (Elephant's
// alternate=True).
type JointISI struct {
	// TruncationLimit is the longest interval in the histogram; unset is 100 ms.
	TruncationLimit unit.Time
	// Bins is the number of bins for an interval, up to MaxJointISIBins; 0 is 100.
	Bins int
	// Sigma is the standard deviation of the Gaussian that smoothes the histogram;
	// unset is 2 ms, 0 ms is none, and the TruncationLimit is the most.
	Sigma unit.Time
	// SquareRoot takes the square root of the counts before.
	SquareRoot bool
	// WholeRange lets a spike move anywhere between its neighbours, and not only
	// by up to Dither (Elephant's method="fast").
	WholeRange bool
	// NoCutoff smoothes the whole of the histogram, also where there are no
	// intervals because of the refractory period.
	NoCutoff bool
}

// MaxJointISIBins is the largest number of bins of JointISI.
const MaxJointISIBins = 1024

// jointISI is JointISI in the unit of a train.
type jointISI struct {
	bins       int
	width      float64     // of a bin
	dither     float64     // largest move
	dead       float64     // refractory period
	steps      int         // largest move in bins
	whole      bool        // WholeRange
	cumulative [][]float64 // for each sum of two bins, of the first of them: sums of the histogram
}

func (s Surrogate) jointISI(train Train) (surrogateDraw, error) {
	u, opts := train.Unit, s.JointISI
	j := jointISI{bins: opts.Bins, whole: opts.WholeRange}
	if j.bins == 0 {
		j.bins = 100
	}
	if j.bins < 1 || j.bins > MaxJointISIBins {
		return nil, fmt.Errorf("spike: %w: %d bins for an interval, want 1 to %d", ErrSurrogate, opts.Bins, MaxJointISIBins)
	}
	var err error
	in := func(what string, t unit.Time, unset float64) float64 {
		if !t.IsSet() {
			t = unit.Milliseconds(unset)
		}
		v, e := distance(what, t, u)
		if err == nil {
			err = e
		}
		return v
	}
	j.dither = in("dither", s.Dither, 15)
	limit := in("truncation limit", opts.TruncationLimit, 100)
	sigma := in("sigma", opts.Sigma, 2)
	dead := s.RefractoryPeriod
	if !dead.IsSet() {
		dead = unit.Milliseconds(4)
	}
	if err != nil {
		return nil, err
	}
	if j.dead, err = refractoryIn(dead, u); err != nil {
		return nil, err
	}
	j.width = limit / float64(j.bins)
	steps := math.Floor(j.dither / j.width)
	if !(j.width > 0 && steps <= MaxBins) {
		return nil, fmt.Errorf("spike: %w: a dither of %v %v is too far for %d bins up to %v %v", ErrSurrogate, j.dither, u, j.bins, limit, u)
	}
	j.steps = int(steps)

	if sigma > limit {
		return nil, fmt.Errorf("spike: %w: sigma is %v %v, want at most the truncation limit (%v %v)", ErrSurrogate, sigma, u, limit, u)
	}

	sorted := slices.Sorted(slices.Values(train.Times))
	if len(sorted) < 3 {
		return func(Random) []float64 { return slices.Clone(sorted) }, nil
	}
	j.dead = shortest(sorted, j.dead)
	intervals := make([]float64, len(sorted)-1)
	for i := range intervals {
		intervals[i] = sorted[i+1] - sorted[i]
	}
	h := j.histogram(intervals, limit, s.Method == ISIDithering)
	if opts.SquareRoot {
		for i, v := range h {
			h[i] = math.Sqrt(v)
		}
	}
	if sigma > 0 {
		j.smooth(h, sigma/j.width, opts.NoCutoff)
	}
	j.cumulate(h)
	return func(rng Random) []float64 {
		times := make([]float64, len(sorted))
		times[0] = sorted[0]
		sum := 0.0
		for i, interval := range j.dithered(rng, intervals) {
			sum += interval
			times[i+1] = min(sorted[0]+sum, train.TStop) // the sum may exceed it by rounding
		}
		return times
	}, nil
}

// histogram counts pairs of successive intervals or, if they are taken as
// independent, makes the product of the counts of each: row by row, a row for
// the first interval. The last bin includes its right edge.
func (j jointISI) histogram(intervals []float64, limit float64, independent bool) []float64 {
	edges := make([]float64, j.bins+1)
	for k := range edges {
		edges[k] = float64(float64(k) * j.width)
	}
	edges[j.bins] = limit
	bin := func(v float64) int {
		if v == limit {
			return j.bins - 1
		}
		return sort.Search(len(edges), func(k int) bool { return edges[k] > v }) - 1 // j.bins: too long
	}
	h := make([]float64, j.bins*j.bins)
	if !independent {
		for i := range len(intervals) - 1 {
			if a, b := bin(intervals[i]), bin(intervals[i+1]); a < j.bins && b < j.bins {
				h[a*j.bins+b]++
			}
		}
		return h
	}
	counts := make([]float64, j.bins)
	for _, v := range intervals {
		if k := bin(v); k < j.bins {
			counts[k]++
		}
	}
	for a, n := range counts {
		for b, m := range counts {
			h[a*j.bins+b] = n * m
		}
	}
	return h
}

// smooth convolves the histogram with a Gaussian of sigma bins, as
// scipy.ndimage.gaussian_filter does. Unless noCutoff it leaves out, and clears,
// bins of intervals within the refractory period. (Elephant, up to 1.2.1, smoothes
// the product of counts in integers, and so away.)
func (j jointISI) smooth(h []float64, sigma float64, noCutoff bool) {
	from := 0
	if !noCutoff {
		from = int(min(math.Floor(j.dead/j.width), float64(j.bins)))
		for i := range h {
			if i/j.bins < from || i%j.bins < from {
				h[i] = 0
			}
		}
	}
	n := j.bins - from
	if n == 0 {
		return
	}
	weights := gaussianWeights(sigma)
	radius := len(weights) - 1
	line := make([]float64, n+2*radius)
	filter := func(first, step int) {
		for i := range line { // the ends are mirrored
			k := ((i-radius)%(2*n) + 2*n) % (2 * n)
			line[i] = h[first+min(k, 2*n-1-k)*step]
		}
		for i := range n {
			v := float64(line[i+radius] * weights[0])
			for d := radius; d > 0; d-- {
				v += float64((line[i+radius-d] + line[i+radius+d]) * weights[d])
			}
			h[first+i*step] = v
		}
	}
	for k := from; k < j.bins; k++ {
		filter(from*j.bins+k, j.bins)
	}
	for k := from; k < j.bins; k++ {
		filter(k*j.bins+from, 1)
	}
}

// gaussianWeights gives the weights of a Gaussian at 0, 1, ... up to 4 sigma.
func gaussianWeights(sigma float64) []float64 {
	radius := int(4*sigma + 0.5)
	all := make([]float64, 2*radius+1)
	for i := range all {
		x := float64(i - radius)
		all[i] = math.Exp(float64(-0.5 / (sigma * sigma) * (x * x)))
	}
	divide(all, sum(all))
	return all[radius:]
}

// cumulate sums the histogram along the pairs of equal sum.
func (j *jointISI) cumulate(h []float64) {
	j.cumulative = make([][]float64, j.bins)
	for d := range j.cumulative {
		sums, total := make([]float64, d+1), 0.0
		for k := range sums {
			total += h[k*j.bins+d-k]
			sums[k] = total
		}
		j.cumulative[d] = sums
	}
}

// dithered gives dithered intervals.
func (j jointISI) dithered(rng Random, intervals []float64) []float64 {
	v := slices.Clone(intervals)
	for first := range 2 {
		for i := first; i < len(v)-1; i += 2 {
			step := j.step(rng, v[i], v[i+1])
			v[i] += step
			v[i+1] -= step
		}
	}
	return v
}

// step draws by how much the spike between two intervals moves.
func (j jointISI) step(rng Random, before, after float64) float64 {
	a, b := math.Floor(before/j.width), math.Floor(after/j.width)
	if a >= 0 && b >= 0 && a+b < float64(j.bins) {
		k, sums := int(a), j.cumulative[int(a+b)]
		// The spike may go to place 0, 1, ... n; the sums up to these places are those
		// of the diagonal, moved, with zeros before it and the total behind.
		n, place, moved := 2*j.steps, j.steps, j.steps-k
		if j.whole {
			n, place, moved = len(sums), k+1, 1
		}
		at := func(p int) float64 {
			if p -= moved; p < 0 {
				return 0
			}
			return sums[min(p, len(sums)-1)]
		}
		if low, all := at(0), at(n)-at(0); all > 0 {
			u := rng.Float64()
			p := sort.Search(n, func(p int) bool { return (at(p)-low)/all >= u })
			return float64((float64(p)+0.5)*j.width) - float64((float64(place)+0.5)*j.width)
		}
	}
	left, right := min(before-j.dead, j.dither), min(after-j.dead, j.dither)
	return float64(rng.Float64()*(right+left)) - left
}
