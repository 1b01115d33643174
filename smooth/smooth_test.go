package smooth_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parade-go/parade/smooth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noise(n int) []float32 {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(100 + 10*rng.NormFloat64())
	}
	return data
}

func sum(data []float32, mask []bool) (s float64) {
	for i, v := range data {
		if mask == nil || mask[i%len(mask)] {
			s += float64(v)
		}
	}
	return s
}

var cube = smooth.Grid{Shape: [3]int{12, 11, 10}, Voxel: [3]float64{3, 3, 3.5}}

// halves are two parts that do not touch.
func halves() []bool {
	mask := make([]bool, cube.Voxels())
	for i := range mask {
		mask[i] = i%12 != 6
	}
	return mask
}

func TestEstimateGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Estimates {
		cfg := smooth.EstimateConfig{Workers: 2}
		for i, option := range c.Options {
			switch option {
			case "-mask":
				cfg.Mask = readMask(t, c.Options[i+1])
			case "-demed":
				cfg.Demedian = true
			case "-unif":
				cfg.Normalise = true
			}
		}
		t.Run(strings.Join(append([]string{c.Input}, c.Options...), " "), func(t *testing.T) {
			t.Parallel()
			grid, data := readNIfTI(t, c.Input)
			est, err := smooth.Estimate(t.Context(), grid, data, cfg)
			if err != nil {
				t.Fatal(err)
			}
			near := func(what string, got, want float64) {
				if want < 0 {
					want = 0 // AFNI's word for none
				}
				if !(math.Abs(got-want) <= c.Tolerance*want) {
					t.Errorf("%s is %v, want %v", what, got, want)
				}
			}
			for i, w := range c.Volumes {
				for a := range 3 {
					near("a volume's", est.Volumes[i][a], w[a])
				}
			}
			for a := range 3 {
				near("the mean", est.Mean[a], c.Mean[a])
			}
		})
	}
}

// The estimates that AFNI made of its outputs hold for ours.
func TestSmoothedHasAFNIsEstimate(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"47", "48"} {
		i := slices.IndexFunc(readGolden(t).Cases, func(c goldenCase) bool { return c.ID == id })
		c := readGolden(t).Cases[i]
		grid, data := readNIfTI(t, c.Input)
		if _, err := smooth.ToFWHM(t.Context(), grid, data, smooth.ToFWHMConfig{Goal: c.Goal}); err != nil {
			t.Fatal(err)
		}
		est, err := smooth.Estimate(t.Context(), grid, data, smooth.EstimateConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for a, want := range c.After.Widths[:3] {
			if !(math.Abs(est.Mean[a]-want) <= 2e-5*want) {
				t.Errorf("%s: along %c it is %v, want %v", id, 'x'+a, est.Mean[a], want)
			}
		}
	}
}

func TestConstantStaysConstant(t *testing.T) {
	t.Parallel()
	for _, d := range []smooth.Definition{smooth.Nilearn, smooth.AFNI} {
		data := slices.Repeat([]float32{37.5}, cube.Voxels())
		f, err := smooth.NewGaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{5, 6, 7}, Definition: d})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Apply(t.Context(), data, data); err != nil {
			t.Fatal(err)
		}
		for _, v := range data {
			if math.Abs(float64(v)-37.5) > 37.5*2e-7 {
				t.Fatalf("definition %d makes %v of 37.5", d, v)
			}
		}
	}
	data := slices.Repeat([]float32{37.5}, cube.Voxels())
	if _, err := smooth.InMask(t.Context(), cube, data, smooth.InMaskConfig{FWHM: 6}); err != nil {
		t.Fatal(err)
	}
	res, err := smooth.ToFWHM(t.Context(), cube, data, smooth.ToFWHMConfig{Goal: 6})
	if err != nil {
		t.Fatal(err)
	}
	if res.Reason != smooth.AllVoxelsDone || !errors.Is(res.Err(), smooth.ErrNotReached) {
		t.Errorf("a constant volume ends with %v, %v", res.Reason, res.Err())
	}
	for _, v := range data {
		if v != 37.5 {
			t.Fatalf("diffusion makes %v of 37.5", v)
		}
	}
}

func TestDiffusionKeepsTheSumOfEachPart(t *testing.T) {
	t.Parallel()
	mask := halves()
	var parts [2][]bool
	for s := range parts {
		for i, in := range mask {
			parts[s] = append(parts[s], in && (i%12 < 6) == (s == 0))
		}
	}
	for name, smoothen := range map[string]func(data []float32) error{
		"in mask": func(data []float32) error {
			_, err := smooth.InMask(t.Context(), cube, data, smooth.InMaskConfig{FWHM: 8, Mask: mask})
			return err
		},
		"to FWHM": func(data []float32) error {
			_, err := smooth.ToFWHM(t.Context(), cube, data, smooth.ToFWHMConfig{Goal: 6, Mask: mask})
			return err
		},
	} {
		before, n := noise(2*cube.Voxels()), cube.Voxels()
		after := slices.Clone(before)
		if err := smoothen(after); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(after, before) {
			t.Errorf("%s: nothing was smoothed", name)
		}
		for v := range 2 {
			for s, part := range parts {
				b, a := sum(before[v*n:][:n], part), sum(after[v*n:][:n], part)
				if math.Abs(a-b) > 1e-6*b {
					t.Errorf("%s: the sum of part %d was %v and is %v", name, s, b, a)
				}
			}
		}
		for i, v := range after {
			if !mask[i%n] && v != 0 {
				t.Fatalf("%s: outside the mask is %v", name, v)
			}
		}
	}
}

func TestGaussianIsLinearAndSymmetric(t *testing.T) {
	t.Parallel()
	f, err := smooth.NewGaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{6, 5, 7}, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(data []float32) []float32 {
		out := make([]float32, len(data))
		if _, err := f.Apply(t.Context(), out, data); err != nil {
			t.Fatal(err)
		}
		return out
	}
	n := cube.Voxels()
	a, b := noise(n), noise(2 * n)[n:]
	both := make([]float32, n)
	for i := range both {
		both[i] = 2*a[i] - b[i]
	}
	sa, sb, sboth := apply(a), apply(b), apply(both)
	for i := range both {
		sa[i] = 2*sa[i] - sb[i]
	}
	if d := distance(sboth, sa); d > 1e-6 {
		t.Errorf("of a sum it makes what is %v away from the sum", d)
	}
	odd := smooth.Grid{Shape: [3]int{13, 11, 9}, Voxel: [3]float64{3, 3, 3.5}}
	if f, err = smooth.NewGaussian(odd, smooth.GaussianConfig{FWHM: [3]float64{6, 5, 7}}); err != nil {
		t.Fatal(err)
	}
	delta := make([]float32, odd.Voxels())
	delta[len(delta)/2] = 1000
	out := apply(delta)
	for i, v := range out {
		if v != out[len(out)-1-i] {
			t.Fatalf("of a single voxel it makes %v on one side and %v on the other", v, out[len(out)-1-i])
		}
	}
	if s := sum(out, nil); math.Abs(s-1000) > 1e-3 {
		t.Errorf("of a sum of 1000 it makes %v", s)
	}
}

// What is given is changed only where that is the purpose.
func TestArgumentsStay(t *testing.T) {
	t.Parallel()
	n := cube.Voxels()
	src, mask := noise(2*n), halves()
	src[5] = float32(math.NaN())
	f, err := smooth.NewGaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{6, 6, 6}, Mask: mask})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(src))
	if _, err := f.Apply(t.Context(), out, src); err != nil {
		t.Fatal(err)
	}
	if _, err := smooth.Estimate(t.Context(), cube, src, smooth.EstimateConfig{Mask: mask}); err != nil {
		t.Fatal(err)
	}
	if _, err := smooth.ToFWHM(t.Context(), cube, out, smooth.ToFWHMConfig{Goal: 8, Mask: mask, Master: src, MaxIterations: 2}); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(float64(src[5])) {
		t.Error("the source was cleaned")
	}
	src[5] = noise(2 * n)[5]
	if !slices.Equal(src, noise(2*n)) {
		t.Error("the source was changed")
	}
	if !slices.Equal(mask, halves()) {
		t.Error("the mask was changed")
	}
}

func TestInMaskLeavesOthers(t *testing.T) {
	t.Parallel()
	n := cube.Voxels()
	mask := halves()
	for i := range 12 * 11 { // a lonely voxel in the first plane, and an empty second
		mask[i], mask[12*11+i] = false, false
	}
	mask[30] = true
	for _, preserve := range []bool{false, true} {
		data := noise(n)
		data[3] = float32(math.Inf(1))
		zeroed, err := smooth.InMask(t.Context(), cube, data, smooth.InMaskConfig{FWHM: 6, Mask: mask, Preserve: preserve})
		if err != nil || zeroed != 1 {
			t.Fatalf("%d zeroed, %v", zeroed, err)
		}
		for i, v := range noise(n) {
			in := mask[i] && i != 30
			switch {
			case in && data[i] == v:
				t.Fatalf("voxel %d is in the mask and was not smoothed", i)
			case in || i == 3:
			case preserve && data[i] != v, !preserve && data[i] != 0:
				t.Fatalf("preserve %v: voxel %d outside was %v and is %v", preserve, i, v, data[i])
			}
		}
	}
}

func TestToFWHMEnds(t *testing.T) {
	t.Parallel()
	grid, data := readNIfTI(t, "inputs/aniso4d_f32.nii.gz")
	for _, tc := range []struct {
		name    string
		goal    float64
		limit   int
		reason  smooth.Reason
		reached bool
	}{
		{"already smoother", 2, 0, smooth.AlreadySmoother, true},
		{"limit", 6, 4, smooth.IterationLimit, false},
		{"reached", 6, 0, smooth.GoalReached, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			work := slices.Clone(data)
			res, err := smooth.ToFWHM(t.Context(), grid, work, smooth.ToFWHMConfig{Goal: tc.goal, MaxIterations: tc.limit})
			if err != nil {
				t.Fatal(err)
			}
			if res.Reason != tc.reason || res.Reached() != tc.reached {
				t.Errorf("ended with %v", res.Reason)
			}
			switch err := res.Err(); {
			case tc.reached && err != nil:
				t.Errorf("reached, but %v", err)
			case !tc.reached && (!errors.Is(err, smooth.ErrNotReached) || !strings.Contains(err.Error(), "limit")):
				t.Errorf("not reached, but %v", err)
			}
			if same := slices.Equal(work, data); same != (tc.reason == smooth.AlreadySmoother) {
				t.Errorf("the data are as they were: %v", same)
			}
			if res.After().Mean < res.Before().Mean {
				t.Errorf("%v became %v", res.Before(), res.After())
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	n := cube.Voxels()
	nan := math.NaN()
	small := make([]bool, n)
	for i := range 332 {
		small[i] = true
	}
	gaussian := func(grid smooth.Grid, cfg smooth.GaussianConfig) func() error {
		return func() error { _, err := smooth.NewGaussian(grid, cfg); return err }
	}
	toFWHM := func(grid smooth.Grid, values int, cfg smooth.ToFWHMConfig) func() error {
		return func() error {
			data := make([]float32, values)
			for i := range data {
				data[i] = float32(i % 7)
			}
			before := slices.Clone(data)
			_, err := smooth.ToFWHM(t.Context(), grid, data, cfg)
			if !slices.Equal(data, before) {
				t.Error("refused, but the data were changed")
			}
			return err
		}
	}
	with := func(change func(*smooth.Grid)) smooth.Grid { g := cube; change(&g); return g }
	flat := with(func(g *smooth.Grid) { g.Shape[1] = 0 })
	huge := with(func(g *smooth.Grid) { g.Shape = [3]int{1 << 20, 1 << 20, 1 << 20} })
	for _, tc := range []struct {
		name string
		do   func() error
		word string
	}{
		{"no voxels", gaussian(flat, smooth.GaussianConfig{}), "0 voxels along y"},
		{"too many voxels", gaussian(huge, smooth.GaussianConfig{}), "too large"},
		{"voxel of 0", gaussian(with(func(g *smooth.Grid) { g.Voxel[2] = 0 }), smooth.GaussianConfig{}), "along z"},
		{"voxel of NaN", gaussian(with(func(g *smooth.Grid) { g.Voxel[0] = nan }), smooth.GaussianConfig{}), "along x"},
		{"negative width", gaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{0, -1, 0}}), "-1 mm along y"},
		{"width of NaN", gaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{nan, 0, 0}}), "NaN mm"},
		{"infinite width", gaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{math.Inf(1), 0, 0}}), "Inf mm"},
		{"mask of another grid", gaussian(cube, smooth.GaussianConfig{Mask: small[1:]}), "1319 voxels"},
		{"unknown definition", gaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{1, 0, 0}, Definition: 7}), "definition 7"},
		{"AFNI's other method", gaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{200, 0, 0}, Definition: smooth.AFNI}), "71 voxels"},
		{"part of a volume", func() error {
			f, err := smooth.NewGaussian(cube, smooth.GaussianConfig{})
			if err != nil {
				return err
			}
			_, err = f.Apply(t.Context(), make([]float32, n+1), make([]float32, n+1))
			return err
		}, "1321 values"},
		{"another length", func() error {
			f, err := smooth.NewGaussian(cube, smooth.GaussianConfig{})
			if err != nil {
				return err
			}
			_, err = f.Apply(t.Context(), make([]float32, n), make([]float32, 2*n))
			return err
		}, "2640 values into 1320"},
		{"goal of 0", toFWHM(cube, n, smooth.ToFWHMConfig{}), "goal of 0 mm"},
		{"negative goal", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: -6}), "goal of -6 mm"},
		{"goal of NaN", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: nan}), "goal of NaN mm"},
		{"infinite goal", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: math.Inf(1)}), "goal of +Inf mm"},
		{"no data", toFWHM(cube, 0, smooth.ToFWHMConfig{Goal: 6}), "0 values"},
		{"part of a volume, to FWHM", toFWHM(cube, n+1, smooth.ToFWHMConfig{Goal: 6}), "1321 values"},
		{"master of another grid", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: 6, Master: make([]float32, n-1)}), "master"},
		{"mask of another grid, to FWHM", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: 6, Mask: make([]bool, 5)}), "5 voxels"},
		{"small mask", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: 6, Mask: small}), "332 voxels"},
		{"rate", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: 6, Rate: 4}), "rate of 4"},
		{"rounds", toFWHM(cube, n, smooth.ToFWHMConfig{Goal: 6, MaxIterations: -1}), "-1 rounds"},
		{"a column", toFWHM(smooth.Grid{Shape: [3]int{1, 40, 33}, Voxel: cube.Voxel}, n, smooth.ToFWHMConfig{Goal: 6}), "along x"},
		{"nothing changes over time", func() error {
			_, err := smooth.ToFWHM(t.Context(), cube, make([]float32, 40*n), smooth.ToFWHMConfig{Goal: 6})
			return err
		}, "no voxel changes"},
		{"in mask, width of 0", func() error {
			_, err := smooth.InMask(t.Context(), cube, make([]float32, n), smooth.InMaskConfig{})
			return err
		}, "0 mm"},
		{"in mask, data", func() error {
			_, err := smooth.InMask(t.Context(), cube, make([]float32, 7), smooth.InMaskConfig{FWHM: 6})
			return err
		}, "7 values"},
		{"in mask, mask", func() error {
			_, err := smooth.InMask(t.Context(), cube, make([]float32, n), smooth.InMaskConfig{FWHM: 6, Mask: small[5:]})
			return err
		}, "1315 voxels"},
		{"estimate, data", func() error {
			_, err := smooth.Estimate(t.Context(), cube, make([]float32, 7), smooth.EstimateConfig{})
			return err
		}, "7 values"},
		{"estimate, grid", func() error {
			_, err := smooth.Estimate(t.Context(), flat, make([]float32, 7), smooth.EstimateConfig{})
			return err
		}, "along y"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.do()
			if !errors.Is(err, smooth.ErrArgument) {
				t.Fatalf("%v is no ErrArgument", err)
			}
			if !strings.Contains(err.Error(), tc.word) {
				t.Errorf("%q does not say %q", err, tc.word)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	n := cube.Voxels()
	for name, do := range map[string]func() error{
		"gaussian": func() error {
			f, err := smooth.NewGaussian(cube, smooth.GaussianConfig{FWHM: [3]float64{6, 6, 6}, Workers: 3})
			if err != nil {
				return err
			}
			_, err = f.Apply(ended, make([]float32, n), make([]float32, n))
			return err
		},
		"in mask": func() error {
			_, err := smooth.InMask(ended, cube, noise(n), smooth.InMaskConfig{FWHM: 6, Workers: 3})
			return err
		},
		"estimate": func() error {
			_, err := smooth.Estimate(ended, cube, noise(n), smooth.EstimateConfig{Workers: 3})
			return err
		},
		"to FWHM": func() error {
			_, err := smooth.ToFWHM(ended, cube, noise(n), smooth.ToFWHMConfig{Goal: 6, Workers: 3})
			return err
		},
		"to FWHM, in the third round": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			res, err := smooth.ToFWHM(ctx, cube, noise(9*n), smooth.ToFWHMConfig{Goal: 9, Workers: 3, Progress: func(i int, _ smooth.Width) {
				switch {
				case i == 3:
					cancel()
				case i > 3:
					t.Error("it went on after it was cancelled")
				}
			}})
			if res != nil {
				t.Error("there is a result")
			}
			return err
		},
	} {
		if err := do(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
