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
	rows    []span      // which voxels of each row are wanted
	across  []span      // of those and their neighbours along z
	around  []span      // and along y
	workers []*localWorker
	blocks  []block
}

// block is some rows, through all planes. Their widths begin with those of the first plane.
type block struct {
	sync.Mutex
	left int // how many groups of volumes are to come
	widths
}

// widths are the estimates of a block, by axis.
type widths struct {
	sums    [3][]float64
	missing [3][]int64 // how many volumes have no estimate
}

func (w *widths) init(n int) {
	for a := range w.sums {
		if w.sums[a] == nil {
			w.sums[a], w.missing[a] = make([]float64, n), make([]int64, n)
		}
		clear(w.sums[a])
		clear(w.missing[a])
	}
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
	widths
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
	l.rows = make([]span, ny*nz)
	l.across = make([]span, ny*nz)
	l.around = make([]span, ny*nz)
	l.blocks = make([]block, (ny+blockRows-1)/blockRows)
	l.workers = make([]*localWorker, max(1, workers))
	for i := range l.workers {
		l.workers[i] = l.newWorker()
	}
	l.want(r.mask)
	return l, parallel(ctx, len(l.workers), len(l.blocks), func(w, i int) { l.workers[w].count(i) })
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
	count  bool // of the mask, or of what is joined
}

// measure hands over the estimates of the rows wanted, for the axes asked for: the row,
// where it begins in the widths, and these. Several goroutines do so. The terms of the
// sums are so rounded that their order leaves no trace.
func (l *local) measure(ctx context.Context, volumes []float32, axes [3]bool, take func(row, in int, w *widths)) error {
	n := len(volumes) / len(l.mask)
	// A worker's block stays in its cache from volume to volume, but there may be more
	// workers than blocks.
	groups := 1
	if w := len(l.workers); w > 1 {
		groups = min(n, (8*w+len(l.blocks)-1)/len(l.blocks))
	}
	for i := range l.blocks {
		l.blocks[i].left = groups
	}
	return parallel(ctx, len(l.workers), len(l.blocks)*groups, func(w, i int) {
		b, g := i/groups, i%groups
		l.workers[w].measure(ctx, b, volumes[g*n/groups*len(l.mask):(g+1)*n/groups*len(l.mask)], axes, groups > 1, take)
	})
}

func (w *localWorker) begin(block int) {
	w.y0 = block * blockRows
	w.y1 = min(w.y0+blockRows, w.Shape[1])
}

// eachRow calls do for the rows of the block that are wanted.
func (w *localWorker) eachRow(do func(row, in int)) {
	nx, ny := w.Shape[0], w.Shape[1]
	for z := range w.Shape[2] {
		for y := w.y0; y < w.y1; y++ {
			if s := w.rows[z*ny+y]; s.lo < s.hi {
				do(z*ny+y, (z*blockRows+y-w.y0)*nx)
			}
		}
	}
}

// count fills the counts of a block.
func (w *localWorker) count(block int) {
	w.begin(block)
	for i := range w.counts {
		w.run(pass{axis: i - 1, count: true}, func(at, _, lo, hi int) {
			for x := lo; x < hi; x++ {
				w.counts[i][at+x] = uint16(w.results[0][x])
			}
		})
	}
}

// measure adds the estimates of some volumes in a block, and hands them over if they
// are all or, shared with other workers, the last.
func (w *localWorker) measure(ctx context.Context, b int, volumes []float32, axes [3]bool, shared bool, take func(row, in int, w *widths)) {
	w.begin(b)
	wanted := false
	w.eachRow(func(int, int) { wanted = true })
	if !wanted {
		return
	}
	w.widths.init(len(w.value))
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
	done := &w.widths
	if shared {
		block := &w.blocks[b]
		block.Lock()
		defer block.Unlock()
		if block.sums[0] == nil {
			block.widths.init(len(w.value))
		}
		w.eachRow(func(row, in int) {
			s := w.rows[row]
			for a := range w.sums {
				if !axes[a] {
					continue
				}
				for i := in + s.lo; i < in+s.hi; i++ {
					block.sums[a][i] += w.sums[a][i]
					block.missing[a][i] += w.missing[a][i]
				}
			}
		})
		if block.left--; block.left > 0 {
			return
		}
		done = &block.widths
		defer func() { block.widths = widths{} }()
	}
	if ctx.Err() == nil {
		w.eachRow(func(row, in int) { take(row, in, done) })
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
	if p.count {
		for i := range ua {
			in := p.axis < 0 && w.mask[at+i] || p.axis >= 0 && w.joined[p.axis][at+i] != 0
			ua[i] = 0
			if in {
				ua[i] = 1
			}
		}
		return
	}
	u := p.volume[at:][:n]
	if p.axis < 0 {
		for i, v := range u {
			f := float64(v)
			ua[i], ub[i] = f, f*f
		}
		return
	}
	joined := w.joined[p.axis][at:][:n]
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
