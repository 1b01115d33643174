package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mpi"
)

// executorKinds are the executors of this program, simplest first.
var executorKinds = []string{"serial", "threads", "processes", "mpi"}

// usualExecutors are those that commands use which compare several: mpi is one where
// mpiexec has started ranks for it.
func usualExecutors() []string {
	if ranks, ok := mpi.Launched(); ok && ranks != 1 {
		return executorKinds
	}
	return slices.DeleteFunc(slices.Clone(executorKinds), func(kind string) bool { return kind == "mpi" })
}

// clusterKind is the executor that needs something to be started before.
const clusterKind = "cluster"

// checkExecutors refuses executors that Open does not know, before any work.
func checkExecutors(specs []string) error {
	if len(specs) == 0 {
		return usagef("--on needs an executor: %s", strings.Join(executorKinds, ", "))
	}
	for i, spec := range specs {
		kind, arg, _ := strings.Cut(spec, ":")
		switch {
		case kind == clusterKind:
			if _, err := clusterName([]string{cmp.Or(arg, defaultCluster)}); err != nil || strings.HasSuffix(spec, ":") {
				return usagef("--on %s: %q is not a cluster's name; write for example cluster:lab", spec, arg)
			}
			continue
		case !slices.Contains(executorKinds, kind):
			return usagef("--on %s: there is no such executor; there are %s, cluster:NAME", spec, strings.Join(executorKinds, ", "))
		case kind == "serial" && strings.Contains(spec, ":"):
			return usagef("--on %s: serial takes no number of workers", spec)
		case slices.Contains(specs[:i], spec):
			return usagef("--on %s: named twice", spec)
		}
		if kind == "mpi" {
			if _, err := mpi.ParseConfig(arg); err != nil || arg == "" && strings.Contains(spec, ":") {
				return usagef("--on %s: write mpi, mpi:4, mpi:all (rank 0 works, too) or mpi:children (tasks run in children of the ranks)", spec)
			}
			continue
		}
		if strings.Contains(spec, ":") {
			if _, err := parade.WorkerCount(kind, arg, 0); err != nil || arg == "" {
				return usagef("--on %s: %q is not a number of workers; write for example %s:4", spec, arg, kind)
			}
		}
	}
	return nil
}

// opened is an executor under the name by which it was asked for.
type opened struct {
	spec string
	parade.Executor
}

// checkJobs refuses n workers beside an executor that says their number itself.
func checkJobs(spec string, n int) error {
	kind, _, _ := strings.Cut(spec, ":")
	switch {
	case kind == clusterKind:
		return usagef("--on %s: the cluster's engines say the number of workers; leave out --jobs", spec)
	case kind == "mpi":
		return usagef("--on %s: mpiexec -n says the number of workers; leave out --jobs, or write mpi:%d", spec, n)
	case strings.Contains(spec, ":"):
		return usagef("--on %s already says the number of workers; leave out --jobs", spec)
	case spec == "serial" && n != 1:
		return usagef("--on serial has one worker; leave out --jobs or take another executor")
	}
	return nil
}

// mpiWorkers is how many workers what follows "mpi:" comes to.
func mpiWorkers(arg string) int {
	cfg, err := mpi.ParseConfig(arg)
	if err == nil && cfg.Workers > 0 {
		return cfg.Workers
	}
	n, _ := mpi.Launched()
	if !cfg.RootWorks {
		n--
	}
	return max(1, n)
}

func openExecutor(ctx context.Context, spec string) (parade.Executor, error) {
	if kind, _, _ := strings.Cut(spec, ":"); kind == clusterKind {
		forgetArguments()
	}
	ex, err := parade.Open(ctx, spec)
	if err != nil {
		_, name, _ := strings.Cut(spec, ":")
		return nil, fmt.Errorf("executor %s: %w", spec, unanswered(cmp.Or(name, defaultCluster), err))
	}
	return ex, nil
}

// forgetArguments keeps the command line from a cluster. The engines' children come to
// parade.Serve with any. Without it a long list of inputs cannot be too much for the record
// of this program, observers do not see what --env sets, and engines have no children to
// start for the next command.
func forgetArguments() { os.Args = os.Args[:min(1, len(os.Args))] }

// openExecutors opens all of them, or none. Those in specs that this system does
// not have are left out and returned when optional is set.
func openExecutors(ctx context.Context, specs []string, optional bool) (open []opened, missing []string, err error) {
	for _, spec := range specs {
		ex, err := openExecutor(ctx, spec)
		if optional && errors.Is(err, errors.ErrUnsupported) {
			missing = append(missing, spec)
			continue
		}
		if err != nil {
			return nil, nil, errors.Join(err, closeExecutors(open))
		}
		open = append(open, opened{spec, ex})
	}
	return open, missing, nil
}

func closeExecutors(all []opened) error {
	var errs []error
	for _, ex := range all {
		errs = append(errs, ex.Close())
	}
	return errors.Join(errs...)
}
