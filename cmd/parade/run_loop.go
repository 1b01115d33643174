package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/command"
)

// loop is one run: it starts tasks, takes their results, and knows when to end.
type loop struct {
	o       *runOptions
	spec    command.Spec
	journal *command.Journal // nil without a --joblog
	out     *printer
	begun   time.Time
	slots   chan struct{} // taken by a task from before its start until its result is dealt with
	gate    gate

	stop func(why error) // start no more
	kill func(why error) // and end those that run

	stopping <-chan struct{}

	held func(context.Context) (int, error) // tasks that engines of a cluster have; nil elsewhere

	mu         sync.Mutex
	running    map[int]*runningTask // by Seq
	order      map[int]int          // Seq by index, of those that run
	read       int                  // inputs
	ended      bool                 // there are no more inputs
	left       int                  // inputs that an earlier run has done, or failed at
	leftFailed int
	before     int // tasks that an earlier run has done, and whose outputs are whole
	whole      int // tasks whose outputs are whole
	done       int
	failed     int
	holding    string // why no task is started now
	why        error  // of the end before the last input
	killed     bool
	idle       bool // it was ended while nothing of it ran

	total     atomic.Int64 // inputs, 0 unless they could be counted
	recount   func() (*command.Source, error)
	failures  []failure
	unprinted bool // some output is lost

	retry    string    // how to run again what failed in a job
	attached bool      // it takes the results of a job that goes on without it
	until    time.Time // of a job: the end of the last task, as far as is known
}

// runningTask is a task that was started.
type runningTask struct {
	input command.Input
	since time.Time
	tag   string
	midst [2]bool // of a line, in each of its outputs
}

// mostFailures is how many failures a summary describes.
const mostFailures = 10

// failure is a task that failed, as the summary shows it.
type failure struct {
	seq     int
	outcome string
	tail    []string
	again   string
}

// runAll runs the command for every input.
func (o *runOptions) runAll(ctx context.Context, p runPlan) (err error) {
	total := 0
	if o.haltWhen.NeedsTotal() {
		if p.inputs, total, err = hold(ctx, p.inputs); err != nil {
			return err
		}
		if p.journal != nil {
			left, _ := p.journal.Left()
			total += left
		}
	}
	if p.spec.Spill, err = o.spill(); err != nil {
		return err
	}
	if p.spec.Spill != "" {
		defer os.RemoveAll(p.spec.Spill) // what is left is in a folder for such things
		p.spec.Control = filepath.Join(p.spec.Spill, "control")
	}
	if kind, _, _ := strings.Cut(o.on, ":"); kind == clusterKind || kind == "mpi" {
		p.spec.Spill = "" // each host has its own folder for temporary files
	}
	// A command is waited for in a system call. With a processor left over the Go
	// scheduler does not hurry to take one away from such a call: a start then costs
	// about 2 % less.
	cores := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(cores, min(2*o.jobs.n, 4*cores)))
	ex, err := openExecutor(ctx, o.on)
	if err != nil {
		return err
	}
	defer func() { err = closing(ex, err) }()
	var held func(context.Context) (int, error)
	if v, ok := ex.(*cluster.View); ok {
		if len(o.requires) > 0 {
			v = v.Require(o.requires...)
		}
		ex, held = v, v.Held
	}
	if o.jobs.n == 0 { // a cluster's engines, and for each as much again that waits
		o.jobs.n = 2 * max(1, ex.Info().Workers)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopping := make(chan struct{})
	l := &loop{
		o: o, spec: p.spec, journal: p.journal, begun: time.Now(), slots: make(chan struct{}, o.jobs.n), stopping: stopping, held: held,
		running: map[int]*runningTask{}, order: map[int]int{},
		gate: gate{delay: o.delay.d, load: o.load.n, memfree: o.memfree.n},
	}
	closeStopping := sync.OnceFunc(func() {
		close(stopping)
		l.control("")
	})
	l.stop = func(why error) {
		l.mu.Lock()
		if l.why == nil {
			l.why = why
		}
		l.mu.Unlock()
		closeStopping()
	}
	l.kill = func(why error) {
		l.stop(why)
		l.mu.Lock()
		l.killed = true
		l.mu.Unlock()
		cancel()
	}
	l.recount = p.count
	l.total.Store(int64(total))
	bar := newRunProgress(o, l, p.count)
	l.out = newPrinter(o, bar)
	release := l.watchSignals(ctx)
	defer release()

	ctx = command.WithWatch(ctx, l.watch())
	bar.start()
	streamed := l.results(ctx, ex, p.inputs)
	bar.end()
	command.Wait()
	if err := l.out.flush(); err != nil && l.why == nil {
		l.why = err
	}
	return l.summary(streamed)
}

// results starts the tasks and takes their results. It returns the error of the
// stream itself.
func (l *loop) results(ctx context.Context, ex parade.Executor, inputs iter.Seq2[command.Input, error]) error {
	var held heldResults
	var streamed error
	for r := range parade.Stream(ctx, ex, parade.Bind(command.Run, l.spec), l.feed(reader(inputs, l.journal, l.stopping)),
		parade.Unordered(), parade.BatchSize(1), parade.CollectErrors(), parade.InFlight(2*l.o.jobs.n, 64<<20)) {
		if r.Index < 0 {
			streamed = r.Err
			break
		}
		l.write(&held, r.Index, l.result(r))
		<-l.slots
	}
	// What is left comes after one that was ended.
	for _, res := range held.rest() {
		l.turn(res)
	}
	return streamed
}

// write prints and notes a result, which is nil for a task that was ended, now or when its
// turn has come.
func (l *loop) write(held *heldResults, index int, res *command.Result) {
	switch {
	case !l.o.keepOrder && res != nil:
		l.print(res)
		l.note(res)
	case l.o.keepOrder:
		if res != nil && !l.out.prints(res) {
			l.note(res) // an end of this program would lose nothing of it
		}
		held.put(index, res)
		for {
			res, ok := held.next()
			if !ok {
				break
			}
			l.turn(res)
		}
		l.gate.held.Store(held.bytes)
	}
}

// turn is for a result whose turn has come.
func (l *loop) turn(res *command.Result) {
	if res != nil && l.out.prints(res) {
		l.print(res)
		l.note(res)
	}
}

// feed gives the inputs, each when there is a slot for it and nothing forbids to
// start it.
func (l *loop) feed(items <-chan item) iter.Seq[command.Input] {
	return func(yield func(command.Input) bool) {
		for index := 0; ; index++ {
			select {
			case <-l.stopping:
				return
			case l.slots <- struct{}{}:
			}
			in, ok := l.next(items)
			if !ok || !l.gate.wait(l) || l.stopped() {
				return
			}
			l.start(index, in)
			if !yield(in) {
				return
			}
		}
	}
}

func (l *loop) stopped() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

// next gives the next input.
func (l *loop) next(items <-chan item) (command.Input, bool) {
	var it item
	select {
	case <-l.stopping:
		return it.input, false
	case it = <-items:
	}
	l.mu.Lock()
	l.left, l.leftFailed = it.left, it.leftFailed
	if l.ended = it.end; !it.end && it.err == nil {
		l.read++
	}
	l.mu.Unlock()
	if it.err != nil {
		l.stop(listError(it.err))
	}
	return it.input, !it.end && it.err == nil
}

// listError is for inputs that cannot be read or, when a run is resumed, are others
// than they were.
func listError(err error) error {
	if errors.Is(err, command.ErrChanged) {
		return journalError(err)
	}
	return &inputError{err}
}

// start notes a task that is about to be handed out.
func (l *loop) start(index int, in command.Input) {
	t := &runningTask{input: in, since: time.Now()}
	if l.o.lineBuffer && l.o.tagstring != "" {
		t.tag = l.out.tag(in)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[in.Seq] = t
	l.order[index] = in.Seq
}

// result counts a task that has ended, and ends the run if the user wants that then.
// It gives nil for one that was ended with the run.
func (l *loop) result(r parade.Result[command.Result]) *command.Result {
	res, err := command.ResultOf(r)
	l.mu.Lock()
	seq := l.order[r.Index]
	input := l.running[seq].input
	if err != nil && l.killed { // it stays among those that run
		l.mu.Unlock()
		return nil
	}
	delete(l.order, r.Index)
	delete(l.running, seq)
	l.mu.Unlock()
	if err != nil {
		res = l.faulted(input, err)
	}
	l.settle(&res)
	return &res
}

// faulted is the result of a command that was never run, or whose worker is gone.
func (l *loop) faulted(input command.Input, err error) command.Result {
	res := command.Result{Seq: input.Seq, Args: input.Args, Exit: command.ExitFault, Fault: faultText(err), Start: time.Now()}
	if argv, err := expandForShow(l.spec, input); err == nil {
		res.Argv, res.Command = argv, command.Line(argv)
	}
	if errors.Is(err, command.ErrSpec) {
		l.stop(errors.New(res.Fault)) // each of the others would say the same
	}
	return res
}

// settle counts a task that has ended, and ends the run if the user wants that then.
func (l *loop) settle(res *command.Result) {
	if res.Exit != 0 && len(l.failures) < mostFailures {
		l.failures = append(l.failures, l.failure(res))
	}
	l.mu.Lock()
	switch {
	case res.Exit != 0:
		l.failed++
	case res.Before:
		l.before++
	case res.Skipped:
		l.whole++
	default:
		l.done++
	}
	tally := command.Tally{Done: l.done + l.failed + l.whole + l.before + l.left, Failed: l.failed + l.leftFailed, Total: int(l.total.Load())}
	if l.ended {
		tally.Total = l.read + l.left
	}
	l.mu.Unlock()
	switch why := (&haltedError{l.o.haltWhen}); l.o.haltWhen.After(res.Exit != 0, tally) {
	case command.HaltNow:
		l.kill(why)
	case command.HaltSoon:
		l.stop(why)
	}
}

// faultText is an error of the library in words for a task's line.
func faultText(err error) string {
	var task *parade.TaskError
	if errors.As(err, &task) && task.Kind == parade.Failed && task.Err != nil {
		err = task.Err
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "parade: "), "command: ")
}

// print prints what a task printed.
func (l *loop) print(res *command.Result) {
	if err := l.out.task(res); err != nil {
		l.lost(err)
		l.unprinted = true
	}
}

// note writes down a task as done: after what it printed was printed, so that a run
// that is resumed loses nothing.
func (l *loop) note(res *command.Result) {
	if l.journal == nil || l.unprinted || l.attached && l.journal.Has(*res) {
		return
	}
	if err := l.journal.Add(*res); err != nil {
		l.stop(err)
	}
}

// lost ends the run when output cannot be written.
func (l *loop) lost(err error) {
	if errors.Is(err, syscall.EPIPE) {
		l.kill(errClosedPipe)
		return
	}
	l.stop(fmt.Errorf("the output cannot be written: %w", reason(err)))
}

// watch is what running commands tell.
func (l *loop) watch() command.Watch {
	var w command.Watch
	if l.o.lineBuffer {
		w.Line = func(line command.OutputLine) {
			l.mu.Lock()
			t := l.running[line.Seq]
			l.mu.Unlock()
			if err := l.out.line(t, line); err != nil {
				l.lost(err)
			}
		}
	}
	if l.o.verbose && (l.o.lineBuffer || l.o.ungroup) {
		w.Started = func(s command.Started) {
			if err := l.out.command(s.Command); err != nil {
				l.lost(err)
			}
		}
	}
	return w
}

// watchSignals ends the run in its own way when signals come: Ctrl-C lets the
// running tasks end, a second one and SIGTERM end them, and one more does so at once.
// The function that it returns gives the signals back.
func (l *loop) watchSignals(ctx context.Context) func() {
	ctx, end := context.WithCancel(ctx)
	var letting sync.WaitGroup
	handle := func(s os.Signal) {
		l.mu.Lock()
		again, killed, running := l.why != nil, l.killed, len(l.running)
		l.mu.Unlock()
		why := &signalError{s}
		switch {
		case killed:
			l.control("now")
			return
		case again || s == syscall.SIGTERM:
			l.kill(why)
			if running > 0 && s == os.Interrupt {
				l.out.note(fmt.Sprintf("ending %s; Ctrl-C once more does it at once", plural(running, "task")))
			}
			return
		}
		l.stop(why)
		switch {
		case running == 0:
		case l.held != nil:
			letting.Go(func() { l.letEnd(ctx, why) })
		default:
			l.out.note(fmt.Sprintf("waiting for %s that %s running; Ctrl-C again ends them", plural(running, "task"), are(running)))
		}
	}
	release := takeSignals(ctx, handle)
	// A pipe that nobody reads is then an error of Write. Commands get the
	// signal as ever.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	return func() {
		release()
		signal.Stop(pipe)
		end()
		letting.Wait()
	}
}

// letEnd ends a run on a cluster, after a first Ctrl-C, as soon as no engine has anything of it:
// what merely waits for an engine may do so for ever.
func (l *loop) letEnd(ctx context.Context, why error) {
	said := false
	for none := 0; ; {
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		held, err := l.held(look)
		cancel()
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		running := len(l.running)
		if none++; err != nil || held > 0 {
			none = 0
		}
		over := none > 1 // once it may be on its way from one engine to another
		l.idle = l.idle || over
		l.mu.Unlock()
		if over {
			l.kill(why)
			return
		}
		if none == 0 && running > 0 && !said {
			said = true
			some := ""
			if err == nil && held < running {
				some = fmt.Sprintf(", %s of them with engines", count(held))
			}
			l.out.note(fmt.Sprintf("waiting for %s that the cluster has%s; Ctrl-C again ends them", plural(running, "task"), some))
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// control tells the commands of this run, see command.Spec. That it cannot be written is
// nothing that could be helped then.
func (l *loop) control(text string) { _ = os.WriteFile(l.spec.Control, []byte(text), 0o600) }

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// heldResults are results that wait for those of inputs before theirs.
type heldResults struct {
	results map[int]*command.Result
	due     int
	bytes   int64 // in memory
}

func (h *heldResults) put(index int, res *command.Result) {
	if h.results == nil {
		h.results = map[int]*command.Result{}
	}
	h.results[index] = res
	h.bytes += heldBytes(res)
}

func (h *heldResults) next() (*command.Result, bool) {
	res, ok := h.results[h.due]
	if ok {
		delete(h.results, h.due)
		h.due++
		h.bytes -= heldBytes(res)
	}
	return res, ok
}

func (h *heldResults) rest() []*command.Result {
	var indices []int
	for i := range h.results {
		indices = append(indices, i)
	}
	slices.Sort(indices)
	rest := make([]*command.Result, len(indices))
	for k, i := range indices {
		rest[k] = h.results[i]
	}
	return rest
}

// heldBytes is about what a result takes.
func heldBytes(res *command.Result) int64 {
	if res == nil {
		return 0
	}
	return int64(1000 + 2*len(res.Command) + len(res.Stdout.Data) + len(res.Stderr.Data))
}
