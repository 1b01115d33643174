package smooth

import (
	"context"
	"sync"
)

// local measures the smoothness around each voxel: the estimate of measure, over the
// voxels of the mask in a neighbourhood, which is a ball of 4 voxels, or in a plane a
// disc of 6. Differences count where their first voxel is in the neighbourhood.
//
// The sums over all the balls are made of sums that neighbours share. Along y, with
// u(i) for the values i rows away and u±i for those above and below together:
//
//	w1 = u(0) + u±1    w2 = w1 + u±2    w3 = w2 + u±3
//
// A disc in y and z, of all voxels whose distance is at most sqrt(r), is made of such
// rows of several planes:
//
//	d7  = w2(0) + w2±1 + w1±2
//	d12 = w3(0) + w3±1 + w2±2 + w1±3
//	d15 = w3(0) + w3±1 + w3±2 + w2±3
//	d16 = d15 + u±4 along y + u±4 along z
//
// And a ball is d16(0) + d15±1 + d12±2 + d7±3 + u±4 along x: 32 additions for 257
// voxels. Rows are contiguous, which is what makes them fast.
type local struct {
	*region
	plane   bool
	radius  int
	stride  int         // of padded rows
	counts  [4][]uint16 // around each voxel: of the mask, and of pairs along each axis
	sums    [3][]float64
	missing [3][]int64 // how many volumes have no estimate
	rows    []span     // which voxels of each row are wanted
	across  []span     // of those and their neighbours along z
	around  []span     // and along y
	workers []*localWorker
	locks   []sync.Mutex // one for each block
}

const (
	ballRadius, ballVoxels = 4, 257
	discRadius, discVoxels = 6, 113
	blockRows              = 16 // rows that are worked on at once, through all planes
	slots                  = 2*ballRadius + 1
)

// localWorker has the scratch for a block.
type localWorker struct {
	*local
	y0, y1  int // the rows of the block
	fields  [2]field
	results [2][]float64
	value   []float64 // of each voxel of the block: twice the variance
	discs   [4][]float64
	sums    [3][]float64
	missing [3][]int64
}

// field is what is summed, in a ring of planes.
type field struct {
	u [slots][]float64    // rows y0-radius to y1+radius
	w [slots][3][]float64 // rows y0 to y1: w1, w2, w3
}

func newLocal(ctx context.Context, r *region, plane bool, workers int) (*local, error) {
	nx, ny, nz := r.Shape[0], r.Shape[1], r.Shape[2]
	l := &local{region: r, plane: plane, radius: ballRadius}
	if plane {
		l.radius = discRadius
	}
	l.stride = (nx + 2*l.radius + 7) &^ 7
	for i := range l.counts {
		l.counts[i] = make([]uint16, len(r.mask))
	}
	for a := range l.sums {
		l.sums[a] = make([]float64, len(r.mask))
		l.missing[a] = make([]int64, len(r.mask))
	}
	l.rows = make([]span, ny*nz)
	l.across = make([]span, ny*nz)
	l.around = make([]span, ny*nz)
	l.locks = make([]sync.Mutex, (ny+blockRows-1)/blockRows)
	l.workers = make([]*localWorker, max(1, workers))
	for i := range l.workers {
		l.workers[i] = l.newWorker()
	}
	l.want(r.mask)
	return l, parallel(ctx, len(l.workers), len(l.locks), func(w, block int) { l.workers[w].count(block) })
}

func (l *local) newWorker() *localWorker {
	nx, nz := l.Shape[0], l.Shape[2]
	w := &localWorker{local: l}
	for f := range w.fields {
		for s := range slots {
			w.fields[f].u[s] = make([]float64, (blockRows+2*l.radius)*l.stride)
			for i := range 3 {
				w.fields[f].w[s][i] = make([]float64, blockRows*l.stride)
			}
		}
		w.results[f] = make([]float64, nx)
	}
	for i := range w.discs {
		w.discs[i] = make([]float64, l.stride)
	}
	w.value = make([]float64, nz*blockRows*nx)
	for a := range w.sums {
		w.sums[a] = make([]float64, nz*blockRows*nx)
		w.missing[a] = make([]int64, nz*blockRows*nx)
	}
	return w
}

// want takes over which voxels are to have an estimate.
func (l *local) want(voxels []bool) {
	nx, ny, nz := l.Shape[0], l.Shape[1], l.Shape[2]
	for row := range l.rows {
		lo, hi := row*nx, (row+1)*nx
		for lo < hi && !voxels[lo] {
			lo++
		}
		for lo < hi && !voxels[hi-1] {
			hi--
		}
		l.rows[row] = span{lo - row*nx, hi - row*nx}
	}
	reach := l.radius
	if l.plane {
		reach = 0
	}
	for z := range nz {
		for y := range ny {
			s := span{}
			for k := max(0, z-reach); k <= min(nz-1, z+reach); k++ {
				s = s.join(l.rows[k*ny+y])
			}
			l.across[z*ny+y] = s
		}
	}
	for z := range nz {
		for y := range ny {
			s := span{}
			for k := max(0, y-l.radius); k <= min(ny-1, y+l.radius); k++ {
				s = s.join(l.across[z*ny+k])
			}
			l.around[z*ny+y] = s
		}
	}
}

// pass is what goes through the neighbourhoods: the mask, or values, or the
// differences along an axis.
type pass struct {
	volume []float32
	axis   int  // -1 for values
	count  bool // of joined, or of volume
}

// measure fills sums and missing for the voxels wanted and the axes asked for. The
// terms of the sums are so rounded that their order leaves no trace.
func (l *local) measure(ctx context.Context, volumes []float32, axes [3]bool) error {
	n := len(volumes) / len(l.mask)
	for a := range l.sums {
		clear(l.sums[a])
		clear(l.missing[a])
	}
	blocks := len(l.locks)
	// A worker's block stays in its cache from volume to volume, but there may be more
	// workers than blocks.
	groups := 1
	if w := len(l.workers); w > 1 {
		groups = min(n, (4*w+blocks-1)/blocks)
	}
	return parallel(ctx, len(l.workers), blocks*groups, func(w, i int) {
		block, g := i%blocks, i/blocks
		l.workers[w].measure(ctx, block, volumes[g*n/groups*len(l.mask):(g+1)*n/groups*len(l.mask)], axes)
	})
}

func (w *localWorker) begin(block int) {
	w.y0 = block * blockRows
	w.y1 = min(w.y0+blockRows, w.Shape[1])
}

// count fills the counts of a block.
func (w *localWorker) count(block int) {
	w.begin(block)
	ones := make([]float32, len(w.mask))
	for i, in := range w.mask {
		if in {
			ones[i] = 1
		}
	}
	for i := range w.counts {
		p := pass{volume: ones, axis: i - 1, count: true}
		w.run(p, func(at, _, lo, hi int) {
			for x := lo; x < hi; x++ {
				w.counts[i][at+x] = uint16(w.results[0][x])
			}
		})
	}
}

// measure adds the estimates of some volumes in a block.
func (w *localWorker) measure(ctx context.Context, block int, volumes []float32, axes [3]bool) {
	w.begin(block)
	wanted := false
	nx, ny, nz := w.Shape[0], w.Shape[1], w.Shape[2]
	for z := range nz {
		for y := w.y0; y < w.y1; y++ {
			s := w.rows[z*ny+y]
			wanted = wanted || s.lo < s.hi
		}
	}
	if !wanted {
		return
	}
	for a := range w.sums {
		clear(w.sums[a])
		clear(w.missing[a])
	}
	for len(volumes) > 0 && ctx.Err() == nil {
		volume := volumes[:len(w.mask)]
		volumes = volumes[len(w.mask):]
		w.run(pass{volume: volume, axis: -1}, w.keepVariance)
		for a := range 3 {
			if axes[a] {
				w.run(pass{volume: volume, axis: a}, func(at, in, lo, hi int) {
					addWidths(w.sums[a][in+lo:in+hi], w.missing[a][in+lo:in+hi], w.results[0][lo:hi], w.results[1][lo:hi], w.value[in+lo:in+hi], w.counts[1+a][at+lo:at+hi])
				})
			}
		}
	}
	w.locks[block].Lock()
	defer w.locks[block].Unlock()
	for z := range nz {
		for y := w.y0; y < w.y1; y++ {
			s := w.rows[z*ny+y]
			at, in := (z*ny+y)*nx, (z*blockRows+y-w.y0)*nx
			for a := range 3 {
				for x := s.lo; x < s.hi; x++ {
					w.local.sums[a][at+x] += w.sums[a][in+x]
					w.local.missing[a][at+x] += w.missing[a][in+x]
				}
			}
		}
	}
}

// keepVariance is told where a row begins in a volume and in the block.
func (w *localWorker) keepVariance(at, in, lo, hi int) {
	s1, s2 := w.results[0][lo:hi], w.results[1][lo:hi]
	counts, value := w.counts[0][at+lo:at+hi], w.value[in+lo:in+hi]
	for i := range value {
		n := float64(counts[i])
		value[i] = 2 * (float64(s2[i]*n) - float64(s1[i]*s1[i])) / (n * (n - 1))
	}
}

// run makes the sums of a block, row by row, and hands them over in results.
func (w *localWorker) run(p pass, take func(at, in, lo, hi int)) {
	nx, ny, nz := w.Shape[0], w.Shape[1], w.Shape[2]
	fields := w.fields[:]
	if p.count {
		fields = fields[:1]
	}
	reach := w.radius
	if w.plane {
		reach = 0
	}
	for z := -reach; z < nz+reach; z++ {
		w.fill(p, z)
		out := z - reach
		if out < 0 {
			continue
		}
		for y := w.y0; y < w.y1; y++ {
			s := w.rows[out*ny+y]
			if s.lo >= s.hi {
				continue
			}
			for f := range fields {
				if w.plane {
					w.disc(&fields[f], w.results[f][s.lo:s.hi], out, y, s)
				} else {
					w.ball(&fields[f], w.results[f][s.lo:s.hi], out, y, s)
				}
			}
			take((out*ny+y)*nx, (out*blockRows+y-w.y0)*nx, s.lo, s.hi)
		}
	}
}

func slot(z int) int { return (z + slots) % slots }

// fill puts plane z into the ring, as far as it is needed.
func (w *localWorker) fill(p pass, z int) {
	ny, nz := w.Shape[1], w.Shape[2]
	at := slot(z)
	a, b := &w.fields[0], &w.fields[1]
	for y := w.y0 - w.radius; y < w.y1+w.radius; y++ {
		// Beyond the grid's edges are zeros, as far as the nearest row within is needed.
		inner := min(max(z, 0), nz-1)*ny + min(max(y, 0), ny-1)
		s := w.around[inner]
		if s.lo >= s.hi {
			continue
		}
		row := (y - w.y0 + w.radius) * w.stride
		n := s.hi - s.lo + 2*w.radius
		ua, ub := a.u[at][row+s.lo:][:n], b.u[at][row+s.lo:][:n]
		if y < 0 || y >= ny || z < 0 || z >= nz {
			clear(ua)
			clear(ub)
			continue
		}
		w.fillRow(p, ua, ub, s.lo-w.radius, inner)
	}
	if w.plane {
		return
	}
	for y := w.y0; y < w.y1; y++ {
		s := w.across[min(max(z, 0), nz-1)*ny+y]
		if s.lo >= s.hi {
			continue
		}
		n := s.hi - s.lo + 2*w.radius
		for f := range w.fields {
			if f == 1 && p.count {
				break
			}
			u := func(i int) []float64 { return w.fields[f].u[at][(y-w.y0+w.radius+i)*w.stride+s.lo:][:n] }
			out := &w.fields[f].w[at]
			row := (y-w.y0)*w.stride + s.lo
			threeWidths(out[0][row:][:n], out[1][row:][:n], out[2][row:][:n], u(0), u(-1), u(1), u(-2), u(2), u(-3), u(3))
		}
	}
}

// fillRow makes a row of values and of their squares. from is the first x, which may be
// before the row.
func (w *localWorker) fillRow(p pass, ua, ub []float64, from, row int) {
	nx := w.Shape[0]
	lo, hi := max(from, 0), min(from+len(ua), nx)
	clear(ua[:lo-from])
	clear(ub[:lo-from])
	clear(ua[hi-from:])
	clear(ub[hi-from:])
	ua, ub = ua[lo-from:hi-from], ub[lo-from:hi-from]
	at := row*nx + lo
	n := len(ua)
	u := p.volume[at:][:n]
	if p.axis < 0 {
		for i, v := range u {
			f := float64(v)
			ua[i], ub[i] = f, f*f
		}
		return
	}
	joined := w.joined[p.axis][at:][:n]
	if p.count {
		for i, j := range joined {
			ua[i] = float64(j)
		}
		return
	}
	// What is not joined may be beyond the end of the volume.
	next := p.volume[min(len(p.volume), at+[3]int{1, nx, nx * w.Shape[1]}[p.axis]):]
	m := min(n, len(next))
	clear(ua[m:])
	clear(ub[m:])
	differences(ua[:m], ub[:m], next, u, joined)
}

// ball makes the sums over the balls of a part of a row.
func (w *localWorker) ball(f *field, out []float64, z, y int, s span) {
	n := s.hi - s.lo + 2*ballRadius
	row := (y-w.y0)*w.stride + s.lo
	width := func(i, dz int) []float64 { return f.w[slot(z+dz)][i-1][row:][:n] }
	u := func(dz, dy int) []float64 { return f.u[slot(z+dz)][row+(ballRadius+dy)*w.stride:][:n] }
	d3, d7, d12, d15 := w.discs[0][:n], w.discs[1][:n], w.discs[2][:n], w.discs[3][:n]
	innerDiscs(d3, d7, width(3, 0), width(3, -1), width(3, 1), width(2, 0), width(2, -1), width(2, 1), width(1, -2), width(1, 2))
	outerDiscs(d12, d15, d3, width(3, -2), width(3, 2), width(2, -2), width(2, 2), width(2, -3), width(2, 3), width(1, -3), width(1, 3))
	balls(out, d15, d12, d7, u(0, 0), u(0, -4), u(0, 4), u(-4, 0), u(4, 0))
}

// disc makes the sums over the discs in the plane, for a part of a row: columns 1, 2, ...
// voxels away are 11, 11, 11, 9, 7 and 1 rows high.
func (w *localWorker) disc(f *field, out []float64, z, y int, s span) {
	n := s.hi - s.lo + 2*discRadius
	u := func(dy int) []float64 { return f.u[slot(z)][(y-w.y0+discRadius+dy)*w.stride+s.lo:][:n] }
	h3, h4, h5, h6 := w.discs[0][:n], w.discs[1][:n], w.discs[2][:n], w.discs[3][:n]
	threeWidths(h5, h6, h3, u(0), u(-1), u(1), u(-2), u(2), u(-3), u(3))
	for i, c := range [3][]float64{h4, h5, h6} {
		from, low, high := [3][]float64{h3, h4, h5}[i], u(-4-i), u(4+i)
		for j := range c {
			c[j] = from[j] + (low[j] + high[j])
		}
	}
	mid := u(0)
	for i := range out {
		x := i + discRadius
		out[i] = h6[x] + (h5[x-1] + h5[x+1]) + (h5[x-2] + h5[x+2]) + (h5[x-3] + h5[x+3]) +
			(h4[x-4] + h4[x+4]) + (h3[x-5] + h3[x+5]) + (mid[x-6] + mid[x+6])
	}
}
