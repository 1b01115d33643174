package smooth_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/parade-go/parade/smooth"
)

// run is like a usual recording: 200 volumes of smooth structure with noise of an
// FWHM of 3 to 4 mm, and a mask of 36 % of the voxels.
var run = sync.OnceValues(func() (data []float32, mask []bool) {
	const volumes = 200
	n := runGrid.Voxels()
	data = make([]float32, n*volumes)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = float32(100 * rng.NormFloat64())
	}
	f, err := smooth.NewGaussian(runGrid, smooth.GaussianConfig{FWHM: [3]float64{3.2, 3.2, 3.2}, Workers: 2})
	if err != nil {
		panic(err)
	}
	if _, err := f.Apply(context.Background(), data, data); err != nil {
		panic(err)
	}
	mask = make([]bool, n)
	s := runGrid.Shape
	for i := range mask {
		x, y, z := i%s[0], i/s[0]%s[1], i/s[0]/s[1]
		r := 0.0
		for a, v := range [3]int{x, y, z} {
			d := (float64(v) - float64(s[a]-1)/2) / (float64(s[a]) / 2)
			r += d * d
		}
		mask[i] = r < 0.775
		structure := 600 + 200*math.Sin(float64(x)/9)*math.Cos(float64(y)/7) + 100*math.Sin(float64(z)/5)
		if !mask[i] {
			structure = 60
		}
		for t := range volumes {
			data[t*n+i] += float32(structure * (1 + 0.01*math.Sin(float64(t)/40)))
		}
	}
	return data, mask
})

var runGrid = smooth.Grid{Shape: [3]int{64, 64, 36}, Voxel: [3]float64{3, 3, 3.5}}

func BenchmarkToFWHM(b *testing.B) {
	data, mask := run()
	for _, bc := range []struct {
		name string
		cfg  smooth.ToFWHMConfig
	}{
		{"whole", smooth.ToFWHMConfig{Goal: 6}},
		{"mask", smooth.ToFWHMConfig{Goal: 6, Mask: mask}},
		{"uniform", smooth.ToFWHMConfig{Goal: 6, Mask: mask, Uniform: true}},
	} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", bc.name, workers), func(b *testing.B) {
				cfg := bc.cfg
				cfg.Workers = workers
				work := make([]float32, len(data))
				for b.Loop() {
					b.StopTimer()
					copy(work, data)
					b.StartTimer()
					res, err := smooth.ToFWHM(b.Context(), runGrid, work, cfg)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(len(res.Rounds)), "rounds")
				}
			})
		}
	}
}

func BenchmarkGaussian(b *testing.B) {
	data, _ := run()
	out := make([]float32, len(data))
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			f, err := smooth.NewGaussian(runGrid, smooth.GaussianConfig{FWHM: [3]float64{6, 6, 6}, Workers: workers})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(4 * len(data)))
			for b.Loop() {
				if _, err := f.Apply(b.Context(), out, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
