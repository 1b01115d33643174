package spike

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/unit"
)

// ReadOptions are the choices of ReadFile.
type ReadOptions struct {
	// Unit is the unit of the times, required where the file does not say it.
	Unit unit.Unit
	// TStart is the beginning of every train; unset is 0.
	TStart unit.Time
	// TStop is the end of every train; unset is the last spike of the file.
	TStop unit.Time
}

// FileError says what is wrong in which row of a file. It wraps ErrFormat,
// ErrTimes, ErrInterval, unit.ErrDimension, unit.ErrSyntax or an error of
// package os.
type FileError struct {
	Path string
	Row  int // the line of a .csv, the row of a .npy, from 1; 0 where no one row is to blame
	Err  error
}

// Error gives path, row and reason.
func (e *FileError) Error() string {
	if e.Row > 0 {
		return fmt.Sprintf("spike: %s: row %d: %v", e.Path, e.Row, e.Err)
	}
	return fmt.Sprintf("spike: %s: %v", e.Path, e.Err)
}

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// ReadFile reads spike trains from a file, all of it or, with a *FileError,
// nothing. Times may be in any order.
//
// A .csv file begins with a line of column names. The column of times is named
// time, times, spike_time or spike_times, followed by its unit as in time_ms,
// "time [ms]" or "time (ms)"; a name without unit needs ReadOptions.Unit. A
// column named train, train_id, unit, unit_id or neuron says to which train a
// spike belongs; without it the file is one train. There are no other columns.
// Lines that begin with # are comments.
//
// A .npy file holds float64, float32 or int64 numbers: of shape (n,) the times of
// one train, of shape (n, 2) rows of train and time. ReadOptions.Unit is
// required.
//
// Trains are named by their ids and in the order of them, ids that are all whole
// numbers by value and others by first appearance. A silent train, which has no
// row, cannot be in a file of several trains.
func ReadFile(path string, opts ReadOptions) ([]Train, error) {
	fail := func(row int, err error) ([]Train, error) {
		// The operating system's error repeats the path.
		if inner := (*os.PathError)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, &FileError{Path: path, Row: row, Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(0, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fail(0, err)
	}
	if !info.Mode().IsRegular() {
		return fail(0, fmt.Errorf("%w: not a regular file", ErrFormat))
	}
	c := collector{opts: opts}
	var row int
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".csv":
		row, err = c.readCSV(f)
	case ".npy":
		row, err = c.readNPY(f, info.Size())
	default:
		err = fmt.Errorf("%w: cannot read %q files, want .csv or .npy", ErrFormat, ext)
	}
	if err != nil {
		return fail(row, err)
	}
	trains, err := c.trains()
	if err != nil {
		return fail(0, err)
	}
	return trains, nil
}

// collector gathers the spikes of a file by train.
type collector struct {
	opts        ReadOptions
	unit        unit.Unit
	start, stop float64 // stop is +Inf while unknown
	names       []string
	times       [][]float64
	index       map[string]int // of a name in names
}

// begin takes the unit that the file states, or Dimensionless for none.
func (c *collector) begin(stated unit.Unit) error {
	switch {
	case stated == unit.Dimensionless && c.opts.Unit == unit.Dimensionless:
		return fmt.Errorf("%w: the file does not say the unit of its times: give it", unit.ErrDimension)
	case stated == unit.Dimensionless:
		c.unit = c.opts.Unit
	case c.opts.Unit != unit.Dimensionless && c.opts.Unit != stated:
		return fmt.Errorf("%w: the file says that times are in %s, not in %s", ErrFormat, stated, c.opts.Unit)
	default:
		c.unit = stated
	}
	if c.unit.Dimension() != unit.DimensionTime {
		return fmt.Errorf("%w: %s is not a unit of time", unit.ErrDimension, c.unit)
	}
	var err error
	if c.start, err = inOr(c.opts.TStart, c.unit, 0); err != nil {
		return fmt.Errorf("t_start: %w", err)
	}
	if c.stop, err = inOr(c.opts.TStop, c.unit, math.Inf(1)); err != nil {
		return fmt.Errorf("t_stop: %w", err)
	}
	if !(c.start <= c.stop) {
		return fmt.Errorf("%w: t_stop (%v) is before t_start (%v)", ErrInterval, c.opts.TStop, c.quantity(c.start))
	}
	c.index = make(map[string]int)
	return nil
}

func (c *collector) quantity(v float64) unit.Time { return unit.Time{Value: v, Unit: c.unit} }

// train gives the index of the train of that name, a new one if need be.
func (c *collector) train(name string) int {
	i, ok := c.index[name]
	if !ok {
		i = len(c.names)
		name = strings.Clone(name) // it is a part of a whole line
		c.index[name] = i
		c.names = append(c.names, name)
		c.times = append(c.times, nil)
	}
	return i
}

// add adds a spike to train i.
func (c *collector) add(i int, t float64) error {
	switch {
	case math.IsNaN(t) || math.IsInf(t, 0):
		return fmt.Errorf("%w: the time is %s", ErrTimes, unit.FormatFloat(t))
	case t < c.start:
		return fmt.Errorf("%w: the time %v is before t_start (%v)", ErrTimes, c.quantity(t), c.quantity(c.start))
	case t > c.stop:
		return fmt.Errorf("%w: the time %v is after t_stop (%v)", ErrTimes, c.quantity(t), c.quantity(c.stop))
	}
	c.times[i] = append(c.times[i], t)
	return nil
}

// trains gives what was gathered.
func (c *collector) trains() ([]Train, error) {
	if len(c.names) == 0 {
		return nil, fmt.Errorf("%w: it has no rows, so no trains", ErrFormat)
	}
	stop := c.stop
	if !c.opts.TStop.IsSet() {
		stop = c.start
		for _, times := range c.times {
			for _, t := range times {
				stop = max(stop, t)
			}
		}
	}
	trains := make([]Train, len(c.names))
	ids := make(map[string]int64, len(c.names))
	for i, name := range c.names {
		trains[i] = Train{Times: c.times[i], Unit: c.unit, TStart: c.start, TStop: stop, Name: name}
		if id, err := strconv.ParseInt(name, 10, 64); err == nil {
			ids[name] = id
		}
	}
	if len(ids) == len(trains) {
		slices.SortStableFunc(trains, func(a, b Train) int {
			x, y := ids[a.Name], ids[b.Name]
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
	}
	return trains, nil
}

var (
	timeColumn  = regexp.MustCompile(`(?i)^(?:spike_)?times?(?:_(\S+)|\s*\[\s*(\S+)\s*\]|\s*\(\s*(\S+)\s*\))?$`)
	trainColumn = regexp.MustCompile(`(?i)^(?:train|train_id|unit|unit_id|neuron)$`)
)

// readCSV reads a .csv file; row is the line to which the error belongs.
func (c *collector) readCSV(f io.Reader) (row int, err error) {
	buffered := bufio.NewReaderSize(f, 1<<16)
	if bom, _ := buffered.Peek(3); string(bom) == "\xef\xbb\xbf" {
		buffered.Discard(3) //nolint:errcheck // the bytes were just seen
	}
	r := csv.NewReader(buffered)
	r.ReuseRecord = true
	r.Comment = '#'
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%w: it is empty, want a line of column names such as train,time_ms", ErrFormat)
	}
	if err != nil {
		return csvError(err)
	}
	timeAt, trainAt, stated, err := columns(header)
	if err == nil {
		err = c.begin(stated)
	}
	if err != nil {
		line, _ := r.FieldPos(0)
		return line, err
	}
	if trainAt < 0 {
		c.train("")
	}
	last, i := "", 0
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return csvError(err)
		}
		line, _ := r.FieldPos(0)
		text := strings.TrimSpace(record[timeAt])
		t, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return line, fmt.Errorf("%w: the time %q is not a number", ErrFormat, text)
		}
		if trainAt >= 0 {
			name := strings.TrimSpace(record[trainAt])
			if name == "" {
				return line, fmt.Errorf("%w: it does not name its train", ErrFormat)
			}
			if name != last {
				last, i = name, c.train(name)
			}
		}
		if err := c.add(i, t); err != nil {
			return line, err
		}
	}
}

// csvError gives the line and the reason of an error of package csv.
func csvError(err error) (int, error) {
	if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
		return parse.Line, fmt.Errorf("%w: %v", ErrFormat, parse.Err)
	}
	return 0, err
}

// columns finds the columns of a header; trainAt is -1 where there is none.
func columns(header []string) (timeAt, trainAt int, stated unit.Unit, err error) {
	timeAt, trainAt = -1, -1
	for i, name := range header {
		name = strings.TrimSpace(name)
		found := timeColumn.FindStringSubmatch(name)
		switch {
		case found != nil && timeAt < 0:
			timeAt = i
			if symbol := found[1] + found[2] + found[3]; symbol != "" {
				if stated, err = unit.Parse(symbol); err != nil {
					return 0, 0, 0, fmt.Errorf("column %q: %w", name, err)
				}
			}
		case trainColumn.MatchString(name) && trainAt < 0:
			trainAt = i
		default:
			return 0, 0, 0, fmt.Errorf("%w: column %q is not wanted here, want train and time with its unit, such as train,time_ms", ErrFormat, name)
		}
	}
	if timeAt < 0 {
		return 0, 0, 0, fmt.Errorf("%w: there is no column of times, such as time_ms or time [s]", ErrFormat)
	}
	return timeAt, trainAt, stated, nil
}
