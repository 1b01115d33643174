//go:build !purego

package smooth

import "golang.org/x/sys/cpu"

// vectors tells whether the loops of kernels_amd64.s may be used. A variable, so that
// tests can compare both.
var vectors = cpu.X86.HasAVX2

// Shortest rows that the loops that overlap can do.
const (
	shortest   = 4
	shortest32 = 8
)

//go:noescape
func threeWidthsAVX2(w1, w2, w3, u, a1, b1, a2, b2, a3, b3 *float64, n int)

//go:noescape
func innerDiscsAVX2(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2 *float64, n int)

//go:noescape
func outerDiscsAVX2(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3 *float64, n int)

//go:noescape
func ballsAVX2(out, d15, d12, d7, u, uya, uyb, uza, uzb *float64, n int)

//go:noescape
func differencesAVX2(d, d2 *float64, next, u *float32, joined *uint8, n int)

//go:noescape
func addWidthsAVX2(sums *float64, missing *int64, s1, s2, value *float64, pairs *uint16, constants *[18][4]float64, n int)

//go:noescape
func flowAlongAVX2(x, flow, u *float32, n int)

//go:noescape
func flowAcrossAVX2(u, uy, uz, flowY, flowZ, x, fy, fz *float32, n int)

//go:noescape
func axpyAVX2(y *float64, a float64, x *float64, n int)

// The functions that follow slice their arguments, so that a row that is too short is
// found here.

func threeWidths(w1, w2, w3, u, a1, b1, a2, b2, a3, b3 []float64) {
	n := len(u)
	if !vectors || n < shortest {
		threeWidthsGo(w1, w2, w3, u, a1, b1, a2, b2, a3, b3)
		return
	}
	threeWidthsAVX2(&w1[:n][0], &w2[:n][0], &w3[:n][0], &u[0], &a1[:n][0], &b1[:n][0], &a2[:n][0], &b2[:n][0], &a3[:n][0], &b3[:n][0], n)
}

func innerDiscs(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2 []float64) {
	n := len(d3)
	if !vectors || n < shortest {
		innerDiscsGo(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2)
		return
	}
	innerDiscsAVX2(&d3[0], &d7[:n][0], &w3[:n][0], &w3a1[:n][0], &w3b1[:n][0], &w2[:n][0], &w2a1[:n][0], &w2b1[:n][0], &w1a2[:n][0], &w1b2[:n][0], n)
}

func outerDiscs(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3 []float64) {
	n := len(d3)
	if !vectors || n < shortest {
		outerDiscsGo(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3)
		return
	}
	outerDiscsAVX2(&d12[:n][0], &d15[:n][0], &d3[0], &w3a2[:n][0], &w3b2[:n][0], &w2a2[:n][0], &w2b2[:n][0], &w2a3[:n][0], &w2b3[:n][0], &w1a3[:n][0], &w1b3[:n][0], n)
}

func balls(out, d15, d12, d7, u, uya, uyb, uza, uzb []float64) {
	n := len(out)
	if !vectors || n < shortest {
		ballsGo(out, d15, d12, d7, u, uya, uyb, uza, uzb)
		return
	}
	const r = ballRadius
	m := n + 2*r
	ballsAVX2(&out[0], &d15[:m][0], &d12[:m][0], &d7[:m][0], &u[:m][0], &uya[r:][:n][0], &uyb[r:][:n][0], &uza[r:][:n][0], &uzb[r:][:n][0], n)
}

func differences(d, d2 []float64, next, u []float32, joined []uint8) {
	n := len(d)
	if !vectors || n < shortest {
		differencesGo(d, d2, next, u, joined)
		return
	}
	differencesAVX2(&d[0], &d2[:n][0], &next[:n][0], &u[:n][0], &joined[:n][0], n)
}

func addWidths(sums []float64, missing []int64, s1, s2, value []float64, pairs []uint16) {
	n := len(sums)
	m := n &^ 3
	if !vectors {
		m = 0
	}
	if m > 0 {
		addWidthsAVX2(&sums[0], &missing[:n][0], &s1[:n][0], &s2[:n][0], &value[:n][0], &pairs[:n][0], &widthTable, m)
	}
	addWidthsGo(sums[m:], missing[m:], s1[m:], s2[m:], value[m:], pairs[m:])
}

func flowAlong(x, flow, u []float32) {
	n := len(x)
	if !vectors || n < shortest32 {
		flowAlongGo(x, flow, u)
		return
	}
	flowAlongAVX2(&x[0], &flow[:n][0], &u[:n+1][0], n)
}

func flowAcross(u, uy, uz, flowY, flowZ, x, fy, fz []float32) {
	n := len(u)
	m := n &^ 7
	if !vectors {
		m = 0
	}
	if m > 0 {
		flowAcrossAVX2(&u[0], &uy[:n][0], &uz[:n][0], &flowY[:n][0], &flowZ[:n][0], &x[:n+1][0], &fy[:n][0], &fz[:n][0], m)
	}
	flowAcrossGo(u[m:], uy[m:], uz[m:], flowY[m:], flowZ[m:], x[m:], fy[m:], fz[m:])
}

func axpy(y []float64, a float64, x []float64) {
	n := len(y)
	m := n &^ 3
	if !vectors {
		m = 0
	}
	if m > 0 {
		axpyAVX2(&y[0], a, &x[:n][0], m)
	}
	axpyGo(y[m:], a, x[m:])
}
