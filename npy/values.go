package npy

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Item is a Go type that items of an array can have.
type Item interface {
	bool | int8 | int16 | int32 | int64 | int | uint8 | uint16 | uint32 | uint64 |
		float32 | float64 | complex64 | complex128 | string
}

// ValueError says which item of an array has no exact equal in the Go type asked
// for. It wraps ErrValue.
type ValueError struct {
	Index int    // in the order of storage, from 0
	Value string // the item
	Want  string // the type asked for
}

// Error gives the item and where it is.
func (e *ValueError) Error() string {
	return fmt.Sprintf("npy: item %d is %s, which no %s is exactly", e.Index, e.Value, e.Want)
}

// Unwrap gives ErrValue.
func (e *ValueError) Unwrap() error { return ErrValue }

// native is the byte order of this machine.
var native = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// typeOf gives the type of an array of values, as this machine stores them.
func typeOf[T Item]() Type {
	var zero T
	t := Type{Size: int(unsafe.Sizeof(zero))}
	switch any(zero).(type) {
	case bool:
		t.Kind = Bool
	case int8, int16, int32, int64, int:
		t.Kind = Int
	case uint8, uint16, uint32, uint64:
		t.Kind = Uint
	case float32, float64:
		t.Kind = Float
	case complex64, complex128:
		t.Kind = Complex
	case string:
		return Type{Kind: Text} // of no size yet
	}
	t.BigEndian = native && t.Size > 1
	return t
}

// New makes an array of values in C order, of the given shape or, without one,
// with one dimension. It shares the memory of values, except of strings. The
// error wraps ErrShape, or ErrValue for a string that is no UTF-8 or ends with
// NUL, which numpy would lose.
func New[T Item](values []T, shape ...int) (Array, error) {
	if len(shape) == 0 {
		shape = []int{len(values)}
	}
	a := Array{Type: typeOf[T](), Shape: shape}
	if n, ok := product(shape); !ok || n != len(values) || len(shape) > maxDimensions {
		return Array{}, fail(ErrShape, "%d values do not go with shape %v", len(values), shape)
	}
	if list, ok := any(values).([]string); ok {
		return a.text(list)
	}
	if len(values) > 0 {
		a.Data = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*a.Type.Size)
	}
	return a, nil
}

// text fills an array with strings, each as long as the longest.
func (a Array) text(list []string) (Array, error) {
	longest := 1 // as numpy has it
	for i, s := range list {
		if !utf8.ValidString(s) || strings.HasSuffix(s, "\x00") {
			return Array{}, &ValueError{Index: i, Value: fmt.Sprintf("%.20q", s), Want: "string of numpy"}
		}
		longest = max(longest, utf8.RuneCountInString(s))
	}
	a.Type.Size = 4 * longest
	a.Data = make([]byte, len(list)*a.Type.Size)
	for i, s := range list {
		item := a.Data[i*a.Type.Size:]
		for _, r := range s {
			binary.LittleEndian.PutUint32(item, uint32(r))
			item = item[4:]
		}
	}
	return a, nil
}

// Values gives all items in C order, the last index running fastest, whatever the
// order of storage. Every value is exact: numbers convert to any type of number
// that holds all of them, booleans and complex numbers only to theirs, and both
// kinds of strings to string. The error wraps ErrType, or is a *ValueError, or
// wraps ErrShape for an array that contradicts itself.
func Values[T Item](a Array) ([]T, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	stored := make([]T, a.Len())
	if err := Load(stored, a, 0); err != nil {
		return nil, err
	}
	if !a.Fortran || len(a.Shape) < 2 {
		return stored, nil
	}
	values := make([]T, len(stored))
	index := make([]int, len(a.Shape))
	for i := range values {
		at, stride := 0, 1
		for d, n := range a.Shape {
			at += index[d] * stride
			stride *= n
		}
		values[i] = stored[at]
		for d := len(index) - 1; d >= 0; d-- {
			if index[d]++; index[d] < a.Shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return values, nil
}

// View gives the memory of an array as a slice, without a copy, in the order of
// storage. It is ok where the items are exactly of type T, in the byte order of
// this machine and aligned for it, as they are in nearly every .npy file.
func View[T Item](a Array) (items []T, ok bool) {
	if a.check() != nil || !same[T](a.Type) {
		return nil, false
	}
	if len(a.Data) == 0 {
		return []T{}, true
	}
	var zero T
	p := unsafe.Pointer(unsafe.SliceData(a.Data))
	if uintptr(p)%unsafe.Alignof(zero) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(p), a.Len()), true
}

// same tells whether items are stored as this machine has a T. A bool is not:
// a byte of a file may be neither 0 nor 1.
func same[T Item](t Type) bool {
	return t.Kind != Text && t.Kind != Bool && t == typeOf[T]()
}

// Load fills dst with the items from index from on, in the order of storage. It
// converts as Values does, and serves to go through a large array piece by piece.
func Load[T Item](dst []T, a Array, from int) error {
	if err := a.check(); err != nil {
		return err
	}
	if from < 0 || from > a.Len()-len(dst) {
		return fail(ErrShape, "there are no %d items from %d on in shape %v", len(dst), from, a.Shape)
	}
	if len(dst) == 0 {
		return nil
	}
	b := a.Data[from*a.Type.Size : (from+len(dst))*a.Type.Size]
	if same[T](a.Type) {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(b)), b)
		return nil
	}
	bad := -1
	switch dst := any(dst).(type) {
	case []bool:
		if a.Type.Kind != Bool {
			break
		}
		for i, v := range b {
			dst[i] = v != 0
		}
		return nil
	case []string:
		if a.Type.Kind != Bytes && a.Type.Kind != Text {
			break
		}
		bad = loadStrings(dst, b, a.Type)
		return valueError[T](a, from, bad)
	case []complex64:
		if a.Type.Kind != Complex {
			break
		}
		bad = loadComplex(dst, b, a.Type)
		return valueError[T](a, from, bad)
	case []complex128:
		if a.Type.Kind != Complex {
			break
		}
		bad = loadComplex(dst, b, a.Type)
		return valueError[T](a, from, bad)
	default:
		if k := a.Type.Kind; k != Int && k != Uint && k != Float {
			break
		}
		switch dst := any(dst).(type) {
		case []int8:
			bad = loadNumbers(dst, b, a.Type)
		case []int16:
			bad = loadNumbers(dst, b, a.Type)
		case []int32:
			bad = loadNumbers(dst, b, a.Type)
		case []int64:
			bad = loadNumbers(dst, b, a.Type)
		case []int:
			bad = loadNumbers(dst, b, a.Type)
		case []uint8:
			bad = loadNumbers(dst, b, a.Type)
		case []uint16:
			bad = loadNumbers(dst, b, a.Type)
		case []uint32:
			bad = loadNumbers(dst, b, a.Type)
		case []uint64:
			bad = loadNumbers(dst, b, a.Type)
		case []float32:
			bad = loadNumbers(dst, b, a.Type)
		case []float64:
			bad = loadNumbers(dst, b, a.Type)
		}
		return valueError[T](a, from, bad)
	}
	var zero T
	return fail(ErrType, "it holds %q, which cannot be had as %T", a.Type.String(), zero)
}

// valueError makes the error of the item that a load could not convert, if any.
func valueError[T Item](a Array, from, bad int) error {
	if bad < 0 {
		return nil
	}
	var zero T
	size := a.Type.Size
	e := &ValueError{Index: from + bad, Want: fmt.Sprintf("%T", zero)}
	item := a.Data[e.Index*size : (e.Index+1)*size]
	switch a.Type.Kind {
	case Int:
		e.Value = fmt.Sprint(signed(word(item, size, a.Type.BigEndian), size))
	case Uint:
		e.Value = fmt.Sprint(word(item, size, a.Type.BigEndian))
	case Float:
		e.Value = fmt.Sprint(float(word(item, size, a.Type.BigEndian), size))
	case Complex:
		half := size / 2
		e.Value = fmt.Sprint(complex(float(word(item, half, a.Type.BigEndian), half), float(word(item[half:], half, a.Type.BigEndian), half)))
	default:
		e.Value = fmt.Sprintf("a string with the bytes %.16x", item)
	}
	return e
}

// word reads the first bytes of b as one number.
func word(b []byte, size int, bigEndian bool) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		v := binary.LittleEndian.Uint16(b)
		if bigEndian {
			v = bits.ReverseBytes16(v)
		}
		return uint64(v)
	case 4:
		v := binary.LittleEndian.Uint32(b)
		if bigEndian {
			v = bits.ReverseBytes32(v)
		}
		return uint64(v)
	}
	v := binary.LittleEndian.Uint64(b)
	if bigEndian {
		v = bits.ReverseBytes64(v)
	}
	return v
}

func signed(v uint64, size int) int64 {
	shift := 64 - 8*size
	return int64(v<<shift) >> shift
}

// float gives the float of 2, 4 or 8 bytes with those bits.
func float(v uint64, size int) float64 {
	switch size {
	case 8:
		return math.Float64frombits(v)
	case 4:
		return float64(math.Float32frombits(uint32(v)))
	}
	// IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
	exponent, fraction := int(v>>10&31), float64(v&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		f = math.Inf(1)
		if fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(1024+fraction, exponent-25)
	}
	if v>>15 != 0 {
		return -f
	}
	return f
}

type number interface {
	int8 | int16 | int32 | int64 | int | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// loadNumbers converts numbers and gives the index of the first that T cannot
// hold, or -1.
func loadNumbers[T number](dst []T, b []byte, t Type) int {
	size := t.Size
	for i := range dst {
		v := word(b[i*size:], size, t.BigEndian)
		var ok bool
		switch t.Kind {
		case Int:
			dst[i], ok = fromInt[T](signed(v, size))
		case Uint:
			dst[i], ok = fromUint[T](v)
		default:
			dst[i], ok = fromFloat[T](float(v, size))
		}
		if !ok {
			return i
		}
	}
	return -1
}

// isFloat tells floats from integers, in which a half is nothing.
func isFloat[T number]() bool { return T(1)/T(2) != 0 }

// The comparisons with 2^63 and 2^64 come before the conversion back, since what
// Go makes of a float beyond the integers depends on the machine.

func fromInt[T number](v int64) (T, bool) {
	t := T(v)
	if isFloat[T]() {
		f := float64(t)
		return t, f < 1<<63 && int64(f) == v
	}
	return t, int64(t) == v && (t < 0) == (v < 0)
}

func fromUint[T number](v uint64) (T, bool) {
	t := T(v)
	if isFloat[T]() {
		f := float64(t)
		return t, f < 1<<64 && uint64(f) == v
	}
	return t, uint64(t) == v && t >= 0
}

func fromFloat[T number](v float64) (T, bool) {
	if isFloat[T]() {
		t := T(v)
		return t, float64(t) == v || v != v
	}
	switch {
	case -1<<63 <= v && v < 1<<63:
		n := int64(v)
		t, ok := fromInt[T](n)
		return t, ok && float64(n) == v
	case 1<<63 <= v && v < 1<<64:
		return fromUint[T](uint64(v))
	}
	return 0, false
}

func loadComplex[T complex64 | complex128](dst []T, b []byte, t Type) int {
	half := t.Size / 2
	for i := range dst {
		item := b[i*t.Size:]
		re := float(word(item, half, t.BigEndian), half)
		im := float(word(item[half:], half, t.BigEndian), half)
		v := T(complex(re, im))
		dst[i] = v
		wide := complex128(v)
		if real(wide) != re && re == re || imag(wide) != im && im == im {
			return i
		}
	}
	return -1
}

// loadStrings gives the index of the first that is not made of code points, or -1.
func loadStrings(dst []string, b []byte, t Type) int {
	var text strings.Builder
	for i := range dst {
		item := b[i*t.Size : (i+1)*t.Size]
		if t.Kind == Bytes {
			dst[i] = strings.TrimRight(string(item), "\x00")
			continue
		}
		text.Reset()
		for ; len(item) > 0; item = item[4:] {
			r := word(item, 4, t.BigEndian)
			if r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
				return i
			}
			text.WriteRune(rune(r))
		}
		dst[i] = strings.TrimRight(text.String(), "\x00")
	}
	return -1
}
