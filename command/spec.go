package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parade-go/parade"
)

// ErrSpec says that a Spec cannot be used: no task of it would work.
var ErrSpec = parade.Sentinel("command.ErrSpec", errors.New("bad command specification"))

func init() { parade.Type[*ExitError]("command.ExitError") }

// Spec says how to run a command. It is plain data, the bound argument of Run. Only
// Template is required. Relative paths are relative to this process's working
// directory, but for those in the command itself, which sees Dir.
type Spec struct {
	// Template is the command; see ParseTemplate.
	Template Template

	// Dir is the command's working directory, a template of ParseText. It is made where
	// it is missing. Without words it is this process's own.
	Dir Template
	// Env holds settings NAME=value beyond this process's environment, which win.
	Env []string
	// Stdin is the file that the command reads, a template of ParseText. Without
	// words it is empty input.
	Stdin Template

	// Timeout ends an attempt that takes longer; 0 never does.
	Timeout time.Duration
	// Grace is the time between SIGTERM and SIGKILL when a command is ended,
	// 2 s if 0.
	Grace time.Duration
	// Retries is how often a command that failed is run again.
	Retries int
	// Backoff is the pause before the first retry. It doubles with each further
	// one, up to a minute.
	Backoff time.Duration

	// Control, if not "", is the path of a file by which the caller ends the work of this
	// machine, that of worker processes too. Once the file exists no further attempt is
	// started: the one that runs is the last. Once it is not empty, commands that are
	// being ended get no more Grace.
	Control string

	// Nice is how much lower the command's priority is, from 0 to 19.
	Nice int
	// MaxMemory bounds the memory, in bytes, that each process of the command may
	// allocate; 0 does not. Only Linux has such a limit.
	MaxMemory int64
	// Threads is how many inner threads (OpenMP, BLAS and so on) the command is told
	// to use; 0 divides the cores among the commands that run at the same time.
	Threads int
	// Scratch makes an empty folder for each attempt, in the system's folder for
	// temporary files, and removes it afterwards. The command finds it as {scratch},
	// PARADE_SCRATCH and TMPDIR. A template that has {scratch} implies it.
	Scratch bool

	// Outputs name the files that a task makes, templates of ParseText. The command
	// is given temporary names in the same folders, {out} or {out1}, {out2}. Only
	// when it ends with 0 and all of them exist, are not empty and pass Check, they
	// get their own names; else they are removed. A task whose outputs are whole
	// and not older than its Inputs is not run. A task whose output is what it reads
	// fails, as that would always be whole; Distinct finds two tasks with one output.
	Outputs []Template
	// Inputs name the files that a task reads, templates of ParseText. Without any
	// they are the arguments and the words of the command that are files, and Stdin.
	Inputs []Template
	// Check is a command that must end with 0 for the outputs to be whole, for
	// example gzip -t {out}, a template of ParseCheck. Without words there is none. It
	// has the Timeout for itself.
	Check Template
	// Force runs also the tasks whose outputs are whole.
	Force bool

	// Capture says what becomes of what the command prints.
	Capture Capture
	// Inline is the largest output, in bytes, that is held in memory and travels in the
	// Result; it is never less than InlineLimit.
	Inline int64
	// Spill is the folder for outputs that are too large to be held in memory,
	// the system's folder for temporary files if "". The files are the caller's to
	// remove: see Output.
	Spill string
}

// Capture says what becomes of what a command prints.
type Capture uint8

const (
	// Grouped keeps it until the command has ended: Result.Stdout, Result.Stderr.
	Grouped Capture = iota
	// ByLine gives it out while the command runs, in whole lines, to Watch.Line or
	// to this process's own standard output and error. The Result has the last
	// lines of the standard error only.
	ByLine
	// Ungrouped lets the command write to this process's standard output and error
	// itself. The Result has none of it.
	Ungrouped
)

// String returns the name of the option that chooses it.
func (c Capture) String() string {
	switch c {
	case Grouped:
		return "group"
	case ByLine:
		return "line-buffer"
	case Ungrouped:
		return "ungroup"
	}
	return fmt.Sprintf("Capture(%d)", uint8(c))
}

// The exit statuses that a Result has without a command that gave them.
const (
	// ExitTimeout is the status of a command that was ended for its Timeout, as
	// timeout(1) gives it.
	ExitTimeout = 124
	// ExitFault is the status of a command that could not be started, read or
	// trusted for a reason that is none of its own: Result.Fault says which.
	ExitFault = 125
	// ExitNotExecutable is the status where the program is there and cannot be
	// executed, as a shell gives it.
	ExitNotExecutable = 126
	// ExitNotFound is the status where there is no such program, as a shell gives it.
	ExitNotFound = 127
)

// Result is what became of one task.
type Result struct {
	Seq  int      // of the input, from 1
	Args []string // of the input
	// Argv is the program with its arguments, as if the outputs had had their own
	// names from the start.
	Argv []string
	// Command is Argv as a line for a shell; see Line.
	Command  string
	Host     string
	Slot     int           // the place among the commands that ran at the same time, from 1
	Attempts int           // 0 if Skipped or Refused
	Start    time.Time     // of the last attempt
	Duration time.Duration // of the last attempt
	CPU      time.Duration // used by the last attempt, children that it waited for included
	// PeakMemory is, in bytes, the largest memory of any process of the last attempt,
	// and 0 if that was not more than this process's own: the kernel does not tell then.
	PeakMemory int64

	// Exit is 0 only if all went well. It is 128+Signal for a command that was ended
	// by a signal, as in a shell, else its exit status or one of the constants.
	Exit     int
	Signal   int  // that ended the command, or 0
	TimedOut bool // it was ended for its Timeout
	Skipped  bool // it was not run, as its outputs are whole
	Before   bool // besides, an earlier run has done it: Input.Done
	Refused  bool // it was not started: the Fault says what would have been lost
	// Fault is what was wrong beside the exit status, such as an output that was not
	// made or a program that does not exist; "" if nothing.
	Fault string

	Stdout, Stderr Output
	Outputs        []string // the files that the task made, by their own names
}

// Err returns nil if all went well, else an *ExitError.
func (r Result) Err() error {
	if r.Exit == 0 {
		return nil
	}
	return &ExitError{r}
}

// ExitError is the error of a command that failed.
type ExitError struct{ Result Result }

// errorTail is how many lines of the standard error an ExitError shows.
const errorTail = 5

func (e *ExitError) Error() string {
	r := &e.Result
	var b strings.Builder
	fmt.Fprintf(&b, "command: %s: %s", shorten(r.Command), r.Outcome())
	if r.Attempts > 1 {
		fmt.Fprintf(&b, ", after %d attempts", r.Attempts)
	}
	tail, err := r.Stderr.Tail(errorTail)
	if err != nil {
		tail = []string{err.Error()}
	}
	if len(tail) > 0 {
		fmt.Fprintf(&b, "; its last words:\n\t%s", strings.Join(tail, "\n\t"))
	}
	return b.String()
}

// shorten keeps what a person needs to recognise a command.
func shorten(command string) string {
	const most = 500
	if len(command) <= most {
		return command
	}
	return strings.ToValidUTF8(command[:most/2], "") + " [...] " + strings.ToValidUTF8(command[len(command)-most/2:], "")
}

// Is says that a command that was ended for its Timeout is a parade.ErrTimeout.
func (e *ExitError) Is(target error) bool {
	return e.Result.TimedOut && (target == parade.ErrTimeout || target == context.DeadlineExceeded) //nolint:errorlint // what errors.Is asks
}

// Outcome says in a few words how the task ended: "ok", "exit 3", "killed by
// SIGKILL", "timed out after 2s", "skipped", or the Fault.
func (r Result) Outcome() string {
	switch {
	case r.Skipped:
		return "skipped"
	case r.TimedOut:
		return "timed out after " + r.Duration.Round(time.Millisecond).String()
	case r.Fault != "":
		return r.Fault
	case r.Signal != 0:
		return "killed by " + signalName(r.Signal)
	case r.Exit == 0:
		return "ok"
	}
	return fmt.Sprintf("exit %d", r.Exit)
}

// Run runs the command of a Spec for one Input, and is what to give to an executor:
//
//	results, err := parade.Map(ctx, ex, parade.Bind(command.Run, spec), inputs)
//
// A command that fails is an error, an *ExitError with the Result inside, so that all
// options of Map and Stream do what they say. A loop over a Stream with
// parade.CollectErrors gets the Result either way from ResultOf.
//
// When its context ends, Run ends the command's process group with SIGTERM and, after
// the Grace, SIGKILL. It returns when the command is gone; the executor may return
// before that. Call Wait before the program exits. Processes that a command leaves
// behind when it ends by itself go on, but what they print then is lost.
//
// Should this process be killed with SIGKILL, then on Linux the command gets a SIGTERM
// from the kernel. Processes that the command has started are not reached by that,
// unless the executor is one with processes, whose workers end them.
var Run = parade.Func2Context("parade.command", run)

// ResultOf gives what became of a task of Run, whether the command failed or not. The
// error says why there is no Result: the input or the Spec cannot be used, the job
// was stopped, or the worker was lost.
func ResultOf(r parade.Result[Result]) (Result, error) {
	var exit *ExitError
	if errors.As(r.Err, &exit) {
		return exit.Result, nil
	}
	return r.Value, r.Err
}

// Watch is told what the commands of a call do while they run. The functions are called
// in the process that runs the command, by several goroutines at the same time, and
// must not block for long. Executors with processes of their own do not call them.
type Watch struct {
	// Started, if not nil, is called when an attempt starts.
	Started func(Started)
	// Line, if not nil, gets what commands print with ByLine.
	Line func(OutputLine)
}

// Started is an attempt that has started.
type Started struct {
	Seq, Slot, Attempt int
	Command            string
	Time               time.Time
}

// OutputLine is a line of a command's output.
type OutputLine struct {
	Seq, Slot int
	Stderr    bool   // not standard output
	Text      []byte // with its newline, which only the last may lack; a very long line comes in pieces. Valid during the call.
}

type watchKey struct{}

// WithWatch returns a context for Map or Stream whose commands report to w.
func WithWatch(ctx context.Context, w Watch) context.Context {
	return context.WithValue(ctx, watchKey{}, &w)
}
