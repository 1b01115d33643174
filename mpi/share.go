package mpi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"
)

// shared is large bound arguments on their way to all ranks at once, by MPI's own
// broadcast. Notes tell the ranks of each, in the order in which the root starts them.
type shared struct {
	order sync.Mutex // held by the root while it starts one

	mu      sync.Mutex
	last    int // the latest that a note was about
	entries map[int]*handout
	broken  error         // why what is under way may never arrive
	spoiled chan struct{} // closed once broken is set
}

// handout is one bound argument at one rank, from when it is first mentioned.
type handout struct {
	memory []byte
	err    error
	done   chan struct{} // closed when memory or err is there to stay
}

func (s *shared) init() {
	s.entries = map[int]*handout{}
	s.spoiled = make(chan struct{})
}

// entry is a bound argument, and is called with s locked.
func (s *shared) entry(id int) *handout {
	h := s.entries[id]
	if h == nil {
		h = &handout{done: make(chan struct{})}
		s.entries[id] = h
	}
	return h
}

// send starts to send the chunks to all ranks of the port. They must not change before
// release has returned. ok is false when they have to go another way.
func (s *shared) send(p *port, chunks [][]byte, rootWorks bool) (tag uint64, release func(), ok bool) {
	s.order.Lock()
	defer s.order.Unlock()
	if s.isBroken() {
		return 0, nil, false
	}
	pieces := piecesOf(chunks, largestMessage)
	n := note{Op: "share"}
	for _, piece := range pieces {
		n.Sizes = append(n.Sizes, len(piece))
	}
	s.mu.Lock()
	s.last++
	n.Session = s.last
	if rootWorks {
		h := s.entry(n.Session)
		h.memory = newMemory(n.Sizes)
		at := 0
		for _, piece := range pieces {
			at += copy(h.memory[at:], piece)
		}
		close(h.done)
	}
	s.mu.Unlock()
	p.toOthers(n)
	sent := make(chan struct{})
	p.broadcast(pieces, func(err error) {
		if err != nil {
			p.fail(err)
		}
		close(sent)
	})
	release = func() {
		select { // MPI reads the chunks until then
		case <-sent:
		case <-s.spoiled:
		case <-p.gone:
		}
		s.drop(n.Session)
		p.toOthers(note{Op: "drop", Session: n.Session})
	}
	return uint64(n.Session), release, true
}

// piecesOf puts small chunks together, up to a message of that many bytes, and cuts
// what is larger.
func piecesOf(chunks [][]byte, message int) [][]byte {
	const small = 1 << 20
	var pieces [][]byte
	var run []byte
	flush := func() {
		if len(run) > 0 {
			pieces = append(pieces, run)
			run = nil
		}
	}
	for _, c := range chunks {
		if len(c) >= small {
			flush()
			pieces = slices.AppendSeq(pieces, slices.Chunk(c, message))
			continue
		}
		if len(run)+len(c) > message {
			flush()
		}
		run = append(run, c...)
	}
	flush()
	return pieces
}

func (p *port) toOthers(n note) {
	for rank := range p.size {
		if rank != p.rank {
			p.send(rank, n)
		}
	}
}

// broadcast starts to send the pieces, or to receive them. When all have gone through, or
// one has failed, the poller calls ended, once.
func (p *port) broadcast(pieces [][]byte, ended func(error)) {
	err := p.e.do(func() error {
		left := len(pieces)
		var failed error
		one := func(err error) {
			failed = cmp.Or(failed, err)
			if left--; left == 0 {
				ended(failed)
			}
		}
		for i, piece := range pieces {
			r := &request{ended: one}
			if err := p.e.lib.startBroadcast(r, piece, p.root, p.comm); err != nil {
				left -= len(pieces) - i - 1
				one(err)
				return nil
			}
			p.e.sending = append(p.e.sending, r)
		}
		return nil
	})
	if err != nil {
		ended(err)
	}
	p.e.touch()
}

// receive takes part in a broadcast that the root has started.
func (s *shared) receive(p *port, n note) {
	memory := newMemory(n.Sizes)
	var pieces [][]byte
	rest := memory
	for _, size := range n.Sizes {
		pieces = append(pieces, rest[:size:size])
		rest = rest[size:]
	}
	s.mu.Lock()
	s.last = n.Session
	h := s.entry(n.Session)
	s.mu.Unlock()
	p.broadcast(pieces, func(err error) {
		h.memory, h.err = memory, err
		close(h.done)
	})
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

func (s *shared) drop(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, id)
}

// spoil ends waiting for broadcasts that cannot be relied on any more: a rank that
// passes them on has frozen or left.
func (s *shared) spoil(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = err
		close(s.spoiled)
	}
}

// spoil is called at the root, for all ranks.
func (p *port) spoil(err error) {
	p.handed.spoil(err)
	p.toOthers(note{Op: "spoil", Error: err.Error()})
}

func (s *shared) isBroken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken != nil
}

// segment returns a bound argument when it has arrived. The job that asks may come before
// the note of it.
func (s *shared) segment(tag uint64, size int, closed <-chan struct{}) ([]byte, func(), error) {
	s.mu.Lock()
	h := s.entries[int(tag)]
	if h == nil && int(tag) <= s.last {
		s.mu.Unlock()
		return nil, nil, errors.New("mpi: the bound argument has been dropped")
	}
	h = s.entry(int(tag))
	s.mu.Unlock()
	select {
	case <-h.done:
	default:
		select {
		case <-h.done:
		case <-closed:
			return nil, nil, errGivenUp
		case <-s.spoiled:
			return nil, nil, s.broken
		}
	}
	if h.err != nil {
		return nil, nil, h.err
	}
	if size > len(h.memory) {
		return nil, nil, fmt.Errorf("mpi: a bound argument of %d bytes arrived as %d", size, len(h.memory))
	}
	return h.memory[:size:size], func() {}, nil
}
