package mpi

import (
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
)

// sessions are the workers that a rank is, one for each executor that is open.
type sessions struct {
	p *port

	mu      sync.Mutex
	live    map[int]*session
	running sync.WaitGroup
	restore func() // undoes the limit of threads

	logs     []*logTarget
	original func() // makes logging what it was
}

// session is one worker. Its tasks run here, or in a child process.
type session struct {
	*stream
	number int
	cause  error // why the root ends it; nil if planned
	told   chan struct{}
	once   sync.Once
}

type logTarget struct{ slog.Handler }

func (ss *sessions) open(from int, n note) {
	s := &session{stream: ss.p.newStream(from, 2*n.Session+1, 2*n.Session), number: n.Session, told: make(chan struct{})}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.live == nil {
		ss.live = map[int]*session{}
	}
	ss.live[n.Session] = s
	if ss.restore == nil && ss.p.rank != ss.p.root {
		ss.restore = limitThreads(n.Threads)
	}
	ss.running.Go(func() {
		ended := note{Op: "ended", Session: n.Session}
		var err error
		if n.Children {
			err = s.relay(n, &ended)
		} else {
			err = ss.serve(s, n)
		}
		s.close(io.EOF)
		ss.mu.Lock()
		delete(ss.live, n.Session)
		ss.mu.Unlock()
		if err != nil {
			ended.Error = err.Error()
		}
		ss.p.send(from, ended)
	})
}

// end ends a session that the root has no use for any more.
func (ss *sessions) end(n note) {
	ss.mu.Lock()
	s := ss.live[n.Session]
	ss.mu.Unlock()
	if s == nil {
		return
	}
	switch {
	case n.Frozen:
		s.finish(parade.ErrFrozen)
	case n.Planned:
		s.finish(nil)
	default:
		s.finish(errors.New(n.Error))
	}
}

func (s *session) finish(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.told)
	})
	s.close(io.EOF)
}

// endAll ends all sessions and returns when they have ended, but for tasks that
// will not.
func (ss *sessions) endAll() {
	ss.mu.Lock()
	for _, s := range ss.live {
		go s.finish(nil)
	}
	ss.mu.Unlock()
	ss.running.Wait()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.restore != nil {
		ss.restore()
		ss.restore = nil
	}
}

// serve runs the tasks of a session in this process.
func (ss *sessions) serve(s *session, n note) error {
	end := parade.WorkerEnd{
		Name: n.Name, Reader: s, Write: s.Write,
		Segment: func(tag uint64, size int) ([]byte, func(), error) {
			return ss.p.handed.segment(tag, size, s.closed)
		},
	}
	if ss.p.rank != ss.p.root {
		target := &logTarget{}
		end.Logs = func(h slog.Handler) {
			target.Handler = h
			ss.logTo(target)
		}
		defer ss.unlog(target)
	}
	err := parade.ServeWorker(end)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// logTo sends log records to a session's root. The latest session gets them.
func (ss *sessions) logTo(t *logTarget) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.logs) == 0 {
		logger, out, flags := slog.Default(), log.Writer(), log.Flags()
		ss.original = func() {
			slog.SetDefault(logger)
			// Which SetDefault has changed, and does not change back.
			log.SetOutput(out)
			log.SetFlags(flags)
		}
	}
	ss.logs = append(ss.logs, t)
	slog.SetDefault(slog.New(t))
}

func (ss *sessions) unlog(t *logTarget) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	n := len(ss.logs)
	ss.logs = slices.DeleteFunc(ss.logs, func(other *logTarget) bool { return other == t })
	switch {
	case len(ss.logs) == n:
	case len(ss.logs) == 0:
		ss.original()
	default:
		slog.SetDefault(slog.New(ss.logs[len(ss.logs)-1]))
	}
}

// relay runs the tasks of a session in a child process, to which it passes on what
// comes from the root, and back. The child may die; the rank must not.
func (s *session) relay(n note, ended *note) error {
	child, err := parade.StartWorker("processes", "child of "+n.Name, n.Number, n.Threads)
	if err != nil {
		return err
	}
	var passing sync.WaitGroup
	passing.Go(func() {
		buf := make([]byte, 1<<20)
		for {
			k, err := s.Read(buf)
			if err == nil {
				err = child.Write([][]byte{buf[:k]})
			}
			if err != nil {
				return
			}
		}
	})
	// The child's end shows in Read, and only End makes that return.
	over := make(chan error, 1)
	passing.Go(func() {
		buf := make([]byte, 1<<20)
		for {
			k, err := child.Read(buf)
			if err == nil {
				err = s.Write([][]byte{buf[:k]})
			}
			if err != nil {
				over <- err
				return
			}
		}
	})
	var cause error
	select {
	case cause = <-over:
	case <-s.told:
		cause = s.cause
	}
	status, death := child.End(cause)
	s.close(io.EOF)
	passing.Wait()
	if status != nil {
		ended.Status = slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(status)), parade.StatusSize))
	}
	return death
}

// limitThreads holds this process and the numeric libraries in it to n threads.
func limitThreads(n int) (restore func()) {
	before := runtime.GOMAXPROCS(n)
	var undo []func()
	for _, setting := range cores.ThreadEnv(n) {
		name, value, _ := strings.Cut(setting, "=")
		if old, ok := os.LookupEnv(name); ok {
			undo = append(undo, func() { _ = os.Setenv(name, old); setenv(name, old) })
		} else {
			undo = append(undo, func() { _ = os.Unsetenv(name) })
		}
		_ = os.Setenv(name, value)
		setenv(name, value)
	}
	return func() {
		runtime.GOMAXPROCS(before)
		for _, f := range undo {
			f()
		}
	}
}

func thisMember() member {
	return member{Host: host.Name(), PID: os.Getpid(), Cores: cores.Granted(), Mask: affinity()}
}

// link is the root's side of a session.
type link struct {
	*stream
	e      *Executor
	rank   int
	number int // the worker's place
	id     int // the session's number

	mu     sync.Mutex
	hello  bool
	over   bool
	status *parade.Status
	death  error
	ended  chan struct{}
}

func (l *link) Name() string { return l.p.name(l.rank) }
func (l *link) Number() int  { return l.number }

// Shared says whether no rank has frozen that may keep broadcasts from arriving.
func (l *link) Shared() bool { return !l.p.handed.isBroken() }

// FlushSize lets two inputs of 8 MB be on their way while a third is computed.
func (l *link) FlushSize() int { return 12 << 20 }

func (l *link) Read(p []byte) (int, error) {
	n, err := l.stream.Read(p)
	if n > 0 && !l.hello { // only the reader touches it
		l.hello = true
		l.p.mu.Lock()
		delete(l.p.frozen, l.rank)
		l.p.mu.Unlock()
		l.e.count(1)
	}
	return n, err
}

// hasEnded is called when the rank says that the session has ended.
func (l *link) hasEnded(n note) {
	l.mu.Lock()
	if !l.over {
		l.over = true
		if len(n.Status) == parade.StatusSize {
			words := make([]uint64, (len(n.Status)+7)/8) // aligned
			memory := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(n.Status))
			copy(memory, n.Status)
			l.status = parade.StatusAt(memory)
		}
		if n.Error != "" {
			l.death = errors.New(n.Error)
		}
		close(l.ended)
	}
	l.mu.Unlock()
	l.close(io.EOF)
}

// End implements [parade.Link]. The rank stays; what ends is the session.
func (l *link) End(cause error) (*parade.Status, error) {
	l.close(io.EOF)
	select {
	case <-l.ended:
	default:
		n := note{Op: "end", Session: l.id, Planned: cause == nil, Frozen: errors.Is(cause, parade.ErrFrozen)}
		if cause != nil {
			n.Error = cause.Error()
		}
		l.p.send(l.rank, n)
		patience := 5 * time.Second
		l.p.mu.Lock()
		if n.Frozen && !l.e.cfg.Children {
			l.p.frozen[l.rank] = true
		}
		if l.p.frozen[l.rank] {
			patience = 0 // it cannot answer
		}
		l.p.mu.Unlock()
		if n.Frozen && !l.e.cfg.Children {
			l.p.spoil(cause)
		}
		select {
		case <-l.ended:
		case <-time.After(patience):
		}
	}
	l.p.mu.Lock()
	delete(l.p.links, l.id)
	l.p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hello {
		l.e.count(-1)
	}
	if cause == nil {
		return l.status, nil
	}
	if l.death != nil && !errors.Is(cause, parade.ErrFrozen) {
		if l.e.cfg.Children {
			return l.status, l.death // it says whose child has died
		}
		cause = l.death
	}
	return l.status, &RankError{Rank: l.rank, Host: l.p.members[l.rank].Host, Err: cause}
}

// RankError says which rank an error is about.
type RankError struct {
	Rank int
	Host string
	Err  error
}

func (e *RankError) Error() string { return fmt.Sprintf("rank %d on %s: %v", e.Rank, e.Host, e.Err) }

// Unwrap returns the error.
func (e *RankError) Unwrap() error { return e.Err }
