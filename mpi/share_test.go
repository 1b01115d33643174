package mpi

import (
	"errors"
	"testing"
)

// A bound argument may be asked for before it is announced, after it was dropped, and
// while it will never come.
func TestSegment(t *testing.T) {
	t.Parallel()
	var s shared
	s.init()
	type answer struct {
		memory []byte
		err    error
	}
	ask := func(tag uint64, closed chan struct{}) chan answer {
		c := make(chan answer, 1)
		go func() {
			m, _, err := s.segment(tag, 3, closed)
			c <- answer{m, err}
		}()
		return c
	}
	early := ask(1, nil)
	s.mu.Lock()
	s.last = 1
	h := s.entry(1)
	s.mu.Unlock()
	h.memory = []byte("abcd")
	close(h.done)
	if a := <-early; a.err != nil || string(a.memory) != "abc" {
		t.Errorf("%q, %v", a.memory, a.err)
	}
	s.drop(1)
	if a := <-ask(1, nil); a.err == nil {
		t.Errorf("a dropped argument is %q", a.memory)
	}
	closed := make(chan struct{})
	given := ask(2, closed)
	close(closed)
	if a := <-given; !errors.Is(a.err, errGivenUp) {
		t.Error(a.err)
	}
	frozen := errors.New("frozen")
	spoiled := ask(3, nil)
	s.spoil(frozen)
	if a := <-spoiled; !errors.Is(a.err, frozen) {
		t.Error(a.err)
	}
}
