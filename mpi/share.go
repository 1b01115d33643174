package mpi

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// shared is large bound arguments on their way to all ranks at once, by MPI's own
// broadcast. Notes tell the ranks of each, in the order in which the root starts them.
type shared struct {
	order sync.Mutex // held by the root while it starts one

	mu      sync.Mutex
	changed sync.Cond
	last    int
	entries map[int]*handout
	broken  error // why what is under way may never arrive
}

// handout is one bound argument at one rank.
type handout struct {
	memory []byte
	done   chan struct{}
	err    error // set before done is closed
}

func (s *shared) init() {
	s.changed.L = &s.mu
	s.entries = map[int]*handout{}
}

// send starts to send the chunks to all ranks of the port. They must not change before
// release is called. ok is false when they have to go another way.
func (s *shared) send(p *port, chunks [][]byte, rootWorks bool) (tag uint64, release func(), ok bool) {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	s.last++
	id := s.last
	broken := s.broken
	s.mu.Unlock()
	if broken != nil {
		return 0, nil, false
	}
	pieces := piecesOf(chunks)
	n := note{Op: "share", Session: id}
	for _, piece := range pieces {
		n.Sizes = append(n.Sizes, len(piece))
	}
	p.toOthers(n)
	h := &handout{done: make(chan struct{})}
	if rootWorks {
		whole := newMemory(n.Sizes)
		at := 0
		for _, piece := range pieces {
			at += copy(whole[at:], piece)
		}
		h.memory = whole
		close(h.done)
		s.add(id, h)
	}
	requests, err := p.broadcast(pieces)
	go func() {
		for _, r := range requests {
			_ = p.e.await(r, p.gone)
		}
	}()
	release = func() {
		s.drop(id)
		p.toOthers(note{Op: "drop", Session: id})
	}
	if err != nil {
		p.fail(err)
	}
	return uint64(id), release, err == nil
}

// piecesOf puts small chunks together, and cuts what is too large for one message.
func piecesOf(chunks [][]byte) [][]byte {
	const small = 1 << 20
	var pieces [][]byte
	var run []byte
	for _, c := range chunks {
		if len(c) < small {
			run = append(run, c...)
			continue
		}
		if len(run) > 0 {
			pieces = append(pieces, run)
			run = nil
		}
		for len(c) > 0 {
			n := min(len(c), largestMessage)
			pieces = append(pieces, c[:n])
			c = c[n:]
		}
	}
	if len(run) > 0 {
		pieces = append(pieces, run)
	}
	return pieces
}

func (p *port) toOthers(n note) {
	for rank := range p.size {
		if rank != p.rank {
			p.send(rank, n)
		}
	}
}

func (p *port) broadcast(pieces [][]byte) (requests []*request, err error) {
	p.e.do(func() {
		for _, piece := range pieces {
			r := new(request)
			if err = p.e.lib.startBroadcast(r, piece, p.root, p.comm); err != nil {
				return
			}
			requests = append(requests, r)
		}
	})
	p.e.touch()
	return requests, err
}

// receive takes part in a broadcast that the root has started.
func (s *shared) receive(p *port, n note) {
	h := &handout{memory: newMemory(n.Sizes), done: make(chan struct{})}
	var pieces [][]byte
	rest := h.memory
	for _, size := range n.Sizes {
		pieces = append(pieces, rest[:size:size])
		rest = rest[size:]
	}
	requests, err := p.broadcast(pieces)
	s.add(n.Session, h)
	go func() {
		for _, r := range requests {
			if err == nil {
				err = p.e.await(r, p.gone)
			} else {
				p.e.abandon(r)
			}
		}
		h.err = err
		close(h.done)
	}()
}

// newMemory allocates what the pieces take together, aligned for values to be viewed
// in place.
func newMemory(sizes []int) []byte {
	n := 0
	for _, size := range sizes {
		n += size
	}
	const align = 64
	m := make([]byte, n+align)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(m))) & (align - 1))
	return m[skip : skip+n : skip+n]
}

func (s *shared) add(id int, h *handout) {
	s.mu.Lock()
	s.entries[id] = h
	s.last = max(s.last, id)
	s.mu.Unlock()
	s.changed.Broadcast()
}

func (s *shared) drop(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, id)
}

// spoil ends waiting for broadcasts that cannot be relied on any more: a rank that
// passes them on has frozen.
func (s *shared) spoil(err error) {
	s.mu.Lock()
	if s.broken == nil {
		s.broken = err
	}
	for _, h := range s.entries {
		go func() {
			select {
			case <-h.done:
			default:
				s.changed.Broadcast()
			}
		}()
	}
	s.mu.Unlock()
	s.changed.Broadcast()
}

// segment returns a bound argument when it has arrived. The note of it was sent before
// the job that asks.
func (s *shared) segment(tag uint64, size int, closed <-chan struct{}) ([]byte, func(), error) {
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a condition cannot wait for a channel
		select {
		case <-closed:
			s.changed.Broadcast()
		case <-stop:
		}
	}()
	s.mu.Lock()
	var h *handout
	for {
		if h = s.entries[int(tag)]; h != nil || s.broken != nil || isClosed(closed) || s.last > int(tag) {
			break
		}
		s.changed.Wait()
	}
	broken := s.broken
	s.mu.Unlock()
	switch {
	case h == nil && broken != nil:
		return nil, nil, broken
	case h == nil:
		return nil, nil, errors.New("mpi: the bound argument has been dropped")
	}
	select {
	case <-h.done:
	case <-closed:
		return nil, nil, errGivenUp
	}
	if h.err != nil {
		return nil, nil, h.err
	}
	if size > len(h.memory) {
		return nil, nil, fmt.Errorf("mpi: a bound argument of %d bytes arrived as %d", size, len(h.memory))
	}
	return h.memory[:size:size], func() {}, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
