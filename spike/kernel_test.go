package spike_test

import (
	"encoding/json"
	"errors"
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

func TestKernelText(t *testing.T) {
	t.Parallel()
	sigma := unit.Milliseconds(50)
	for _, c := range []struct {
		kernel spike.Kernel
		shape  spike.KernelShape
		text   string
	}{
		{spike.Kernel{Sigma: sigma}, spike.KernelAuto, "auto"},
		{spike.RectangularKernel(sigma), spike.KernelRectangular, "rectangular"},
		{spike.TriangularKernel(sigma), spike.KernelTriangular, "triangular"},
		{spike.EpanechnikovLikeKernel(sigma), spike.KernelEpanechnikovLike, "epanechnikovlike"},
		{spike.GaussianKernel(sigma), spike.KernelGaussian, "gaussian"},
		{spike.LaplacianKernel(sigma), spike.KernelLaplacian, "laplacian"},
		{spike.ExponentialKernel(sigma), spike.KernelExponential, "exponential"},
		{spike.AlphaKernel(sigma), spike.KernelAlpha, "alpha"},
	} {
		diff(t, "kernel", c.kernel, spike.Kernel{Shape: c.shape, Sigma: sigma})
		diff(t, "text", c.shape.String(), c.text)
		data, err := json.Marshal(c.kernel)
		if err != nil {
			t.Fatal(err)
		}
		var read spike.Kernel
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		diff(t, "kernel by way of JSON", read, c.kernel)
		var flag spike.KernelShape
		if err := flag.Set(c.text); err != nil || flag != c.shape {
			t.Errorf("the flag %q sets %v, %v", c.text, flag, err)
		}
	}
	unknown := spike.KernelShape(200)
	if _, err := unknown.MarshalText(); !errors.Is(err, spike.ErrKernel) {
		t.Errorf("marshalling an unknown shape: %v", err)
	}
	if err := unknown.Set("Gaussian"); !errors.Is(err, spike.ErrKernel) {
		t.Errorf("setting an unknown shape: %v", err)
	}
}

// TestKernelRefuses tries what Elephant has no words for.
func TestKernelRefuses(t *testing.T) {
	t.Parallel()
	gaussian := spike.GaussianKernel(unit.Seconds(1))
	for _, c := range []struct {
		name   string
		kernel spike.Kernel
		unit   unit.Unit
		want   error
	}{
		{"automatic", spike.Kernel{}, unit.Second, spike.ErrKernel},
		{"unknown", spike.Kernel{Shape: 200, Sigma: unit.Seconds(1)}, unit.Second, spike.ErrKernel},
		{"without sigma", spike.Kernel{Shape: spike.KernelGaussian}, unit.Second, unit.ErrDimension},
		{"times in V", gaussian, unit.Volt, unit.ErrDimension},
		{"times in Hz", gaussian, unit.Hertz, unit.ErrDimension},
		{"times without unit", gaussian, unit.Dimensionless, unit.ErrDimension},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, density := c.kernel.Density([]float64{0}, c.unit)
			_, cdf := c.kernel.CDF(unit.Time{Value: 1, Unit: c.unit})
			_, median := c.kernel.MedianIndex([]float64{0, 1, 2}, c.unit)
			for name, err := range map[string]error{"Density": density, "CDF": cdf, "MedianIndex": median} {
				if !errors.Is(err, c.want) {
					t.Errorf("%s: got error %v, want one that is %q", name, err, c.want)
				}
			}
			if c.unit != unit.Second {
				return
			}
			_, icdf := c.kernel.ICDF(0.5)
			_, boundary := c.kernel.Boundary(0.5)
			for name, err := range map[string]error{"Validate": c.kernel.Validate(), "ICDF": icdf, "Boundary": boundary} {
				if !errors.Is(err, c.want) {
					t.Errorf("%s: got error %v, want one that is %q", name, err, c.want)
				}
			}
		})
	}
}
