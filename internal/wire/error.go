package wire

import (
	"errors"
	"fmt"
	"reflect"
)

// RemoteError is an error of another process: its text, and those of the errors it
// wrapped that were declared with RegisterError or RegisterType.
type RemoteError struct {
	Message string
	causes  []error
}

// Error returns the text that the error had in its own process.
func (e *RemoteError) Error() string { return e.Message }

// Unwrap returns the declared errors, for errors.Is and errors.As.
func (e *RemoteError) Unwrap() []error { return e.causes }

// An error is a byte, 0 for nil; the message; any number of causes; an end.
const (
	causeSentinel = iota // name
	causeValue           // name of the type, value
	causeEnd
	causeEndItself // the first cause is the error itself
)

// maxErrors bounds the errors looked at in one tree: nothing keeps an error from
// wrapping itself.
const maxErrors = 1000

// AppendError appends err. It never fails: what cannot be encoded stays behind, and
// the message travels.
func AppendError(b *Buffer, err error) {
	if err == nil {
		b.Uint8(0)
		return
	}
	if e, ok := err.(*OpaqueError); ok { //nolint:errorlint // wrapped, it is a message like any other
		b.Raw(e.encoded)
		return
	}
	b.Uint8(1)
	b.String(messageOf(err))
	reg := declared.Load()
	end := uint8(causeEnd)
	left := maxErrors
	if appendValues(b, reg, err, &left) {
		end = causeEndItself
	}
	nodes := tree(err)
	for _, s := range reg.sentinels {
		for i, n := range nodes {
			if matches(n, s.err) {
				b.Uint8(causeSentinel)
				b.String(s.name)
				if i == 0 && isSame(n, s.err) {
					end = causeEndItself
				}
				break
			}
		}
	}
	b.Uint8(end)
}

// appendValues appends those errors of err's tree that are of a declared type. What
// such an error wraps travels inside it. It reports whether err itself was appended.
func appendValues(b *Buffer, reg *registry, err error, left *int) bool {
	if *left--; *left < 0 {
		return false
	}
	v := reflect.ValueOf(err)
	if d := reg.byType[v.Type()]; d != nil && !isNil(v) {
		mark := b.Mark()
		b.Uint8(causeValue)
		b.String(d.name)
		copied := reflect.New(d.typ)
		copied.Elem().Set(v)
		if d.plan.encode(b, copied.UnsafePointer()) == nil {
			return true
		}
		b.Truncate(mark)
	}
	for _, e := range wrapped(err) {
		appendValues(b, reg, e, left)
	}
	return false
}

// OpaqueError is an error on its way between two other processes, whose types this one
// need not know. AppendError passes it on as it came.
type OpaqueError struct{ encoded []byte }

// NewOpaqueError takes what AppendError wrote in another process.
func NewOpaqueError(encoded []byte) *OpaqueError { return &OpaqueError{encoded} }

// Error returns the text that the error had in its own process.
func (e *OpaqueError) Error() string {
	r := NewReader(e.encoded, false)
	if !r.bool() {
		return "no error"
	}
	return r.String()
}

// isNil reports whether v is a nil pointer, whose methods are likely to panic.
func isNil(v reflect.Value) bool { return v.Kind() == reflect.Pointer && v.IsNil() }

// DecodeError reads what AppendError wrote. An error that is declared itself comes
// back as itself, any other as a *RemoteError, nil as nil. When the message is
// damaged the result is r's error.
func DecodeError(r *Reader) error {
	if !r.bool() {
		return r.err
	}
	e := &RemoteError{Message: r.String()}
	reg := declared.Load()
	for r.err == nil {
		if len(e.causes) > maxErrors+len(reg.sentinels) {
			r.Fail(errors.New("wire: error with more causes than can be: the message is damaged"))
			break
		}
		switch kind := r.Uint8(); kind {
		case causeSentinel:
			name := r.Bytes()
			for _, s := range reg.sentinels {
				if s.name == string(name) {
					e.causes = append(e.causes, s.err)
				}
			}
		case causeValue:
			if err := decodeErrorValue(r, reg); err != nil {
				e.causes = append(e.causes, err)
			}
		case causeEndItself:
			if err := e.itself(); err != nil {
				return err
			}
			return e
		case causeEnd:
			return e
		default:
			r.Fail(fmt.Errorf("wire: %d in place of the cause of an error: the message is damaged", kind))
		}
	}
	return r.err
}

func decodeErrorValue(r *Reader, reg *registry) error {
	name := r.Bytes()
	d := reg.byName[string(name)]
	if d == nil || !d.typ.Implements(errorType) {
		r.Fail(fmt.Errorf("wire: error type %q is not declared in this process: declare it at package level with parade.Type", name))
		return nil
	}
	if r.Len()-r.owed < d.plan.least {
		r.short(uint64(d.plan.least))
		return nil
	}
	v := reflect.New(d.typ)
	d.plan.decode(r, v.UnsafePointer())
	if r.err != nil || isNil(v.Elem()) {
		return nil
	}
	return v.Elem().Interface().(error)
}

// itself returns a cause that can stand for the whole error: it has the same text,
// and all that is known of e is known of it. It returns nil if there is none.
func (e *RemoteError) itself() error {
	for _, c := range e.causes {
		if messageOf(c) != e.Message {
			continue
		}
		nodes := tree(c)
		for _, other := range e.causes {
			found := false
			for _, n := range nodes {
				found = found || matches(n, other)
			}
			if !found {
				return nil
			}
		}
		return c
	}
	return nil
}

// tree returns err and the errors that it wraps, at most maxErrors.
func tree(err error) []error {
	nodes := []error{err}
	for i := 0; i < len(nodes) && len(nodes) < maxErrors; i++ {
		nodes = append(nodes, wrapped(nodes[i])...)
	}
	return nodes[:min(len(nodes), maxErrors)]
}

// The methods of an error are the user's, and may panic.

func messageOf(err error) (s string) {
	defer func() {
		if x := recover(); x != nil {
			s = fmt.Sprintf("%T, whose Error method panicked: %v", err, x)
		}
	}()
	return err.Error()
}

// wrapped returns what err wraps, without nils.
func wrapped(err error) (errs []error) {
	defer func() {
		if recover() != nil {
			errs = nil
		}
	}()
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		if e := x.Unwrap(); e != nil {
			errs = []error{e}
		}
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			if e != nil {
				errs = append(errs, e)
			}
		}
	}
	return errs
}

func isSame(err, target error) (same bool) {
	defer func() { _ = recover() }() // comparing interfaces that hold slices panics
	return err == target
}

// matches is one step of errors.Is.
func matches(err, target error) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if isSame(err, target) {
		return true
	}
	x, hasIs := err.(interface{ Is(error) bool })
	return hasIs && x.Is(target)
}
