package parade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/parade-go/parade/internal/shm"
	"github.com/parade-go/parade/internal/wire"
)

// ErrNoValue says that a task asked for a value by a name that its call has not, or as
// another type than it has.
var ErrNoValue = errors.New("no such value")

// With makes a value visible to the tasks of a call, under a name:
//
//	rates, err := parade.Map(ctx, ex, rate, trains, parade.With("bin", 5*unit.Millisecond))
//	...
//	bin, err := parade.Value[unit.Time](ctx, "bin") // in the function
//
// On executors with processes of their own it is encoded at the start of the call and
// sent once to each worker, as a bound argument is; a worker in which no task asks for it
// does not decode it. On serial and threads tasks get the very value. In either case all
// tasks at a worker share it: they must not change it, nor keep parts of it beyond the
// call. T is under the rules for arguments: a type that would lose data on its way is
// refused on every executor, before anything runs, with [ErrEncode]. A second value of
// the same name replaces the first.
func With[T any](name string, value T) Option {
	codec, err := wire.For[T]()
	return option(func(s *settings) {
		switch {
		case name == "":
			s.refuse("With: the name of a value is empty")
			return
		case err != nil:
			s.refuse("With(%q): %w: %w", name, ErrEncode, err)
			return
		}
		v := &namedValue{
			name: name, typ: typeName[T](), shape: codec.Fingerprint(), held: &value,
			encode: func(b *wire.Buffer) error { return codec.Append(b, []T{value}) },
		}
		s.values = slices.DeleteFunc(s.values, func(other *namedValue) bool { return other.name == name })
		s.values = append(s.values, v)
		slices.SortFunc(s.values, func(a, b *namedValue) int { return strings.Compare(a.name, b.name) })
	})
}

// Value returns the value that the call of a task has under a name, by [With] or from
// elsewhere, such as a view of a cluster. ctx is the one that the function was called with.
// Without such a value, or when it is of another type than T, the error is [ErrNoValue].
func Value[T any](ctx context.Context, name string) (T, error) {
	var zero T
	tc, ok := ctx.Value(taskKey{}).(*taskContext)
	if !ok {
		return zero, fmt.Errorf("%w: %q was asked for outside a task; pass the context that the task's function got", ErrNoValue, name)
	}
	v := tc.run.values[name]
	if v == nil {
		has := "it has none"
		if names := slices.Sorted(maps.Keys(tc.run.values)); len(names) > 0 {
			has = "it has " + strings.Join(names, ", ")
		}
		return zero, fmt.Errorf("%w: the call has no value %q, %s; give it with parade.With", ErrNoValue, name, has)
	}
	return valueAs[T](v)
}

// typeName is a type as Go writes it.
func typeName[T any]() string { return reflect.TypeFor[T]().String() }

// namedValue is a value that tasks find by its name: here, or encoded.
type namedValue struct {
	name   string
	typ    string // as Go writes it
	shape  uint64 // by which its codec is told from others
	encode func(*wire.Buffer) error

	mu     sync.Mutex
	held   any // *T; nil when nobody has asked for it yet
	data   []byte
	alias  bool   // data stays as it is until the job ends
	file   string // where the data are instead
	size   int64
	retire func()
}

func valueAs[T any](v *namedValue) (T, error) {
	var zero T
	v.mu.Lock()
	defer v.mu.Unlock()
	if p, ok := v.held.(*T); ok {
		return *p, nil
	}
	want := typeName[T]()
	codec, err := wire.For[T]()
	if v.held != nil || v.typ != want || err != nil || codec.Fingerprint() != v.shape {
		if want == v.typ { // of two packages of the same name
			want = "the type of that name of another package"
		}
		return zero, fmt.Errorf("%w: the value %q is of type %s, not %s", ErrNoValue, v.name, v.typ, want)
	}
	if v.file != "" && v.data == nil {
		if err := v.load(); err != nil {
			return zero, fmt.Errorf("the value %q: %w", v.name, err)
		}
	}
	var got [1]T
	if err := codec.Decode(wire.NewReader(v.data, v.alias), got[:]); err != nil {
		return zero, fmt.Errorf("decoding the value %q: %w", v.name, err)
	}
	v.held = &got[0]
	return got[0], nil
}

// load maps the file of a value.
func (v *namedValue) load() error {
	f, err := os.Open(v.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != v.size {
		return errors.Join(err, fmt.Errorf("%s is not of %d bytes", v.file, v.size))
	}
	m, err := shm.Map(f, int(v.size), shm.CopyOnWrite)
	if err != nil {
		return err
	}
	v.data, v.alias, v.retire = m.Bytes(), true, func() { _ = m.Retire() }
	return nil
}

// values are those of a job, by name.
type values map[string]*namedValue

func valuesOf(list []*namedValue) values {
	if len(list) == 0 {
		return nil
	}
	set := make(values, len(list))
	for _, v := range list {
		set[v.name] = v
	}
	return set
}

// free gives back the memory of values that were decoded.
func (set values) free() {
	for _, v := range set {
		v.mu.Lock()
		retire := v.retire
		v.retire = nil
		v.mu.Unlock()
		if retire != nil {
			retire()
		}
	}
}

// How the data of a value travel.
const (
	valueHere uint8 = iota
	valueInFile
)

// appendNamed appends values behind a bound argument, from where parseNamed reads
// them, up to the end of the message.
func appendNamed(b *wire.Buffer, list []*namedValue) error {
	for _, v := range list {
		appendValueHead(b, v.name, v.typ, v.shape)
		b.Uint8(valueHere)
		var data wire.Buffer
		if err := v.encode(&data); err != nil {
			return fmt.Errorf("%w: the value %q: %w", ErrEncode, v.name, err)
		}
		b.BlobKept(&data)
	}
	return nil
}

func appendValueHead(b *wire.Buffer, name, typ string, shape uint64) {
	b.String(name)
	b.String(typ)
	b.Uint64(shape)
}

// parseNamed reads what is left behind the bound argument. Of two values of the same
// name the first counts.
func parseNamed(rd *wire.Reader) (values, error) {
	var set values
	for rd.Err() == nil && rd.Len() > 0 {
		v := &namedValue{name: rd.String(), typ: rd.String(), shape: rd.Uint64(), alias: rd.Alias()}
		switch form := rd.Uint8(); form {
		case valueHere:
			v.data = rd.Blob()
		case valueInFile:
			v.file, v.size = rd.String(), int64(rd.Uint64())
		default:
			rd.Fail(fmt.Errorf("value %q travels in the unknown form %d", v.name, form))
		}
		if set == nil {
			set = values{}
		}
		if _, taken := set[v.name]; !taken {
			set[v.name] = v
		}
	}
	return set, rd.Err()
}

// ValueData is a value in its encoded form, as an executor keeps it that hands values to
// its workers by name.
type ValueData struct {
	Name  string // under which tasks find it
	Type  string // as Go writes it
	Shape uint64 // of the encoding; the same for the same type in two processes of a build
	Data  []byte // must not change while a job has it
	File  string // where the data are instead, on the worker's machine
	Size  int64  // of the data, in bytes
}

// EncodeValue encodes a value. The error is [ErrEncode] for one that cannot travel.
func EncodeValue[T any](name string, value T) (ValueData, error) {
	codec, err := wire.For[T]()
	var b wire.Buffer
	if err == nil {
		err = codec.Append(&b, []T{value})
	}
	if err != nil {
		return ValueData{}, fmt.Errorf("%w: the value %q: %w", ErrEncode, name, err)
	}
	data := b.AppendTo(make([]byte, 0, b.Len()))
	return ValueData{Name: name, Type: typeName[T](), Shape: codec.Fingerprint(), Data: data, Size: int64(len(data))}, nil
}

// DecodeValue decodes a value. When it is of another type than T the error is
// [ErrNoValue]. The result may refer to v.Data, which then belongs to it.
func DecodeValue[T any](v ValueData) (T, error) {
	return valueAs[T](&namedValue{name: v.Name, typ: v.Type, shape: v.Shape, data: v.Data, alias: true})
}

// appendValueData appends an encoded value as appendNamed does.
func appendValueData(b *wire.Buffer, v ValueData) {
	appendValueHead(b, v.Name, v.Type, v.Shape)
	if v.File != "" {
		b.Uint8(valueInFile)
		b.String(v.File)
		b.Uint64(uint64(v.Size))
		return
	}
	b.Uint8(valueHere)
	b.BlobOf(v.Data)
}
