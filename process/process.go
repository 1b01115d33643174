// Package process is the executor over child processes that run this same
// program again. Importing it makes "processes" known to [parade.Open]:
//
//	import _ "github.com/parade-go/parade/process"
//
//	ex, err := parade.Open(ctx, "processes:4")
//	defer ex.Close()
//	results, err := parade.Map(ctx, ex, fn, inputs)
//
// A child runs the program's main up to its first call of parade.Open or
// parade.Serve, and from there on serves tasks. Children are started once and
// kept between calls. What they print appears in this program's output line by
// line, with the worker's name; what main prints before Open does not appear
// twice. A child whose parent has gone ends within a second, with everything
// it started.
//
// The executor needs Unix sockets and process groups: on Windows Open returns
// [errors.ErrUnsupported].
package process

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
)

func init() {
	parade.Register("processes", parade.Driver{
		Open: func(ctx context.Context, arg string) (parade.Executor, error) {
			n, err := parade.WorkerCount("processes", arg, cores.Granted())
			if err != nil {
				return nil, err
			}
			return Open(ctx, Config{Workers: n})
		},
		Serve:  serve,
		Worker: startWorker,
	})
}

// Config describes the children. The zero Config gives one worker per granted
// core.
type Config struct {
	// Workers is the number of children; 0 is the number of granted cores.
	Workers int
	// Threads is how many threads each child may use: GOMAXPROCS, and the
	// variables that OpenMP, OpenBLAS, MKL and others read. 0 divides the
	// granted cores by Workers.
	Threads int
	// MaxTasks replaces a child after that many tasks; 0 never does.
	MaxTasks int
	// MemoryLimit kills and replaces a child whose resident memory exceeds
	// so many bytes; 0 is no limit. The task that was running is tried again
	// in a new child, as often as parade.Crashes allows. Linux only.
	MemoryLimit int64
	// Initializer runs in each child before its first task, with the child's
	// number, from 0, as input. It may take as long as it needs.
	Initializer *parade.Function[int, struct{}]
	// Program is the executable that the children run instead of this
	// program, with the arguments Args (the first is its name), in Dir unless that is
	// "", with Env added to this program's environment. Build is its
	// [parade.BuildID]. Only jobs of a [parade.Relay] can then be run.
	Program string
	Args    []string
	Dir     string
	Env     []string
	Build   uint64
	// Name is what the workers' names begin with; "" is "processes".
	Name string
	// Stdout and Stderr get what the children print, a line at a time; nil is
	// this program's own.
	Stdout, Stderr io.Writer
	// StartTimeout is how long a child may take to reach parade.Open; 0 is 30 s.
	StartTimeout time.Duration
	// Heartbeat is how often a silent child is asked whether it is there, 0
	// is 1 s, and Missed after how many unanswered times it counts as frozen
	// and is replaced, 0 is 5.
	Heartbeat time.Duration
	Missed    int
	// Grace is how long a task may go on after its call has ended before its
	// child is replaced; 0 is 2 s.
	Grace time.Duration
}

// Open starts the children and returns without waiting for them to be ready.
// Cancelling ctx later has no effect; call Close.
func Open(ctx context.Context, cfg Config) (*Executor, error) {
	parade.Serve()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if cfg.Workers < 0 || cfg.Threads < 0 || cfg.MaxTasks < 0 || cfg.MemoryLimit < 0 {
		return nil, errors.New("process: Workers, Threads, MaxTasks and MemoryLimit must not be negative")
	}
	cfg.complete()
	return open(cfg)
}

func (cfg *Config) complete() {
	if cfg.Workers == 0 {
		cfg.Workers = cores.Granted()
	}
	if cfg.Threads == 0 {
		cfg.Threads = cores.InnerThreads(cfg.Workers)
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = time.Second
	}
	if cfg.Missed <= 0 {
		cfg.Missed = 5
	}
	if cfg.Name == "" {
		cfg.Name = "processes"
	}
	if cfg.Stdout == nil {
		cfg.Stdout = os.Stdout
	}
	if cfg.Stderr == nil {
		cfg.Stderr = os.Stderr
	}
}
