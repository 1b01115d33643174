//go:build static || !((linux && !android) || darwin) || !(amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"runtime"
)

func load(launch) (*library, error) {
	return nil, fmt.Errorf("mpi: %w on %s/%s, or in a program built with the tag static, which loads no library", errors.ErrUnsupported, runtime.GOOS, runtime.GOARCH)
}

func (f function) call(...uintptr) int { return 0 }

func setenv(string, string) {}
