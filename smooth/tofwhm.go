package smooth

import "fmt"

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
