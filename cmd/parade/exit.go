package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
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
	exitInterrupted = 130
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
	{exitInterrupted, "interrupted by Ctrl-C (SIGINT); nothing is left running"},
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

// exitCode says with which code a command that returned err ends.
func exitCode(err error) int {
	var (
		sig   *signalError
		usage *usageError
		input *inputError
		tasks *parade.TaskError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &sig):
		if sig.signal == os.Interrupt {
			return exitInterrupted
		}
		return exitTerminated
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &input):
		return exitInput
	case errors.As(err, &tasks):
		return exitTasks
	}
	return exitFailure
}

// withSignals ends the context at the first Ctrl-C or SIGTERM, with a
// *signalError as its cause. A second one ends the process at once.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&signalError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-ended
	}
}

// exitCodesText is the help page of the exit codes.
func exitCodesText() string {
	var b strings.Builder
	b.WriteString("Every command ends with one of these codes.\n\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %3d  %s\n", c.code, c.meaning)
	}
	b.WriteString("\nErrors go to standard error, results to standard output.")
	return b.String()
}
