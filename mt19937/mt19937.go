// Package mt19937 is the stream of random numbers that NumPy's legacy functions
// draw from, numpy.random.seed, numpy.random.random and the like, and with it
// everything that is built on them: a Mersenne Twister (Matsumoto and Nishimura
// 1998) that gives the same numbers for the same seed.
//
//	rng := mt19937.New(28)                                    // numpy.random.seed(28)
//	u := rng.Float64()                                        // numpy.random.random()
//	e := rng.ExpFloat64()                                     // numpy.random.standard_exponential()
//	rng.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] }) // numpy.random.shuffle(x)
//	train, err := process.Train(rng)                          // package spike: Elephant's very train
//
// Python's own module random draws from the same generator with another way of
// seeding: NewFromKey(28) is random.seed(28).
//
// It is there to repeat what was done in Python. For new work take
// math/rand/v2, whose streams are better and faster.
package mt19937

import "math"

const (
	size   = 624 // words of state
	middle = 397
)

// RandomState is a stream, as numpy.random.RandomState; make one with New or
// NewFromKey. It is a rand.Source of math/rand/v2 and a spike.Random. Like those,
// it must not be used by two goroutines at once.
type RandomState struct {
	state [size]uint32
	next  int // the word to be given out next; size: a new state is due
}

// New gives the stream of numpy.random.seed(seed) and of
// numpy.random.RandomState(seed).
func New(seed uint32) *RandomState {
	s := &RandomState{next: size}
	s.seed(seed)
	return s
}

// seed is init_genrand of the reference implementation.
func (s *RandomState) seed(seed uint32) {
	s.state[0] = seed
	for i := 1; i < size; i++ {
		s.state[i] = 1812433253*(s.state[i-1]^s.state[i-1]>>30) + uint32(i)
	}
}

// NewFromKey gives the stream of numpy.random.seed([key...]), and that of
// Python's random.seed(n) where key is the absolute value of n in words of 32
// bits, the lowest first: NewFromKey(28) is random.seed(28). No key at all is the
// key 0.
func NewFromKey(key ...uint32) *RandomState {
	if len(key) == 0 {
		key = []uint32{0}
	}
	// init_by_array of the reference implementation.
	s := New(19650218)
	i, j := 1, 0
	advance := func() {
		if i++; i == size {
			s.state[0] = s.state[size-1]
			i = 1
		}
	}
	for range max(size, len(key)) {
		s.state[i] = (s.state[i] ^ 1664525*(s.state[i-1]^s.state[i-1]>>30)) + key[j] + uint32(j)
		advance()
		if j++; j == len(key) {
			j = 0
		}
	}
	for range size - 1 {
		s.state[i] = (s.state[i] ^ 1566083941*(s.state[i-1]^s.state[i-1]>>30)) - uint32(i)
		advance()
	}
	s.state[0] = 1 << 31
	return s
}

// renew makes the next 624 words of the state.
func (s *RandomState) renew() {
	twist := func(upper, lower uint32) uint32 {
		y := upper&(1<<31) | lower&(1<<31-1)
		return y>>1 ^ -(y&1)&0x9908b0df
	}
	x := &s.state
	for i := range size - middle {
		x[i] = x[i+middle] ^ twist(x[i], x[i+1])
	}
	for i := size - middle; i < size-1; i++ {
		x[i] = x[i+middle-size] ^ twist(x[i], x[i+1])
	}
	x[size-1] = x[middle-1] ^ twist(x[size-1], x[0])
	s.next = 0
}

// Uint32 draws 32 bits, the generator's own word: Python's
// random.getrandbits(32).
func (s *RandomState) Uint32() uint32 {
	if s.next >= size {
		s.renew()
	}
	y := s.state[s.next]
	s.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// Uint64 draws two words, the high one first: numpy.random.randint over the
// whole of uint64.
func (s *RandomState) Uint64() uint64 {
	high := uint64(s.Uint32())
	return high<<32 | uint64(s.Uint32())
}

// Float64 draws from [0, 1) with 53 bits, of two words: numpy.random.random().
func (s *RandomState) Float64() float64 {
	high, low := s.Uint32()>>5, s.Uint32()>>6
	return float64(uint64(high)<<26|uint64(low)) / (1 << 53)
}

// ExpFloat64 draws from the exponential distribution of mean 1, by inversion:
// numpy.random.standard_exponential(). It is -log(1 - Float64()), and may differ
// from NumPy's in the last bit, by as much as the logarithm of the C library.
func (s *RandomState) ExpFloat64() float64 { return -math.Log(1 - s.Float64()) }

// Shuffle brings n items into a random order, calling swap to exchange the items
// i and j: numpy.random.shuffle, and numpy.random.permutation, which shuffles a
// copy.
func (s *RandomState) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(s.upTo(uint64(i))))
	}
}

// upTo draws from [0, most]: bits of it are drawn until they are not above most.
func (s *RandomState) upTo(most uint64) uint64 {
	mask := most
	for shift := 1; shift < 64; shift *= 2 {
		mask |= mask >> shift
	}
	for {
		var v uint64
		if most <= math.MaxUint32 {
			v = uint64(s.Uint32()) & mask
		} else {
			v = s.Uint64() & mask
		}
		if v <= most {
			return v
		}
	}
}
