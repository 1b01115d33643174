// Package smooth smooths volumes such as those of fMRI, and measures how smooth
// they are.
//
//	grid := smooth.Grid{Shape: [3]int{64, 64, 36}, Voxel: [3]float64{3, 3, 3.5}}
//	f, err := smooth.NewGaussian(grid, smooth.GaussianConfig{FWHM: [3]float64{6, 6, 6}})
//	zeroed, err := f.Apply(ctx, data, data)                                 // a kernel of 6 mm
//	res, err := smooth.ToFWHM(ctx, grid, data, smooth.ToFWHMConfig{Goal: 6}) // until the data have 6 mm
//	est, err := smooth.Estimate(ctx, grid, data, smooth.EstimateConfig{})    // est.Mean: mm along x, y, z
//
// # Data
//
// A volume is a slice of float32 with x fastest, then y, then z; several volumes
// lie one after another in one slice. A Grid tells their shape and the size of a
// voxel. NaN and infinities are read as 0, and counted. A mask has one bool for
// each voxel of a volume.
//
// # Widths
//
// A width is a full width at half maximum, FWHM, in mm: that of a Gaussian is
// sqrt(8 ln 2) = 2.35482 times its standard deviation. The same width does not
// mean the same kernel in all packages:
//
//   - Gaussian adds smoothness with a fixed kernel, that of nilearn.image.smooth_img
//     or that of AFNI's 3dmerge -1blur_fwhm.
//   - InMask adds smoothness by diffusion within a mask, the method of AFNI's
//     3dBlurInMask.
//   - ToFWHM smooths until the data have the smoothness asked for, less where they
//     are smooth already: the method of AFNI's 3dBlurToFWHM.
//   - Estimate measures smoothness, the classic method of AFNI's 3dFWHMx.
//
// # Workers
//
// Every config has a number of workers, goroutines that end before the call
// does; 0 stands for one. The result has the same bits for any number of them,
// with the loops in assembly and without. A call that is cancelled returns the
// error of its context, and leaves data that it changes in place in an undefined
// state.
package smooth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// Errors that callers branch on.
var (
	// ErrArgument says that a grid, a slice or a config makes no sense. It is
	// returned before any work is done.
	ErrArgument = errors.New("bad argument")
	// ErrNotReached says that ToFWHM ended before the data had the smoothness
	// asked for; see Result.Err.
	ErrNotReached = errors.New("the goal was not reached")
)

// failure is an error of a kind whose text stands without that of the kind.
type failure struct {
	kind error
	text string
}

func (e *failure) Error() string { return "smooth: " + e.text }
func (e *failure) Unwrap() error { return e.kind }

func refuse(format string, args ...any) error {
	return &failure{ErrArgument, fmt.Sprintf(format, args...)}
}

// toSigma is by what the FWHM of a Gaussian is larger than its standard deviation.
var toSigma = math.Sqrt(8 * math.Ln2)

// Grid is the shape of a volume.
type Grid struct {
	Shape [3]int     // voxels along x, y and z
	Voxel [3]float64 // size of a voxel along x, y and z, in mm
}

// Voxels is the number of voxels of a volume.
func (g Grid) Voxels() int { return g.Shape[0] * g.Shape[1] * g.Shape[2] }

// check refuses a grid that no volume can have.
func (g Grid) check() error {
	n := 1
	for a, s := range g.Shape {
		if s < 1 {
			return refuse("the grid has %d voxels along %c, and must have at least one", s, 'x'+a)
		}
		if n > math.MaxInt32/s {
			return refuse("a volume of %d x %d x %d voxels is too large", g.Shape[0], g.Shape[1], g.Shape[2])
		}
		n *= s
		if d := g.Voxel[a]; !(d > 0) || math.IsInf(d, 0) {
			return refuse("voxels of %v mm along %c: the size must be above 0", d, 'x'+a)
		}
	}
	return nil
}

// volumes tells how many volumes data have.
func (g Grid) volumes(what string, data []float32) (int, error) {
	n := g.Voxels()
	if len(data) == 0 || len(data)%n != 0 {
		return 0, refuse("%s has %d values, which is no number of volumes of %d x %d x %d voxels",
			what, len(data), g.Shape[0], g.Shape[1], g.Shape[2])
	}
	return len(data) / n, nil
}

func (g Grid) checkMask(mask []bool) error {
	if mask != nil && len(mask) != g.Voxels() {
		return refuse("the mask has %d voxels, and a volume %d", len(mask), g.Voxels())
	}
	return nil
}

// parallel calls do for 0 to n-1, on several goroutines unless workers is 1, and
// stops early when the context ends. do is told which of the workers it is on.
func parallel(ctx context.Context, workers, n int, do func(worker, i int)) error {
	var next atomic.Int64
	work := func(worker int) {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			do(worker, i)
		}
	}
	var others sync.WaitGroup
	for w := 1; w < min(workers, n); w++ {
		others.Go(func() { work(w) })
	}
	work(0)
	others.Wait()
	return ctx.Err()
}

// finite tells whether v is neither NaN nor infinite.
func finite(v float32) bool { return v-v == 0 }
