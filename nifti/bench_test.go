package nifti_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/parade-go/parade/nifti"
)

// The image of the tutorial's size: a smooth structure with noise, as gzip meets it.
func recording(b *testing.B) (*nifti.Header, []float32) {
	b.Helper()
	h := nifti.New([]int{64, 64, 36, 200}, [3]float64{3, 3, 3.5})
	values := make([]float32, h.VolumeLen()*h.Volumes())
	r := rand.New(rand.NewPCG(1, 2))
	for i := range values {
		v := i % h.VolumeLen()
		x, y, z := float64(v%64)/32-1, float64(v/64%64)/32-1, float64(v/4096)/18-1
		values[i] = float32(1000*math.Exp(-1.2*(x*x+y*y+z*z)) + 100*math.Sin(5*x)*math.Cos(4*y) + 20*r.NormFloat64())
	}
	return h, values
}

func BenchmarkReadAndWrite(b *testing.B) {
	h, values := recording(b)
	n := h.VolumeLen()
	for _, name := range []string{"a.nii", "a.nii.gz"} {
		path := filepath.Join(b.TempDir(), name)
		b.Run("write "+name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(values)))
			for b.Loop() {
				if err := nifti.WriteFile(path, h, values, nifti.Options{Overwrite: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("read "+name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(values)))
			volume := make([]float32, n)
			for b.Loop() {
				r, err := nifti.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				for range h.Volumes() {
					if err := r.ReadFloat32(volume); err != nil {
						b.Fatal(err)
					}
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
