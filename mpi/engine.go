package mpi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spinTime is how long the poller asks MPI without a pause after something has
	// been sent or received. Where others want the core it becomes less, down to
	// spinLeast: who has slept gets it at once, and who spins is made to wait.
	spinTime  = 100 * time.Microsecond
	spinLeast = 2 * time.Microsecond
	// preempted is what two looks at MPI are never apart otherwise.
	preempted = 500 * time.Microsecond
	// A pause is a pauseShare of the time since, up to longestPause. After restAfter
	// a rank waits for the next call of its program, which may come after
	// hours, and pauses for restPause: each look costs some 50 us of a core.
	restAfter     = 100 * time.Millisecond
	restPause     = 3 * time.Millisecond
	pauseShare    = 8
	shortestPause = 10 * time.Microsecond
	longestPause  = time.Millisecond
	// probesAtOnce bounds the messages taken from one communicator in turn.
	probesAtOnce = 64
)

// engine is MPI in this process. All calls of the library go through do, one at a time.
// One goroutine, the poller, takes messages out of MPI and hands them to whom
// they are for.
type engine struct {
	lib    *library
	level  int // of thread support, a place in threadNames
	rank   int // in the world
	size   int
	tagMax int

	mu      sync.Mutex
	waiting atomic.Int32 // for mu
	pending atomic.Int32 // calls that wait for that thread
	calls   chan func()  // to the thread that owns MPI, where others must not call it

	ports   atomic.Pointer[[]*port]
	sending []*request // that nobody waits for
	spare   [][]byte   // buffers for small messages

	late sync.WaitGroup // meetings of ranks that some gave up, and others came to

	touched atomic.Int64 // when something was last sent or received
	began   time.Time
	asleep  atomic.Bool
	napper  *napper
	stop    atomic.Bool   // set within do; nothing calls MPI after it but finalize
	ended   chan struct{} // closed when the poller has gone
	over    chan struct{} // closed when MPI is finalised
}

var (
	engineOnce  sync.Once
	engineValue *engine
	engineError error
)

// theEngine initialises MPI, once.
func theEngine() (*engine, error) {
	engineOnce.Do(func() { engineValue, engineError = newEngine(here) })
	return engineValue, engineError
}

// newEngine loads the library and initialises MPI on a thread that is kept for it:
// the one that initialises is the one that must finalise.
func newEngine(l launch) (*engine, error) {
	if l.alone != "" {
		return nil, fmt.Errorf("mpi: this process is no rank of MPI: %s", l.alone)
	}
	lib, err := load(l)
	if err != nil {
		return nil, err
	}
	if _, set := os.LookupEnv("OMPI_MCA_rmaps_base_oversubscribe"); !set && !l.launched() {
		// A program without mpiexec has one slot, and may ask for workers.
		setenv("OMPI_MCA_rmaps_base_oversubscribe", "1")
	}
	level := len(threadNames) - 1
	if name := os.Getenv(EnvThreads); name != "" {
		if level = slices.Index(threadNames[:], name); level < 1 {
			return nil, fmt.Errorf("mpi: %s=%s: the levels are %s", EnvThreads, name, strings.Join(threadNames[1:], ", "))
		}
	}
	e := &engine{
		lib: lib, calls: make(chan func()), began: time.Now(),
		ended: make(chan struct{}), over: make(chan struct{}),
	}
	if e.napper, err = newNapper(); err != nil {
		return nil, err
	}
	e.ports.Store(new([]*port))
	started := make(chan error)
	go e.own(level, started)
	if err := <-started; err != nil {
		return nil, err
	}
	if e.level < 1 && level > 0 {
		return nil, fmt.Errorf("mpi: %s (%s) has thread level %s, and a Go program needs funneled at least", lib.maker, lib.file, threadNames[e.level])
	}
	if err := e.identify(l); err != nil {
		return nil, err
	}
	if e.level >= 2 {
		go e.poll()
	}
	return e, nil
}

// own is the thread that initialises and finalises MPI. Where no other thread may
// call MPI it polls, too.
func (e *engine) own(level int, started chan<- error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	have, err := e.lib.start(level)
	e.level = min(have, level)
	started <- err
	if err != nil {
		return
	}
	if e.level < 2 {
		e.poll()
	}
	for {
		select {
		case f := <-e.calls:
			f()
		case <-e.over:
			return
		}
	}
}

// do has f call MPI, and returns its error when it has. After finalize it does not.
func (e *engine) do(f func() error) error {
	var err error
	guarded := func() {
		if err = errFinished; !e.stop.Load() {
			err = f()
		}
	}
	if e.level < 2 {
		return cmp.Or(e.onOwner(guarded), err)
	}
	// The poller, which asks without end, lets others go first. A waiting mutex
	// would come second to it for a millisecond.
	const tries = 100
	e.waiting.Add(1)
	for i := 0; !e.mu.TryLock(); i++ {
		if i == tries { // a large message is being copied
			e.mu.Lock()
			break
		}
		runtime.Gosched()
	}
	e.waiting.Add(-1)
	guarded()
	e.mu.Unlock()
	return err
}

func (e *engine) onOwner(f func()) error {
	done := make(chan struct{})
	e.pending.Add(1)
	defer e.pending.Add(-1)
	e.wake()
	call := func() {
		f()
		close(done)
	}
	select {
	case e.calls <- call:
		<-done
		return nil
	case <-e.over:
		return errFinished
	}
}

func (e *engine) identify(l launch) error {
	err := e.do(func() (err error) {
		lib := e.lib
		for _, comm := range []handle{lib.commWorld, lib.commSelf} {
			err = cmp.Or(err, lib.returnErrors(comm))
		}
		if err == nil {
			e.rank, err = lib.rank(lib.commWorld)
		}
		if err == nil {
			e.size, err = lib.size(lib.commWorld)
		}
		e.tagMax = 32767 // what every MPI has
		if max, ok := lib.attribute(lib.commWorld, lib.tagUB); ok {
			e.tagMax = max
		}
		return err
	})
	if err == nil && l.size > 1 && e.size == 1 {
		err = &MismatchError{Launcher: l.by, Size: l.size, Library: e.lib.version, File: e.lib.file}
	}
	return err
}

// MismatchError says that a launcher started several processes, and that the library
// made each of them an MPI job of its own.
type MismatchError struct {
	Launcher      string
	Size          int    // processes that the launcher says it started
	Library, File string // the library's version, and its file
}

func (e *MismatchError) Error() string {
	version, _, _ := strings.Cut(e.Library, "\n")
	hint := "use the mpiexec of that library, or name the launcher's library with " + EnvLibrary
	if strings.HasPrefix(e.Launcher, "srun") {
		hint = "MPICH needs srun --mpi=pmi2 and Open MPI srun --mpi=pmix; or name another library with " + EnvLibrary
	}
	return fmt.Sprintf("mpi: %s started %d processes, but %s (%s) sees one: launcher and library do not belong together; %s",
		e.Launcher, e.Size, version, e.File, hint)
}

// touch notes that messages are about, which keeps the poller from pausing.
func (e *engine) touch() {
	e.touched.Store(int64(time.Since(e.began)))
	e.wake()
}

func (e *engine) wake() {
	if e.asleep.Load() {
		e.napper.wake()
	}
}

func (e *engine) poll() {
	defer close(e.ended)
	defer e.napper.close()
	spin := spinTime
	last := time.Since(e.began)
	for !e.stop.Load() {
		busy := false
		if e.level < 2 {
			busy = e.progress()
			select {
			case f := <-e.calls:
				f()
				busy = true
			default:
			}
		} else if e.waiting.Load() == 0 && e.mu.TryLock() {
			busy = e.progress()
			e.mu.Unlock()
		}
		now := time.Since(e.began)
		if busy {
			e.touched.Store(int64(now))
			spin = min(spin+spin/8, spinTime)
		}
		if now-last > preempted {
			spin = max(spin/4, spinLeast)
		}
		last = now
		touched := e.touched.Load()
		idle := now - time.Duration(touched)
		if idle < spin {
			runtime.Gosched() // to those whom messages have woken
			continue
		}
		e.asleep.Store(true)
		if e.touched.Load() == touched && e.pending.Load() == 0 && !e.stop.Load() {
			pause := min(max(idle/pauseShare, shortestPause), longestPause)
			if idle > restAfter {
				pause = restPause
			}
			e.napper.nap(pause)
		}
		e.asleep.Store(false)
		last = time.Since(e.began)
	}
}

// progress takes what has arrived, and says whether there was anything. It runs
// within do.
func (e *engine) progress() (busy bool) {
	e.sending = slices.DeleteFunc(e.sending, func(r *request) bool {
		done, err := e.lib.done(r)
		if done && r.pooled {
			e.recycle(r.memory)
		}
		if done && r.ended != nil {
			r.ended(err)
		}
		return done
	})
	for _, p := range *e.ports.Load() {
		for range probesAtOnce {
			a, ok, err := e.lib.probe(p.comm)
			if err != nil {
				p.fail(err)
			}
			if !ok || err != nil {
				break
			}
			p.take(a)
			busy = true
		}
	}
	return busy
}

// await returns when an operation has ended. When giveUp is closed before, the
// operation goes on behind its back, and keeps its memory.
func (e *engine) await(r *request, giveUp <-chan struct{}) error {
	start := time.Now()
	for {
		var done bool
		err := e.do(func() (err error) {
			done, err = e.lib.done(r)
			return err
		})
		if done || err != nil {
			e.touched.Store(int64(time.Since(e.began)))
			return err
		}
		select {
		case <-giveUp:
			e.abandon(r)
			return errGivenUp
		default:
		}
		pause(time.Since(start))
	}
}

// pause lets others run between two looks, after so long a wait.
func pause(wait time.Duration) {
	switch {
	case wait < spinTime:
		runtime.Gosched()
	case wait < 100*longestPause: // a large message is on its way
		sleepShort(min(wait/pauseShare, longestPause/10))
	default:
		time.Sleep(longestPause)
	}
}

var errGivenUp = errors.New("mpi: given up waiting")

// abandon leaves an operation to the poller.
func (e *engine) abandon(r *request) {
	_ = e.do(func() error {
		e.sending = append(e.sending, r)
		return nil
	})
}

// waitFor is await under a context.
func (e *engine) waitFor(ctx context.Context, r *request) error {
	err := e.await(r, ctx.Done())
	if errors.Is(err, errGivenUp) {
		return context.Cause(ctx)
	}
	return err
}

// finalize ends MPI. Calls that follow get errFinished.
func (e *engine) finalize() error {
	err := e.do(func() error {
		e.stop.Store(true)
		return nil
	})
	if err != nil {
		return err
	}
	e.wake()
	<-e.ended
	gone := e.onOwner(func() { err = e.lib.check("Finalize", e.lib.finalize.call()) })
	close(e.over)
	return cmp.Or(gone, err)
}

// bufferSize is the size of the buffers in which small chunks are collected.
const bufferSize = 64 << 10

// buffer and recycle run within do.
func (e *engine) buffer() []byte {
	if n := len(e.spare); n > 0 {
		b := e.spare[n-1]
		e.spare = e.spare[:n-1]
		return b[:0]
	}
	return make([]byte, 0, bufferSize)
}

func (e *engine) recycle(b []byte) {
	const most = 64
	if len(e.spare) < most {
		e.spare = append(e.spare, b)
	}
}

func (e *engine) add(p *port) {
	_ = e.do(func() error {
		grown := append(slices.Clone(*e.ports.Load()), p)
		e.ports.Store(&grown)
		return nil
	})
	e.touch()
}

func (e *engine) remove(p *port) {
	_ = e.do(func() error {
		rest := slices.DeleteFunc(slices.Clone(*e.ports.Load()), func(other *port) bool { return other == p })
		e.ports.Store(&rest)
		return nil
	})
}
