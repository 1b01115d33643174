package smooth

import "math"

// The loops in which the time goes. They are written in assembly too where that is
// faster, with the same operations in the same order, so that the bits are the same.
// Conversions to the type that a product has already keep it from being fused with a
// sum, which is done on some machines only.

// threeWidthsGo makes sums over 3, 5 and 7 rows, of the row u and those 1, 2 and 3 before
// and after it.
func threeWidthsGo(w1, w2, w3, u, a1, b1, a2, b2, a3, b3 []float64) {
	n := len(u)
	w1, w2, w3, a1, b1, a2, b2, a3, b3 = w1[:n], w2[:n], w3[:n], a1[:n], b1[:n], a2[:n], b2[:n], a3[:n], b3[:n]
	for i, v := range u {
		v += a1[i] + b1[i]
		w1[i] = v
		v += a2[i] + b2[i]
		w2[i] = v
		v += a3[i] + b3[i]
		w3[i] = v
	}
}

// innerDiscsGo makes d7, and d3, the part that d12 and d15 share. A name such as w2a1 is
// for w2 one plane before, b for after.
func innerDiscsGo(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2 []float64) {
	n := len(d3)
	d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2 = d7[:n], w3[:n], w3a1[:n], w3b1[:n], w2[:n], w2a1[:n], w2b1[:n], w1a2[:n], w1b2[:n]
	for i := range d3 {
		d3[i] = w3[i] + (w3a1[i] + w3b1[i])
		d7[i] = w2[i] + (w2a1[i] + w2b1[i]) + (w1a2[i] + w1b2[i])
	}
}

// outerDiscsGo makes d12 and d15.
func outerDiscsGo(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3 []float64) {
	n := len(d3)
	d12, d15, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3 = d12[:n], d15[:n], w3a2[:n], w3b2[:n], w2a2[:n], w2b2[:n], w2a3[:n], w2b3[:n], w1a3[:n], w1b3[:n]
	for i, v := range d3 {
		d12[i] = v + (w2a2[i] + w2b2[i]) + (w1a3[i] + w1b3[i])
		d15[i] = v + (w3a2[i] + w3b2[i]) + (w2a3[i] + w2b3[i])
	}
}

// ballsGo adds up discs along x. The rows begin 4 voxels before out.
func ballsGo(out, d15, d12, d7, u, uya, uyb, uza, uzb []float64) {
	n := len(out)
	m := n + 2*ballRadius
	d15, d12, d7, u = d15[:m], d12[:m], d7[:m], u[:m]
	uya, uyb, uza, uzb = uya[4:][:n], uyb[4:][:n], uza[4:][:n], uzb[4:][:n]
	for i := range out {
		out[i] = (d15[i+4] + (uya[i] + uyb[i]) + (uza[i] + uzb[i])) +
			(d15[i+3] + d15[i+5]) + (d12[i+2] + d12[i+6]) + (d7[i+1] + d7[i+7]) + (u[i] + u[i+8])
	}
}

// differencesGo makes differences between joined values, and their squares.
func differencesGo(d, d2 []float64, next, u []float32, joined []uint8) {
	n := len(d)
	d2, next, u, joined = d2[:n], next[:n], u[:n], joined[:n]
	for i := range d {
		f := (float64(next[i]) - float64(u[i])) * float64(joined[i])
		d[i], d2[i] = f, f*f
	}
}

const (
	// most is a width in voxels that no goal comes near to.
	most = 1 << 12
	// rounding leaves multiples of 2^-24, up to most, of which 2^17 are added exactly.
	rounding = 3 << 27
)

// addWidthsGo adds sqrt(-1/ln r), which is the width but for a factor, or to those that
// are missing, for sums over differences and over their squares.
func addWidthsGo(sums []float64, missing []int64, s1, s2, value []float64, pairs []uint16) {
	n := len(sums)
	missing, s1, s2, value, pairs = missing[:n], s1[:n], s2[:n], value[:n], pairs[:n]
	for i := range sums {
		m := float64(pairs[i])
		r := 1 - (float64(s2[i]*m)-float64(s1[i]*s1[i]))/(value[i]*(m*(m-1)))
		if !(r > 0 && r < 1 && m >= minPairs) {
			missing[i]++
			continue
		}
		v := math.Sqrt(1 / minusLog(r))
		if v > most {
			v = most
		}
		sums[i] += (v + rounding) - rounding
	}
}

// widthTable has the constants of addWidths, once for each lane.
var widthTable = func() (t [18][4]float64) {
	for i, v := range [18]float64{
		log0, log1, log2, log3, log4, log5, log6, log7, log8, log9, log10,
		1, math.Float64frombits(twoThirds), math.Float64frombits(mantissa), math.Ln2, most, rounding, minPairs,
	} {
		t[i] = [4]float64{v, v, v, v}
	}
	return t
}()

// flowAlongGo makes the flows from each voxel of a row to the next.
func flowAlongGo(x, flow, u []float32) {
	flow = flow[:len(x)]
	next := u[1:][:len(x)]
	u = u[:len(x)]
	for i := range x {
		x[i] = float32(flow[i] * (next[i] - u[i]))
	}
}

// flowAcrossGo makes the flows from a row to the next row and plane, which replace those
// that came, and changes the row.
func flowAcrossGo(u, uy, uz, flowY, flowZ, x, fy, fz []float32) {
	n := len(u)
	uy, uz, flowY, flowZ, fy, fz = uy[:n], uz[:n], flowY[:n], flowZ[:n], fy[:n], fz[:n]
	out := x[1:][:n]
	x = x[:n]
	for i, v := range u {
		a := float32(flowY[i] * (uy[i] - v))
		b := float32(flowZ[i] * (uz[i] - v))
		u[i] = v + ((out[i] - x[i]) + (a - fy[i]) + (b - fz[i]))
		fy[i], fz[i] = a, b
	}
}

// axpyGo adds a times x to y.
func axpyGo(y []float64, a float64, x []float64) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float64(a * x[i])
	}
}
