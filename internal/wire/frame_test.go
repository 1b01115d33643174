package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"pgregory.net/rapid"
)

func TestBuffer(t *testing.T) {
	t.Parallel()
	var b Buffer
	b.Uint8(1)
	b.Uint32(2)
	b.Uint64(3)
	b.Uvarint(300)
	b.Float64(-0.5)
	b.String("héllo")
	b.Bytes([]byte{7, 8})
	b.Align(16)
	if b.Len()%16 != 0 {
		t.Errorf("length %d", b.Len())
	}
	b.Uint8(9)
	b.Raw([]byte{10, 11})
	r := NewReader(b.AppendTo(nil), false)
	if r.Uint8() != 1 || r.Uint32() != 2 || r.Uint64() != 3 || r.Uvarint() != 300 || r.Float64() != -0.5 ||
		r.String() != "héllo" || !bytes.Equal(r.Bytes(), []byte{7, 8}) {
		t.Error("wrong values")
	}
	r.Align(16)
	if r.Uint8() != 9 || !bytes.Equal(r.Rest(), []byte{10, 11}) || r.Len() != 0 || r.Err() != nil {
		t.Errorf("%d bytes left, error %v", r.Len(), r.Err())
	}
	if r.Uint32() != 0 || !errors.Is(r.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("after the end: %v", r.Err())
	}
	first := r.Err()
	r.Fail(io.EOF)
	if r.Err() != first {
		t.Error("the first error did not stick")
	}
	r = NewReader([]byte{1, 2, 3}, false)
	r.Fail(io.EOF)
	if r.Uint8() != 0 || r.Rest() != nil || r.Len() != 0 || r.Err() != io.EOF {
		t.Error("a failed reader reads on")
	}
	for _, data := range [][]byte{bytes.Repeat([]byte{0xff}, 11), {0x80}, {5, 1}} {
		r = NewReader(data, false)
		if r.Bytes(); r.Err() == nil {
			t.Errorf("no error for % x", data)
		}
	}
}

// TestBufferOperations compares a Buffer with a plain slice of bytes.
func TestBufferOperations(t *testing.T) {
	t.Parallel()
	c, err := For[[]byte]()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var b Buffer
		var model []byte
		var marks, numbers []int
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				numbers = append(numbers, b.Len())
				b.Uint64(5)
				model = binary.LittleEndian.AppendUint64(model, 5)
			case 1:
				s := strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 40_000}).Draw(t, "n"))
				b.String(s)
				model = binary.AppendUvarint(model, uint64(len(s)))
				model = append(model, s...)
			case 2:
				p := bytes.Repeat([]byte{3}, rapid.SampledFrom([]int{0, 1, 2000, 40_000}).Draw(t, "n"))
				if err := c.Append(&b, [][]byte{p}); err != nil {
					t.Fatal(err)
				}
				model = binary.AppendUvarint(model, uint64(len(p)+1))
				if len(p) >= alignFrom {
					for len(model)%blockAlign(len(p)) != 0 {
						model = append(model, 0)
					}
				}
				model = append(model, p...)
			case 6:
				p := bytes.Repeat([]byte{4}, rapid.SampledFrom([]int{0, 1, 40_000}).Draw(t, "n"))
				b.Raw(p)
				model = append(model, p...)
			case 3:
				marks = append(marks, b.Mark())
			case 4:
				if n := len(marks); n > 0 {
					at := marks[n-1]
					b.Truncate(at)
					model, marks = model[:at], marks[:n-1]
					for len(numbers) > 0 && numbers[len(numbers)-1] >= at {
						numbers = numbers[:len(numbers)-1]
					}
				}
			case 5:
				if len(numbers) > 0 {
					at := rapid.SampledFrom(numbers).Draw(t, "at")
					b.SetUint64(at, uint64(at))
					binary.LittleEndian.PutUint64(model[at:], uint64(at))
				}
			}
			if b.Len() != len(model) {
				t.Fatalf("length %d, want %d", b.Len(), len(model))
			}
		}
		if !bytes.Equal(b.AppendTo(nil), model) || !bytes.Equal(bytes.Join(b.Chunks(), nil), model) {
			t.Fatal("contents differ")
		}
		b.Reset()
		if b.Len() != 0 || len(b.Chunks()) != 0 {
			t.Fatal("not empty after Reset")
		}
	})
}

// payloads have all sizes that matter, and end with their index.
var payloads = [][]byte{nil, {1}, append(make([]byte, smallFrame-1), 2), append(make([]byte, smallFrame), 3), append(make([]byte, 3*readBuffer-1), 4), {5}}

func frames() *Buffer {
	b := new(Buffer)
	for i, p := range payloads {
		m := b.BeginFrame(Header{Kind: uint8(i), Job: 1 << 31, Seq: 1<<63 + uint64(i)})
		if p != nil {
			b.refer(p)
		}
		b.EndFrame(m)
	}
	return b
}

func TestFrames(t *testing.T) {
	t.Parallel()
	data := frames().AppendTo(nil)
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(data),
		"bytes": iotest.OneByteReader(bytes.NewReader(data)),
		"half":  iotest.HalfReader(bytes.NewReader(data)),
		"eof":   iotest.DataErrReader(bytes.NewReader(data)),
	} {
		f := NewFrameReader(r, 1<<30)
		if f.Buffered() {
			t.Errorf("%s: a frame before anything was read", name)
		}
		for i, want := range payloads {
			h, payload, owned, err := f.Next()
			if err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			if h != (Header{uint8(i), 1 << 31, 1<<63 + uint64(i), uint64(len(want))}) {
				t.Errorf("%s: frame %d: header %+v", name, i, h)
			}
			if !bytes.Equal(payload, want) || cap(payload) != len(payload) {
				t.Errorf("%s: frame %d: %d bytes, cap %d", name, i, len(payload), cap(payload))
			}
			if owned != (len(want) > smallFrame) {
				t.Errorf("%s: frame %d: owned %t", name, i, owned)
			}
			if owned && uintptr(unsafe.Pointer(&payload[0]))%64 != 0 {
				t.Errorf("%s: frame %d is not aligned", name, i)
			}
			if name == "whole" && f.Buffered() != (i < 3) {
				t.Errorf("%s: frame %d: Buffered %t", name, i, f.Buffered())
			}
		}
		for range 2 {
			if _, _, _, err := f.Next(); err != io.EOF {
				t.Errorf("%s: at the end: %v", name, err)
			}
		}
	}
}

func TestFrameFormat(t *testing.T) {
	t.Parallel()
	var b Buffer
	m := b.BeginFrame(Header{Kind: 3, Job: 0x04050607, Seq: 0x08090a0b0c0d0e0f})
	b.Uint8(0xff)
	b.EndFrame(m)
	want := []byte{'W', 'p', 1, 3, 7, 6, 5, 4, 0xf, 0xe, 0xd, 0xc, 0xb, 0xa, 9, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0xff}
	if got := b.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestFramesOverNetwork(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	go func() {
		chunks := net.Buffers(frames().Chunks())
		_, _ = chunks.WriteTo(there)
		there.Close()
	}()
	f := NewFrameReader(here, 1<<30)
	for range payloads {
		if _, _, _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := f.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestDamagedFrames(t *testing.T) {
	t.Parallel()
	frame := func(change func(p []byte)) []byte {
		var b Buffer
		m := b.BeginFrame(Header{})
		b.Uint64(1)
		b.EndFrame(m)
		p := b.AppendTo(nil)
		change(p)
		return p
	}
	for _, test := range []struct {
		name, says string
		data       []byte
	}{
		{"magic", "not a frame", frame(func(p []byte) { p[0]++ })},
		{"version", "same build", frame(func(p []byte) { p[2]++ })},
		{"length", "limit of 1000", frame(func(p []byte) { binary.LittleEndian.PutUint64(p[16:], 1001) })},
		{"huge length", "limit of 1000", frame(func(p []byte) { binary.LittleEndian.PutUint64(p[16:], 1<<64-1) })},
		{"print", `starts with "panic: hello`, []byte("panic: hello from the C library\n")},
		{"cut header", "reading the header", make([]byte, 23)},
		{"cut payload", "payload of 8 bytes", frame(func([]byte) {})[:30]},
	} {
		f := NewFrameReader(bytes.NewReader(test.data), 1000)
		_, _, _, err := f.Next()
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
		if strings.HasPrefix(test.name, "cut") && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, _, _, again := f.Next(); again != err || !f.Buffered() {
			t.Errorf("%s: the error did not stick: %v", test.name, again)
		}
	}
	// Bad bytes behind a good frame are known without reading on.
	f := NewFrameReader(bytes.NewReader(append(frame(func([]byte) {}), make([]byte, 24)...)), 1000)
	if _, _, _, err := f.Next(); err != nil || !f.Buffered() {
		t.Errorf("%v, %t", err, f.Buffered())
	}
}

// TestHugeFrame checks that memory grows with the data and not with the length.
func TestHugeFrame(t *testing.T) {
	var b Buffer
	b.BeginFrame(Header{Length: 1 << 30})
	got := allocatedBy(func() {
		f := NewFrameReader(io.MultiReader(bytes.NewReader(b.AppendTo(nil)), bytes.NewReader(make([]byte, 1<<20))), 1<<31-100)
		if _, _, _, err := f.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
	if got > exactFrame+4<<20 {
		t.Errorf("%d bytes were allocated", got)
	}
	if testing.Short() {
		return
	}
	const size = 2*exactFrame + 12345
	b.Reset()
	b.BeginFrame(Header{Length: size})
	data := &countingReader{n: size}
	f := NewFrameReader(io.MultiReader(bytes.NewReader(b.AppendTo(nil)), data), 1<<31-100)
	_, payload, owned, err := f.Next()
	if err != nil || len(payload) != size || !owned {
		t.Fatalf("%d bytes, owned %t, %v", len(payload), owned, err)
	}
	for i := range payload {
		if payload[i] != byte(i%251) {
			t.Fatalf("byte %d is %d", i, payload[i])
		}
	}
}

// countingReader yields n bytes that tell their place.
type countingReader struct{ at, n int }

func (c *countingReader) Read(p []byte) (int, error) {
	if c.at == c.n {
		return 0, io.EOF
	}
	n := min(len(p), c.n-c.at)
	for i := range n {
		p[i] = byte((c.at + i) % 251)
	}
	c.at += n
	return n, nil
}

func TestAlignmentInFrames(t *testing.T) {
	t.Parallel()
	c, err := For[[]float64]()
	if err != nil {
		t.Fatal(err)
	}
	in := [][]float64{{1, 2, 3}, make([]float64, 200), make([]float64, 20_000)}
	var b Buffer
	for range 3 {
		m := b.BeginFrame(Header{})
		b.Uint8(1) // an odd start
		if err := c.Append(&b, in); err != nil {
			t.Fatal(err)
		}
		b.EndFrame(m)
	}
	f := NewFrameReader(bytes.NewReader(b.AppendTo(nil)), 1<<30)
	for range 3 {
		_, payload, owned, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(payload, owned)
		r.Uint8()
		out := make([][]float64, 3)
		if err := c.Decode(r, out); err != nil || r.Len() != 0 {
			t.Fatalf("%v, %d bytes left", err, r.Len())
		}
		first, last := uintptr(unsafe.Pointer(&payload[0])), uintptr(unsafe.Pointer(&payload[len(payload)-1]))
		for i, s := range out[1:] {
			if p := uintptr(unsafe.Pointer(&s[0])); p < first || p > last {
				t.Errorf("slice %d was copied", i+1)
			}
		}
	}
}
