package spike

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parade-go/parade/internal/mmap"
	"github.com/parade-go/parade/unit"
)

// ReadOptions are the choices of ReadFile. What a file says itself is never
// overruled: an option that contradicts it is an error, and so is one that means
// nothing for the kind of file.
type ReadOptions struct {
	// Unit is the unit of the times, required where the file does not say it.
	Unit unit.Unit
	// TStart is the beginning of every train; unset is what the file says, or 0.
	TStart unit.Time
	// TStop is the end of every train; unset is what the file says, or its last
	// spike.
	TStop unit.Time
	// SamplingRate says that times are sample numbers of a recording of that
	// rate: a spike at sample i is at i divided by the rate, in Unit or, where
	// that is unset, in seconds. It is required where a file has sample numbers
	// and does not say their rate, and means nothing for .json and .nwb.
	SamplingRate unit.Rate
	// TimeColumn names the column of times in a .csv, .tsv or .txt, or the array
	// in a .npz; unset is as ReadFile says. Its name says its unit as usual.
	TimeColumn string
	// TrainColumn names the column of trains, likewise. Where either is given,
	// other columns are allowed and left out.
	TrainColumn string
	// Labels are the labels of the clusters wanted from a Kilosort folder, such
	// as "good", or of the units of a .nwb; none means all.
	Labels []string
}

// FileError says what is wrong in which row of a file. It wraps ErrFormat,
// ErrTimes, ErrInterval, ErrRate, unit.ErrDimension, unit.ErrSyntax or an error
// of package os, and from WriteFile also ErrMixedUnits or ErrNoTrains.
type FileError struct {
	Path string
	Row  int // the line of a text, the row of an array, from 1; 0 where no one row is to blame
	Err  error
}

// Error gives path, row and reason.
func (e *FileError) Error() string {
	reason := strings.TrimPrefix(e.Err.Error(), "spike: ")
	if e.Row > 0 {
		return fmt.Sprintf("spike: %s: row %d: %s", e.Path, e.Row, reason)
	}
	return fmt.Sprintf("spike: %s: %s", e.Path, reason)
}

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// fileError makes a *FileError, of an error of package os without the path that
// it repeats.
func fileError(path string, row int, err error) error {
	if file := (*FileError)(nil); errors.As(err, &file) {
		return err // of one file of a folder
	}
	if inner := (*os.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, mmap.ErrNotRegular) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &FileError{Path: path, Row: row, Err: err}
}

// ReadFile reads spike trains from a file, all of it or, with a *FileError,
// nothing. Times may be in any order. Files are mapped: memory is taken for the
// trains, not for the file. The kind of file is that of its ending.
//
// A .csv or .tsv file, of columns between commas or tabs, begins with a line of
// their names. The column of times is named time, times, spike_time or
// spike_times, followed by its unit as in time_ms, "time [ms]" or "time (ms)"; a
// name without unit needs ReadOptions.Unit. With ReadOptions.SamplingRate it may
// also be named sample, samples, spike_sample or spike_samples. A column named
// train, trains, train_id, unit, unit_id, neuron, cluster, clusters, cluster_id or
// spike_clusters says to which train a spike belongs; without it the file is one
// train. There are no other columns, unless ReadOptions name these two, but the
// first may be an index without name, as pandas writes: 0, 1, 2 and so on. Lines that begin with # are
// comments; the last line needs no line feed.
//
// A .txt file is the same with columns between spaces or tabs, and the line of
// names may be missing: one column then has the times, and two are train and time.
//
// A .npy file holds integers or floats: of shape (n,), (n, 1) or (1, n) the
// times of one train, of shape (n, 2) rows of train and time. ReadOptions.Unit or SamplingRate
// is required.
//
// A .npz file is one of WriteFile, or has an array of times and another of trains,
// of one length and named as the columns of a .csv, or arrays named arr_0, arr_1
// and so on, as numpy.savez gives, of the times of a train each.
//
// A .json file is a list of objects whose keys are the arguments of
// neo.SpikeTrain: times, units, t_stop, t_start and name.
//
// A .nwb file, or .h5 or .hdf5 of that content, has a table of units, whose
// spike_times are in seconds and whose obs_intervals, if there are any, say
// t_start and t_stop; of a unit that was observed more than once the options have
// to. ReadOptions.Labels compare with the column quality, group or KSLabel, the
// first that there is. HDF5 is read without a library: what is not known here,
// such as filters other than gzip, shuffle and fletcher32, is an error that says
// how to rewrite the file.
//
// A folder is the result of Kilosort or phy: spike_times.npy has sample numbers,
// spike_clusters.npy or, without it, spike_templates.npy the cluster of each, and
// params.py the sample_rate; without that, ReadOptions.SamplingRate is required.
// Each cluster is a train. ReadOptions.Labels compare with the column group of
// cluster_info.tsv, else of cluster_group.tsv, else with KSLabel of
// cluster_KSLabel.tsv or one of the others: the first column that labels any
// cluster counts for all, and a cluster that it leaves out is "unsorted".
//
// Trains are named by their ids and in the order of them, ids that are all whole
// numbers by value and others by first appearance; those of .json, of .npz from
// WriteFile and of .nwb are in the order of the file. A silent train, which has no
// row, cannot be in a .csv, .tsv, .txt or .npy of several trains.
func ReadFile(path string, opts ReadOptions) ([]Train, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, 0, err)
	}
	if info.IsDir() {
		return readFolder(path, opts)
	}
	c := collector{opts: opts}
	var read func(data []byte) (row int, err error)
	const nothing = "means nothing for such a file"
	ext := strings.ToLower(filepath.Ext(path))
	columns := opts.TimeColumn != "" || opts.TrainColumn != ""
	labels := len(opts.Labels) > 0
	samples := opts.SamplingRate.IsSet()
	nwb := ext == ".nwb" || ext == ".h5" || ext == ".hdf5"
	switch ext {
	case ".csv":
		read = func(data []byte) (int, error) { return c.readText(data, ',') }
	case ".tsv":
		read = func(data []byte) (int, error) { return c.readText(data, '\t') }
	case ".txt":
		read = func(data []byte) (int, error) { return c.readText(data, ' ') }
	case ".npy":
		read = c.readNPY
	case ".npz":
		read = c.readNPZ
	case ".json":
		read = c.readJSON
	case ".nwb", ".h5", ".hdf5":
		read = c.readNWB
	default:
		reason := fmt.Sprintf("cannot read %q files", ext)
		if ext == "" {
			reason = "its name has no ending to say what it is"
		}
		return nil, fileError(path, 0, fmt.Errorf("%w: %s, want .csv, .tsv, .txt, .npy, .npz, .json, .nwb, .h5, .hdf5 or a Kilosort folder", ErrFormat, reason))
	}
	switch {
	case labels && !nwb:
		return nil, fileError(path, 0, fmt.Errorf("%w: a choice of labels %s", ErrFormat, nothing))
	case columns && (ext == ".npy" || ext == ".json" || nwb):
		return nil, fileError(path, 0, fmt.Errorf("%w: the name of a column %s", ErrFormat, nothing))
	case samples && (ext == ".json" || nwb):
		return nil, fileError(path, 0, fmt.Errorf("%w: a sampling rate %s, its times are in units of time", ErrFormat, nothing))
	}
	if row, err := readMapped(path, read); err != nil {
		return nil, fileError(path, row, err)
	}
	trains, err := c.trains()
	if err != nil {
		return nil, fileError(path, 0, err)
	}
	return trains, nil
}

// readMapped maps a file and reads it; nothing of data may be kept.
func readMapped(path string, read func(data []byte) (row int, err error)) (row int, err error) {
	f, err := mmap.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	err = f.Guard(func() (err error) {
		row, err = read(f.Data)
		return err
	})
	if errors.Is(err, mmap.ErrChanged) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return row, err
}

// collector gathers the spikes of a file by train.
type collector struct {
	opts        ReadOptions
	unit        unit.Unit
	perUnit     float64 // samples in one unit of time, or 0 where times are no sample numbers
	start, stop float64 // stop is +Inf while unknown
	last        float64 // the last spike of all, or start
	names       []string
	times       [][]float64
	index       map[string]int // of a name in names
	ready       []Train        // those that the file has with their bounds
}

// begin takes the unit that the file states, or Dimensionless for none.
func (c *collector) begin(stated unit.Unit) error {
	var err error
	if c.unit, err = c.unitOf(stated); err != nil {
		return err
	}
	if c.opts.SamplingRate.IsSet() {
		rate, err := c.opts.SamplingRate.In(c.unit.Inverse())
		if err != nil {
			return fmt.Errorf("sampling rate: %w", err)
		}
		if c.perUnit = rate.Value; !(c.perUnit > 0) || math.IsInf(c.perUnit, 1) {
			return fmt.Errorf("%w: the sampling rate is %v", ErrRate, c.opts.SamplingRate)
		}
	}
	if c.start, err = inOr(c.opts.TStart, c.unit, 0); err != nil {
		return fmt.Errorf("t_start: %w", err)
	}
	if c.stop, err = inOr(c.opts.TStop, c.unit, math.Inf(1)); err != nil {
		return fmt.Errorf("t_stop: %w", err)
	}
	if !(c.start <= c.stop) {
		return fmt.Errorf("%w: t_stop (%v) is before t_start (%v)", ErrInterval, c.opts.TStop, c.quantity(c.start))
	}
	c.last = c.start
	c.index = make(map[string]int)
	return nil
}

// unitOf settles on the unit that the file or the options state.
func (c *collector) unitOf(stated unit.Unit) (unit.Unit, error) {
	u := stated
	switch samples := c.opts.SamplingRate.IsSet(); {
	case samples && stated != unit.Dimensionless:
		return 0, fmt.Errorf("%w: the file says that times are in %s, not sample numbers: give no sampling rate", ErrFormat, stated)
	case samples && c.opts.Unit == unit.Dimensionless:
		u = unit.Second
	case stated == unit.Dimensionless && c.opts.Unit == unit.Dimensionless:
		return 0, fmt.Errorf("%w: the file does not say the unit of its times: give it with ReadOptions.Unit", unit.ErrDimension)
	case stated == unit.Dimensionless:
		u = c.opts.Unit
	case c.opts.Unit != unit.Dimensionless && c.opts.Unit != stated:
		return 0, fmt.Errorf("%w: the file says that times are in %s, not in %s", ErrFormat, stated, c.opts.Unit)
	}
	if u.Dimension() != unit.DimensionTime {
		return 0, fmt.Errorf("%w: %s is not a unit of time", unit.ErrDimension, u)
	}
	return u, nil
}

func (c *collector) quantity(v float64) unit.Time { return unit.Time{Value: v, Unit: c.unit} }

// train gives the index of the train of that name, a new one if need be.
func (c *collector) train(name string) int {
	i, ok := c.index[name]
	if !ok {
		i = len(c.names)
		c.index[name] = i
		c.names = append(c.names, name)
		c.times = append(c.times, nil)
	}
	return i
}

// checkName refuses what no program means for the id of a train.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it does not name its train", ErrFormat)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: the name of the train, %.40q, is no UTF-8", ErrFormat, name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: the name of the train, %.40q, has a control character", ErrFormat, name)
	}
	return nil
}

// time gives the time of a number of the file.
func (c *collector) time(v float64) (float64, error) {
	if c.perUnit != 0 {
		if v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
			return 0, fmt.Errorf("%w: the sample number %s is not a whole number below 2^53", ErrTimes, unit.FormatFloat(v))
		}
		v /= c.perUnit
	}
	if c.start <= v && v <= c.stop && !math.IsInf(v, 0) {
		c.last = max(c.last, v)
		return v, nil
	}
	return 0, timeError(v, c.start, c.stop, c.unit)
}

// timeError says which rule of a train the time breaks.
func timeError(v, start, stop float64, u unit.Unit) error {
	at := func(v float64) unit.Time { return unit.Time{Value: v, Unit: u} }
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Errorf("%w: the time is %s", ErrTimes, unit.FormatFloat(v))
	case v < start:
		return fmt.Errorf("%w: the time %v is before t_start (%v)", ErrTimes, at(v), at(start))
	}
	return fmt.Errorf("%w: the time %v is after t_stop (%v)", ErrTimes, at(v), at(stop))
}

// add adds a spike to train i.
func (c *collector) add(i int, v float64) error {
	t, err := c.time(v)
	if err == nil {
		c.times[i] = append(c.times[i], t)
	}
	return err
}

// addAll adds spikes to train i. It keeps times where the train has none yet.
// An error comes with the index of the time.
func (c *collector) addAll(i int, times []float64) (int, error) {
	for j, v := range times {
		t, err := c.time(v)
		if err != nil {
			return j, err
		}
		times[j] = t
	}
	if len(c.times[i]) == 0 && len(times) > 0 {
		c.times[i] = times
	} else {
		c.times[i] = append(c.times[i], times...)
	}
	return 0, nil
}

// addBounded adds a train that the file has with its unit and bounds. The options
// may repeat them, and give those that are NaN or Dimensionless.
func (c *collector) addBounded(t Train) error {
	var err error
	if t.Unit, err = c.unitOf(t.Unit); err != nil {
		return err
	}
	for _, bound := range []struct {
		name, option string
		in           *float64
		given        unit.Time
		unset        float64
	}{{"t_start", "TStart", &t.TStart, c.opts.TStart, 0}, {"t_stop", "TStop", &t.TStop, c.opts.TStop, math.NaN()}} {
		v, err := inOr(bound.given, t.Unit, bound.unset)
		switch stated := *bound.in; {
		case err != nil:
			return fmt.Errorf("%s: %w", bound.name, err)
		case math.IsNaN(stated):
			*bound.in = v
		case bound.given.IsSet() && v != stated:
			return fmt.Errorf("%w: the file says that %s is %v, not %v", ErrFormat, bound.name, unit.Time{Value: stated, Unit: t.Unit}, bound.given)
		}
		if math.IsNaN(*bound.in) || math.IsInf(*bound.in, 0) {
			return fmt.Errorf("%w: the file does not say %s: give it with ReadOptions.%s", ErrInterval, bound.name, bound.option)
		}
	}
	if !(t.TStart <= t.TStop) {
		return fmt.Errorf("%w: t_stop (%v) is before t_start (%v)", ErrInterval, t.Stop(), t.Start())
	}
	if !utf8.ValidString(t.Name) {
		return fmt.Errorf("%w: the name of the train, %.40q, is no UTF-8", ErrFormat, t.Name)
	}
	for i, v := range t.Times {
		if !(t.TStart <= v && v <= t.TStop) {
			return fmt.Errorf("spike %d: %w", i, timeError(v, t.TStart, t.TStop, t.Unit))
		}
	}
	c.ready = append(c.ready, t)
	return nil
}

// trains gives what was gathered.
func (c *collector) trains() ([]Train, error) {
	if c.ready != nil {
		return c.ready, nil
	}
	if len(c.names) == 0 {
		return nil, fmt.Errorf("%w: it has no rows, so no trains", ErrFormat)
	}
	stop := c.stop
	if !c.opts.TStop.IsSet() {
		stop = c.last
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
