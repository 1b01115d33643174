package smooth

import "context"

// InMaskConfig says how much smoothness InMask adds, and where.
type InMaskConfig struct {
	FWHM float64 // to add, in mm
	Mask []bool  // where, if not nil; voxels without a neighbour in the mask are left out
	// Preserve leaves voxels outside the mask as they are; else they become 0.
	Preserve bool
	Workers  int // goroutines, one if 0
}

// inMaskRate is what 3dBlurInMask has for 1/(16 ln 2) · 1/2.
const inMaskRate = 0.045084

// InMask smooths volumes in place by diffusion within a mask, the method of
// 3dBlurInMask: to data with a smoothness of s it adds FWHM, which makes
// sqrt(s² + FWHM²). Nothing crosses the mask's edge, so that the sum within the mask
// stays as it is. It returns how many values were not finite and taken as 0, and
// refuses with ErrArgument what makes no sense.
func InMask(ctx context.Context, grid Grid, data []float32, cfg InMaskConfig) (zeroed int, err error) {
	if err := grid.check(); err != nil {
		return 0, err
	}
	n, err := grid.volumes("data", data)
	if err != nil {
		return 0, err
	}
	if err := grid.checkMask(cfg.Mask); err != nil {
		return 0, err
	}
	smallest := min(grid.Voxel[0], grid.Voxel[1], grid.Voxel[2])
	if !(cfg.FWHM > 0) || cfg.FWHM > 1000*smallest {
		return 0, refuse("an FWHM of %v mm: it must be above 0, and at most 1000 voxels", cfg.FWHM)
	}
	mask := everywhere(grid)
	if cfg.Mask != nil {
		copy(mask, cfg.Mask)
	}
	r := newRegion(grid, mask)
	stride := [3]int{1, grid.Shape[0], grid.Shape[0] * grid.Shape[1]}
	lonely := false
	for i, in := range mask {
		if !in {
			continue
		}
		joined := false
		for a, s := range stride {
			joined = joined || r.joined[a][i] != 0 || i >= s && r.joined[a][i-s] != 0
		}
		if !joined {
			mask[i], lonely = false, true
		}
	}
	if lonely {
		r = newRegion(grid, mask)
	}
	steps := 2 + int(cfg.FWHM*cfg.FWHM/(smallest*smallest))
	d := newDiffusion(r, cfg.Workers)
	for a, c := range d.flow {
		for i := range c {
			c[i] = float32(inMaskRate * cfg.FWHM * cfg.FWHM / (float64(steps) * grid.Voxel[a] * grid.Voxel[a]))
		}
	}
	if err := d.begin(ctx); err != nil {
		return 0, err
	}
	bad := make([]int, n)
	err = parallel(ctx, cfg.Workers, n, func(_, i int) {
		volume := data[i*len(mask):][:len(mask)]
		for p, v := range volume {
			if !finite(v) {
				volume[p] = 0
				bad[i]++
			} else if !mask[p] && !cfg.Preserve {
				volume[p] = 0
			}
		}
	})
	for _, b := range bad {
		zeroed += b
	}
	if err != nil {
		return zeroed, err
	}
	return zeroed, d.step(ctx, steps, data)
}
