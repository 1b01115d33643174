package spike_test

import (
	"math"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// near tells whether two numbers agree to tolerance, relative or of scale.
func near(got, want, scale, tolerance float64) bool {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return true
	}
	return math.Abs(got-want) <= tolerance*max(math.Abs(want), scale)
}

func TestKernelGolden(t *testing.T) {
	t.Parallel()
	type number struct {
		Refuse string
		Value  hexFloat
	}
	var golden struct {
		Kernels []struct {
			Name, Text                string
			Shape                     spike.KernelShape
			Sigma                     hexQuantity
			Invert, Symmetric         bool
			Unit                      unit.Unit
			MinCutoff                 hexFloat
			Times, Density, Fractions []hexFloat
			CDF, ICDF, Boundary       []number
			Medians                   []struct {
				Times  []hexFloat
				Index  int
				Refuse string
			}
		}
		Refused []struct {
			Name, Refuse string
			Shape        spike.KernelShape
			Sigma        hexQuantity
		}
	}
	readTopic(t, "kernels.json", &golden)
	if n := len(golden.Kernels); n < 40 {
		t.Fatalf("only %d kernels", n)
	}
	const libm = 4e-15
	for _, c := range golden.Kernels {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			k := spike.Kernel{Shape: c.Shape, Sigma: c.Sigma.time(), Invert: c.Invert}
			diff(t, "text", k.String(), c.Text)
			diff(t, "symmetric", k.Symmetric(), c.Symmetric)
			diff(t, "smallest cutoff", k.MinCutoff(), float64(c.MinCutoff))
			density, err := k.Density(floats(c.Times), c.Unit)
			if err != nil {
				t.Fatal(err)
			}
			exact := c.Shape == spike.KernelRectangular || c.Shape == spike.KernelTriangular || c.Shape == spike.KernelEpanechnikovLike
			for i, at := range floats(c.Times) {
				if want := float64(c.Density[i]); exact && density[i] != want || !near(density[i], want, 0, libm) {
					t.Errorf("density at %v is %v, want %v", at, density[i], want)
				}
				cdf, err := k.CDF(unit.Time{Value: at, Unit: c.Unit})
				if err != nil {
					t.Fatal(err)
				}
				if want := float64(c.CDF[i].Value); !near(cdf, want, 1, libm) {
					t.Errorf("CDF(%v) is %v, want %v", at, cdf, want)
				}
			}
			tolerance := libm
			switch c.Shape {
			case spike.KernelEpanechnikovLike:
				tolerance = 1e-12
			case spike.KernelAlpha:
				tolerance = 2e-7
			}
			for i, f := range floats(c.Fractions) {
				quantile, err := k.ICDF(f)
				if !checkRefusal(t, c.ICDF[i].Refuse, err) {
					if want := float64(c.ICDF[i].Value); !near(quantile.Value, want, c.Sigma.value, tolerance) {
						t.Errorf("ICDF(%v) is %v, want %v", f, quantile, want)
					}
					diff(t, "unit", quantile.Unit, c.Sigma.unit)
				}
				boundary, err := k.Boundary(f)
				if !checkRefusal(t, c.Boundary[i].Refuse, err) {
					if want := float64(c.Boundary[i].Value); !near(boundary.Value, want, c.Sigma.value, tolerance) {
						t.Errorf("Boundary(%v) is %v, want %v", f, boundary, want)
					}
				}
			}
			for _, m := range c.Medians {
				index, err := k.MedianIndex(floats(m.Times), c.Unit)
				if !checkRefusal(t, m.Refuse, err) && index != m.Index {
					t.Errorf("median index of %d times from %v is %d, want %d", len(m.Times), float64(m.Times[0]), index, m.Index)
				}
			}
		})
	}
	for _, c := range golden.Refused {
		t.Run("refused "+c.Name, func(t *testing.T) {
			t.Parallel()
			k := spike.Kernel{Shape: c.Shape, Sigma: c.Sigma.time()}
			_, err := k.Density([]float64{0, 0.1}, unit.Second)
			checkRefusal(t, c.Refuse, err)
			checkRefusal(t, c.Refuse, k.Validate())
		})
	}
}
