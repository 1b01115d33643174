// Package npy reads, writes and maps NumPy's files: .npy, which is one array, and
// .npz, which is a zip archive of them.
//
//	f, err := npy.Open("spike_times.npy") // mapped, not read
//	defer f.Close()
//	times, err := npy.Values[int64](f.Array) // a copy, in C order
//
//	a, err := npy.New([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
//	err = npy.Write(w, a) // the bytes that numpy.save writes
//
// Items are booleans, integers, floats, complex numbers and strings of fixed
// length, in either byte order; arrays have any shape, in C or in Fortran order.
// Python objects, which are pickled programs, and records with fields are
// refused. The format is that of
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html,
// versions 1.0 to 3.0.
//
// No file is trusted: what its header claims is checked against the bytes that
// are there before any memory is taken, and an array that is cut off, or followed
// by other bytes, is an error.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/internal/mmap"
)

// Errors that callers branch on; every error of this package that is not one of
// package os wraps one of them.
var (
	// ErrFormat says that data is no sound .npy or .npz file.
	ErrFormat = errors.New("bad numpy file")
	// ErrType says that items are of a type that cannot be read, or not as the
	// Go type that was asked for.
	ErrType = errors.New("wrong type of item")
	// ErrValue says that a value has no exact equal in the type it is to have.
	ErrValue = errors.New("value out of range")
	// ErrShape says that a shape does not go with a number of items.
	ErrShape = errors.New("bad shape")
	// ErrName says that an archive has no array of a name, or has it already.
	ErrName = errors.New("bad name of an array")
	// ErrChanged says that a mapped file was cut, or its disk failed, while
	// File.Guard or Archive.Guard read it.
	ErrChanged = mmap.ErrChanged
)

// failure is an error of a kind whose text stands without that of the kind.
type failure struct {
	kind error
	text string
}

func (e *failure) Error() string { return "npy: " + e.text }
func (e *failure) Unwrap() error { return e.kind }

func fail(kind error, format string, args ...any) error {
	return &failure{kind, fmt.Sprintf(format, args...)}
}

// Kind is what an item is: the letter that numpy has for it.
type Kind byte

// The kinds of items.
const (
	Bool    Kind = 'b'
	Int     Kind = 'i'
	Uint    Kind = 'u'
	Float   Kind = 'f'
	Complex Kind = 'c'
	Bytes   Kind = 'S' // a string of bytes, filled up with NUL
	Text    Kind = 'U' // a string of code points of 4 bytes, filled up with NUL
)

// Type is the type of the items of an array, as numpy.dtype.
type Type struct {
	Kind      Kind
	Size      int  // bytes of one item
	BigEndian bool // false where items, or code points, are one byte
}

// String gives numpy's name of the type: "<f8", "|u1", ">i4", "<U5".
func (t Type) String() string {
	order, n := "<", t.Size
	switch {
	case t.Kind == Bytes || t.Size == 1:
		order = "|"
	case t.BigEndian:
		order = ">"
	}
	if t.Kind == Text {
		n /= 4
	}
	return order + string(rune(t.Kind)) + strconv.Itoa(n)
}

// ParseType reads numpy's name of a type, as String gives it. The error wraps
// ErrType.
func ParseType(name string) (Type, error) {
	unknown := func(why string) (Type, error) {
		return Type{}, fail(ErrType, "it holds %.20q, %s", name, why)
	}
	const want = "want booleans, integers, floats of 2 to 8 bytes, complex numbers or strings of fixed length"
	if len(name) < 2 || !strings.Contains("<>|", name[:1]) {
		return unknown(want)
	}
	if name[1] == 'O' {
		return unknown("which are Python objects: save them as an array of numbers")
	}
	t := Type{Kind: Kind(name[1])}
	n, err := strconv.ParseUint(name[2:], 10, 31)
	if err != nil {
		return unknown(want)
	}
	t.Size = int(n)
	var sizes []int
	switch t.Kind {
	case Bool:
		sizes = []int{1}
	case Int, Uint:
		sizes = []int{1, 2, 4, 8}
	case Float:
		sizes = []int{2, 4, 8}
	case Complex:
		sizes = []int{8, 16}
	case Bytes:
	case Text:
		if t.Size > math.MaxInt32/4 {
			return unknown("whose strings are too long")
		}
		t.Size *= 4
	default:
		return unknown(want)
	}
	if sizes != nil && !slices.Contains(sizes, t.Size) {
		return unknown(want)
	}
	if t.Kind == Bytes || t.Size == 1 {
		return t, nil // of no byte order
	}
	if name[0] == '|' {
		return unknown("which does not say the byte order")
	}
	t.BigEndian = name[0] == '>'
	return t, nil
}

// Array is an array as it stands in a file. It is plain data; New makes one from
// Go values and Values gives them back.
type Array struct {
	Type    Type
	Shape   []int // empty for a single item
	Fortran bool  // whether the first index runs fastest, not the last
	Data    []byte
}

// Len gives the number of items: the product of the shape, which is 1 for an
// empty one.
func (a Array) Len() int {
	n, _ := product(a.Shape)
	return n
}

// product gives the number of items of a shape; it is not ok where that is more
// than an int can hold, or where a number is negative.
func product(shape []int) (n int, ok bool) {
	n, ok = 1, true
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if d > 0 && n > math.MaxInt/d {
			ok = false
			continue // a 0 may follow
		}
		n *= d
	}
	if n == 0 {
		return 0, true
	}
	return n, ok
}

// check reports an array whose data is not what its type and shape say.
func (a Array) check() error {
	t, err := ParseType(a.Type.String())
	if err != nil {
		return err
	}
	if t.Size != a.Type.Size {
		return fail(ErrType, "no item of %s has %d bytes", t, a.Type.Size)
	}
	if len(a.Shape) > maxDimensions {
		return fail(ErrShape, "the shape has %d dimensions, want at most %d", len(a.Shape), maxDimensions)
	}
	if n, ok := product(a.Shape); !ok || !matches(len(a.Data), n, a.Type.Size) {
		return fail(ErrShape, "%d bytes of data do not go with shape %v of %s", len(a.Data), a.Shape, a.Type)
	}
	return nil
}

// matches tells whether so many bytes are n items of a size. It divides, since a
// product of claimed numbers may overflow.
func matches(bytes, n, size int) bool {
	if size == 0 || n == 0 {
		return bytes == 0
	}
	return bytes%size == 0 && bytes/size == n
}

const (
	// maxHeader is how much numpy itself reads of a header, unless told to trust
	// the file.
	maxHeader = 10000
	// maxDimensions is numpy's own limit since version 2.
	maxDimensions = 64
	// maxEmpty bounds the strings of length 0, which a file claims at no cost.
	maxEmpty = 1 << 24
	// magic begins every .npy file.
	magic = "\x93NUMPY"
)

// Parse takes the array from the bytes of a whole .npy file; it copies nothing.
// The error wraps ErrFormat or ErrType.
func Parse(data []byte) (Array, error) {
	if len(data) < 10 {
		return Array{}, fail(ErrFormat, "it is too short for a .npy file")
	}
	size, length, err := headerSize(data[:min(len(data), 12)])
	if err != nil {
		return Array{}, err
	}
	if length > len(data)-size {
		return Array{}, fail(ErrFormat, "its header ends early")
	}
	a, err := parseHeader(string(data[size : size+length]))
	if err != nil {
		return Array{}, err
	}
	a.Data = data[size+length:]
	if n := a.Len(); !matches(len(a.Data), n, a.Type.Size) {
		return Array{}, fail(ErrFormat, "it has %d bytes of data, want %s", len(a.Data), a.claim())
	}
	return a, nil
}

// claim says what data a header promises.
func (a Array) claim() string {
	if len(a.Shape) == 0 {
		return fmt.Sprintf("1 item of %d", a.Type.Size)
	}
	if len(a.Shape) == 1 || a.Len() == 0 {
		return fmt.Sprintf("%d items of %d", a.Len(), a.Type.Size)
	}
	return fmt.Sprintf("%d items of %d: shape %v", a.Len(), a.Type.Size, a.Shape)
}

// headerSize reads the first 12 bytes of a file, 10 of which must be there: how
// many of them stand before the text of the header, and the length of that.
func headerSize(start []byte) (size, length int, err error) {
	if string(start[:6]) != magic {
		return 0, 0, fail(ErrFormat, "it is not a .npy file")
	}
	var claimed uint32
	switch start[6] {
	case 1:
		size, claimed = 10, uint32(binary.LittleEndian.Uint16(start[8:]))
	case 2, 3:
		if len(start) < 12 {
			return 0, 0, fail(ErrFormat, "its header ends early")
		}
		size, claimed = 12, binary.LittleEndian.Uint32(start[8:])
	default:
		return 0, 0, fail(ErrFormat, "version %d.%d of .npy is not known, want 1.0 to 3.0", start[6], start[7])
	}
	if claimed > maxHeader {
		return 0, 0, fail(ErrFormat, "its header has %d bytes, want at most %d", claimed, maxHeader)
	}
	return size, int(claimed), nil
}

// parseHeader reads the Python dictionary of a header:
// {'descr': '<f8', 'fortran_order': False, 'shape': (3,), }.
func parseHeader(text string) (Array, error) {
	bad := func(format string, args ...any) (Array, error) {
		return Array{}, fail(ErrFormat, format, args...)
	}
	body, opened := strings.CutPrefix(strings.TrimSpace(text), "{")
	body, closed := strings.CutSuffix(body, "}")
	if !opened || !closed {
		return bad("its header is no dictionary")
	}
	var a Array
	seen := make(map[string]bool)
	for body = strings.TrimSpace(body); body != ""; {
		key, rest, ok := cutQuoted(body)
		if !ok || seen[key] {
			return bad("its header is malformed at %.40q", body)
		}
		seen[key] = true
		if body, ok = strings.CutPrefix(strings.TrimSpace(rest), ":"); !ok {
			return bad("its header is malformed at %.40q", rest)
		}
		body = strings.TrimSpace(body)
		var err error
		switch key {
		case "descr":
			var descr string
			if descr, body, ok = cutQuoted(body); !ok {
				return Array{}, fail(ErrType, "it has fields, want plain items such as float64")
			}
			a.Type, err = ParseType(descr)
		case "fortran_order":
			if body, ok = strings.CutPrefix(body, "True"); ok {
				a.Fortran = true
			} else if body, ok = strings.CutPrefix(body, "False"); !ok {
				return bad("its fortran_order is neither True nor False")
			}
		case "shape":
			a.Shape, body, err = cutShape(body)
		default:
			return bad("its header has an unknown key %.20q", key)
		}
		if err != nil {
			return Array{}, err
		}
		body = strings.TrimSpace(body)
		if rest, ok := strings.CutPrefix(body, ","); ok {
			body = strings.TrimSpace(rest)
		} else if body != "" {
			return bad("its header is malformed at %.40q", body)
		}
	}
	if len(seen) != 3 {
		return bad("its header lacks descr, fortran_order or shape")
	}
	n, ok := product(a.Shape)
	if !ok || a.Type.Size == 0 && n > maxEmpty {
		return bad("its shape %v has too many items", a.Shape)
	}
	return a, nil
}

// cutQuoted cuts a quoted Python string without escapes from the front of s.
func cutQuoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", s, false
	}
	text, rest, ok = strings.Cut(s[1:], s[:1])
	return text, rest, ok && !strings.Contains(text, `\`)
}

// cutShape cuts a Python tuple of whole numbers from the front of s. Python 2
// wrote long ones with an L.
func cutShape(s string) (shape []int, rest string, err error) {
	list, rest, closed := strings.Cut(s, ")")
	list, opened := strings.CutPrefix(list, "(")
	if !opened || !closed {
		return nil, "", fail(ErrFormat, "its shape is malformed: %.40q", s)
	}
	for list = strings.TrimSpace(list); list != ""; {
		var word string
		word, list, _ = strings.Cut(list, ",")
		n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(word), "L"), 10, strconv.IntSize-1)
		if err != nil || len(shape) == maxDimensions {
			return nil, "", fail(ErrFormat, "its shape is malformed: %.20q", word)
		}
		shape = append(shape, int(n))
		list = strings.TrimSpace(list)
	}
	return shape, rest, nil
}

// header gives the first bytes of the .npy file of a, as numpy.save writes them:
// version 1.0, filled up to a multiple of 64 bytes, with room for the number
// along the axis on which an array is appended to.
func (a Array) header() []byte {
	var shape, order strings.Builder
	for _, n := range a.Shape {
		if shape.Len() > 0 {
			shape.WriteString(", ")
		}
		shape.WriteString(strconv.Itoa(n))
	}
	if len(a.Shape) == 1 {
		shape.WriteString(",")
	}
	order.WriteString("False")
	growing := 0
	if a.Fortran && len(a.Shape) > 1 {
		order.Reset()
		order.WriteString("True")
		growing = len(a.Shape) - 1
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", a.Type, order.String(), shape.String())
	if len(a.Shape) > 0 {
		text += strings.Repeat(" ", 21-len(strconv.Itoa(a.Shape[growing])))
	}
	text += strings.Repeat(" ", 64-(len(text)+11)%64) + "\n"
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}
