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
	d := trainDecoder{Decoder: json.NewDecoder(bytes.NewReader(data))}
	if err := d.list(c); err != nil {
		at := d.InputOffset()
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			at = syntax.Offset
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends early")
		}
		if !known(err) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return 1 + bytes.Count(data[:min(max(at, 0), int64(len(data)))], []byte("\n")), err
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

// trainDecoder goes through JSON by its tokens, so that times never stand in
// memory as text.
type trainDecoder struct{ *json.Decoder }

// expect reads one delimiter.
func (d trainDecoder) expect(want json.Delim, what string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%s: got %s, want %s", what, describeToken(token), want)
	}
	return nil
}

func describeToken(token json.Token) string {
	switch v := token.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("%.40q", v)
	case float64:
		return unit.FormatFloat(v)
	}
	return fmt.Sprint(token)
}

func (d trainDecoder) list(c *collector) error {
	if err := d.expect('[', "the list of trains"); err != nil {
		return err
	}
	for i := 0; d.More(); i++ {
		t, err := d.train()
		if err == nil {
			err = c.addBounded(t)
		}
		if err != nil {
			return fmt.Errorf("train %d: %w", i, err)
		}
	}
	if err := d.expect(']', "the list of trains"); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the list of trains")
	}
	return nil
}

// train reads one object. Bounds that it does not have are NaN.
func (d trainDecoder) train() (Train, error) {
	t := Train{TStart: math.NaN(), TStop: math.NaN()}
	if err := d.expect('{', "the train"); err != nil {
		return t, err
	}
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return t, err
		}
		key, _ := token.(string) // More and the decoder see to it
		if seen[key] {
			return t, fmt.Errorf("it has %.40q twice", key)
		}
		seen[key] = true
		switch key {
		case "times":
			t.Times, err = d.numbers()
		case "t_start":
			t.TStart, err = d.number()
		case "t_stop":
			t.TStop, err = d.number()
		case "units":
			t.Unit, err = d.unit()
		case "name":
			t.Name, err = d.text()
		case "description", "file_origin":
			var left json.RawMessage
			err = d.Decode(&left)
		default:
			return t, fmt.Errorf("it has %.40q, want times, units, t_start, t_stop and name", key)
		}
		if err != nil {
			return t, fmt.Errorf("%s: %w", key, err)
		}
	}
	if !seen["times"] {
		return t, errors.New("it has no times")
	}
	return t, d.expect('}', "the train")
}

func (d trainDecoder) number() (float64, error) {
	token, err := d.Token()
	if err != nil {
		return 0, err
	}
	v, ok := token.(float64)
	if !ok {
		return 0, fmt.Errorf("%s is not a number", describeToken(token))
	}
	return v, nil
}

func (d trainDecoder) numbers() ([]float64, error) {
	if err := d.expect('[', "the list"); err != nil {
		return nil, err
	}
	var list []float64
	for d.More() {
		v, err := d.number()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, d.expect(']', "the list")
}

// text reads a string, or null for none, which is Python's None.
func (d trainDecoder) text() (string, error) {
	token, err := d.Token()
	if err != nil || token == nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a string", describeToken(token))
	}
	return s, nil
}

func (d trainDecoder) unit() (unit.Unit, error) {
	s, err := d.text()
	if err != nil {
		return 0, err
	}
	return unit.Parse(s)
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
