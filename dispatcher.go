package parade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade/internal/shm"
	"github.com/parade-go/parade/internal/wire"
)

// Dispatcher feeds jobs to workers in other processes. An executor made of
// such workers starts them, hands each one's [Link] to Add, and forwards Run.
// The dispatcher keeps several batches on their way to each worker, notices
// workers that die or freeze, and queues what they held again.
type Dispatcher struct {
	cfg  DispatcherConfig
	stop chan struct{} // ends the heartbeat
	done sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	failure error // why there will be no more workers
	lastJob uint32

	// Replaced whole under mu, so that they are read without it.
	workers atomic.Pointer[[]*remote]
	jobs    atomic.Pointer[[]*dispatch]
}

// DispatcherConfig says how a [Dispatcher] treats its workers.
type DispatcherConfig struct {
	// Workers is how many there usually are; batch sizes go by it.
	Workers int
	// Heartbeat is how often a silent worker is asked whether it is there;
	// default 1 s.
	Heartbeat time.Duration
	// Missed is after how many silent heartbeats a worker counts as frozen;
	// default 5.
	Missed int
	// Grace is how long a task may go on after its job has ended before its
	// worker is replaced; default 2 s.
	Grace time.Duration
	// MaxTasks retires a worker after that many tasks; 0 never does.
	MaxTasks int
	// Build is the build that the workers must be; 0 is this program's, by
	// [BuildID].
	Build uint64
	// Initializer, if not nil, runs in each worker before anything else, with
	// the worker's number as input.
	Initializer *Function[int, struct{}]
	// Share, if not nil, sends a large bound argument to all workers at once,
	// before any of them learns of its job, in place of memory that they share
	// with this process. They find it under the tag by their Segment. The chunks do
	// not change before release is called. With ok false the argument goes
	// through the links instead.
	Share func(chunks [][]byte) (tag uint64, release func(), ok bool)
	// Gone is called when a worker has ended, after its tasks were queued
	// again: retired as planned (err nil) or lost, and whether it had ever
	// been ready for tasks. The executor starts another or calls Fail.
	Gone func(l Link, ready bool, err error)
}

// Link is a connection to one worker, ordered and reliable.
type Link interface {
	// Name is how errors and logs call the worker, with its host if that is
	// another one.
	Name() string
	// Number is the worker's place among its executor's workers, from 0.
	Number() int
	// Read reads what the worker sends; it fails once the worker is gone.
	io.Reader
	// Write sends the chunks one after another, all of them or an error.
	Write(chunks [][]byte) error
	// End ends the worker, with cause nil when it has nothing left to do, and
	// returns when it is gone: with the worker's Status if that outlived it,
	// and an error that tells how it died.
	End(cause error) (*Status, error)
}

// sharedLink is a link of an executor that shares bound arguments.
type sharedLink interface {
	Shared() bool // whether what Share has sent still arrives
}

// segmentLink is a link whose worker shares memory with this process.
type segmentLink interface {
	SendSegment(s *shm.Segment, tag uint64) error
}

// drainLink is a link that relays a worker's output.
type drainLink interface {
	// Drain returns when all output written so far has been relayed.
	Drain()
}

// bulkLink is a link that sends large chunks side by side, from where they lie, and
// so is the better for several batches in one Write.
type bulkLink interface {
	FlushSize() int // bytes of batches that should go into one Write
}

var (
	errStubborn = errors.New("its task went on after the job had ended")
	errStuck    = errors.New("a task that would not return left it unusable")
)

// NewDispatcher returns a dispatcher without workers yet.
func NewDispatcher(cfg DispatcherConfig) *Dispatcher {
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = time.Second
	}
	if cfg.Missed <= 0 {
		cfg.Missed = 5
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 2 * time.Second
	}
	if cfg.Build == 0 {
		cfg.Build = BuildID()
	}
	d := &Dispatcher{cfg: cfg, stop: make(chan struct{})}
	d.workers.Store(new([]*remote))
	d.jobs.Store(new([]*dispatch))
	d.done.Go(d.heartbeat)
	return d
}

// dispatch is a job on its way to workers.
type dispatch struct {
	id        uint32
	job       *Job
	head      wire.Buffer // the job frame's payload, up to the bound argument
	mode      uint8       // how the bound argument travels
	dismissed bool        // guarded by the dispatcher's lock

	mu      sync.Mutex
	bound   wire.Buffer
	segment *shm.Segment
	shared  *sharing
	users   []*remote       // that know the job
	using   map[*remote]int // batches at each worker, kept when their number is limited
}

// sharing is a bound argument that Share has sent.
type sharing struct {
	tag     uint64
	size    int
	release func()
}

// Run implements [Executor] for the executor that owns the dispatcher.
func (d *Dispatcher) Run(_ context.Context, j *Job) error {
	run, err := d.newDispatch(j)
	if err != nil {
		return err
	}
	if err := d.admit(run); err != nil {
		return err
	}
	d.offer(run)
	<-j.finished
	d.dismiss(run)
	return nil
}

// Start implements [Starter] for the executor that owns the dispatcher.
func (d *Dispatcher) Start(j *Job) error {
	run, err := d.newDispatch(j)
	if err != nil {
		return err
	}
	j.mu.Lock()
	if j.ended {
		j.unlock()
		run.release()
		return nil
	}
	then := j.finally
	j.finally = func() {
		d.dismiss(run)
		then()
	}
	j.mu.Unlock()
	if err := d.admit(run); err != nil {
		return err
	}
	d.offer(run)
	return nil
}

// offer sends the first batches on the caller's goroutine.
func (d *Dispatcher) offer(run *dispatch) {
	for _, r := range *d.workers.Load() {
		if !run.job.ready() {
			return
		}
		r.offer()
	}
}

// newDispatch refuses jobs that other processes cannot run, and encodes what
// they must know of one.
func (d *Dispatcher) newDispatch(j *Job) (*dispatch, error) {
	if err := j.leave(); err != nil {
		return nil, err
	}
	if j.keeps {
		return nil, errKeeps
	}
	run := &dispatch{job: j, using: map[*remote]int{}}
	appendRun(&run.head, &j.run)
	if !j.binds() {
		return run, nil
	}
	if err := j.appendBound(&run.bound); err != nil {
		return nil, err
	}
	run.mode = boundInline
	size := run.bound.Len()
	switch {
	case size < segmentFrom:
	case d.cfg.Share != nil:
		if tasks, final := j.size(); final && tasks == 1 || j.set.workers == 1 {
			break // one worker needs it
		}
		if tag, release, ok := d.cfg.Share(run.bound.Chunks()); ok {
			run.shared, run.mode = &sharing{tag: tag, size: size, release: release}, boundSegment
			j.sent(int64(size)) // once, whatever becomes of it on the way
		}
	default:
		// Without shared memory, on another system or when it is short, the
		// argument goes through the link instead.
		if s, err := shm.Create("parade-bound", size); err == nil {
			run.bound.AppendTo(s.Bytes()[:0]) // fills it in place
			if err := s.Seal(); err == nil {
				run.segment, run.mode = s, boundSegment
				j.sent(int64(size)) // once, however many workers map it
			} else {
				_ = s.Close()
			}
		}
	}
	return run, nil
}

// leave readies a job for other processes, or says why they cannot run it.
func (j *Job) leave() error {
	switch {
	case j.relay != nil:
		return nil
	case j.unsent != nil:
		return j.unsent
	case j.declared.late:
		return fmt.Errorf("%w: %q was declared after the first parade.Open, so worker processes do not have it; declare it in a package-level variable", ErrNotDeclared, j.run.name)
	}
	j.remote = true
	j.run.shares = j.set.batch == 0
	return nil
}

// admit lets workers see a job.
func (d *Dispatcher) admit(run *dispatch) error {
	refusal := d.enter(run)
	if refusal != nil {
		run.release()
	}
	return refusal
}

func (d *Dispatcher) enter(run *dispatch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return ErrClosed
	case d.failure != nil:
		return d.failure
	case run.dismissed:
		return nil
	}
	d.lastJob++
	run.id = d.lastJob
	run.job.mu.Lock()
	run.job.onWork = d.kick
	run.job.onInterrupt = func() { d.interrupt(run) }
	run.job.mu.Unlock()
	add(&d.jobs, run)
	return nil
}

// dismiss lets workers forget a job that has ended.
func (d *Dispatcher) dismiss(run *dispatch) {
	d.mu.Lock()
	remove(&d.jobs, run)
	run.dismissed = true
	d.mu.Unlock()
	for _, r := range *d.workers.Load() {
		r.awaitEncoding()
	}
	run.mu.Lock()
	users := run.users
	run.mu.Unlock()
	for _, r := range users {
		r.forget(run)
		if l, ok := r.link.(drainLink); ok {
			l.Drain()
		}
	}
	run.release()
}

func add[T any](list *atomic.Pointer[[]T], item T) {
	grown := append(slices.Clone(*list.Load()), item)
	list.Store(&grown)
}

func remove[T comparable](list *atomic.Pointer[[]T], item T) {
	rest := slices.DeleteFunc(slices.Clone(*list.Load()), func(other T) bool { return other == item })
	list.Store(&rest)
}

func (run *dispatch) release() {
	run.mu.Lock()
	segment, shared := run.segment, run.shared
	run.segment, run.shared = nil, nil
	run.mu.Unlock()
	if segment != nil {
		_ = segment.Close()
	}
	if shared != nil {
		shared.release() // may wait, also for a worker to be found frozen
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.bound.Reset()
}

// kick wakes every worker's writer. Jobs call it while they are locked.
func (d *Dispatcher) kick() {
	for _, r := range *d.workers.Load() {
		r.wake()
	}
}

// hasWork says whether a job has something to hand out.
func (d *Dispatcher) hasWork() bool {
	for _, run := range *d.jobs.Load() {
		if run.job.ready() {
			return true
		}
	}
	return false
}

// Add starts to feed a worker. It returns at once; when the worker turns out
// to be unusable, Gone is called.
func (d *Dispatcher) Add(l Link) {
	r := newRemote(d, l)
	d.mu.Lock()
	closed := d.closed
	if !closed {
		add(&d.workers, r)
	}
	d.mu.Unlock()
	if closed {
		_, _ = l.End(nil)
		return
	}
	d.done.Go(r.write)
	d.done.Go(r.read)
}

// Fail stops all jobs, and refuses later ones, for want of workers.
func (d *Dispatcher) Fail(err error) {
	d.mu.Lock()
	if d.failure == nil {
		d.failure = err
	}
	err = d.failure
	d.mu.Unlock()
	d.stopJobs(err)
}

// stopJobs is called unlocked: jobs that end are dismissed.
func (d *Dispatcher) stopJobs(err error) {
	for _, run := range *d.jobs.Load() {
		run.job.stop(err)
	}
}

// Close stops all jobs with [ErrClosed], ends the workers and returns when
// they are gone.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		d.done.Wait()
		return
	}
	d.closed = true
	d.mu.Unlock()
	d.stopJobs(ErrClosed)
	close(d.stop)
	var ends sync.WaitGroup
	for _, r := range *d.workers.Load() {
		ends.Go(func() { r.end(nil) })
	}
	ends.Wait()
	d.done.Wait()
}

// heartbeat asks silent workers whether they are there. It counts its own
// ticks, not time, so that a machine that slept does not lose its workers.
func (d *Dispatcher) heartbeat() {
	tick := time.NewTicker(d.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
		}
		for _, r := range *d.workers.Load() {
			// Silence is the worker's only while this side listens, and once
			// the worker talks at all; starting up is the executor's affair.
			if r.heard.Swap(false) || !r.waiting.Load() || !r.greeted.Load() {
				r.silent = 0
				continue
			}
			if r.silent++; r.silent > d.cfg.Missed {
				silence := time.Duration(d.cfg.Missed) * d.cfg.Heartbeat
				d.done.Go(func() { r.end(fmt.Errorf("%w for %v", ErrFrozen, silence)) })
				continue
			}
			r.post(func(b *wire.Buffer) { b.EndFrame(b.BeginFrame(wire.Header{Kind: framePing})) })
		}
	}
}
