package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

type (
	uncomparable []error
	codeError    struct {
		Code int
		Err  error
	}
	selfish   struct{}
	nilPanics struct{ text string }
	looseIs   struct{}
)

func (uncomparable) Error() string     { return "uncomparable" }
func (u uncomparable) Unwrap() []error { return u }
func (e *codeError) Error() string     { return fmt.Sprintf("code %d: %v", e.Code, e.Err) }
func (e *codeError) Unwrap() error     { return e.Err }
func (selfish) Error() string          { return "wraps itself" }
func (s selfish) Unwrap() error        { return s }
func (n *nilPanics) Error() string     { return n.text }
func (looseIs) Error() string          { return "matches" }
func (looseIs) Is(target error) bool   { return target == fs.ErrExist }
func (looseIs) As(target any) bool     { panic("boom") }

var errMine = errors.New("mine")

func init() {
	RegisterError("wire.errMine", errMine)
	RegisterType("wire.codeError", reflect.TypeFor[*codeError]())
}

func remote(t *testing.T, err error) error {
	t.Helper()
	var b Buffer
	AppendError(&b, err)
	r := NewReader(b.AppendTo(nil), false)
	got := DecodeError(r)
	if r.Err() != nil || r.Len() != 0 {
		t.Fatalf("%v: %v, %d bytes left", err, r.Err(), r.Len())
	}
	for cut := range b.Len() {
		r := NewReader(b.AppendTo(nil)[:cut], false)
		if DecodeError(r) == nil || r.Err() == nil {
			t.Errorf("%v cut at %d of %d is no error", err, cut, b.Len())
		}
	}
	return got
}

func TestErrors(t *testing.T) {
	t.Parallel()
	_, notExist := os.Open("/no/such/file")
	_, notNumber := strconv.Atoi("x")
	for _, test := range []struct {
		err  error
		is   []error
		same bool // the very error comes back
	}{
		{err: io.EOF, is: []error{io.EOF}, same: true},
		{err: context.DeadlineExceeded, is: []error{context.DeadlineExceeded}, same: true},
		{err: errMine, is: []error{errMine}, same: true},
		{err: errors.New("plain")},
		{err: fmt.Errorf("read x: %w", io.ErrUnexpectedEOF), is: []error{io.ErrUnexpectedEOF}},
		{err: errors.Join(io.EOF, fmt.Errorf("a: %w", errMine)), is: []error{io.EOF, errMine}},
		{err: notExist, is: []error{fs.ErrNotExist, syscall.ENOENT}},
		{err: fmt.Errorf("open: %w", notExist), is: []error{fs.ErrNotExist, syscall.ENOENT}},
		{err: notNumber, is: []error{strconv.ErrSyntax}},
		{err: syscall.ENOSPC, is: []error{syscall.ENOSPC}, same: true},
		{err: uncomparable{io.EOF}, is: []error{io.EOF}},
		{err: selfish{}},
		{err: looseIs{}, is: []error{fs.ErrExist}},
		{err: &codeError{4, io.EOF}, is: []error{io.EOF}},
		{err: &codeError{4, errors.New("plain")}},
	} {
		got := remote(t, test.err)
		if got.Error() != test.err.Error() {
			t.Errorf("%q became %q", test.err, got)
		}
		if test.same != (got == test.err) && reflect.TypeOf(test.err).Comparable() {
			t.Errorf("%v: got %#v", test.err, got)
		}
		again := remote(t, got) // a controller passes errors on
		for _, target := range test.is {
			if !errors.Is(got, target) || !errors.Is(again, target) {
				t.Errorf("%v is not %v", test.err, target)
			}
		}
		if errors.Is(got, os.ErrProcessDone) {
			t.Errorf("%v is too much", test.err)
		}
		if !reflect.DeepEqual(got, again) {
			t.Errorf("%#v became %#v", got, again)
		}
	}
	if got := remote(t, nil); got != nil {
		t.Errorf("nil became %v", got)
	}
	var path *fs.PathError
	if !errors.As(remote(t, fmt.Errorf("open: %w", notExist)), &path) || path.Path != "/no/such/file" {
		t.Errorf("no PathError, or another: %v", path)
	}
	if _, ok := remote(t, notExist).(*fs.PathError); !ok {
		t.Error("a declared error type did not come back as itself")
	}
	var code *codeError
	if !errors.As(remote(t, errors.Join(errMine, &codeError{4, io.EOF})), &code) || code.Code != 4 || code.Err != io.EOF {
		t.Errorf("no codeError, or another: %v", code)
	}
	var r *RemoteError
	if !errors.As(remote(t, errors.New("plain")), &r) || r.Message != "plain" {
		t.Errorf("got %v", r)
	}
	if got := remote(t, (*nilPanics)(nil)); !strings.Contains(got.Error(), "panicked") {
		t.Errorf("got %v", got)
	}
	if got := remote(t, fmt.Errorf("x: %w", (*fs.PathError)(nil))); got == nil || errors.As(got, &path) && path == nil {
		t.Errorf("got %v", got)
	}
}

func TestErrorCycle(t *testing.T) {
	t.Parallel()
	cycle := &loop{}
	cycle.err = fmt.Errorf("x: %w", errors.Join(cycle, io.EOF, cycle))
	if got := remoteOnce(cycle); !errors.Is(got, io.EOF) {
		t.Errorf("got %v", got)
	}
	deep := error(io.EOF)
	for range 300 {
		deep = &codeError{1, deep}
	}
	var b Buffer
	AppendError(&b, &quiet{deep})
	if b.depth != 0 {
		t.Error("depth", b.depth)
	}
}

// quiet has a short text.
type quiet struct{ err error }

func (q *quiet) Error() string { return "quiet" }
func (q *quiet) Unwrap() error { return q.err }

type loop struct{ err error }

func (l *loop) Error() string { return "loop" }
func (l *loop) Unwrap() error { return l.err }

func remoteOnce(err error) error {
	var b Buffer
	AppendError(&b, err)
	return DecodeError(NewReader(b.AppendTo(nil), false))
}

func TestErrorFields(t *testing.T) {
	t.Parallel()
	type result struct {
		N   int
		Err error
	}
	got := decode[result](t, encode(t, result{1, io.EOF}, result{2, nil}, result{3, errors.New("x")}), 3, false)
	if got[0].Err != io.EOF || got[1].Err != nil || got[2].Err.Error() != "x" {
		t.Errorf("got %v", got)
	}
	if got := roundTrip[error](t, errMine); got != errMine {
		t.Errorf("got %v", got)
	}
}
