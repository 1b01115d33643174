package spike

import (
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"

	"github.com/parade-go/parade/unit"
)

// KernelShape is the form of a Kernel.
type KernelShape uint8

// The shapes of kernels. Their numbers are part of the wire format.
const (
	// KernelAuto is a Gaussian whose width InstantaneousRate takes from the
	// spikes, by OptimalKernelBandwidth.
	KernelAuto KernelShape = iota
	// KernelRectangular is 1/(2τ) for |t| < τ, τ = √3 σ.
	KernelRectangular
	// KernelTriangular is (1 - |t|/τ)/τ for |t| < τ, τ = √6 σ.
	KernelTriangular
	// KernelEpanechnikovLike is 3/(4τ) (1 - (t/τ)²) for |t| < τ, τ = √5 σ.
	KernelEpanechnikovLike
	// KernelGaussian is exp(-t²/(2σ²)) / (σ √(2π)).
	KernelGaussian
	// KernelLaplacian is exp(-|t|/τ)/(2τ), τ = σ/√2.
	KernelLaplacian
	// KernelExponential is exp(-t/τ)/τ for t ≥ 0, τ = σ.
	KernelExponential
	// KernelAlpha is t exp(-t/τ)/τ² for t ≥ 0, τ = σ/√2.
	KernelAlpha
)

var kernelNames = [...]struct{ text, class string }{
	KernelAuto:             {"auto", "auto"},
	KernelRectangular:      {"rectangular", "RectangularKernel"},
	KernelTriangular:       {"triangular", "TriangularKernel"},
	KernelEpanechnikovLike: {"epanechnikovlike", "EpanechnikovLikeKernel"},
	KernelGaussian:         {"gaussian", "GaussianKernel"},
	KernelLaplacian:        {"laplacian", "LaplacianKernel"},
	KernelExponential:      {"exponential", "ExponentialKernel"},
	KernelAlpha:            {"alpha", "AlphaKernel"},
}

const wantKernel = "want auto, rectangular, triangular, epanechnikovlike, gaussian, laplacian, exponential or alpha"

// String gives the name of the shape in lower case, such as "gaussian".
func (s KernelShape) String() string {
	if int(s) >= len(kernelNames) {
		return fmt.Sprintf("unknown kernel %d", uint8(s))
	}
	return kernelNames[s].text
}

// ParseKernelShape reads the name of a shape: auto, rectangular, triangular,
// epanechnikovlike, gaussian, laplacian, exponential or alpha. Other text is an
// error that wraps ErrKernel.
func ParseKernelShape(text string) (KernelShape, error) {
	for s, name := range kernelNames {
		if text == name.text {
			return KernelShape(s), nil
		}
	}
	return 0, fmt.Errorf("spike: %w: %q, %s", ErrKernel, text, wantKernel)
}

// MarshalText is String; an unknown shape is an error.
func (s KernelShape) MarshalText() ([]byte, error) {
	if int(s) >= len(kernelNames) {
		return nil, fmt.Errorf("spike: %w: %v", ErrKernel, s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText is ParseKernelShape.
func (s *KernelShape) UnmarshalText(text []byte) error {
	v, err := ParseKernelShape(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// Set is ParseKernelShape, so that *KernelShape is a flag.Value.
func (s *KernelShape) Set(text string) error { return s.UnmarshalText([]byte(text)) }

// Kernel is a density over time by which spikes are smoothed, as those of
// elephant.kernels: never negative, of area 1 and of standard deviation Sigma.
// The zero Kernel is the automatic one; it has a width only within
// InstantaneousRate, and its methods give errors.
type Kernel struct {
	Shape KernelShape
	// Sigma is the standard deviation, above 0.
	Sigma unit.Time
	// Invert mirrors a kernel that is not symmetric in time, so that it reaches
	// before the spike; symmetric ones are the same either way.
	Invert bool
}

// RectangularKernel makes a rectangular kernel of standard deviation sigma.
func RectangularKernel(sigma unit.Time) Kernel { return Kernel{Shape: KernelRectangular, Sigma: sigma} }

// TriangularKernel makes a triangular kernel of standard deviation sigma.
func TriangularKernel(sigma unit.Time) Kernel { return Kernel{Shape: KernelTriangular, Sigma: sigma} }

// EpanechnikovLikeKernel makes a parabolic kernel of standard deviation sigma.
func EpanechnikovLikeKernel(sigma unit.Time) Kernel {
	return Kernel{Shape: KernelEpanechnikovLike, Sigma: sigma}
}

// GaussianKernel makes a Gaussian kernel of standard deviation sigma.
func GaussianKernel(sigma unit.Time) Kernel { return Kernel{Shape: KernelGaussian, Sigma: sigma} }

// LaplacianKernel makes a two-sided exponential kernel of standard deviation sigma.
func LaplacianKernel(sigma unit.Time) Kernel { return Kernel{Shape: KernelLaplacian, Sigma: sigma} }

// ExponentialKernel makes a kernel that decays exponentially after the spike.
func ExponentialKernel(sigma unit.Time) Kernel { return Kernel{Shape: KernelExponential, Sigma: sigma} }

// AlphaKernel makes a kernel that rises and decays after the spike, an alpha
// function.
func AlphaKernel(sigma unit.Time) Kernel { return Kernel{Shape: KernelAlpha, Sigma: sigma} }

// Validate reports what is wrong with the kernel: an unknown or automatic shape
// or a width that is not above 0 and finite (ErrKernel), or a width that is no
// time (unit.ErrDimension). Elephant takes a width of 0, whose density is NaN.
func (k Kernel) Validate() error {
	_, err := k.sigmaIn(unit.Second)
	return err
}

// sigmaIn checks the kernel and gives Sigma in u.
func (k Kernel) sigmaIn(u unit.Unit) (float64, error) {
	if k.Shape == KernelAuto {
		return 0, fmt.Errorf("spike: %w: the automatic kernel has no width; OptimalKernelBandwidth gives one", ErrKernel)
	}
	if int(k.Shape) >= len(kernelNames) {
		return 0, fmt.Errorf("spike: %w: %v, %s", ErrKernel, k.Shape, wantKernel)
	}
	sigma, err := k.Sigma.In(u)
	if err != nil {
		return 0, fmt.Errorf("spike: sigma of the kernel: %w", err)
	}
	if !(sigma.Value > 0) || math.IsInf(sigma.Value, 1) {
		return 0, fmt.Errorf("spike: %w: sigma is %v, want a time above 0", ErrKernel, k.Sigma)
	}
	return sigma.Value, nil
}

// Symmetric tells whether the kernel is the same before and after the spike.
func (k Kernel) Symmetric() bool {
	return k.Shape != KernelExponential && k.Shape != KernelAlpha
}

// compact tells whether the kernel is 0 from some distance on.
func (k Kernel) compact() bool {
	return k.Shape == KernelRectangular || k.Shape == KernelTriangular || k.Shape == KernelEpanechnikovLike
}

// MinCutoff is the smallest half width, in units of Sigma, that InstantaneousRate
// cuts the kernel at: all of it where it is finite, else 3.
func (k Kernel) MinCutoff() float64 {
	switch k.Shape {
	case KernelRectangular:
		return math.Sqrt(3)
	case KernelTriangular:
		return math.Sqrt(6)
	case KernelEpanechnikovLike:
		return math.Sqrt(5)
	}
	return 3
}

// Density evaluates the kernel at times in u and gives its density in 1/u. The
// spike is at 0. The error is that of Validate, or wraps unit.ErrDimension where
// u is no unit of time.
func (k Kernel) Density(times []float64, u unit.Unit) ([]float64, error) {
	sigma, err := k.sigmaIn(u)
	if err != nil {
		return nil, err
	}
	density := make([]float64, len(times))
	for i, t := range times {
		density[i] = k.density(t, sigma)
	}
	return density, nil
}

// density gives the density at t, with the operations of Elephant and SciPy in
// their order, so that shapes without an exponential are equal to the last bit.
// Here and below float64 around a product forbids a fused multiply-add.
func (k Kernel) density(t, sigma float64) float64 {
	if k.Invert && !k.Symmetric() {
		t = -t
	}
	switch k.Shape {
	case KernelRectangular:
		tau := float64(math.Sqrt(3) * sigma)
		if math.Abs(t) < tau {
			return 1 / (2 * tau)
		}
		return 0
	case KernelTriangular:
		tau := float64(math.Sqrt(6) * sigma)
		x := (t + tau) / (2 * tau) // the place in the triangle, from 0 to 1
		if !(0 <= x && x <= 1) {
			return 0
		}
		return 2 * min(x, 1-x) / 0.5 / (2 * tau)
	case KernelEpanechnikovLike:
		tau := float64(math.Sqrt(5) * sigma)
		x := min(max(t/tau, -1), 1)
		return 3 / (4 * tau) * (1 - float64(x*x)) // float64 forbids a fused multiply-subtract
	case KernelGaussian:
		x := t / sigma
		return math.Exp(-(x*x)/2) / math.Sqrt(2*math.Pi) / sigma
	case KernelLaplacian:
		tau := sigma / math.Sqrt2
		return 0.5 * math.Exp(-math.Abs(t/tau)) / tau
	case KernelExponential:
		if t < 0 {
			return 0
		}
		return math.Exp(-t/sigma) / sigma
	}
	if t < 0 {
		return 0
	}
	tau := sigma / math.Sqrt2
	return 1 / (tau * tau) * t * math.Exp(-t/tau)
}

// CDF gives the area of the kernel up to t, from 0 to 1. The error is that of
// Validate, or wraps unit.ErrDimension where t is no time.
func (k Kernel) CDF(t unit.Time) (float64, error) {
	sigma, err := k.sigmaIn(t.Unit)
	if err != nil {
		return 0, err
	}
	return k.cdf(t.Value, sigma), nil
}

func (k Kernel) cdf(t, sigma float64) float64 {
	switch k.Shape {
	case KernelRectangular:
		tau := float64(math.Sqrt(3) * sigma)
		return (min(max(t, -tau), tau) + tau) / (2 * tau)
	case KernelTriangular:
		tau := float64(math.Sqrt(6) * sigma)
		x := min(max((t+tau)/(2*tau), 0), 1)
		if x < 0.5 {
			return x * x / 0.5
		}
		return (float64(x*x) - 2*x + 0.5) / (0.5 - 1) // float64 forbids a fused multiply-subtract
	case KernelEpanechnikovLike:
		x := min(max(t/(math.Sqrt(5)*sigma), -1), 1)
		return float64(0.75*(x-x*x*x/3)) + 0.5 // float64 forbids a fused multiply-add
	case KernelGaussian:
		return math.Erfc(-t/sigma/math.Sqrt2) / 2
	case KernelLaplacian:
		x := t / (sigma / math.Sqrt2)
		if x > 0 {
			return 1 - float64(0.5*math.Exp(-x))
		}
		return 0.5 * math.Exp(x)
	case KernelExponential:
		if k.Invert {
			return math.Exp(min(t, 0) / sigma)
		}
		return 1 - math.Exp(-max(t, 0)/sigma)
	}
	tau := sigma / math.Sqrt2
	if k.Invert {
		t = min(t, 0)
		return math.Exp(t/tau) * (tau - t) / tau
	}
	t = max(t, 0)
	return 1 - math.Exp(-t/tau)*(t+tau)/tau
}

// ICDF gives the time up to which the area of the kernel is fraction, in the
// unit of Sigma: the inverse of CDF. Kernels without end give an infinite time
// for the fraction at which they end. Refused (ErrKernel) are fractions below 0 or above 1,
// and 1 itself for kernels without end; other errors are those of Validate.
// The alpha kernel is solved to the last digits (Elephant: to 1e-7, and not where
// sigma is far from 1 in its unit).
func (k Kernel) ICDF(fraction float64) (unit.Time, error) {
	sigma, err := k.checkFraction(fraction)
	if err != nil {
		return unit.Time{}, err
	}
	var t float64
	switch k.Shape {
	case KernelRectangular:
		t = math.Sqrt(3) * sigma * (2*fraction - 1)
	case KernelTriangular:
		tau := float64(math.Sqrt(6) * sigma)
		x := math.Sqrt(0.5 * fraction)
		if fraction >= 0.5 {
			x = 1 - math.Sqrt(0.5*(1-fraction))
		}
		t = float64(x*(2*tau)) - tau
	case KernelEpanechnikovLike:
		// The root of x³ - 3x + 4 fraction - 2 within [-1, 1], by x = 2 sin φ.
		t = 2 * math.Sin(math.Asin(2*fraction-1)/3) * (math.Sqrt(5) * sigma)
	case KernelGaussian:
		t = mathext.NormalQuantile(fraction) * sigma
	case KernelLaplacian:
		tau := sigma / math.Sqrt2
		if fraction > 0.5 {
			t = -math.Log(2*(1-fraction)) * tau
		} else {
			t = math.Log(2*fraction) * tau
		}
	case KernelExponential:
		if k.Invert {
			t = sigma * math.Log(fraction)
		} else {
			t = -sigma * math.Log(1-fraction)
		}
	case KernelAlpha:
		if tau := sigma / math.Sqrt2; k.Invert {
			t = -tau * alphaTail(-math.Log(fraction))
		} else {
			t = tau * alphaTail(-math.Log1p(-fraction))
		}
	}
	return unit.Time{Value: t, Unit: k.Sigma.Unit}, nil
}

// alphaTail gives the x where exp(-u) of the area of t exp(-t) is behind it:
// x - log(1+x) = u. Newton's method comes down to it from the bound x < u + √(2u)
// (I. Chatzigeorgiou, IEEE Communications Letters 17 (2013) 1505).
func alphaTail(u float64) float64 {
	if u == 0 || math.IsInf(u, 1) {
		return u
	}
	x := u + math.Sqrt(2*u)
	for {
		next := x - (x-math.Log1p(x)-u)*(1+x)/x
		if !(next < x) {
			return x
		}
		x = next
	}
}

// Boundary gives the time b such that the area from -b to b is fraction, in the
// unit of Sigma: boundary_enclosing_area_fraction of Elephant. Errors are those of
// ICDF.
func (k Kernel) Boundary(fraction float64) (unit.Time, error) {
	sigma, err := k.checkFraction(fraction)
	if err != nil {
		return unit.Time{}, err
	}
	var b float64
	switch k.Shape {
	case KernelRectangular:
		b = math.Sqrt(3) * sigma * fraction
	case KernelTriangular:
		b = math.Sqrt(6) * sigma * (1 - math.Sqrt(1-fraction))
	case KernelEpanechnikovLike:
		b = 2 * math.Sin(math.Asin(fraction)/3) * (math.Sqrt(5) * sigma)
	case KernelGaussian:
		b = sigma * math.Sqrt2 * math.Erfinv(fraction)
	case KernelLaplacian:
		b = -sigma * math.Log(1-fraction) / math.Sqrt2
	default: // all of it is on one side
		k.Invert = false
		return k.ICDF(fraction)
	}
	return unit.Time{Value: b, Unit: k.Sigma.Unit}, nil
}

// checkFraction checks the kernel and a fraction of its area; it gives Sigma in
// its own unit.
func (k Kernel) checkFraction(fraction float64) (float64, error) {
	sigma, err := k.sigmaIn(k.Sigma.Unit)
	if err != nil {
		return 0, err
	}
	if !(0 <= fraction && fraction <= 1) || fraction == 1 && !k.compact() {
		bracket := ")"
		if k.compact() {
			bracket = "]"
		}
		return 0, fmt.Errorf("spike: %w: fraction %v of the area of %v is outside of [0, 1%s", ErrKernel, fraction, k, bracket)
	}
	return sigma, nil
}

// MedianIndex gives the index of the kernel's median among times in u, which are
// sorted: the first time from which on at most half of the area between the first
// and the last time is left. Where there is no area it is the middle index, and
// of one or two times the first. Refused (ErrKernel) are no times, unsorted ones,
// and those behind all of a kernel without end; other errors are those of Density.
func (k Kernel) MedianIndex(times []float64, u unit.Unit) (int, error) {
	sigma, err := k.sigmaIn(u)
	if err != nil {
		return 0, err
	}
	if len(times) == 0 {
		return 0, fmt.Errorf("spike: %w: no times to find the median of %v at", ErrKernel, k)
	}
	if len(times) <= 2 {
		return 0, nil
	}
	if !sort.Float64sAreSorted(times) {
		return 0, fmt.Errorf("spike: %w: the times to find the median of %v at are not sorted", ErrKernel, k)
	}
	area := 0.5 * (k.cdf(times[0], sigma) + k.cdf(times[len(times)-1], sigma))
	if area == 0 {
		return len(times) / 2, nil
	}
	median, err := k.ICDF(area)
	if err != nil {
		return 0, err
	}
	if median, err = median.In(u); err != nil {
		return 0, err
	}
	return min(sort.SearchFloat64s(times, median.Value), len(times)-1), nil
}

// String prints the kernel as Elephant does:
// GaussianKernel(sigma=300.0 ms, invert=False); "auto" for the automatic one.
func (k Kernel) String() string {
	if k.Shape == KernelAuto || int(k.Shape) >= len(kernelNames) {
		return k.Shape.String()
	}
	invert := "False"
	if k.Invert {
		invert = "True"
	}
	return fmt.Sprintf("%s(sigma=%v, invert=%s)", kernelNames[k.Shape].class, k.Sigma, invert)
}
