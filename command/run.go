package command

import (
	"context"
	"errors"
	"syscall"
)

func run(ctx context.Context, spec Spec, in Input) (Result, error) {
	return Result{}, errors.ErrUnsupported
}

func signalName(s syscall.Signal) string { return s.String() }

// Wait returns when no command that this process has started with Run is running any
// more. After a call that was cancelled it takes the Grace at most.
func Wait() {}
