package smooth_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parade-go/parade/smooth"
)

// golden is testdata/manifest.json.
type golden struct {
	Cases     []goldenCase
	Estimates []goldenEstimate
}

type goldenCase struct {
	ID, Kind, Tool  string
	Input, Expected string
	Mask            string
	TwoD            bool    `json:"two_d"`
	Goal            float64 `json:"goal_mm"`
	Iterations      int
	Estimates       [][]float64
	Reached         bool
	After           struct {
		Widths [4]float64 `json:"xyz_and_mean"`
	} `json:"fwhmx_after"`
	FWHM      lengths `json:"fwhm_mm"`
	Tolerance struct {
		MaxAbsOverMax float64 `json:"max_abs_over_max"`
	}
}

type goldenEstimate struct {
	Input     string
	Options   []string
	Tolerance float64      `json:"tolerance_rel"`
	Mean      [4]float64   `json:"xyz_and_mean"`
	Volumes   [][3]float64 `json:"per_volume"`
}

// lengths is a number, or a list of one for all axes or three.
type lengths [3]float64

func (l *lengths) UnmarshalJSON(b []byte) error {
	if v, err := strconv.ParseFloat(string(b), 64); err == nil {
		*l = lengths{v, v, v}
		return nil
	}
	var list []float64
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for i := range l {
		l[i] = list[i%len(list)]
	}
	return nil
}

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// distance is the largest difference, divided by the largest value expected.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, largest := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if !(d <= diff) {
			diff = d
		}
		largest = max(largest, math.Abs(float64(w)))
	}
	if diff == 0 {
		return 0
	}
	return diff / largest
}

func TestGaussianGolden(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, c := range readGolden(t).Cases {
		cfg := smooth.GaussianConfig{FWHM: c.FWHM}
		switch c.Kind {
		case "gaussian":
		case "afni_merge":
			cfg.Definition = smooth.AFNI
		default:
			continue
		}
		seen++
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			grid, src := readNIfTI(t, c.Input)
			_, want := readNIfTI(t, c.Expected)
			f, err := smooth.NewGaussian(grid, cfg)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, len(src))
			zeroed, err := f.Apply(t.Context(), got, src)
			if err != nil {
				t.Fatal(err)
			}
			d := distance(got, want)
			t.Logf("%s: %s: %.2g of the maximum", c.Input, c.Tool, d)
			if !(d <= c.Tolerance.MaxAbsOverMax) {
				t.Errorf("is %v of the maximum away, more than %v", d, c.Tolerance.MaxAbsOverMax)
			}
			bad := 0
			for _, v := range src {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					bad++
				}
			}
			if zeroed != bad {
				t.Errorf("%d values were zeroed, want %d", zeroed, bad)
			}
		})
	}
	if seen != 23 {
		t.Errorf("there are %d golden cases, want 23", seen)
	}
}

func readMask(t *testing.T, path string) []bool {
	t.Helper()
	if path == "" {
		return nil
	}
	_, values := readNIfTI(t, path)
	mask := make([]bool, len(values))
	for i, v := range values {
		mask[i] = v != 0
	}
	return mask
}

func TestInMaskGolden(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, c := range readGolden(t).Cases {
		if c.Kind != "afni_inmask" {
			continue
		}
		seen++
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			grid, data := readNIfTI(t, c.Input)
			_, want := readNIfTI(t, c.Expected)
			if _, err := smooth.InMask(t.Context(), grid, data, smooth.InMaskConfig{FWHM: c.FWHM[0], Mask: readMask(t, c.Mask)}); err != nil {
				t.Fatal(err)
			}
			d := distance(data, want)
			t.Logf("%s: %s: %.2g of the maximum", c.Input, c.Tool, d)
			if !(d <= c.Tolerance.MaxAbsOverMax) {
				t.Errorf("is %v of the maximum away, more than %v", d, c.Tolerance.MaxAbsOverMax)
			}
		})
	}
	if seen != 2 {
		t.Errorf("there are %d golden cases, want 2", seen)
	}
}

func TestToFWHMGolden(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, c := range readGolden(t).Cases {
		if c.Kind != "afni_to_fwhm" {
			continue
		}
		seen++
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			grid, data := readNIfTI(t, c.Input)
			_, want := readNIfTI(t, c.Expected)
			cfg := smooth.ToFWHMConfig{Goal: c.Goal, InPlane: c.TwoD, Mask: readMask(t, c.Mask)}
			words := strings.Fields(c.Tool)
			cfg.NoDetrend = slices.Contains(words, "-nodetrend")
			if i := slices.Index(words, "-rate"); i >= 0 {
				cfg.Rate, _ = strconv.ParseFloat(words[i+1], 64)
			}
			res, err := smooth.ToFWHM(t.Context(), grid, data, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(res.Rounds); got != c.Iterations {
				t.Errorf("%d rounds, want %d", got, c.Iterations)
			}
			if res.Reached() != c.Reached || (res.Err() == nil) != c.Reached {
				t.Errorf("reached is %v, want %v (%v)", res.Reached(), c.Reached, res.Reason)
			}
			worst := 0.0
			for i, w := range res.Rounds[:min(len(res.Rounds), len(c.Estimates))] {
				got := append(w.XYZ[:len(c.Estimates[i])-1:3], w.Mean)
				for j, v := range c.Estimates[i] {
					worst = max(worst, math.Abs(got[j]-v))
				}
			}
			d := distance(data, want)
			t.Logf("%s: %s: %d rounds, estimates within %.2g mm, %.2g of the maximum, %v", c.Input, c.Tool, len(res.Rounds), worst, d, res.Reason)
			if !(worst <= 1e-3) {
				t.Errorf("estimates are %v mm away, more than 1e-3", worst)
			}
			if !(d <= c.Tolerance.MaxAbsOverMax) {
				t.Errorf("is %v of the maximum away, more than %v", d, c.Tolerance.MaxAbsOverMax)
			}
		})
	}
	if seen != 11 {
		t.Errorf("there are %d golden cases, want 11", seen)
	}
}
