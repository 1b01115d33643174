//go:build unix

package cluster_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// witness notes in a folder which engine it runs on, and when it is the second to do so
// returns the time. The first waits for the end of the folder.
var witness = parade.FuncContext("cluster.witness", func(ctx context.Context, dir string) (int64, error) {
	now := time.Now().UnixNano()
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getppid())), nil, 0o600); err != nil {
		return 0, err
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 1 {
		return now, err
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(dir); err != nil {
			return 0, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, ctx.Err()
})

// TestDetection measures the time from the death, or the freeze, of an engine to the start
// of its task on another. PARADE_DETECT is how often; two are for the CI.
func TestDetection(t *testing.T) {
	t.Parallel()
	times := 2
	if text := os.Getenv("PARADE_DETECT"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	_, engines, client := stage(t, 2)
	for _, way := range []struct {
		name   string
		signal syscall.Signal
	}{{"killed", syscall.SIGKILL}, {"frozen", syscall.SIGSTOP}} {
		var took []time.Duration
		for range times {
			took = append(took, detect(t, client, engines, way.signal))
		}
		slices.Sort(took)
		at := func(share float64) time.Duration {
			return took[int(share*float64(len(took)-1))].Round(10 * time.Millisecond)
		}
		t.Logf("%s %d times: the task starts elsewhere after %v at least, %v in the median, %v in nine of ten, %v at most",
			way.name, times, at(0), at(0.5), at(0.9), at(1))
	}
}

func detect(t *testing.T, client *cluster.Client, engines []*actor, signal syscall.Signal) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := client.LoadBalanced()
	// Both have children that are ready.
	for warm := map[int]bool{}; len(warm) < len(engines); {
		pids, err := parade.Map(ctx, all, where, make([]int, 100), parade.BatchSize(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			if slices.ContainsFunc(engines, func(a *actor) bool { return a.cmd.Process.Pid == pid }) {
				warm[pid] = true
			}
		}
	}
	dir := t.TempDir()
	f := parade.Go(ctx, all, witness, dir)
	var first *actor
	for first == nil {
		entries, err := os.ReadDir(dir)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			for _, a := range engines {
				if strconv.Itoa(a.cmd.Process.Pid) == e.Name() {
					first = a
				}
			}
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(time.Now().UnixNano()) % (500 * time.Millisecond)) // at any time between two of its signs of life
	struck := time.Now()
	first.signal(signal)
	again, err := f.Wait(ctx)
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	if signal == syscall.SIGSTOP {
		first.signal(syscall.SIGCONT)
	} else {
		first.kill(0)
	}
	return time.Unix(0, again).Sub(struck)
}
