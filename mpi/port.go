package mpi

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

// controlTag is the tag of notes. Streams use the tags above: 2k from the root to a
// worker, 2k+1 back.
const controlTag = 1

// port is a communicator of the executors' own, and what goes on over it. At its root
// executors have streams to sessions of the ranks.
type port struct {
	e    *engine
	comm handle
	rank int
	size int
	root int

	mu      sync.Mutex
	streams map[int]*stream // by the tag of what they receive
	err     error           // MPI does not work any more
	noted   sync.Cond
	notes   []arrival
	closed  bool
	lastTag int
	links   map[int]*link // at the root: sessions, by number
	members []member      // at the root: by rank
	away    map[int]bool  // ranks that serve no more
	frozen  map[int]bool  // ranks that have not been heard of since they froze
	joined  chan struct{} // closed when all members are known
	byes    chan int      // ranks that have finished

	handed   shared        // bound arguments
	sessions sessions      // at a rank that works
	finish   chan struct{} // closed at a rank that has been told to leave
	gone     chan struct{} // closed when the notes are no longer read
}

// member is what a rank says of itself.
type member struct {
	Host  string
	PID   int
	Cores int    // granted
	Mask  string // the cores that it may run on
}

// note is a message about sessions, in JSON. Notes are few.
type note struct {
	Op       string
	Session  int     `json:",omitempty"`
	Member   *member `json:",omitempty"`
	Name     string  `json:",omitempty"`
	Number   int     `json:",omitempty"`
	Threads  int     `json:",omitempty"`
	Children bool    `json:",omitempty"` // tasks run in a child of the rank
	Frozen   bool    `json:",omitempty"`
	Planned  bool    `json:",omitempty"`
	Error    string  `json:",omitempty"`
	Status   []byte  `json:",omitempty"` // of the worker that has ended
	Sizes    []int   `json:",omitempty"` // of the pieces of a broadcast
}

// newPort makes a port of a communicator that nothing else uses.
func newPort(c *Comm, root int) *port {
	p := &port{
		e: c.e, comm: c.comm, rank: c.rank, size: c.size, root: root, streams: map[int]*stream{}, links: map[int]*link{}, away: map[int]bool{}, frozen: map[int]bool{},
		members: make([]member, c.size), joined: make(chan struct{}), byes: make(chan int, 2*c.size),
		finish: make(chan struct{}), gone: make(chan struct{}),
	}
	p.noted.L = &p.mu
	p.handed.init()
	p.sessions.p = p
	go p.readNotes()
	p.e.add(p)
	return p
}

// take hands a message on. The poller calls it.
func (p *port) take(a arrival) {
	p.mu.Lock()
	if a.tag == controlTag {
		p.notes = append(p.notes, a)
		p.mu.Unlock()
		p.noted.Signal()
		return
	}
	s := p.streams[a.tag]
	p.mu.Unlock()
	if s != nil {
		s.push(a)
		return
	}
	go p.drop(a)
}

// drop receives a message for a stream that has ended.
func (p *port) drop(a arrival) { _, _ = p.receive(a) }

func (p *port) receive(a arrival) ([]byte, error) {
	data := make([]byte, a.size)
	r := new(request)
	err := p.e.do(func() error { return p.e.lib.receive(r, data, a.message) })
	if err == nil {
		err = p.e.await(r, nil)
	}
	return data, err
}

// fail is called by the poller when MPI does not work any more.
func (p *port) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.err = err
	for _, s := range p.streams {
		go s.close(err)
	}
}

// close stops the port. Its communicator stays for the caller to free.
func (p *port) close() {
	p.e.remove(p)
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.noted.Broadcast()
	<-p.gone
}

// send sends a note, which is small, and returns without waiting for it to be taken.
func (p *port) send(to int, n note) {
	text, err := json.Marshal(n)
	if err != nil {
		panic(err) // it is a plain struct
	}
	r := &request{}
	_ = p.e.do(func() error {
		err := p.e.lib.startSend(r, text, to, controlTag, p.comm)
		if err == nil {
			p.e.sending = append(p.e.sending, r)
		}
		return err
	})
	p.e.touch()
}

func (p *port) readNotes() {
	defer close(p.gone)
	for {
		p.mu.Lock()
		for len(p.notes) == 0 && !p.closed {
			p.noted.Wait()
		}
		if p.closed {
			p.mu.Unlock()
			return
		}
		a := p.notes[0]
		p.notes = p.notes[1:]
		p.mu.Unlock()
		text, err := p.receive(a)
		var n note
		if err == nil {
			err = json.Unmarshal(text, &n)
		}
		if err != nil {
			p.fail(fmt.Errorf("mpi: a note of rank %d: %w", a.from, err))
			continue
		}
		p.act(a.from, n)
	}
}

func (p *port) act(from int, n note) {
	switch n.Op {
	case "join": // rank: here I am
		p.join(from, *n.Member)
	case "open": // root: start a session
		p.sessions.open(from, n)
	case "end": // root: end a session
		p.sessions.end(n)
	case "ended": // rank: a session has ended
		p.mu.Lock()
		l := p.links[n.Session]
		p.mu.Unlock()
		if l != nil {
			l.hasEnded(n)
		}
	case "share": // root: take part in a broadcast
		p.handed.receive(p, n)
	case "drop": // root: nobody needs a broadcast any more
		p.handed.drop(n.Session)
	case "spoil": // root: do not wait for broadcasts
		p.handed.spoil(fmt.Errorf("%w: %s", parade.ErrFrozen, n.Error))
	case "left": // rank: it serves no more, its program goes on
		p.left(from, n.Error)
	case "finish": // root: that was all
		close(p.finish)
	case "bye": // rank: I leave
		p.byes <- from
	}
}

// announce tells the root who this rank is.
func (p *port) announce() {
	m := thisMember()
	p.send(p.root, note{Op: "join", Member: &m})
}

func (p *port) join(from int, m member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members[from] = m
	for _, m := range p.members {
		if m.PID == 0 {
			return
		}
	}
	select {
	case <-p.joined:
	default:
		close(p.joined)
	}
}

// left ends the links to a rank that has stopped serving.
func (p *port) left(rank int, why string) {
	p.mu.Lock()
	var links []*link
	for _, l := range p.links {
		if l.rank == rank {
			links = append(links, l)
		}
	}
	p.away[rank] = true
	p.mu.Unlock()
	p.spoil(fmt.Errorf("mpi: %s serves no more: %s", p.name(rank), why))
	for _, l := range links {
		l.hasEnded(note{Error: why})
	}
	p.byes <- rank
}

// awaitMembers returns when all ranks have said who they are.
func (p *port) awaitMembers(patience time.Duration, done <-chan struct{}) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.joined:
		return nil
	case <-done:
		return errGivenUp
	case <-late.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for rank, m := range p.members {
		if m.PID == 0 {
			return fmt.Errorf("mpi: rank %d did not get to serving within %v", rank, patience)
		}
	}
	return nil
}

// threadsOf is how many threads a rank may use: its cores, shared with the ranks that
// run on the same ones.
func (p *port) threadsOf(rank int) int {
	m, sharing := p.members[rank], 0
	for _, other := range p.members {
		if other.Host == m.Host && other.Mask == m.Mask {
			sharing++
		}
	}
	return max(1, m.Cores/max(1, sharing))
}

// name is how errors and logs call a rank.
func (p *port) name(rank int) string { return fmt.Sprintf("rank %d on %s", rank, p.members[rank].Host) }

var errFinished = errors.New("mpi: the ranks were let go when the last executor closed, and cannot come back; open all executors before that, or call mpi.Keep first and mpi.Finalize at the end")

// dismiss tells the other ranks to leave, and returns when all of them have heard.
func (p *port) dismiss(patience time.Duration) error {
	for rank := range p.size {
		if rank != p.rank {
			p.send(rank, note{Op: "finish"})
		}
	}
	p.mu.Lock()
	if len(p.frozen) > 0 {
		patience = min(patience, time.Second)
	}
	p.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	heard := map[int]bool{p.rank: true}
	for len(heard) < p.size {
		select {
		case rank := <-p.byes:
			heard[rank] = true
		case <-late.C:
			for rank := range p.size {
				if !heard[rank] {
					return fmt.Errorf("mpi: %s does not answer, so MPI cannot be finalised; mpiexec ends that rank with the job, and may call it an error", p.name(rank))
				}
			}
		}
	}
	return nil
}
