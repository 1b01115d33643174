package main

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/unit"
)

// A sheet says the same in each format.
func TestSheet(t *testing.T) {
	t.Parallel()
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "n", head: "n", once: true}, {name: "sorted", head: "sorted", once: true},
		{name: "mean", head: "mean"}, {name: "time"}, {name: "rate", head: "rate"}, {name: "all", onlyJSON: true},
	}}
	ms := func(v float64) unit.Time { return unit.Time{Value: v, Unit: unit.Millisecond} }
	s.add(`a,"<b>`, 1234, true, ms(0.1), []float64{0, math.NaN()}, []float64{1, 0.5}, []float64{7})
	s.add("c", 0, false, ms(math.NaN()), []float64{}, []float64{}, []float64{math.Inf(1), 8})

	write := func(to func(io.Writer) error) []byte {
		var b bytes.Buffer
		if err := to(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	const object1 = `{"file":"a,\"<b>","n":1234,"sorted":true,"mean":0.1,"time":[0,null],"rate":[1,0.5],"all":[7]}`
	const object2 = `{"file":"c","n":0,"sorted":false,"mean":null,"time":[],"rate":[],"all":[null,8]}`
	for _, tc := range []struct {
		name string
		to   func(io.Writer) error
		want string
	}{
		{"table", func(w io.Writer) error { return s.print(newTerminal(w), false) },
			"  file        n  sorted    mean  rate\n" +
				"  a,\"<b>  1,234  yes     0.1 ms  █▄\n" +
				"  c           0  no           –\n"},
		{"lines", func(w io.Writer) error { return s.print(newTerminal(w), true) }, object1 + "\n" + object2 + "\n"},
		{"json", s.writeJSON, "[\n" + object1 + ",\n" + object2 + "\n]\n"},
		{"csv", func(w io.Writer) error { return s.writeCSV(w, ',') },
			"file,mean,time,rate\n" + `"a,""<b>",0.1,0.0,1.0` + "\n" + `"a,""<b>",0.1,nan,0.5` + "\n"},
		{"no rows", (&sheet{columns: s.columns}).writeJSON, "[\n]\n"},
	} {
		if d := cmp.Diff(tc.want, string(write(tc.to))); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
	archive, err := npy.ParseArchive(write(s.writeNPZ))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("file mean time rate", strings.Join(archive.Names(), " ")); d != "" {
		t.Error(d)
	}
	array, err := archive.Read("rate")
	if err != nil {
		t.Fatal(err)
	}
	rates, err := npy.Values[float64](array)
	if d := cmp.Diff([]float64{1, 0.5}, rates); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestSurrogateTest(t *testing.T) {
	t.Parallel()
	got := newSurrogateTest(3, []float64{4, 1, 2, 3, 0})
	want := surrogateTest{value: 3, surrogates: []float64{4, 1, 2, 3, 0}, mean: 2, sd: math.Sqrt(2.5), low: 0, high: 4, p: 3.0 / 6}
	if got.mean != want.mean || got.sd != want.sd || got.low != want.low || got.high != want.high || got.p != want.p {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	counts := []float64{0, 1, 2, 4}
	for name, want := range map[string]float64{"coincidences": 7, "peak": 4} {
		if got := statistics[name](counts); got != want {
			t.Errorf("%s of %v is %v, want %v", name, counts, got, want)
		}
	}
}
