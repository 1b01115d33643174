package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/parade-go/parade/command"
	"github.com/spf13/pflag"
)

// checkRemembered refuses flags about earlier runs that make no sense.
func (o *runOptions) checkRemembered() error {
	var given []string
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--resume", o.resume}, {"--resume-failed", o.resumeFailed}, {"--retry-failed", o.retryFailed}} {
		if flag.set {
			given = append(given, flag.name)
		}
	}
	switch {
	case len(given) == 0 && o.changed:
		return usagef("--changed is for --resume and --resume-failed")
	case len(given) == 0:
		return nil
	case o.joblog == "":
		return usagef("%s needs the --joblog of the earlier run", given[0])
	case len(given) == 3 || len(given) == 2 && o.retryFailed:
		return usagef("%s do not go together", strings.Join(given, " and "))
	case o.changed && o.retryFailed:
		return usagef("--retry-failed takes the command from the joblog; leave out --changed")
	}
	return nil
}

// openJournal opens the joblog and what is beside it; nil without a --joblog.
func (o *runOptions) openJournal(spec command.Spec) (*command.Journal, error) {
	if o.joblog == "" {
		return nil, nil
	}
	opts := command.JournalOptions{Changed: o.changed, DryRun: o.dryRun}
	switch {
	case o.resumeFailed:
		opts.Resume = command.SkipDone
	case o.resume:
		opts.Resume = command.SkipEnded
	}
	j, err := command.OpenJournal(o.joblog, spec, opts)
	return j, journalError(err)
}

// openFailed opens the joblog of a run whose failed tasks are to be run again, and
// gives that run's Spec with what the user wants otherwise now.
func (o *runOptions) openFailed(f *pflag.FlagSet, words []string, given []argSource) (*command.Journal, command.Spec, error) {
	for _, flag := range []string{"arg-file", "glob", "shell", "cwd", "stdin", "env", "output", "input", "check", "scratch", "shuf"} {
		if f.Changed(flag) {
			return nil, command.Spec{}, usagef("--retry-failed takes command and inputs from the joblog; leave out --%s", flag)
		}
	}
	if len(words) > 0 || len(given) > 0 {
		return nil, command.Spec{}, usagef("--retry-failed takes command and inputs from the joblog; leave them out")
	}
	j, spec, err := command.OpenFailed(o.joblog, o.dryRun)
	if errors.Is(err, os.ErrNotExist) {
		return nil, spec, &inputError{err}
	}
	if err != nil {
		return nil, spec, journalError(err)
	}
	if f.Changed("timeout") {
		spec.Timeout = o.timeout.d
	}
	if f.Changed("retries") {
		spec.Retries, spec.Backoff = o.retries, o.backoff.d
	}
	if f.Changed("nice") {
		spec.Nice = o.nice
	}
	if f.Changed("max-memory") {
		spec.MaxMemory = o.maxMemory.n
	}
	if f.Changed("threads") {
		spec.Threads = o.threads
	}
	spec.Capture = o.capture()
	o.tags, err = command.ParseText(o.tagstring, spec.Template.Columns)
	if err != nil {
		return nil, spec, errors.Join(&usageError{err}, j.Close())
	}
	return j, spec, nil
}

// journalError tells what the user can do about from what the machine does.
func journalError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, command.ErrChanged):
		return usagef("%w; --changed says so", err)
	case errors.Is(err, command.ErrJoblog):
		return &inputError{err}
	}
	return err
}

// item is an input or why there is none.
type item struct {
	input            command.Input
	err              error
	left, leftFailed int  // inputs before it that are left out as an earlier run has them
	end              bool // there are no more inputs
}

// reader reads inputs in a goroutine of its own, as reading can block for ever.
func reader(inputs iter.Seq2[command.Input, error], j *command.Journal, quit <-chan struct{}) <-chan item {
	items := make(chan item, 256)
	left := func(it item) item {
		if j != nil {
			it.left, it.leftFailed = j.Left()
		}
		return it
	}
	go func() {
		for in, err := range inputs {
			select {
			case items <- left(item{input: in, err: err}):
			case <-quit:
				return
			}
		}
		select {
		case items <- left(item{end: true}):
		case <-quit:
		}
	}()
	return items
}

// hold gives the inputs again that it has read, and their number.
func hold(ctx context.Context, inputs iter.Seq2[command.Input, error]) (iter.Seq2[command.Input, error], int, error) {
	type read struct {
		all []command.Input
		err error
	}
	done := make(chan read, 1)
	go func() {
		var r read
		for in, err := range inputs {
			if err != nil {
				r.err = err
				break
			}
			r.all = append(r.all, in)
		}
		done <- r
	}()
	select {
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case r := <-done:
		return func(yield func(command.Input, error) bool) {
			for _, in := range r.all {
				if !yield(in, nil) {
					return
				}
			}
			if r.err != nil {
				yield(command.Input{}, r.err)
			}
		}, len(r.all), nil
	}
}

// haltedError says that --halt has ended a run.
type haltedError struct {
	halt command.Halt
}

func (e *haltedError) Error() string { return "ended early by --halt " + e.halt.String() }

// spill makes the folder for outputs that do not fit in memory, within that of the
// results if there is one, so that they need not be copied, and for Control.
func (o *runOptions) spill() (string, error) {
	parent := ""
	if o.resultsDir != nil {
		parent = o.resultsDir.dir
	}
	dir, err := os.MkdirTemp(parent, ".parade-")
	switch {
	case err != nil && (o.lineBuffer || o.ungroup): // which need it for little
		return "", nil
	case err != nil:
		return "", fmt.Errorf("there is no place for what the commands print: %w", err)
	}
	return filepath.Abs(dir)
}
