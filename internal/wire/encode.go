package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"unsafe"
)

// sliceHeader is the memory of any slice. Storing through data is a typed store of
// a pointer, which the garbage collector sees.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// raw appends n bytes of memory.
func (b *Buffer) raw(p unsafe.Pointer, n int) {
	b.buf = append(b.buf, unsafe.Slice((*byte)(p), n)...)
}

// encode appends the value at v. On error b may hold a part of it.
func (p *plan) encode(b *Buffer, v unsafe.Pointer) error {
	switch p.op {
	case opRaw:
		b.raw(v, int(p.size))
	case opBool, op8:
		b.buf = append(b.buf, *(*byte)(v))
	case op16:
		x := *(*uint16)(v)
		b.buf = append(b.buf, byte(x), byte(x>>8))
	case op32:
		b.Uint32(*(*uint32)(v))
	case op64:
		b.Uint64(*(*uint64)(v))
	case opInt:
		b.Uint64(uint64(*(*int)(v)))
	case opUint:
		b.Uint64(uint64(*(*uint)(v)))
	case opString:
		b.String(*(*string)(v))
	case opBlock:
		s := (*sliceHeader)(v)
		if s.data == nil {
			b.Uint8(0)
			return nil
		}
		if p.elem.size == 0 && s.len > maxZeroSized {
			return tooMany(s.len)
		}
		b.Uvarint(uint64(s.len) + 1)
		b.block(unsafe.Slice((*byte)(s.data), s.len*int(p.elem.size)))
	case opSlice:
		return p.encodeSlice(b, (*sliceHeader)(v))
	case opArray:
		for i := range p.n {
			if err := p.elem.encode(b, unsafe.Add(v, uintptr(i)*p.elem.size)); err != nil {
				return inValue(err, fmt.Sprintf("[%d]", i))
			}
		}
	case opStruct:
		for i := range p.fields {
			f := &p.fields[i]
			if err := f.plan.encode(b, unsafe.Add(v, f.offset)); err != nil {
				return inValue(err, f.name)
			}
		}
	case opPointer:
		q := *(*unsafe.Pointer)(v)
		if q == nil {
			b.Uint8(0)
			return nil
		}
		b.Uint8(1)
		if err := b.enter(); err != nil {
			return err
		}
		err := p.elem.encode(b, q)
		b.depth--
		return err
	case opMap:
		return p.encodeMap(b, v)
	case opInterface:
		return p.encodeInterface(b, v)
	case opError:
		if err := b.enter(); err != nil {
			return err
		}
		AppendError(b, *(*error)(v))
		b.depth--
	case opTime:
		encodeTime(b, v)
	case opMarshal:
		data, err := p.marshal(v)
		if err != nil {
			return err
		}
		b.Bytes(data)
	case opMatrix:
		return p.encodeMatrix(b, v)
	case opBlank:
		b.zeros(int(p.size))
	}
	return nil
}

// maxZeroSized bounds slices of elements without size: nothing in a message would
// bound the number.
const maxZeroSized = 1<<31 - 1

func tooMany(n int) error {
	return fmt.Errorf("%d elements without size, of which at most %d can travel", n, maxZeroSized)
}

// enter goes one level deeper. Unless it fails, the caller takes one from depth again.
func (b *Buffer) enter() error {
	if b.depth == maxDepth {
		return errTooDeep
	}
	b.depth++
	return nil
}

var errTooDeep = fmt.Errorf("nested deeper than %d: a cycle, or a long linked list; send a slice with indices instead of pointers", maxDepth)

func (p *plan) encodeSlice(b *Buffer, s *sliceHeader) error {
	if s.data == nil {
		b.Uint8(0)
		return nil
	}
	b.Uvarint(uint64(s.len) + 1)
	if err := b.enter(); err != nil {
		return err
	}
	defer func() { b.depth-- }()
	for i := range s.len {
		if err := p.elem.encode(b, unsafe.Add(s.data, uintptr(i)*p.elem.size)); err != nil {
			return inValue(err, fmt.Sprintf("[%d]", i))
		}
	}
	return nil
}

// mapOrder is the memory for sorting a map's pairs.
type mapOrder struct {
	keys  Buffer // one behind the other
	pairs []pair
}

type pair struct {
	prefix   uint64 // the first bytes of the key: most comparisons need no more
	from, to int    // in keys
	value    int
}

var mapOrders = sync.Pool{New: func() any { return new(mapOrder) }}

// encodeMap sorts the pairs by the bytes of their keys, so that equal maps give
// equal messages. Keys contain no blocks: they can be encoded elsewhere and moved.
func (p *plan) encodeMap(b *Buffer, v unsafe.Pointer) error {
	m := reflect.NewAt(p.typ, v).Elem()
	if m.IsNil() {
		b.Uint8(0)
		return nil
	}
	n := m.Len()
	b.Uvarint(uint64(n) + 1)
	if n == 0 {
		return nil
	}
	if err := b.enter(); err != nil {
		return err
	}
	defer func() { b.depth-- }()

	o := mapOrders.Get().(*mapOrder)
	defer func() {
		o.keys.Reset()
		o.pairs = o.pairs[:0]
		mapOrders.Put(o)
	}()
	key := reflect.New(p.typ.Key())
	values := reflect.MakeSlice(reflect.SliceOf(p.typ.Elem()), n, n)
	iter := m.MapRange()
	for i := 0; iter.Next(); i++ {
		if i == n {
			return errors.New("map changed while it was being encoded")
		}
		key.Elem().SetIterKey(iter)
		values.Index(i).SetIterValue(iter)
		from := len(o.keys.buf)
		o.keys.inKey = true
		if err := p.key.encode(&o.keys, key.UnsafePointer()); err != nil {
			return inValue(err, "[key]")
		}
		var prefix [8]byte
		copy(prefix[:], o.keys.buf[from:])
		o.pairs = append(o.pairs, pair{binary.BigEndian.Uint64(prefix[:]), from, len(o.keys.buf), i})
	}
	if len(o.pairs) != n {
		return errors.New("map changed while it was being encoded")
	}
	bytesOf := func(x pair) []byte { return o.keys.buf[x.from:x.to] }
	base := values.UnsafePointer()
	alike := false
	slices.SortFunc(o.pairs, func(x, y pair) int {
		if x.prefix != y.prefix {
			return cmp.Compare(x.prefix, y.prefix)
		}
		c := bytes.Compare(bytesOf(x), bytesOf(y))
		if c == 0 && x.value != y.value { // keys with NaN
			alike = true
			c = bytes.Compare(p.elem.bytes(base, x.value), p.elem.bytes(base, y.value))
		}
		return c
	})
	for i, x := range o.pairs {
		if alike && i > 0 && bytes.Equal(bytesOf(x), bytesOf(o.pairs[i-1])) && p.key.becomeOne(bytesOf(x)) {
			return fmt.Errorf("two keys of %v have one encoding: a pair would be lost", p.typ)
		}
		b.buf = append(b.buf, bytesOf(x)...)
		if err := p.elem.encode(b, unsafe.Add(base, uintptr(x.value)*p.elem.size)); err != nil {
			return inValue(err, fmt.Sprintf("[key %d]", i))
		}
	}
	return nil
}

// bytes encodes element i of the slice at base on its own, to be compared. An error
// there comes up again when the element is appended.
func (p *plan) bytes(base unsafe.Pointer, i int) []byte {
	var b Buffer
	_ = p.encode(&b, unsafe.Add(base, uintptr(i)*p.size))
	return b.AppendTo(nil)
}

// becomeOne reports whether two keys with this encoding are equal once they are
// decoded. Those with NaN in them are not.
func (p *plan) becomeOne(key []byte) bool {
	x, y := reflect.New(p.typ), reflect.New(p.typ)
	p.decode(NewReader(key, false), x.UnsafePointer())
	p.decode(NewReader(key, false), y.UnsafePointer())
	return x.Elem().Equal(y.Elem())
}

func (p *plan) encodeInterface(b *Buffer, v unsafe.Pointer) error {
	value := reflect.NewAt(p.typ, v).Elem().Elem()
	if !value.IsValid() {
		b.Uint8(0)
		return nil
	}
	d := declared.Load().byType[value.Type()]
	if d == nil {
		return fmt.Errorf("dynamic type %v of interface %v is not declared: declare it with parade.Type", value.Type(), p.typ)
	}
	if b.inKey {
		if what := identity(d.typ); what != "" {
			return fmt.Errorf("%v holds %s: as a map key it would equal no other key in the other process", d.typ, what)
		}
	}
	b.String(d.name)
	if err := b.enter(); err != nil {
		return err
	}
	// An interface's content has no address.
	copied := reflect.New(d.typ)
	copied.Elem().Set(value)
	err := d.plan.encode(b, copied.UnsafePointer())
	b.depth--
	if err != nil {
		return inValue(err, ".("+d.name+")")
	}
	return nil
}

// valueError says where in a value encoding failed.
type valueError struct {
	path string
	err  error
}

func (e *valueError) Error() string { return e.path + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

// inValue puts step in front of the path of err.
func inValue(err error, step string) error {
	if e, ok := err.(*valueError); ok {
		if len(e.path) > 400 { // deep recursion: the outermost steps say enough
			e.path = "…"
		}
		e.path = step + e.path
		return e
	}
	return &valueError{step, err}
}
