package spike

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/parade-go/parade/unit"
)

// readJSON reads a list of the arguments of neo.SpikeTrain; row is the line to
// which the error belongs.
func (c *collector) readJSON(data []byte) (row int, err error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return 0, fmt.Errorf("%w: it is no UTF-8", ErrFormat)
	}
	d := trainDecoder{data: data}
	if err := d.list(c); err != nil {
		if !known(err) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return 1 + bytes.Count(data[:d.at], []byte("\n")), err
	}
	if len(c.ready) == 0 {
		return 0, fmt.Errorf("%w: it has no trains", ErrFormat)
	}
	return 0, nil
}

// known tells whether an error is one of those that ReadFile promises.
func known(err error) bool {
	for _, kind := range []error{ErrFormat, ErrTimes, ErrInterval, ErrRate, unit.ErrDimension, unit.ErrSyntax} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// trainDecoder goes through JSON by itself: times never stand in memory as text,
// and a package for any JSON takes ten times as long for them.
type trainDecoder struct {
	data []byte
	at   int
}

// next gives the first byte that is no white space, or 0 at the end.
func (d *trainDecoder) next() byte {
	for d.at < len(d.data) {
		switch b := d.data[d.at]; b {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return b
		}
	}
	return 0
}

// expect reads one byte.
func (d *trainDecoder) expect(want byte) error {
	if d.next() != want {
		return d.unwanted(string(want))
	}
	d.at++
	return nil
}

// unwanted says what stands where something else should.
func (d *trainDecoder) unwanted(want string) error {
	if d.next(); d.at >= len(d.data) {
		return fmt.Errorf("it ends early, want %s", want)
	}
	found := d.data[d.at:min(d.at+20, len(d.data))]
	if end := bytes.IndexAny(found[1:], " \t\r\n,:[]{}"); end >= 0 {
		found = found[:end+1]
	}
	return fmt.Errorf("got %q, want %s", found, want)
}

// each reads what stands between two brackets, with commas between.
func (d *trainDecoder) each(open, end byte, read func(i int) error) error {
	if err := d.expect(open); err != nil {
		return err
	}
	if d.next() == end {
		d.at++
		return nil
	}
	for i := 0; ; i++ {
		if err := read(i); err != nil {
			return err
		}
		switch d.next() {
		case ',':
			d.at++
		case end:
			d.at++
			return nil
		default:
			return d.unwanted(fmt.Sprintf(", or %c", end))
		}
	}
}

func (d *trainDecoder) list(c *collector) error {
	if d.next() == '{' {
		return errors.New("it begins with an object, want a list of them: put [ before, ] behind, and commas between objects")
	}
	err := d.each('[', ']', func(i int) error {
		t, err := d.train()
		if err == nil {
			err = c.addBounded(t)
		}
		if err != nil {
			return fmt.Errorf("train %d: %w", i, err)
		}
		return nil
	})
	if d.next(); err == nil && d.at < len(d.data) {
		err = d.unwanted("nothing after the list of trains")
	}
	return err
}

// train reads one object. Bounds that it does not have are NaN.
func (d *trainDecoder) train() (Train, error) {
	t := Train{TStart: math.NaN(), TStop: math.NaN()}
	seen := make(map[string]bool)
	err := d.each('{', '}', func(int) error {
		key, err := d.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("it has %.40q twice", key)
		}
		seen[key] = true
		if err := d.expect(':'); err != nil {
			return err
		}
		switch key {
		case "times":
			err = d.each('[', ']', func(int) error {
				v, err := d.number()
				t.Times = append(t.Times, v)
				return err
			})
		case "t_start":
			t.TStart, err = d.number()
		case "t_stop":
			t.TStop, err = d.number()
		case "units":
			var name string
			if name, err = d.text(); err == nil {
				t.Unit, err = unit.DimensionTime.Parse(name)
			}
		case "name":
			switch b := d.next(); {
			case b == 'n':
				err = d.skip() // null is Python's None
			case b == '-' || b-'0' < 10:
				from := d.at
				if _, err = d.number(); err == nil {
					t.Name = string(d.data[from:d.at])
				}
			default:
				t.Name, err = d.text()
			}
		case "description", "file_origin":
			err = d.skip()
		default:
			err = fmt.Errorf("it has %.40q, want times, units, t_start, t_stop and name", key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err == nil && !seen["times"] {
		err = errors.New("it has no times")
	}
	return t, err
}

func (d *trainDecoder) number() (float64, error) {
	if b := d.next(); b != '-' && b-'0' > 9 {
		return 0, d.unwanted("a number")
	}
	end := d.at + 1
	for end < len(d.data) && (d.data[end]-'0' < 10 || bytes.IndexByte([]byte("+-.eE"), d.data[end]) >= 0) {
		end++
	}
	v, ok := parseNumber(d.data[d.at:end])
	if !ok {
		return 0, d.unwanted("a number")
	}
	d.at = end
	return v, nil
}

func (d *trainDecoder) text() (string, error) {
	if d.next() != '"' {
		return "", d.unwanted("a string")
	}
	end := d.at + 1
	for end < len(d.data) && d.data[end] != '"' {
		if d.data[end] == '\\' {
			end++
		}
		end++
	}
	var s string
	if end >= len(d.data) {
		return "", errors.New("a string ends early")
	}
	if err := json.Unmarshal(d.data[d.at:end+1], &s); err != nil {
		return "", err
	}
	d.at = end + 1
	return s, nil
}

// skip leaves out one value of any kind.
func (d *trainDecoder) skip() error {
	var value json.RawMessage
	r := json.NewDecoder(bytes.NewReader(d.data[d.at:]))
	if err := r.Decode(&value); err != nil {
		return fmt.Errorf("%w in the value that begins here", err)
	}
	d.at += int(r.InputOffset())
	return nil
}

// writeJSON writes trains as readJSON reads them, one to a line.
func writeJSON(w io.Writer, trains []Train) error {
	b := []byte("[")
	for i, t := range trains {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return err
		}
		b = append(b, "\n{\"name\": "...)
		b = append(b, name...)
		b = fmt.Appendf(b, `, "units": "%s", "t_start": %s, "t_stop": %s, "times": [`, t.Unit, unit.FormatFloat(t.TStart), unit.FormatFloat(t.TStop))
		for j, v := range t.Times {
			if j > 0 {
				b = append(b, ", "...)
			}
			b = append(b, unit.FormatFloat(v)...)
			if len(b) > 1<<16 {
				if _, err := w.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
		b = append(b, "]}"...)
	}
	_, err := w.Write(append(b, "\n]\n"...))
	return err
}
