package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

// A matrix of gonum gives out and takes the struct of numbers and dimensions that is
// behind it, as RawMatrix and SetRawMatrix do. Its numbers then travel as one block,
// several times faster than by its MarshalBinary, which takes them one by one and has
// no room for an empty matrix. Only gonum's own types: in others the struct need not
// be all there is.
const matrixPackage = "gonum.org/v1/gonum/mat"

// matrixMethods are the methods of one kind of matrix.
type matrixMethods struct{ get, set reflect.Value }

// matrixOf finds the methods of t, or returns nil when t is no such matrix. The names
// are constants on purpose, see method.
func matrixOf(t reflect.Type) *matrixMethods {
	if t.PkgPath() != matrixPackage || t.Kind() != reflect.Struct {
		return nil
	}
	p := reflect.PointerTo(t)
	var get, set reflect.Method
	switch t.Name() {
	case "Dense":
		get, _ = p.MethodByName("RawMatrix")
		set, _ = p.MethodByName("SetRawMatrix")
	case "CDense":
		get, _ = p.MethodByName("RawCMatrix")
		set, _ = p.MethodByName("SetRawCMatrix")
	case "SymDense":
		get, _ = p.MethodByName("RawSymmetric")
		set, _ = p.MethodByName("SetRawSymmetric")
	case "TriDense":
		get, _ = p.MethodByName("RawTriangular")
		set, _ = p.MethodByName("SetRawTriangular")
	case "VecDense":
		get, _ = p.MethodByName("RawVector")
		set, _ = p.MethodByName("SetRawVector")
	}
	// Another version of gonum may have other methods.
	if !get.Func.IsValid() || !set.Func.IsValid() || get.Type.NumOut() != 1 || set.Type.NumIn() != 2 ||
		get.Type.Out(0) != set.Type.In(1) || !isMatrixData(get.Type.Out(0)) {
		return nil
	}
	return &matrixMethods{get.Func, set.Func}
}

// isMatrixData reports whether t has the fields that pack and packed use.
func isMatrixData(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	has := func(name string, kind reflect.Kind) bool {
		f, ok := t.FieldByName(name)
		return ok && f.Type.Kind() == kind
	}
	return has("Data", reflect.Slice) && (has("Rows", reflect.Int) && has("Cols", reflect.Int) || has("N", reflect.Int)) &&
		(has("Stride", reflect.Int) || has("Inc", reflect.Int))
}

// raw returns the struct behind the matrix at v, in memory of its own.
func (m *matrixMethods) raw(t reflect.Type, v unsafe.Pointer) reflect.Value {
	raw := reflect.New(m.get.Type().Out(0)).Elem()
	raw.Set(m.get.Call([]reflect.Value{reflect.NewAt(t, v)})[0])
	return raw
}

// runsOf returns how many runs of how many numbers a matrix has, and the field with
// the distance from one run to the next. A vector is many runs of one number.
func runsOf(raw reflect.Value) (runs, length int, stride reflect.Value) {
	switch rows, inc := raw.FieldByName("Rows"), raw.FieldByName("Inc"); {
	case rows.IsValid():
		return int(rows.Int()), int(raw.FieldByName("Cols").Int()), raw.FieldByName("Stride")
	case inc.IsValid():
		return int(raw.FieldByName("N").Int()), 1, inc
	default:
		n := int(raw.FieldByName("N").Int())
		return n, n, raw.FieldByName("Stride")
	}
}

// pack leaves nothing between the runs: what lies there in a view of a larger matrix
// is none of its numbers.
func pack(raw reflect.Value) {
	runs, length, stride := runsOf(raw)
	if runs == 0 || length == 0 {
		return
	}
	data := raw.FieldByName("Data")
	if step := int(stride.Int()); step != length {
		packed := reflect.MakeSlice(data.Type(), runs*length, runs*length)
		for i := range runs {
			reflect.Copy(packed.Slice(i*length, (i+1)*length), data.Slice(i*step, i*step+length))
		}
		data.Set(packed)
		stride.SetInt(int64(length))
	}
	data.Set(data.Slice(0, runs*length))
}

// packed reports whether a matrix that was read is one that pack left.
func packed(raw reflect.Value) bool {
	runs, length, stride := runsOf(raw)
	n := raw.FieldByName("Data").Len()
	// gonum looks at the triangle that is in use only when it is used, and panics.
	if t := raw.FieldByName("Uplo"); t.IsValid() && t.CanUint() && runs > 0 && t.Uint() != 'U' && t.Uint() != 'L' {
		return false
	}
	if runs == 0 || length == 0 {
		return n == 0 && runs >= 0 && length >= 0
	}
	return runs > 0 && length > 0 && runs <= math.MaxInt/length && n == runs*length && int(stride.Int()) == length
}

func (p *plan) encodeMatrix(b *Buffer, v unsafe.Pointer) error {
	raw := p.matrix.raw(p.typ, v)
	pack(raw)
	return p.elem.encode(b, raw.Addr().UnsafePointer())
}

func (p *plan) decodeMatrix(r *Reader, v unsafe.Pointer) {
	value := reflect.NewAt(p.typ, v)
	value.Elem().SetZero()
	raw := reflect.New(p.elem.typ)
	p.elem.decode(r, raw.UnsafePointer())
	if r.err != nil {
		return
	}
	defer func() { // the method refuses some structs by panic
		if x := recover(); x != nil {
			r.Fail(fmt.Errorf("wire: %v: %v: the message is damaged", p.typ, x))
		}
	}()
	if !packed(raw.Elem()) {
		r.Fail(errors.New("wire: a matrix whose dimensions and numbers do not fit: the message is damaged"))
		return
	}
	if raw.Elem().IsZero() {
		return // the method need not take the zero value for an empty matrix
	}
	p.matrix.set.Call([]reflect.Value{value, raw.Elem()})
}
