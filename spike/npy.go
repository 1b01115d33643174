package spike

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/parade-go/parade/unit"
)

// maxNPYHeader bounds the header of a .npy file. numpy itself reads at most
// 10000 bytes of it, unless told to trust the file.
const maxNPYHeader = 10000

// npyHeader is what a .npy file says of its array, see
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
type npyHeader struct {
	order   binary.ByteOrder
	kind    string // "f8", "f4" or "i8"
	fortran bool
	shape   []int64
}

// readNPYHeader reads the header, in versions 1, 2 and 3, and gives its length
// in bytes.
func readNPYHeader(r io.Reader) (h npyHeader, size int64, err error) {
	fail := func(format string, args ...any) (npyHeader, int64, error) {
		return npyHeader{}, 0, fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
	}
	var start [12]byte
	if _, err := io.ReadFull(r, start[:10]); err != nil {
		return fail("it is too short for a .npy file")
	}
	if string(start[:6]) != "\x93NUMPY" {
		return fail("it is not a .npy file")
	}
	size = 10
	length := int64(binary.LittleEndian.Uint16(start[8:]))
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return fail("its header ends early")
		}
		size = 12
		length = int64(binary.LittleEndian.Uint32(start[8:]))
	default:
		return fail("version %d.%d of .npy is not known, want 1.0 to 3.0", start[6], start[7])
	}
	if length > maxNPYHeader {
		return fail("its header has %d bytes, want at most %d", length, maxNPYHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return fail("its header ends early")
	}
	if h, err = parseNPYHeader(string(text)); err != nil {
		return npyHeader{}, 0, err
	}
	return h, size + length, nil
}

// parseNPYHeader reads the Python dictionary of a header:
// {'descr': '<f8', 'fortran_order': False, 'shape': (3,), }.
func parseNPYHeader(text string) (npyHeader, error) {
	fail := func(format string, args ...any) (npyHeader, error) {
		return npyHeader{}, fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
	}
	body, opened := strings.CutPrefix(strings.TrimSpace(text), "{")
	body, closed := strings.CutSuffix(body, "}")
	if !opened || !closed {
		return fail("its header is no dictionary")
	}
	var h npyHeader
	seen := make(map[string]bool)
	for body = strings.TrimSpace(body); body != ""; {
		key, rest, ok := cutQuoted(body)
		if !ok || seen[key] {
			return fail("its header is malformed at %.40q", body)
		}
		seen[key] = true
		if body, ok = strings.CutPrefix(strings.TrimSpace(rest), ":"); !ok {
			return fail("its header is malformed at %.40q", rest)
		}
		body = strings.TrimSpace(body)
		switch key {
		case "descr":
			var descr string
			if descr, body, ok = cutQuoted(body); !ok {
				return fail("it has fields, want plain float64, float32 or int64 numbers")
			}
			switch descr {
			case "<f8", "<f4", "<i8":
				h.order = binary.LittleEndian
			case ">f8", ">f4", ">i8":
				h.order = binary.BigEndian
			default:
				return fail("it holds %.20q, want float64, float32 or int64 numbers", descr)
			}
			h.kind = descr[1:]
		case "fortran_order":
			if body, ok = strings.CutPrefix(body, "True"); ok {
				h.fortran = true
			} else if body, ok = strings.CutPrefix(body, "False"); !ok {
				return fail("its fortran_order is neither True nor False")
			}
		case "shape":
			list, rest, closed := strings.Cut(body, ")")
			list, opened := strings.CutPrefix(list, "(")
			if !opened || !closed {
				return fail("its shape is malformed: %.40q", body)
			}
			body = rest
			for list = strings.TrimSpace(list); list != ""; {
				var word string
				word, list, _ = strings.Cut(list, ",")
				n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 63)
				if err != nil || len(h.shape) == 32 {
					return fail("its shape is malformed: %.20q", word)
				}
				h.shape = append(h.shape, int64(n))
				list = strings.TrimSpace(list)
			}
		default:
			return fail("its header has an unknown key %.20q", key)
		}
		body = strings.TrimSpace(body)
		if rest, ok := strings.CutPrefix(body, ","); ok {
			body = strings.TrimSpace(rest)
		} else if body != "" {
			return fail("its header is malformed at %.40q", body)
		}
	}
	if len(seen) != 3 {
		return fail("its header lacks descr, fortran_order or shape")
	}
	return h, nil
}

// cutQuoted cuts a quoted Python string without escapes from the front of s.
func cutQuoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", s, false
	}
	text, rest, ok = strings.Cut(s[1:], s[:1])
	return text, rest, ok && !strings.Contains(text, `\`)
}

// number reads one number of the array; whole numbers beyond 2^53, which
// float64 cannot hold, are not ok.
func (h npyHeader) number(b []byte) (v float64, ok bool) {
	switch h.kind {
	case "f4":
		return float64(math.Float32frombits(h.order.Uint32(b))), true
	case "i8":
		n := int64(h.order.Uint64(b))
		return float64(n), -1<<53 <= n && n <= 1<<53
	}
	return math.Float64frombits(h.order.Uint64(b)), true
}

// readNPY reads a .npy file of size bytes; row is the row to which the error
// belongs. Memory grows with what is read, never with what the header claims.
func (c *collector) readNPY(f io.Reader, size int64) (row int, err error) {
	r := bufio.NewReaderSize(f, 1<<16)
	h, offset, err := readNPYHeader(r)
	if err != nil {
		return 0, err
	}
	wide := len(h.shape) == 2 && h.shape[1] == 2
	if len(h.shape) != 1 && !wide {
		return 0, fmt.Errorf("%w: its shape is %v, want (n,) for times or (n, 2) for trains and times", ErrFormat, h.shape)
	}
	item, n := int64(8), h.shape[0]
	if h.kind == "f4" {
		item = 4
	}
	perRow := item
	if wide {
		perRow *= 2
	}
	// Compared by division, since a product with a claimed n may overflow.
	if data := size - offset; data%perRow != 0 || data/perRow != n {
		return 0, fmt.Errorf("%w: it has %d bytes of numbers, want %d rows of %d", ErrFormat, data, n, perRow)
	}
	if err := c.begin(unit.Dimensionless); err != nil {
		return 0, err
	}
	b := make([]byte, item)
	next := func() (float64, error) {
		if _, err := io.ReadFull(r, b); err != nil {
			return 0, fmt.Errorf("%w: it ends early", ErrFormat)
		}
		v, ok := h.number(b)
		if !ok {
			return 0, fmt.Errorf("%w: the number is beyond 2^53", ErrFormat)
		}
		return v, nil
	}
	if !wide {
		i := c.train("")
		for row := 1; row <= int(n); row++ {
			t, err := next()
			if err == nil {
				err = c.add(i, t)
			}
			if err != nil {
				return row, err
			}
		}
		return 0, nil
	}
	index := make(map[float64]int) // spares the text of ids seen before
	train := func(id float64) (int, error) {
		i, ok := index[id]
		if !ok {
			if id != math.Trunc(id) || math.Abs(id) > 1<<53 {
				return 0, fmt.Errorf("%w: the train is %s, want a whole number", ErrFormat, unit.FormatFloat(id))
			}
			i = c.train(strconv.FormatInt(int64(id), 10))
			index[id] = i
		}
		return i, nil
	}
	var ids []float64 // of a whole column, where columns follow one another
	if h.fortran {
		for row := 1; row <= int(n); row++ {
			id, err := next()
			if err != nil {
				return row, err
			}
			ids = append(ids, id)
		}
	}
	for row := 1; row <= int(n); row++ {
		var id float64
		if h.fortran {
			id = ids[row-1]
		} else if id, err = next(); err != nil {
			return row, err
		}
		i, err := train(id)
		if err != nil {
			return row, err
		}
		t, err := next()
		if err == nil {
			err = c.add(i, t)
		}
		if err != nil {
			return row, err
		}
	}
	return 0, nil
}
