package wire

import (
	"math/bits"
	"reflect"
	"unsafe"
)

const (
	maxVisits = 1 << 14 // parts of one value that Size looks at
	maxSample = 256     // elements of one slice that Size looks at
	errorSize = 64      // of a usual error
)

// sizer adds up encoded sizes. It looks at a sample of what is long.
type sizer struct {
	visits int // left
	depth  int
}

func uvarintSize(n int) int { return 1 + bits.Len64(uint64(n)|1)*9/64 }

func (s *sizer) size(p *plan, v unsafe.Pointer) int {
	if p.fixed {
		return p.least
	}
	if s.visits <= 0 || s.depth > maxDepth {
		return p.least
	}
	s.visits--
	s.depth++
	defer func() { s.depth-- }()

	switch p.op {
	case opString:
		n := len(*(*string)(v))
		return uvarintSize(n) + n
	case opBlock:
		h := (*sliceHeader)(v)
		n := h.len * int(p.elem.size)
		if n >= alignFrom {
			n += blockAlign(n) - 1
		}
		return uvarintSize(h.len+1) + n
	case opSlice:
		h := (*sliceHeader)(v)
		return uvarintSize(h.len+1) + s.elems(p.elem, h.data, h.len)
	case opArray:
		return s.elems(p.elem, v, p.n)
	case opStruct:
		n := 0
		for i := range p.fields {
			n += s.size(p.fields[i].plan, unsafe.Add(v, p.fields[i].offset))
		}
		return n
	case opPointer:
		if q := *(*unsafe.Pointer)(v); q != nil {
			return 1 + s.size(p.elem, q)
		}
		return 1
	case opMap:
		return s.table(p, reflect.NewAt(p.typ, v).Elem())
	case opInterface:
		return s.dynamic(reflect.NewAt(p.typ, v).Elem().Elem())
	case opError:
		return errorSize
	case opMarshal:
		// The method that would tell can be as slow as encoding.
		return 8 + ownMemory(reflect.NewAt(p.typ, v).Elem())
	case opMatrix:
		return s.size(p.elem, p.matrix.raw(p.typ, v).Addr().UnsafePointer())
	default:
		return p.least
	}
}

// elems adds up n values side by side, or multiplies what a sample takes.
func (s *sizer) elems(e *plan, v unsafe.Pointer, n int) int {
	if e.fixed {
		return n * e.least
	}
	step := max(1, n/maxSample)
	sum, seen := 0, 0
	for i := 0; i < n && s.visits > 0; i += step {
		sum += s.size(e, unsafe.Add(v, uintptr(i)*e.size))
		seen++
	}
	return extrapolate(sum, seen, n, e.least)
}

func extrapolate(sum, seen, n, least int) int {
	if seen == 0 {
		return n * least
	}
	return int(float64(sum) / float64(seen) * float64(n))
}

func (s *sizer) table(p *plan, m reflect.Value) int {
	n := m.Len()
	if p.key.fixed && p.elem.fixed {
		return uvarintSize(n+1) + n*(p.key.least+p.elem.least)
	}
	key, elem := reflect.New(p.typ.Key()), reflect.New(p.typ.Elem())
	sum, seen := 0, 0
	for iter := m.MapRange(); s.visits > 0 && iter.Next(); seen++ {
		s.visits--
		if !p.key.fixed {
			key.Elem().SetIterKey(iter)
		}
		if !p.elem.fixed {
			elem.Elem().SetIterValue(iter)
		}
		sum += s.size(p.key, key.UnsafePointer()) + s.size(p.elem, elem.UnsafePointer())
	}
	return uvarintSize(n+1) + extrapolate(sum, seen, n, p.key.least+p.elem.least)
}

func (s *sizer) dynamic(v reflect.Value) int {
	if !v.IsValid() {
		return 1
	}
	d := declared.Load().byType[v.Type()]
	if d == nil {
		return ownMemory(v)
	}
	if d.plan.fixed {
		return 1 + len(d.name) + d.plan.least
	}
	copied := reflect.New(d.typ)
	copied.Elem().Set(v)
	return 1 + len(d.name) + s.size(d.plan, copied.UnsafePointer())
}

// ownMemory estimates the memory that v holds. It follows no pointers: for types
// that cannot travel there may be anything behind them, in use by others.
func ownMemory(v reflect.Value) int {
	size := int(v.Type().Size())
	switch v.Kind() {
	case reflect.String:
		size += v.Len()
	case reflect.Slice:
		size += v.Len() * int(v.Type().Elem().Size())
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			size += ownMemory(f) - int(f.Type().Size())
		}
	}
	return size
}
