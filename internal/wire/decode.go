package wire

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// raw copies n bytes to memory without pointers.
func (r *Reader) raw(p unsafe.Pointer, n int) {
	copy(unsafe.Slice((*byte)(p), n), r.take(n))
}

// decode reads a value into the memory at v, which is of p's type. After an error
// the rest of the value is left as it is.
func (p *plan) decode(r *Reader, v unsafe.Pointer) {
	switch p.op {
	case opRaw:
		r.raw(v, int(p.size))
	case opBool:
		*(*bool)(v) = r.bool()
	case op8:
		*(*uint8)(v) = r.Uint8()
	case op16:
		if q := r.take(2); q != nil {
			*(*uint16)(v) = uint16(q[0]) | uint16(q[1])<<8
		}
	case op32:
		*(*uint32)(v) = r.Uint32()
	case op64:
		*(*uint64)(v) = r.Uint64()
	case opInt:
		x := int64(r.Uint64())
		if int64(int(x)) != x {
			r.Fail(fmt.Errorf("wire: %d does not fit in an int of this host: use int64", x))
		}
		*(*int)(v) = int(x)
	case opUint:
		x := r.Uint64()
		if uint64(uint(x)) != x {
			r.Fail(fmt.Errorf("wire: %d does not fit in a uint of this host: use uint64", x))
		}
		*(*uint)(v) = uint(x)
	case opString:
		*(*string)(v) = r.String()
	case opBlock:
		p.decodeBlock(r, (*sliceHeader)(v))
	case opSlice:
		p.decodeSlice(r, (*sliceHeader)(v))
	case opArray:
		p.decodeElems(r, v, p.n)
	case opStruct:
		if !p.nested {
			for i := range p.fields {
				f := &p.fields[i]
				f.plan.decode(r, unsafe.Add(v, f.offset))
			}
			return
		}
		r.owed += p.least
		for i := range p.fields {
			f := &p.fields[i]
			r.owed -= f.plan.least
			f.plan.decode(r, unsafe.Add(v, f.offset))
		}
	case opPointer:
		p.decodePointer(r, v)
	case opMap:
		p.decodeMap(r, reflect.NewAt(p.typ, v).Elem())
	case opInterface:
		p.decodeInterface(r, reflect.NewAt(p.typ, v).Elem())
	case opError:
		if r.enter() {
			*(*error)(v) = DecodeError(r)
			r.depth--
		}
	case opTime:
		decodeTime(r, v)
	case opMarshal:
		if err := p.unmarshal(v, r.Bytes(), r); err != nil {
			r.Fail(err)
		}
	case opMatrix:
		p.decodeMatrix(r, v)
	case opBlank:
		r.take(int(p.size))
	}
}

func (r *Reader) bool() bool {
	x := r.Uint8()
	if x > 1 {
		r.Fail(fmt.Errorf("wire: %d in place of a bool at byte %d: the message is damaged", x, r.off))
	}
	return x == 1
}

func (r *Reader) enter() bool {
	if r.depth == maxDepth {
		r.Fail(fmt.Errorf("wire: %w", errTooDeep))
		return false
	}
	r.depth++
	return true
}

// decodeElems reads n values that lie side by side.
func (p *plan) decodeElems(r *Reader, v unsafe.Pointer, n int) {
	e := p.elem
	if !e.nested {
		for i := 0; i < n && r.err == nil; i++ {
			e.decode(r, unsafe.Add(v, uintptr(i)*e.size))
		}
		return
	}
	r.owed += n * e.least
	for i := 0; i < n && r.err == nil; i++ {
		r.owed -= e.least
		e.decode(r, unsafe.Add(v, uintptr(i)*e.size))
	}
}

func (p *plan) decodeSlice(r *Reader, s *sliceHeader) {
	n, isNil := r.count(p.elem.least)
	if isNil || !r.enter() {
		*s = sliceHeader{}
		return
	}
	*s = sliceHeader{reflect.MakeSlice(p.typ, n, n).UnsafePointer(), n, n}
	p.decodeElems(r, s.data, n)
	r.depth--
}

// zeroSized is what empty slices point to: not nil.
var zeroSized [0]uint64

func (p *plan) decodeBlock(r *Reader, s *sliceHeader) {
	*s = sliceHeader{}
	size := int(p.elem.size)
	n, isNil := r.count(size)
	if isNil {
		return
	}
	if n*size >= alignFrom {
		r.Align(blockAlign(n * size))
	}
	data := r.take(n * size)
	if len(data) < n*size {
		return
	}
	if p.elem.op == opBool {
		for _, x := range data {
			if x > 1 {
				r.Fail(errors.New("wire: slice of bools holds something else: the message is damaged"))
				return
			}
		}
	}
	*s = sliceHeader{unsafe.Pointer(&zeroSized), n, n}
	if len(data) == 0 {
		return
	}
	align := uintptr(p.elem.typ.Align())
	if !r.alias || len(data) < alignFrom || uintptr(unsafe.Pointer(&data[0]))%align != 0 {
		data = copyAligned(data, align)
	}
	s.data = unsafe.Pointer(&data[0])
}

// copyAligned copies data, which hold no pointers, to fresh memory.
func copyAligned(data []byte, align uintptr) []byte {
	if c := append([]byte(nil), data...); uintptr(unsafe.Pointer(&c[0]))%align == 0 { // always so today
		return c
	}
	words := make([]uint64, (len(data)+7)/8)
	c := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(data))
	copy(c, data)
	return c
}

func (p *plan) decodePointer(r *Reader, v unsafe.Pointer) {
	*(*unsafe.Pointer)(v) = nil
	if !r.bool() || !r.enter() {
		return
	}
	if r.Len()-r.owed < p.elem.least {
		r.short(uint64(p.elem.least))
		return
	}
	q := reflect.New(p.elem.typ).UnsafePointer()
	*(*unsafe.Pointer)(v) = q
	p.elem.decode(r, q)
	r.depth--
}

func (p *plan) decodeMap(r *Reader, m reflect.Value) {
	m.SetZero()
	least := p.key.least + p.elem.least
	n, isNil := r.count(least)
	if isNil || !r.enter() {
		return
	}
	made := reflect.MakeMapWithSize(p.typ, n)
	if n == 0 {
		m.Set(made)
		r.depth--
		return
	}
	key, elem := reflect.New(p.typ.Key()), reflect.New(p.typ.Elem())
	r.owed += n * least
	for i := 0; i < n && r.err == nil; i++ {
		key.Elem().SetZero()
		elem.Elem().SetZero()
		r.owed -= p.key.least
		p.key.decode(r, key.UnsafePointer())
		r.owed -= p.elem.least
		p.elem.decode(r, elem.UnsafePointer())
		if r.err != nil {
			return
		}
		if p.key.nested && !key.Elem().Comparable() {
			r.Fail(errors.New("wire: map key cannot be compared: the message is damaged"))
			return
		}
		made.SetMapIndex(key.Elem(), elem.Elem())
	}
	if made.Len() != n {
		r.Fail(fmt.Errorf("wire: %v of %d pairs has keys twice: the message is damaged", p.typ, n))
		return
	}
	m.Set(made)
	r.depth--
}

func (p *plan) decodeInterface(r *Reader, v reflect.Value) {
	v.SetZero()
	name := r.Bytes()
	if len(name) == 0 {
		return
	}
	d := declared.Load().byName[string(name)]
	if d == nil {
		r.Fail(fmt.Errorf("wire: type %q is not declared in this process: declare it at package level with parade.Type", name))
		return
	}
	if !d.typ.AssignableTo(p.typ) {
		r.Fail(fmt.Errorf("wire: %v (%q) does not implement %v: the message is damaged", d.typ, name, p.typ))
		return
	}
	if r.Len()-r.owed < d.plan.least {
		r.short(uint64(d.plan.least))
		return
	}
	if !r.enter() {
		return
	}
	value := reflect.New(d.typ)
	d.plan.decode(r, value.UnsafePointer())
	if r.err == nil {
		v.Set(value.Elem())
	}
	r.depth--
}
