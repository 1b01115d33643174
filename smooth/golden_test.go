package smooth_test

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/parade-go/parade/smooth"
)

// golden is testdata/manifest.json.
type golden struct {
	Cases []goldenCase `json:"cases"`
}

type goldenCase struct {
	ID, Kind, Tool  string
	Input, Expected string
	Mask            string
	FWHM            lengths `json:"fwhm_mm"`
	Tolerance       struct {
		MaxAbsOverMax float64 `json:"max_abs_over_max"`
	}
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
