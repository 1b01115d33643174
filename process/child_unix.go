//go:build unix

package process

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/shm"
)

const (
	// exitGrace is how long a child may take to end by itself, and termGrace
	// how long after SIGTERM.
	exitGrace = time.Second
	termGrace = 200 * time.Millisecond
	// memoryCheck is how often a child's memory is compared with its limit.
	memoryCheck = 50 * time.Millisecond
)

// child is a worker process, as the dispatcher's link to it.
type child struct {
	number int
	name   string
	cmd    *exec.Cmd
	limit  int64
	frames *net.UnixConn
	shares *net.UnixConn
	status *shm.Segment
	caught *os.File // what a task prints to standard error, if that is captured
	stdout *relay
	stderr *relay
	kills  uint64 // of the out-of-memory killer, before the child started

	hello    atomic.Bool
	deadline *time.Timer
	exited   chan struct{} // closed when the process has been reaped
	mu       sync.Mutex
	reason   error // why we killed it
}

func (e *Executor) startChild(number int, name string) (*child, error) {
	c := &child{
		number: number, name: name, limit: e.cfg.MemoryLimit,
		exited: make(chan struct{}),
	}
	c.kills, _ = cores.OOMKills()
	var files opened
	defer files.close()
	frames, frameEnd, err := files.pair("frames")
	if err != nil {
		return nil, err
	}
	shares, shareEnd, err := files.pair("segments")
	if err != nil {
		return nil, err
	}
	if c.status, err = shm.Create("parade-status", os.Getpagesize()); err != nil {
		return nil, err
	}
	outRead, outWrite, err := files.pipe()
	if err != nil {
		return nil, errors.Join(err, c.status.Close())
	}
	errRead, errWrite, err := files.pipe()
	if err != nil {
		return nil, errors.Join(err, c.status.Close())
	}
	outFile, err := files.capture("parade-stdout")
	if err != nil {
		return nil, errors.Join(err, c.status.Close())
	}
	errFile, err := files.capture("parade-stderr")
	if err != nil {
		return nil, errors.Join(err, c.status.Close())
	}

	program, args := e.cfg.Program, e.cfg.Args
	if program == "" {
		if program, err = executable(); err != nil {
			return nil, errors.Join(err, c.status.Close())
		}
		args = os.Args
	}
	c.cmd = &exec.Cmd{
		Path: program, Args: args, Dir: e.cfg.Dir, Stdout: outWrite, Stderr: errWrite,
		Env:         append(os.Environ(), e.environment(c.name)...),
		ExtraFiles:  []*os.File{frameEnd, shareEnd, c.status.File(), outFile, errFile},
		SysProcAttr: childAttributes(),
	}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, c.status.Close())
	}
	files.keep(outRead, errRead, errFile)
	c.frames, c.shares, c.caught = frames, shares, errFile
	files.conns = nil
	c.stdout = newRelay(outRead, e.cfg.Stdout, &e.output, c.name)
	c.stderr = newRelay(errRead, e.cfg.Stderr, &e.output, c.name)
	c.deadline = time.AfterFunc(e.cfg.StartTimeout, func() {
		if !c.hello.Load() {
			c.kill(fmt.Errorf("it did not reach parade.Open or parade.Serve within %v; call one of them early in main", e.cfg.StartTimeout))
		}
	})
	go c.wait()
	go c.watchStart(e.cfg.Heartbeat, e.cfg.Missed)
	return c, nil
}

func (e *Executor) environment(name string) []string {
	env := append(cores.ThreadEnv(e.cfg.Threads), e.cfg.Env...)
	env = append(env, workerVariable+"="+name)
	if e.cfg.MemoryLimit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		// The garbage collector works harder before the limit strikes.
		env = append(env, fmt.Sprintf("GOMEMLIMIT=%d", e.cfg.MemoryLimit/10*9))
	}
	return env
}

// wait reaps the process and, until then, watches its memory.
func (c *child) wait() {
	stop := make(chan struct{})
	if c.limit > 0 {
		go c.watchMemory(stop)
	}
	_ = c.cmd.Wait() // ProcessState tells it all
	close(stop)
	close(c.exited)
}

// watchStart ends a child that has been stopped by a signal before it serves,
// when there is nobody in it to ask yet.
func (c *child) watchStart(heartbeat time.Duration, missed int) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for stops := 0; !c.hello.Load(); {
		select {
		case <-c.exited:
			return
		case <-tick.C:
		}
		if !stopped(c.cmd.Process.Pid) {
			stops = 0
		} else if stops++; stops > missed {
			c.kill(fmt.Errorf("%w: it is stopped by a signal", parade.ErrFrozen))
			return
		}
	}
}

func (c *child) watchMemory(stop <-chan struct{}) {
	tick := time.NewTicker(memoryCheck)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if rss, ok := residentMemory(c.cmd.Process.Pid); ok && rss > c.limit {
			c.kill(fmt.Errorf("its memory of %d MiB exceeded the limit of %d MiB", rss>>20, c.limit>>20))
			return
		}
	}
}

// kill ends the process group at once.
func (c *child) kill(reason error) {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = reason
	}
	c.mu.Unlock()
	c.signal(syscall.SIGKILL)
}

func (c *child) signal(s syscall.Signal) { _ = syscall.Kill(-c.cmd.Process.Pid, s) }

func (c *child) Name() string { return fmt.Sprintf("%s (pid %d)", c.name, c.cmd.Process.Pid) }
func (c *child) Number() int  { return c.number }

func (c *child) Read(p []byte) (int, error) {
	n, err := c.frames.Read(p)
	if n > 0 && !c.hello.Load() {
		c.hello.Store(true)
		c.deadline.Stop()
		c.stdout.begin()
		c.stderr.begin()
	}
	return n, err
}

func (c *child) Write(chunks [][]byte) error { return writeChunks(c.frames, chunks) }

// SendSegment passes shared memory to the child.
func (c *child) SendSegment(s *shm.Segment, tag uint64) error {
	return shm.SendFile(c.shares, s.File(), tag)
}

// Drain relays what the child has printed so far.
func (c *child) Drain() {
	c.stdout.drain()
	c.stderr.drain()
}

// End implements [parade.Link]. The child gets time to end by itself, then
// SIGTERM, then SIGKILL, and so does everything in its process group.
func (c *child) End(cause error) (*parade.Status, error) {
	c.deadline.Stop()
	_ = c.frames.Close()
	_ = c.shares.Close()
	grace := exitGrace
	if cause != nil && !closedByPeer(cause) {
		grace = 0 // it does not listen any more
	}
	if errors.Is(cause, parade.ErrFrozen) {
		c.kill(cause) // the only signal that it would notice
	}
	if !c.waitFor(grace) {
		c.signal(syscall.SIGTERM)
		if !c.waitFor(termGrace) {
			c.signal(syscall.SIGKILL)
			<-c.exited
		}
	}
	c.signal(syscall.SIGKILL) // what its tasks have left running
	c.stop(c.stdout)
	c.stop(c.stderr)
	status := parade.StatusAt(append([]byte(nil), c.status.Bytes()...))
	_ = c.status.Close()
	defer c.caught.Close()
	if cause == nil {
		return status, nil
	}
	return status, c.exitError(cause)
}

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (c *child) waitFor(d time.Duration) bool {
	select {
	case <-c.exited:
		return true
	case <-time.After(d):
		return false
	}
}

// stop ends a relay. A process that left the group may still hold the pipe.
func (c *child) stop(r *relay) {
	select {
	case <-r.done:
	case <-time.After(termGrace):
		_ = r.pipe.SetReadDeadline(time.Unix(1, 0))
		<-r.done
	}
	_ = r.pipe.Close()
}

// served says whether the child ever got to serving.
func (c *child) served() bool { return c.hello.Load() }

// killed says whether somebody else's signal ended the process.
func (c *child) killed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && (c.reason == nil || errors.Is(c.reason, parade.ErrFrozen))
}

// ExitError tells how a worker process ended.
type ExitError struct {
	Worker  string
	PID     int
	State   string // "exit status 1", "signal: killed"
	Reason  error  // why it was ended from here, or nil
	PeakRSS int64  // bytes
	OOM     bool   // the kernel killed a process of this container for want of memory meanwhile
	Stderr  []string
}

func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (pid %d) ", e.Worker, e.PID)
	if e.Reason != nil {
		fmt.Fprintf(&b, "was ended: %v", e.Reason)
	} else {
		fmt.Fprintf(&b, "died: %s", e.State)
	}
	if e.OOM {
		b.WriteString(", probably for want of memory")
	}
	if e.PeakRSS > 0 {
		fmt.Fprintf(&b, ", peak memory %d MiB", e.PeakRSS>>20)
	}
	if len(e.Stderr) > 0 {
		fmt.Fprintf(&b, "; its last words:\n\t%s", strings.Join(e.Stderr, "\n\t"))
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *ExitError) Unwrap() error { return e.Reason }

func (c *child) exitError(cause error) error {
	c.mu.Lock()
	reason := c.reason
	c.mu.Unlock()
	state := c.cmd.ProcessState
	e := &ExitError{Worker: c.name, PID: c.cmd.Process.Pid, State: state.String(), Reason: reason, PeakRSS: peakMemory(state)}
	if reason == nil && !closedByPeer(cause) {
		e.Reason = cause
	}
	if reason == nil && !c.served() && state.Exited() {
		e.Reason = errors.New("it ended before it reached parade.Open or parade.Serve (" + state.String() + "): call one of them on every path through main")
	}
	kills, ok := cores.OOMKills()
	e.OOM = ok && kills > c.kills && strings.Contains(e.State, "killed")
	e.Stderr = append(c.stderr.lastLines(), lastLines(c.caught)...)
	e.Stderr = e.Stderr[max(0, len(e.Stderr)-keptLines):]
	return e
}

// peakMemory is in bytes.
func peakMemory(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss * rssUnit
	}
	return 0
}

// opened is what has been opened for a child so far, to be closed if it does
// not come to life.
type opened struct {
	files []*os.File
	conns []*net.UnixConn
}

func (o *opened) pair(name string) (ours *net.UnixConn, theirs *os.File, err error) {
	a, b, err := socketPair(name)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	o.files = append(o.files, b)
	if ours, err = socket(a); err != nil {
		return nil, nil, err
	}
	o.conns = append(o.conns, ours)
	return ours, b, nil
}

func (o *opened) pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err == nil {
		o.files = append(o.files, r, w)
	}
	return r, w, err
}

func (o *opened) capture(name string) (*os.File, error) {
	f, err := captureFile(name)
	if err != nil {
		return nil, fmt.Errorf("file for what tasks print: %w", err)
	}
	o.files = append(o.files, f)
	return f, nil
}

func (o *opened) keep(files ...*os.File) {
	for _, f := range files {
		for i, other := range o.files {
			if other == f {
				o.files = append(o.files[:i], o.files[i+1:]...)
				break
			}
		}
	}
}

func (o *opened) close() {
	for _, f := range o.files {
		_ = f.Close()
	}
	for _, c := range o.conns {
		_ = c.Close()
	}
}
