package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// registry is immutable: readers take it without a lock, writers replace it.
type registry struct {
	byName    map[string]*declaration
	byType    map[reflect.Type]*declaration
	sentinels []sentinel
}

// declaration is a concrete type that may stand in interface values.
type declaration struct {
	name string
	typ  reflect.Type
	plan *plan
}

type sentinel struct {
	name string
	err  error
}

var (
	declared   atomic.Pointer[registry]
	declaredMu sync.Mutex
)

// change replaces the registry by a copy that f has changed.
func change(f func(*registry)) {
	declaredMu.Lock()
	defer declaredMu.Unlock()
	r := &registry{byName: map[string]*declaration{}, byType: map[reflect.Type]*declaration{}}
	if old := declared.Load(); old != nil {
		r.byName, r.byType, r.sentinels = maps.Clone(old.byName), maps.Clone(old.byType), slices.Clone(old.sentinels)
	}
	f(r)
	declared.Store(r)
}

// RegisterType declares that t may stand in interface values, under a name that is
// the same in all processes. If t is an error type, errors.As finds its values in
// errors of other processes. RegisterType is for package initialisation: it panics
// when the name or t is taken already, or when values of t would lose data.
func RegisterType(name string, t reflect.Type) {
	if name == "" || t == nil || t.Kind() == reflect.Interface {
		panic(fmt.Sprintf("wire: declaring %v as %q: a concrete type and a name are needed", t, name))
	}
	p, err := planOf(t)
	if err != nil {
		panic(fmt.Sprintf("wire: declaring %q: %v", name, err))
	}
	change(func(r *registry) {
		if d := r.byName[name]; d != nil {
			panic(fmt.Sprintf("wire: %q is declared twice: for %v and for %v", name, d.typ, t))
		}
		if d := r.byType[t]; d != nil {
			panic(fmt.Sprintf("wire: %v is declared twice: as %q and as %q", t, d.name, name))
		}
		d := &declaration{name, t, p}
		r.byName[name], r.byType[t] = d, d
	})
}

// RegisterError declares that errors.Is finds err in errors of other processes. It is
// for package initialisation, and panics when the name is taken already or when err
// cannot be compared.
func RegisterError(name string, err error) {
	if name == "" || err == nil || !reflect.TypeOf(err).Comparable() {
		panic(fmt.Sprintf("wire: declaring %v as %q: a comparable error and a name are needed", err, name))
	}
	change(func(r *registry) {
		for _, s := range r.sentinels {
			if s.name == name || s.err == err {
				panic(fmt.Sprintf("wire: error %q (%v) is declared twice: as %q and as %q", err, err, s.name, name))
			}
		}
		r.sentinels = append(r.sentinels, sentinel{name, err})
	})
}

func init() {
	for _, t := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[string](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
		reflect.TypeFor[[]bool](), reflect.TypeFor[[]string](), reflect.TypeFor[[]any](),
		reflect.TypeFor[[]int](), reflect.TypeFor[[]int8](), reflect.TypeFor[[]int16](), reflect.TypeFor[[]int32](), reflect.TypeFor[[]int64](),
		reflect.TypeFor[[]uint](), reflect.TypeFor[[]uint8](), reflect.TypeFor[[]uint16](), reflect.TypeFor[[]uint32](), reflect.TypeFor[[]uint64](),
		reflect.TypeFor[[]float32](), reflect.TypeFor[[]float64](), reflect.TypeFor[[]complex64](), reflect.TypeFor[[]complex128](),
		reflect.TypeFor[[][]float64](), reflect.TypeFor[[]map[string]any](),
		reflect.TypeFor[map[string]any](), reflect.TypeFor[map[string]string](), reflect.TypeFor[map[string]int](), reflect.TypeFor[map[string]float64](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[struct{}](),
		reflect.TypeFor[*fs.PathError](), reflect.TypeFor[*os.LinkError](), reflect.TypeFor[*os.SyscallError](),
		reflect.TypeFor[*exec.Error](), reflect.TypeFor[*strconv.NumError](),
	} {
		RegisterType(t.String(), t)
	}
	if errnoType != nil {
		RegisterType(errnoType.String(), errnoType)
	}
	for name, err := range map[string]error{
		"io.EOF":                   io.EOF,
		"io.ErrUnexpectedEOF":      io.ErrUnexpectedEOF,
		"io.ErrClosedPipe":         io.ErrClosedPipe,
		"io.ErrNoProgress":         io.ErrNoProgress,
		"io.ErrShortBuffer":        io.ErrShortBuffer,
		"io.ErrShortWrite":         io.ErrShortWrite,
		"context.Canceled":         context.Canceled,
		"context.DeadlineExceeded": context.DeadlineExceeded,
		"fs.ErrClosed":             fs.ErrClosed,
		"fs.ErrExist":              fs.ErrExist,
		"fs.ErrInvalid":            fs.ErrInvalid,
		"fs.ErrNotExist":           fs.ErrNotExist,
		"fs.ErrPermission":         fs.ErrPermission,
		"os.ErrDeadlineExceeded":   os.ErrDeadlineExceeded,
		"os.ErrProcessDone":        os.ErrProcessDone,
		"exec.ErrDot":              exec.ErrDot,
		"exec.ErrNotFound":         exec.ErrNotFound,
		"exec.ErrWaitDelay":        exec.ErrWaitDelay,
		"errors.ErrUnsupported":    errors.ErrUnsupported,
		"strconv.ErrRange":         strconv.ErrRange,
		"strconv.ErrSyntax":        strconv.ErrSyntax,
	} {
		RegisterError(name, err)
	}
}
