package wire

import (
	"fmt"
	"io"
	"testing"
)

// benchmarkCodec measures one batch of values, encoded and decoded.
func benchmarkCodec[T any](b *testing.B, vs []T, alias bool) {
	c, err := For[T]()
	if err != nil {
		b.Fatal(err)
	}
	var buf Buffer
	if err := c.Append(&buf, vs); err != nil {
		b.Fatal(err)
	}
	size := buf.Len()
	perValue := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(vs)), "ns/value")
		b.SetBytes(int64(size))
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf.Reset()
			if err := c.Append(&buf, vs); err != nil {
				b.Fatal(err)
			}
		}
		perValue(b)
	})
	data := alignedBytes(size)
	copy(data, buf.AppendTo(nil))
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		out := make([]T, len(vs))
		var r Reader
		for b.Loop() {
			r.Init(data, alias)
			if err := c.Decode(&r, out); err != nil {
				b.Fatal(err)
			}
		}
		perValue(b)
	})
	b.Run("size", func(b *testing.B) {
		for b.Loop() {
			for i := range vs {
				c.Size(&vs[i])
			}
		}
		perValue(b)
	})
}

func BenchmarkInt(b *testing.B) { benchmarkCodec(b, make([]int, 1000), false) }

func BenchmarkString(b *testing.B) {
	vs := make([]string, 1000)
	for i := range vs {
		vs[i] = fmt.Sprintf("sub-%04d/run.nii.gz", i)
	}
	benchmarkCodec(b, vs, false)
}

type record struct {
	ID      int
	Subject string
	Dose    float64
	Age     uint8
	Ok      bool
	Scores  []float64
}

func BenchmarkStruct(b *testing.B) {
	vs := make([]record, 1000)
	for i := range vs {
		vs[i] = record{i, "sub-0001", 2.5, 33, true, []float64{1, 2, 3}}
	}
	benchmarkCodec(b, vs, false)
}

func BenchmarkPlainStruct(b *testing.B) {
	type point struct{ X, Y, Z float64 }
	benchmarkCodec(b, make([]point, 1000), false)
}

func BenchmarkFloats(b *testing.B) {
	vs := [][]float64{make([]float64, 1<<20)}
	b.Run("copy", func(b *testing.B) { benchmarkCodec(b, vs, false) })
	b.Run("view", func(b *testing.B) { benchmarkCodec(b, vs, true) })
}

func BenchmarkMap(b *testing.B) {
	m := map[string]float64{}
	for i := range 1000 {
		m[fmt.Sprintf("key-%d", i)] = float64(i)
	}
	benchmarkCodec(b, []map[string]float64{m}, false)
}

func BenchmarkAny(b *testing.B) {
	vs := make([]any, 1000)
	for i := range vs {
		vs[i] = float64(i)
	}
	benchmarkCodec(b, vs, false)
}

func BenchmarkTree(b *testing.B) {
	type node struct {
		Value       int
		Left, Right *node
	}
	var grow func(depth int) *node
	grow = func(depth int) *node {
		if depth == 0 {
			return nil
		}
		return &node{depth, grow(depth - 1), grow(depth - 1)}
	}
	benchmarkCodec(b, []*node{grow(10)}, false)
}

func BenchmarkFrames(b *testing.B) {
	var buf Buffer
	for i := range 100 {
		m := buf.BeginFrame(Header{Kind: 1, Seq: uint64(i)})
		buf.Uint64(7)
		buf.EndFrame(m)
	}
	f := NewFrameReader(&endless{data: buf.AppendTo(nil)}, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := f.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// endless repeats data.
type endless struct {
	data []byte
	off  int
}

func (e *endless) Read(p []byte) (n int, err error) {
	n = copy(p, e.data[e.off:])
	e.off = (e.off + n) % len(e.data)
	return n, nil
}

var _ io.Reader = (*endless)(nil)
