package smooth_test

import (
	"context"
	"fmt"
	"math"

	"github.com/parade-go/parade/smooth"
)

func ExampleGaussian() {
	grid := smooth.Grid{Shape: [3]int{5, 1, 1}, Voxel: [3]float64{3, 3, 3}}
	f, err := smooth.NewGaussian(grid, smooth.GaussianConfig{FWHM: [3]float64{4, 0, 0}})
	if err != nil {
		fmt.Println(err)
		return
	}
	out := make([]float32, grid.Voxels())
	zeroed, err := f.Apply(context.Background(), out, []float32{0, 0, 100, 0, float32(math.NaN())})
	fmt.Printf("%.1f, %d zeroed, %v\n", out, zeroed, err)
	// Output: [0.1 14.8 70.2 14.8 0.1], 1 zeroed, <nil>
}
