package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/cluster"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// engine makes an engine of two slots that started some minutes before noon.
func anEngine(id string, minutes, running int, done int64) cluster.Engine {
	return cluster.Engine{ID: id, Slots: 2, Running: running, Done: done, Started: noon.Add(-time.Duration(minutes) * time.Minute)}
}

// TestDemandWaiting: what no new engine could run starts none, and slots that cannot run what
// waits are not free for it.
func TestDemandWaiting(t *testing.T) {
	t.Parallel()
	plain := cluster.Engine{ID: "plain", Slots: 2}
	gpu := cluster.Engine{ID: "gpu", Slots: 2, Labels: []string{"gpu"}}
	full := cluster.Engine{ID: "full", Slots: 4, Running: 2, Resources: map[string]int64{"mem": 16}, Free: map[string]int64{"mem": 0}}
	offer := func(labels, resources []string) cluster.Engine {
		e, err := cluster.Offer(2, labels, resources)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, tc := range []struct {
		name    string
		next    cluster.Engine
		engines []cluster.Engine
		queue   cluster.Queue
		waiting int
		unfit   map[string]bool
	}{
		{"anything", offer(nil, nil), []cluster.Engine{plain}, cluster.Queue{Waiting: 3, Running: 2}, 3, map[string]bool{"plain": false}},
		{"a label that new ones lack", offer(nil, nil), []cluster.Engine{plain}, cluster.Queue{Waiting: 3, Requires: []string{"gpu"}}, 0, map[string]bool{"plain": true}},
		{"a label that only new ones have", offer([]string{"gpu"}, nil), []cluster.Engine{plain}, cluster.Queue{Waiting: 3, Requires: []string{"gpu"}}, 3, map[string]bool{"plain": true}},
		{"a label that one has", offer([]string{"gpu"}, nil), []cluster.Engine{plain, gpu}, cluster.Queue{Waiting: 3, Running: 2, Requires: []string{"gpu"}}, 3, map[string]bool{"plain": true, "gpu": false}},
		{"a resource that is held", offer(nil, []string{"mem=16"}), []cluster.Engine{full}, cluster.Queue{Waiting: 3, Running: 2, Requires: []string{"mem=8"}}, 3, map[string]bool{"full": true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n, unfit := waiting(cluster.Status{Engines: tc.engines, Queues: []cluster.Queue{tc.queue}}, tc.next)
			if n != tc.waiting {
				t.Errorf("%d wait, want %d", n, tc.waiting)
			}
			if diff := cmp.Diff(tc.unfit, unfit); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDemandStep(t *testing.T) {
	t.Parallel()
	idleSince := func(ago time.Duration, ids ...string) map[string]activity {
		all := map[string]activity{}
		for _, id := range ids {
			all[id] = activity{noon.Add(-ago), 7}
		}
		return all
	}
	for _, tc := range []struct {
		name   string
		d      demand
		s      sight
		start  int
		retire []string
	}{
		{"nothing to do", demand{max: 4, slots: 2}, sight{}, 0, nil},
		{"the minimum", demand{min: 2, max: 4, slots: 2}, sight{}, 2, nil},
		{"the minimum, partly there", demand{min: 3, max: 4, slots: 2}, sight{engines: []cluster.Engine{anEngine("a", 1, 0, 0)}, coming: 1}, 1, nil},
		{"first tasks, no engine: at once", demand{max: 4, slots: 2}, sight{waiting: 9}, 1, nil},
		{"tasks have only just begun to wait", demand{max: 4, slots: 2}, sight{waiting: 9, engines: []cluster.Engine{anEngine("a", 1, 2, 0)}}, 0, nil},
		{"tasks wait", demand{max: 9, slots: 2, since: noon.Add(-persist)}, sight{waiting: 3, engines: []cluster.Engine{anEngine("a", 1, 2, 0), anEngine("b", 1, 2, 0)}}, 2, nil},
		{"many tasks wait: no more than twice as many engines", demand{max: 9, slots: 2, since: noon.Add(-persist)}, sight{waiting: 300, engines: []cluster.Engine{anEngine("a", 1, 2, 0), anEngine("b", 1, 2, 0), anEngine("c", 1, 2, 0)}}, 3, nil},
		{"and no more than the maximum", demand{max: 4, slots: 2, since: noon.Add(-persist)}, sight{waiting: 300, engines: []cluster.Engine{anEngine("a", 1, 2, 0), anEngine("b", 1, 2, 0), anEngine("c", 1, 2, 0)}}, 1, nil},
		{"those that come have room", demand{max: 9, slots: 2, since: noon.Add(-persist)}, sight{waiting: 4, coming: 2, engines: []cluster.Engine{anEngine("a", 1, 2, 0)}}, 0, nil},
		{"slots are free", demand{max: 9, slots: 2, since: noon.Add(-time.Hour)}, sight{waiting: 4, engines: []cluster.Engine{anEngine("a", 1, 1, 0)}}, 0, nil},
		{"an engine that is idle", demand{max: 4, slots: 2, idle: time.Minute, active: idleSince(time.Minute, "a")}, sight{engines: []cluster.Engine{anEngine("a", 5, 0, 7)}}, 0, []string{"a"}},
		{"not for long enough", demand{max: 4, slots: 2, idle: time.Minute, active: idleSince(59*time.Second, "a")}, sight{engines: []cluster.Engine{anEngine("a", 5, 0, 7)}}, 0, nil},
		{"it was busy in between", demand{max: 4, slots: 2, idle: time.Minute, active: idleSince(time.Hour, "a")}, sight{engines: []cluster.Engine{anEngine("a", 5, 0, 8)}}, 0, nil},
		{"one that is not known yet", demand{max: 4, slots: 2, idle: time.Minute}, sight{engines: []cluster.Engine{anEngine("a", 5, 0, 7)}}, 0, nil},
		{"the newest go, the minimum stays", demand{min: 1, max: 4, slots: 2, idle: time.Minute, active: idleSince(time.Hour, "a", "b", "c")},
			sight{engines: []cluster.Engine{anEngine("b", 2, 0, 7), anEngine("a", 3, 0, 7), anEngine("c", 1, 0, 7)}}, 0, []string{"c", "b"}},
		{"a pause after a failure", demand{min: 1, max: 4, slots: 2, failures: 1, pause: noon.Add(time.Second)}, sight{waiting: 5}, 0, nil},
		{"one try after it", demand{min: 3, max: 4, slots: 2, failures: 1, pause: noon}, sight{waiting: 5}, 1, nil},
		{"an engine was lost on its way", demand{min: 1, max: 4, slots: 2}, sight{failed: 1}, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.s.at = noon
			start, retire := tc.d.step(tc.s)
			if start != tc.start {
				t.Errorf("starts %d, want %d", start, tc.start)
			}
			if diff := cmp.Diff(tc.retire, retire); diff != "" {
				t.Errorf("retires (-want +got):\n%s", diff)
			}
		})
	}
}

// fake is a world in which an engine of two slots comes some time after it was started, and does one
// task a second in each.
type fake struct {
	mu       sync.Mutex
	takes    time.Duration // from start to there
	tasks    int
	broken   bool
	min, max int

	engines []cluster.Engine
	due     []time.Time
	starts  []time.Time
	most    int
	n       int
}

func (f *fake) look(_ context.Context, d *demand) (sight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d.min, d.max, d.slots, d.idle = f.min, f.max, 2, time.Minute
	now := time.Now()
	f.due = slices.DeleteFunc(f.due, func(at time.Time) bool {
		if now.Before(at) {
			return false
		}
		f.n++
		f.engines = append(f.engines, cluster.Engine{ID: fmt.Sprint(f.n), Slots: 2, Started: now})
		return true
	})
	for i := range f.engines {
		e := &f.engines[i]
		e.Done += int64(e.Running)
		e.Running = min(2, f.tasks)
		f.tasks -= e.Running
	}
	f.most = max(f.most, len(f.engines)+len(f.due))
	return sight{at: now, waiting: f.tasks, engines: slices.Clone(f.engines), coming: len(f.due)}, nil
}

func (f *fake) start(_ context.Context, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.starts = append(f.starts, time.Now())
		if f.broken {
			return errors.New("no such partition")
		}
		f.due = append(f.due, time.Now().Add(f.takes))
	}
	return nil
}

func (f *fake) retire(_ context.Context, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.engines = slices.DeleteFunc(f.engines, func(e cluster.Engine) bool { return slices.Contains(ids, e.ID) })
	return nil
}

func TestFollow(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	run := func(t *testing.T, f *fake, then ...func()) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				follow(ctx, f, quiet)
				close(over)
			}()
			for _, step := range then {
				time.Sleep(30 * time.Minute)
				synctest.Wait()
				f.mu.Lock()
				step()
				f.mu.Unlock()
			}
			cancel()
			<-over
		})
	}
	t.Run("tasks come and go", func(t *testing.T) {
		t.Parallel()
		f := &fake{takes: 20 * time.Second, min: 1, max: 8}
		run(t, f, func() {
			if len(f.engines) != 1 || f.most != 1 {
				t.Errorf("%d engines with nothing to do, %d at most; want 1", len(f.engines), f.most)
			}
			f.tasks = 2000
		}, func() {
			if f.tasks != 0 {
				t.Errorf("%d tasks still wait", f.tasks)
			}
			if f.most != 8 {
				t.Errorf("%d engines at most, want 8", f.most)
			}
			if len(f.engines) != 1 {
				t.Errorf("%d engines stay, want 1", len(f.engines))
			}
		})
	})
	t.Run("a few tasks need few engines", func(t *testing.T) {
		t.Parallel()
		f := &fake{takes: 20 * time.Second, max: 8, tasks: 3}
		run(t, f, func() {
			if f.most > 2 || f.tasks != 0 || len(f.engines) != 0 {
				t.Errorf("%d engines at most, %d tasks and %d engines left", f.most, f.tasks, len(f.engines))
			}
		})
	})
	t.Run("what cannot be started is tried ever more seldom", func(t *testing.T) {
		t.Parallel()
		f := &fake{max: 8, tasks: 100, broken: true}
		run(t, f, func() {
			if n := len(f.starts); n < 5 || n > 12 { // 5 s, 10 s, ..., 5 min, 5 min
				t.Errorf("%d tries in half an hour", n)
			}
			f.broken = false
		}, func() {
			if f.tasks != 0 {
				t.Errorf("it did not recover: %d tasks left", f.tasks)
			}
		})
	})
}
