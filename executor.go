package parade

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Executor runs jobs. Implement it to add a place where tasks can run; the
// paradetest package has the suite that an implementation must pass.
type Executor interface {
	// Run runs a job to its end: all tasks settled, or the job stopped,
	// which ends ctx too. It returns an error only when the executor cannot
	// run the job, never for failed tasks. Jobs may run at the same time.
	Run(ctx context.Context, job *Job) error
	// Info describes the executor.
	Info() Info
	// Close ends the executor and everything it started. Jobs still running
	// are stopped with [ErrClosed], and so are later ones.
	Close() error
}

// Starter is an [Executor] that can run a job without keeping a goroutine
// waiting, which makes single calls cheaper.
type Starter interface {
	// Start is Run that returns at once. An error means that the job was not
	// started.
	Start(job *Job) error
}

// Info describes an executor.
type Info struct {
	Kind    string // as Open knows it: "threads"
	Workers int
	Cores   int // granted to this process
	Threads int // inner threads (BLAS, OpenMP, GOMAXPROCS) that each worker may use
	Host    string
}

// String is, for example, "processes(workers=4, cores=4, threads per worker=1, host=lab7)".
func (i Info) String() string {
	return fmt.Sprintf("%s(workers=%d, cores=%d, threads per worker=%d, host=%s)", i.Kind, i.Workers, i.Cores, i.Threads, i.Host)
}

// Driver makes executors of one kind. A package that has one registers it in
// an init function, as database/sql drivers do.
type Driver struct {
	// Open makes an executor from what follows the colon in its string,
	// "" without one.
	Open func(ctx context.Context, arg string) (Executor, error)
	// Serve, if not nil, makes this process a worker and never returns, when
	// an executor of this kind started the process for that; otherwise it
	// returns at once.
	Serve func()
	// Worker, if not nil, starts one worker that another executor feeds: a rank of
	// MPI has its tasks run in a child process this way. Others than the name
	// and the number of threads of the worker are the kind's defaults.
	Worker func(name string, number, threads int) (Link, error)
}

var drivers struct {
	sync.Mutex
	byKind map[string]Driver
}

// Register makes a kind of executor known to [Open]. It panics when the kind
// is taken.
func Register(kind string, d Driver) {
	drivers.Lock()
	defer drivers.Unlock()
	if drivers.byKind == nil {
		drivers.byKind = map[string]Driver{}
	}
	if _, taken := drivers.byKind[kind]; taken {
		panic(fmt.Sprintf("parade.Register: there are two drivers for %q", kind))
	}
	drivers.byKind[kind] = d
}

// Kinds returns the kinds of executors that this program can open, sorted.
func Kinds() []string {
	drivers.Lock()
	defer drivers.Unlock()
	kinds := make([]string, 0, len(drivers.byKind))
	for kind := range drivers.byKind {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// imports says which package brings a kind that Open was asked for in vain.
var imports = map[string]string{
	"processes": "github.com/parade-go/parade/process",
	"mpi":       "github.com/parade-go/parade/mpi",
	"cluster":   "github.com/parade-go/parade/cluster",
}

// Open returns the executor that spec names: "serial", "threads", "threads:8",
// "processes", "processes:8" and so on, without a number with as many workers
// as cores are granted. In a process that was started as a worker, Open serves
// and never returns.
func Open(ctx context.Context, spec string) (Executor, error) {
	Serve()
	kind, arg, colon := strings.Cut(spec, ":")
	if colon && arg == "" {
		return nil, fmt.Errorf("parade: executor %q: a number of workers is missing after the colon; leave the colon out for one per core", spec)
	}
	drivers.Lock()
	d, ok := drivers.byKind[kind]
	drivers.Unlock()
	if ok {
		return d.Open(ctx, arg)
	}
	if path := imports[kind]; path != "" {
		return nil, fmt.Errorf("parade: executor %q is not part of this program: add import _ %q", kind, path)
	}
	return nil, fmt.Errorf("parade: there is no executor %q: this program has %s", spec, strings.Join(Kinds(), ", "))
}

// Serve turns a process that an executor started as a worker into one, and
// then never returns; in any other process it returns at once. [Open] calls
// it. Call it yourself, first in main or TestMain, when main does things
// before Open that workers should not repeat.
func Serve() {
	opened.Store(true)
	drivers.Lock()
	all := make([]Driver, 0, len(drivers.byKind))
	for _, d := range drivers.byKind {
		all = append(all, d)
	}
	drivers.Unlock()
	for _, d := range all {
		if d.Serve != nil {
			d.Serve()
		}
	}
}

// StartWorker starts one worker of a kind of executor, for an executor of another kind
// that feeds it through the link. The worker's end is the caller's affair.
func StartWorker(kind, name string, number, threads int) (Link, error) {
	drivers.Lock()
	d, ok := drivers.byKind[kind]
	drivers.Unlock()
	switch {
	case ok && d.Worker != nil:
		return d.Worker(name, number, threads)
	case ok:
		return nil, fmt.Errorf("parade: the executor %q has no workers for others to feed", kind)
	case imports[kind] != "":
		return nil, fmt.Errorf("parade: executor %q is not part of this program: add import _ %q", kind, imports[kind])
	}
	return nil, fmt.Errorf("parade: there is no executor %q: this program has %s", kind, strings.Join(Kinds(), ", "))
}

// WorkerCount reads the number of workers in an executor's string, such as the
// 4 of "threads:4". An empty arg gives the default.
func WorkerCount(kind, arg string, byDefault int) (int, error) {
	if arg == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("parade: executor \"%s:%s\": %q is not a number of workers; write for example %s:4", kind, arg, arg, kind)
	}
	return n, nil
}
