package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parade-go/parade"
)

// executorKinds are the executors of this program, simplest first.
var executorKinds = []string{"serial", "threads", "processes"}

// later are executors that this program does not have.
var later = []string{"mpi", "cluster"}

// checkExecutors refuses executors that Open does not know, before any work.
func checkExecutors(specs []string) error {
	if len(specs) == 0 {
		return usagef("--on needs an executor: %s", strings.Join(executorKinds, ", "))
	}
	for i, spec := range specs {
		kind, arg, _ := strings.Cut(spec, ":")
		switch {
		case slices.Contains(later, kind):
			return usagef("--on %s: the %s executor is not part of this program yet; there are %s", spec, kind, strings.Join(executorKinds, ", "))
		case !slices.Contains(executorKinds, kind):
			return usagef("--on %s: there is no such executor; there are %s", spec, strings.Join(executorKinds, ", "))
		case kind == "serial" && strings.Contains(spec, ":"):
			return usagef("--on %s: serial takes no number of workers", spec)
		case slices.Contains(specs[:i], spec):
			return usagef("--on %s: named twice", spec)
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
	switch {
	case strings.Contains(spec, ":"):
		return usagef("--on %s already says the number of workers; leave out --jobs", spec)
	case spec == "serial" && n != 1:
		return usagef("--on serial has one worker; leave out --jobs or take another executor")
	}
	return nil
}

func openExecutor(ctx context.Context, spec string) (parade.Executor, error) {
	ex, err := parade.Open(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("executor %s: %w", spec, err)
	}
	return ex, nil
}

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
