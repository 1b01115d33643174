//go:build unix

package process

import (
	"context"
	"fmt"
	"sync"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
)

// Executor runs jobs in child processes.
type Executor struct {
	cfg        Config
	info       parade.Info
	dispatcher *parade.Dispatcher

	mu       sync.Mutex
	closed   bool
	failures int // starts in a row that came to nothing
	output   sync.Mutex
}

func open(cfg Config) (*Executor, error) {
	e := &Executor{cfg: cfg, info: parade.Info{
		Kind: "processes", Workers: cfg.Workers, Cores: cores.Granted(), Threads: cfg.Threads, Host: host.Name(),
	}}
	e.dispatcher = parade.NewDispatcher(parade.DispatcherConfig{
		Workers: cfg.Workers, Heartbeat: cfg.Heartbeat, Missed: cfg.Missed, Grace: cfg.Grace,
		MaxTasks: cfg.MaxTasks, Initializer: cfg.Initializer, Build: cfg.Build, Gone: e.gone,
	})
	for number := range cfg.Workers {
		if err := e.start(number); err != nil {
			_ = e.Close()
			return nil, err
		}
	}
	return e, nil
}

// Run implements [parade.Executor].
func (e *Executor) Run(ctx context.Context, job *parade.Job) error {
	return e.dispatcher.Run(ctx, job)
}

// Start implements [parade.Starter].
func (e *Executor) Start(job *parade.Job) error { return e.dispatcher.Start(job) }

// Info implements [parade.Executor].
func (e *Executor) Info() parade.Info { return e.info }

// String is the executor's Info as text.
func (e *Executor) String() string { return e.Info().String() }

// Close stops what runs and ends the children. When it returns they are gone.
func (e *Executor) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.dispatcher.Close()
	return nil
}

func (e *Executor) start(number int) error {
	c, err := e.startChild(number, fmt.Sprintf("%s/%d", e.cfg.Name, number))
	if err != nil {
		return fmt.Errorf("process: starting worker %d: %w", number, err)
	}
	e.dispatcher.Add(c)
	return nil
}

// startWorker starts one child for an executor of another kind.
func startWorker(name string, number, threads int) (parade.Link, error) {
	e := &Executor{cfg: Config{Threads: threads}}
	e.cfg.complete()
	c, err := e.startChild(number, name)
	if err != nil {
		return nil, fmt.Errorf("process: starting a child of %s: %w", name, err)
	}
	return c, nil
}

const (
	// maxEarlyExits is how many children in a row may end before they serve
	// until the executor gives up, and maxEarlyKills how many may be killed:
	// by somebody else, so that the next one may live.
	maxEarlyExits = 3
	maxEarlyKills = 100
)

// gone replaces a child that has ended.
func (e *Executor) gone(l parade.Link, ready bool, err error) {
	c := l.(*child)
	e.mu.Lock()
	switch {
	case ready:
		e.failures = 0
	case c.killed():
		e.failures += maxEarlyExits
	default:
		e.failures += maxEarlyKills
	}
	closed, giveUp := e.closed, e.failures >= maxEarlyExits*maxEarlyKills
	e.mu.Unlock()
	if closed {
		return
	}
	if !giveUp {
		if err = e.start(c.number); err == nil {
			return
		}
	}
	e.dispatcher.Fail(fmt.Errorf("%w: %w", parade.ErrWorkerLost, err))
}
