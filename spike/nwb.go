package spike

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/internal/hdf5"
	"github.com/parade-go/parade/unit"
)

// nwbLabels are the columns in which programs put what a unit was judged to be:
// NWB's own examples, phy by way of NeuroConv, Kilosort. The first one counts.
var nwbLabels = []string{"quality", "group", "KSLabel"}

// unitsTable is the table of units of a NWB file, see
// https://nwb-schema.readthedocs.io/en/stable/format.html#units.
type unitsTable struct {
	ids      []int64
	times    *ragged  // spike times, in seconds
	observed *ragged  // pairs of the beginning and the end of an interval; nil where the file has none
	labels   []string // nil where the options do not choose by them
}

// ragged is a column of several numbers a row: those of all rows, and where each
// row ends.
type ragged struct {
	values []float64
	width  uint64 // numbers to a value
	ends   []uint64
}

func (r *ragged) row(i int) []float64 {
	start := uint64(0)
	if i > 0 {
		start = r.ends[i-1]
	}
	return slices.Clip(r.values[start*r.width : r.ends[i]*r.width])
}

// readNWB reads the table of units of a NWB file; row is the unit to which the
// error belongs.
func (c *collector) readNWB(data []byte) (row int, err error) {
	if err := c.begin(unit.Second); err != nil {
		return 0, err
	}
	units, err := parseUnits(data, len(c.opts.Labels) > 0)
	if err != nil {
		if !errors.Is(err, ErrFormat) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return 0, err
	}
	last := c.start
	for _, t := range units.times.values {
		if t > last && !math.IsInf(t, 1) { // a unit with one that is no time is refused below
			last = t
		}
	}
	seen := make(map[int64]bool)
	for i, id := range units.ids {
		if seen[id] {
			return i + 1, fmt.Errorf("%w: an earlier unit has its id, %d", ErrFormat, id)
		}
		seen[id] = true
		if units.labels != nil && !slices.ContainsFunc(c.opts.Labels, func(l string) bool { return strings.EqualFold(l, units.labels[i]) }) {
			continue
		}
		t := Train{Unit: unit.Second, TStart: math.NaN(), TStop: math.NaN(), Name: strconv.FormatInt(id, 10)}
		if times := units.times.row(i); len(times) > 0 {
			t.Times = times
			if units.labels != nil { // so as not to keep the units that are left out
				t.Times = slices.Clone(times)
			}
		}
		var observed []float64
		if units.observed != nil {
			observed = units.observed.row(i)
		}
		switch bounded := c.opts.TStart.IsSet() && c.opts.TStop.IsSet(); {
		case len(observed) == 2:
			t.TStart, t.TStop = observed[0], observed[1]
		case len(observed) > 2 && !bounded:
			return i + 1, fmt.Errorf("%w: it was observed in %d intervals and a train has one: give ReadOptions.TStart and ReadOptions.TStop", ErrInterval, len(observed)/2)
		case !c.opts.TStop.IsSet():
			t.TStop = last
		}
		if err := c.addBounded(t); err != nil {
			return i + 1, err
		}
	}
	if len(c.ready) == 0 && len(units.ids) > 0 {
		has := slices.Sorted(slices.Values(units.labels))
		return 0, fmt.Errorf("%w: no unit is labelled %s; there are %s", ErrFormat, strings.Join(c.opts.Labels, " or "), strings.Join(slices.Compact(has), ", "))
	}
	return 0, nil
}

// parseUnits reads the columns that matter, each of which has a value for each
// unit.
func parseUnits(data []byte, labels bool) (*unitsTable, error) {
	file, err := hdf5.Parse(data)
	if err != nil {
		return nil, err
	}
	group, err := file.Object("/units")
	if errors.Is(err, hdf5.ErrNotFound) {
		return nil, errors.New("it has no table of units at /units, as NWB files of version 2 with sorted spikes have")
	}
	if err != nil {
		return nil, err
	}
	u := &unitsTable{}
	id, err := nwbColumn(group, "id")
	if err != nil {
		return nil, err
	}
	if u.ids, err = id.Int64s(); err != nil {
		return nil, fmt.Errorf("/units/id: %w", err)
	}
	if u.times, err = raggedColumn(group, "spike_times", 1, len(u.ids)); err != nil {
		return nil, err
	}
	if u.observed, err = raggedColumn(group, "obs_intervals", 2, len(u.ids)); err != nil && !errors.Is(err, errNoColumn) {
		return nil, err
	}
	if !labels {
		return u, nil
	}
	for _, name := range nwbLabels {
		a, err := nwbColumn(group, name)
		if errors.Is(err, errNoColumn) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if u.labels, err = a.Strings(); err != nil {
			return nil, fmt.Errorf("/units/%s: %w", name, err)
		}
		if len(u.labels) != len(u.ids) {
			return nil, fmt.Errorf("/units/%s: it has %d rows, want %d", name, len(u.labels), len(u.ids))
		}
		return u, nil
	}
	return nil, fmt.Errorf("its table of units has no labels, in a column %s", strings.Join(nwbLabels, ", "))
}

var errNoColumn = errors.New("its table of units lacks a column")

func nwbColumn(group *hdf5.Object, name string) (*hdf5.Array, error) {
	o, err := group.Member(name)
	if errors.Is(err, hdf5.ErrNotFound) {
		return nil, fmt.Errorf("%w, %s", errNoColumn, name)
	}
	if err != nil {
		return nil, err
	}
	return o.Read()
}

// raggedColumn reads a column of times, width of them to a value, and the index
// where the values of each of the rows end.
func raggedColumn(group *hdf5.Object, name string, width uint64, rows int) (*ragged, error) {
	a, err := nwbColumn(group, name)
	if err != nil {
		return nil, err
	}
	if err := checkSeconds(group, name); err != nil {
		return nil, err
	}
	shaped := len(a.Shape) == 1 && (width == 1 || a.Len() == 0) || len(a.Shape) == 2 && uint64(a.Shape[1]) == width && width > 1
	if a.Type.Class != hdf5.ClassFloat || !shaped {
		return nil, fmt.Errorf("/units/%s: it holds %v in the shape %v, want seconds as floats, %d to a value", name, a.Type, a.Shape, width)
	}
	r := &ragged{width: width}
	if r.values, err = a.Float64s(); err != nil {
		return nil, fmt.Errorf("/units/%s: %w", name, err)
	}
	name += "_index"
	if a, err = nwbColumn(group, name); err != nil {
		return nil, err
	}
	if r.ends, err = a.Uint64s(); err != nil {
		return nil, fmt.Errorf("/units/%s: %w", name, err)
	}
	last := uint64(0)
	for i, end := range r.ends {
		if end < last {
			return nil, fmt.Errorf("/units/%s: row %d ends at %d, before the row above it (%d)", name, i+1, end, last)
		}
		last = end
	}
	if n := uint64(len(r.values)) / width; len(r.ends) != rows || last != n {
		return nil, fmt.Errorf("/units/%s: its %d rows end at %d, want %d rows that end at %d", name, len(r.ends), last, rows, n)
	}
	return r, nil
}

// checkSeconds refuses times that are said to be in another unit.
func checkSeconds(group *hdf5.Object, name string) error {
	o, err := group.Member(name)
	if err != nil {
		return err
	}
	a, err := o.Attribute("unit")
	if errors.Is(err, hdf5.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := a.Strings()
	if err != nil || len(text) != 1 || text[0] != "seconds" && text[0] != "s" {
		return fmt.Errorf("/units/%s: its unit is %.40q, want seconds", name, strings.Join(text, " "))
	}
	return nil
}
