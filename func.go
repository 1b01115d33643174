package parade

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/parade-go/parade/internal/wire"
)

// Function is a function that executors can run: from A to R, with everything
// needed to send its inputs and results to another process.
type Function[A, R any] struct {
	name     string
	call     func(context.Context, A) (R, error)
	context  bool // call looks at its context
	in       wire.Codec[A]
	out      wire.Codec[R]
	unsent   error // why it cannot leave this process, if so
	declared *declared
	bound    func(*wire.Buffer) error // appends the bound argument, nil without one
	keeps    bool                     // results stay with the executor
}

// Name returns the declared name, "" for a closure.
func (f *Function[A, R]) Name() string { return f.name }

// Call runs the function here and now, as a plain call, without an executor.
func (f *Function[A, R]) Call(ctx context.Context, a A) (R, error) { return f.call(ctx, a) }

// Function2 is a function of two arguments, of which [Bind] fixes the first.
type Function2[P, A, R any] struct {
	name     string
	call     func(context.Context, P, A) (R, error)
	context  bool
	param    wire.Codec[P]
	in       wire.Codec[A]
	out      wire.Codec[R]
	declared *declared
}

// Name returns the declared name.
func (f *Function2[P, A, R]) Name() string { return f.name }

// Func declares f under a name, which must be unique in the program. Call it
// in a package-level variable, so that worker processes declare it too. It
// panics when the name is taken or empty, or when a value of A or R would lose
// data on its way to another process; the message has the field's path.
func Func[A, R any](name string, f func(A) (R, error)) *Function[A, R] {
	return declare(name, false, func(_ context.Context, a A) (R, error) { return f(a) })
}

// FuncContext is [Func] for a function that takes a context, which ends with
// the job or the task's timeout, and which [Rand] and [TaskOf] understand.
func FuncContext[A, R any](name string, f func(context.Context, A) (R, error)) *Function[A, R] {
	return declare(name, true, f)
}

// Pure is [Func] for a function that returns no error, such as math.Sqrt.
func Pure[A, R any](name string, f func(A) R) *Function[A, R] {
	return declare(name, false, func(_ context.Context, a A) (R, error) { return f(a), nil })
}

// PureContext is [Pure] for a function that takes a context.
func PureContext[A, R any](name string, f func(context.Context, A) R) *Function[A, R] {
	return declare(name, true, func(ctx context.Context, a A) (R, error) { return f(ctx, a), nil })
}

// Func2 declares a function of two arguments. [Bind] fixes the first; the
// second is the input of each task.
func Func2[P, A, R any](name string, f func(P, A) (R, error)) *Function2[P, A, R] {
	return declare2(name, false, func(_ context.Context, p P, a A) (R, error) { return f(p, a) })
}

// Func2Context is [Func2] for a function that takes a context.
func Func2Context[P, A, R any](name string, f func(context.Context, P, A) (R, error)) *Function2[P, A, R] {
	return declare2(name, true, f)
}

// Pure2 is [Func2] for a function that returns no error.
func Pure2[P, A, R any](name string, f func(P, A) R) *Function2[P, A, R] {
	return declare2(name, false, func(_ context.Context, p P, a A) (R, error) { return f(p, a), nil })
}

// Pure2Context is [Pure2] for a function that takes a context.
func Pure2Context[P, A, R any](name string, f func(context.Context, P, A) R) *Function2[P, A, R] {
	return declare2(name, true, func(ctx context.Context, p P, a A) (R, error) { return f(ctx, p, a), nil })
}

// Bind fixes the first argument of f, as functools.partial does. The value is
// encoded at the start of each call that uses the result, and then sent once
// to each worker; do not change it while a call runs. On one machine a worker
// maps it instead of receiving a copy, so a task must not keep parts of it in
// variables that outlive the call.
func Bind[P, A, R any](f *Function2[P, A, R], p P) *Function[A, R] {
	return &Function[A, R]{
		name:     f.name,
		call:     func(ctx context.Context, a A) (R, error) { return f.call(ctx, p, a) },
		context:  f.context,
		in:       f.in,
		out:      f.out,
		declared: f.declared,
		bound:    func(b *wire.Buffer) error { return f.param.Append(b, []P{p}) },
	}
}

// Closure makes a function for executors that share this process's memory,
// serial and threads, without declaring it. Executors with processes of their
// own refuse it with [ErrNotDeclared]. A function of another shape needs a
// wrapper:
//
//	parade.Closure(func(_ context.Context, x float64) (float64, error) { return math.Sqrt(x), nil })
func Closure[A, R any](f func(context.Context, A) (R, error)) *Function[A, R] {
	fn := &Function[A, R]{call: f, context: true}
	fn.unsent = fmt.Errorf("%w: a closure cannot leave this process; "+
		"put the function in a package-level variable with parade.Func(\"name\", f)", ErrNotDeclared)
	// The codecs only measure sizes here, so a type that cannot be sent is fine.
	fn.in, _ = wire.For[A]()
	fn.out, _ = wire.For[R]()
	return fn
}

// Type declares a concrete type that may stand in an interface value of an
// argument or result, and error types that errors.As should find in an error
// from another process. It panics when T would lose data on the way. Call it
// in an init function, under a name of its own: what is declared after the
// first [Open] exists in this process only.
func Type[T any](name string) {
	if _, err := wire.For[T](); err != nil {
		panic(fmt.Sprintf("parade.Type(%q): %v", name, err))
	}
	wire.RegisterType(name, reflect.TypeFor[T]())
}

func declare[A, R any](name string, usesContext bool, call func(context.Context, A) (R, error)) *Function[A, R] {
	f := &Function[A, R]{name: name, call: call, context: usesContext}
	f.in, f.out = codec[A](name, "argument"), codec[R](name, "result")
	f.declared = register(name, f.in.Fingerprint()^f.out.Fingerprint(), func(bound *wire.Reader) (workFactory, error) {
		return f.factory(), nil
	})
	return f
}

func declare2[P, A, R any](name string, usesContext bool, call func(context.Context, P, A) (R, error)) *Function2[P, A, R] {
	f := &Function2[P, A, R]{name: name, call: call, context: usesContext}
	f.param, f.in, f.out = codec[P](name, "bound argument"), codec[A](name, "argument"), codec[R](name, "result")
	shape := f.param.Fingerprint() ^ f.in.Fingerprint() ^ f.out.Fingerprint()
	f.declared = register(name, shape, func(bound *wire.Reader) (workFactory, error) {
		var p [1]P
		if err := f.param.Decode(bound, p[:]); err != nil {
			return nil, err
		}
		return Bind(f, p[0]).factory(), nil
	})
	return f
}

func codec[T any](name, role string) wire.Codec[T] {
	c, err := wire.For[T]()
	if err != nil {
		panic(fmt.Sprintf("parade: declaring %q: its %s cannot travel between processes: %v; a function that never leaves this one can be a parade.Closure", name, role, err))
	}
	return c
}

// declared is a function as the registry knows it.
type declared struct {
	name  string
	shape uint64
	late  bool // declared after Open: worker processes do not have it
	open  func(bound *wire.Reader) (workFactory, error)
}

var registry struct {
	sync.RWMutex
	functions map[string]*declared
}

// opened is set by the first Open: what is declared later exists in this
// process only.
var opened atomic.Bool

func register(name string, shape uint64, open func(*wire.Reader) (workFactory, error)) *declared {
	if name == "" {
		panic("parade: a declared function needs a name; use parade.Closure for one without")
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.functions[name] != nil {
		panic(fmt.Sprintf("parade: two functions are declared as %q; names are unique in a program", name))
	}
	if registry.functions == nil {
		registry.functions = map[string]*declared{}
	}
	d := &declared{name: name, shape: shape, late: opened.Load(), open: open}
	registry.functions[name] = d
	return d
}

func lookup(name string) *declared {
	registry.RLock()
	defer registry.RUnlock()
	return registry.functions[name]
}

// BuildID tells two builds of a program apart: it sums up the declared
// functions with the shapes of their arguments and the build's own settings.
// A worker of another build is refused.
func BuildID() uint64 {
	registry.RLock()
	defer registry.RUnlock()
	const prime = 1099511628211
	var id uint64
	for name, d := range registry.functions {
		if d.late {
			continue
		}
		h := uint64(14695981039346656037) ^ d.shape
		for i := range len(name) {
			h = (h ^ uint64(name[i])) * prime
		}
		id += h // the order of a map's keys must not matter
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		s := info.String()
		h := uint64(14695981039346656037)
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
		id += h
	}
	return id
}
