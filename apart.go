package parade

import (
	"math"

	"github.com/parade-go/parade/internal/wire"
)

// Values that travel apart are messages of their own, so that a process that does not know
// their types can take some of them. Where all have one small size, as numbers have, they follow
// one another without more: a varint has that size. Otherwise it is 0, and each is a blob.

// uniformBelow is the size from which a value may hold padding, which depends on its place.
const uniformBelow = 1 << 10

// appendApart appends values of any type and returns how many it could encode.
func appendApart[T any](c wire.Codec[T], b *wire.Buffer, vs []T) (int, error) {
	if size, ok := c.Fixed(); ok && size < uniformBelow {
		b.Uvarint(uint64(size))
		if size > 0 {
			return c.AppendUpTo(b, vs, math.MaxInt)
		}
	} else {
		b.Uvarint(0)
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	for i := range vs {
		s.wire.Reset()
		if err := c.Append(&s.wire, vs[i:i+1]); err != nil {
			return i, err
		}
		b.Blob(&s.wire)
	}
	return len(vs), nil
}

func decodeApart[T any](c wire.Codec[T], r *wire.Reader, vs []T) error {
	size := r.Uvarint()
	if fixed, ok := c.Fixed(); ok && size > 0 && size == uint64(fixed) {
		return c.Decode(r, vs)
	}
	var one wire.Reader
	for i := range vs {
		one.Init(nextApart(r, size), r.Alias())
		if r.Err() != nil {
			return r.Err()
		}
		if err := c.Decode(&one, vs[i:i+1]); err != nil {
			return err
		}
	}
	return r.Err()
}

func nextApart(r *wire.Reader, size uint64) []byte {
	if size == 0 {
		return r.Blob()
	}
	return r.Raw(size)
}

// appendMessages appends values that are encoded already.
func appendMessages(b *wire.Buffer, all [][]byte) {
	size := 0
	if len(all) > 0 && len(all[0]) < uniformBelow {
		size = len(all[0])
	}
	for _, m := range all {
		if len(m) != size {
			size = 0
			break
		}
	}
	b.Uvarint(uint64(size))
	if size > 0 {
		b.RawAll(all, size)
		return
	}
	for _, m := range all {
		b.BlobOf(m)
	}
}

// readMessages reads as many values as all has room for, as views into what r reads.
func readMessages(r *wire.Reader, all [][]byte) {
	size := r.Uvarint()
	if size >= uniformBelow {
		r.Fail(errDamaged)
		return
	}
	if size == 0 {
		for i := range all {
			all[i] = r.Blob()
		}
		return
	}
	block := r.Raw(size * uint64(len(all)))
	for i := range all {
		if r.Err() != nil {
			return
		}
		all[i], block = block[:size:size], block[size:]
	}
}
