//go:build unix

package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// TestTaskInfo: a task tells its engine, and what it printed comes along.
func TestTaskInfo(t *testing.T) {
	ctl, _, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a := cluster.ApplyAsync(ctx, client.Direct(), shout, 3, parade.CaptureOutput(), parade.CollectErrors())
	out, err := a.Wait(ctx)
	if err != nil || !slices.Equal(out, []int{3, 3}) {
		t.Fatal(out, err)
	}
	tasks := a.Tasks()
	if len(tasks) != 2 {
		t.Fatalf("%d tasks are known", len(tasks))
	}
	for i, e := range client.Engines() {
		got := tasks[i]
		if got.Engine != e.ID || got.Host != e.Host || got.Worker == "" || got.Stdout.Text != "out 3\n" || got.Stderr.Text != "err 3\n" || got.Time() <= 0 {
			t.Errorf("task %d is %+v, on engine %s", i, got, e.ID)
		}
	}
	// Parcels that are cut, given back and put together again tell of every task once.
	seen := make([]int, 300)
	in := make([]int, len(seen))
	for i := range in {
		in[i] = i % 5
	}
	_, err = parade.Map(ctx, client.LoadBalanced(), doze, in, parade.Retries(1), parade.OnTask(func(info parade.TaskInfo) {
		seen[info.Index]++
		attempt := 1
		if in[info.Index] == 3 {
			attempt = 2
		}
		if info.Attempt != attempt || info.Engine == "" || info.Time() < time.Duration(in[info.Index])*time.Millisecond {
			t.Errorf("task %d: %+v", info.Index, info)
		}
	}))
	if err != nil || slices.Min(seen) != 1 || slices.Max(seen) != 1 {
		t.Errorf("told of tasks between %d and %d times, %v", slices.Min(seen), slices.Max(seen), err)
	}
	// A job keeps what is known of its tasks for those who attach to it.
	var told []parade.TaskInfo
	keep := parade.OnTask(func(info parade.TaskInfo) { told = append(told, info) })
	if err := cluster.Submit(ctx, client, "told", shout, []int{7, 8}, []parade.Option{keep, parade.CaptureOutput(), parade.BatchSize(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Attach(ctx, client, "told", shout, keep); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(told, func(a, b parade.TaskInfo) int { return a.Index - b.Index })
	if len(told) != 2 || told[0].Stdout.Text != "out 7\n" || told[1].Stdout.Text != "out 8\n" || told[0].Engine == "" {
		t.Errorf("of a job's tasks is known %+v", told)
	}
	conn, err := cluster.Load(filepath.Join(ctl.folder, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	if jobs, err := cluster.Jobs(ctx, conn); err != nil || len(jobs) != 1 || jobs[0].Done != 2 {
		t.Errorf("the jobs are %+v, %v", jobs, err)
	}
	if _, err := cluster.ApplyAsync(ctx, client.LoadBalanced(), shout, 3).Wait(ctx); err == nil {
		t.Error("ApplyAsync takes a load-balanced view")
	}
}

var shout = parade.Func("cluster.shout", func(n int) (int, error) {
	fmt.Println("out", n)
	cmd := exec.Command("sh", "-c", "echo err $0 >&2", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	return n, cmd.Run()
})

// patience is how a task bears an interruption.
type patience struct {
	Dir  string
	Name string
	How  string // "heeds" its context, "ignores" it and SIGTERM, or does "nothing" special
}

var bear = parade.FuncContext("cluster.bear", func(ctx context.Context, p patience) (int, error) {
	if p.How == "nothing" {
		return 1, nil
	}
	if p.How == "ignores" {
		// A shell that ignores the signal, too: it must not outlive its task.
		cmd := exec.Command("sh", "-c", `trap "" TERM; sleep 60; sleep 60`)
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(p.Dir, p.Name+".child"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			return 0, err
		}
	}
	f, err := os.OpenFile(filepath.Join(p.Dir, p.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	if p.How == "ignores" {
		time.Sleep(time.Minute)
		return 2, nil
	}
	<-ctx.Done()
	return 0, context.Cause(ctx)
})

// TestInterrupt: what runs on the view's engines fails and is not tried again, what waits and
// what others do goes on, and a task that does not listen is ended with what it started.
func TestInterrupt(t *testing.T) {
	ctl, _, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	other, _ := connect(t, ctl)
	dir := t.TempDir()
	began := func(name string) {
		t.Helper()
		for {
			if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil && len(data) > 0 {
				return
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("task %s has not begun", name)
			}
		}
	}
	engines := client.Engines()
	first, second := client.Direct(engines[0].ID), client.Direct(engines[1].ID)
	others := parade.MapAsync(ctx, other.Direct(engines[0].ID), bear, []patience{{dir, "other", "heeds"}})
	elsewhere := parade.MapAsync(ctx, second, bear, []patience{{dir, "elsewhere", "heeds"}})
	began("other")
	began("elsewhere")
	// One slot is left: one task of this call runs, and the others wait.
	in := []patience{{dir, "heeds", "heeds"}, {How: "nothing"}, {How: "nothing"}}
	mine := parade.MapAsync(ctx, first, bear, in, parade.Retries(3), parade.CollectErrors())
	began("heeds")
	if err := first.Interrupt(ctx); err != nil {
		t.Fatal(err)
	}
	out, err := mine.Wait(ctx)
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Index != 0 || job.Failed[0].Kind != parade.Interrupted ||
		job.Failed[0].Attempt != 1 || !errors.Is(err, parade.ErrInterrupted) || !slices.Equal(out, []int{0, 1, 1}) {
		t.Errorf("results %v, the error is %v", out, err)
	}
	deaf := parade.MapAsync(ctx, first, bear, []patience{{dir, "ignores", "ignores"}, {How: "nothing"}}, parade.Retries(3), parade.CollectErrors())
	began("ignores")
	if err := first.Interrupt(ctx); err != nil {
		t.Fatal(err)
	}
	out, err = deaf.Wait(ctx)
	if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Kind != parade.Interrupted || !errors.Is(err, parade.ErrInterrupted) || out[1] != 1 {
		t.Errorf("a task that does not listen: %v, the error is %v", out, err)
	}
	for _, name := range []string{"ignores", "ignores.child"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(slices.DeleteFunc(data, func(b byte) bool { return b == '\n' })))
		if err != nil {
			t.Fatalf("it ran more than once: %q", data)
		}
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("process %d of %s still runs", pid, name)
			}
		}
	}
	for name, a := range map[string]*parade.Async[int]{"another client": others, "another engine": elsewhere} {
		select {
		case <-a.Done():
			_, err := a.Wait(ctx)
			t.Errorf("the task of %s has ended: %v", name, err)
		default:
		}
	}
	// The view of all reaches the other engine; the other client is not asked.
	if err := client.LoadBalanced().Interrupt(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Wait(ctx); !errors.Is(err, parade.ErrInterrupted) {
		t.Errorf("on the other engine: %v", err)
	}
	if err := other.LoadBalanced().Interrupt(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := others.Wait(ctx); !errors.Is(err, parade.ErrInterrupted) {
		t.Errorf("of the other client: %v", err)
	}
	if out, err := parade.Map(ctx, first, bear, []patience{{How: "nothing"}}); err != nil || out[0] != 1 {
		t.Errorf("afterwards: %v, %v", out, err)
	}
}

func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(data, []byte(") Z"))
}
