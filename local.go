package parade

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
)

func init() {
	Register("serial", Driver{Open: func(_ context.Context, arg string) (Executor, error) {
		if arg != "" {
			return nil, fmt.Errorf("parade: executor \"serial:%s\": serial takes no number of workers", arg)
		}
		return Serial(), nil
	}})
	Register("threads", Driver{Open: func(_ context.Context, arg string) (Executor, error) {
		n, err := WorkerCount("threads", arg, cores.Granted())
		if err != nil {
			return nil, err
		}
		return Threads(n), nil
	}})
}

// Serial returns the executor that runs tasks in order on the caller's
// goroutine, with nothing concurrent: for debugging, and to compare with.
func Serial() Executor {
	granted := cores.Granted()
	return &serial{jobs: newJobSet(), info: Info{Kind: "serial", Workers: 1, Cores: granted, Threads: granted, Host: host.Name()}}
}

type serial struct {
	info Info
	jobs *jobSet
}

func (s *serial) Run(_ context.Context, j *Job) error {
	if err := s.jobs.add(j); err != nil {
		return err
	}
	defer s.jobs.remove(j)
	j.Work("serial")
	return nil
}

func (s *serial) Info() Info { return s.info }

func (s *serial) String() string { return s.Info().String() }

func (s *serial) Close() error {
	s.jobs.close()
	return nil
}

// Threads returns the executor that runs tasks on n goroutines of this
// process, shared by all jobs. With n < 1 it takes as many as cores are
// granted. A task may start jobs on the executor that runs it, with its own
// context, by which they know that they may use their task's place.
func Threads(n int) Executor {
	if n < 1 {
		n = cores.Granted()
	}
	return &threads{
		n: n, slots: make(chan struct{}, n), jobs: newJobSet(),
		info: Info{Kind: "threads", Workers: n, Cores: cores.Granted(), Threads: cores.InnerThreads(n), Host: host.Name()},
	}
}

type threads struct {
	n     int
	info  Info
	slots chan struct{} // one per batch being run, over all jobs
	jobs  *jobSet
	left  sync.WaitGroup // goroutines that would not stop

	mu        sync.Mutex
	wanted    int // workers of all jobs, nested ones too
	announced int // of them, those that can have a slot
}

// announce tells numeric libraries, which share the cores with the workers, that
// n more of them are at work, or fewer.
func (t *threads) announce(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted += n
	now := min(t.wanted, t.n)
	cores.AddWorkers(now - t.announced)
	t.announced = now
}

// threadsKey finds the executor whose slot a task already holds.
type threadsKey struct{ *threads }

// strayGrace is how long a stopped job waits for tasks that do not watch
// their context before it leaves their goroutines behind.
const strayGrace = 2 * time.Second

func (t *threads) Run(ctx context.Context, j *Job) error {
	if err := t.jobs.add(j); err != nil {
		return err
	}
	defer t.jobs.remove(j)
	n := t.n
	if j.set.workers > 0 {
		n = min(n, j.set.workers)
	}
	if tasks, final := j.size(); final {
		n = min(n, tasks)
	}
	// A job started by a task of this executor uses the slot that its task
	// holds, so that nesting cannot exhaust the slots.
	nested := ctx.Value(threadsKey{t}) != nil
	j.run.ctx = context.WithValue(j.run.ctx, threadsKey{t}, true)
	j.run.shares = n > 1 && j.set.batch == 0
	t.announce(n)
	defer t.announce(-n)

	var running sync.WaitGroup
	var start func(worker int, holds bool)
	start = func(worker int, holds bool) {
		running.Add(1)
		go func() {
			defer running.Done()
			keeps := nested && worker == 0
			l := newLane(fmt.Sprintf("threads/%d", worker), new(Status), func() { start(worker, true) })
			t.work(j, l, n, holds || keeps, keeps)
		}()
	}
	for worker := range n {
		start(worker, false)
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	<-j.finished
	select {
	case <-done:
	case <-time.After(strayGrace):
		t.left.Go(func() { <-done })
	}
	return nil
}

// work runs batches, each in a slot. It may hold one from the start, and keep
// it for good. When the lane is replaced, its slot goes to the one that takes
// over.
func (t *threads) work(j *Job, l *lane, workers int, holds, keeps bool) {
	for {
		if holds && !keeps && !j.ready() {
			<-t.slots // others may have work
			holds = false
		}
		if !j.wait() {
			break
		}
		if !holds {
			select {
			case t.slots <- struct{}{}:
			case <-j.finished:
				return
			}
		}
		if b := j.take(workers, math.MaxInt); b != nil && !j.execute(l, b) {
			return
		}
		holds = keeps
		if !keeps {
			<-t.slots
		}
	}
	if holds && !keeps {
		<-t.slots
	}
}

func (t *threads) Info() Info { return t.info }

func (t *threads) String() string { return t.Info().String() }

// Close returns an error when tasks that ignore their context still run: a
// goroutine cannot be stopped from outside.
func (t *threads) Close() error {
	t.jobs.close()
	done := make(chan struct{})
	go func() {
		t.jobs.running.Wait()
		t.left.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(2 * strayGrace):
		return errors.New("threads: tasks that ignore their context are still running; the processes executor can stop such tasks")
	}
}

// jobSet is the jobs running on an executor, so that Close can stop them.
type jobSet struct {
	running sync.WaitGroup
	mu      sync.Mutex
	closed  bool
	jobs    map[*Job]struct{}
}

func newJobSet() *jobSet { return &jobSet{jobs: map[*Job]struct{}{}} }

func (s *jobSet) add(j *Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.jobs[j] = struct{}{}
	s.running.Add(1)
	return nil
}

func (s *jobSet) remove(j *Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, j)
	s.running.Done()
}

func (s *jobSet) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for j := range s.jobs {
		j.stop(ErrClosed)
	}
}
