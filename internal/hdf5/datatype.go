package hdf5

import (
	"fmt"
	"math/bits"
	"strings"
)

// Class is what the elements of an array are.
type Class int

// The classes of datatypes, numbered as in the file.
const (
	ClassInteger   Class = 0
	ClassFloat     Class = 1
	ClassTime      Class = 2
	ClassString    Class = 3 // of fixed size
	ClassBitfield  Class = 4
	ClassOpaque    Class = 5
	ClassCompound  Class = 6
	ClassReference Class = 7
	ClassEnum      Class = 8
	ClassVariable  Class = 9 // a sequence of Base, or a string of variable length
	ClassArray     Class = 10
	ClassComplex   Class = 11
)

// Type is the datatype of an element.
type Type struct {
	Class     Class
	Size      int // bytes in the file
	BigEndian bool
	Signed    bool    // integers
	Text      bool    // ClassVariable: a string
	Base      *Type   // of ClassEnum, ClassVariable and ClassArray
	Shape     []int   // ClassArray
	Fields    []Field // ClassCompound

	padding int    // strings: 0 ends at NUL, 1 is filled with NULs, 2 with spaces
	object  bool   // references: to an object
	odd     string // why its values cannot be read; empty if they can
}

// Field is a member of a compound.
type Field struct {
	Name   string
	Offset int // of its bytes in the compound
	Type   *Type
}

// String gives the type as NumPy names it, where it does.
func (t *Type) String() string {
	switch t.Class {
	case ClassInteger:
		if t.Signed {
			return fmt.Sprintf("int%d", 8*t.Size)
		}
		return fmt.Sprintf("uint%d", 8*t.Size)
	case ClassFloat:
		return fmt.Sprintf("float%d", 8*t.Size)
	case ClassString:
		return fmt.Sprintf("string of %d bytes", t.Size)
	case ClassEnum:
		return "enumeration of " + t.Base.String()
	case ClassVariable:
		if t.Text {
			return "string"
		}
		return "sequence of " + t.Base.String()
	case ClassArray:
		return fmt.Sprintf("array %v of %v", t.Shape, t.Base)
	}
	if 0 <= t.Class && int(t.Class) < len(classNames) {
		return classNames[t.Class]
	}
	return fmt.Sprintf("class %d", int(t.Class))
}

var classNames = [...]string{ClassTime: "time", ClassBitfield: "bit field", ClassOpaque: "opaque",
	ClassCompound: "compound", ClassReference: "reference", ClassComplex: "complex"}

const maxNesting = 32 // of datatypes

// datatype reads a datatype message.
func (f *File) datatype(body []byte) (*Type, error) {
	c := f.read(body)
	t := c.datatype(0)
	if c.err != nil {
		return nil, c.err
	}
	return t, nil
}

func (c *cursor) datatype(depth int) *Type {
	if depth > maxNesting {
		c.fail(damaged("datatypes are nested too deeply"))
	}
	first := c.u8()
	version := first >> 4
	flags := uint32(c.uint(3))
	size := c.u32()
	t := &Type{Class: Class(first & 15), Size: int(size)}
	if c.err == nil && (version < 1 || version > 5) {
		c.fail(unsupported("version %d of datatypes", version))
	}
	if c.err == nil && (size == 0 || size > 1<<30) {
		c.fail(damaged("elements of %d bytes", size))
	}
	if c.err != nil {
		return t
	}
	switch t.Class {
	case ClassInteger:
		t.BigEndian, t.Signed = flags&1 != 0, flags&8 != 0
		offset, precision := c.u16(), c.u16()
		if offset != 0 || precision != 8*t.Size || t.Size > 8 || bits.OnesCount(uint(t.Size)) != 1 {
			t.odd = fmt.Sprintf("integers of %d bits in %d bytes", precision, t.Size)
		}
	case ClassFloat:
		t.BigEndian = flags&1 != 0
		layout := [6]int{int(flags >> 8 & 255), c.u16(), c.u16(), c.u8(), c.u8(), c.u8()}
		mantissa, bias := c.u8(), c.u32()
		// Sign, offset, precision; place and size of the exponent, place of the mantissa.
		ieee := t.Size == 2 && layout == [6]int{15, 0, 16, 10, 5, 0} && mantissa == 10 && bias == 15 ||
			t.Size == 4 && layout == [6]int{31, 0, 32, 23, 8, 0} && mantissa == 23 && bias == 127 ||
			t.Size == 8 && layout == [6]int{63, 0, 64, 52, 11, 0} && mantissa == 52 && bias == 1023
		if !ieee || flags&(1<<6) != 0 || flags>>4&3 != 2 {
			t.odd = "floats that are not IEEE's of 2, 4 or 8 bytes"
		}
	case ClassTime:
		c.skip(2)
	case ClassBitfield:
		c.skip(4)
	case ClassString:
		t.padding = int(flags & 15)
	case ClassOpaque:
		c.skip(int(flags & 255)) // its tag
	case ClassCompound:
		t.Fields = c.fields(t, version, int(flags&0xffff), depth)
	case ClassReference:
		t.object = flags&15 == 0 && version < 4
	case ClassEnum:
		t.Base = c.datatype(depth + 1)
		for range flags & 0xffff {
			c.name(version)
		}
		if c.err == nil && (t.Base.Class != ClassInteger || t.Base.Size != t.Size) {
			c.fail(damaged("an enumeration is not one of whole numbers"))
			return t
		}
		c.skip(int(flags&0xffff) * t.Size)
		t.BigEndian, t.Signed, t.odd = t.Base.BigEndian, t.Base.Signed, t.Base.odd
	case ClassVariable:
		t.Text = flags&15 == 1
		t.Base = c.datatype(depth + 1)
		if c.err == nil && t.Size != 4+c.f.offsetSize+4 {
			c.fail(damaged("values of variable length take %d bytes", t.Size))
		}
	case ClassArray:
		rank := c.u8()
		if version == 2 {
			c.skip(3)
		}
		product := uint64(1)
		for range rank {
			n := c.u32()
			t.Shape = append(t.Shape, int(n))
			if product *= uint64(n); product > 1<<30 {
				c.fail(damaged("an array is too large for its element"))
			}
		}
		if version == 2 {
			c.skip(4 * rank) // permutation
		}
		t.Base = c.datatype(depth + 1)
		if c.err == nil && product*uint64(t.Base.Size) != uint64(t.Size) {
			c.fail(damaged("an array is too large for its element"))
		}
	case ClassComplex:
		t.Base = c.datatype(depth + 1)
		t.odd = "complex numbers"
	default:
		c.fail(unsupported("datatype class %d", t.Class))
	}
	return t
}

// name reads the name of a compound's field or of an enumeration's value.
func (c *cursor) name(version int) string {
	start := c.pos
	s := c.text()
	if version < 3 {
		c.pad(start)
	}
	return s
}

func (c *cursor) fields(t *Type, version, count, depth int) []Field {
	var fields []Field
	for ; count > 0 && c.err == nil; count-- {
		field := Field{Name: c.name(version)}
		var shape []int
		width := 4
		if version >= 3 {
			width = encodedSize(uint64(t.Size))
		}
		offset := c.uint(width)
		if version == 1 { // where arrays were not yet datatypes
			rank := c.u8()
			c.skip(11)
			for i := range 4 {
				if n := int(c.u32()); i < rank {
					shape = append(shape, n)
				}
			}
		}
		field.Type = c.datatype(depth + 1)
		size := uint64(field.Type.Size)
		for _, n := range shape {
			if size *= uint64(n); size > 1<<30 {
				size = 1 << 30
			}
		}
		if shape != nil {
			field.Type = &Type{Class: ClassArray, Size: int(size), Base: field.Type, Shape: shape}
		}
		if c.err == nil && (size == 0 || offset+size > uint64(t.Size)) {
			c.fail(damaged("the field %q leaves its compound", strings.ToValidUTF8(field.Name, "?")))
		}
		field.Offset = int(offset)
		fields = append(fields, field)
	}
	return fields
}

// extent is a dataspace: how many elements there are.
type extent struct {
	null    bool
	shape   []uint64
	largest []uint64 // what the shape can grow to; all ones is without end
}

// dataspace reads a dataspace message.
func (f *File) dataspace(body []byte) (extent, error) {
	c := f.read(body)
	version := c.version("dataspaces", 1, 2)
	rank, flags := c.u8(), c.u8()
	var e extent
	if version == 1 {
		c.skip(5)
	} else {
		e.null = c.u8() == 2
	}
	if c.err == nil && rank > 32 {
		return extent{}, damaged("it has %d dimensions", rank)
	}
	for range rank {
		e.shape = append(e.shape, c.length())
	}
	e.largest = e.shape
	if flags&1 != 0 {
		e.largest = nil
		for range rank {
			n := c.length()
			if n == ^uint64(0)>>(64-8*f.lengthSize) {
				n = ^uint64(0)
			}
			e.largest = append(e.largest, n)
		}
	}
	return e, c.err
}

// bytes gives the size of all elements, which fits into memory.
func (e extent) bytes(f *File, elementSize int) (uint64, error) {
	if e.null {
		return 0, nil
	}
	size := uint64(elementSize)
	for _, n := range e.shape {
		if n == 0 {
			return 0, nil
		}
	}
	for _, n := range e.shape {
		high, low := bits.Mul64(size, n)
		if high != 0 || low > f.limit() {
			return 0, damaged("it claims %v elements, more than a file of %d bytes can hold", e.shape, len(f.data))
		}
		size = low
	}
	return size, nil
}
