package spike_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// unpackNWB writes a file of testdata unpacked, changed by edit, and gives its path.
func unpackNWB(t testing.TB, name string, edit func(data []byte) []byte) string {
	t.Helper()
	packed, err := os.ReadFile("testdata/" + name + ".nwb.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		data = edit(data)
	}
	path := filepath.Join(t.TempDir(), name+".nwb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// nwbCase is a file and what PyNWB reads from it.
type nwbCase struct {
	Name   string
	Refuse string
	Units  []struct {
		ID       string
		Times    []hexFloat
		Observed [][2]hexFloat
		Label    string
	}
}

// trains gives the trains that have one of the labels, or all.
func (c nwbCase) trains(labels ...string) []spike.Train {
	last := 0.0
	for _, u := range c.Units {
		for _, t := range u.Times {
			last = max(last, float64(t))
		}
	}
	var trains []spike.Train
	for _, u := range c.Units {
		if labels != nil && !slices.Contains(labels, u.Label) {
			continue
		}
		train := spike.Train{Times: floats(u.Times), Unit: unit.Second, TStop: last, Name: u.ID}
		if len(u.Times) == 0 {
			train.Times = nil
		}
		if len(u.Observed) == 1 {
			train.TStart, train.TStop = float64(u.Observed[0][0]), float64(u.Observed[0][1])
		}
		trains = append(trains, train)
	}
	return trains
}

func readNWBGolden(t *testing.T) map[string]nwbCase {
	t.Helper()
	data, err := os.ReadFile("testdata/nwb.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Cases []nwbCase }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	cases := make(map[string]nwbCase)
	for _, c := range golden.Cases {
		cases[c.Name] = c
	}
	return cases
}

func TestReadNWBGolden(t *testing.T) {
	t.Parallel()
	for name, c := range readNWBGolden(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := spike.ReadOptions{}
			if name == "nwb_often_observed" {
				opts = spike.ReadOptions{TStart: unit.Seconds(0), TStop: unit.Seconds(10)}
			}
			got, err := spike.ReadFile(unpackNWB(t, name, nil), opts)
			if c.Refuse != "" {
				if file := (*spike.FileError)(nil); !errors.As(err, &file) || !errors.Is(err, spike.ErrFormat) || !strings.Contains(err.Error(), c.Refuse) {
					t.Fatalf("error is %v, want %q", err, c.Refuse)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := c.trains()
			if name == "nwb_often_observed" {
				for i := range want {
					want[i].TStop = 10
				}
			}
			diff(t, "trains", got, want)
			for _, train := range got {
				if err := train.Validate(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestReadNWBOptions(t *testing.T) {
	t.Parallel()
	golden := readNWBGolden(t)
	bounded := golden["nwb_unsorted"].trains()
	for i := range bounded {
		bounded[i].TStart, bounded[i].TStop = -1, 5
	}
	tests := []struct {
		name, file string
		opts       spike.ReadOptions
		want       []spike.Train
		sentinel   error
		message    string
	}{
		{"bounds", "nwb_unsorted", spike.ReadOptions{Unit: unit.Second, TStart: unit.Milliseconds(-1000), TStop: unit.Seconds(5)}, bounded, nil, ""},
		{"bounds too narrow", "nwb_unsorted", spike.ReadOptions{TStop: unit.Seconds(2)}, nil, spike.ErrTimes, "row 1: spike 0: bad spike times: the time 3.0 s is after t_stop (2.0 s)"},
		{"other bounds than the file's", "nwb_sorted", spike.ReadOptions{TStart: unit.Seconds(0)}, nil, spike.ErrFormat, "row 1: bad file: the file says that t_start is 0.5 s, not 0.0 s"},
		{"observed twice", "nwb_often_observed", spike.ReadOptions{TStart: unit.Seconds(0)}, nil, spike.ErrInterval, "row 1: bad interval: it was observed in 2 intervals"},
		{"other unit", "nwb_plain", spike.ReadOptions{Unit: unit.Millisecond}, nil, spike.ErrFormat, "in s, not in ms"},
		{"sampling rate", "nwb_plain", spike.ReadOptions{SamplingRate: unit.Hz(30000)}, nil, spike.ErrFormat, "sampling rate"},
		{"label", "nwb_sorted", spike.ReadOptions{Labels: []string{"Good"}}, golden["nwb_sorted"].trains("good"), nil, ""},
		{"labels", "nwb_sorted", spike.ReadOptions{Labels: []string{"mua", "noise"}}, golden["nwb_sorted"].trains("mua", "noise"), nil, ""},
		{"label of none", "nwb_sorted", spike.ReadOptions{Labels: []string{"best"}}, nil, spike.ErrFormat, "no unit is labelled best; there are good, mua, noise"},
		{"no labels", "nwb_plain", spike.ReadOptions{Labels: []string{"good"}}, nil, spike.ErrFormat, "has no labels, in a column quality, group, KSLabel"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := spike.ReadFile(unpackNWB(t, c.file, nil), c.opts)
			if c.sentinel != nil {
				if !errors.Is(err, c.sentinel) || !strings.Contains(err.Error(), c.message) {
					t.Fatalf("error is %v, want %v, %q", err, c.sentinel, c.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "trains", got, c.want)
		})
	}
}

// A time that is none is blamed for itself, not the bounds that it leaves unknown.
func TestReadNWBTimeThatIsNone(t *testing.T) {
	t.Parallel()
	first := float64(readNWBGolden(t)["nwb_plain"].Units[0].Times[0])
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		path := unpackNWB(t, "nwb_plain", func(data []byte) []byte {
			number := func(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) }
			return bytes.Replace(data, number(first), number(bad), 1)
		})
		_, err := spike.ReadFile(path, spike.ReadOptions{})
		if want := "row 1: spike 0: bad spike times: the time is "; !errors.Is(err, spike.ErrTimes) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", bad, err, want)
		}
	}
}

func TestReadNWBTruncated(t *testing.T) {
	t.Parallel()
	for _, part := range []int{0, 1, 7, 15} { // of 16
		_, err := spike.ReadFile(unpackNWB(t, "nwb_plain", func(data []byte) []byte { return data[:len(data)*part/16] }), spike.ReadOptions{})
		if !errors.Is(err, spike.ErrFormat) {
			t.Errorf("%d/16 of a file: %v", part, err)
		}
	}
}

func FuzzReadNWB(f *testing.F) {
	for _, name := range []string{"nwb_sorted", "nwb_latest", "nwb_compressed"} {
		data, err := os.ReadFile(unpackNWB(f, name, nil))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	path := filepath.Join(f.TempDir(), "fuzzed.nwb")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		trains, err := spike.ReadFile(path, spike.ReadOptions{})
		if file := (*spike.FileError)(nil); err != nil && !errors.As(err, &file) {
			t.Errorf("an error of no file: %v", err)
		}
		for _, train := range trains {
			if err := train.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}
