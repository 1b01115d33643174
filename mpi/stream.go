package mpi

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// largeChunk is the size from which a chunk is a message of its own, sent
	// from where it lies and received where it is wanted.
	largeChunk = 32 << 10
	// largestMessage is where chunks are cut: a count is a 32-bit int.
	largestMessage = 1 << 30
	// sendAhead is how many bytes of small messages may be on their way before
	// Write waits for the other side to take them.
	sendAhead = 1 << 20
)

// stream is an ordered stream of bytes between two ranks: messages of one
// communicator, with one tag in each direction.
type stream struct {
	p          *port
	peer       int
	sendTag    int
	receiveTag int

	mu      sync.Mutex
	arrived sync.Cond
	queue   []arrival
	err     error // why no more is read
	closed  chan struct{}
	rest    []byte // of a message that the reader had no room for

	onWay atomic.Int64 // bytes of small messages
	batch []arrival    // Read's
}

// newStream makes a stream, to which messages are delivered from now on.
func (p *port) newStream(peer, sendTag, receiveTag int) *stream {
	s := &stream{p: p, peer: peer, sendTag: sendTag, receiveTag: receiveTag, closed: make(chan struct{})}
	s.arrived.L = &s.mu
	p.mu.Lock()
	p.streams[receiveTag] = s
	err := p.err
	p.mu.Unlock()
	if err != nil {
		s.close(err)
	}
	return s
}

// push is called by the poller.
func (s *stream) push(a arrival) {
	s.mu.Lock()
	s.queue = append(s.queue, a)
	s.mu.Unlock()
	s.arrived.Signal()
}

// close ends reading and writing, with err for the reader. Messages that arrive later
// are dropped.
func (s *stream) close(err error) {
	s.p.mu.Lock()
	if s.p.streams[s.receiveTag] == s {
		delete(s.p.streams, s.receiveTag)
	}
	s.p.mu.Unlock()
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
		close(s.closed)
	}
	left := s.queue
	s.queue = nil
	s.mu.Unlock()
	s.arrived.Broadcast()
	if len(left) > 0 {
		go func() {
			for _, a := range left {
				s.p.drop(a)
			}
		}()
	}
}

// Read receives messages straight into p, several if there is room. It ends with
// what close was given.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	if len(s.rest) > 0 {
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		s.mu.Unlock()
		return n, nil
	}
	for len(s.queue) == 0 && s.err == nil {
		s.arrived.Wait()
	}
	if s.err != nil {
		s.mu.Unlock()
		return 0, s.err
	}
	batch, room := s.batch[:0], len(p)
	for len(s.queue) > 0 && (len(batch) == 0 || s.queue[0].size <= room) {
		a := s.queue[0]
		s.queue = s.queue[1:]
		batch = append(batch, a)
		if room -= a.size; room < largeChunk {
			break
		}
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	s.mu.Unlock()
	s.batch = batch
	if batch[0].size > len(p) {
		whole := make([]byte, batch[0].size)
		if err := s.receive(batch, whole); err != nil {
			return 0, err
		}
		n := copy(p, whole)
		s.mu.Lock()
		s.rest = whole[n:]
		s.mu.Unlock()
		return n, nil
	}
	n := 0
	for _, a := range batch {
		n += a.size
	}
	return n, s.receive(batch, p[:n])
}

// receive receives messages one after another into p.
func (s *stream) receive(batch []arrival, p []byte) (err error) {
	e := s.p.e
	var waiting []*request
	err = e.do(func() (err error) {
		for _, a := range batch {
			r := new(request)
			if err = e.lib.receive(r, p[:a.size], a.message); err != nil {
				return err
			}
			p = p[a.size:]
			var done bool
			if done, err = e.lib.done(r); err != nil {
				return err
			}
			if !done {
				waiting = append(waiting, r)
			}
		}
		return nil
	})
	for _, r := range waiting {
		if err == nil {
			err = e.await(r, s.closed)
		} else {
			e.abandon(r)
		}
	}
	return err
}

// Write sends the chunks, small ones together and large ones from where they lie. When
// it returns they are the caller's again.
func (s *stream) Write(chunks [][]byte) error {
	e := s.p.e
	if s.onWay.Load() > sendAhead {
		if err := s.awaitRoom(); err != nil {
			return err
		}
	}
	select {
	case <-s.closed:
		return io.ErrClosedPipe
	default:
	}
	var large []*request
	err := e.do(func() (err error) {
		large, err = s.send(chunks)
		return err
	})
	e.touch()
	for _, r := range large {
		if err == nil {
			err = e.await(r, s.closed)
		} else {
			e.abandon(r)
		}
	}
	return err
}

// send starts to send the chunks, and returns the operations that use their memory. It
// runs within do.
func (s *stream) send(chunks [][]byte) (large []*request, err error) {
	e := s.p.e
	var small []byte
	flush := func() error {
		if len(small) == 0 {
			return nil
		}
		r := &request{pooled: true}
		size := int64(len(small))
		err := e.lib.startSend(r, small, s.peer, s.sendTag, s.p.comm)
		small = nil
		if err != nil {
			return err
		}
		done, err := e.lib.done(r)
		if done {
			e.recycle(r.memory)
			return err
		}
		s.onWay.Add(size)
		r.ended = func(error) { s.onWay.Add(-size) }
		e.sending = append(e.sending, r)
		return nil
	}
	for _, c := range chunks {
		if len(c) < largeChunk {
			for len(c) > 0 {
				if small == nil {
					small = e.buffer()
				}
				n := min(len(c), cap(small)-len(small))
				small = append(small, c[:n]...)
				if c = c[n:]; len(small) == cap(small) {
					if err := flush(); err != nil {
						return large, err
					}
				}
			}
			continue
		}
		if err := flush(); err != nil {
			return large, err
		}
		for piece := range slices.Chunk(c, largestMessage) {
			r := new(request)
			if err := e.lib.startSend(r, piece, s.peer, s.sendTag, s.p.comm); err != nil {
				return large, err
			}
			large = append(large, r)
		}
	}
	return large, flush()
}

// awaitRoom returns when the other side has taken enough of what was sent.
func (s *stream) awaitRoom() error {
	start := time.Now()
	for s.onWay.Load() > sendAhead {
		select {
		case <-s.closed:
			return io.ErrClosedPipe
		default:
		}
		pause(time.Since(start))
	}
	return nil
}
