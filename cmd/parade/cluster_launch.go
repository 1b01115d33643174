package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade/cluster/launch"
)

// localLauncher starts engines on this machine.
const localLauncher = "local"

// outward reports whether a URL can be reached from other machines.
func outward(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// stoppingFile is there while a cluster is being stopped, and until its controller starts again.
func stoppingFile(folder string) string { return filepath.Join(folder, "stopping") }

// cancelPatience is how long a batch system or a host may take to cancel one job.
const cancelPatience = 30 * time.Second

// cancelLaunched cancels what there still is of what was started for a cluster, and says of how much.
// What could not be cancelled stays noted, for another stop. The ranks of an MPI program are asked to
// end like other engines, and only mpi has the rest of it ended, too.
func cancelLaunched(ctx context.Context, folder string, mpi bool) (n int, err error) {
	all, err := readLaunched(folder)
	if !mpi {
		all = slices.DeleteFunc(all, func(l launched) bool { return l.System == mpiLauncher })
	}
	if err != nil || len(all) == 0 {
		return 0, err
	}
	if err := cancel(ctx, folder, all); err != nil {
		return 0, err
	}
	return len(all), nil
}

// cancel cancels some of what was started, and forgets it.
func cancel(ctx context.Context, folder string, all []launched) error {
	asking, done := context.WithTimeout(ctx, cancelPatience)
	known, _ := states(asking, all) // those that cannot be asked are cancelled
	done()
	ended := map[string]bool{}
	var mu sync.Mutex
	var errs []error
	var work sync.WaitGroup
	few := make(chan struct{}, 8)
	for _, l := range all {
		if known[l.key()] == launch.Vanished {
			mu.Lock()
			ended[l.key()] = true
			mu.Unlock()
			continue
		}
		work.Go(func() {
			few <- struct{}{}
			defer func() { <-few }()
			one, cancel := context.WithTimeout(ctx, cancelPatience)
			defer cancel()
			err := l.cancel(one)
			if err != nil { // because it has just ended?
				now, _ := states(one, []launched{l})
				if now[l.key()] == launch.Vanished {
					err = nil
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %s is not cancelled, and stays noted: %w", l.System, l.ID, err))
			} else {
				ended[l.key()] = true
			}
		})
	}
	work.Wait()
	err := changeLaunched(folder, func(all []launched) []launched {
		var left []launched
		for _, l := range all {
			if !ended[l.key()] {
				left = append(left, l)
			}
		}
		return left
	})
	return errors.Join(append(errs, err)...)
}

// runsMPI reports whether an mpiexec of this machine still runs. Another process may have its number
// by now.
func runsMPI(l launched) bool {
	out, err := exec.Command("ps", "-o", "args=", "-p", strconv.Itoa(l.PID)).Output()
	return err == nil && strings.Contains(string(out), "cluster engine") && strings.Contains(string(out), l.ID)
}

// endMPI ends an mpiexec, and with it its ranks.
func endMPI(ctx context.Context, l launched) error {
	for _, signal := range []string{"-TERM", "-KILL"} {
		if !runsMPI(l) {
			return nil
		}
		if err := exec.CommandContext(ctx, "kill", signal, strconv.Itoa(l.PID)).Run(); err != nil && runsMPI(l) {
			return err
		}
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if !runsMPI(l) {
				return nil
			}
		}
	}
	return fmt.Errorf("mpiexec, process %d, does not end", l.PID)
}
