package smooth

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
)

// ToFWHMConfig says how smooth data are to become. Only Goal has no default.
type ToFWHMConfig struct {
	Goal float64 // FWHM that the data are to have, in mm
	// InPlane smooths along x and y only, and asks for the goal there. It is so in
	// any case where the grid has a single plane.
	InPlane bool
	// Mask, if not nil, restricts smoothing: nothing crosses its edge, and what is
	// outside becomes 0. It must have 333 voxels or more.
	Mask []bool
	// Master, if not nil, has the volumes whose smoothness is steered, in place of
	// the data, which get the same steps. It is not changed.
	Master []float32
	// NoDetrend takes the median over time off the volumes of the master instead of
	// polynomials and sines, which is so in any case with fewer than 30 volumes.
	NoDetrend bool
	// AllVolumes measures all volumes of the master, not a number that is enough: 39,
	// or 89 in a plane, or 32 with Uniform.
	AllVolumes bool
	// Uniform smooths alike everywhere, not less where the data are locally smooth.
	// It is much faster. It is -nbhd NULL of 3dBlurToFWHM.
	Uniform       bool
	Rate          float64 // of smoothing, relative to the usual one: 0.05 to 3.555; 1 if 0
	MaxIterations int     // 0 for a limit that goes with the goal, at least 66
	Workers       int     // goroutines, one if 0
	// Progress, if not nil, is called with each round's estimate, before the round's
	// step. It must not keep the call waiting.
	Progress func(iteration int, estimate Width)
}

// Width is a smoothness: FWHM along x, y and z in mm, and their geometric mean. In a
// plane Z is not a part of the mean.
type Width struct {
	XYZ  [3]float64
	Mean float64
}

// Result is what ToFWHM did. Data whose goal was not reached are smoothed
// nevertheless, as far as it went.
type Result struct {
	Goal   float64
	Reason Reason
	// Rounds has the estimate at the beginning of every round; the last is that of
	// the result, unless Reason is IterationLimit, AllVoxelsDone or Sluggish, where
	// it is the last that was made.
	Rounds []Width
	// Zeroed counts values that were not finite, of data and master.
	Zeroed int
	// Voxels counts those that were smoothed. Constant counts voxels of the mask
	// that were not, and became 0, since the master does not change there over time.
	Voxels, Constant int
}

// Before is the smoothness of the master before the first step.
func (r *Result) Before() Width { return r.Rounds[0] }

// After is the last estimate of the smoothness of the master.
func (r *Result) After() Width { return r.Rounds[len(r.Rounds)-1] }

// Reached tells whether the data are as smooth as asked for, or were from the start.
func (r *Result) Reached() bool { return r.Reason == GoalReached || r.Reason == AlreadySmoother }

// Err is nil if the goal was reached, and else an error that wraps ErrNotReached
// and says how far it went and why no further.
func (r *Result) Err() error {
	if r.Reached() {
		return nil
	}
	return &failure{ErrNotReached, fmt.Sprintf("the data have an FWHM of %.4g mm after %d rounds, not %.4g mm: %v",
		r.After().Mean, len(r.Rounds), r.Goal, r.Reason)}
}

// Reason is why ToFWHM ended.
type Reason int

const (
	// GoalReached says that the data became as smooth as asked for.
	GoalReached Reason = iota
	// AlreadySmoother says that the data were that smooth, and so are as they were,
	// but for voxels outside the mask, which are 0.
	AlreadySmoother
	// IterationLimit says that the number of rounds was at its limit.
	IterationLimit
	// Sluggish says that the smoothness fell along all axes in three rounds in a row.
	Sluggish
	// AllVoxelsDone says that every voxel is in a neighbourhood that is as smooth as
	// asked for, though the whole is not.
	AllVoxelsDone
)

func (r Reason) String() string {
	switch r {
	case GoalReached:
		return "the goal is reached"
	case AlreadySmoother:
		return "the data were that smooth already"
	case IterationLimit:
		return "this is the limit of rounds"
	case Sluggish:
		return "three rounds in a row made no progress"
	case AllVoxelsDone:
		return "every neighbourhood is as smooth as the goal"
	}
	return fmt.Sprintf("reason %d", int(r))
}

// ToFWHM smooths volumes in place until they have the smoothness that is asked for,
// by the method of 3dBlurToFWHM without -temper, -ACF and -automask. Round by round it
// measures the smoothness of the master, as a whole and around each voxel, and lets
// every volume diffuse a little, where and along the axes where it is not smooth enough.
//
// The master is the data unless told. Of each voxel of the master is taken off what
// is slow over time, since anatomy would count as smoothness; a master of one volume is
// taken as it is. Voxels that do not change over time become 0, as if they were outside
// the mask.
//
// Besides the data, memory is taken for the volumes of the master that are measured, 39 or
// all if they are fewer, for about 7 volumes more, and for each worker about 100 bytes for
// each voxel of 16 rows through all planes.
//
// What makes no sense, and data without a voxel to smooth, are refused with
// ErrArgument. A goal that is not reached is no error here: see Result.Err.
func ToFWHM(ctx context.Context, grid Grid, data []float32, cfg ToFWHMConfig) (*Result, error) {
	s, err := newSteering(grid, data, &cfg)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, data); err != nil {
		return nil, err
	}
	for {
		more, err := s.round(ctx)
		if err != nil {
			return nil, err
		}
		if !more {
			return s.result, nil
		}
		if err := s.diffusion.step(ctx, 1, s.volumes, data); err != nil {
			return nil, err
		}
	}
}

const (
	minMask   = 333     // voxels, as 3dBlurToFWHM has it
	maxVoxels = 1 << 16 // that a goal can be, more than any axis is long
)

// steering is the state of ToFWHM.
type steering struct {
	cfg       *ToFWHMConfig
	grid      Grid
	axes      int // 3, or 2 in a plane
	master    *master
	volumes   []float32 // of the master
	region    *region
	diffusion *diffusion
	local     *local
	moments   moments
	active    []bool
	still     int // voxels that are active
	limit     int
	rate      float64
	falls     int // rounds in a row in which the smoothness fell
	result    *Result
}

func newSteering(grid Grid, data []float32, cfg *ToFWHMConfig) (*steering, error) {
	if err := grid.check(); err != nil {
		return nil, err
	}
	if _, err := grid.volumes("data", data); err != nil {
		return nil, err
	}
	if err := grid.checkMask(cfg.Mask); err != nil {
		return nil, err
	}
	source := data
	if cfg.Master != nil {
		if _, err := grid.volumes("the master", cfg.Master); err != nil {
			return nil, err
		}
		source = cfg.Master
	}
	s := &steering{cfg: cfg, grid: grid, axes: 3, result: &Result{Goal: cfg.Goal}}
	if cfg.InPlane || grid.Shape[2] == 1 {
		s.axes = 2
	}
	for a := range s.axes {
		if grid.Shape[a] < 2 {
			return nil, refuse("the grid has a single voxel along %c, so there is no smoothness to measure", 'x'+a)
		}
	}
	size := geometricMean(grid.Voxel, s.axes)
	if !(cfg.Goal > 0) || cfg.Goal > maxVoxels*size {
		return nil, refuse("a goal of %v mm: it must be an FWHM above 0, in mm", cfg.Goal)
	}
	s.rate = cfg.Rate
	if s.rate == 0 {
		s.rate = 1
	}
	if !(s.rate >= 0.05 && s.rate <= 3.555) {
		return nil, refuse("a rate of %v: it must be from 0.05 to 3.555, or 0 for 1", cfg.Rate)
	}
	s.rate *= 0.05
	if s.limit = cfg.MaxIterations; s.limit < 0 {
		return nil, refuse("%d rounds at most: it must be 0, which stands for a limit that goes with the goal, or above", s.limit)
	}
	if s.limit == 0 {
		s.limit = max(66, int(66.6*cfg.Goal/size))
	}
	if cfg.Mask != nil {
		n := 0
		for _, in := range cfg.Mask {
			if in {
				n++
			}
		}
		if n < minMask {
			return nil, refuse("the mask has %d voxels: it must have %d or more for an estimate of smoothness", n, minMask)
		}
	}
	neighbourhood := ballVoxels
	if s.axes == 2 {
		neighbourhood = discVoxels
	}
	s.master = newMaster(grid, source, cfg, neighbourhood)
	return s, nil
}

// prepare makes what the rounds need, and cleans the data.
func (s *steering) prepare(ctx context.Context, data []float32) error {
	mask := everywhere(s.grid)
	inside := len(mask)
	if s.cfg.Mask != nil {
		inside = 0
		for i, in := range s.cfg.Mask {
			mask[i] = in
			if in {
				inside++
			}
		}
	}
	var err error
	if s.volumes, s.result.Zeroed, err = s.master.make(ctx, mask); err != nil {
		return err
	}
	s.region = newRegion(s.grid, mask)
	if s.region.voxels == 0 {
		return refuse("no voxel changes over time, so there is no smoothness to measure")
	}
	s.result.Voxels, s.result.Constant = s.region.voxels, inside-s.region.voxels

	var zeroed atomic.Int64
	n := len(data) / len(mask)
	err = parallel(ctx, s.cfg.Workers, n, func(_, i int) {
		zeroed.Add(int64(clean(data[i*len(mask):][:len(mask)], mask)))
	})
	if err != nil {
		return err
	}
	// Without a master of its own the data have been counted.
	if s.cfg.Master != nil {
		s.result.Zeroed += int(zeroed.Load())
	}
	s.active, s.still = slices.Clone(mask), s.region.voxels
	s.diffusion = newDiffusion(s.region, s.cfg.Workers)
	if !s.cfg.Uniform {
		s.local, err = newLocal(ctx, s.region, s.axes == 2, s.cfg.Workers)
	}
	return err
}

// round measures and sets the coefficients of the next step, if there is to be one.
func (s *steering) round(ctx context.Context) (more bool, err error) {
	r := s.result
	if len(r.Rounds) == s.limit {
		r.Reason = IterationLimit
		return false, nil
	}
	if err := s.moments.measure(ctx, s.region, s.volumes, s.cfg.Workers); err != nil {
		return false, err
	}
	now := Width{XYZ: meanWidth(s.moments.widths)}
	for a := range s.axes {
		if now.XYZ[a] == 0 {
			now.XYZ[a] = s.grid.Voxel[a]
		}
	}
	now.Mean = geometricMean(now.XYZ, s.axes)
	r.Rounds = append(r.Rounds, now)
	if s.cfg.Progress != nil {
		s.cfg.Progress(len(r.Rounds), now)
	}
	if now.Mean >= s.cfg.Goal {
		r.Reason = GoalReached
		if len(r.Rounds) == 1 {
			r.Reason = AlreadySmoother
		}
		return false, nil
	}
	if s.sluggish() {
		r.Reason = Sluggish
		return false, nil
	}
	rates := s.rates()
	if s.cfg.Uniform {
		for a, c := range s.diffusion.flow {
			for i, in := range s.region.mask {
				if in {
					c[i] = float32(rates[a])
				}
			}
		}
	} else if err := s.setLocally(ctx, rates); err != nil {
		return false, err
	}
	if s.still == 0 {
		r.Reason = AllVoxelsDone
		return false, nil
	}
	return true, s.diffusion.begin(ctx)
}

// sluggish tells whether the smoothness fell along all axes three times in a row.
func (s *steering) sluggish() bool {
	n := len(s.result.Rounds)
	if n < 4 {
		return false
	}
	for a := range s.axes {
		if !(s.result.Rounds[n-1].XYZ[a] < s.result.Rounds[n-2].XYZ[a]) {
			s.falls = 0
			return false
		}
	}
	s.falls++
	return s.falls == 3
}

// rates are the coefficients where the data are not locally smooth.
func (s *steering) rates() (rates [3]float64) {
	goal := s.cfg.Goal
	n := len(s.result.Rounds)
	now := s.result.Rounds[n-1].XYZ
	var done [3]bool
	ahead := true
	for a := range s.axes {
		done[a] = now[a] >= goal
		ahead = ahead && !done[a]
	}
	// An axis that is ahead of the others waits for them.
	for a := s.axes - 1; a >= 0 && ahead; a-- {
		if now[a] < 0.95*goal {
			continue
		}
		first := true
		for b := range s.axes {
			first = first && (b == a || now[a] > 1.01*now[b])
		}
		done[a], ahead = first, !first
	}
	if n > 1 {
		slower := 1.0
		for a := range s.axes {
			if grown := now[a] - s.result.Rounds[n-2].XYZ[a]; !done[a] && grown > 0 {
				slower = min(slower, 0.2*goal/grown)
			}
		}
		s.rate *= max(0.123, slower)
	}
	smallest := s.grid.Voxel[0]
	for _, d := range s.grid.Voxel[1:s.axes] {
		smallest = min(smallest, d)
	}
	for a := range s.axes {
		if done[a] {
			continue
		}
		ratio := smallest / s.grid.Voxel[a]
		rates[a] = s.rate / float64(s.axes) * ratio * ratio
		if now[a] < 0.8*goal {
			continue
		}
		brake := 0.123
		if n > 1 {
			brake = max(0.09, math.Sqrt((goal-now[a])/(0.2*goal)))
		}
		if brake < 0.999 {
			rates[a] *= brake
		}
	}
	return rates
}

// setLocally sets the coefficients of the voxels from the smoothness around them.
func (s *steering) setLocally(ctx context.Context, rates [3]float64) error {
	s.local.want(s.active)
	for _, c := range s.diffusion.flow {
		clear(c)
	}
	nx, volumes := s.grid.Shape[0], len(s.volumes)/len(s.active)
	axes := [3]bool{rates[0] > 0, rates[1] > 0, rates[2] > 0}
	var still atomic.Int64
	err := s.local.measure(ctx, s.volumes, axes, func(row, in int, w *widths) {
		n := 0
		for x := range nx {
			i := row*nx + x
			if !s.active[i] {
				continue
			}
			moves := false
			for a := range s.axes {
				found := volumes - int(w.missing[a][in+x])
				if !axes[a] || found == 0 {
					continue
				}
				d := s.grid.Voxel[a]
				goal := s.cfg.Goal - float64(0.011*d)
				c := 0.0
				switch width := halfWidth * d * w.sums[a][in+x] / float64(found); {
				case width <= 0.8*goal:
					c = rates[a]
				case width < goal:
					c = rates[a] * ((goal - width) / (0.2 * goal))
				}
				s.diffusion.flow[a][i] = float32(c)
				moves = moves || c > 0
			}
			s.active[i] = moves
			if moves {
				n++
			}
		}
		still.Add(int64(n))
	})
	s.still = int(still.Load())
	return err
}

func geometricMean(v [3]float64, axes int) float64 {
	if axes == 2 {
		return math.Sqrt(v[0] * v[1])
	}
	return math.Cbrt(v[0] * v[1] * v[2])
}
