package smooth

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
)

// master is the volumes whose smoothness is steered, and how they are made of those
// given: for every voxel what is slow over time is taken off.
type master struct {
	grid    Grid
	source  []float32
	volumes int
	median  bool // take the median off, not polynomials and sines
	// Of Estimate: keepStill leaves voxels in the mask that hardly change, and normalise
	// divides by the median of what is left, without its sign.
	keepStill, normalise bool
	used                 []int
	workers              int
}

// newMaster chooses the volumes that are used: all, or so many that there are
// 10000 voxels in a neighbourhood over time, evenly spread.
func newMaster(grid Grid, source []float32, cfg *ToFWHMConfig, neighbourhood int) *master {
	n := len(source) / grid.Voxels()
	m := &master{grid: grid, source: source, volumes: n, median: cfg.NoDetrend || n < 30, workers: max(1, cfg.Workers)}
	use := n
	switch {
	case cfg.AllVolumes:
	case cfg.Uniform:
		use = min(n, 32)
	default:
		use = min(n, max(2, (10000+neighbourhood-1)/neighbourhood))
	}
	stride := n / use
	first := (n - 1 - stride*(use-1)) / 2
	for i := range use {
		m.used = append(m.used, first+i*stride)
	}
	return m
}

// part is how many voxels are worked on over time at once.
const part = 256

// make returns the volumes used, and removes from the mask voxels that do not change.
// It counts what is not finite.
func (m *master) make(ctx context.Context, mask []bool) (out []float32, zeroed int, err error) {
	size := m.grid.Voxels()
	out = make([]float32, len(m.used)*size)
	if m.volumes == 1 {
		copy(out, m.source)
		return out, clean(out, mask), nil
	}
	var basis [][]float64
	if !m.median && !m.hasEmptyVolume() {
		basis = trends(m.volumes)
	}
	series := make([][]float64, m.workers)
	for i := range series {
		series[i] = make([]float64, m.volumes*part)
	}
	var bad atomic.Int64
	err = parallel(ctx, m.workers, (size+part-1)/part, func(w, i int) {
		at := i * part
		n := min(part, size-at)
		if !slices.Contains(mask[at:at+n], true) {
			for t := range m.volumes {
				for _, v := range m.source[t*size+at:][:n] {
					if !finite(v) {
						bad.Add(1)
					}
				}
			}
			return
		}
		rows := series[w]
		for t := range m.volumes {
			row := rows[t*part:][:n]
			for j, v := range m.source[t*size+at:][:n] {
				if !finite(v) {
					v = 0
					bad.Add(1)
				}
				row[j] = float64(v)
			}
		}
		if basis != nil {
			detrend(rows, basis, mask[at:at+n])
		} else {
			m.offMedian(rows, mask[at:at+n])
		}
		for k, t := range m.used {
			row := rows[t*part:][:n]
			for j, v := range row {
				if mask[at+j] {
					out[k*size+at+j] = float32(v)
				}
			}
		}
	})
	return out, int(bad.Load()), err
}

// hasEmptyVolume tells whether a volume is 0 everywhere.
func (m *master) hasEmptyVolume() bool {
	size := m.grid.Voxels()
	for t := range m.volumes {
		if !slices.ContainsFunc(m.source[t*size:][:size], func(v float32) bool { return v != 0 && finite(v) }) {
			return true
		}
	}
	return false
}

// trends are orthonormal over n volumes: what polynomials of second degree and n/30
// pairs of sines and cosines, of 1, 2, ... cycles, span.
func trends(n int) [][]float64 {
	var basis [][]float64
	add := func(f func(i int) float64) {
		b := make([]float64, n)
		for i := range b {
			b[i] = f(i)
		}
		// Twice, since once leaves more of the others than rounding does.
		for range 2 {
			for _, o := range basis {
				axpy(b, -dot(b, o), o)
			}
		}
		norm := math.Sqrt(dot(b, b))
		for i := range b {
			b[i] /= norm
		}
		basis = append(basis, b)
	}
	at := func(i int) float64 { return 2*float64(i)/float64(n-1) - 1 }
	add(func(int) float64 { return 1 })
	add(at)
	add(func(i int) float64 { return at(i) * at(i) })
	for k := 1; k <= n/30; k++ {
		angle := func(i int) float64 { return 2 * math.Pi * float64(k) * float64(i) / float64(n) }
		add(func(i int) float64 { return math.Cos(angle(i)) })
		add(func(i int) float64 { return math.Sin(angle(i)) })
	}
	return basis
}

func dot(a, b []float64) (sum float64) {
	b = b[:len(a)]
	for i, v := range a {
		sum += float64(v * b[i])
	}
	return sum
}

// detrend replaces the rows, one for each volume, by what the basis leaves of each
// voxel's course, divided by its standard deviation. Voxels without one leave the mask.
func detrend(rows []float64, basis [][]float64, mask []bool) {
	n, volumes := len(mask), len(basis[0])
	var first, change, left, coefficient [part]float64
	copy(first[:n], rows)
	// Relative to the first volume a voxel that does not change is 0, exactly.
	for t := range volumes {
		row := rows[t*part:][:n]
		for i := range row {
			row[i] -= first[i]
			change[i] += float64(row[i] * row[i])
		}
	}
	for _, b := range basis {
		clear(coefficient[:n])
		for t, f := range b {
			axpy(coefficient[:n], f, rows[t*part:])
		}
		for t, f := range b {
			axpy(rows[t*part:][:n], -f, coefficient[:])
		}
	}
	for t := range volumes {
		row := rows[t*part:][:n]
		for i := range row {
			left[i] += float64(row[i] * row[i])
		}
	}
	for i := range left[:n] {
		// What is left of a course that the basis holds is its rounding to float32.
		if !(left[i] > 1e-13*change[i]) {
			mask[i] = false
			left[i] = 0
			continue
		}
		left[i] = 1 / math.Sqrt(left[i]/float64(volumes-1))
	}
	for t := range volumes {
		row := rows[t*part:][:n]
		for i := range row {
			row[i] *= left[i]
		}
	}
}

// offMedian takes each voxel's median over time off its course. Voxels that mostly
// have the same value, so that the median of what is left is 0 too, leave the mask.
func (m *master) offMedian(rows []float64, mask []bool) {
	course := make([]float64, m.volumes)
	for i, in := range mask {
		if !in {
			continue
		}
		for t := range course {
			course[t] = rows[t*part+i]
		}
		middle := float64(float32(median(course))) // as AFNI has it
		for t := range course {
			rows[t*part+i] -= middle
			course[t] = math.Abs(rows[t*part+i])
		}
		deviation := median(course)
		mask[i] = deviation > 0 || m.keepStill
		for t := range course {
			if m.normalise && mask[i] {
				rows[t*part+i] /= deviation
			}
		}
	}
}

// median sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}
