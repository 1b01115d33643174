//go:build !unix

package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/parade-go/parade"
)

var errUnsupported = fmt.Errorf("processes: %w on %s, which has no Unix sockets to hand to a child; use threads", errors.ErrUnsupported, runtime.GOOS)

// Executor is not available on this system.
type Executor struct{}

func open(Config) (*Executor, error) { return nil, errUnsupported }

func serve() {}

func startWorker(string, int, int) (parade.Link, error) { return nil, errUnsupported }

// Run implements [parade.Executor].
func (e *Executor) Run(context.Context, *parade.Job) error { return errUnsupported }

// Start implements [parade.Starter].
func (e *Executor) Start(*parade.Job) error { return errUnsupported }

// Info implements [parade.Executor].
func (e *Executor) Info() parade.Info { return parade.Info{Kind: "processes"} }

// Close implements [parade.Executor].
func (e *Executor) Close() error { return nil }
