//go:build !amd64 || purego

package smooth

// vectors is for tests, which compare where there are two.
var vectors = false

func threeWidths(w1, w2, w3, u, a1, b1, a2, b2, a3, b3 []float64) {
	threeWidthsGo(w1, w2, w3, u, a1, b1, a2, b2, a3, b3)
}

func innerDiscs(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2 []float64) {
	innerDiscsGo(d3, d7, w3, w3a1, w3b1, w2, w2a1, w2b1, w1a2, w1b2)
}

func outerDiscs(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3 []float64) {
	outerDiscsGo(d12, d15, d3, w3a2, w3b2, w2a2, w2b2, w2a3, w2b3, w1a3, w1b3)
}

func balls(out, d15, d12, d7, u, uya, uyb, uza, uzb []float64) {
	ballsGo(out, d15, d12, d7, u, uya, uyb, uza, uzb)
}

func differences(d, d2 []float64, next, u []float32, joined []uint8) {
	differencesGo(d, d2, next, u, joined)
}

func addWidths(sums []float64, missing []int64, s1, s2, value []float64, pairs []uint16) {
	addWidthsGo(sums, missing, s1, s2, value, pairs)
}

func flowAlong(x, flow, u []float32) { flowAlongGo(x, flow, u) }

func flowAcross(u, uy, uz, flowY, flowZ, x, fy, fz []float32) {
	flowAcrossGo(u, uy, uz, flowY, flowZ, x, fy, fz)
}

func axpy(y []float64, a float64, x []float64) { axpyGo(y, a, x) }
