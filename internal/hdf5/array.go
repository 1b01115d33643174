package hdf5

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Array is what a dataset or an attribute holds: elements in row-major order.
type Array struct {
	// Type is the datatype of the elements. Arrays as elements are further
	// dimensions of Shape here.
	Type *Type
	// Shape is empty for a single element.
	Shape []int
	// Null says that there is no value at all, as h5py.Empty.
	Null bool

	file   *File
	raw    []byte // the elements, stride bytes apart
	stride int
	count  int
}

// Reference points to an object, see [File.Dereference]. The zero Reference
// points to none.
type Reference uint64

// newArray makes an array of count elements in raw.
func newArray(f *File, t *Type, e extent, raw []byte) (*Array, error) {
	size, err := e.bytes(f, t.Size)
	if err != nil {
		return nil, err
	}
	if size > uint64(len(raw)) {
		return nil, damaged("it has %d bytes of elements, want %d", len(raw), size)
	}
	a := &Array{Type: t, Null: e.null, file: f, raw: raw[:size], stride: t.Size, count: int(size) / t.Size}
	for _, n := range e.shape {
		if n > uint64(maxInt) {
			return nil, damaged("a dimension of %d elements", n)
		}
		a.Shape = append(a.Shape, int(n))
	}
	a.flatten()
	return a, nil
}

// flatten turns arrays as elements into dimensions.
func (a *Array) flatten() {
	for a.Type.Class == ClassArray && a.stride == a.Type.Size {
		a.Shape = append(a.Shape[:len(a.Shape):len(a.Shape)], a.Type.Shape...)
		a.Type = a.Type.Base
		a.stride = a.Type.Size
		a.count = len(a.raw) / a.stride
	}
}

// Len gives the number of elements.
func (a *Array) Len() int { return a.count }

// element gives the bytes of one element.
func (a *Array) element(i int) []byte { return a.raw[i*a.stride : i*a.stride+a.Type.Size] }

func (a *Array) order() binary.ByteOrder {
	if a.Type.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// check tells whether the elements are of one of the classes, and can be read.
func (a *Array) check(want string, classes ...Class) error {
	for _, c := range classes {
		if a.Type.Class == c {
			if a.Type.odd != "" {
				return unsupported("%s", a.Type.odd)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: it holds %v, want %s", ErrKind, a.Type, want)
}

// Float64s gives the elements of an array of floats, or of whole numbers that
// float64 can hold exactly.
func (a *Array) Float64s() ([]float64, error) {
	if err := a.check("numbers", ClassFloat, ClassInteger, ClassEnum); err != nil {
		return nil, err
	}
	values := make([]float64, a.count)
	order := a.order()
	switch {
	case a.Type.Class != ClassFloat:
		for i := range values {
			v, negative := a.integer(order, i)
			values[i] = float64(v)
			if negative {
				values[i] = float64(int64(v))
			}
			if math.Abs(values[i]) > 1<<53 {
				return nil, fmt.Errorf("%w: element %d is beyond 2^53", ErrKind, i)
			}
		}
	case a.Type.Size == 8 && !a.Type.BigEndian: // the usual one, worth a loop of its own
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(a.raw[i*a.stride:]))
		}
	case a.Type.Size == 8:
		for i := range values {
			values[i] = math.Float64frombits(order.Uint64(a.element(i)))
		}
	case a.Type.Size == 4:
		for i := range values {
			values[i] = float64(math.Float32frombits(order.Uint32(a.element(i))))
		}
	default:
		for i := range values {
			values[i] = half(order.Uint16(a.element(i)))
		}
	}
	return values, nil
}

// half gives the value of a float of 16 bits.
func half(b uint16) float64 {
	sign, exponent, mantissa := uint64(b>>15)<<63, int(b>>10&31), uint64(b&1023)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(float64(mantissa), -24)
	case 31:
		v = math.Float64frombits(0x7ff<<52 | mantissa<<42)
	default:
		v = math.Ldexp(float64(mantissa|1024), exponent-25)
	}
	return math.Float64frombits(math.Float64bits(v) | sign)
}

// integer gives element i; where it is negative, in two's complement.
func (a *Array) integer(order binary.ByteOrder, i int) (v uint64, negative bool) {
	b := a.element(i)
	switch len(b) {
	case 1:
		v = uint64(b[0])
	case 2:
		v = uint64(order.Uint16(b))
	case 4:
		v = uint64(order.Uint32(b))
	default:
		v = order.Uint64(b)
	}
	if unused := 64 - 8*len(b); a.Type.Signed && v<<unused>>63 != 0 {
		return uint64(int64(v<<unused) >> unused), true
	}
	return v, false
}

// Int64s gives the elements of an array of whole numbers, of which enumerations
// and h5py's booleans are one kind.
func (a *Array) Int64s() ([]int64, error) {
	if err := a.check("whole numbers", ClassInteger, ClassEnum); err != nil {
		return nil, err
	}
	values := make([]int64, a.count)
	order := a.order()
	for i := range values {
		v, negative := a.integer(order, i)
		if !negative && v > math.MaxInt64 {
			return nil, fmt.Errorf("%w: element %d is beyond 2^63", ErrKind, i)
		}
		values[i] = int64(v)
	}
	return values, nil
}

// Uint64s gives the elements of an array of whole numbers, none of them negative.
func (a *Array) Uint64s() ([]uint64, error) {
	if err := a.check("whole numbers", ClassInteger, ClassEnum); err != nil {
		return nil, err
	}
	values := make([]uint64, a.count)
	order := a.order()
	for i := range values {
		v, negative := a.integer(order, i)
		if negative {
			return nil, fmt.Errorf("%w: element %d is negative", ErrKind, i)
		}
		values[i] = v
	}
	return values, nil
}

// Strings gives the elements of an array of strings of fixed or variable length,
// without what they are filled up with.
func (a *Array) Strings() ([]string, error) {
	if err := a.check("strings", ClassString, ClassVariable); err != nil {
		return nil, err
	}
	if a.Type.Class == ClassVariable {
		return a.variableStrings()
	}
	values := make([]string, a.count)
	for i := range values {
		s := string(a.element(i))
		switch a.Type.padding {
		case 0:
			s, _, _ = strings.Cut(s, "\x00")
		case 1:
			s = strings.TrimRight(s, "\x00")
		case 2:
			s = strings.TrimRight(s, " ")
		}
		values[i] = s
	}
	return values, nil
}

func (a *Array) variableStrings() ([]string, error) {
	if !a.Type.Text {
		return nil, unsupported("sequences of variable length")
	}
	values := make([]string, a.count)
	heaps := a.file.globalHeaps()
	left := a.file.limit()
	for i := range values {
		b, err := heaps.value(a.file.read(a.element(i)), 1)
		if err != nil {
			return nil, err
		}
		if uint64(len(b)) > left {
			return nil, damaged("its strings overlap")
		}
		left -= uint64(len(b))
		values[i], _, _ = strings.Cut(string(b), "\x00") // as h5py gives it
	}
	return values, nil
}

// References gives the elements of an array of references to objects.
func (a *Array) References() ([]Reference, error) {
	if err := a.check("references", ClassReference); err != nil {
		return nil, err
	}
	if !a.Type.object || a.Type.Size != a.file.offsetSize {
		return nil, unsupported("references to regions or attributes, or of HDF5 1.12")
	}
	values := make([]Reference, a.count)
	for i := range values {
		values[i] = Reference(a.file.read(a.element(i)).offset())
	}
	return values, nil
}

// Field gives one field of an array of compounds.
func (a *Array) Field(name string) (*Array, error) {
	if err := a.check("compounds", ClassCompound); err != nil {
		return nil, err
	}
	for _, field := range a.Type.Fields {
		if field.Name != name {
			continue
		}
		column := *a
		column.Type = field.Type
		if a.count > 0 {
			column.raw = a.raw[field.Offset:]
		}
		column.flattenField()
		return &column, nil
	}
	return nil, fmt.Errorf("%w: there is no field %q", ErrNotFound, name)
}

// flattenField copies a field that is an array, so that its elements follow one
// another.
func (a *Array) flattenField() {
	if a.Type.Class != ClassArray {
		return
	}
	raw := make([]byte, 0, a.count*a.Type.Size)
	for i := range a.count {
		raw = append(raw, a.element(i)...)
	}
	a.raw, a.stride = raw, a.Type.Size
	a.flatten()
}
