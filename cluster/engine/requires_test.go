//go:build unix

package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/engine"
)

// crew starts engines, which end with the test.
func crew(t *testing.T, conn cluster.Connection, cfgs ...engine.Config) {
	t.Helper()
	cache := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	var engines sync.WaitGroup
	for _, cfg := range cfgs {
		cfg.Connection, cfg.Cache, cfg.Log = conn, cache, quiet
		engines.Go(func() {
			if err := engine.Run(ctx, cfg); err != nil {
				t.Errorf("engine %s: %v", cfg.ID, err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		engines.Wait()
	})
}

// worker is the name of the worker that runs the task, which begins with the engine's.
var worker = parade.PureContext("engine.worker", func(ctx context.Context, ms int) string {
	time.Sleep(time.Duration(ms) * time.Millisecond)
	task, _ := parade.TaskOf(ctx)
	return task.Worker
})

// beside is how many tasks run in a folder, with the one that asks.
var beside = parade.Func("engine.beside", func(in room) (int, error) {
	f, err := os.CreateTemp(in.Dir, "task-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	time.Sleep(time.Duration(in.MS) * time.Millisecond)
	all, err := os.ReadDir(in.Dir)
	return len(all), err
})

type room struct {
	Dir string
	MS  int
}

// free is how much of a resource the only engine has left, -1 if it is not heard of.
func free(client *cluster.Client, resource string) int64 {
	for _, e := range client.Engines() {
		return e.Free[resource]
	}
	return -1
}

// TestLabels: tasks run on the engines that have what is required, and wait for one while
// there is none.
func TestLabels(t *testing.T) {
	t.Parallel()
	_, client, conn := lab(t)
	crew(t, conn, engine.Config{ID: "plain", Slots: 2}, engine.Config{ID: "able", Slots: 2, Labels: []string{"gpu"}, Resources: []string{"mem=3G"}})
	if err := client.WaitForEngines(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tc := range []struct {
		name     string
		requires []string
		workers  int
	}{
		{"a label", []string{"gpu"}, 2},
		{"memory", []string{"mem=2G"}, 1},
		{"both", []string{"gpu", "mem=1G"}, 2},
	} {
		view := client.LoadBalanced().Require(tc.requires...)
		if n := view.Info().Workers; n != tc.workers {
			t.Errorf("%s: %d workers, want %d", tc.name, n, tc.workers)
		}
		names, err := parade.Map(ctx, view, worker, make([]int, 100), parade.BatchSize(1))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if i := slices.IndexFunc(names, func(name string) bool { return !strings.HasPrefix(name, "able") }); i >= 0 {
			t.Errorf("%s: task %d ran on %s", tc.name, i, names[i])
		}
	}
	if _, err := parade.Map(ctx, client.LoadBalanced().Require("mem=none"), worker, []int{1}); err == nil {
		t.Error("a requirement that is none is taken")
	}
	if err := cluster.Submit(ctx, client, "wrong", worker, []int{1}, nil, cluster.Require("a b")); err == nil {
		t.Error("a job with a requirement that is none is taken")
	}
	var has []string
	for _, e := range client.Engines() {
		has = append(has, e.Has()...)
	}
	if !slices.Equal(has, []string{"gpu", "mem=3G"}) {
		t.Errorf("engines have %q", has)
	}

	// A job and a call wait for an engine that comes later.
	if err := cluster.Submit(ctx, client, "later", worker, []int{0, 0}, nil, cluster.Require("tpu")); err != nil {
		t.Fatal(err)
	}
	waits := parade.Go(ctx, client.LoadBalanced().Require("tpu"), worker, 0)
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	if name, err := waits.Wait(short); err == nil {
		t.Errorf("it ran on %s", name)
	}
	stop()
	crew(t, conn, engine.Config{ID: "late", Slots: 1, Labels: []string{"tpu"}})
	if name, err := waits.Wait(ctx); err != nil || !strings.HasPrefix(name, "late") {
		t.Errorf("it ran on %s, %v", name, err)
	}
	if names, err := cluster.Attach(ctx, client, "later", worker); err != nil || !strings.HasPrefix(names[1], "late") {
		t.Errorf("the job ran on %q, %v", names, err)
	}
}

// TestResources: what tasks hold at a time is never more than there is, and all that is
// there is used.
func TestResources(t *testing.T) {
	t.Parallel()
	_, client, conn := lab(t)
	crew(t, conn, engine.Config{ID: "one", Slots: 8, Resources: []string{"license=2"}})
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tc := range []struct {
		name      string
		tasks, ms int
	}{{"short", 400, 1}, {"long", 12, 300}} {
		inputs := slices.Repeat([]room{{t.TempDir(), tc.ms}}, tc.tasks)
		seen, err := parade.Map(ctx, client.LoadBalanced().Require("license=1"), beside, inputs, parade.BatchSize(1))
		if err != nil {
			t.Fatal(err)
		}
		if most := slices.Max(seen); most != 2 {
			t.Errorf("%s: %d tasks ran at a time, want 2", tc.name, most)
		}
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n := free(client, "license")
		if n == 2 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("afterwards %d of 2 licenses are free", n)
		}
	}
}

// TestNoStarvation: a task that needs all of a resource gets it in spite of others that
// need a part each and never end, and what needs nothing goes on meanwhile.
func TestNoStarvation(t *testing.T) {
	t.Parallel()
	_, client, conn := lab(t)
	crew(t, conn, engine.Config{ID: "one", Slots: 5, Resources: []string{"mem=4G"}})
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const some = 5000 // tasks of 100 ms, that is more than this test has time for
	crowd, end := context.WithCancel(ctx)
	var small sync.WaitGroup
	var over atomic.Bool
	small.Go(func() {
		defer over.Store(true)
		_, _ = parade.Map(crowd, client.LoadBalanced().Require("mem=1G"), nap, slices.Repeat([]int{100}, some), parade.BatchSize(1))
	})
	defer small.Wait()
	defer end()
	for ctx.Err() == nil && free(client, "mem") != 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := parade.Go(ctx, client.LoadBalanced().Require("mem=4G"), nap, 1).Wait(ctx); err != nil || over.Load() {
		t.Fatalf("the large task waited for the end of the small ones, %v", err)
	}
	if _, err := parade.Map(ctx, client.LoadBalanced(), nap, make([]int, 50)); err != nil {
		t.Errorf("tasks that need nothing: %v", err)
	}
}

// TestSaysWhatIsMissing: the log has what a call waits for.
func TestSaysWhatIsMissing(t *testing.T) {
	var text lockedBuffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	defer slog.SetDefault(before)
	_, client, conn := lab(t)
	crew(t, conn, engine.Config{ID: "one", Slots: 1})
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_ = parade.Go(ctx, client.LoadBalanced().Require("gpu"), nap, 1)
	for ctx.Err() == nil && !strings.Contains(text.String(), "requires=[gpu]") {
		time.Sleep(50 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Errorf("the log has %q", text.String())
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
