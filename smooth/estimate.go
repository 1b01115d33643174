package smooth

import (
	"context"
	"math"
)

// EstimateConfig says where smoothness is measured.
type EstimateConfig struct {
	Mask []bool // where, if not nil
	// Demedian takes each voxel's median over time off first, so that what does not
	// change, such as anatomy, does not count: -demed of 3dFWHMx. It takes memory for
	// a copy of the data. One volume is left as it is.
	Demedian bool
	// Normalise is Demedian, and divides each voxel's course by the median of its
	// absolute values: -unif of 3dFWHMx. Where that is 0, the course is 0.
	Normalise bool
	Workers   int // goroutines, one if 0
}

// Estimates are what Estimate measured.
type Estimates struct {
	// Volumes has the FWHM along x, y and z of each volume, in mm. It is 0 where the
	// data have none: they are constant, or neighbours are no more alike than any
	// two voxels, or there are fewer than 6 pairs of them.
	Volumes [][3]float64
	// Mean is that of the volumes that have an FWHM along the axis, 0 if none has.
	Mean [3]float64
	// Zeroed counts values that were not finite, and were taken as 0.
	Zeroed int
}

// Estimate measures the smoothness of volumes from how alike neighbours are, as
// 3dFWHMx -ShowMeClassicFWHM does (Forman et al., Magn. Reson. Med. 33, 1995): with
// the variance V of the values, and V' of the differences along an axis between
// neighbours d mm apart, the FWHM is d·sqrt(-2 ln 2 / ln(1 - V'/(2V))). What is not
// noise counts as well, such as anatomy, unless Demedian takes it off. Slices that do not go with the grid are refused with
// ErrArgument.
func Estimate(ctx context.Context, grid Grid, data []float32, cfg EstimateConfig) (*Estimates, error) {
	if err := grid.check(); err != nil {
		return nil, err
	}
	n, err := grid.volumes("data", data)
	if err != nil {
		return nil, err
	}
	if err := grid.checkMask(cfg.Mask); err != nil {
		return nil, err
	}
	mask := cfg.Mask
	if mask == nil {
		mask = everywhere(grid)
	}
	r := newRegion(grid, mask)
	est := &Estimates{Volumes: make([][3]float64, n)}
	if cfg.Demedian || cfg.Normalise {
		if data, est.Zeroed, err = demedian(ctx, grid, data, cfg); err != nil {
			return nil, err
		}
	}
	// Volumes are cleaned on copies, and so go one by one.
	volume := make([]float32, grid.Voxels())
	var m moments
	for i := range est.Volumes {
		copy(volume, data[i*len(volume):])
		est.Zeroed += clean(volume, mask)
		if err := m.measure(ctx, r, volume, cfg.Workers); err != nil {
			return nil, err
		}
		est.Volumes[i] = m.widths[0]
	}
	est.Mean = meanWidth(est.Volumes)
	return est, nil
}

// demedian gives a copy of the data without each voxel's median over time. It counts what
// is not finite.
func demedian(ctx context.Context, grid Grid, data []float32, cfg EstimateConfig) (out []float32, zeroed int, err error) {
	m := newMaster(grid, data, &ToFWHMConfig{NoDetrend: true, AllVolumes: true, Workers: cfg.Workers}, 1)
	m.normalise, m.keepStill = cfg.Normalise, !cfg.Normalise
	return m.make(ctx, everywhere(grid))
}

// meanWidth is the mean over the volumes that have a width, 0 without any.
func meanWidth(volumes [][3]float64) (mean [3]float64) {
	for a := range 3 {
		n := 0
		for _, w := range volumes {
			if w[a] > 0 {
				mean[a] += w[a]
				n++
			}
		}
		if n > 0 {
			mean[a] /= float64(n)
		}
	}
	return mean
}

// moments measures volumes of a region, and keeps its scratch between calls.
type moments struct {
	planes []planeSums
	widths [][3]float64
}

// planeSums are sums over the mask's part of a plane, of values and of differences
// along the axes, and of their squares.
type planeSums struct {
	values, values2 float64
	diff, diff2     [3]float64
}

// measure fills widths. The volumes must be clean. Sums are made plane by plane, and
// added up in the order of planes, so that workers leave no trace.
func (m *moments) measure(ctx context.Context, r *region, volumes []float32, workers int) error {
	nz := r.Shape[2]
	n := len(volumes) / len(r.mask)
	m.planes = append(m.planes[:0], make([]planeSums, n*nz)...)
	err := parallel(ctx, workers, n*nz, func(_, i int) {
		m.planes[i] = r.sumPlane(volumes[i/nz*len(r.mask):][:len(r.mask)], i%nz)
	})
	if err != nil {
		return err
	}
	m.widths = append(m.widths[:0], make([][3]float64, n)...)
	for v := range m.widths {
		var s planeSums
		for _, p := range m.planes[v*nz:][:nz] {
			s.values += p.values
			s.values2 += p.values2
			for a := range 3 {
				s.diff[a] += p.diff[a]
				s.diff2[a] += p.diff2[a]
			}
		}
		value := variance(s.values, s.values2, r.voxels)
		for a := range 3 {
			if r.pairs[a] >= minPairs {
				m.widths[v][a] = width(value, variance(s.diff[a], s.diff2[a], r.pairs[a]), r.Voxel[a])
			}
		}
	}
	return nil
}

// minPairs is how many differences an estimate needs.
const minPairs = 6

func variance(sum, sum2 float64, n int) float64 {
	return (sum2 - float64(sum*sum)/float64(n)) / float64(n-1)
}

// width is the FWHM that the variances of values and of differences tell, 0 if none.
func width(value, diff, d float64) float64 {
	r := 1 - 0.5*diff/value
	if !(value > 0 && r > 0 && r < 1) {
		return 0
	}
	return d * halfWidth * math.Sqrt(1/minusLog(r))
}

// halfWidth is 2.35482 · sqrt(1/4), as AFNI has it.
const halfWidth = 2.35482 / 2

// sumPlane sums over plane z.
func (r *region) sumPlane(volume []float32, z int) (s planeSums) {
	nx, ny := r.Shape[0], r.Shape[1]
	for y := range ny {
		row := z*ny + y
		if !r.inside[row] {
			continue
		}
		at := row * nx
		u := volume[at:][:nx]
		// Nothing is joined with what is beyond the last row and plane.
		uy, uz := u, u
		if y+1 < ny {
			uy = volume[at+nx:][:nx]
		}
		if z+1 < r.Shape[2] {
			uz = volume[at+nx*ny:][:nx]
		}
		jx, jy, jz := r.joined[0][at:][:nx], r.joined[1][at:][:nx], r.joined[2][at:][:nx]
		var v1, v2, x1, x2, y1, y2, z1, z2 float64
		last, joined := 0.0, 0.0
		for i, v := range u {
			v := float64(v)
			dx := (v - last) * joined
			dy := (float64(uy[i]) - v) * float64(jy[i])
			dz := (float64(uz[i]) - v) * float64(jz[i])
			last, joined = v, float64(jx[i])
			v1 += v
			v2 += float64(v * v)
			x1 += dx
			x2 += float64(dx * dx)
			y1 += dy
			y2 += float64(dy * dy)
			z1 += dz
			z2 += float64(dz * dz)
		}
		s.values += v1
		s.values2 += v2
		for a, d := range [3][2]float64{{x1, x2}, {y1, y2}, {z1, z2}} {
			s.diff[a] += d[0]
			s.diff2[a] += d[1]
		}
	}
	return s
}

// minusLog is -ln r for r above 0 and up to 1, with an error of 1e-9 of it. It is
// here because assembly can do the same.
func minusLog(r float64) float64 {
	// r is 2^k · (1 + t) with t from -1/3 to 1/3.
	bits := math.Float64bits(r) - twoThirds
	k := float64(int64(bits) >> 52)
	t := math.Float64frombits(bits&mantissa+twoThirds) - 1
	t2 := t * t
	t4 := t2 * t2
	low := log0 + float64(t*log1) + float64(t2*(log2+float64(t*log3)))
	mid := log4 + float64(t*log5) + float64(t2*(log6+float64(t*log7)))
	high := log8 + float64(t*log9) + float64(t2*log10)
	p := low + float64(t4*(mid+float64(t4*high)))
	return -(float64(k*math.Ln2) + float64(t*p))
}

const (
	twoThirds = 0x3fe5555555555555 // the bits of 2/3
	mantissa  = 1<<52 - 1

	// ln(1+t)/t is the sum of their products with powers of t: it is interpolated at the
	// Chebyshev nodes of -1/3 to 1/3.
	log0  = 0.9999999999020055
	log1  = -0.5000000203387864
	log2  = 0.33333339626652686
	log3  = -0.2499963812042854
	log4  = 0.19999347405752213
	log5  = -0.1668459306288539
	log6  = 0.14310311706922374
	log7  = -0.12141629590643917
	log8  = 0.10697133660730777
	log9  = -0.13046103595264322
	log10 = 0.1220470188001479
)
