package spike

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parade-go/parade/internal/wholefile"
	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/unit"
)

// WriteFile writes trains to a file whose ending says how. All of it is written
// or, with a *FileError, nothing: an older file of that name stays as it was. What
// it writes, ReadFile reads back to the last bit.
//
// A .json is a list of the arguments of neo.SpikeTrain:
//
//	trains = [neo.SpikeTrain(**t) for t in json.load(open("trains.json"))]
//
// A .npz, smaller and faster, has the array times of all trains one after the
// other, and for each train index, the end of its times, t_start, t_stop, units
// and names:
//
//	f = numpy.load("trains.npz")
//	trains = [neo.SpikeTrain(times, units=str(u), t_start=a, t_stop=b, name=str(n)) for times, u, a, b, n in
//	          zip(numpy.split(f["times"], f["index"]), f["units"], f["t_start"], f["t_stop"], f["names"])]
//
// A .csv or .tsv has a row for each spike, of its train's name and its time, or of
// its time alone if there is one train without a name. It does not hold t_start
// and t_stop, which ReadFile must be given, nor silent trains among others, nor
// trains that differ in unit. Names must differ; if no train has one, their
// indices stand for them.
//
// A path that is no regular file, such as /dev/stdout, is written to as it is.
func WriteFile(path string, trains []Train) error {
	if err := writeFile(path, trains); err != nil {
		return fileError(path, 0, err)
	}
	return nil
}

// WriteCSV writes trains to a stream as WriteFile writes a .csv: all of it or,
// where a .csv cannot hold the trains, nothing. The error wraps those of WriteFile,
// or is that of w.
func WriteCSV(w io.Writer, trains []Train) error {
	if err := checkWritten(trains); err != nil {
		return err
	}
	return writeText(w, trains, ',')
}

// checkWritten refuses trains that no file can hold.
func checkWritten(trains []Train) error {
	if len(trains) == 0 {
		return fmt.Errorf("spike: %w: nothing to write", ErrNoTrains)
	}
	for i, t := range trains {
		err := t.Validate()
		if err == nil && (math.IsInf(t.TStart, 0) || math.IsInf(t.TStop, 0)) {
			err = fmt.Errorf("%w: its bounds are not finite", ErrInterval)
		}
		if err == nil && !utf8.ValidString(t.Name) {
			err = fmt.Errorf("%w: its name, %.40q, is no UTF-8", ErrFormat, t.Name)
		}
		if err != nil {
			return &TrainError{Index: i, Err: err}
		}
	}
	return nil
}

func writeFile(path string, trains []Train) error {
	if err := checkWritten(trains); err != nil {
		return err
	}
	var write func(w io.Writer, trains []Train) error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".csv":
		write = func(w io.Writer, trains []Train) error { return writeText(w, trains, ',') }
	case ".tsv":
		write = func(w io.Writer, trains []Train) error { return writeText(w, trains, '\t') }
	case ".npz":
		write = writeNPZ
	case ".json":
		write = writeJSON
	default:
		return fmt.Errorf("%w: cannot write %q files, want .csv, .tsv, .npz or .json", ErrFormat, ext)
	}
	return wholefile.Write(path, func(w io.Writer) error { return write(w, trains) })
}

// writeNPZ writes trains as readRagged reads them.
func writeNPZ(w io.Writer, trains []Train) error {
	archive := npy.NewArchiveWriter(w)
	n := len(trains)
	var times []float64
	ends := make([]int64, n)
	starts, stops := make([]float64, n), make([]float64, n)
	units, names := make([]string, n), make([]string, n)
	for i, t := range trains {
		times = append(times, t.Times...)
		ends[i] = int64(len(times))
		starts[i], stops[i], units[i], names[i] = t.TStart, t.TStop, t.Unit.String(), t.Name
	}
	return errors.Join(writeArray(archive, "times", times), writeArray(archive, "index", ends),
		writeArray(archive, "t_start", starts), writeArray(archive, "t_stop", stops),
		writeArray(archive, "units", units), writeArray(archive, "names", names), archive.Close())
}

func writeArray[T npy.Item](archive *npy.ArchiveWriter, name string, values []T) error {
	a, err := npy.New(values)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
	}
	return archive.Write(name, a)
}

// writeText writes trains as readText reads them.
func writeText(w io.Writer, trains []Train, comma byte) error {
	names, err := textNames(trains)
	if err != nil {
		return err
	}
	var b []byte
	if names != nil {
		b = append(b, "train"...)
		b = append(b, comma)
	}
	b = fmt.Appendf(b, "time_%s\n", trains[0].Unit)
	for i, t := range trains {
		name := ""
		if names != nil {
			if name = names[i]; strings.ContainsAny(name, string(comma)+`"#`) {
				name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
			}
			name += string(comma)
		}
		for _, v := range t.Times {
			b = append(b, name...)
			b = append(append(b, unit.FormatFloat(v)...), '\n')
			if len(b) > 1<<16 {
				if _, err := w.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
	}
	_, err = w.Write(b)
	return err
}

// textNames gives the names of trains in a text, or nil for one without a name.
// An error says what a text cannot hold.
func textNames(trains []Train) ([]string, error) {
	const instead = "write .npz or .json, which can"
	named := false
	for _, t := range trains {
		named = named || t.Name != ""
	}
	if !named && len(trains) == 1 {
		return nil, nil
	}
	names := make([]string, len(trains))
	index := make(map[string]int)
	for i, t := range trains {
		names[i] = t.Name
		if !named {
			names[i] = strconv.Itoa(i)
		}
		var err error
		switch j, twice := index[names[i]]; {
		case t.Unit != trains[0].Unit:
			err = fmt.Errorf("%w: it is in %s, the first in %s: %s", ErrMixedUnits, t.Unit, trains[0].Unit, instead)
		case len(t.Times) == 0:
			err = fmt.Errorf("%w: it is silent, which rows of spikes cannot say: %s", ErrFormat, instead)
		case t.Name == "" && named:
			err = fmt.Errorf("%w: it has no name, as others have", ErrFormat)
		case twice:
			err = fmt.Errorf("%w: its name, %q, is that of train %d", ErrFormat, t.Name, j)
		case t.Name != strings.TrimSpace(t.Name) || strings.ContainsFunc(t.Name, unicode.IsControl):
			err = fmt.Errorf("%w: its name, %.40q, has space around it or a control character, which a text does not hold: %s", ErrFormat, t.Name, instead)
		}
		if err != nil {
			return nil, &TrainError{Index: i, Err: err}
		}
		index[names[i]] = i
	}
	return names, nil
}
