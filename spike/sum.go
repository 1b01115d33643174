package spike

import "math"

// sumBlock is the largest number of terms that NumPy adds without halving.
const sumBlock = 128

// sum adds the numbers in the order in which numpy.sum does on contiguous
// float64, so that the result is the same to the last bit.
func sum(v []float64) float64 {
	return 0 + sumPairs(0, len(v), func(from, n int) float64 { return sumEight(v[from : from+n]) })
}

// sumTerms is the sum of n terms, as of an array that is never made whole:
// fill writes the terms from, from+1, ... into all of the buffer.
func sumTerms(n int, fill func(buffer []float64, from int)) float64 {
	var buffer [sumBlock]float64
	return 0 + sumPairs(0, n, func(from, n int) float64 {
		fill(buffer[:n], from)
		return sumEight(buffer[:n])
	})
}

// mean is numpy.mean: NaN for no numbers.
func mean(v []float64) float64 { return sum(v) / float64(len(v)) }

// variance is numpy.var, the mean squared deviation from the mean (ddof 0):
// NaN for no numbers.
func variance(v []float64) float64 {
	m := mean(v)
	return sumTerms(len(v), func(buffer []float64, from int) {
		for i, x := range v[from:][:len(buffer)] {
			buffer[i] = float64((x - m) * (x - m))
		}
	}) / float64(len(v))
}

// deviation is numpy.std, the square root of the variance.
func deviation(v []float64) float64 { return math.Sqrt(variance(v)) }

// sumPairs halves a long sum, at a multiple of 8, down to blocks.
func sumPairs(from, n int, block func(from, n int) float64) float64 {
	if n <= sumBlock {
		return block(from, n)
	}
	half := n / 2
	half -= half % 8
	return sumPairs(from, half, block) + sumPairs(from+half, n-half, block)
}

// sumEight adds a block by eight running sums.
func sumEight(v []float64) float64 {
	if len(v) < 8 {
		s := 0.0
		for _, x := range v {
			s += x
		}
		return s
	}
	r := [8]float64(v)
	i := 8
	for ; i+8 <= len(v); i += 8 {
		for k, x := range (*[8]float64)(v[i:]) {
			r[k] += x
		}
	}
	s := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
	for _, x := range v[i:] {
		s += x
	}
	return s
}
