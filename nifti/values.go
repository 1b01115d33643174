package nifti

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

type integer interface {
	uint8 | uint16 | uint32 | uint64 | int8 | int16 | int32 | int64
}

type number interface{ integer | Float }

// bigEndian is the byte order of this machine.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// bytesOf gives the memory of numbers as bytes.
func bytesOf[T number](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

// numbersOf is the other way round; b begins at a multiple of 8 bytes in memory.
func numbersOf[T number](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero)))
}

// sameType tells whether values that are stored as d need no conversion to T.
func sameType[T Float](d Datatype) bool {
	var zero T
	if unsafe.Sizeof(zero) == 4 {
		return d == Float32
	}
	return d == Float64
}

// converter makes values of what is stored.
type converter struct {
	datatype     Datatype
	foreign      bool // the byte order is not this machine's
	scaled       bool
	slope, inter float64
}

func newConverter(h *Header) converter {
	c := converter{datatype: h.Datatype, foreign: h.BigEndian != bigEndian}
	c.slope, c.inter, c.scaled = h.Scaling()
	return c
}

// swap makes the byte order of raw this machine's.
func (c converter) swap(raw []byte) {
	if !c.foreign {
		return
	}
	switch c.datatype.Size() {
	case 2:
		for i, v := range numbersOf[uint16](raw) {
			numbersOf[uint16](raw)[i] = bits.ReverseBytes16(v)
		}
	case 4:
		for i, v := range numbersOf[uint32](raw) {
			numbersOf[uint32](raw)[i] = bits.ReverseBytes32(v)
		}
	case 8:
		for i, v := range numbersOf[uint64](raw) {
			numbersOf[uint64](raw)[i] = bits.ReverseBytes64(v)
		}
	}
}

// scale scales values in place.
func scale[T Float](c converter, values []T) {
	if !c.scaled {
		return
	}
	for i, v := range values {
		values[i] = T(float64(float64(v)*c.slope) + c.inter)
	}
}

func decode[T Float](c converter, dst []T, raw []byte) {
	switch c.datatype {
	case Uint8:
		convert(c, dst, raw)
	case Int8:
		convert(c, dst, numbersOf[int8](raw))
	case Int16:
		convert(c, dst, numbersOf[int16](raw))
	case Uint16:
		convert(c, dst, numbersOf[uint16](raw))
	case Int32:
		convert(c, dst, numbersOf[int32](raw))
	case Uint32:
		convert(c, dst, numbersOf[uint32](raw))
	case Int64:
		convert(c, dst, numbersOf[int64](raw))
	case Uint64:
		convert(c, dst, numbersOf[uint64](raw))
	case Float32:
		convert(c, dst, numbersOf[float32](raw))
	case Float64:
		convert(c, dst, numbersOf[float64](raw))
	}
}

func convert[T Float, S number](c converter, dst []T, src []S) {
	dst = dst[:len(src)]
	if !c.scaled {
		for i, v := range src {
			dst[i] = T(v)
		}
		return
	}
	for i, v := range src {
		// The conversion keeps a compiler from fusing, which rounds otherwise.
		dst[i] = T(float64(float64(v)*c.slope) + c.inter)
	}
}

// encode stores src, in this machine's byte order, and gives the index of the first
// value that the type can't hold, or -1.
func encode[T Float](d Datatype, raw []byte, src []T) int {
	switch d {
	case Uint8:
		return round(raw, src, 0, math.MaxUint8)
	case Int8:
		return round(numbersOf[int8](raw), src, math.MinInt8, math.MaxInt8)
	case Int16:
		return round(numbersOf[int16](raw), src, math.MinInt16, math.MaxInt16)
	case Uint16:
		return round(numbersOf[uint16](raw), src, 0, math.MaxUint16)
	case Int32:
		return round(numbersOf[int32](raw), src, math.MinInt32, math.MaxInt32)
	case Uint32:
		return round(numbersOf[uint32](raw), src, 0, math.MaxUint32)
	case Int64:
		return round(numbersOf[int64](raw), src, math.MinInt64, math.Nextafter(1<<63, 0))
	case Uint64:
		return round(numbersOf[uint64](raw), src, 0, math.Nextafter(1<<64, 0))
	case Float32:
		dst := numbersOf[float32](raw)
		for i, v := range src {
			if dst[i] = float32(v); math.IsInf(float64(dst[i]), 0) && !math.IsInf(float64(v), 0) {
				return i
			}
		}
	case Float64:
		dst := numbersOf[float64](raw)
		for i, v := range src {
			dst[i] = float64(v)
		}
	}
	return -1
}

func round[S integer, T Float](dst []S, src []T, low, high float64) int {
	for i, v := range src {
		r := math.RoundToEven(float64(v))
		if !(r >= low && r <= high) { // NaN, too
			return i
		}
		dst[i] = S(r)
	}
	return -1
}
