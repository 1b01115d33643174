package mpi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
)

// Executor runs jobs on ranks of MPI. At a rank of a communicator that is not its root it
// has served, and refuses jobs with [ErrNotRoot].
type Executor struct {
	cfg        Config
	p          *port
	info       parade.Info
	dispatcher *parade.Dispatcher // nil where this rank is not the root
	leave      func() error       // what Close does in the end

	mu       sync.Mutex
	closed   bool
	failures int // sessions in a row that came to nothing
	ready    int // sessions that have said hello
	late     *time.Timer
}

// ErrNotRoot is the error of calls at a rank that is not the root of its communicator:
// the results are at the root.
var ErrNotRoot = errors.New("mpi: this rank has served and is not the root, which has the results; ask Executor.Root before you call")

// open makes an executor at the root of a port.
func (p *port) open(cfg Config, leave func() error) (*Executor, error) {
	ranks := p.workers(cfg.RootWorks)
	switch {
	case cfg.Workers > len(ranks):
		return nil, fmt.Errorf("mpi: %d workers are asked for, and there are %d ranks to work; start more with mpiexec -n %d, or let rank %d work too (RootWorks, \"mpi:all\")",
			cfg.Workers, len(ranks), cfg.Workers+1, p.root)
	case cfg.Workers > 0:
		ranks = ranks[:cfg.Workers]
	}
	ex := &Executor{cfg: cfg, p: p, leave: leave, info: parade.Info{
		Kind: "mpi", Workers: len(ranks), Cores: cores.Granted(), Threads: p.threadsOf(ranks[0]), Host: host.Name(),
	}}
	ex.dispatcher = parade.NewDispatcher(parade.DispatcherConfig{
		Workers: len(ranks), Heartbeat: cfg.Heartbeat, Missed: cfg.Missed, Grace: cfg.Grace,
		Initializer: cfg.Initializer, Gone: ex.gone, Share: ex.share,
	})
	ex.late = time.AfterFunc(cfg.StartTimeout, ex.nobody)
	for number, rank := range ranks {
		ex.start(number, rank)
	}
	return ex, nil
}

// workers are the ranks that work.
func (p *port) workers(rootWorks bool) []int {
	var ranks []int
	for rank := range p.size {
		if rank != p.root || rootWorks || p.size == 1 {
			ranks = append(ranks, rank)
		}
	}
	return ranks
}

func (ex *Executor) start(number, rank int) {
	p := ex.p
	p.mu.Lock()
	most := (p.e.tagMax - 1) / 2
	for {
		p.lastTag = p.lastTag%most + 1
		if p.links[p.lastTag] == nil {
			break
		}
	}
	id := p.lastTag
	l := &link{e: ex, rank: rank, number: number, id: id, ended: make(chan struct{})}
	p.links[id] = l
	p.mu.Unlock()
	l.stream = p.newStream(rank, 2*id, 2*id+1)
	p.send(rank, note{Op: "open", Session: id, Name: p.name(rank), Number: number, Threads: p.threadsOf(rank), Children: ex.cfg.Children})
	ex.dispatcher.Add(l)
}

// count counts sessions that are there, and gives up when there has been none for long.
func (ex *Executor) count(n int) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	ex.ready += n
	switch {
	case ex.ready > 0 || ex.closed:
		ex.late.Stop()
	default:
		ex.late.Reset(ex.cfg.StartTimeout)
	}
}

func (ex *Executor) nobody() {
	ex.dispatcher.Fail(fmt.Errorf("%w: no rank has answered for %v", parade.ErrWorkerLost, ex.cfg.StartTimeout))
}

// gone opens another session at a rank, in place of one that has ended.
func (ex *Executor) gone(l parade.Link, ready bool, err error) {
	const maxEarlyEnds = 3
	if errors.Is(err, parade.ErrFrozen) && !ex.cfg.Children {
		slog.Warn("mpi: a rank is frozen; its tasks run elsewhere", "rank", l.(*link).rank, "error", err)
	}
	ex.mu.Lock()
	if ex.failures++; ready {
		ex.failures = 0
	}
	closed, giveUp := ex.closed, ex.failures >= maxEarlyEnds
	ex.mu.Unlock()
	ex.p.mu.Lock()
	away, all := ex.p.away[l.(*link).rank], len(ex.p.away)+1 >= ex.p.size
	ex.p.mu.Unlock()
	switch {
	case closed, away && !all:
	case giveUp, away:
		ex.dispatcher.Fail(fmt.Errorf("%w: %w", parade.ErrWorkerLost, err))
	default:
		ex.start(l.Number(), l.(*link).rank)
	}
}

// share sends a large bound argument to all ranks at once.
func (ex *Executor) share(chunks [][]byte) (tag uint64, release func(), ok bool) {
	if ex.cfg.Children || ex.p.size < 2 {
		return 0, nil, false
	}
	return ex.p.handed.send(ex.p, chunks, ex.cfg.RootWorks)
}

// Root says whether this rank has the executor: the root of its communicator. At other
// ranks [Comm.Open] has returned because they have served.
func (ex *Executor) Root() bool { return ex.dispatcher != nil }

// Run implements [parade.Executor].
func (ex *Executor) Run(ctx context.Context, job *parade.Job) error {
	if !ex.Root() {
		return ErrNotRoot
	}
	return ex.dispatcher.Run(ctx, job)
}

// Start implements [parade.Starter].
func (ex *Executor) Start(job *parade.Job) error {
	if !ex.Root() {
		return ErrNotRoot
	}
	return ex.dispatcher.Start(job)
}

// Info implements [parade.Executor].
func (ex *Executor) Info() parade.Info { return ex.info }

// String is the executor's Info as text.
func (ex *Executor) String() string { return ex.Info().String() }

// Close stops what runs and lets the ranks go: those of a communicator go on with their
// program; those of the pool end when its last executor is closed, unless [Keep] was
// called. Then MPI is finalised, too.
func (ex *Executor) Close() error {
	ex.mu.Lock()
	if ex.closed || !ex.Root() {
		ex.mu.Unlock()
		return nil
	}
	ex.closed = true
	ex.late.Stop()
	ex.mu.Unlock()
	ex.dispatcher.Close()
	return ex.leave()
}
