package spike

import "errors"

// ErrRandom says that there is no stream of random numbers to draw from.
var ErrRandom = errors.New("no random stream")

// Random is a stream of random numbers. A *rand.Rand of math/rand/v2 is one, and
// so is a *mt19937.RandomState, which draws the numbers of NumPy's legacy stream:
// with it the generators and surrogates of this package give the very trains that
// Elephant gives after numpy.random.seed. They draw in Elephant's order from any
// stream, so that one algorithm serves all.
//
// A stream is not for two goroutines at once.
type Random interface {
	// Float64 draws from [0, 1), uniformly.
	Float64() float64
	// ExpFloat64 draws from the exponential distribution of mean 1.
	ExpFloat64() float64
	// Shuffle brings n items into a random order.
	Shuffle(n int, swap func(i, j int))
}
