package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parade-go/parade/command"
)

// tailLines is how many lines of its standard error the summary shows of a task.
const tailLines = 5

// failure describes a task that failed.
func (l *loop) failure(res *command.Result) failure {
	f := failure{seq: res.Seq, outcome: shown(res.Outcome(), 1000), again: l.again(res)}
	if res.Attempts > 1 {
		f.outcome += fmt.Sprintf(", after %d attempts", res.Attempts)
	}
	tail, err := res.Stderr.Tail(tailLines)
	if err != nil {
		tail = []string{err.Error()}
	}
	for _, line := range tail {
		f.tail = append(f.tail, shown(line, 500))
	}
	return f
}

// mostAgain is how long a line that runs a command again may be, in bytes.
const mostAgain = 2000

// again is a line that runs a task's command once more, or says why there is none here.
func (l *loop) again(res *command.Result) string {
	if res.Refused {
		return ""
	}
	line := l.spec.Again(*res)
	why := ""
	switch {
	case len(line) > mostAgain:
		why = "its command has " + count(len(line)) + " bytes"
	case strings.ContainsFunc(line, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) || !utf8.ValidString(line):
		why = "its command has bytes that are not for a terminal"
	default:
		return line
	}
	if l.journal != nil {
		return why + "; the joblog has it whole, and --retry-failed runs it"
	}
	return why + "; --joblog FILE or --json gives it whole"
}

// failedError says how many tasks failed.
type failedError struct{ text string }

func (e *failedError) Error() string { return e.text }

// summary says on standard error what became of the tasks and gives the error that
// the run ends with. streamed is that of the stream itself.
func (l *loop) summary(streamed error) error {
	l.mu.Lock()
	why, killed := l.why, l.killed
	l.mu.Unlock()
	s := l.state()
	if l.idle { // what was handed over was never begun
		s.running = 0
	}
	if errors.Is(why, errClosedPipe) {
		return why
	}
	t := l.out.bar.out
	for _, f := range l.failures {
		t.printf("%s %s\n", t.bold(fmt.Sprintf("task %d:", f.seq)), t.red(f.outcome))
		for _, line := range f.tail {
			t.printf("  %s\n", t.dim(line))
		}
		if f.again != "" {
			t.printf("  again: %s\n", f.again)
		}
	}
	if more := s.failed - len(l.failures); more > 0 {
		t.printf("and %s more\n", count(more))
	}
	var hints []string
	err, rest := why, l.notStarted(s, why)
	halted := (*haltedError)(nil)
	if errors.As(why, &halted) {
		err = nil
		hints = append(hints, halted.Error())
	}
	switch success := halted != nil && halted.halt.Why == command.HaltSuccess; {
	case success: // it has what it was for
	case l.retry != "" && s.failed > 0:
		hints = append(hints, fmt.Sprintf("%q runs %s again", l.retry, them(s.failed)))
	case s.beforeFailed > 0:
		hints = append(hints, "--resume-failed runs "+them(s.beforeFailed)+" again")
	case l.journal != nil && (rest != "" || killed && s.running > 0):
		hints = append(hints, "with --resume it goes on")
	}
	counts := strings.Join(append([]string{l.counts(s, killed, rest)}, hints...), "; ")
	if halted != nil && halted.halt.Why == command.HaltSuccess {
		s.failed, s.beforeFailed = 0, 0
	}
	if err == nil && streamed != nil && !killed {
		err = streamed
	}
	if err == nil && s.failed+s.beforeFailed > 0 {
		return &failedError{counts}
	}
	if err != nil || !l.o.noProgress {
		t.printf("%s %s\n", t.bold("parade:"), counts)
	}
	return err
}

// counts is the sum of a run in a line.
func (l *loop) counts(s runState, killed bool, rest string) string {
	took := time.Since(l.begun)
	if !l.until.IsZero() {
		took = l.until.Sub(l.begun)
	}
	text := plural(s.done, "task") + " done"
	if s.failed > 0 {
		text = fmt.Sprintf("%s of %s failed", count(s.failed), plural(s.done+s.failed, "task"))
		if s.done > 0 {
			text += ", " + count(s.done) + " done"
		}
	}
	text += " in " + duration3(took)
	if n := s.done + s.failed; n > 1 && took > 0 {
		text += fmt.Sprintf(", %s/s", short(float64(n)/took.Seconds()))
	}
	parts := append([]string{text}, s.leftOut()...)
	if killed && s.running > 0 {
		parts = append(parts, count(s.running)+" ended by us")
	}
	if rest != "" {
		parts = append(parts, rest)
	}
	return strings.Join(parts, ", ")
}

// countingTime is how long a run that ends may count what it has left.
const countingTime = 500 * time.Millisecond

// notStarted says how many tasks a run that ended early has not started, "" if none.
func (l *loop) notStarted(s runState, why error) string {
	if why == nil || l.attached {
		return ""
	}
	if s.total == 0 {
		quit := make(chan struct{})
		defer time.AfterFunc(countingTime, func() { close(quit) }).Stop()
		var ok bool
		if s.total, ok = countInputs(l.recount, quit); !ok {
			var list *inputError
			if s.read || errors.As(why, &list) {
				return ""
			}
			return "the rest not started"
		}
	}
	if n := s.total - s.finished() - s.running; n > 0 {
		return count(n) + " not started"
	}
	return ""
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// duration3 writes a time as people say it: 12.3 s, 3m20s.
func duration3(d time.Duration) string {
	if d < 100*time.Second {
		return took(d)
	}
	return d.Round(time.Second).String()
}
