package main

import (
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func TestDrawFigure(t *testing.T) {
	t.Parallel()
	silent := spike.Train{Unit: unit.Second, TStop: 3, Name: "silent"}
	busy := spike.Train{Unit: unit.Second, TStart: 0, TStop: 3, Times: []float64{0, 0.5, 0.5, 3}}
	for _, tc := range []struct {
		name   string
		trains []spike.Train
	}{
		{"silent", []spike.Train{silent}},
		{"many", slices.Repeat([]spike.Train{busy}, 40)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, err := spike.TimeHistogram(tc.trains, unit.Seconds(0.5), spike.HistogramOptions{})
			if err != nil {
				t.Fatal(err)
			}
			files, err := drawFigure(t.TempDir(), tc.trains, h)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(files[0])
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			image, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			if width := image.Bounds().Dx(); width != 1417 {
				t.Errorf("the figure is %d pixels wide, want 18 cm at 200 dpi, 1417", width)
			}
			svg, err := os.ReadFile(files[1])
			if err != nil || !strings.Contains(string(svg), "time (s)") {
				t.Errorf("the SVG has no time axis (%v)", err)
			}
		})
	}
}

func TestLabelledTicks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		low, high float64
		want      []string
	}{
		{0, 10, []string{"0", "2", "4", "6", "8", "10"}},
		{-1, 1, []string{"-1", "-0.5", "0", "0.5", "1"}},
		{0.1, 0.5, []string{"0.1", "0.2", "0.3", "0.4", "0.5"}},
	} {
		var got []string
		for _, tick := range labelledTicks(5).Ticks(tc.low, tc.high) {
			got = append(got, tick.Label)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%v to %v: %s", tc.low, tc.high, d)
		}
	}
}

// However many spikes there are, a figure stays small.
func TestRasterOfVeryMany(t *testing.T) {
	t.Parallel()
	busy := spike.Train{Unit: unit.Second, TStop: 1, Times: linspace(0, 1, 20_000)}
	rows := make([]rasterRow, 300)
	for i := range rows {
		rows[i] = newRasterRow(busy, i, 0, 1)
	}
	path := filepath.Join(t.TempDir(), "raster.svg")
	if err := (stack{newRaster(rows, 0, 1)}).picture(5).write(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 2<<20 {
		t.Errorf("six million spikes make a file of %d bytes (%v)", info.Size(), err)
	}
}

func TestNewRasterRow(t *testing.T) {
	t.Parallel()
	train := spike.Train{Unit: unit.Second, TStop: 4, Times: []float64{3, 1, 1, 2.9999, 0, 4}}
	row := newRasterRow(train, 6, 1, 3)
	if row.Name != "7" || row.Counts[0] != 2 || row.Counts[rasterPlaces-1] != 2 {
		t.Errorf("row %q has %d spikes in its first place and %d in its last, want 7 with 2 and 2",
			row.Name, row.Counts[0], row.Counts[rasterPlaces-1])
	}
	if row := newRasterRow(train, 0, 5, 6); row.Counts != nil {
		t.Error("a row without spikes has places")
	}
	if row := newRasterRow(train, 0, 1, 1); row.Counts[0] != 2 {
		t.Error("a window of no duration loses its spikes")
	}
}

func TestDrawSpeedup(t *testing.T) {
	t.Parallel()
	files, err := drawSpeedup(t.TempDir(), "20 matrices", []speedup{
		{"threads", []int{1, 2, 4}, []float64{0.9, 1.9, 3.6}},
		{"serial", []int{1}, []float64{1}},
		{"none", nil, nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{">20 matrices<", ">ideal<", ">threads<", ">serial<", ">workers<", ">4<"} {
		if !strings.Contains(string(svg), text) {
			t.Errorf("the figure does not say %q", text)
		}
	}
}
