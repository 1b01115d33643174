package smooth

import (
	"context"
	"math"
	"sync/atomic"
)

// Definition is what a kernel of some FWHM is, and what it meets beyond the edges
// of the grid.
type Definition int

const (
	// Nilearn is the definition of nilearn.image.smooth_img, which is that of
	// scipy.ndimage.gaussian_filter1d: the Gaussian at the middles of the voxels, out
	// to 4 standard deviations. Beyond an edge the volume is reflected, edge voxel
	// included.
	Nilearn Definition = iota
	// AFNI is the definition of 3dmerge -1blur_fwhm: the Gaussian's mean over each
	// voxel, out to 2.5 standard deviations. Beyond an edge the volume is reflected
	// without the edge voxel, at the high edges of x and y with it. An axis shorter
	// than that is left alone, which Gaussian.Skipped tells.
	AFNI
)

// GaussianConfig says how to smooth with a fixed kernel.
type GaussianConfig struct {
	FWHM       [3]float64 // of the kernel along x, y and z, in mm; 0 leaves an axis alone
	Definition Definition // Nilearn unless told
	// Mask, if not nil, restricts smoothing: a voxel gets the weighted mean of those
	// of its neighbours that are in the mask, smooth(v·m) / smooth(m), and a voxel
	// outside 0. No other package's kernel does that.
	Mask    []bool
	Workers int // goroutines, one if 0
}

// Gaussian is a filter for the volumes of a grid. It keeps its scratch between
// volumes, so one goroutine at a time may use it.
type Gaussian struct {
	voxels  int
	shape   [3]int
	axes    [3]axis
	mask    []bool
	weights []float32 // the mask, smoothed
	between []float32 // the volume between y and z
	workers []gaussianWorker
}

type gaussianWorker struct {
	padded []float32 // a row and what it meets beyond its ends
	plane  []float32 // a plane between x and y
	sums   []float64
}

// axis is the kernel along one axis.
type axis struct {
	taps    []float64 // of the voxel itself, and of those 1, 2, ... away; nil leaves the axis alone
	from    []int     // from[i+radius] is where voxel i is read, for i from -radius to n-1+radius
	skipped bool
}

const (
	maxSigma      = 1e6 // voxels
	maxAFNIRadius = 35
)

// NewGaussian makes a filter. It refuses with ErrArgument a grid, a mask or a width
// that makes no sense.
func NewGaussian(grid Grid, cfg GaussianConfig) (*Gaussian, error) {
	if err := grid.check(); err != nil {
		return nil, err
	}
	if err := grid.checkMask(cfg.Mask); err != nil {
		return nil, err
	}
	f := &Gaussian{voxels: grid.Voxels(), shape: grid.Shape}
	for a, n := range grid.Shape {
		w := cfg.FWHM[a]
		if !(w >= 0) || w/(toSigma*grid.Voxel[a]) > maxSigma {
			return nil, refuse("an FWHM of %v mm along %c: it must be 0, which leaves the axis alone, or above, and less than %g voxels", w, 'x'+a, maxSigma)
		}
		if w == 0 {
			continue
		}
		sigma := w / (toSigma * grid.Voxel[a])
		switch cfg.Definition {
		case Nilearn:
			f.axes[a] = nilearnAxis(sigma, n)
		case AFNI:
			x, err := afniAxis(sigma, n, a == 2)
			if err != nil {
				return nil, err
			}
			f.axes[a] = x
		default:
			return nil, refuse("there is no definition %d of a kernel", cfg.Definition)
		}
	}
	f.between = make([]float32, f.voxels)
	nx, ny := grid.Shape[0], grid.Shape[1]
	f.workers = make([]gaussianWorker, max(1, cfg.Workers))
	for i := range f.workers {
		f.workers[i] = gaussianWorker{
			padded: make([]float32, max(nx, len(f.axes[0].from))),
			plane:  make([]float32, nx*ny),
			sums:   make([]float64, max(nx, min(nx*ny, longRow))),
		}
	}
	if cfg.Mask != nil {
		ones := make([]float32, f.voxels)
		for i, in := range cfg.Mask {
			if in {
				ones[i] = 1
			}
		}
		if err := f.volume(context.Background(), ones, ones, new(atomic.Int64)); err != nil {
			return nil, err
		}
		f.weights, f.mask = ones, append([]bool(nil), cfg.Mask...)
	}
	return f, nil
}

// nilearnAxis samples the Gaussian. A kernel that is longer than the axis reads
// reflections of reflections, which come round every 2n voxels: their taps are
// added up, so that no kernel costs more than the axis is long.
func nilearnAxis(sigma float64, n int) axis {
	radius := int(float64(4*sigma) + 0.5)
	taps := make([]float64, radius+1)
	for i := range taps {
		x := float64(i) / sigma
		taps[i] = math.Exp(-0.5 * float64(x*x))
	}
	normalise(taps)
	if radius > n {
		folded := make([]float64, n+1)
		for i, t := range taps {
			j := i % (2 * n)
			j = min(j, 2*n-j)
			folded[j] += t
			// Both i voxels below and i above are the voxel itself.
			if i != 0 && j == 0 {
				folded[0] += t
			}
		}
		taps, radius = folded, n
	}
	x := axis{taps: taps, from: make([]int, n+2*radius)}
	for p := range x.from {
		i := p - radius
		switch {
		case i < 0:
			i = -1 - i
		case i >= n:
			i = 2*n - 1 - i
		}
		x.from[p] = i
	}
	return x
}

// afniAxis averages the Gaussian over each voxel by the trapezoidal rule in 22
// steps, as 3dmerge does.
func afniAxis(sigma float64, n int, z bool) (axis, error) {
	radius := int(math.Ceil(2.5 * sigma))
	if radius > maxAFNIRadius {
		return axis{}, refuse("a kernel of the AFNI definition with a radius of %d voxels: above %d voxels 3dmerge has another method; use the Nilearn definition", radius, maxAFNIRadius)
	}
	if n < radius+1 {
		return axis{skipped: true}, nil
	}
	taps := make([]float64, radius+1)
	const steps = 22
	for i := range taps {
		for s := range steps + 1 {
			x := (float64(i) - 0.5 + float64(s)/steps) / sigma
			v := math.Exp(-0.5 * float64(x*x))
			if s == 0 || s == steps {
				v /= 2
			}
			taps[i] += v
		}
	}
	normalise(taps)
	x := axis{taps: taps, from: make([]int, n+2*radius)}
	for p := range x.from {
		i := p - radius
		switch {
		case i < 0:
			i = -i
		case i >= n && z:
			i = 2*n - 2 - i
		case i >= n:
			i = 2*n - 1 - i
		}
		x.from[p] = i
	}
	return x, nil
}

// normalise makes the sum of the kernel, whose other half is like this one, 1.
func normalise(taps []float64) {
	sum := 0.0
	for i := len(taps) - 1; i > 0; i-- {
		sum += 2 * taps[i]
	}
	sum += taps[0]
	for i := range taps {
		taps[i] /= sum
	}
}

// Skipped tells which axes are shorter than a kernel of the AFNI definition, and so
// are not smoothed, which 3dmerge does silently.
func (f *Gaussian) Skipped() [3]bool {
	return [3]bool{f.axes[0].skipped, f.axes[1].skipped, f.axes[2].skipped}
}

// Apply smooths the volumes of src into dst, which may be src, and returns how
// many values of src were not finite and taken as 0. Slices that are not of the
// same whole number of volumes are refused with ErrArgument.
func (f *Gaussian) Apply(ctx context.Context, dst, src []float32) (zeroed int, err error) {
	if len(src)%f.voxels != 0 || len(dst) != len(src) {
		return 0, refuse("%d values into %d: both must be the same number of volumes of %d voxels", len(src), len(dst), f.voxels)
	}
	var n atomic.Int64
	for i := 0; i < len(src); i += f.voxels {
		if err := f.volume(ctx, dst[i:i+f.voxels], src[i:i+f.voxels], &n); err != nil {
			return int(n.Load()), err
		}
	}
	return int(n.Load()), ctx.Err()
}

func (f *Gaussian) volume(ctx context.Context, dst, src []float32, zeroed *atomic.Int64) error {
	nx, ny, nz := f.shape[0], f.shape[1], f.shape[2]
	nxy := nx * ny
	err := parallel(ctx, len(f.workers), nz, func(w, z int) {
		f.workers[w].alongXY(f, f.between[z*nxy:][:nxy], src[z*nxy:][:nxy], z, zeroed)
	})
	if err != nil {
		return err
	}
	// Along z the rows may be any part of the planes.
	row := min(nxy, longRow)
	return parallel(ctx, len(f.workers), (nxy+row-1)/row, func(w, part int) {
		at := part * row
		n := min(row, nxy-at)
		for z := range nz {
			out := dst[z*nxy+at:][:n]
			f.axes[2].sum(out, f.workers[w].sums[:n], f.between[at:], nxy, z)
			for i := range out {
				if f.mask == nil {
					break
				}
				if p := z*nxy + at + i; f.mask[p] {
					out[i] /= f.weights[p]
				} else {
					out[i] = 0
				}
			}
		}
	})
}

// longRow keeps the rows of a few planes in the fastest cache.
const longRow = 1024

// alongXY smooths plane z along x and y.
func (w *gaussianWorker) alongXY(f *Gaussian, dst, src []float32, z int, zeroed *atomic.Int64) {
	nx := f.shape[0]
	bad := 0
	radius := (len(w.padded) - nx) / 2
	row := w.padded[radius:][:nx]
	for y := range f.shape[1] {
		at := y * nx
		for i, v := range src[at:][:nx] {
			if !finite(v) {
				v = 0
				bad++
			}
			row[i] = v
		}
		if f.mask != nil {
			for i, in := range f.mask[z*len(src)+at:][:nx] {
				if !in {
					row[i] = 0
				}
			}
		}
		f.axes[0].sumAlong(w.plane[at:][:nx], w.sums, w.padded)
	}
	for y := range f.shape[1] {
		f.axes[1].sum(dst[y*nx:][:nx], w.sums, w.plane, nx, y)
	}
	zeroed.Add(int64(bad))
}

// sumAlong smooths a row. padded has room for what is beyond its ends.
func (x *axis) sumAlong(dst []float32, sums []float64, padded []float32) {
	n := len(dst)
	if x.taps == nil {
		copy(dst, padded)
		return
	}
	r := len(x.taps) - 1
	for p := range r {
		padded[p] = padded[r+x.from[p]]
		padded[r+n+p] = padded[r+x.from[r+n+p]]
	}
	x.add(dst, sums, func(j int) []float32 { return padded[r+j:] })
}

// sum makes row i of those that begin every stride values.
func (x *axis) sum(dst []float32, sums []float64, rows []float32, stride, i int) {
	if x.taps == nil {
		copy(dst, rows[i*stride:])
		return
	}
	from, r := x.from[i:], len(x.taps)-1
	x.add(dst, sums, func(j int) []float32 { return rows[from[r+j]*stride:] })
}

// add makes the weighted sum of the rows that at gives, by their distances. Sums are
// float64 and results float32, as SciPy has them.
func (x *axis) add(dst []float32, sums []float64, at func(j int) []float32) {
	n := len(dst)
	t := x.taps
	sums = sums[:n]
	mid, t0 := at(0)[:n], t[0]
	if len(t) == 1 {
		for i := range dst {
			dst[i] = float32(t0 * float64(mid[i]))
		}
		return
	}
	low, high, t1 := at(-1)[:n], at(1)[:n], t[1]
	for i := range sums {
		sums[i] = float64(t0*float64(mid[i])) + float64(t1*(float64(low[i])+float64(high[i])))
	}
	j := 2
	for ; j+1 < len(t); j += 2 {
		low, high, t1 := at(-j)[:n], at(j)[:n], t[j]
		low2, high2, t2 := at(-j - 1)[:n], at(j + 1)[:n], t[j+1]
		for i := range sums {
			sums[i] += float64(t1*(float64(low[i])+float64(high[i]))) + float64(t2*(float64(low2[i])+float64(high2[i])))
		}
	}
	if j < len(t) {
		low, high, t1 := at(-j)[:n], at(j)[:n], t[j]
		for i := range sums {
			sums[i] += float64(t1 * (float64(low[i]) + float64(high[i])))
		}
	}
	for i := range dst {
		dst[i] = float32(sums[i])
	}
}
