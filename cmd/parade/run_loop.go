package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

// loop is one run: it starts tasks, takes their results, and knows when to end.
type loop struct {
	o     *runOptions
	spec  command.Spec
	out   *printer
	begun time.Time
	slots chan struct{} // taken by a task from before its start until its result is dealt with
	gate  gate

	stop func(why error) // start no more
	kill func(why error) // and end those that run

	stopping <-chan struct{}

	mu      sync.Mutex
	running map[int]*runningTask // by Seq
	order   map[int]int          // Seq by index, of those that run
	read    int                  // inputs
	ended   bool                 // there are no more inputs
	skipped int                  // by the journal, or as their outputs are whole
	done    int
	failed  int
	holding string // why no task is started now
	why     error  // of the end before the last input
	killed  bool

	total    atomic.Int64 // inputs, 0 unless they could be counted
	failures []failure
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

// item is an input or why there is none.
type item struct {
	input command.Input
	err   error
}

// reader reads inputs in a goroutine of its own, as reading can block for ever.
func reader(source *command.Source, quit <-chan struct{}) <-chan item {
	items := make(chan item, 256)
	go func() {
		defer close(items)
		for in, err := range source.Inputs() {
			select {
			case items <- item{in, err}:
			case <-quit:
				return
			}
		}
	}()
	return items
}

// runAll runs the command for every input.
func (o *runOptions) runAll(ctx context.Context, spec command.Spec, source *command.Source, recount func() (*command.Source, error)) (err error) {
	if err := o.checkProgram(spec.Template); err != nil {
		return err
	}
	memory, err := o.remember(spec)
	if err != nil {
		return err
	}
	defer func() {
		if failed := memory.close(); err == nil {
			err = failed
		}
	}()
	if spec.Spill, err = o.spill(); err != nil {
		return err
	}
	defer o.removeSpill(spec.Spill)
	ex, err := openExecutor(ctx, o.on)
	if err != nil {
		return err
	}
	defer func() { err = closing(ex, err) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopping := make(chan struct{})
	l := &loop{
		o: o, spec: spec, begun: time.Now(), slots: make(chan struct{}, o.jobs.n), stopping: stopping,
		running: map[int]*runningTask{}, order: map[int]int{},
		gate: gate{delay: o.delay.d, load: o.load.n, memfree: o.memfree.n},
	}
	closeStopping := sync.OnceFunc(func() { close(stopping) })
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
	bar := newRunProgress(o, l, recount)
	l.out = newPrinter(o, bar)
	release := l.watchSignals(ctx)
	defer release()

	ctx = command.WithWatch(ctx, l.watch())
	bar.start()
	streamed := l.results(ctx, ex, memory, source)
	bar.end()
	command.Wait()
	if err := l.out.flush(); err != nil && l.why == nil {
		l.why = err
	}
	return l.summary(streamed)
}

// results starts the tasks and takes their results. It returns the error of the
// stream itself.
func (l *loop) results(ctx context.Context, ex parade.Executor, memory *memory, source *command.Source) error {
	inputs := l.feed(reader(source, l.stopping), memory)
	var held heldResults
	for r := range parade.Stream(ctx, ex, parade.Bind(command.Run, l.spec), inputs,
		parade.Unordered(), parade.BatchSize(1), parade.CollectErrors(), parade.InFlight(2*l.o.jobs.n, 64<<20)) {
		if r.Index < 0 {
			return r.Err
		}
		res := l.result(r)
		if l.o.keepOrder {
			held.put(r.Index, res)
			for {
				res, ok := held.next()
				if !ok {
					break
				}
				l.deliver(res, memory)
			}
			l.gate.held.Store(held.bytes)
		} else {
			l.deliver(res, memory)
		}
		<-l.slots
	}
	// What is left comes after one that was ended.
	for _, res := range held.rest() {
		l.deliver(res, memory)
	}
	return nil
}

// feed gives the inputs, each when there is a slot for it and nothing forbids to
// start it.
func (l *loop) feed(items <-chan item, memory *memory) func(func(command.Input) bool) {
	return func(yield func(command.Input) bool) {
		index := 0
		for {
			select {
			case <-l.stopping:
				return
			case l.slots <- struct{}{}:
			}
			in, ok := l.next(items, memory)
			if !ok || !l.gate.wait(l) || l.stopped() {
				return
			}
			l.start(index, in)
			if !yield(in) {
				return
			}
			index++
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

// next gives the next input that is not to be left out.
func (l *loop) next(items <-chan item, memory *memory) (command.Input, bool) {
	for {
		var it item
		var ok bool
		select {
		case <-l.stopping:
			return it.input, false
		case it, ok = <-items:
		}
		if it.err != nil {
			l.stop(&inputError{it.err})
			return it.input, false
		}
		skip := ok && memory.skip(it.input)
		l.mu.Lock()
		switch {
		case !ok:
			l.ended = true
		case skip:
			l.read++
			l.skipped++
		default:
			l.read++
		}
		l.mu.Unlock()
		if !skip {
			return it.input, ok
		}
	}
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

// result counts a task that has ended.
func (l *loop) result(r parade.Result[command.Result]) *command.Result {
	l.mu.Lock()
	seq := l.order[r.Index]
	input := l.running[seq].input
	delete(l.order, r.Index)
	delete(l.running, seq)
	l.mu.Unlock()

	res, err := command.ResultOf(r)
	if err != nil { // the command was never run, or its worker is gone
		res = command.Result{Seq: input.Seq, Args: input.Args, Exit: command.ExitFault, Fault: faultText(err), Start: time.Now()}
		if res.Argv, err = expandForShow(l.spec, input); err == nil {
			res.Command = command.Line(res.Argv)
		}
		if errors.Is(r.Err, command.ErrSpec) {
			l.stop(errors.New(res.Fault)) // each of the others would say the same
		}
	}
	l.mu.Lock()
	switch {
	case res.Exit != 0:
		l.failed++
	case res.Skipped:
		l.skipped++
	default:
		l.done++
	}
	l.mu.Unlock()
	if res.Exit != 0 && len(l.failures) < mostFailures {
		l.failures = append(l.failures, l.failure(&res))
	}
	return &res
}

// faultText is an error of the library in words for a task's line.
func faultText(err error) string {
	var task *parade.TaskError
	if errors.As(err, &task) && task.Kind == parade.Failed && task.Err != nil {
		err = task.Err
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "parade: "), "command: ")
}

// deliver prints what a task printed, and then, not before, notes it as done.
func (l *loop) deliver(res *command.Result, memory *memory) {
	if err := l.out.task(res); err != nil {
		l.lost(err)
		return
	}
	if err := memory.record(res); err != nil {
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
// running tasks end, a second one and SIGTERM end them. The function that it
// returns gives the signals back.
func (l *loop) watchSignals(ctx context.Context) func() {
	handle := func(s os.Signal) {
		l.mu.Lock()
		again, running := l.why != nil, len(l.running)
		l.mu.Unlock()
		why := &signalError{s}
		if again || s == syscall.SIGTERM {
			l.kill(why)
			return
		}
		l.stop(why)
		if running > 0 {
			l.out.note(fmt.Sprintf("waiting for %s that %s running; Ctrl-C again ends them", plural(running, "task"), are(running)))
		}
	}
	release := takeSignals(ctx, handle)
	more := make(chan os.Signal, 1)
	// A pipe that nobody reads is then an error of Write. Commands get the
	// signal as ever.
	signal.Notify(more, syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(more, syscall.SIGHUP)
	}
	quit := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-more:
				if s == syscall.SIGHUP {
					handle(s)
				}
			case <-quit:
				return
			}
		}
	}()
	return func() {
		release()
		signal.Stop(more)
		close(quit)
	}
}

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
	return int64(1000 + 2*len(res.Command) + len(res.Stdout.Data) + len(res.Stderr.Data))
}
