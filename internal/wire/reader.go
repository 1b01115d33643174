package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Reader decodes from one received message. Its first error sticks: from then on
// every method returns zero, and Err tells why.
type Reader struct {
	data  []byte
	off   int
	alias bool
	err   error

	depth int // nesting of the value that is being decoded
	owed  int // bytes that enclosing values still have to read, at the least
}

// NewReader returns a Reader of data. With alias, decoded numeric slices of at
// least 1 KiB may be views into data, with cap equal to len: the caller hands data
// over and does not use it again. Views need data to start at a multiple of 8 in
// memory; where it does not, they are copied.
func NewReader(data []byte, alias bool) *Reader {
	return &Reader{data: data, alias: alias}
}

// Init makes r read data, as NewReader does, without an allocation.
func (r *Reader) Init(data []byte, alias bool) {
	*r = Reader{data: data, alias: alias}
}

// Len returns the number of bytes not yet read.
func (r *Reader) Len() int { return len(r.data) - r.off }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Fail makes err the error of r unless it already has one.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.off = len(r.data) // whatever is read from now on fails without a further check
}

func (r *Reader) short(n uint64) {
	if r.err == nil {
		r.Fail(fmt.Errorf("wire: message of %d bytes ends at %d, %d more were announced: %w",
			len(r.data), r.off, n, io.ErrUnexpectedEOF))
	}
}

// take returns the next n bytes as a view, or nil when there are fewer.
func (r *Reader) take(n int) []byte {
	if n > len(r.data)-r.off {
		r.short(uint64(n))
		return nil
	}
	p := r.data[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

// Uint8 reads one byte.
func (r *Reader) Uint8() uint8 {
	if r.off >= len(r.data) {
		r.short(1)
		return 0
	}
	v := r.data[r.off]
	r.off++
	return v
}

// Uint32 reads four bytes.
func (r *Reader) Uint32() uint32 {
	if p := r.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// Uint64 reads eight bytes.
func (r *Reader) Uint64() uint64 {
	if p := r.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Uvarint reads what Buffer.Uvarint wrote.
func (r *Reader) Uvarint() uint64 {
	if r.off < len(r.data) && r.data[r.off] < 0x80 {
		r.off++
		return uint64(r.data[r.off-1])
	}
	v, n := binary.Uvarint(r.data[r.off:])
	switch {
	case n == 0:
		r.short(1)
		return 0
	case n < 0:
		r.Fail(fmt.Errorf("wire: number at byte %d is longer than 64 bits: the message is damaged", r.off))
		return 0
	}
	r.off += n
	return v
}

// Float64 reads eight bytes.
func (r *Reader) Float64() float64 { return math.Float64frombits(r.Uint64()) }

// String reads what Buffer.String wrote.
func (r *Reader) String() string { return string(r.Bytes()) }

// Bytes reads what Buffer.Bytes wrote. The result is a view into the message.
func (r *Reader) Bytes() []byte {
	n := r.Uvarint()
	if n > uint64(r.Len()) {
		r.short(n)
		return nil
	}
	return r.take(int(n))
}

// Raw reads n bytes as a view into the message, nil when there are fewer.
func (r *Reader) Raw(n uint64) []byte {
	if n > uint64(r.Len()) {
		r.short(n)
		return nil
	}
	return r.take(int(n))
}

// Blob reads what Buffer.Blob wrote. The result is a view into the message, to be read
// by a Reader of its own.
func (r *Reader) Blob() []byte {
	n := r.Uvarint()
	if n >= alignFrom {
		r.Align(64)
	}
	if n > uint64(r.Len()) {
		r.short(n)
		return nil
	}
	return r.take(int(n))
}

// Alias reports whether what is read may be kept as a view into the message.
func (r *Reader) Alias() bool { return r.alias }

// Align skips the padding that Buffer.Align wrote.
func (r *Reader) Align(n int) { r.take(-r.off & (n - 1)) }

// count reads the length of a slice or map whose elements take at least least
// bytes each. It fails when that many cannot follow: what an enclosing value has
// announced is set aside first, so all memory together stays in proportion to the
// message.
func (r *Reader) count(least int) (n int, isNil bool) {
	v := r.Uvarint()
	if v == 0 {
		return 0, true
	}
	v--
	limit := uint64(math.MaxInt32) // zero-sized elements: see tooMany
	if least > 0 {
		limit = uint64(max(0, r.Len()-r.owed) / least)
	}
	if v > limit {
		r.Fail(fmt.Errorf("wire: %d elements announced at byte %d, room for %d: the message is damaged: %w",
			v, r.off, limit, io.ErrUnexpectedEOF))
		return 0, true
	}
	return int(v), false
}

// Rest returns a view of everything that remains, and passes over it.
func (r *Reader) Rest() []byte {
	if r.err != nil {
		return nil
	}
	return r.take(r.Len())
}
