package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/parade-go/parade"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, exitOK},
		{"anything", errors.New("x"), exitFailure},
		{"usage", fmt.Errorf("wrapped: %w", usagef("x")), exitUsage},
		{"input", &inputError{os.ErrNotExist}, exitInput},
		{"task", &parade.JobError{Failed: []*parade.TaskError{{Err: errors.New("x")}}}, exitTasks},
		{"stopped job", &parade.JobError{Err: context.DeadlineExceeded}, exitFailure},
		{"ctrl-c", &signalError{os.Interrupt}, exitInterrupted},
		{"terminated", &signalError{syscall.SIGTERM}, exitTerminated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := exitCode(tc.err); got != tc.want {
				t.Errorf("%v gives %d, want %d", tc.err, got, tc.want)
			}
		})
	}
}
