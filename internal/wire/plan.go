package wire

import (
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// maxDepth bounds the nesting of values, so that a cycle or a hostile message ends
// in an error and not in a stack overflow.
const maxDepth = 10_000

// op is what to do with one value.
type op uint8

const (
	opRaw       op = iota // copy size bytes
	opBool                // one byte, 0 or 1
	op8                   // scalars by width, for which memory is the encoding
	op16                  // but for the order of bytes
	op32                  //
	op64                  //
	opInt                 // eight bytes on every host
	opUint                //
	opString              // length, bytes
	opBlock               // length + 1, or 0 for nil; elements as one block
	opSlice               // length + 1, or 0 for nil; elements one by one
	opArray               // elements one by one
	opStruct              // fields in order
	opPointer             // 0 for nil, or 1 and the value
	opMap                 // length + 1, or 0 for nil; pairs in the order of the keys' bytes
	opInterface           // name of the dynamic type, empty for nil; the value
	opError               // AppendError
	opTime                // see time.go
	opMarshal             // length and bytes from the type's own method
	opMatrix              // the struct behind a matrix, see matrix.go
	opBlank               // zeros in place of a field that is named _
)

// plan is the compiled schema of a type.
type plan struct {
	op     op
	plain  bool // the memory is the encoding: no padding, no pointers, no bools
	fixed  bool // the encoding always takes least bytes
	nested bool // holds pointers, slices, maps or interfaces that hold further values
	format format
	size   uintptr // in memory
	least  int     // fewest bytes on the wire; 0 only if size is 0 too
	n      int     // elements of an array
	typ    reflect.Type
	elem   *plan
	key    *plan
	fields []field
	matrix *matrixMethods // elem is the plan of what they pass

	hashOnce sync.Once
	hash     uint64
}

type field struct {
	offset uintptr
	plan   *plan
	name   string
}

// plans holds the finished plans: reflect.Type to *plan.
var plans sync.Map

func planOf(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*plan), nil
	}
	c := compiler{root: t, plans: map[reflect.Type]*plan{}, littleEndian: littleEndian, wide: strconv.IntSize == 64}
	p, err := c.compile(t, "")
	if err != nil {
		return nil, err
	}
	for t, p := range c.plans {
		plans.LoadOrStore(t, p)
	}
	return p, nil
}

var littleEndian = func() bool {
	v := uint16(1)
	return *(*byte)(unsafe.Pointer(&v)) == 1
}()

// compiler makes the plan of one type and of the types within.
type compiler struct {
	root  reflect.Type
	plans map[reflect.Type]*plan
	order []reflect.Type // of plans, to take back those of a type that was refused

	littleEndian bool
	wide         bool // int has 64 bits
}

func (c *compiler) refuse(path, reason string, args ...any) error {
	return &TypeError{Type: c.root, Path: path, Reason: fmt.Sprintf(reason, args...)}
}

// rootName is how the paths of values of type t begin.
func rootName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, _, _ := strings.Cut(t.Name(), "[") // without type arguments
	if name == "" {
		return "value"
	}
	return name
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	errorType = reflect.TypeFor[error]()
)

// compile returns the plan of t, which is at path below the root. A plan is entered
// into c.plans before its parts are known: that closes the circle of recursive types.
func (c *compiler) compile(t reflect.Type, path string) (*plan, error) {
	if p, ok := c.plans[t]; ok {
		return p, nil
	}
	p := &plan{typ: t, size: t.Size()}
	mark := len(c.order)
	c.plans[t] = p
	c.order = append(c.order, t)

	if m := matrixOf(t); m != nil {
		elem, err := c.compile(m.get.Type().Out(0), path)
		if err != nil {
			return nil, err
		}
		p.op, p.matrix, p.elem, p.least = opMatrix, m, elem, elem.least
		return p, nil
	}
	if f := binaryFormat(t); f != notMarshaled {
		p.op, p.format, p.least = opMarshal, f, 1
		return p, nil
	}
	err := c.fill(p, path)
	if err == nil {
		return p, nil
	}
	// Plans made on the way may rest on a part that was refused.
	for _, t := range c.order[mark:] {
		delete(c.plans, t)
	}
	c.order = c.order[:mark]
	if !marshalsText(t) {
		return nil, err
	}
	*p = plan{typ: t, size: t.Size(), op: opMarshal, format: textMethods, least: 1}
	c.plans[t] = p
	c.order = append(c.order, t)
	return p, nil
}

// fill completes the plan p of a type without methods of its own for the purpose.
func (c *compiler) fill(p *plan, path string) error {
	t := p.typ
	switch t {
	case timeType:
		p.op, p.least = opTime, timeLeast
		return nil
	case errorType:
		p.op, p.nested, p.least = opError, true, 1
		return nil
	case errnoType:
		c.scalar(p, opUint, 8)
		return nil
	}
	switch t.Kind() {
	case reflect.Bool:
		p.op, p.fixed, p.least = opBool, true, 1
	case reflect.Int8, reflect.Uint8:
		c.scalar(p, op8, 1)
	case reflect.Int16, reflect.Uint16:
		c.scalar(p, op16, 2)
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		c.scalar(p, op32, 4)
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		c.scalar(p, op64, 8)
	case reflect.Int:
		c.scalar(p, opInt, 8)
	case reflect.Uint:
		c.scalar(p, opUint, 8)
	case reflect.Complex64:
		return c.array(p, reflect.TypeFor[float32](), 2, path)
	case reflect.Complex128:
		return c.array(p, reflect.TypeFor[float64](), 2, path)
	case reflect.String:
		p.op, p.least = opString, 1
	case reflect.Array:
		return c.array(p, t.Elem(), t.Len(), path)
	case reflect.Slice:
		return c.slice(p, path)
	case reflect.Struct:
		return c.structure(p, path)
	case reflect.Pointer:
		p.op, p.nested, p.least = opPointer, true, 1
		var err error
		p.elem, err = c.compile(t.Elem(), path)
		return err
	case reflect.Map:
		return c.table(p, path)
	case reflect.Interface:
		p.op, p.nested, p.least = opInterface, true, 1
	default:
		return c.refuse(path, "%sis a %s, which means nothing in another process: leave it out, or give the type that holds it MarshalBinary and UnmarshalBinary",
			c.typeNote(t, path), t.Kind())
	}
	return nil
}

// typeNote names the type of a field; at the root the type has been named already.
func (c *compiler) typeNote(t reflect.Type, path string) string {
	if path == "" {
		return ""
	}
	return "(" + t.String() + ") "
}

// below returns the path of a part.
func (c *compiler) below(path, part string) string {
	if path == "" {
		path = rootName(c.root)
	}
	return path + part
}

func (c *compiler) scalar(p *plan, o op, size int) {
	p.op, p.fixed, p.least = o, true, size
	p.plain = size == 1 || c.littleEndian
	if o == opInt || o == opUint {
		p.plain = c.littleEndian && c.wide
		if c.wide {
			p.op = op64
		}
	}
}

func (c *compiler) array(p *plan, elem reflect.Type, n int, path string) error {
	if n == 0 {
		p.op, p.plain, p.fixed = opRaw, true, true
		return nil
	}
	e, err := c.compile(elem, c.below(path, "[]"))
	if err != nil {
		return err
	}
	p.op, p.elem, p.n = opArray, e, n
	p.plain, p.fixed, p.nested = e.plain, e.fixed, e.nested
	if p.plain {
		p.op = opRaw
	}
	if e.least > 0 && n > math.MaxInt/e.least {
		return c.refuse(path, "%sis too large", c.typeNote(p.typ, path))
	}
	p.least = n * e.least
	return nil
}

func (c *compiler) slice(p *plan, path string) (err error) {
	p.op, p.nested, p.least = opSlice, true, 1
	p.elem, err = c.compile(p.typ.Elem(), c.below(path, "[]"))
	if err != nil {
		return err
	}
	// A bool is its own encoding too, once the reader has looked at it.
	if p.elem.plain || p.elem.op == opBool {
		p.op, p.nested = opBlock, false
	}
	return nil
}

func (c *compiler) table(p *plan, path string) (err error) {
	p.op, p.nested, p.least = opMap, true, 1
	if what := identity(p.typ.Key()); what != "" {
		return c.refuse(path, "%shas keys with %s: the other process would get a key that equals no other; use a key without it",
			c.typeNote(p.typ, path), what)
	}
	if p.key, err = c.compile(p.typ.Key(), c.below(path, "[key]")); err != nil {
		return err
	}
	p.elem, err = c.compile(p.typ.Elem(), c.below(path, "[]"))
	return err
}

// identity names what it is in t that is equal only to itself, and so makes t
// useless as a map key elsewhere. It returns "" if there is nothing of the kind.
func identity(t reflect.Type) string {
	if t == timeType || binaryFormat(t) != notMarshaled {
		return ""
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "a pointer"
	case reflect.Interface:
		if t == errorType {
			return "an error"
		}
	case reflect.Array:
		return identity(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if what := identity(t.Field(i).Type); what != "" && !marshalsText(t) {
				return what
			}
		}
	}
	return ""
}

func (c *compiler) structure(p *plan, path string) error {
	t := p.typ
	p.op, p.fixed, p.plain = opStruct, true, true
	end := uintptr(0) // of the fields so far; a gap is padding
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			if size := f.Type.Size(); size > 0 {
				p.add(f.Offset, "_", &plan{op: opBlank, fixed: true, size: size, least: int(size)})
			}
			continue
		}
		if !f.IsExported() && !embedsStruct(f) {
			return c.refuse(path, "%shas unexported field %s: it would be lost; export it or give the type MarshalBinary and UnmarshalBinary",
				c.typeNote(t, path), f.Name)
		}
		fp, err := c.compile(f.Type, c.below(path, "."+f.Name))
		if err != nil {
			return err
		}
		if f.Offset != end {
			p.plain = false
		}
		end = f.Offset + f.Type.Size()
		p.add(f.Offset, "."+f.Name, fp)
	}
	if end != t.Size() {
		p.plain = false
	}
	if p.plain {
		p.op, p.fields = opRaw, nil
	}
	return nil
}

// embedsStruct reports whether f is an embedded struct of an unexported type, whose
// exported fields are fields of the outer struct.
func embedsStruct(f reflect.StructField) bool {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.Anonymous && t.Kind() == reflect.Struct
}

// add appends a field. Structs are dissolved into their fields, and neighbours that
// are copied become one copy.
func (p *plan) add(offset uintptr, name string, f *plan) {
	if f.op == opStruct {
		for _, inner := range f.fields {
			p.add(offset+inner.offset, name+inner.name, inner.plan)
		}
		p.plain = false
		return
	}
	p.least += f.least
	p.fixed = p.fixed && f.fixed
	p.plain = p.plain && f.plain
	p.nested = p.nested || f.nested
	if n := len(p.fields); n > 0 && f.plain {
		if last := &p.fields[n-1]; last.plan.plain && last.offset+last.plan.size == offset {
			size := last.plan.size + f.size
			last.plan = &plan{op: opRaw, plain: true, fixed: true, size: size, least: int(size)}
			return
		}
	}
	p.fields = append(p.fields, field{offset, f, name})
}

// fingerprint hashes the shape of p's type.
func (p *plan) fingerprint() uint64 {
	p.hashOnce.Do(func() {
		h := fnv.New64a()
		describe(h, p.typ, map[reflect.Type]int{})
		p.hash = h.Sum64()
	})
	return p.hash
}

func describe(w io.Writer, t reflect.Type, seen map[reflect.Type]int) {
	if i, ok := seen[t]; ok {
		fmt.Fprintf(w, "#%d;", i)
		return
	}
	seen[t] = len(seen)
	fmt.Fprintf(w, "%s %s.%s %d ", t.Kind(), t.PkgPath(), t.Name(), t.Size())
	if p, ok := plans.Load(t); ok && (p.(*plan).op == opMarshal || p.(*plan).op == opMatrix || p.(*plan).op == opTime) {
		fmt.Fprintf(w, "format %d;", p.(*plan).format)
		return
	}
	switch t.Kind() {
	case reflect.Array, reflect.Slice, reflect.Pointer:
		describe(w, t.Elem(), seen)
	case reflect.Map:
		describe(w, t.Key(), seen)
		describe(w, t.Elem(), seen)
	case reflect.Interface:
		io.WriteString(w, t.String())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(w, "%s ", f.Name)
			if f.Name != "_" {
				describe(w, f.Type, seen)
			}
		}
	}
	io.WriteString(w, ";")
}
