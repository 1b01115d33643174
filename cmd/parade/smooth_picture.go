package main

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"

	"github.com/parade-go/parade/internal/wholefile"
	"github.com/parade-go/parade/smooth"
)

// A picture shows the three middle planes of a volume, before in the upper row and
// after in the lower one, with the same grey values.

const (
	longestSide = 240 // pixels of the volume's longest side
	planeGap    = 8   // pixels between planes
)

// plane is a plane of a volume, seen with its second axis upwards.
type plane struct{ across, up, through int }

var planes = []plane{{0, 1, 2}, {0, 2, 1}, {1, 2, 0}}

// writeSlices writes a picture of a volume before and after.
func writeSlices(path string, grid smooth.Grid, volumes [2][]float32) error {
	black, white := greyRange(volumes[0])
	scale := 0.0 // pixels in a mm
	for axis, n := range grid.Shape {
		scale = max(scale, float64(n)*grid.Voxel[axis])
	}
	scale = longestSide / scale
	side := func(axis int) int { return max(1, int(float64(grid.Shape[axis])*grid.Voxel[axis]*scale+0.5)) }
	width, height := planeGap, 0
	for _, p := range planes {
		width += side(p.across) + planeGap
		height = max(height, side(p.up))
	}
	img := image.NewGray(image.Rect(0, 0, width, 2*height+3*planeGap))
	for row, values := range volumes {
		left := planeGap
		for _, p := range planes {
			w, h := side(p.across), side(p.up)
			top := planeGap + row*(height+planeGap) + (height-h)/2
			var at [3]int
			at[p.through] = grid.Shape[p.through] / 2
			for y := range h {
				at[p.up] = grid.Shape[p.up] - 1 - y*grid.Shape[p.up]/h
				for x := range w {
					at[p.across] = x * grid.Shape[p.across] / w
					v := float64(values[(at[2]*grid.Shape[1]+at[1])*grid.Shape[0]+at[0]])
					grey := (v - black) / (white - black)
					if !(grey > 0) { // NaN, too
						grey = 0
					}
					img.SetGray(left+x, top+y, color.Gray{Y: uint8(255*min(grey, 1) + 0.5)})
				}
			}
			left += w + planeGap
		}
	}
	return wholefile.Write(path, func(w io.Writer) error { return png.Encode(w, img) })
}

// greyRange is what is black and what is white: all but the extremes of the values.
func greyRange(values []float32) (black, white float64) {
	sorted := make([]float32, 0, len(values))
	for _, v := range values {
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			sorted = append(sorted, v)
		}
	}
	if len(sorted) == 0 {
		return 0, 1
	}
	slices.Sort(sorted)
	black, white = float64(sorted[len(sorted)/50]), float64(sorted[len(sorted)-1-len(sorted)/200])
	if !(white > black) {
		black, white = black-1, black+1
	}
	return black, white
}
