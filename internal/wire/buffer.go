package wire

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"
)

const (
	// alignFrom is the size from which a block starts at a multiple of 8, so that a
	// reader may view it in place. Smaller blocks are copied and need no padding.
	alignFrom = 1 << 10
	// referFrom is the size from which a block is referenced instead of copied, and
	// starts at a multiple of 64.
	referFrom = 32 << 10
	// keepUpTo bounds what Reset retains, so that one large message does not hold
	// its memory for the life of the connection.
	keepUpTo = 16 << 20
)

// Buffer collects an encoded message. Numeric slices and strings of at least
// 32 KiB inside encoded values are referenced, not copied: they must not change
// until the message has been written. The zero Buffer is ready for use.
type Buffer struct {
	buf   []byte // everything but the referenced blocks
	refs  []reference
	extra int // bytes in refs
	base  int // where the payload of the current frame starts; Align counts from here

	depth  int  // nesting of the value that is being encoded
	inKey  bool // a map key is being encoded: all of it goes into buf
	chunks [][]byte
}

// reference is a block that belongs between buf[:at] and buf[at:].
type reference struct {
	at    int // place in buf
	start int // place in the whole message
	data  []byte
}

// Reset empties b and forgets what it references. It keeps its memory.
func (b *Buffer) Reset() {
	clear(b.refs)
	clear(b.chunks)
	if cap(b.buf) > keepUpTo {
		b.buf = nil
	}
	*b = Buffer{buf: b.buf[:0], refs: b.refs[:0], chunks: b.chunks[:0]}
}

// Len returns the number of bytes collected, the referenced ones included.
func (b *Buffer) Len() int { return len(b.buf) + b.extra }

// Uint8 appends one byte.
func (b *Buffer) Uint8(v uint8) { b.buf = append(b.buf, v) }

// Uint32 appends four bytes.
func (b *Buffer) Uint32(v uint32) { b.buf = binary.LittleEndian.AppendUint32(b.buf, v) }

// Uint64 appends eight bytes.
func (b *Buffer) Uint64(v uint64) { b.buf = binary.LittleEndian.AppendUint64(b.buf, v) }

// Uvarint appends one to ten bytes, seven bits in each.
func (b *Buffer) Uvarint(v uint64) { b.buf = binary.AppendUvarint(b.buf, v) }

// Float64 appends eight bytes, which keep every bit of v.
func (b *Buffer) Float64(v float64) { b.Uint64(math.Float64bits(v)) }

// String appends the length of s and s. From 32 KiB on, s is referenced.
func (b *Buffer) String(s string) {
	b.Uvarint(uint64(len(s)))
	if len(s) >= referFrom && !b.inKey {
		b.refer(unsafe.Slice(unsafe.StringData(s), len(s)))
		return
	}
	b.buf = append(b.buf, s...)
}

// Bytes appends the length of p and a copy of p, which may change afterwards.
func (b *Buffer) Bytes(p []byte) {
	b.Uvarint(uint64(len(p)))
	b.buf = append(b.buf, p...)
}

// block appends memory that is its own encoding.
func (b *Buffer) block(p []byte) {
	if len(p) >= alignFrom {
		b.Align(blockAlign(len(p)))
	}
	if len(p) >= referFrom {
		b.refer(p)
		return
	}
	b.buf = append(b.buf, p...)
}

// blockAlign is the alignment of a block of at least alignFrom bytes.
func blockAlign(size int) int {
	if size >= referFrom {
		return 64
	}
	return 8
}

func (b *Buffer) refer(p []byte) {
	b.refs = append(b.refs, reference{at: len(b.buf), start: b.Len(), data: p})
	b.extra += len(p)
}

// Align appends zeros until the length is a multiple of n, a power of two. Inside
// a frame the length counts from the start of the payload.
func (b *Buffer) Align(n int) { b.zeros(-(b.Len() - b.base) & (n - 1)) }

func (b *Buffer) zeros(n int) { b.buf = append(b.buf, make([]byte, n)...) }

// SetUint64 overwrites eight bytes at offset, a value that Len had when they were
// appended with Uint64.
func (b *Buffer) SetUint64(offset int, v uint64) {
	for i := len(b.refs) - 1; i >= 0; i-- {
		if b.refs[i].start < offset {
			offset += b.refs[i].at - b.refs[i].start - len(b.refs[i].data)
			break
		}
	}
	binary.LittleEndian.PutUint64(b.buf[offset:], v)
}

// Mark returns the place to hand to Truncate.
func (b *Buffer) Mark() int { return b.Len() }

// Truncate undoes what was appended since mark was taken.
func (b *Buffer) Truncate(mark int) {
	for n := len(b.refs); n > 0 && b.refs[n-1].start >= mark; n = len(b.refs) {
		b.extra -= len(b.refs[n-1].data)
		b.refs[n-1] = reference{}
		b.refs = b.refs[:n-1]
	}
	b.buf = b.buf[:mark-b.extra]
	if mark < b.base {
		b.base = 0
	}
}

// Chunks returns the message in order, ready for net.Buffers. The chunks are valid
// until b is changed or Reset.
func (b *Buffer) Chunks() [][]byte {
	b.chunks = b.chunks[:0]
	from := 0
	for _, r := range b.refs {
		if r.at > from {
			b.chunks = append(b.chunks, b.buf[from:r.at:r.at])
			from = r.at
		}
		b.chunks = append(b.chunks, r.data)
	}
	if len(b.buf) > from {
		b.chunks = append(b.chunks, b.buf[from:])
	}
	return b.chunks
}

// AppendTo appends the message to dst.
func (b *Buffer) AppendTo(dst []byte) []byte {
	for _, c := range b.Chunks() {
		dst = append(dst, c...)
	}
	return dst
}

// Blob appends a message of its own, which Reader.Blob gives back: its length, zeros
// up to a multiple of 64 when it may hold a block, and a copy of its bytes.
func (b *Buffer) Blob(m *Buffer) {
	b.beginBlob(m.Len())
	b.buf = m.AppendTo(b.buf)
}

// BlobKept is Blob for an m that does not change any more: its large parts are
// referenced, not copied.
func (b *Buffer) BlobKept(m *Buffer) {
	b.beginBlob(m.Len())
	for _, c := range m.Chunks() {
		b.Raw(c)
	}
}

// BlobOf appends a message that is there already. From 32 KiB on, p is referenced.
func (b *Buffer) BlobOf(p []byte) {
	b.beginBlob(len(p))
	b.Raw(p)
}

func (b *Buffer) beginBlob(size int) {
	b.Uvarint(uint64(size))
	if size >= alignFrom {
		b.Align(64)
	}
}

// Raw appends p as it is. From 32 KiB on, p is referenced.
func (b *Buffer) Raw(p []byte) {
	if len(p) >= referFrom {
		b.refer(p)
		return
	}
	b.buf = append(b.buf, p...)
}

// RawAll appends messages of size bytes each as they are.
func (b *Buffer) RawAll(ps [][]byte, size int) {
	b.buf = slices.Grow(b.buf, len(ps)*size)
	for _, p := range ps {
		b.buf = append(b.buf, p...)
	}
}
