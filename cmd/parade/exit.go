package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/parade-go/parade"
)

// The exit codes. They are part of the command's interface: scripts branch on
// them, so a number never changes its meaning.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitTasks       = 3
	exitInput       = 4
	exitHangup      = 129
	exitInterrupted = 130
	exitPipe        = 141
	exitTerminated  = 143
)

// exitCodes is the table that "parade help exit-codes" and docs/exit-codes.md
// show; a test compares them.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "everything was done"},
	{exitFailure, "failed for another reason: an executor that cannot be opened, a folder that cannot be written, results that differ"},
	{exitUsage, "wrong usage: an unknown command or flag, or a value that it does not take; nothing was started"},
	{exitTasks, "some tasks failed; the message names them"},
	{exitInput, "an input file is missing, or is not what it should be; the message names the row"},
	{exitHangup, "ended by SIGHUP; parade run finishes the tasks that run; nothing is left running"},
	{exitInterrupted, "interrupted by Ctrl-C (SIGINT); nothing is left running"},
	{exitPipe, "nobody reads the output any more (SIGPIPE), as with \"| head\"; nothing is left running"},
	{exitTerminated, "ended by SIGTERM; nothing is left running"},
}

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// inputError is a file of the user's that cannot be used.
type inputError struct{ err error }

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

// signalError is why a command's context ended when a signal came.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted"
	}
	return "ended by signal: " + e.signal.String()
}

// errClosedPipe ends a command whose output nobody reads any more. It is no news to
// the user.
var errClosedPipe = errors.New("nobody reads the output")

// exitCode says with which code a command that returned err ends.
func exitCode(err error) int {
	var (
		sig   *signalError
		usage *usageError
		input *inputError
		tasks *parade.TaskError
		some  *failedError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &sig):
		switch sig.signal {
		case os.Interrupt:
			return exitInterrupted
		case syscall.SIGHUP:
			return exitHangup
		}
		return exitTerminated
	case errors.Is(err, errClosedPipe):
		return exitPipe
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &input):
		return exitInput
	case errors.As(err, &tasks), errors.As(err, &some):
		return exitTasks
	}
	return exitFailure
}

// withSignals ends the context at the first Ctrl-C, SIGTERM or SIGHUP, with a
// *signalError as its cause, unless takeSignals was called. A second one ends the
// process at once.
func withSignals(parent context.Context) (context.Context, func()) {
	taken := new(atomic.Pointer[func(os.Signal)])
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, takenKey{}, taken))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case s := <-signals:
				if handle := taken.Load(); handle != nil {
					(*handle)(s)
					continue
				}
				signal.Stop(signals)
				cancel(&signalError{s})
			case <-ctx.Done():
			}
			return
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-ended
	}
}

// takenKey finds who takes the signals, in a context of withSignals.
type takenKey struct{}

// takeSignals has handle called for every signal from now on, until the function
// that it returns is.
func takeSignals(ctx context.Context, handle func(os.Signal)) (release func()) {
	taken, ok := ctx.Value(takenKey{}).(*atomic.Pointer[func(os.Signal)])
	if !ok {
		return func() {}
	}
	taken.Store(&handle)
	return func() { taken.Store(nil) }
}

// exitCodesText is the help page of the exit codes.
func exitCodesText() string {
	var b strings.Builder
	b.WriteString("Every command ends with one of these codes.\n\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %3d  %s\n", c.code, c.meaning)
	}
	b.WriteString("\nErrors go to standard error, results to standard output. A job that parade attach lets go of\nis left running, by its cluster.")
	return b.String()
}
