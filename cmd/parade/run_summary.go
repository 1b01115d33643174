package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/parade-go/parade/command"
)

// tailLines is how many lines of its standard error the summary shows of a task.
const tailLines = 5

// failure describes a task that failed.
func (l *loop) failure(res *command.Result) failure {
	f := failure{seq: res.Seq, outcome: res.Outcome(), again: l.again(res)}
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

// again is a line that runs a task's command once more, as it was run.
func (l *loop) again(res *command.Result) string {
	line := res.Command
	in := command.Input{Seq: res.Seq, Args: res.Args}
	text := func(t command.Template) string {
		if len(t.Words) == 0 {
			return ""
		}
		s, err := t.Text(in, command.Values{Slot: res.Slot})
		if err != nil {
			return ""
		}
		return s
	}
	shell := l.spec.Template.Shell
	if len(l.spec.Env) > 0 {
		if shell {
			line = "sh -c " + command.Quote(line)
			shell = false
		}
		env := make([]string, len(l.spec.Env))
		for i, e := range l.spec.Env {
			env[i] = command.Quote(e)
		}
		line = "env " + strings.Join(env, " ") + " " + line
	}
	if stdin := text(l.spec.Stdin); stdin != "" {
		if shell {
			line = "sh -c " + command.Quote(line)
		}
		if text(l.spec.Dir) != "" { // its name is relative to this folder
			if absolute, err := filepath.Abs(stdin); err == nil {
				stdin = absolute
			}
		}
		line += " < " + command.Quote(stdin)
	}
	if dir := text(l.spec.Dir); dir != "" {
		line = "(cd " + command.Quote(dir) + " && " + line + ")"
	}
	return line
}

// failedError says how many tasks failed.
type failedError struct{ text string }

func (e *failedError) Error() string { return e.text }

// summary says on standard error what became of the tasks and gives the error that
// the run ends with. streamed is that of the stream itself.
func (l *loop) summary(streamed error) error {
	l.mu.Lock()
	s, why, killed := runState{done: l.done, failed: l.failed, skipped: l.skipped + l.left, running: len(l.running)}, l.why, l.killed
	l.mu.Unlock()
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
	counts := l.counts(s, killed)
	err := why
	if halted := (*haltedError)(nil); errors.As(why, &halted) {
		err = nil
		counts += "; " + halted.Error()
		if halted.halt.Why == command.HaltSuccess {
			s.failed = 0 // it has what it was for
		}
	}
	if err == nil && streamed != nil && !killed {
		err = streamed
	}
	if err == nil && s.failed > 0 {
		return &failedError{counts}
	}
	if err != nil || !l.o.noProgress {
		t.printf("%s %s\n", t.bold("parade:"), counts)
	}
	return err
}

// counts is the sum of a run in a line.
func (l *loop) counts(s runState, killed bool) string {
	took := time.Since(l.begun)
	var parts []string
	switch all := s.done + s.failed; {
	case s.failed > 0:
		parts = append(parts, fmt.Sprintf("%s of %s failed", count(s.failed), plural(all, "task")))
		if s.done > 0 {
			parts = append(parts, count(s.done)+" done")
		}
	default:
		parts = append(parts, plural(s.done, "task")+" done")
	}
	if s.skipped > 0 {
		parts = append(parts, count(s.skipped)+" skipped")
	}
	if killed && s.running > 0 {
		parts = append(parts, count(s.running)+" ended by us")
	}
	text := strings.Join(parts, ", ") + " in " + duration3(took)
	if n := s.done + s.failed; n > 1 && took > 0 {
		text += fmt.Sprintf(", %s/s", short(float64(n)/took.Seconds()))
	}
	return text
}

// duration3 writes a time as people say it: 12.3 s, 3m20s.
func duration3(d time.Duration) string {
	if d < 100*time.Second {
		return took(d)
	}
	return d.Round(time.Second).String()
}
