package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"unsafe"
)

const (
	frameMagic   = 0x7057 // "Wp"
	frameVersion = 1
	headerSize   = 24

	readBuffer = 256 << 10
	smallFrame = 64 << 10 // up to this size a payload is a view into the read buffer
	exactFrame = 64 << 20 // up to this size memory is allocated before the data arrive
)

// Header describes a frame. The meaning of Kind, Job and Seq is the executor's.
type Header struct {
	Kind   uint8
	Job    uint32
	Seq    uint64
	Length uint64 // of the payload; EndFrame sets it
}

// BeginFrame starts a frame and returns the mark for EndFrame. Alignment counts
// from here, the start of the payload. To drop the frame, Truncate to the mark.
func (b *Buffer) BeginFrame(h Header) (mark int) {
	mark = b.Len()
	b.buf = binary.LittleEndian.AppendUint16(b.buf, frameMagic)
	b.buf = append(b.buf, frameVersion, h.Kind)
	b.Uint32(h.Job)
	b.Uint64(h.Seq)
	b.Uint64(h.Length)
	b.base = b.Len()
	return mark
}

// EndFrame completes the frame that BeginFrame started at mark.
func (b *Buffer) EndFrame(mark int) {
	b.SetUint64(mark+headerSize-8, uint64(b.Len()-mark-headerSize))
}

// FrameReader reads frames from a stream. It is not safe for concurrent use.
type FrameReader struct {
	r        io.Reader
	max      uint64
	buf      []byte
	pos, end int // buf[pos:end] has been read from r and not yet returned
	err      error
}

// NewFrameReader returns a FrameReader of r that refuses payloads beyond max bytes.
func NewFrameReader(r io.Reader, max uint64) *FrameReader {
	return &FrameReader{r: r, max: min(max, math.MaxInt-headerSize), buf: make([]byte, readBuffer)}
}

// Next returns the next frame. A payload that is not owned is valid until the next
// call. An owned one (beyond 64 KiB) is the caller's, starts at a multiple of 64 in
// memory, and may be given to a Reader with alias. The error is io.EOF when the
// stream ends between frames. Errors stick.
func (f *FrameReader) Next() (h Header, payload []byte, owned bool, err error) {
	if f.err != nil {
		return Header{}, nil, false, f.err
	}
	h, payload, owned, f.err = f.next()
	return h, payload, owned, f.err
}

func (f *FrameReader) next() (h Header, payload []byte, owned bool, err error) {
	if err := f.fill(headerSize); err != nil {
		if f.pos == f.end && err == io.EOF {
			return Header{}, nil, false, io.EOF
		}
		return Header{}, nil, false, frameError("header of a frame", err)
	}
	h, err = f.header()
	if err != nil {
		return Header{}, nil, false, err
	}
	f.pos += headerSize
	if h.Length > smallFrame {
		payload, err = f.large(int(h.Length))
		owned = true
	} else if err = f.fill(int(h.Length)); err == nil {
		payload = f.buf[f.pos : f.pos+int(h.Length) : f.pos+int(h.Length)]
		f.pos += int(h.Length)
	}
	if err != nil {
		return Header{}, nil, false, frameError(fmt.Sprintf("payload of %d bytes", h.Length), err)
	}
	return h, payload, owned, nil
}

func frameError(what string, err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("wire: reading the %s: %w", what, err)
}

// header parses the header at pos, which is in the buffer.
func (f *FrameReader) header() (Header, error) {
	p := f.buf[f.pos:f.end]
	if magic := binary.LittleEndian.Uint16(p); magic != frameMagic {
		return Header{}, fmt.Errorf("wire: not a frame (it starts with %q): something else was written to the connection, or a frame was cut", p[:min(len(p), 32)])
	}
	if p[2] != frameVersion {
		return Header{}, fmt.Errorf("wire: frame version %d, this program speaks version %d: use the same build at both ends", p[2], frameVersion)
	}
	h := Header{
		Kind:   p[3],
		Job:    binary.LittleEndian.Uint32(p[4:]),
		Seq:    binary.LittleEndian.Uint64(p[8:]),
		Length: binary.LittleEndian.Uint64(p[16:]),
	}
	if h.Length > f.max {
		return Header{}, fmt.Errorf("wire: frame of %d bytes is larger than the limit of %d: send smaller batches or raise the limit", h.Length, f.max)
	}
	return h, nil
}

// Buffered reports whether Next can return without reading from the stream.
func (f *FrameReader) Buffered() bool {
	if f.err != nil {
		return true
	}
	n := uint64(f.end - f.pos)
	if n < headerSize {
		return false
	}
	h, err := f.header()
	return err != nil || n-headerSize >= h.Length
}

// fill reads until n bytes, at most smallFrame, are in the buffer.
func (f *FrameReader) fill(n int) error {
	if f.end-f.pos >= n {
		return nil
	}
	if f.pos == f.end || len(f.buf)-f.pos < n {
		f.end = copy(f.buf, f.buf[f.pos:f.end])
		f.pos = 0
	}
	k, err := io.ReadAtLeast(f.r, f.buf[f.end:], n-(f.end-f.pos))
	f.end += k
	if f.end-f.pos >= n {
		return nil
	}
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return err
}

// large reads a payload of n bytes straight into memory of its own. Beyond
// exactFrame the memory doubles as data arrive: a damaged length costs no more
// than the sender is ready to send.
func (f *FrameReader) large(n int) ([]byte, error) {
	p := alignedBytes(min(n, exactFrame))
	have := copy(p, f.buf[f.pos:f.end])
	f.pos += have
	for {
		k, err := io.ReadFull(f.r, p[have:])
		if have += k; err != nil {
			return nil, err
		}
		if have == n {
			return p, nil
		}
		larger := alignedBytes(have + min(have, n-have))
		copy(larger, p)
		p = larger
	}
}

// alignedBytes allocates n bytes that start at a multiple of 64, with anything in them:
// the caller overwrites all. Clearing them first would take a third of the time of a
// large copy, and a Builder's is the one allocation that does without.
func alignedBytes(n int) []byte {
	var b strings.Builder
	b.Grow(n + 63)
	b.WriteByte(0) // now it has a place
	p := unsafe.Slice(unsafe.StringData(b.String()), n+63)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & 63) // 0 for every large allocation today
	return p[skip : skip+n : skip+n]
}
