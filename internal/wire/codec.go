// Package wire puts values and frames on the wire between processes of one binary.
// Both ends compile the same schema from a Go type, so values do not describe
// themselves, and slices of numbers travel as raw little-endian blocks.
//
//	codec, err := wire.For[Train]()       // once; err names a field that would be lost
//	mark := b.BeginFrame(wire.Header{Kind: 1, Job: 7})
//	err = codec.Append(&b, trains)        // b is a wire.Buffer
//	b.EndFrame(mark)
//	_, payload, owned, err := frames.Next() // at the other end: a wire.FrameReader
//	err = codec.Decode(wire.NewReader(payload, owned), got)
//
// A value comes out as it went in: nil and empty slices and maps stay apart, floats
// keep every bit. Two pointers to one variable become pointers to two variables.
// A cycle, or nesting deeper than 10,000, is an error.
package wire

import (
	"fmt"
	"reflect"
	"unsafe"
)

// Codec encodes and decodes values of type T. It is safe for concurrent use.
type Codec[T any] struct {
	plan *plan
}

// For returns the codec of T. The error is a *TypeError when values of T would lose
// data. The codec is compiled once for each type; later calls cost a map access.
func For[T any]() (Codec[T], error) {
	p, err := planOf(reflect.TypeFor[T]())
	return Codec[T]{p}, err
}

// Append appends the values vs, but not their number. After an error b is as before.
func (c Codec[T]) Append(b *Buffer, vs []T) error {
	if c.plan.plain {
		b.raw(unsafe.Pointer(unsafe.SliceData(vs)), len(vs)*int(c.plan.size))
		return nil
	}
	mark := b.Mark()
	for i := range vs {
		if err := c.plan.encode(b, unsafe.Pointer(&vs[i])); err != nil {
			b.Truncate(mark)
			err = c.failed(err)
			if len(vs) > 1 {
				err = fmt.Errorf("value %d: %w", i, err)
			}
			return err
		}
	}
	return nil
}

// AppendUpTo appends values until b has grown by limit bytes or more, at least one
// value, and returns how many. When the value at n fails, b holds the n before it.
func (c Codec[T]) AppendUpTo(b *Buffer, vs []T, limit int) (n int, err error) {
	if c.plan.fixed && c.plan.least > 0 {
		fit := (max(1, limit)-1)/c.plan.least + 1
		vs = vs[:min(len(vs), fit)]
		if c.plan.plain {
			return len(vs), c.Append(b, vs)
		}
	}
	start := b.Len()
	for i := range vs {
		mark := b.Mark()
		if err := c.plan.encode(b, unsafe.Pointer(&vs[i])); err != nil {
			b.Truncate(mark)
			return i, c.failed(err)
		}
		if b.Len()-start >= limit {
			return i + 1, nil
		}
	}
	return len(vs), nil
}

// failed makes err, from inside a value, one that begins with the name of T.
func (c Codec[T]) failed(err error) error {
	return inValue(err, rootName(reflect.TypeFor[T]()))
}

// Decode decodes len(vs) values into vs, whatever vs held before. After an error,
// which is also r's, the contents of vs are unspecified.
func (c Codec[T]) Decode(r *Reader, vs []T) error {
	if c.plan.plain {
		r.raw(unsafe.Pointer(unsafe.SliceData(vs)), len(vs)*int(c.plan.size))
		return r.err
	}
	for i := range vs {
		c.plan.decode(r, unsafe.Pointer(&vs[i]))
		if r.err != nil {
			return r.err
		}
	}
	return r.err
}

// Size returns the encoded size of *v in bytes, near enough to bound memory with:
// exact for types of fixed size, an estimate for long slices, very large maps and
// types that marshal themselves. Its cost is bounded. It follows pointers, so *v must
// not change meanwhile. The zero Codec, for a type that cannot travel, has a Size too:
// the memory of *v without what pointers lead to.
func (c Codec[T]) Size(v *T) int {
	switch {
	case c.plan == nil:
		return ownMemory(reflect.ValueOf(v).Elem())
	case c.plan.fixed:
		return c.plan.least
	}
	s := sizer{visits: maxVisits}
	return s.size(c.plan, unsafe.Pointer(v))
}

// Fixed returns the encoded size of every value, if they all have the same.
func (c Codec[T]) Fixed() (size int, ok bool) {
	if c.plan == nil || !c.plan.fixed {
		return 0, false
	}
	return c.plan.least, true
}

// Prefix returns how many of vs, at least one if there is one, come to no more than
// limit bytes, and how many bytes these are.
func (c Codec[T]) Prefix(vs []T, limit int64) (n int, bytes int64) {
	if len(vs) == 0 {
		return 0, 0
	}
	if c.plan != nil && c.plan.fixed {
		each := int64(c.Size(&vs[0]))
		n = len(vs)
		if each > 0 {
			n = int(min(int64(n), max(1, limit/each)))
		}
		return n, int64(n) * each
	}
	for n = range vs {
		size := int64(c.Size(&vs[n]))
		if n > 0 && size > limit-bytes {
			return n, bytes
		}
		bytes += size
	}
	return len(vs), bytes
}

// Fingerprint returns a hash of the shape of T: kinds, names of types and of fields.
// It is the same in two processes of one build.
func (c Codec[T]) Fingerprint() uint64 { return c.plan.fingerprint() }

// TypeError says why values of a type cannot travel.
type TypeError struct {
	Type   reflect.Type // the type that was asked for
	Path   string       // the field at fault, such as Sim.Grid.mu; empty when it is Type itself
	Reason string
}

func (e *TypeError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("type %v %s", e.Type, e.Reason)
	}
	return fmt.Sprintf("type %v: field %s %s", e.Type, e.Path, e.Reason)
}
