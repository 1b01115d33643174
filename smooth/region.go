package smooth

// region is the part of a grid that is smoothed.
type region struct {
	Grid
	mask   []bool
	inside []bool     // whether a row has voxels of the mask
	voxels int        // in the mask
	joined [3][]uint8 // 1 where a voxel and the next one along the axis are in the mask
	pairs  [3]int     // how many of them
}

func newRegion(grid Grid, mask []bool) *region {
	r := &region{Grid: grid, mask: mask, inside: make([]bool, grid.Shape[1]*grid.Shape[2])}
	n := grid.Shape
	stride := [3]int{1, n[0], n[0] * n[1]}
	for a := range 3 {
		r.joined[a] = make([]uint8, len(mask))
	}
	i := 0
	for z := range n[2] {
		for y := range n[1] {
			for x := range n[0] {
				if mask[i] {
					r.voxels++
					r.inside[z*n[1]+y] = true
					for a, at := range [3]int{x, y, z} {
						if at+1 < n[a] && mask[i+stride[a]] {
							r.joined[a][i] = 1
							r.pairs[a]++
						}
					}
				}
				i++
			}
		}
	}
	return r
}

// everywhere is a mask of a whole volume.
func everywhere(grid Grid) []bool {
	mask := make([]bool, grid.Voxels())
	for i := range mask {
		mask[i] = true
	}
	return mask
}

// clean sets to 0 what is not finite, which it counts, and what is outside the mask.
func clean(volume []float32, mask []bool) (zeroed int) {
	for i, v := range volume {
		if !finite(v) {
			volume[i] = 0
			zeroed++
		} else if !mask[i] {
			volume[i] = 0
		}
	}
	return zeroed
}
