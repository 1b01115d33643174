package spike

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/unit"
)

// readFolder reads the folder that Kilosort writes and phy curates, see
// https://phy.readthedocs.io/en/latest/sorting_user_guide/.
func readFolder(folder string, opts ReadOptions) ([]Train, error) {
	timesPath := filepath.Join(folder, "spike_times.npy")
	if _, err := os.Stat(timesPath); errors.Is(err, fs.ErrNotExist) {
		return nil, fileError(folder, 0, fmt.Errorf("%w: a folder without spike_times.npy is no result of Kilosort or phy", ErrFormat))
	}
	if opts.TimeColumn != "" || opts.TrainColumn != "" {
		return nil, fileError(folder, 0, fmt.Errorf("%w: the name of a column means nothing for a folder of Kilosort", ErrFormat))
	}
	clustersPath := filepath.Join(folder, "spike_clusters.npy")
	if _, err := os.Stat(clustersPath); errors.Is(err, fs.ErrNotExist) {
		clustersPath = filepath.Join(folder, "spike_templates.npy")
	}
	var err error
	if opts.SamplingRate, err = sampleRate(filepath.Join(folder, "params.py"), opts.SamplingRate); err != nil {
		return nil, err
	}
	c := collector{opts: opts}
	if err := c.begin(unit.Dimensionless); err != nil {
		return nil, fileError(folder, 0, err)
	}
	name := trainID
	var labels map[string]string
	if len(opts.Labels) > 0 {
		if labels, err = readLabels(folder); err != nil {
			return nil, err
		}
		wanted := make(map[string]bool)
		for _, label := range opts.Labels {
			wanted[strings.ToLower(label)] = true
		}
		name = func(id float64) (string, error) {
			text, err := trainID(id)
			if err == nil && !wanted[labelOf(labels, text)] {
				text = ""
			}
			return text, err
		}
	}
	row, err := readMapped(timesPath, func(data []byte) (int, error) {
		times, err := parseColumn(data)
		if err != nil {
			return 0, err
		}
		row, err := readMapped(clustersPath, func(data []byte) (int, error) {
			clusters, err := parseColumn(data)
			if err != nil {
				return 0, err
			}
			if n, want := clusters.Len(), times.Len(); n != want {
				return 0, fmt.Errorf("%w: it has %d rows, want %d as spike_times.npy", ErrFormat, n, want)
			}
			return c.addSpikes(column{clusters, 0, 1, ""}, column{times, 0, 1, timesPath}, name)
		})
		if err != nil {
			return 0, fileError(clustersPath, row, err)
		}
		return 0, nil
	})
	if err != nil {
		return nil, fileError(timesPath, row, err)
	}
	if len(c.names) == 0 && labels != nil {
		has := slices.Sorted(maps.Values(labels))
		return nil, fileError(folder, 0, fmt.Errorf("%w: no cluster with spikes is labelled %s; there are %s", ErrFormat,
			strings.Join(opts.Labels, " or "), strings.Join(slices.Compact(has), ", ")))
	}
	trains, err := c.trains()
	if err != nil {
		return nil, fileError(folder, 0, err)
	}
	return trains, nil
}

// parseColumn takes an array of numbers of shape (n,) or (n, 1) from the bytes of
// a .npy file.
func parseColumn(data []byte) (npy.Array, error) {
	a, err := npy.Parse(data)
	if err != nil {
		return npy.Array{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !isColumn(a) {
		return npy.Array{}, fmt.Errorf("%w: its shape is %v, want (n,) or (n, 1)", ErrFormat, a.Shape)
	}
	return a, checkNumbers(a)
}

var rateAssignment = regexp.MustCompile(`^sample_rate\s*(?::[^=]*)?=([^=#][^#]*)`)

// sampleRate gives the sample_rate of a params.py, which is a program in Python,
// by reading its line as a number. The given one must be the same, or stands
// where there is no other.
func sampleRate(path string, given unit.Rate) (unit.Rate, error) {
	var rate unit.Rate
	row, err := readMapped(path, func(data []byte) (int, error) {
		row := 0
		for line := range bytes.Lines(data) {
			row++
			found := rateAssignment.FindSubmatch(line)
			if found == nil {
				continue
			}
			text := strings.TrimRight(strings.TrimSpace(string(found[1])), "; ")
			v, ok := parseNumber([]byte(strings.ReplaceAll(text, "_", "")))
			if !ok || !(v > 0) || v > 1e12 {
				return row, fmt.Errorf("%w: sample_rate is %.40q, want a number such as 30000.0", ErrFormat, text)
			}
			rate = unit.Hz(v) // the last one counts, as in Python
		}
		return 0, nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist) && given.IsSet():
		return given, nil
	case errors.Is(err, fs.ErrNotExist):
		return rate, fileError(path, 0, fmt.Errorf("%w, so the sampling rate is not known: give it with ReadOptions.SamplingRate", fs.ErrNotExist))
	case err != nil:
		return rate, fileError(path, row, err)
	case !rate.IsSet() && given.IsSet():
		return given, nil
	case !rate.IsSet():
		return rate, fileError(path, 0, fmt.Errorf("%w: it does not assign sample_rate: give the sampling rate with ReadOptions.SamplingRate", ErrFormat))
	case given.IsSet():
		same, err := given.In(unit.Hertz)
		if err != nil {
			return rate, fileError(path, 0, fmt.Errorf("sampling rate: %w", err))
		}
		if same != rate {
			return rate, fileError(path, 0, fmt.Errorf("%w: it says that the sampling rate is %v, not %v", ErrFormat, rate, given))
		}
	}
	return rate, nil
}

// labelOf gives the label of a cluster in lower case.
func labelOf(labels map[string]string, id string) string {
	if label := labels[id]; label != "" {
		return label
	}
	return "unsorted" // phy's word
}

// readLabels gives the labels of the clusters, in lower case and by id, from the
// first column that has any: a person's judgement before the program's.
func readLabels(folder string) (map[string]string, error) {
	const info, group, automatic = "cluster_info.tsv", "cluster_group.tsv", "cluster_KSLabel.tsv"
	for _, source := range []struct{ file, column string }{
		{info, "group"}, {group, "group"}, {automatic, "KSLabel"}, {info, "KSLabel"}, {group, "KSLabel"}, // Kilosort 4 writes the last
	} {
		path := filepath.Join(folder, source.file)
		var labels map[string]string
		row, err := readMapped(path, func(data []byte) (row int, err error) {
			labels, row, err = labelColumn(data, source.column)
			return row, err
		})
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fileError(path, row, err)
		case len(labels) > 0:
			return labels, nil
		}
	}
	return nil, fileError(folder, 0, fmt.Errorf("%w: none of %s, %s and %s labels its clusters", ErrFormat, info, group, automatic))
}

// labelColumn reads one column of a table of clusters; there may be none.
func labelColumn(data []byte, name string) (labels map[string]string, row int, err error) {
	lines := textLines{data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), comma: '\t'}
	if !lines.next() {
		return nil, lines.row, lines.err
	}
	width, idAt, labelAt := len(lines.fields), -1, -1
	for i, field := range lines.fields {
		switch f := string(field); {
		case strings.EqualFold(f, "cluster_id") || strings.EqualFold(f, "id"):
			idAt = i
		case strings.EqualFold(f, name):
			labelAt = i
		}
	}
	if idAt < 0 {
		return nil, lines.row, fmt.Errorf("%w: it has no column cluster_id", ErrFormat)
	}
	if labelAt < 0 {
		return nil, 0, nil
	}
	labels = make(map[string]string)
	for lines.next() {
		if n := len(lines.fields); n != width {
			return nil, lines.row, fmt.Errorf("%w: wrong number of fields: %d, want %d", ErrFormat, n, width)
		}
		n, err := strconv.ParseInt(string(lines.fields[idAt]), 10, 64)
		if err != nil {
			return nil, lines.row, fmt.Errorf("%w: the cluster is %.40q, want a whole number", ErrFormat, lines.fields[idAt])
		}
		id, label := strconv.FormatInt(n, 10), strings.ToLower(string(lines.fields[labelAt]))
		if label == "" {
			continue
		}
		if old, ok := labels[id]; ok && old != label {
			return nil, lines.row, fmt.Errorf("%w: cluster %s is labelled %s and %s", ErrFormat, id, old, label)
		}
		labels[id] = label
	}
	return labels, lines.row, lines.err
}
