// Package mpi runs tasks on the ranks of an MPI job. The MPI library is found when the
// program runs: the same executable works under Open MPI, MPICH and its relatives (Intel
// MPI, Cray MPICH, MVAPICH), and the standard ABI of MPI 5. Importing the package makes
// "mpi" known to [parade.Open]:
//
//	import _ "github.com/parade-go/parade/mpi"
//
//	ex, err := parade.Open(ctx, "mpi") // mpiexec -n 8 ./program
//	defer ex.Close()
//	results, err := parade.Map(ctx, ex, fn, inputs)
//
// # The pool
//
// Under mpiexec or srun, rank 0 runs the program and the other ranks serve: they
// run main up to its first call of parade.Open or parade.Serve, and stay in there. What
// follows "mpi:" chooses: a number of workers, "all" to have rank 0 work too,
// "children" to run tasks in a child process of each rank, which may crash; or several
// of them with commas. Without mpiexec, "mpi:4" has MPI start four workers, where it
// can. A single rank computes by itself, and a warning says so.
//
// The ranks are let go, and MPI is finalised, when the last executor closes; a program
// that opens another one later calls [Keep] before, and [Finalize] at its end. A
// program under mpiexec that may end without an executor of MPI calls Finalize, too.
//
// # Communicators
//
// A program whose ranks all have work of their own calls [World] before the first
// parade.Open. Then no rank is taken away from it: [Comm.Open], called by every rank,
// gives the root an executor, and the others serve until the root closes it, and go on.
//
// # Failure
//
// MPI ends the whole job when a rank dies. The option "children" keeps what tasks do away
// from the ranks, and a parade.Journal keeps the results so far for the next run.
package mpi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

// Variables that choose.
const (
	// EnvLibrary names the file of the MPI library to load.
	EnvLibrary = "PARADE_MPI_LIBRARY"
	// EnvSwitch, when it is "off", keeps a process from taking itself for a
	// rank: srun -n 4 then starts four programs of their own.
	EnvSwitch = "PARADE_MPI"
	// EnvThreads lowers the level of thread support that is asked for: funneled,
	// serialized or, without it, multiple.
	EnvThreads = "PARADE_MPI_THREADS"
)

func init() {
	parade.Register("mpi", parade.Driver{
		Open: func(ctx context.Context, arg string) (parade.Executor, error) {
			cfg, err := ParseConfig(arg)
			if err != nil {
				return nil, err
			}
			return Open(ctx, cfg)
		},
		Serve: serve,
	})
}

// Config describes an executor. The zero Config uses every rank but the root.
type Config struct {
	// Workers is how many ranks work; 0 is all there are.
	Workers int
	// RootWorks has the root work, too, beside the program that it runs.
	RootWorks bool
	// Children runs the tasks of each rank in a child process of it, which is
	// replaced when a task kills it. The program must import package process.
	Children bool
	// Initializer runs in each worker before its first task, with the worker's
	// number, from 0, as input.
	Initializer *parade.Function[int, struct{}]
	// StartTimeout is how long the ranks may take to get to serving, and for
	// how long none of them may answer; 0 is 30 s.
	StartTimeout time.Duration
	// Heartbeat is how often a silent rank is asked whether it is there, 0 is
	// 1 s, and Missed after how many unanswered times its tasks run
	// elsewhere, 0 is 5.
	Heartbeat time.Duration
	Missed    int
	// Grace is how long a task may go on after its call has ended before its
	// rank goes on without it; 0 is 2 s. What the task does then cannot be stopped,
	// but with Children.
	Grace time.Duration
}

// startTimeout is what StartTimeout is when it is not set.
const startTimeout = 30 * time.Second

func (c *Config) complete() error {
	if c.StartTimeout <= 0 {
		c.StartTimeout = startTimeout
	}
	if c.Workers < 0 {
		return errors.New("mpi: Workers must not be negative")
	}
	return nil
}

// ParseConfig reads what follows "mpi:" in an executor's string: "", or words such as 4, all
// and children with commas between them. The error says what else there is.
func ParseConfig(arg string) (Config, error) {
	var cfg Config
	if arg == "" {
		return cfg, nil
	}
	for word := range strings.SplitSeq(arg, ",") {
		n, err := strconv.Atoi(word)
		switch {
		case err == nil && n > 0 && cfg.Workers == 0:
			cfg.Workers = n
		case word == "all" && !cfg.RootWorks:
			cfg.RootWorks = true
		case word == "children" && !cfg.Children:
			cfg.Children = true
		default:
			return cfg, fmt.Errorf("mpi: executor \"mpi:%s\": %q is no number of workers, \"all\" or \"children\"; write for example mpi:4 or mpi:4,children", arg, word)
		}
	}
	return cfg, nil
}

// pool is the ranks that serve this program, and who uses them.
var pool struct {
	sync.Mutex
	world    bool          // every rank runs the program: World came first
	serving  bool          // the other ranks serve: parade.Open or Serve came first
	started  chan struct{} // nil before MPI is; closed when the next three are set
	p        *port
	spawned  handle // to the ranks that this process has started, or 0
	err      error
	open     int // executors, those of communicators as well
	keep     bool
	finished bool
}

// Open returns an executor over the ranks that serve, or at other ranks than 0
// serves and never returns. In a program that called [World] first it is that
// communicator's Open, with rank 0 as root.
func Open(ctx context.Context, cfg Config) (*Executor, error) {
	parade.Serve()
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	pool.Lock()
	if pool.world {
		pool.Unlock() // tasks may run before c.Open returns
		c, err := theWorld()
		if err != nil {
			return nil, err
		}
		return c.Open(ctx, 0, cfg)
	}
	defer pool.Unlock()
	return openPool(ctx, cfg)
}

// openPool is called with the pool locked.
func openPool(ctx context.Context, cfg Config) (*Executor, error) {
	if pool.finished {
		return nil, errFinished
	}
	if rankServes.Load() {
		return nil, errors.New("mpi: a task cannot open the executor that runs it; use threads in tasks")
	}
	p, err := startPool(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := p.awaitMembers(cfg.StartTimeout, ctx.Done()); err != nil {
		if errors.Is(err, errGivenUp) {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	if p.size == 1 {
		if cfg.Workers > 1 {
			return nil, fmt.Errorf("mpi: %d workers are asked for, and there is one rank: start the program with mpiexec -n %d", cfg.Workers, cfg.Workers+1)
		}
		if !cfg.RootWorks { // which asks for that
			slog.Warn("mpi: there is one rank, which computes by itself; start the program with mpiexec -n 4 for three workers")
		}
	}
	ex, err := p.open(cfg, closePool)
	if err != nil {
		return nil, err
	}
	pool.open++
	return ex, nil
}

// startPool returns the port to the ranks when they are there, which need not be before
// the program asks again. It is called with the pool locked.
func startPool(ctx context.Context, cfg Config) (*port, error) {
	launchPool(cfg)
	patience := cmp.Or(max(cfg.StartTimeout, 0), startTimeout)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-pool.started:
		return pool.p, pool.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-late.C:
		return nil, fmt.Errorf("%w within %v: parade.Open or parade.Serve should be the first thing that main does", errAbsent, patience)
	}
}

var errAbsent = errors.New("mpi: some rank did not get to serving")

// launchPool initialises MPI and meets the other ranks, behind the caller's back. It is
// called with the pool locked.
func launchPool(cfg Config) {
	if pool.started != nil {
		return
	}
	started := make(chan struct{})
	pool.started = started
	go func() {
		pool.p, pool.spawned, pool.err = newPool(cfg)
		close(started)
	}()
}

// newPool makes the port to the ranks of the world or, when there is one rank only and
// several workers are wanted, to ranks that MPI starts.
func newPool(cfg Config) (*port, handle, error) {
	e, err := theEngine()
	if err != nil {
		return nil, 0, err
	}
	if e.size == 1 && cfg.Workers > 1 {
		n := cfg.Workers
		if cfg.RootWorks {
			n--
		}
		return spawnPool(e, n)
	}
	c, err := e.duplicate(context.Background(), e.lib.commWorld, nil)
	if err != nil {
		return nil, 0, err
	}
	p := newPort(c, 0)
	p.join(0, thisMember())
	return p, 0, nil
}

// duplicate makes a communicator for a port. All ranks of comm call it. When ctx ends
// before the last has, late gets the communicator.
func (e *engine) duplicate(ctx context.Context, comm handle, late func(*Comm)) (*Comm, error) {
	r := new(request)
	r.ended = func(err error) {
		if err == nil {
			e.late.Go(func() {
				if c, err := newComm(e, handle(*r.comm)); err == nil {
					late(c)
				}
			})
		}
	}
	err := e.do(func() error { return e.lib.startDuplicate(r, comm) })
	if err == nil {
		err = e.waitFor(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return newComm(e, handle(*r.comm))
}

// closePool lets the ranks go with the last executor.
func closePool() error {
	pool.Lock()
	defer pool.Unlock()
	pool.open--
	if pool.open > 0 || pool.keep {
		return nil
	}
	return finishPool()
}

// finishPatience is how long ranks may take to answer that they leave.
const finishPatience = 10 * time.Second

// finishPool is called with the pool locked.
func finishPool() error {
	pool.finished = true
	if err := pool.p.dismiss(finishPatience); err != nil {
		return err
	}
	e := pool.p.e
	pool.p.close()
	if err := e.settle(finishPatience); err != nil {
		return err
	}
	if pool.spawned != 0 {
		err := e.do(func() error { return errors.Join(e.lib.free(pool.p.comm), e.lib.leave(pool.spawned)) })
		if err != nil {
			return err
		}
	}
	return e.finalize()
}

// Keep keeps the ranks when the last executor closes, for the next one. The
// program then calls [Finalize] at its end.
func Keep() {
	pool.Lock()
	defer pool.Unlock()
	pool.keep = true
}

// Finalize lets the ranks go and finalises MPI, if that was ever initialised, after the
// last call of this package. In a program whose ranks all run it ([World]) all of
// them call it. It is needed after Keep and World, and harmless elsewhere.
func Finalize() error {
	pool.Lock()
	defer pool.Unlock()
	switch {
	case pool.finished:
		return nil
	case pool.open > 0:
		return fmt.Errorf("mpi: Finalize while %d executors are open; close them first", pool.open)
	case pool.world:
		pool.finished = true
		if engineValue == nil {
			return nil
		}
		if err := engineValue.settle(finishPatience); err != nil {
			return err
		}
		engineValue.late.Wait()
		return engineValue.finalize()
	case pool.started == nil && !(here.launched() && here.size != 1 && pool.serving):
		return nil
	}
	// The other ranks wait for us, even if nobody has asked for them.
	switch _, err := startPool(context.Background(), Config{}); {
	case errors.Is(err, errAbsent):
		return err
	case err != nil:
		return nil //nolint:nilerr // there is nothing to finalise
	}
	return finishPool()
}

// settle returns when everything that was sent has left.
func (e *engine) settle(patience time.Duration) error {
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		left := 0
		err := e.do(func() error {
			left = len(e.sending)
			return nil
		})
		switch {
		case err != nil || left == 0:
			return err
		case time.Since(start) > patience:
			return fmt.Errorf("mpi: %d messages were not taken within %v, so MPI cannot be finalised", left, patience)
		}
	}
}

// Setup is what MPI is on this machine.
type Setup struct {
	Library  string   // file, as it was looked for
	Version  string   // in the library's own words, first line
	ABI      string   // "Open MPI", "MPICH", "MPI standard ABI"
	Threads  string   // level of thread support: "multiple"
	Launcher string   // what started this process, "" for none
	Ranks    int      // in this job
	Hosts    []string // of the ranks, each once, by first rank
}

// Describe initialises MPI, if that has not been done, and says what it is. At ranks
// other than 0 it serves and never returns.
func Describe(ctx context.Context) (Setup, error) {
	parade.Serve()
	pool.Lock()
	defer pool.Unlock()
	if pool.finished {
		return Setup{}, errFinished
	}
	if pool.world {
		return Setup{}, errors.New("mpi: Describe is for programs whose other ranks serve")
	}
	p, err := startPool(ctx, Config{})
	if err != nil {
		return Setup{}, err
	}
	if err := p.awaitMembers(startTimeout, ctx.Done()); err != nil {
		return Setup{}, err
	}
	e := p.e
	version, _, _ := strings.Cut(e.lib.version, "\n")
	s := Setup{
		Library: e.lib.file, Version: strings.TrimSpace(version), ABI: e.lib.family.String(),
		Threads: threadNames[e.level], Launcher: here.by, Ranks: p.size,
	}
	seen := map[string]bool{}
	for _, m := range p.members {
		if !seen[m.Host] {
			seen[m.Host] = true
			s.Hosts = append(s.Hosts, m.Host)
		}
	}
	return s, nil
}

// Launched says whether mpiexec or srun started this process as a rank, and as
// one of how many, 0 if unknown.
func Launched() (ranks int, ok bool) { return here.size, here.launched() }

// fatal ends a rank that cannot serve. A launcher ends the others, too.
func fatal(err error) {
	fmt.Fprintf(os.Stderr, "parade: rank %d cannot serve: %v\n", here.rank, err)
	if e := engineValue; e != nil {
		_ = e.do(func() error { return e.lib.check("Abort", e.lib.abort.call(e.lib.commWorld, 1)) })
	}
	os.Exit(1)
}

// commandLine is how this program was called, to be shown.
func commandLine() string { return strings.Join(os.Args, " ") }
