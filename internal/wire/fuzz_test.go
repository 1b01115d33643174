package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
)

// kitchen has a field of everything that can travel.
type kitchen struct {
	B     bool
	I     int
	U16   uint16
	F     float32
	C     complex128
	S     string
	Bytes []byte
	Bools []bool
	Fs    [][]float64
	Plain []plain3
	Loose []padded
	Arr   [2]string
	Empty []struct{}
	M     map[string]int
	MM    map[float64]map[bool][]string
	Keys  map[any]any
	P     **int
	Rec   *kitchen
	Nest  nest
	Tree  map[string]nested
	Any   any
	Shape shape
	Err   error
	T     time.Time
	D     time.Duration
	Big   *big.Int
	Rat   big.Rat
	Addr  netip.Addr
	Label label
	Emb   stamped
	Mat   *mat.Dense
	Tri   mat.TriDense
	inner
}

func fullKitchen() kitchen {
	n := 5
	p := &n
	return kitchen{
		B: true, I: -1, U16: 2, F: 3, C: 4i, S: "five", Bytes: []byte{6}, Bools: []bool{true, false},
		Fs: [][]float64{{1}, nil, make([]float64, 150)}, Plain: []plain3{{1, 2, 3}}, Loose: []padded{{A: 1}},
		Arr: [2]string{"a", "b"}, Empty: make([]struct{}, 3), M: map[string]int{"a": 1, "b": 2},
		MM:   map[float64]map[bool][]string{1: {true: {"x"}}, 2: nil},
		Keys: map[any]any{1: "x", "y": 2.0, square{1}: []any{nil}}, P: &p, Rec: &kitchen{S: "inner"},
		Nest: nest{nil, {{}}}, Tree: map[string]nested{"a": {"b": nil}},
		Any: map[string]any{"a": []any{1, "b", 2.5, time.Second}}, Shape: &circle{2},
		Err: fmt.Errorf("x: %w", &fs.PathError{Op: "open", Path: "p", Err: io.EOF}),
		T:   time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("X", 3600)), D: time.Second,
		Big: big.NewInt(7), Rat: *big.NewRat(1, 3), Addr: netip.MustParseAddr("::1"), Label: label{"l"},
		Emb: stamped{time.Unix(1, 0).UTC(), 3}, Mat: mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6}),
		Tri: *mat.NewTriDense(2, mat.Lower, []float64{1, 0, 2, 3}), inner: inner{1, "b"},
	}
}

func kitchenCodec(t testing.TB) Codec[kitchen] {
	c, err := For[kitchen]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKitchen(t *testing.T) {
	t.Parallel()
	in := fullKitchen()
	data := encode(t, in)
	out := decode[kitchen](t, data, 1, true)[0]
	if !bytes.Equal(data, encode(t, out)) {
		t.Errorf("%+v became %+v", in, out)
	}
	if out.Err.Error() != in.Err.Error() || !errors.Is(out.Err, io.EOF) || out.inner != in.inner || !out.Emb.Equal(in.Emb.Time) || out.Emb.N != 3 {
		t.Errorf("%+v became %+v", in, out)
	}
	if c := kitchenCodec(t); c.Size(&in) < len(data)/2 || c.Size(&in) > 4*len(data) {
		t.Errorf("Size %d, encoded %d", c.Size(&in), len(data))
	}
}

// FuzzDecode feeds hostile messages: no panic, no memory out of proportion, and what
// is accepted has a stable encoding. Run it with -fuzzminimizetime 10x: the order of
// maps makes coverage vary, and go test would spend its time minimizing.
func FuzzDecode(f *testing.F) {
	c := kitchenCodec(f)
	f.Add(encode(f, kitchen{}), false)
	f.Add(encode(f, fullKitchen()), true)
	f.Fuzz(func(t *testing.T, data []byte, alias bool) {
		out := make([]kitchen, 1)
		r := NewReader(bytes.Clone(data), alias)
		var err error
		if got := allocatedBy(func() { err = c.Decode(r, out) }); got > 200*uint64(len(data))+4<<20 {
			t.Errorf("%d bytes were allocated for a message of %d", got, len(data))
		}
		c.Size(&out[0])
		if err != nil {
			if r.Err() == nil || r.Len() != 0 {
				t.Error("an error that does not stick")
			}
			return
		}
		var b Buffer
		if err := c.Append(&b, out); err != nil {
			return // nested as deep as decoding allows and with an error on top, for example
		}
		first := b.AppendTo(nil)
		again := make([]kitchen, 1)
		if err := c.Decode(NewReader(first, false), again); err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		b.Reset()
		if err := c.Append(&b, again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, b.AppendTo(nil)) {
			t.Error("the encoding is not stable")
		}
	})
}

// FuzzError is FuzzDecode for errors alone.
func FuzzError(f *testing.F) {
	for _, err := range []error{io.EOF, errors.New("x"), &codeError{1, io.EOF}, errors.Join(errMine, &fs.PathError{Err: io.EOF})} {
		var b Buffer
		AppendError(&b, err)
		f.Add(b.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(data, false)
		err := DecodeError(r)
		if r.Err() != nil {
			if err == nil {
				t.Error("a damaged error became none")
			}
			return
		}
		if err == nil {
			return
		}
		_ = messageOf(err)
		_ = remoteOnce(err)
	})
}

// FuzzFrames feeds a hostile stream.
func FuzzFrames(f *testing.F) {
	var b Buffer
	for i := range 3 {
		m := b.BeginFrame(Header{Kind: uint8(i)})
		b.String("payload")
		b.EndFrame(m)
	}
	f.Add(b.AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		frames := NewFrameReader(bytes.NewReader(data), 1<<20)
		total := 0
		for {
			h, payload, _, err := frames.Next()
			if err != nil {
				if err == io.EOF && total != len(data) {
					t.Errorf("end after %d of %d bytes", total, len(data))
				}
				return
			}
			if uint64(len(payload)) != h.Length {
				t.Errorf("%d bytes, want %d", len(payload), h.Length)
			}
			total += headerSize + len(payload)
		}
	})
}
