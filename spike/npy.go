package spike

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/unit"
)

// readNPY reads a .npy file; row is the row to which the error belongs.
func (c *collector) readNPY(data []byte) (row int, err error) {
	a, err := npy.Parse(data)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	wide := len(a.Shape) == 2 && a.Shape[1] == 2
	if !wide && !isColumn(a) {
		return 0, fmt.Errorf("%w: its shape is %v, want (n,), (n, 1) or (1, n) for times or (n, 2) for trains and times", ErrFormat, a.Shape)
	}
	if err := checkNumbers(a); err != nil {
		return 0, err
	}
	if err := c.begin(unit.Dimensionless); err != nil {
		return 0, err
	}
	if !wide {
		return c.addTimes("", a)
	}
	return c.addSpikes(column{a, 0, 2, ""}, column{a, 1, 2, ""}, trainID)
}

// isColumn tells whether an array is of shape (n,), (n, 1) or (1, n).
func isColumn(a npy.Array) bool {
	return len(a.Shape) == 1 || len(a.Shape) == 2 && (a.Shape[0] == 1 || a.Shape[1] == 1)
}

// checkNumbers refuses what cannot be a time.
func checkNumbers(a npy.Array) error {
	if k := a.Type.Kind; k != npy.Int && k != npy.Uint && k != npy.Float {
		return fmt.Errorf("%w: it holds %q, want integers or floats", ErrFormat, a.Type)
	}
	return nil
}

// addTimes adds all numbers of an array as the times of one train.
func (c *collector) addTimes(name string, a npy.Array) (row int, err error) {
	times := make([]float64, a.Len())
	if row, err := loadNumbers(times, a, 0); err != nil {
		return row, err
	}
	j, err := c.addAll(c.train(name), times)
	if err != nil {
		return j + 1, err
	}
	return 0, nil
}

// loadNumbers loads numbers as npy.Load does, and refuses integers beyond 2^53,
// of which float64 cannot tell one from the next; row is that of the error.
func loadNumbers(dst []float64, a npy.Array, from int) (row int, err error) {
	err = npy.Load(dst, a, from)
	if bad := (*npy.ValueError)(nil); errors.As(err, &bad) {
		return bad.Index + 1, fmt.Errorf("%w: the number %s is beyond 2^53", ErrFormat, bad.Value)
	} else if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if a.Type.Size == 8 && a.Type.Kind != npy.Float {
		for i, v := range dst {
			if math.Abs(v) > 1<<53 {
				return from + i + 1, fmt.Errorf("%w: the number %s is beyond 2^53", ErrFormat, unit.FormatFloat(v))
			}
		}
	}
	return 0, nil
}

// column is one of the columns of an array of rows.
type column struct {
	array npy.Array
	at    int
	width int    // how many there are
	path  string // of a file of its own
}

func (c column) len() int { return c.array.Len() / c.width }

// load fills dst with the numbers from row from on, counted from 0. The row of an
// error counts from 1. The scratch is as long as width rows of dst.
func (c column) load(dst []float64, from int, scratch []float64) (row int, err error) {
	switch {
	case c.width == 1:
		return loadNumbers(dst, c.array, from)
	case c.array.Fortran:
		first := c.at * c.len()
		row, err := loadNumbers(dst, c.array, first+from)
		return max(row-first, 0), err
	}
	rows := scratch[:len(dst)*c.width]
	if row, err := loadNumbers(rows, c.array, from*c.width); err != nil {
		return (row + c.width - 1) / c.width, err
	}
	for i := range dst {
		dst[i] = rows[i*c.width+c.at]
	}
	return 0, nil
}

// fail gives the error of a row, which belongs to the file of the column.
func (c column) fail(row int, err error) (int, error) {
	if c.path == "" {
		return row, err
	}
	return 0, fileError(c.path, row, err)
}

// trainID names the train of a number.
func trainID(id float64) (string, error) {
	if id != math.Trunc(id) || math.Abs(id) > 1<<53 {
		return "", fmt.Errorf("%w: the train is %s, want a whole number", ErrFormat, unit.FormatFloat(id))
	}
	return strconv.FormatInt(int64(id), 10), nil
}

// chunk is how many rows are looked at in one go.
const chunk = 4096

// trainIndex finds the index of a train by its id.
type trainIndex struct {
	add   func(id float64) (int, error) // for an id that is new
	small []int32                       // by ids from 0 on, which are most; 0 is new, others are one more than the index
	other map[float64]int
}

// leftOut is the index of a train that is not wanted.
const leftOut = -2

func (x *trainIndex) of(id float64) (int, error) {
	const limit = 1 << 16
	k := int(uint16(int64(id)))
	small := id == float64(k)
	if small && k < len(x.small) && x.small[k] != 0 {
		return int(x.small[k]) - 1, nil
	}
	if i, ok := x.other[id]; ok && !small {
		return i, nil
	}
	i, err := x.add(id)
	if err != nil {
		return 0, err
	}
	if small {
		if k >= len(x.small) {
			x.small = append(x.small, make([]int32, min(2*k+64, limit)-len(x.small))...)
		}
		x.small[k] = int32(i + 1)
		return i, nil
	}
	if x.other == nil {
		x.other = make(map[float64]int)
	}
	x.other[id] = i
	return i, nil
}

// addSpikes adds the spikes of two columns of one length. The columns are read
// twice, first to count, so that no train takes more memory than its spikes. A
// name of "" leaves the spikes of that id out, but not their times' last.
func (c *collector) addSpikes(ids, times column, name func(id float64) (string, error)) (row int, err error) {
	var id, time [chunk]float64
	scratch := make([]float64, 2*chunk)
	n := ids.len()
	var count []int
	trains := trainIndex{add: func(v float64) (int, error) {
		text, err := name(v)
		if text == "" || err != nil {
			return leftOut, err
		}
		i := c.train(text)
		count = append(count, make([]int, len(c.names)-len(count))...)
		return i, nil
	}}
	for from := 0; from < n; from += chunk {
		part := id[:min(chunk, n-from)]
		if row, err := ids.load(part, from, scratch); err != nil {
			return row, err
		}
		for i, v := range part {
			at, err := trains.of(v)
			if err != nil {
				return from + i + 1, err
			}
			if at != leftOut {
				count[at]++
			}
		}
	}
	for i, spikes := range count {
		c.times[i] = make([]float64, 0, spikes)
	}
	for from := 0; from < n; from += chunk {
		part := id[:min(chunk, n-from)]
		if row, err := ids.load(part, from, scratch); err != nil {
			return row, err
		}
		when := time[:len(part)]
		if row, err := times.load(when, from, scratch); err != nil {
			return times.fail(row, err)
		}
		for i, v := range part {
			at, err := trains.of(v)
			if err != nil { // the file has changed meanwhile
				return from + i + 1, err
			}
			t, err := c.time(when[i])
			if err != nil {
				return times.fail(from+i+1, err)
			}
			if at != leftOut {
				c.times[at] = append(c.times[at], t)
			}
		}
	}
	return 0, nil
}

// positional matches the names that numpy.savez gives to arrays without one.
var positional = regexp.MustCompile(`^arr_(\d+)$`)

// readNPZ reads a .npz file; row is the row to which the error belongs.
func (c *collector) readNPZ(data []byte) (row int, err error) {
	archive, err := npy.ParseArchive(data)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	names := archive.Names()
	switch has := func(name string) bool { return slices.Contains(names, name) }; {
	case len(names) == 0:
		return 0, fmt.Errorf("%w: it has no arrays", ErrFormat)
	case has("times") && has("index") && c.opts.TimeColumn == "" && c.opts.TrainColumn == "":
		return 0, c.readRagged(archive)
	case !slices.ContainsFunc(names, func(name string) bool { return !positional.MatchString(name) }) && c.opts.TimeColumn == "" && c.opts.TrainColumn == "":
		if err := c.begin(unit.Dimensionless); err != nil {
			return 0, err
		}
		for _, name := range names {
			a, err := readColumn(archive, name)
			if err == nil {
				err = checkNumbers(a)
			}
			if err == nil {
				row, err = c.addTimes(positional.FindStringSubmatch(name)[1], a)
			}
			if err != nil {
				return row, fmt.Errorf("array %s: %w", name, err)
			}
		}
		return 0, nil
	}
	timeAt, trainAt, stated, err := c.columns("array", names)
	if err != nil {
		return 0, err
	}
	if err := c.begin(stated); err != nil {
		return 0, err
	}
	times, err := readColumn(archive, names[timeAt])
	if err == nil {
		err = checkNumbers(times)
	}
	if err != nil {
		return 0, fmt.Errorf("array %s: %w", names[timeAt], err)
	}
	if trainAt < 0 {
		return c.addTimes("", times)
	}
	ids, err := readColumn(archive, names[trainAt])
	if err != nil {
		return 0, fmt.Errorf("array %s: %w", names[trainAt], err)
	}
	if ids.Len() != times.Len() {
		return 0, fmt.Errorf("%w: array %s has %d rows and array %s %d, want as many", ErrFormat, names[timeAt], times.Len(), names[trainAt], ids.Len())
	}
	if ids.Type.Kind == npy.Text || ids.Type.Kind == npy.Bytes {
		return c.addNamed(ids, column{times, 0, 1, ""})
	}
	if err := checkNumbers(ids); err != nil {
		return 0, fmt.Errorf("array %s: %w", names[trainAt], err)
	}
	return c.addSpikes(column{ids, 0, 1, ""}, column{times, 0, 1, ""}, trainID)
}

// readColumn reads an array of times, or of their trains.
func readColumn(archive *npy.Archive, name string) (npy.Array, error) {
	a, err := archive.Read(name)
	if err != nil {
		return npy.Array{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !isColumn(a) {
		return npy.Array{}, fmt.Errorf("%w: its shape is %v, want (n,)", ErrFormat, a.Shape)
	}
	return a, nil
}

// addNamed adds spikes whose trains are named by strings.
func (c *collector) addNamed(names npy.Array, times column) (row int, err error) {
	texts, err := npy.Values[string](names)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for i, text := range texts {
		if err := checkName(text); err != nil {
			return i + 1, err
		}
	}
	index := make(map[string]float64)
	var seen []string
	ids := make([]float64, len(texts))
	for i, text := range texts {
		id, ok := index[text]
		if !ok {
			id = float64(len(seen))
			index[text] = id
			seen = append(seen, text)
		}
		ids[i] = id
	}
	a, err := npy.New(ids)
	if err != nil {
		return 0, err
	}
	return c.addSpikes(column{a, 0, 1, ""}, times, func(id float64) (string, error) { return seen[int(id)], nil })
}

// readRagged reads what WriteFile writes: the times of all trains one after the
// other, the index of each train's end, as in a table of NWB, and for each train
// its bounds, unit and name.
func (c *collector) readRagged(archive *npy.Archive) error {
	var times, starts, stops []float64
	var ends []int
	var units, names []string
	for _, err := range []error{
		readValues(archive, "times", &times), readValues(archive, "index", &ends),
		readValues(archive, "t_start", &starts), readValues(archive, "t_stop", &stops),
		readValues(archive, "units", &units), readValues(archive, "names", &names),
	} {
		if err != nil {
			return err
		}
	}
	if c.opts.SamplingRate.IsSet() {
		return fmt.Errorf("%w: its times are in units of time: give no sampling rate", ErrFormat)
	}
	n := len(ends)
	if n == 0 {
		return fmt.Errorf("%w: it has no trains", ErrFormat)
	}
	for _, a := range []struct {
		name string
		len  int
	}{{"t_start", len(starts)}, {"t_stop", len(stops)}, {"units", len(units)}, {"names", len(names)}} {
		if a.len != n {
			return fmt.Errorf("%w: array %s has %d rows, want %d as index", ErrFormat, a.name, a.len, n)
		}
	}
	if ends[n-1] != len(times) {
		return fmt.Errorf("%w: index ends at %d, want %d, the number of times", ErrFormat, ends[n-1], len(times))
	}
	from := 0
	for i, end := range ends {
		if end < from || end > len(times) {
			return fmt.Errorf("%w: array index: row %d is %d, want %d to %d", ErrFormat, i+1, end, from, len(times))
		}
		t := Train{TStart: starts[i], TStop: stops[i], Name: names[i]}
		if end > from {
			t.Times = times[from:end:end]
		}
		var err error
		if t.Unit, err = unit.DimensionTime.Parse(units[i]); err == nil {
			err = c.addBounded(t)
		}
		if err != nil {
			return &TrainError{Index: i, Err: err}
		}
		from = end
	}
	return nil
}

// readValues reads all values of an array of shape (n,).
func readValues[T npy.Item](archive *npy.Archive, name string, values *[]T) error {
	a, err := readColumn(archive, name)
	if err != nil {
		return fmt.Errorf("array %s: %w", name, err)
	}
	if *values, err = npy.Values[T](a); err != nil {
		return fmt.Errorf("%w: array %s: %w", ErrFormat, name, err)
	}
	return nil
}
