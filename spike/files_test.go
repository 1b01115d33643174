package spike_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

var update = flag.Bool("update", false, "write testdata/files/written.* anew, which files.py must then read")

type goldenFileTrain struct {
	Name   string
	Unit   unit.Unit
	TStart hexFloat `json:"t_start"`
	TStop  hexFloat `json:"t_stop"`
	Times  []hexFloat
}

func fileTrains(list []goldenFileTrain) []spike.Train {
	trains := make([]spike.Train, len(list))
	for i, g := range list {
		trains[i] = spike.Train{Unit: g.Unit, TStart: float64(g.TStart), TStop: float64(g.TStop), Name: g.Name}
		if len(g.Times) > 0 {
			trains[i].Times = floats(g.Times)
		}
	}
	return trains
}

type goldenFiles struct {
	Files []struct {
		Path    string
		Options struct {
			Unit        unit.Unit
			TStart      unit.Time `json:"t_start"`
			TStop       unit.Time `json:"t_stop"`
			Rate        unit.Rate
			TimeColumn  string `json:"time_column"`
			TrainColumn string `json:"train_column"`
			Labels      []string
		}
		Trains []goldenFileTrain
	}
	Written []struct {
		Kind   string
		Trains []goldenFileTrain
	}
}

func TestGoldenFiles(t *testing.T) {
	t.Parallel()
	var g goldenFiles
	readTopic(t, "files.json", &g)
	if len(g.Files) < 60 {
		t.Fatalf("only %d files", len(g.Files))
	}
	for i, c := range g.Files {
		t.Run(fmt.Sprint(i, " ", c.Path), func(t *testing.T) {
			t.Parallel()
			o := c.Options
			got, err := spike.ReadFile(filepath.Join("testdata/files", c.Path), spike.ReadOptions{
				Unit: o.Unit, TStart: o.TStart, TStop: o.TStop, SamplingRate: o.Rate, TimeColumn: o.TimeColumn, TrainColumn: o.TrainColumn, Labels: o.Labels,
			})
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, fileTrains(c.Trains))
			for _, train := range got {
				if err := train.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	var g goldenFiles
	readTopic(t, "files.json", &g)
	for _, c := range g.Written {
		t.Run(c.Kind, func(t *testing.T) {
			t.Parallel()
			golden := "testdata/files/written." + c.Kind
			if *update {
				if err := spike.WriteFile(golden, fileTrains(c.Trains)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(t.TempDir(), "a."+c.Kind)
			if err := spike.WriteFile(path, fileTrains(c.Trains)); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("it is not the file that Python was shown to read:\n%q\nwant\n%q", got, want)
			}
		})
	}
}
