package smooth_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/parade-go/parade/smooth"
)

// moreCase is a case of testdata/more/cases.json, which tofwhm.py made.
type moreCase struct {
	Name, Kind string
	Shape      [3]int
	Voxel      [3]float64
	Volumes    [2]int
	Kept       []int
	Bad        []int
	Mask       bool
	FWHM       [3]float64

	Goal       float64
	Master     *[2]int
	Empty      *int
	TwoD       bool `json:"two_d"`
	Rate       float64
	MaxIte     int
	NoDetrend  bool `json:"no_detrend"`
	Uniform    bool
	AllVolumes bool `json:"all_volumes"`
	Rounds     [][]float64
	Reason     string
	Voxels     int
}

func readMore(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/more/" + name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func moreCases(t *testing.T) []moreCase {
	t.Helper()
	b, err := os.ReadFile("testdata/more/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []moreCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func (c *moreCase) grid() smooth.Grid { return smooth.Grid{Shape: c.Shape, Voxel: c.Voxel} }

// data returns some volumes of the input that all cases share.
func (c *moreCase) data(t *testing.T, volumes [2]int) []float32 {
	t.Helper()
	n := c.grid().Voxels()
	raw := readMore(t, "input.i16.gz")
	data := make([]float32, (volumes[1]-volumes[0])*n)
	for i := range data {
		data[i] = float32(int16(binary.LittleEndian.Uint16(raw[2*(volumes[0]*n+i):]))) / 2
	}
	return data
}

func (c *moreCase) input(t *testing.T) (data []float32, mask []bool) {
	t.Helper()
	data = c.data(t, c.Volumes)
	for i, p := range c.Bad {
		data[p] = float32([3]float64{math.NaN(), math.Inf(1), math.Inf(-1)}[i%3])
	}
	if c.Empty != nil {
		n := c.grid().Voxels()
		clear(data[*c.Empty*n:][:n])
	}
	if c.Mask {
		for _, in := range readMore(t, "mask.u8.gz") {
			mask = append(mask, in != 0)
		}
	}
	return data, mask
}

// check compares the volumes that were kept.
func (c *moreCase) check(t *testing.T, data []float32, tolerance float64) {
	t.Helper()
	raw := readMore(t, c.Name+".f32.gz")
	want := make([]float32, len(raw)/4)
	for i := range want {
		want[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	var got []float32
	n := c.grid().Voxels()
	for _, v := range c.Kept {
		got = append(got, data[v*n:][:n]...)
	}
	d := distance(got, want)
	t.Logf("%.2g of the maximum", d)
	if !(d <= tolerance) {
		t.Errorf("is %v of the maximum away, more than %v", d, tolerance)
	}
}

func TestMoreGaussian(t *testing.T) {
	t.Parallel()
	for _, c := range moreCases(t) {
		if c.Kind != "gaussian" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			data, mask := c.input(t)
			f, err := smooth.NewGaussian(c.grid(), smooth.GaussianConfig{FWHM: c.FWHM, Mask: mask})
			if err != nil {
				t.Fatal(err)
			}
			zeroed, err := f.Apply(t.Context(), data, data)
			if err != nil {
				t.Fatal(err)
			}
			if zeroed != len(c.Bad) {
				t.Errorf("%d values were zeroed, want %d", zeroed, len(c.Bad))
			}
			c.check(t, data, 2e-6)
		})
	}
}

func (c *moreCase) config(t *testing.T, mask []bool) smooth.ToFWHMConfig {
	t.Helper()
	cfg := smooth.ToFWHMConfig{
		Goal: c.Goal, Mask: mask, InPlane: c.TwoD, Rate: c.Rate, MaxIterations: c.MaxIte,
		NoDetrend: c.NoDetrend, Uniform: c.Uniform, AllVolumes: c.AllVolumes,
	}
	if c.Master != nil {
		cfg.Master = c.data(t, *c.Master)
	}
	return cfg
}

func TestMoreToFWHM(t *testing.T) {
	t.Parallel()
	reasons := map[string]smooth.Reason{"reached": smooth.GoalReached, "limit": smooth.IterationLimit}
	for _, c := range moreCases(t) {
		if c.Kind != "to-fwhm" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			data, mask := c.input(t)
			cfg := c.config(t, mask)
			inside := c.grid().Voxels()
			if mask != nil {
				inside = 0
				for _, in := range mask {
					if in {
						inside++
					}
				}
			}
			var seen []smooth.Width
			cfg.Progress = func(i int, w smooth.Width) {
				seen = append(seen, w)
				if i != len(seen) {
					t.Errorf("round %d was told as %d", len(seen), i)
				}
			}
			res, err := smooth.ToFWHM(t.Context(), c.grid(), data, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(seen, res.Rounds) {
				t.Error("progress was told other rounds than the result has")
			}
			if len(res.Rounds) != len(c.Rounds) || res.Reason != reasons[c.Reason] {
				t.Errorf("%d rounds (%v), want %d (%s)", len(res.Rounds), res.Reason, len(c.Rounds), c.Reason)
			}
			if res.Voxels != c.Voxels || res.Constant != inside-c.Voxels || res.Zeroed != len(c.Bad) {
				t.Errorf("%d voxels, %d constant, %d zeroed, want %d, %d and %d", res.Voxels, res.Constant, res.Zeroed, c.Voxels, inside-c.Voxels, len(c.Bad))
			}
			worst := 0.0
			for i, w := range res.Rounds[:min(len(res.Rounds), len(c.Rounds))] {
				got := append(w.XYZ[:len(c.Rounds[i])-1:3], w.Mean)
				for j, v := range c.Rounds[i] {
					worst = max(worst, math.Abs(got[j]-v))
				}
			}
			t.Logf("estimates within %.2g mm", worst)
			if !(worst <= 1e-3) {
				t.Errorf("estimates are %v mm away, more than 1e-3", worst)
			}
			c.check(t, data, 5e-5)
		})
	}
}

// Any number of workers gives the same bits, also where there are more of them than
// volumes or rows.
func TestWorkersLeaveNoTrace(t *testing.T) {
	t.Parallel()
	for _, c := range moreCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var want []float32
			var rounds []smooth.Width
			for _, workers := range []int{0, 2, 3, 40} {
				data, mask := c.input(t)
				if c.Kind == "gaussian" {
					f, err := smooth.NewGaussian(c.grid(), smooth.GaussianConfig{FWHM: c.FWHM, Mask: mask, Workers: workers})
					if err != nil {
						t.Fatal(err)
					}
					if _, err := f.Apply(t.Context(), data, data); err != nil {
						t.Fatal(err)
					}
				} else {
					cfg := c.config(t, mask)
					cfg.Workers, cfg.MaxIterations = workers, 6
					res, err := smooth.ToFWHM(t.Context(), c.grid(), data, cfg)
					if err != nil {
						t.Fatal(err)
					}
					if rounds == nil {
						rounds = res.Rounds
					}
					if !slices.Equal(res.Rounds, rounds) {
						t.Errorf("%d workers have other estimates than one", workers)
					}
				}
				if want == nil {
					want = data
				}
				if !slices.Equal(data, want) {
					t.Errorf("%d workers have other values than one", workers)
				}
			}
		})
	}
}

// The loops in assembly give the bits of those in Go. Not parallel: it switches them
// for all.
func TestVectorsLeaveNoTrace(t *testing.T) {
	for _, c := range moreCases(t) {
		if c.Kind == "gaussian" {
			continue
		}
		run := func() (data []float32, rounds []smooth.Width) {
			data, mask := c.input(t)
			cfg := c.config(t, mask)
			cfg.MaxIterations, cfg.Workers = 6, 2
			res, err := smooth.ToFWHM(t.Context(), c.grid(), data, cfg)
			if err != nil {
				t.Fatal(err)
			}
			return data, res.Rounds
		}
		data, rounds := run()
		smooth.WithoutVectors(func() {
			other, otherRounds := run()
			if !slices.Equal(data, other) || !slices.Equal(rounds, otherRounds) {
				t.Errorf("%s: another result", c.Name)
			}
		})
	}
}
