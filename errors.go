package parade

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parade-go/parade/internal/journal"
	"github.com/parade-go/parade/internal/wire"
)

// Conditions that callers branch on with [errors.Is]. They keep their identity
// when they cross from a worker process.
var (
	// ErrPanic: the function panicked; the TaskError has the stack.
	ErrPanic = errors.New("task panicked")
	// ErrTimeout: the task ran longer than its [Timeout]. Such an error also
	// is context.DeadlineExceeded.
	ErrTimeout = errors.New("task timed out")
	// ErrWorkerLost: the worker running the task died, froze or outgrew its
	// memory, as often as [Crashes] allows.
	ErrWorkerLost = errors.New("worker lost")
	// ErrFrozen: the worker was lost because it did not answer, as when it is
	// stopped by a signal.
	ErrFrozen = errors.New("worker did not answer")
	// ErrEncode: an input, a bound argument or a result holds a value that
	// cannot travel between processes.
	ErrEncode = errors.New("value cannot travel")
	// ErrNotDeclared: an executor with its own processes was given a closure,
	// or a function declared after the first Open.
	ErrNotDeclared = errors.New("function not declared")
	// ErrClosed: the executor was closed.
	ErrClosed = errors.New("executor is closed")
	// ErrInterrupted: somebody interrupted the task while it ran.
	ErrInterrupted = errors.New("task interrupted")
	// ErrJournalHeld: another call or program has the file of a [Journal].
	ErrJournalHeld = journal.ErrHeld
)

func init() {
	for name, err := range map[string]error{
		"parade.ErrPanic": ErrPanic, "parade.ErrTimeout": ErrTimeout,
		"parade.ErrWorkerLost": ErrWorkerLost, "parade.ErrFrozen": ErrFrozen, "parade.ErrEncode": ErrEncode,
		"parade.ErrNotDeclared": ErrNotDeclared, "parade.ErrClosed": ErrClosed, "parade.ErrJournalHeld": ErrJournalHeld,
		"parade.ErrNoValue": ErrNoValue, "parade.ErrInterrupted": ErrInterrupted,
	} {
		wire.RegisterError(name, err)
	}
	Type[*TaskError]("parade.TaskError")
	Type[*JobError]("parade.JobError")
}

// Kind says how a task failed.
type Kind uint8

// The ways in which a task fails.
const (
	Failed      Kind = iota // the function returned an error
	Panicked                // the function panicked
	TimedOut                // the task ran longer than its timeout
	Lost                    // its worker died, repeatedly
	Unsendable              // its input or result cannot be encoded
	Interrupted             // somebody interrupted it
)

var kindSentinels = [...]error{Failed: nil, Panicked: ErrPanic, TimedOut: ErrTimeout, Lost: ErrWorkerLost, Unsendable: ErrEncode, Interrupted: ErrInterrupted}

// String returns the kind as a word of an error message.
func (k Kind) String() string {
	switch k {
	case Failed:
		return "failed"
	case Panicked:
		return "panicked"
	case TimedOut:
		return "timed out"
	case Lost:
		return "lost its worker"
	case Unsendable:
		return "could not be sent"
	case Interrupted:
		return "was interrupted"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// TaskError says which task failed, where, and why.
type TaskError struct {
	Func    string // declared name, "" for a closure
	Index   int    // position of the input, from 0
	Attempt int    // 1 for the first try
	Worker  string // which worker ran it, with its host
	Kind    Kind
	Err     error  // the function's own error, or what happened
	Stack   string // of a panic, as the worker saw it
}

// Error names function, input, attempt and worker, and the cause.
func (e *TaskError) Error() string {
	name := e.Func
	if name == "" {
		name = "closure"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: input %d %s", name, e.Index, e.Kind)
	switch {
	case e.Attempt > 1 && e.Worker != "":
		fmt.Fprintf(&b, " (attempt %d, %s)", e.Attempt, e.Worker)
	case e.Worker != "":
		fmt.Fprintf(&b, " (%s)", e.Worker)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *TaskError) Unwrap() error { return e.Err }

// Is reports whether target is the condition of e's kind, so that
// errors.Is(err, ErrTimeout) holds for a task that timed out.
func (e *TaskError) Is(target error) bool {
	if int(e.Kind) < len(kindSentinels) && target == kindSentinels[e.Kind] && target != nil {
		return true
	}
	return e.Kind == TimedOut && target == context.DeadlineExceeded
}

// JobError is the error of a job in which tasks failed, or which was stopped.
type JobError struct {
	Func   string
	Tasks  int          // inputs known when the job ended
	Done   int          // tasks with a result
	Failed []*TaskError // by index, from 0
	Err    error        // why the job was stopped other than by a task; nil otherwise

	Unfinished []Range // inputs without a result, failed ones included, ascending
}

// Range is the inputs from First to First+Len-1.
type Range struct{ First, Len int }

// errorsShown is how many failures an error message lists before it counts the rest.
const errorsShown = 5

// Error lists the first failures and counts the others.
func (e *JobError) Error() string {
	var b strings.Builder
	switch {
	case e.Err != nil && len(e.Failed) == 0:
		return fmt.Sprintf("%s stopped after %d of %d tasks: %v", e.name(), e.Done, e.Tasks, e.Err)
	case e.Err != nil:
		fmt.Fprintf(&b, "%s stopped after %d of %d tasks: %v; ", e.name(), e.Done, e.Tasks, e.Err)
	}
	rest := ""
	if n := e.Tasks - e.Done - len(e.Failed); n > 0 && e.Err == nil {
		rest = fmt.Sprintf("; stopped, %d of %d inputs have no result", n+len(e.Failed), e.Tasks)
	}
	if len(e.Failed) == 1 {
		return b.String() + e.Failed[0].Error() + rest
	}
	fmt.Fprintf(&b, "%s: %d of %d tasks failed", e.name(), len(e.Failed), e.Tasks)
	for i, t := range e.Failed {
		if i == errorsShown {
			fmt.Fprintf(&b, "\n\tand %d more", len(e.Failed)-i)
			break
		}
		b.WriteString("\n\t")
		b.WriteString(t.Error())
	}
	return b.String() + rest
}

func (e *JobError) name() string {
	if e.Func == "" {
		return "closure"
	}
	return e.Func
}

// Unwrap gives the reason for the stop and every task's error to [errors.Is]
// and [errors.As].
func (e *JobError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failed)+1)
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	for _, t := range e.Failed {
		errs = append(errs, t)
	}
	return errs
}

// Sentinel declares an error value of your own, so that errors.Is finds it in
// an error that came from a worker process. Call it at package level, under a
// name of its own:
//
//	var ErrNoSpikes = parade.Sentinel("spike.ErrNoSpikes", errors.New("no spikes"))
func Sentinel(name string, err error) error {
	wire.RegisterError(name, err)
	return err
}
