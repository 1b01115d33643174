package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// HaltWhen says how a run is ended early.
type HaltWhen uint8

const (
	// HaltNever goes on to the last task.
	HaltNever HaltWhen = iota
	// HaltSoon starts no more tasks, and waits for those that run.
	HaltSoon
	// HaltNow ends the tasks that run, too.
	HaltNow
)

// String returns the word for it in a --halt.
func (w HaltWhen) String() string {
	switch w {
	case HaltNever:
		return "never"
	case HaltSoon:
		return "soon"
	case HaltNow:
		return "now"
	}
	return fmt.Sprintf("HaltWhen(%d)", uint8(w))
}

// HaltWhy says which tasks count for a [Halt].
type HaltWhy uint8

const (
	HaltFail    HaltWhy = iota // those that failed
	HaltSuccess                // those that did not
	HaltDone                   // all that ended
)

// String returns the word for it in a --halt.
func (w HaltWhy) String() string {
	switch w {
	case HaltFail:
		return "fail"
	case HaltSuccess:
		return "success"
	case HaltDone:
		return "done"
	}
	return fmt.Sprintf("HaltWhy(%d)", uint8(w))
}

// Halt says when a run is ended early. It is plain data; the zero Halt never does.
type Halt struct {
	When HaltWhen
	Why  HaltWhy
	// Number is how many tasks of that kind end the run or, with Percent, how many
	// of a hundred.
	Number  int
	Percent bool
}

// ErrHalt says that a --halt cannot be read.
var ErrHalt = errors.New("bad halt condition")

// ParseHalt reads what GNU parallel's --halt takes: never, or now or soon with
// fail=, success= or done= and a number or a percentage, such as now,fail=1 or
// soon,done=10%. 10% alone is soon,fail=10%. The numbers of old times mean: 0 never,
// 1 soon,fail=1, 2 now,fail=1, -1 soon,success=1, -2 now,success=1. The error wraps
// [ErrHalt].
func ParseHalt(text string) (Halt, error) {
	long := text
	switch text {
	case "never", "0":
		return Halt{}, nil
	case "1":
		long = "soon,fail=1"
	case "2":
		long = "now,fail=1"
	case "-1":
		long = "soon,success=1"
	case "-2":
		long = "now,success=1"
	default:
		if n, ok := strings.CutSuffix(text, "%"); ok && digits(n) {
			long = "soon,fail=" + text
		}
	}
	bad := func(why string) (Halt, error) {
		return Halt{}, fmt.Errorf("command: %w: %q: %s, such as now,fail=1 or soon,done=10%%", ErrHalt, text, why)
	}
	var h Halt
	when, condition, _ := strings.Cut(long, ",")
	switch when {
	case "soon":
		h.When = HaltSoon
	case "now":
		h.When = HaltNow
	default:
		return bad("it must be never, or begin with now or soon")
	}
	why, number, _ := strings.Cut(condition, "=")
	switch why {
	case "fail":
		h.Why = HaltFail
	case "success":
		h.Why = HaltSuccess
	case "done":
		h.Why = HaltDone
	default:
		return bad(when + " must be followed by fail=, success= or done=")
	}
	number, h.Percent = strings.CutSuffix(number, "%")
	var err error
	if h.Number, err = strconv.Atoi(number); err != nil || !digits(number) {
		return bad(why + "= must be followed by a whole number or percentage")
	}
	return h, nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String gives the condition as [ParseHalt] reads it.
func (h Halt) String() string {
	if h.When == HaltNever {
		return h.When.String()
	}
	text := fmt.Sprintf("%v,%v=%d", h.When, h.Why, h.Number)
	if h.Percent {
		text += "%"
	}
	return text
}

// NeedsTotal tells whether the condition can only be judged when the number of all
// tasks is known. GNU parallel then reads all inputs before it starts the first task.
func (h Halt) NeedsTotal() bool { return h.When != HaltNever && h.Percent }

// Tally is how far a run is. As for GNU parallel, tasks of an earlier run that a
// resumed one leaves out count.
type Tally struct {
	Done   int // all that ended
	Failed int // of these
	Total  int // tasks of the run; 0 if unknown, and then no percentage is ever reached
}

// After says what becomes of the run after a task has ended, failed or not, which the
// tally includes. As GNU parallel does, it looks at successes only after a success
// and at failures only after a failure: 0 is reached by the first. A percentage is
// compared exactly, where GNU parallel's rounding may want one task more: 7% of 100
// are 7 tasks.
func (h Halt) After(failed bool, t Tally) HaltWhen {
	count := t.Done
	switch {
	case h.When == HaltNever:
		return HaltNever
	case h.Why == HaltFail && failed:
		count = t.Failed
	case h.Why == HaltSuccess && !failed:
		count = t.Done - t.Failed
	case h.Why != HaltDone:
		return HaltNever
	}
	reached := count >= h.Number
	if h.Percent {
		reached = t.Total > 0 && float64(count)*100 >= float64(h.Number)*float64(t.Total)
	}
	if !reached {
		return HaltNever
	}
	return h.When
}
