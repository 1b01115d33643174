package smooth

import "context"

// diffusion moves values between neighbours in a region: from one voxel to the
// next along an axis flows the difference times the sum of their coefficients.
type diffusion struct {
	*region
	flow    [3][]float32 // for each voxel, to the next one along the axis; 0 across the mask's edge; see begin
	rows    []span       // what of each row changes
	workers []flows
}

// span is a part of a row, empty unless lo < hi.
type span struct{ lo, hi int }

func (s span) join(o span) span {
	switch {
	case s.lo >= s.hi:
		return o
	case o.lo >= o.hi:
		return s
	}
	return span{min(s.lo, o.lo), max(s.hi, o.hi)}
}

// flows is what has flown into a row and into a plane from those before.
type flows struct{ x, y, z []float32 }

func newDiffusion(r *region, workers int) *diffusion {
	d := &diffusion{region: r, rows: make([]span, r.Shape[1]*r.Shape[2])}
	for a := range d.flow {
		d.flow[a] = make([]float32, len(r.mask))
	}
	nx, ny := r.Shape[0], r.Shape[1]
	d.workers = make([]flows, max(1, workers))
	for i := range d.workers {
		d.workers[i] = flows{make([]float32, nx+1), make([]float32, nx), make([]float32, nx*ny)}
	}
	return d
}

// begin takes the coefficients of the next steps, which are in flow, for each axis and
// voxel, and makes flows of them.
func (d *diffusion) begin(ctx context.Context) error {
	nx, ny := d.Shape[0], d.Shape[1]
	err := parallel(ctx, len(d.workers), len(d.flow), func(_, a int) {
		flow, joined := d.flow[a], d.joined[a]
		stride := [3]int{1, nx, nx * ny}[a]
		for i, j := range joined {
			if j != 0 {
				flow[i] += flow[i+stride]
			} else {
				flow[i] = 0
			}
		}
	})
	if err != nil {
		return err
	}
	return parallel(ctx, len(d.workers), len(d.rows), func(_, row int) {
		s := span{}
		for a, back := range [3]int{0, 1, ny} {
			s = s.join(nonzero(d.flow[a][row*nx:][:nx]))
			// What comes from the row before, which is of this plane if anything comes.
			if a > 0 && row >= back {
				s = s.join(nonzero(d.flow[a][(row-back)*nx:][:nx]))
			}
			if a == 0 && s.lo < s.hi {
				s.hi++
			}
		}
		d.rows[row] = s
	})
}

func nonzero(row []float32) span {
	lo, hi := 0, len(row)
	for lo < hi && row[lo] == 0 {
		lo++
	}
	for lo < hi && row[hi-1] == 0 {
		hi--
	}
	return span{lo, hi}
}

// step lets flow so many times, in every volume.
func (d *diffusion) step(ctx context.Context, times int, volumes ...[]float32) error {
	n := 0
	for _, v := range volumes {
		n += len(v) / len(d.mask)
	}
	return parallel(ctx, len(d.workers), n, func(w, i int) {
		for _, v := range volumes {
			if at := i * len(d.mask); at < len(v) {
				for range times {
					d.volume(&d.workers[w], v[at:][:len(d.mask)])
				}
				return
			}
			i -= len(v) / len(d.mask)
		}
	})
}

func (d *diffusion) volume(f *flows, u []float32) {
	nx, ny, nz := d.Shape[0], d.Shape[1], d.Shape[2]
	clear(f.z)
	for z := range nz {
		clear(f.y)
		for y := range ny {
			row := z*ny + y
			fz := f.z[y*nx:][:nx]
			s := d.rows[row]
			if s.lo >= s.hi {
				clear(f.y)
				clear(fz)
				continue
			}
			clear(f.y[:s.lo])
			clear(f.y[s.hi:])
			clear(fz[:s.lo])
			clear(fz[s.hi:])
			at, n := row*nx+s.lo, s.hi-s.lo
			// Nothing flows beyond the last row and plane: any values do as the next.
			uy, uz := u[at:], u[at:]
			if y+1 < ny {
				uy = u[at+nx:]
			}
			if z+1 < nz {
				uz = u[at+nx*ny:]
			}
			x := f.x[:n+1]
			x[0], x[n] = 0, 0
			last := n
			if s.hi == nx {
				last--
			}
			flowAlong(x[1:][:last], d.flow[0][at:][:last], u[at:][:last+1])
			flowAcross(u[at:][:n], uy[:n], uz[:n], d.flow[1][at:][:n], d.flow[2][at:][:n], x, f.y[s.lo:s.hi], fz[s.lo:s.hi])
		}
	}
}
