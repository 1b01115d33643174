package command

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Format says how a source is divided into items and these into arguments. The
// zero Format is one argument a line.
//
// A line ends with a line feed; a carriage return before it, as Windows writes, is
// cut (GNU parallel keeps it), and so is a byte order mark at the beginning of a
// file. The last line needs no end. An empty line is an item, of one empty
// argument, as for GNU parallel. A NUL byte is an error, unless Null is set.
type Format struct {
	// Null says that items end with a NUL byte instead of a line feed, and are
	// kept as they are: -0.
	Null bool
	// Colsep divides an item into columns: --colsep. It is a regular expression of
	// package regexp. Blanks around columns are cut, as by GNU parallel.
	Colsep string
	// CSV says that the source is comma-separated values (RFC 4180), in which
	// quotes may hold commas, line ends and, doubled, quotes: --csv. A Colsep of
	// one character, or \t, takes the comma's place. Empty lines are left out.
	CSV bool
	// Header says that the first item names the columns, of which every other item
	// must have as many: --header.
	Header bool
	// SkipEmpty leaves items out that are empty or blank: --no-run-if-empty.
	SkipEmpty bool
	// MaxItem is how many bytes an item may have; 0 is 1 MiB. A longer one is an
	// error, so that a file that has no lines is not read into memory.
	MaxItem int
}

// divider is a Format made ready.
type divider struct {
	Format
	colsep *regexp.Regexp
	plain  bool // colsep has no special characters
	comma  rune
}

func (f Format) divider() (*divider, error) {
	if f.MaxItem <= 0 {
		f.MaxItem = 1 << 20
	}
	d := &divider{Format: f, comma: ','}
	switch {
	case f.CSV && f.Null:
		return nil, fmt.Errorf("command: %w: values cannot be both CSV and separated by NUL", ErrInput)
	case f.CSV && f.Colsep == `\t`:
		d.comma = '\t'
	case f.CSV && f.Colsep != "":
		r, size := utf8.DecodeRuneInString(f.Colsep)
		if size != len(f.Colsep) || r == utf8.RuneError || strings.ContainsRune("\"\r\n\x00", r) {
			return nil, fmt.Errorf("command: %w: %q cannot divide CSV: give one character", ErrInput, f.Colsep)
		}
		d.comma = r
	case f.Colsep != "":
		re, err := regexp.Compile(f.Colsep)
		if err != nil {
			return nil, fmt.Errorf("command: %w: the column separator %q is no regular expression: %w", ErrInput, f.Colsep, err)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("command: %w: the column separator %q matches between any two characters: for the text itself write %q", ErrInput, f.Colsep, regexp.QuoteMeta(f.Colsep))
		}
		d.colsep, d.plain = re, regexp.QuoteMeta(f.Colsep) == f.Colsep
	}
	return d, nil
}

// width is how many arguments an item has, 0 where it may be any number.
func (d *divider) width(columns []string) int {
	switch {
	case columns != nil:
		return len(columns)
	case d.CSV || d.colsep != nil:
		return 0
	}
	return 1
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// divide gives the columns of one item.
func (d *divider) divide(item, source string, line int) ([]string, error) {
	switch {
	case len(item) > d.MaxItem:
		return nil, d.tooLong(source, line)
	case hasNUL(item):
		return nil, nulByte(source, line)
	case d.CSV:
		r := d.csvReader(strings.NewReader(item))
		row, err := r.Read()
		if err == io.EOF {
			return []string{item}, nil
		}
		if err == nil {
			if _, more := r.Read(); more != io.EOF {
				return nil, refuse(source, line, "it has more than one line of CSV")
			}
			return row, nil
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, refuse(source, line, "%w", err)
	case d.colsep == nil:
		return []string{item}, nil
	}
	var columns []string
	if d.plain {
		columns = strings.Split(item, d.Colsep)
	} else {
		columns = d.colsep.Split(item, -1)
	}
	for i, c := range columns {
		columns[i] = strings.Trim(c, " \t\r\n")
	}
	return columns, nil
}

// row is divide for an item under a header.
func (d *divider) row(item, source string, line int, header []string) ([]string, error) {
	row, err := d.divide(item, source, line)
	if err != nil {
		return nil, err
	}
	return row, d.checkWidth(row, source, line, header)
}

func (d *divider) checkWidth(row []string, source string, line int, header []string) error {
	if header != nil && len(row) != len(header) {
		return refuse(source, line, "it has %d columns, the header has %d%s", len(row), len(header), d.otherComma(header))
	}
	return nil
}

// otherComma says what seems to divide the columns of a header that is no good as it is
// divided.
func (d *divider) otherComma(header []string) string {
	if !d.CSV || d.Colsep != "" {
		return ""
	}
	for _, name := range header {
		switch {
		case strings.Contains(name, ";"):
			return "; its columns seem to be divided by ;, which -C ';' says"
		case strings.Contains(name, "\t"):
			return `; its columns seem to be divided by tabs, which -C '\t' says`
		}
	}
	return ""
}

func (d *divider) tooLong(source string, line int) error {
	return refuse(source, line, "it is longer than %d bytes: is it a list?", d.MaxItem)
}

func nulByte(source string, line int) error {
	return refuse(source, line, "it has a NUL byte, which no command can get: is the list separated by NUL (-0), or UTF-16?")
}

func (d *divider) csvReader(r io.Reader) *csv.Reader {
	c := csv.NewReader(r)
	c.Comma = d.comma
	c.FieldsPerRecord = -1
	return c
}

// Open gives the items of a file, of which "-" is standard input: "::::". A file
// that is missing, or lacks its header, is an error at once. Regular files can be
// gone through again, unless they change meanwhile; others are streams.
func Open(path string, f Format) (*Source, error) {
	if path == "-" {
		return Read(os.Stdin, "standard input", f)
	}
	d, err := f.divider()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, inputError(path, 0, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return d.stream(file, path, file.Close)
	}
	defer file.Close()
	if err != nil {
		return nil, inputError(path, 0, err)
	}
	if info.IsDir() {
		return nil, refuse(path, 0, "it is a folder, want a list of inputs")
	}
	s := &Source{name: path}
	if s.columns, err = d.reader(file, path).header(); err != nil {
		return nil, err
	}
	s.width = d.width(s.columns)
	s.rows = func(yield func([]string, error) bool) {
		file, err := os.Open(path)
		if err != nil {
			yield(nil, inputError(path, 0, err))
			return
		}
		defer file.Close()
		now, err := file.Stat()
		if err == nil && (!now.ModTime().Equal(info.ModTime()) || now.Size() != info.Size()) {
			err = fmt.Errorf("%w: it changed since it was first read", ErrInput)
		}
		if err != nil {
			yield(nil, inputError(path, 0, err))
			return
		}
		r := d.reader(file, path)
		if _, err := r.header(); err != nil {
			yield(nil, err)
			return
		}
		r.rows(s.columns, yield)
	}
	return s, nil
}

// Read gives the items of a stream, which errors call name. It reads a header at
// once, and anything else as it is needed.
func Read(r io.Reader, name string, f Format) (*Source, error) {
	d, err := f.divider()
	if err != nil {
		return nil, err
	}
	return d.stream(r, name, func() error { return nil })
}

// stream makes a source that can be gone through once.
func (d *divider) stream(r io.Reader, name string, done func() error) (*Source, error) {
	reader := d.reader(r, name)
	header, err := reader.header()
	if err != nil {
		done()
		return nil, err
	}
	used := false
	return &Source{name: name, columns: header, width: d.width(header), stream: true,
		rows: func(yield func([]string, error) bool) {
			if used {
				yield(nil, refuse(name, 0, "it can be read only once"))
				return
			}
			used = true
			defer done()
			reader.rows(header, yield)
		}}, nil
}

// itemReader reads the items of one stream.
type itemReader struct {
	*divider
	name  string
	r     *bufio.Reader
	line  int // of the item read last
	begun bool
	head  []string
	csv   *csv.Reader
	limit *limited // below csv
	long  []byte   // an item that does not fit r's buffer
}

func (d *divider) reader(r io.Reader, name string) *itemReader {
	return &itemReader{divider: d, name: name, r: bufio.NewReaderSize(r, 64<<10)}
}

// header reads the header, if there is to be one.
func (r *itemReader) header() ([]string, error) {
	if !r.Header {
		return nil, nil
	}
	row, err := r.next()
	if err == io.EOF {
		return nil, refuse(r.name, 0, "it is empty, want a header that names the columns")
	}
	r.head = row
	return row, err
}

// rows gives what is left.
func (r *itemReader) rows(header []string, yield func([]string, error) bool) {
	for {
		row, err := r.next()
		if err == io.EOF {
			return
		}
		if err == nil && r.SkipEmpty && blank(strings.Join(row, "")) {
			continue
		}
		if err == nil {
			err = r.checkWidth(row, r.name, r.line, header)
		}
		if err != nil {
			row = nil
		}
		if !yield(row, err) || err != nil {
			return
		}
	}
}

// next gives the next item's columns, io.EOF at the end, or an *InputError.
func (r *itemReader) next() ([]string, error) {
	if !r.begun && !r.Null {
		r.begun = true
		if mark, _ := r.r.Peek(3); string(mark) == "\xef\xbb\xbf" {
			r.r.Discard(3)
		}
	}
	if r.CSV {
		return r.nextRecord()
	}
	item, err := r.nextItem()
	if err != nil {
		return nil, err
	}
	return r.divide(item, r.name, r.line)
}

func (r *itemReader) nextItem() (string, error) {
	end := byte('\n')
	if r.Null {
		end = 0
	}
	r.line++
	r.long = r.long[:0]
	for {
		part, err := r.r.ReadSlice(end)
		if err == bufio.ErrBufferFull || len(r.long) > 0 {
			r.long = append(r.long, part...)
			part = r.long
		}
		if len(part) > r.MaxItem+2 {
			return "", r.tooLong(r.name, r.line)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(part) == 0:
			return "", io.EOF
		case err != nil && err != io.EOF:
			// What was read may be half an item.
			return "", inputError(r.name, r.line, err)
		}
		item, ended := bytes.CutSuffix(part, []byte{end})
		if ended && !r.Null {
			item = bytes.TrimSuffix(item, []byte{'\r'})
		}
		return string(item), nil
	}
}

func (r *itemReader) nextRecord() ([]string, error) {
	if r.csv == nil {
		r.limit = &limited{r: r.r}
		r.csv = r.csvReader(r.limit)
	}
	r.limit.left = r.MaxItem
	row, err := r.csv.Read()
	if err == io.EOF {
		return nil, err
	}
	parse := (*csv.ParseError)(nil)
	switch {
	case errors.As(err, &parse):
		r.line = parse.StartLine
		where := ""
		if parse.Line != parse.StartLine {
			where = fmt.Sprintf("at line %d, ", parse.Line)
		}
		return nil, refuse(r.name, r.line, "%sbyte %d: %w%s", where, parse.Column, parse.Err, r.otherComma(r.head))
	case errors.Is(err, errLimit):
		line := r.line + 1
		if len(row) > 0 {
			line, _ = r.csv.FieldPos(0)
		}
		return nil, r.tooLong(r.name, line)
	case err != nil:
		return nil, inputError(r.name, r.line+1, err)
	}
	r.line, _ = r.csv.FieldPos(0)
	for _, column := range row {
		if hasNUL(column) {
			return nil, nulByte(r.name, r.line)
		}
	}
	return row, nil
}

// limited ends a stream with an error after so many bytes.
type limited struct {
	r    io.Reader
	left int
}

var errLimit = errors.New("too long")

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLimit
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
