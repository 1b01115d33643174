package main

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// binSizes gives n bin sizes from about 1/100 to 1/10 of the trains' duration:
// for the tutorial's 10 s its numpy.linspace(0.1, 1, n) * s. For long
// recordings they stay within 0.1 s and 1 s.
func binSizes(trains []spike.Train, n int) ([]unit.Time, error) {
	if len(trains) == 0 {
		return nil, errors.New("there are no trains")
	}
	length := duration(trains[0])
	if !(length.Value > 0) {
		return nil, errors.New("the recording has no duration: say when it ends with --t-stop")
	}
	second, err := unit.Seconds(0.1).In(length.Unit)
	if err != nil {
		return nil, err
	}
	first := round125(length.Value / 100)
	if first > second.Value {
		first = second.Value
	}
	sizes := make([]unit.Time, n)
	for i, v := range linspace(first, 10*first, n) {
		sizes[i] = unit.Time{Value: v, Unit: length.Unit}
	}
	return sizes, nil
}

func duration(t spike.Train) unit.Time {
	return unit.Time{Value: t.TStop - t.TStart, Unit: t.Unit}
}

// linspace is numpy.linspace, to the last bit.
func linspace(start, stop float64, n int) []float64 {
	values := make([]float64, n)
	step := (stop - start) / float64(n-1)
	for i := range values {
		values[i] = float64(float64(i)*step) + start // no fused multiply-add
	}
	values[n-1] = stop
	return values
}

// round125 gives the number of 1, 2 or 5 times a power of ten nearest to v.
func round125(v float64) float64 {
	exponent := int(math.Floor(math.Log10(v)))
	best := math.NaN()
	for _, step := range []string{"1e", "2e", "5e", "10e"} {
		// Parsed, since a product with a power of ten need not be exact.
		near, err := strconv.ParseFloat(step+strconv.Itoa(exponent), 64)
		if err == nil && !(math.Abs(math.Log(near/v)) >= math.Abs(math.Log(best/v))) {
			best = near
		}
	}
	return best
}

// quantity writes a time with at most four digits.
func quantity(t unit.Time) string {
	return strconv.FormatFloat(t.Value, 'g', 4, 64) + " " + t.Unit.String()
}

func trainName(t spike.Train, index int) string {
	if t.Name != "" {
		return t.Name
	}
	return strconv.Itoa(index + 1)
}

// sparkline draws values in a line of width columns, of which they cover a part.
// Columns that several values share show their mean.
func sparkline(values []float64, width int, part float64) string {
	used := max(1, int(float64(width)*part+0.5))
	columns := make([]float64, used)
	for c := range columns {
		from := c * len(values) / used
		to := max(from+1, (c+1)*len(values)/used)
		for _, v := range values[from:to] {
			columns[c] += v / float64(to-from)
		}
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	most := slices.Max(columns)
	var line strings.Builder
	for _, v := range columns {
		level := 0
		if most > 0 {
			level = int(v / most * float64(len(levels)-1))
		}
		line.WriteRune(levels[level])
	}
	return line.String()
}

// The comparisons are of bits: NaN equals itself, and -0 is not 0.

func sameRates(a, b []unit.Rate) bool {
	return slices.EqualFunc(a, b, func(a, b unit.Rate) bool { return sameBits(a.Value, b.Value) && a.Unit == b.Unit })
}

func sameHistograms(a, b []spike.Histogram) bool {
	return slices.EqualFunc(a, b, func(a, b spike.Histogram) bool {
		return slices.EqualFunc(a.Samples, b.Samples, sameBits) &&
			a.Channels == b.Channels && a.Unit == b.Unit && a.TStart == b.TStart &&
			a.SamplingRate == b.SamplingRate && a.Integer == b.Integer && a.Output == b.Output &&
			a.BinSize == b.BinSize && a.Trains == b.Trains && a.Dropped == b.Dropped && a.Moved == b.Moved
	})
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
