package spike

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/parade-go/parade/unit"
)

// SurrogateMethod is a way to make a surrogate of a train: what it keeps of the
// train, and what it destroys. The methods are those of Elephant.
type SurrogateMethod uint8

// The methods, with the fields of Surrogate that they use; a field not named is
// ignored. Their numbers are part of the wire format.
const (
	// DitherSpikeTrain moves the whole train by one amount up to Dither, which is
	// required. KeepOutside counts.
	DitherSpikeTrain SurrogateMethod = iota
	// DitherSpikes moves each spike by up to Dither, which is required. Where
	// RefractoryPeriod is above 0, spikes are moved in random order and only so far
	// that they stay this period, or the shortest interval of the train where that
	// is shorter, away from their neighbours and inside of the train. Otherwise
	// KeepOutside counts.
	DitherSpikes
	// JitterSpikes places each spike anywhere in its bin. BinSize is required;
	// bins begin at TStart, and the last one ends at TStop. (Elephant, up to
	// 1.2.1, is right only where TStart is 0 and no spike is on TStop.)
	JitterSpikes
	// RandomiseSpikes places each spike anywhere in the train.
	RandomiseSpikes
	// ShuffleISIs brings the inter-spike intervals into a random order, together
	// with that from TStart to the first spike.
	ShuffleISIs
	// BinShuffling brings bins of size BinSize into a random order within windows
	// of 2*floor(Dither/BinSize) bins, and places each spike anywhere in its bin.
	// Both are required. Spikes moved outside are dropped; those after the last
	// whole bin of a window stay in their bin.
	BinShuffling
	// TrialShifting moves each trial by one amount up to Dither, which is required;
	// what leaves the trial at one end comes in at the other. The train is one trial
	// or, with TrialLength, a row of them with TrialSeparation in between, whose
	// spikes are dropped. A spike where two trials meet belongs to the second
	// (Elephant: to both).
	TrialShifting
	// JointISIDithering moves spikes so that pairs of successive intervals keep
	// their distribution, as JointISI says. Spikes whose intervals are too long for
	// that are moved uniformly, by up to Dither (unset is 15 ms) and not into the
	// RefractoryPeriod (unset is 4 ms) or, where that is shorter, the shortest interval
	// of the train. A train of fewer than three spikes stays as it is.
	JointISIDithering
	// ISIDithering is JointISIDithering by the distribution of single intervals,
	// as if successive ones were independent. Elephant (up to 1.2.1) rounds the
	// smoothed counts down to integers; to have its surrogates, take a Sigma of 0 ms
	// or SquareRoot there and here.
	ISIDithering
	numSurrogateMethods
)

var surrogateMethods = [numSurrogateMethods]string{
	"dither_spike_train", "dither_spikes", "jitter_spikes", "randomise_spikes", "shuffle_isis",
	"bin_shuffling", "trial_shifting", "joint_isi_dithering", "isi_dithering",
}

// String gives Elephant's name of the method, such as "dither_spikes".
func (m SurrogateMethod) String() string {
	if m >= numSurrogateMethods {
		return fmt.Sprintf("unknown surrogate method %d", uint8(m))
	}
	return surrogateMethods[m]
}

// ParseSurrogateMethod reads Elephant's name of a method, such as
// "dither_spikes"; other text is an error that wraps ErrSurrogate and lists them.
func ParseSurrogateMethod(text string) (SurrogateMethod, error) {
	if i := slices.Index(surrogateMethods[:], text); i >= 0 {
		return SurrogateMethod(i), nil
	}
	return 0, fmt.Errorf("spike: %w: %q is no method, want one of %s", ErrSurrogate, text, strings.Join(surrogateMethods[:], ", "))
}

// MarshalText is String; an unknown method is an error.
func (m SurrogateMethod) MarshalText() ([]byte, error) {
	if m >= numSurrogateMethods {
		return nil, fmt.Errorf("spike: %w: %v", ErrSurrogate, m)
	}
	return []byte(m.String()), nil
}

// UnmarshalText is ParseSurrogateMethod.
func (m *SurrogateMethod) UnmarshalText(text []byte) error {
	v, err := ParseSurrogateMethod(string(text))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// Set is ParseSurrogateMethod, so that *SurrogateMethod is a flag.Value.
func (m *SurrogateMethod) Set(text string) error { return m.UnmarshalText([]byte(text)) }

// Surrogate says how surrogates of a train are made: elephant's
// spike_train_surrogates. Each method says which fields it uses.
type Surrogate struct {
	Method SurrogateMethod
	// Dither is the largest distance by which a spike is moved.
	Dither unit.Time
	// RefractoryPeriod is the dead time that moved spikes respect.
	RefractoryPeriod unit.Time
	// KeepOutside moves spikes that would leave the train to its ends, instead of
	// dropping them (Elephant's edges=False).
	KeepOutside bool
	// BinSize is the size of the bins.
	BinSize unit.Time
	// TrialLength and TrialSeparation are the duration of each trial and the time
	// between trials in a train of several.
	TrialLength, TrialSeparation unit.Time
	// JointISI holds the choices of JointISIDithering and ISIDithering.
	JointISI JointISI
}

// Train makes one surrogate of the train with numbers of the stream rng. It has
// the unit, bounds and name of the train, and its spikes are sorted. Where a
// method depends on the order of spikes, they are sorted before.
//
// Draws are in Elephant's order. With a mt19937.RandomState the surrogates are
// those of Elephant after numpy.random.seed; but TrialShifting, JointISIDithering
// and ISIDithering draw there from Python's own random.random, and so does
// DitherSpikes with a refractory period for all but its order: mt19937.NewFromKey
// has that stream.
//
// A parameter that is missing or cannot be used is refused with ErrSurrogate,
// ErrBinSize, ErrRefractory or unit.ErrDimension, a train that is not valid as by
// Train.Validate, one without end with ErrInterval, and a nil rng with ErrRandom.
func (s Surrogate) Train(rng Random, train Train) (Train, error) {
	trains, err := s.Trains(rng, train, 1)
	if err != nil {
		return Train{}, err
	}
	return trains[0], nil
}

// Trains makes n surrogates of the train one after another, as n calls of Train
// do, but for less work. Besides the errors of Train, n below 0 is refused.
func (s Surrogate) Trains(rng Random, train Train, n int) ([]Train, error) {
	if err := train.Validate(); err != nil {
		return nil, err
	}
	if math.IsInf(train.TStop-train.TStart, 1) {
		return nil, fmt.Errorf("spike: %w: a train from %v to %v has no end, and no surrogate", ErrInterval, train.Start(), train.Stop())
	}
	if s.Method >= numSurrogateMethods {
		return nil, fmt.Errorf("spike: %w: %v, want one of %s", ErrSurrogate, s.Method, strings.Join(surrogateMethods[:], ", "))
	}
	prepare := [numSurrogateMethods]func(Surrogate, Train) (surrogateDraw, error){
		Surrogate.ditherSpikeTrain, Surrogate.ditherSpikes, Surrogate.jitterSpikes, Surrogate.randomiseSpikes, Surrogate.shuffleISIs,
		Surrogate.binShuffling, Surrogate.trialShifting, Surrogate.jointISI, Surrogate.jointISI,
	}[s.Method]
	draw, err := prepare(s, train)
	if err != nil {
		return nil, err
	}
	return repeat(rng, n, func() (Train, error) {
		surrogate := train
		surrogate.Times = draw(rng)
		return surrogate, nil
	})
}

// surrogateDraw draws the times of one surrogate, in the unit of the train. It
// may be called again, and shares no memory with the train or another surrogate.
// Conversions to float64 in these functions forbid fused multiply-adds.
type surrogateDraw func(rng Random) []float64

func (s Surrogate) ditherSpikeTrain(train Train) (surrogateDraw, error) {
	shift, err := distance("dither", s.Dither, s.Dither.Unit)
	if err != nil {
		return nil, err
	}
	toUnit, err := unit.Factor(s.Dither.Unit, train.Unit)
	if err != nil {
		return nil, fmt.Errorf("spike: dither: %w", err)
	}
	c := inSeconds(train)
	return func(rng Random) []float64 {
		by := float64(toUnit * float64(2*shift*rng.Float64()))
		times := make([]float64, 0, len(train.Times))
		for _, t := range train.Times {
			t = float64(c.seconds * (t + by - float64(toUnit*shift)))
			if s.KeepOutside {
				t = min(max(t, c.start), c.stop)
			} else if !(c.start <= t && t < c.stop) {
				continue
			}
			times = append(times, c.back(t))
		}
		slices.Sort(times)
		return times
	}, nil
}

func (s Surrogate) ditherSpikes(train Train) (surrogateDraw, error) {
	dither, err := distance("dither", s.Dither, train.Unit)
	if err != nil {
		return nil, err
	}
	dead, err := refractoryIn(s.RefractoryPeriod, train.Unit)
	if err != nil {
		return nil, err
	}
	if dead > 0 {
		return ditherApart(train, dither, dead), nil
	}
	return func(rng Random) []float64 {
		times := make([]float64, 0, len(train.Times))
		for _, t := range train.Times {
			t = t + float64(2*dither*rng.Float64()) - dither
			if s.KeepOutside {
				t = min(max(t, train.TStart), train.TStop)
			} else if !(train.TStart < t && t < train.TStop) {
				continue
			}
			times = append(times, t)
		}
		slices.Sort(times)
		return times
	}, nil
}

// ditherApart moves each spike between its neighbours, as far as dead allows.
func ditherApart(train Train, dither, dead float64) surrogateDraw {
	sorted := slices.Sorted(slices.Values(train.Times))
	dead = shortest(sorted, dead)
	return func(rng Random) []float64 {
		times := slices.Clone(sorted)
		order := make([]int, len(times))
		permute(rng, order)
		for _, i := range order {
			before, after := train.TStart-dead, train.TStop+dead // the ends may be reached
			if i > 0 {
				before = times[i-1]
			}
			if i < len(times)-1 {
				after = times[i+1]
			}
			t := times[i]
			left, right := min(dither, t-before-dead), min(dither, after-t-dead)
			t += float64((left+right)*rng.Float64()) - left
			times[i] = min(max(t, train.TStart), train.TStop)
		}
		return times
	}
}

func (s Surrogate) jitterSpikes(train Train) (surrogateDraw, error) {
	u := s.BinSize.Unit
	bin, err := s.binSize(u)
	if err != nil {
		return nil, err
	}
	toBins, err := unit.Factor(train.Unit, u)
	if err != nil {
		return nil, fmt.Errorf("spike: bin size: %w", err)
	}
	back, err := unit.Factor(u, train.Unit)
	if err != nil {
		return nil, fmt.Errorf("spike: bin size: %w", err)
	}
	start, stop := float64(toBins*train.TStart), float64(toBins*train.TStop)
	last := math.Ceil((stop-start)/bin) - 1
	edge := func(k float64) float64 {
		if k > last {
			return stop
		}
		return start + float64(k*bin)
	}
	// Elephant (up to 1.2.1) counts bins from 0, which is wrong unless TStart is, and
	// fails at a spike on TStop.
	type place struct{ from, size float64 }
	places := make([]place, len(train.Times))
	for i, t := range train.Times {
		k := max(0, min(math.Trunc(float64((t-train.TStart)/bin*toBins)), last))
		places[i] = place{edge(k), edge(k+1) - edge(k)}
	}
	return func(rng Random) []float64 {
		times := make([]float64, len(places))
		for i, p := range places {
			t := float64(back * (float64(rng.Float64()*p.size) + p.from))
			times[i] = min(max(t, train.TStart), train.TStop)
		}
		slices.Sort(times)
		return times
	}, nil
}

func (s Surrogate) randomiseSpikes(train Train) (surrogateDraw, error) {
	return func(rng Random) []float64 {
		times := make([]float64, len(train.Times))
		for i := range times {
			times[i] = min(float64((train.TStop-train.TStart)*rng.Float64())+train.TStart, train.TStop)
		}
		slices.Sort(times)
		return times
	}, nil
}

func (s Surrogate) shuffleISIs(train Train) (surrogateDraw, error) {
	intervals := slices.Sorted(slices.Values(train.Times))
	for i := len(intervals) - 1; i > 0; i-- {
		intervals[i] -= intervals[i-1]
	}
	if len(intervals) > 0 {
		intervals[0] -= train.TStart
	}
	return func(rng Random) []float64 {
		times := slices.Clone(intervals)
		rng.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
		sum := 0.0
		for i, interval := range times {
			sum += interval
			times[i] = min(sum+train.TStart, train.TStop) // the sum may exceed it by rounding
		}
		return times
	}, nil
}

// maxDisplacement bounds the windows of BinShuffling: 256 MiB of places.
const maxDisplacement = 1 << 24

func (s Surrogate) binShuffling(train Train) (surrogateDraw, error) {
	bin, err := s.binSize(train.Unit)
	if err != nil {
		return nil, err
	}
	dither, err := distance("dither", s.Dither, unit.Second)
	if err != nil {
		return nil, err
	}
	binSeconds, err := s.binSize(unit.Second)
	if err != nil {
		return nil, err
	}
	most := math.Trunc(dither / binSeconds)
	if !(1 <= most && most <= maxDisplacement) {
		return nil, fmt.Errorf("spike: %w: a dither of %v is %v bins of %v, want 1 to %d", ErrSurrogate, s.Dither, most, s.BinSize, maxDisplacement)
	}
	window := 2 * int(most)
	bins := floorDivide(train.TStop-train.TStart, bin)
	if !(bins <= MaxBins) {
		return nil, fmt.Errorf("spike: %w: %v gives %.3g bins, want at most %d", ErrBinSize, s.BinSize, bins, MaxBins)
	}
	windows := max(1, (int(bins)+window-1)/window)
	sorted := slices.Sorted(slices.Values(train.Times))
	indices := make([]int, len(sorted))
	for i, t := range sorted {
		indices[i] = int(floorDivide(t-train.TStart, bin))
	}
	return func(rng Random) []float64 {
		times := make([]float64, 0, len(sorted))
		i, order := 0, make([]int, window)
		for w := range windows {
			from := w * window
			permute(rng, order)
			for ; i < len(indices) && (indices[i] < from+window || w == windows-1); i++ {
				k := indices[i]
				if k < from+window { // Elephant (up to 1.2.1) fails at those after it
					k = order[k-from] + from
				}
				times = append(times, float64(float64(k)*bin))
			}
		}
		kept := times[:0]
		for _, t := range times {
			t = t + float64(bin*rng.Float64()) + train.TStart
			if train.TStart < t && t < train.TStop {
				kept = append(kept, t)
			}
		}
		slices.Sort(kept)
		return kept
	}, nil
}

func (s Surrogate) trialShifting(train Train) (surrogateDraw, error) {
	dither, err := distance("dither", s.Dither, unit.Second)
	if err != nil {
		return nil, err
	}
	c := inSeconds(train)
	if !(c.start < c.stop) {
		return nil, fmt.Errorf("spike: %w: a train from %v to %v has no duration", ErrSurrogate, train.Start(), train.Stop())
	}
	n, length, step := 1, 0.0, 0.0
	if s.TrialLength.IsSet() {
		if length, err = distance("trial length", s.TrialLength, unit.Second); err != nil {
			return nil, err
		}
		separation := 0.0
		if s.TrialSeparation.IsSet() {
			if separation, err = distance("trial separation", s.TrialSeparation, unit.Second); err != nil {
				return nil, err
			}
		}
		step = length + separation
		trials := floorDivide(c.stop-c.start, step)
		if !(length > 0 && 1 <= trials && trials <= MaxBins) {
			return nil, fmt.Errorf("spike: %w: %v from %v to %v make %.3g trials of %v with %v in between, want 1 to %d",
				ErrSurrogate, s.Method, train.Start(), train.Stop(), trials, s.TrialLength, s.TrialSeparation, MaxBins)
		}
		n = int(trials)
	}
	sorted := slices.Sorted(slices.Values(train.Times))
	for i, t := range sorted {
		sorted[i] = float64(c.seconds * t)
	}
	return func(rng Random) []float64 {
		times, rest := make([]float64, 0, len(sorted)), sorted
		for k := range n {
			start := c.start + float64(float64(k)*step)
			stop := start + length
			if !s.TrialLength.IsSet() {
				stop = c.stop
			}
			by := float64(dither * (2*rng.Float64() - 1))
			from := len(times)
			for ; len(rest) > 0 && rest[0] <= stop; rest = rest[1:] {
				// One on the edge of two trials is of the second; Elephant has it in both.
				if k < n-1 && rest[0] >= c.start+float64(float64(k+1)*step) {
					break
				}
				if rest[0] >= start {
					times = append(times, c.back(remainder(rest[0]+by-start, stop-start)+start))
				}
			}
			slices.Sort(times[from:])
		}
		return times
	}, nil
}

// bounds are those of a train in seconds, in which Elephant computes some
// surrogates, and what it takes to return.
type bounds struct {
	seconds     float64 // those in the train's unit
	start, stop float64
	train       Train
}

func inSeconds(train Train) bounds {
	// Validate has seen that the unit is one of time.
	f, _ := unit.Factor(train.Unit, unit.Second)
	return bounds{seconds: f, start: f * train.TStart, stop: f * train.TStop, train: train}
}

// back gives a time in seconds in the unit of the train. The two conversions may
// not give back a number to the last bit, but never one outside of the train.
func (b bounds) back(seconds float64) float64 {
	f, _ := unit.Factor(unit.Second, b.train.Unit)
	return min(max(float64(f*seconds), b.train.TStart), b.train.TStop)
}

// distance gives a required time of at least 0 in u.
func distance(what string, t unit.Time, u unit.Unit) (float64, error) {
	v, err := t.In(u)
	if err != nil {
		return 0, fmt.Errorf("spike: %s: %w", what, err)
	}
	if !(v.Value >= 0) || math.IsInf(v.Value, 1) {
		return 0, fmt.Errorf("spike: %w: %s is %v, want 0 or more", ErrSurrogate, what, t)
	}
	return v.Value, nil
}

// binSize gives the size of bins in u.
func (s Surrogate) binSize(u unit.Unit) (float64, error) {
	v, err := s.BinSize.In(u)
	if err != nil {
		return 0, fmt.Errorf("spike: bin size: %w", err)
	}
	if !(v.Value > 0) || math.IsInf(v.Value, 1) {
		return 0, fmt.Errorf("spike: %w: %v, want more than 0", ErrBinSize, s.BinSize)
	}
	return v.Value, nil
}

// shortest gives the shortest interval of sorted times, or most where that is
// shorter.
func shortest(sorted []float64, most float64) float64 {
	for i := 1; i < len(sorted); i++ {
		most = min(most, sorted[i]-sorted[i-1])
	}
	return most
}

// permute sets order to 0, 1, 2, ... in a random order: numpy.random.permutation.
func permute(rng Random, order []int) {
	for i := range order {
		order[i] = i
	}
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
}

// remainder is Python's x % y for y above 0: in [0, y].
func remainder(x, y float64) float64 {
	r := math.Mod(x, y)
	if r < 0 {
		r += y
	}
	return r
}

// floorDivide is Python's x // y for x of at least 0 and y above 0, where
// math.Floor(x/y) may be one too high.
func floorDivide(x, y float64) float64 {
	quotient := (x - math.Mod(x, y)) / y
	floor := math.Floor(quotient)
	if quotient-floor > 0.5 {
		floor++
	}
	return floor
}
