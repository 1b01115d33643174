package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
)

const (
	defaultGrace = 2 * time.Second
	maxBackoff   = time.Minute
)

// task is one call of Run.
type task struct {
	spec    *Spec
	in      Input
	watch   *Watch
	seat    seat
	dir     string
	stdin   string
	inside  bool // commands stay in this worker's process group
	scratch string
	outputs []checkedOutput
	result  Result
}

func run(ctx context.Context, spec Spec, in Input) (Result, error) {
	if err := spec.validate(); err != nil {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	t := &task{spec: &spec, in: in, seat: seat{worker: -1}}
	t.watch, _ = ctx.Value(watchKey{}).(*Watch)
	if of, ok := parade.TaskOf(ctx); ok {
		t.seat.worker, t.inside = workerProcess(of.Worker)
		t.inside = t.inside && leadsGroup()
	}
	seats.take(&t.seat)
	defer seats.leave(&t.seat)
	if err := t.expand(); err != nil {
		return Result{}, err
	}
	if refused, err := t.refuse(); err != nil {
		return Result{}, err
	} else if refused {
		return t.result, t.result.Err()
	}
	if whole, err := t.isWhole(ctx); whole || err != nil {
		return t.result, err
	}
	for attempt := 1; ; attempt++ {
		if err := t.attempt(ctx, attempt); err != nil {
			return Result{}, err
		}
		if t.result.Exit == 0 || attempt > spec.Retries {
			return t.result, t.result.Err()
		}
		if again, err := t.pause(ctx, attempt); err != nil {
			t.discard()
			return Result{}, err
		} else if !again {
			return t.result, t.result.Err()
		}
		t.discard()
	}
}

// validate finds what would be wrong with every task.
func (s *Spec) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("command: %w: "+format, append([]any{ErrSpec}, args...)...)
	}
	switch {
	case len(s.Template.Words) == 0 && !s.Template.Shell:
		return bad("it has no command; set Template to what ParseTemplate gives")
	case s.Timeout < 0 || s.Grace < 0 || s.Backoff < 0:
		return bad("Timeout %v, Grace %v and Backoff %v must not be negative", s.Timeout, s.Grace, s.Backoff)
	case s.Retries < 0 || s.Threads < 0 || s.MaxMemory < 0 || s.Inline < 0:
		return bad("Retries %d, Threads %d, MaxMemory %d and Inline %d must not be negative", s.Retries, s.Threads, s.MaxMemory, s.Inline)
	case s.Nice < 0 || s.Nice > 19:
		return bad("Nice is %d; give 0 to 19", s.Nice)
	case s.Capture > Ungrouped:
		return bad("%v", s.Capture)
	}
	for _, setting := range s.Env {
		if name, _, ok := strings.Cut(setting, "="); !ok || name == "" || hasNUL(setting) {
			return bad("environment %q is not NAME=value", setting)
		}
	}
	if n := max(s.Template.Needs().Outputs, s.Check.Needs().Outputs); n > len(s.Outputs) {
		return bad("the command has {out%d}, and there are %d Outputs", n, len(s.Outputs))
	}
	if len(s.Outputs) > 0 && s.Template.Needs().Outputs == 0 {
		return bad("the command writes to no {out}, but there are Outputs; put {out} where it gets the name of its output file")
	}
	if s.hasCheck() && len(s.Outputs) == 0 {
		return bad("there is a Check, but no Outputs to check")
	}
	for _, t := range slices.Concat([]Template{s.Dir, s.Stdin}, s.Outputs, s.Inputs) {
		if needs := t.Needs(); needs.Outputs > 0 || needs.Scratch {
			return bad("%q: {out} and {scratch} are for the command and the Check only", t.String())
		}
	}
	return s.supported()
}

func (s *Spec) hasCheck() bool { return len(s.Check.Words) > 0 }

// expand fills in what is the same in all attempts.
func (t *task) expand() error {
	values := Values{Slot: t.seat.slot}
	text := func(of Template) (string, error) {
		if len(of.Words) == 0 {
			return "", nil
		}
		s, err := of.Text(t.in, values)
		if err == nil && (s == "" || hasNUL(s)) {
			err = fmt.Errorf("command: %w: %q gives the file name %q", ErrInput, of.String(), s)
		}
		return s, err
	}
	// The command would look for relative names in its own working directory.
	absolute := func(name string, err error) (string, error) {
		if err != nil || name == "" || t.dir == "" {
			return name, err
		}
		return filepath.Abs(name)
	}
	var err error
	if t.dir, err = text(t.spec.Dir); err != nil {
		return err
	}
	if t.stdin, err = text(t.spec.Stdin); err != nil {
		return err
	}
	for _, of := range t.spec.Outputs {
		name, err := absolute(text(of))
		if err != nil {
			return err
		}
		t.outputs = append(t.outputs, checkedOutput{name: filepath.Clean(name)})
	}
	t.result = Result{Seq: t.in.Seq, Args: t.in.Args, Host: host.Name(), Slot: t.seat.slot, Outputs: t.names()}
	values.Outputs = t.result.Outputs
	if t.needsScratch() {
		values.Scratch = "{scratch}" // there is none yet
	}
	if t.result.Argv, err = t.spec.Template.Expand(t.in, values); err != nil {
		return err
	}
	t.result.Command = Line(t.result.Argv)
	return nil
}

func (t *task) needsScratch() bool {
	return t.spec.Scratch || t.spec.Template.Needs().Scratch || t.spec.Check.Needs().Scratch
}

// attempt runs the command once and fills in the result. The error is for what is no
// outcome of the command.
func (t *task) attempt(ctx context.Context, n int) (err error) {
	r := &t.result
	before := Result{
		Seq: r.Seq, Args: r.Args, Argv: r.Argv, Command: r.Command, Host: r.Host, Slot: r.Slot,
		Attempts: n, Start: time.Now(),
	}
	*r = before
	defer func() {
		if err != nil {
			t.discard()
		}
	}()
	if t.watch != nil && t.watch.Started != nil {
		t.watch.Started(Started{Seq: r.Seq, Slot: r.Slot, Attempt: n, Command: r.Command, Time: r.Start})
	}
	defer t.leaveScratch()
	if err := t.prepare(); err != nil {
		t.fault(err)
		return nil
	}
	argv := r.Argv
	if len(t.outputs) > 0 || t.scratch != "" {
		if argv, err = t.spec.Template.Expand(t.in, t.values()); err != nil {
			return err
		}
	}
	stdin, err := openStdin(t.stdin)
	if err != nil {
		t.fault(err)
		return nil
	}
	if t.stdin != "" {
		defer stdin.Close()
	}
	c, err := t.openCapture()
	if err != nil {
		t.fault(err)
		return nil
	}
	defer c.close()
	ended, err := t.execute(ctx, argv, [3]*os.File{stdin, c.stdout, c.stderr}, n)
	r.Duration = time.Since(r.Start)
	if err != nil {
		return err
	}
	r.Exit, r.Signal, r.TimedOut, r.Fault = ended.exit, ended.signal, ended.timedOut, ended.fault
	r.CPU, r.PeakMemory = ended.cpu, ended.peak
	if r.Exit == 0 && len(t.outputs) > 0 {
		if err := t.accept(ctx, c.stderr, n); err != nil {
			return err
		}
	}
	t.removeTemporary()
	if err := c.collect(r); err != nil {
		t.fault(err)
	}
	return nil
}

// fault sets what is wrong other than by the command itself.
func (t *task) fault(err error) {
	r := &t.result
	if r.Exit == 0 {
		r.Exit = ExitFault
	}
	if r.Fault == "" {
		r.Fault = strings.TrimPrefix(err.Error(), "command: ")
	}
	t.removeTemporary()
}

// discard gives up what an attempt has left.
func (t *task) discard() {
	_ = t.result.Stdout.Remove()
	_ = t.result.Stderr.Remove()
	t.removeTemporary()
}

func (t *task) values() Values {
	v := Values{Slot: t.seat.slot, Scratch: t.scratch}
	for _, o := range t.outputs {
		v.Outputs = append(v.Outputs, o.temporary)
	}
	return v
}

// prepare makes what the command finds when it starts.
func (t *task) prepare() error {
	if err := t.makeScratch(); err != nil {
		return err
	}
	if t.dir != "" {
		if err := os.MkdirAll(t.dir, 0o777); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	}
	for i := range t.outputs {
		if err := t.outputs[i].prepare(); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) makeScratch() error {
	if !t.needsScratch() {
		return nil
	}
	name, err := os.MkdirTemp("", "parade-scratch-")
	if err == nil {
		t.scratch, err = filepath.Abs(name)
	}
	if err != nil {
		return fmt.Errorf("scratch folder: %w", err)
	}
	return nil
}

func (t *task) leaveScratch() {
	if t.scratch == "" {
		return
	}
	if os.RemoveAll(t.scratch) != nil {
		// Folders without write permission, as module caches have them.
		_ = filepath.WalkDir(t.scratch, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
		_ = os.RemoveAll(t.scratch)
	}
	t.scratch = ""
}

// controlEvery is how often Spec.Control is looked at in a pause.
const controlEvery = 100 * time.Millisecond

// control says what the file of Spec.Control does.
func (s *Spec) control() (noMore, noGrace bool) {
	if s.Control == "" {
		return false, false
	}
	info, err := os.Stat(s.Control)
	return err == nil, err == nil && info.Size() > 0
}

// pause waits before a retry, after the given number of attempts. It tells whether there
// is to be one.
func (t *task) pause(ctx context.Context, attempts int) (again bool, err error) {
	for end := time.Now().Add(backoff(t.spec.Backoff, attempts)); ; {
		if noMore, _ := t.spec.control(); noMore {
			return false, nil
		}
		wait := time.Until(end)
		if wait <= 0 && ctx.Err() == nil {
			return true, nil
		}
		if t.spec.Control != "" {
			wait = min(wait, controlEvery)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// backoff is the pause after so many attempts.
func backoff(first time.Duration, attempts int) time.Duration {
	wait := first
	for range attempts - 1 {
		if wait *= 2; wait >= maxBackoff {
			break
		}
	}
	return max(first, min(wait, maxBackoff))
}

// ended is what became of a process.
type ended struct {
	exit, signal int
	timedOut     bool
	fault        string
	cpu          time.Duration
	peak         int64
}

// execute runs a program to its end. An error means that ctx ended.
func (t *task) execute(ctx context.Context, argv []string, files [3]*os.File, attempt int) (ended, error) {
	s := start{argv: argv, dir: t.dir, files: files, inside: t.inside, nice: t.spec.Nice, maxMemory: t.spec.MaxMemory}
	env := t.environment(&s, attempt)
	path, failed := lookup(argv[0], env.path, t.dir)
	if failed != nil {
		return *failed, nil
	}
	s.path = path
	release := holdThread()
	defer release()
	p, failed := s.begin()
	if failed != nil {
		return *failed, nil
	}
	grace := t.spec.Grace
	if grace == 0 {
		grace = defaultGrace
	}
	hurry := func() bool { _, noGrace := t.spec.control(); return noGrace }
	var timedOut, cancelled atomic.Bool
	var ending sync.WaitGroup
	ending.Add(1)
	stopWatching := context.AfterFunc(ctx, func() {
		defer ending.Done()
		cancelled.Store(p.end(grace, hurry))
	})
	var timer *time.Timer
	if t.spec.Timeout > 0 {
		ending.Add(1)
		timer = time.AfterFunc(t.spec.Timeout, func() {
			defer ending.Done()
			timedOut.Store(p.end(grace, hurry))
		})
	}
	e := p.wait()
	if stopWatching() {
		ending.Done()
	}
	if timer != nil && timer.Stop() {
		ending.Done()
	}
	ending.Wait()
	switch {
	case timedOut.Load():
		e.exit, e.timedOut, e.fault = ExitTimeout, true, ""
	case cancelled.Load():
		return e, fmt.Errorf("command: %s: %w", shorten(t.result.Command), context.Cause(ctx))
	}
	return e, nil
}

// environment is what all commands of a Spec share.
type environment struct {
	process, own []string // made of
	threads      int      // asked for; 0 is the share of each of
	workers      int
	base         []string // without what differs between tasks
	path         string
}

// lastEnvironment is most often the right one: making it anew for each task would
// cost more than all else here but the start itself.
var lastEnvironment atomic.Pointer[environment]

// taskVariables differ between tasks. PWD is among them where there is a Dir.
var taskVariables = []string{"PARADE_SEQ", "PARADE_SLOT", "PARADE_ATTEMPT", "PARADE_TASK", "PARADE_SCRATCH"}

// attempts numbers the attempts of this process.
var attempts atomic.Uint64

// environment sets the environment of what is started.
func (t *task) environment(s *start, attempt int) *environment {
	workers := cores.Workers()
	process := os.Environ()
	env := lastEnvironment.Load()
	if env == nil || env.threads != t.spec.Threads || env.workers != workers || !slices.Equal(env.process, process) || !slices.Equal(env.own, t.spec.Env) {
		env = newEnvironment(process, slices.Clone(t.spec.Env), t.spec.Threads, workers)
		lastEnvironment.Store(env)
	}
	s.token = "PARADE_TASK=" + runToken() + "." + strconv.FormatUint(attempts.Add(1), 10)
	s.env = append(make([]string, 0, len(env.base)+8), env.base...)
	s.env = append(s.env, s.token, "PARADE_SEQ="+strconv.Itoa(t.in.Seq), "PARADE_SLOT="+strconv.Itoa(t.seat.slot),
		"PARADE_ATTEMPT="+strconv.Itoa(attempt))
	if t.scratch != "" {
		s.env = without(s.env, "TMPDIR")
		s.env = append(s.env, "PARADE_SCRATCH="+t.scratch, "TMPDIR="+t.scratch)
	}
	if t.dir != "" {
		if dir, err := filepath.Abs(t.dir); err == nil {
			s.env = append(without(s.env, "PWD"), "PWD="+dir)
		}
	}
	return env
}

func newEnvironment(process, own []string, threads, workers int) *environment {
	env := &environment{process: process, own: own, threads: threads, workers: workers}
	if threads == 0 {
		threads = cores.InnerThreads(workers)
	}
	at := map[string]int{}
	for _, list := range [][]string{process, cores.ThreadEnv(threads), own} {
		for _, setting := range list {
			name, value, _ := strings.Cut(setting, "=")
			if name == "PATH" {
				env.path = value
			}
			if slices.Contains(taskVariables, name) {
				continue
			}
			if i, ok := at[name]; ok {
				env.base[i] = setting
				continue
			}
			at[name] = len(env.base)
			env.base = append(env.base, setting)
		}
	}
	return env
}

func without(env []string, name string) []string {
	return slices.DeleteFunc(env, func(setting string) bool {
		return strings.HasPrefix(setting, name) && strings.HasPrefix(setting[len(name):], "=")
	})
}

// runToken is this process, in names that no other may have at the same time.
var runToken = sync.OnceValue(func() string {
	return strconv.FormatInt(int64(os.Getpid()), 36) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
})

// seat is where a command runs, beside the others of this process.
type seat struct {
	slot   int // from 1
	worker int // the number of this worker process, from 0; -1 elsewhere
	taken  int // index in seatList
}

// seatList gives each running command the smallest number that is free.
type seatList struct {
	mu    sync.Mutex
	idle  sync.Cond
	taken []bool
	n     int
}

var seats = newSeatList()

func newSeatList() *seatList {
	l := &seatList{}
	l.idle.L = &l.mu
	return l
}

func (l *seatList) take(p *seat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.taken = slices.Index(l.taken, false)
	if p.taken < 0 {
		p.taken = len(l.taken)
		l.taken = append(l.taken, false)
	}
	l.taken[p.taken] = true
	l.n++
	if p.slot = p.taken + 1; p.worker >= 0 {
		p.slot = p.worker + 1
	}
}

func (l *seatList) leave(p *seat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[p.taken] = false
	if l.n--; l.n == 0 {
		l.idle.Broadcast()
	}
}

// Wait returns when no command that this process has started with Run is running any
// more. After a call that was cancelled that takes little longer than the Grace.
func Wait() {
	seats.mu.Lock()
	defer seats.mu.Unlock()
	for seats.n > 0 {
		seats.idle.Wait()
	}
}

// workerProcess reads the name of a worker, such as "processes/3 (pid 17)" or
// "threads/3": its number if it is a process of its own, else -1.
func workerProcess(name string) (number int, ok bool) {
	kind, rest, found := strings.Cut(name, "/")
	if !found || kind == "threads" {
		return -1, false
	}
	digits, _, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(digits)
	if err != nil || number < 0 {
		return -1, false
	}
	return number, true
}

var nullDevice = sync.OnceValues(func() (*os.File, error) { return os.OpenFile(os.DevNull, os.O_RDWR, 0) })

// openStdin opens the file that a command reads; "" is empty input, which all share.
func openStdin(name string) (*os.File, error) {
	if name == "" {
		return nullDevice()
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return f, nil
}
