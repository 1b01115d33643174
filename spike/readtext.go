package spike

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/unit"
)

// trainNames are the names of a column of trains.
var trainNames = []string{"train", "trains", "train_id", "unit", "unit_id", "neuron", "cluster", "clusters", "cluster_id", "spike_clusters"}

var (
	timeColumn   = regexp.MustCompile(`(?i)^(?:spike_)?times?(?:_(\S+)|\s*\[\s*(\S+)\s*\]|\s*\(\s*(\S+)\s*\))?$`)
	sampleColumn = regexp.MustCompile(`(?i)^(?:spike_)?samples?$`)
	trainColumn  = regexp.MustCompile(`(?i)^(?:` + strings.Join(trainNames, "|") + `)$`)
	// A column of another name, chosen by the user, may end with its unit as well.
	chosenColumn = regexp.MustCompile(`(?:_([^\s_]+)|\[\s*(\S+)\s*\]|\(\s*(\S+)\s*\))$`)
)

// columns finds the columns, or arrays as kind says, by their names; trainAt is -1
// where there is none.
func (c *collector) columns(kind string, header []string) (timeAt, trainAt int, stated unit.Unit, err error) {
	fail := func(format string, args ...any) (int, int, unit.Unit, error) {
		return 0, 0, 0, fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
	}
	timeAt, trainAt = -1, -1
	samples := c.opts.SamplingRate.IsSet()
	chosen := c.opts.TimeColumn != "" || c.opts.TrainColumn != ""
	for i, name := range header {
		isTime := timeColumn.MatchString(name) || sampleColumn.MatchString(name)
		if c.opts.TimeColumn != "" {
			isTime = name == c.opts.TimeColumn
		}
		isTrain := trainColumn.MatchString(name)
		if c.opts.TrainColumn != "" {
			isTrain = name == c.opts.TrainColumn
		}
		switch {
		case isTime && timeAt < 0:
			timeAt = i
		case isTrain && trainAt < 0 && !isTime:
			trainAt = i
		case isTime || isTrain:
			option := "TimeColumn"
			if isTrain {
				option = "TrainColumn"
			}
			return fail("%s %q is a second one of its kind: choose with ReadOptions.%s", kind, name, option)
		case !chosen:
			return fail("%s %q is not wanted here, want one of times, named time, times, spike_time or spike_times and its unit as in time_ms, and one of trains, named %s; or choose with ReadOptions.TimeColumn and ReadOptions.TrainColumn",
				kind, name, strings.Join(trainNames, ", "))
		}
	}
	if c.opts.TimeColumn != "" && timeAt < 0 {
		return fail("there is no %s %q, want one of %q", kind, c.opts.TimeColumn, header)
	}
	if c.opts.TrainColumn != "" && trainAt < 0 {
		return fail("there is no %s %q, want one of %q", kind, c.opts.TrainColumn, header)
	}
	if timeAt < 0 {
		return fail("there is no %s of times, such as time_ms or time [s]", kind)
	}
	name := header[timeAt]
	if sampleColumn.MatchString(name) && !samples {
		return fail("%s %q has sample numbers: give the sampling rate with ReadOptions.SamplingRate", kind, name)
	}
	found := timeColumn.FindStringSubmatch(name)
	usual := found != nil
	if !usual {
		found = chosenColumn.FindStringSubmatch(name)
	}
	if found != nil && found[1]+found[2]+found[3] != "" {
		stated, err = unit.DimensionTime.Parse(found[1] + found[2] + found[3])
		if err != nil && !usual && found[1] != "" {
			stated, err = unit.Dimensionless, nil // a part of the name, as in spike_peak
		}
	}
	if err != nil {
		return 0, 0, 0, fmt.Errorf("%s %q: %w", kind, name, err)
	}
	return timeAt, trainAt, stated, nil
}

// readText reads columns between commas, tabs or, for ' ', any white space; row
// is the line to which the error belongs.
func (c *collector) readText(data []byte, comma byte) (row int, err error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		return 1, fmt.Errorf("%w: it is UTF-16, want UTF-8: save it as CSV UTF-8", ErrFormat)
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")): // the mark of UTF-8
		data = data[3:]
	}
	if first, _, _ := bytes.Cut(data, []byte("\n")); bytes.IndexByte(bytes.TrimRight(first, "\r"), '\r') >= 0 {
		return 1, fmt.Errorf("%w: its lines end in a carriage return alone: save it with line feeds", ErrFormat)
	}
	lines := textLines{data: data, comma: comma}
	if !lines.next() {
		return lines.row, cmp.Or(lines.err, fmt.Errorf("%w: it is empty, want a line of column names such as train,time_ms", ErrFormat))
	}
	header := make([]string, len(lines.fields))
	for i, f := range lines.fields {
		header[i] = string(f)
	}
	width := len(header)
	var timeAt, trainAt int
	var stated unit.Unit
	bare := false    // there is no line of names
	indexed := false // the first column counts the rows
	if _, ok := parseNumber(lines.fields[0]); comma == ' ' && ok {
		bare = true
		switch {
		case c.opts.TimeColumn != "" || c.opts.TrainColumn != "":
			return lines.row, fmt.Errorf("%w: its first line has no names of columns to choose from", ErrFormat)
		case width == 1:
			trainAt = -1
		case width == 2:
			timeAt = 1
		default:
			return lines.row, fmt.Errorf("%w: it has %d columns without names, want times, or train and time", ErrFormat, width)
		}
	} else {
		if !slices.ContainsFunc(lines.fields, func(f []byte) bool { _, ok := parseNumber(f); return !ok }) {
			names := []string{"train", "time_ms"}[max(2-width, 0):]
			return lines.row, fmt.Errorf("%w: the line of column names is missing: begin with one such as %q", ErrFormat, strings.Join(names, string(comma)))
		}
		names := header
		if indexed = width > 1 && header[0] == "" && c.opts.TimeColumn == "" && c.opts.TrainColumn == ""; indexed {
			names = header[1:]
		}
		if timeAt, trainAt, stated, err = c.columns("column", names); err != nil {
			return lines.row, lines.advise(header, err)
		}
		if indexed {
			timeAt++
			if trainAt >= 0 {
				trainAt++
			}
		}
	}
	if err := c.begin(stated); err != nil {
		return lines.row, err
	}
	i, last := 0, []byte(nil)
	if trainAt < 0 {
		i = c.train("")
	}
	rows := 0
	for more := bare || lines.next(); more; more = lines.next() {
		if n := len(lines.fields); n != width {
			hint := ""
			if !slices.ContainsFunc(lines.fields, func(f []byte) bool { return len(f) > 0 }) {
				return lines.row, notNumber(nil)
			}
			if n > width && comma == ',' {
				hint = "; is its decimal sign a comma? want a point"
			}
			return lines.row, fmt.Errorf("%w: wrong number of fields: %d, want %d%s", ErrFormat, n, width, hint)
		}
		if indexed {
			if i, ok := parseNumber(lines.fields[0]); !ok || i != float64(rows) {
				return lines.row, fmt.Errorf("%w: the first column has no name and does not count the rows: it is %.40q, want %d; name it, or write the file without it (in pandas with index=False)", ErrFormat, lines.fields[0], rows)
			}
			rows++
		}
		t, ok := parseNumber(lines.fields[timeAt])
		if !ok {
			return lines.row, notNumber(lines.fields[timeAt])
		}
		if trainAt >= 0 {
			if name := lines.fields[trainAt]; last == nil || !bytes.Equal(name, last) {
				var known bool
				if i, known = c.index[string(name)]; !known {
					if err := checkName(string(name)); err != nil {
						return lines.row, err
					}
					i = c.train(string(name))
				}
				last = append(last[:0], name...) // a quoted field is overwritten
			}
		}
		if err := c.add(i, t); err != nil {
			return lines.row, err
		}
	}
	return lines.row, lines.err
}

// notNumber says why a time is no number.
func notNumber(field []byte) error {
	if len(field) == 0 {
		return fmt.Errorf("%w: it has no time", ErrFormat)
	}
	if point := bytes.Replace(field, []byte(","), []byte("."), 1); !bytes.Equal(point, field) {
		if _, ok := parseNumber(point); ok {
			return fmt.Errorf("%w: the time %q has a decimal comma, want a point", ErrFormat, field)
		}
	}
	return fmt.Errorf("%w: the time %.40q is not a number", ErrFormat, field)
}

// textLines goes through the lines of a text that are neither empty nor comments.
type textLines struct {
	data   []byte // the rest
	comma  byte   // ' ' for any white space
	row    int    // the line of fields, from 1
	read   int    // lines that were read, row among them
	fields [][]byte
	err    error
}

// next finds the fields of the next line, without the spaces around them.
func (l *textLines) next() bool {
	for len(l.data) > 0 {
		line, rest, _ := bytes.Cut(l.data, []byte("\n"))
		l.read++
		l.row = l.read
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 || line[0] == '#' || l.comma == ' ' && len(bytes.TrimSpace(line)) == 0 {
			l.data = rest
			continue
		}
		switch {
		case l.comma == ' ':
			l.fields = l.fields[:0]
			for f := range bytes.FieldsSeq(line) {
				l.fields = append(l.fields, f)
			}
		case !l.split(line):
			return l.quoted()
		}
		l.data = rest
		return true
	}
	l.row = 0
	return false
}

// split finds the fields of a line. It is not ok where quotes do more than stand
// around a field.
func (l *textLines) split(line []byte) (ok bool) {
	l.fields = l.fields[:0]
	for {
		field, rest := line, []byte(nil)
		at := bytes.IndexByte(line, l.comma)
		if at >= 0 {
			field, rest = line[:at], line[at+1:]
		}
		field = trimSpace(field)
		if bytes.IndexByte(field, '"') >= 0 {
			if n := len(field); n < 2 || field[0] != '"' || field[n-1] != '"' || bytes.Count(field, []byte(`"`)) != 2 {
				return false
			}
			field = trimSpace(field[1 : len(field)-1])
		}
		l.fields = append(l.fields, field)
		if at < 0 {
			return true
		}
		line = rest
	}
}

// trimSpace spares most fields the call of bytes.TrimSpace.
func trimSpace(b []byte) []byte {
	if n := len(b); n > 0 && b[0]-'!' < 0x5e && b[n-1]-'!' < 0x5e {
		return b // it begins and ends with visible ASCII
	}
	return bytes.TrimSpace(b)
}

// quoted lets package csv read a record with quotes, which may be longer than a
// line.
func (l *textLines) quoted() bool {
	r := csv.NewReader(bytes.NewReader(l.data))
	r.Comma = rune(l.comma)
	r.TrimLeadingSpace = l.comma != '\t' // a tab is a space to package csv
	record, err := r.Read()
	if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
		l.row += parse.Line - 1
		l.err = fmt.Errorf("%w: %w", ErrFormat, parse.Err)
		return false
	} else if err != nil {
		l.err = fmt.Errorf("%w: %w", ErrFormat, err)
		return false
	}
	l.fields = l.fields[:0]
	for _, field := range record {
		l.fields = append(l.fields, bytes.TrimSpace([]byte(field)))
	}
	n := r.InputOffset()
	l.read += max(bytes.Count(l.data[:n], []byte("\n"))-1, 0)
	l.data = l.data[n:]
	return true
}

// advise adds what a wrong separator has done to the names of the columns.
func (l *textLines) advise(header []string, err error) error {
	if len(header) != 1 {
		return err
	}
	for _, other := range []struct{ comma, advice string }{
		{";", "its columns are separated by semicolons, want commas, and points as decimal signs"},
		{"\t", "its columns are separated by tabs: name it .tsv"},
		{",", "its columns are separated by commas: name it .csv"},
	} {
		if strings.Contains(header[0], other.comma) && other.comma[0] != l.comma {
			return fmt.Errorf("%w: %s", ErrFormat, other.advice)
		}
	}
	return err
}

var powersOf10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseNumber reads a decimal number, inf or nan. A mantissa of up to 2^53 and a
// power of ten of up to 22 are both exact floats, so that one multiplication or
// division rounds correctly (Clinger 1990); strconv has all other numbers.
func parseNumber(b []byte) (float64, bool) {
	i, negative := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		i = 1
	}
	var mantissa uint64
	digits, power := 0, 0
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		mantissa = mantissa*10 + uint64(b[i]-'0')
		digits++
	}
	if i < len(b) && b[i] == '.' {
		for i++; i < len(b) && b[i]-'0' < 10; i++ {
			mantissa = mantissa*10 + uint64(b[i]-'0')
			digits++
			power--
		}
	}
	if i < len(b) || digits == 0 || digits > 19 || mantissa > 1<<53 || power < -22 {
		return parseLong(b)
	}
	v := float64(mantissa) / powersOf10[-power]
	if negative {
		v = -v
	}
	return v, true
}

// parseLong reads the numbers that parseNumber does not: those with an exponent
// or too many digits. It refuses 0x10 and 1_000, which only Go reads.
func parseLong(b []byte) (float64, bool) {
	if bytes.ContainsAny(b, "xX_") {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil
}
