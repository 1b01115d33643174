package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/parade-go/parade/internal/wholefile"
	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/unit"
)

// sheet is what an analysis found: a row for each train or file. It is written
// as a table for people, or as CSV, TSV, JSON or npz for programs.
type sheet struct {
	columns []column
	rows    [][]any
}

// column is a column of a sheet. Its cells are all of one type:
//
//	string, int, bool
//	float64      a number; NaN is empty in a table, null in JSON
//	unit.Time    for people with its unit, otherwise the number
//	[]float64    several numbers: a small curve in a table, a list in JSON, and
//	             in other files a row for each
type column struct {
	name string // for programs
	head string // for people; "" is not in the table
	// once: not repeated in files with a row for each of several numbers.
	once bool
	// onlyJSON: numbers that other files have no place for.
	onlyJSON bool
}

var sheetEndings = []string{".csv", ".tsv", ".json", ".npz"}

func (s *sheet) add(cells ...any) { s.rows = append(s.rows, cells) }

// print writes the sheet to a terminal or, with JSON, an object per line.
func (s *sheet) print(t *terminal, asJSON bool) error {
	switch {
	case asJSON:
		for _, row := range s.rows {
			t.printf("%s\n", s.object(row))
		}
	case len(s.rows) > 0:
		s.printTable(t)
	}
	return t.err
}

func (s *sheet) printTable(t *terminal) {
	var align strings.Builder
	table := make([][]string, 1+len(s.rows))
	width := 0 // of the columns so far
	for i, c := range s.columns {
		if c.head == "" {
			continue
		}
		const between = 2
		cells := []string{t.dim(c.head)}
		for _, row := range s.rows {
			cell := forPeople(row[i])
			if values, ok := row[i].([]float64); ok && len(values) > 0 { // which is last, and gets the room that is left
				room := t.columns() - width - 2*between
				cell = t.cyan(sparkline(values, min(len(values), max(10, min(60, room))), 1))
			}
			cells = append(cells, cell)
		}
		switch s.rows[0][i].(type) {
		case string, bool, []float64:
			align.WriteByte('l')
		default:
			align.WriteByte('r')
		}
		widest := 0
		for k, cell := range cells {
			table[k] = append(table[k], cell)
			widest = max(widest, visible(cell))
		}
		width += between + widest
	}
	t.table(align.String(), table)
}

func forPeople(cell any) string {
	switch v := cell.(type) {
	case string:
		return v
	case int:
		return count(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		if math.IsNaN(v) {
			return "–"
		}
		return strconv.FormatFloat(v, 'g', 5, 64)
	case unit.Time:
		if math.IsNaN(v.Value) {
			return "–"
		}
		return strconv.FormatFloat(v.Value, 'g', 6, 64) + " " + v.Unit.String()
	}
	return ""
}

// object is a row as JSON, its fields in the order of the columns.
func (s *sheet) object(row []any) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range s.columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(jsonText(c.name) + ":")
		switch v := row[i].(type) {
		case string:
			b.WriteString(jsonText(v))
		case []float64:
			b.WriteByte('[')
			for k, x := range v {
				if k > 0 {
					b.WriteByte(',')
				}
				b.WriteString(jsonNumber(x))
			}
			b.WriteByte(']')
		case float64:
			b.WriteString(jsonNumber(v))
		case unit.Time:
			b.WriteString(jsonNumber(v.Value))
		default:
			b.WriteString(plainText(v))
		}
	}
	b.WriteByte('}')
	return b.String()
}

func jsonText(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string is never refused
	return strings.TrimSuffix(b.String(), "\n")
}

// jsonNumber is a number as JSON has it: without NaN and infinities.
func jsonNumber(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "null"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// plainText is a cell of a CSV file, all digits of it.
func plainText(cell any) string {
	switch v := cell.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return unit.FormatFloat(v)
	case unit.Time:
		return unit.FormatFloat(v.Value)
	}
	return ""
}

// write writes the sheet whole, in the format that the path's ending says.
func (s *sheet) write(path string) error {
	return wholefile.Write(path, func(w io.Writer) error {
		switch strings.ToLower(filepath.Ext(path)) {
		case ".json":
			return s.writeJSON(w)
		case ".npz":
			return s.writeNPZ(w)
		case ".tsv":
			return s.writeCSV(w, '\t')
		}
		return s.writeCSV(w, ',')
	})
}

// writeJSON writes a list of the objects that print writes.
func (s *sheet) writeJSON(w io.Writer) error {
	before := "[\n"
	for _, row := range s.rows {
		if _, err := io.WriteString(w, before+s.object(row)); err != nil {
			return err
		}
		before = ",\n"
	}
	if len(s.rows) == 0 {
		before += "]\n"
	} else {
		before = "\n]\n"
	}
	_, err := io.WriteString(w, before)
	return err
}

func (s *sheet) writeCSV(w io.Writer, comma rune) error {
	c := csv.NewWriter(w)
	c.Comma = comma
	columns := s.flatColumns()
	record := make([]string, len(columns))
	for k, i := range columns {
		record[k] = s.columns[i].name
	}
	if err := c.Write(record); err != nil {
		return err
	}
	for cells := range s.flat {
		for k, i := range columns {
			record[k] = plainText(cells[i])
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// flatColumns are the columns of a file with a row for each of several numbers.
func (s *sheet) flatColumns() []int {
	var all, repeated []int
	lists := false
	for i, c := range s.columns {
		if c.onlyJSON {
			continue
		}
		all = append(all, i)
		if !c.once {
			repeated = append(repeated, i)
		}
		if len(s.rows) > 0 {
			_, list := s.rows[0][i].([]float64)
			lists = lists || list
		}
	}
	if lists {
		return repeated
	}
	return all
}

// flat yields the rows, those with lists of numbers once for each number. The
// lists of a row are of one length.
func (s *sheet) flat(yield func(cells []any) bool) {
	cells := make([]any, len(s.columns))
	for _, row := range s.rows {
		n := 1
		for i, cell := range row {
			if list, ok := cell.([]float64); ok && !s.columns[i].onlyJSON {
				n = len(list)
			}
		}
		for k := range n {
			for i, cell := range row {
				if list, ok := cell.([]float64); ok && !s.columns[i].onlyJSON {
					cell = list[k]
				}
				cells[i] = cell
			}
			if !yield(cells) {
				return
			}
		}
	}
}

// writeNPZ writes an array for each column, under its name.
func (s *sheet) writeNPZ(w io.Writer) error {
	archive := npy.NewArchiveWriter(w)
	for _, i := range s.flatColumns() {
		var (
			texts   []string
			numbers []float64
			wholes  []int
			truths  []bool
		)
		for cells := range s.flat {
			switch v := cells[i].(type) {
			case string:
				texts = append(texts, v)
			case int:
				wholes = append(wholes, v)
			case bool:
				truths = append(truths, v)
			case float64:
				numbers = append(numbers, v)
			case unit.Time:
				numbers = append(numbers, v.Value)
			}
		}
		var array npy.Array
		var err error
		switch {
		case texts != nil:
			array, err = npy.New(texts)
		case wholes != nil:
			array, err = npy.New(wholes)
		case truths != nil:
			array, err = npy.New(truths)
		default:
			array, err = npy.New(numbers)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", s.columns[i].name, err)
		}
		if err := archive.Write(s.columns[i].name, array); err != nil {
			return err
		}
	}
	return archive.Close()
}
