//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// connect connects once more to the cluster of an actor.
func connect(t *testing.T, ctl *actor) (*cluster.Client, cluster.Connection) {
	t.Helper()
	conn, err := cluster.Load(filepath.Join(ctl.folder, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, conn
}

// TestJobOutlives: a job goes on without the client that submitted it, while
// controller and engines are killed, and gives its results to others, twice.
func TestJobOutlives(t *testing.T) {
	ctl, engines, _ := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	first, conn := connect(t, ctl)
	in := make([]int, 400)
	for i := range in {
		in[i] = i % 8 // number 3 fails at its first attempt
	}
	if err := cluster.Submit(ctx, first, "study-1", doze, in, []parade.Option{parade.Retries(1)}); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Submit(ctx, first, "study-1", doze, in, nil); !errors.Is(err, cluster.ErrJobExists) {
		t.Errorf("the name again: %v, want ErrJobExists", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	var strikes sync.WaitGroup
	strikes.Go(func() {
		for _, e := range engines {
			time.Sleep(100 * time.Millisecond)
			e.kill(20 * time.Millisecond)
		}
		ctl.kill(50 * time.Millisecond)
	})
	strikes.Wait()
	second, _ := connect(t, ctl)
	for range 2 {
		out, err := cluster.Attach(ctx, second, "study-1", doze)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			if v != 7*in[i]+1 {
				t.Fatalf("result %d is %d, want %d", i, v, 7*in[i]+1)
			}
		}
	}
	jobs, err := cluster.Jobs(ctx, conn)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("jobs %+v, %v", jobs, err)
	}
	if j := jobs[0]; j.Name != "study-1" || j.Func != "cluster.doze" || j.Tasks != 400 || j.Done != 400 || j.Failed != 0 || j.State() != "done" {
		t.Errorf("the job is %+v, %s", j, j.State())
	}
	if _, err := cluster.Attach(ctx, second, "study-1", square); err == nil {
		t.Error("another function attaches")
	}
	if err := cluster.RemoveJob(ctx, conn, "study-1"); err != nil {
		t.Error(err)
	}
	if _, err := cluster.Attach(ctx, second, "study-1", doze); !errors.Is(err, cluster.ErrNoJob) {
		t.Errorf("after its removal: %v, want ErrNoJob", err)
	}
}

// TestJobFailures: all tasks run, and failures are as in any call.
func TestJobFailures(t *testing.T) {
	ctl, _, client := stage(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	in := []int{1, 3, 2, 3} // number 3 fails
	if err := cluster.Submit(ctx, client, "study", parade.Bind(shift, 10), in, []parade.Option{parade.Retries(2)}); err != nil {
		t.Fatal(err)
	}
	out, err := cluster.Attach(ctx, client, "study", parade.Bind(shift, 0))
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 2 || job.Failed[0].Index != 1 || job.Failed[1].Index != 3 || job.Failed[0].Attempt != 3 || !errors.Is(err, errThree) {
		t.Errorf("the error is %v", err)
	}
	if out[0] != 11 || out[2] != 12 {
		t.Errorf("results %v", out)
	}
	jobs, err := cluster.Jobs(ctx, conn)
	if err != nil || len(jobs) != 1 || jobs[0].Done != 2 || jobs[0].Failed != 2 || jobs[0].State() != "failed" {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	if err := cluster.Submit(ctx, client, "none", doze, nil, nil); err != nil {
		t.Errorf("a job without tasks: %v", err)
	}
	if out, err := cluster.Attach(ctx, client, "none", doze); err != nil || len(out) != 0 {
		t.Errorf("a job without tasks gives %v, %v", out, err)
	}
}

var errThree = parade.Sentinel("cluster.errThree", errors.New("three"))

var shift = parade.Func2("cluster.shift", func(by, v int) (int, error) {
	if v == 3 {
		return 0, errThree
	}
	return v + by, nil
})

// TestJobCancel: who waits hears of it, and the tasks end.
func TestJobCancel(t *testing.T) {
	ctl, _, client := stage(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	in := make([]int, 50)
	for i := range in {
		in[i] = 60_000
	}
	if err := cluster.Submit(ctx, client, "long", doze, in, nil, cluster.MaxRunning(1)); err != nil {
		t.Fatal(err)
	}
	// A call is not held up by it: one of two slots is free.
	if _, err := parade.Map(ctx, client.LoadBalanced(), doze, make([]int, 20)); err != nil {
		t.Fatal(err)
	}
	attached := make(chan error, 1)
	go func() {
		_, err := cluster.Attach(ctx, client, "long", doze)
		attached <- err
	}()
	time.Sleep(100 * time.Millisecond)
	if err := cluster.CancelJob(ctx, conn, "long"); err != nil {
		t.Fatal(err)
	}
	if err := <-attached; !errors.Is(err, cluster.ErrCancelled) {
		t.Errorf("who waits hears %v, want ErrCancelled", err)
	}
	jobs, err := cluster.Jobs(ctx, conn)
	if err != nil || len(jobs) != 1 || jobs[0].State() != "cancelled" {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	if _, err := cluster.Attach(ctx, client, "long", doze); !errors.Is(err, cluster.ErrCancelled) {
		t.Errorf("later: %v, want ErrCancelled", err)
	}
	// Both slots are free again, though the task would not listen.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if all := client.Engines(); len(all) == 1 && all[0].Running == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the task still runs: %+v", all)
		}
	}
	if err := cluster.CancelJob(ctx, conn, "nothing"); !errors.Is(err, cluster.ErrNoJob) {
		t.Errorf("a job that is not there: %v", err)
	}
}

// killEngine takes the engine along that runs it.
var killEngine = parade.Func("cluster.killEngine", func(v int) (int, error) {
	if v == 5 {
		_ = syscall.Kill(syscall.Getppid(), syscall.SIGKILL)
		time.Sleep(10 * time.Second)
	}
	return v, nil
})

// TestEngineKiller: an input that costs one engine after another is set aside, and the
// others have their results.
func TestEngineKiller(t *testing.T) {
	_, engines, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	over := make(chan struct{})
	var watch sync.WaitGroup
	for _, e := range engines {
		watch.Go(func() { // a launcher would do that
			for {
				_ = e.cmd.Wait()
				select {
				case <-over:
					return
				default:
					e.start()
				}
			}
		})
	}
	out, err := parade.Map(ctx, client.LoadBalanced(), killEngine, []int{1, 2, 3, 4, 5, 6, 7, 8}, parade.CollectErrors())
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Index != 4 || job.Failed[0].Kind != parade.Lost || !errors.Is(err, parade.ErrWorkerLost) {
		t.Errorf("the error is %v", err)
	}
	for i, v := range out {
		if v != i+1 && i != 4 {
			t.Errorf("result %d is %d", i, v)
		}
	}
	close(over)
	for _, e := range engines {
		e.signal(syscall.SIGTERM)
	}
	watch.Wait()
	for _, e := range engines {
		e.cmd = nil
	}
}

// TestFair: beside a large job, a call and a job with a priority come to their ends.
func TestFair(t *testing.T) {
	ctl, _, client := stage(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	long := make([]int, 2000)
	for i := range long {
		long[i] = 50
	}
	if err := cluster.Submit(ctx, client, "large", doze, long, nil); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func() error{
		"a call": func() error {
			_, err := parade.Map(ctx, client.LoadBalanced(), doze, make([]int, 30))
			return err
		},
		"another client's call": func() error {
			other, _ := connect(t, ctl)
			_, err := parade.Map(ctx, other.LoadBalanced(), doze, make([]int, 30))
			return err
		},
		"a job": func() error {
			if err := cluster.Submit(ctx, client, "urgent", doze, make([]int, 100), nil, cluster.Priority(1)); err != nil {
				return err
			}
			_, err := cluster.Attach(ctx, client, "urgent", doze)
			return err
		},
	} {
		if err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		jobs, err := cluster.Jobs(ctx, conn)
		if err != nil || len(jobs) == 0 || jobs[0].Name != "large" || jobs[0].State() != "running" {
			t.Errorf("after %s: jobs %+v, %v; the large one should not be done", name, jobs, err)
		}
	}
	if err := cluster.RemoveJob(ctx, conn, "large"); err != nil {
		t.Error(err)
	}
}

// TestJobLarge has more tasks than a parcel, and results that travel by their hash.
func TestJobLarge(t *testing.T) {
	_, _, client := stage(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in := make([]int, 200_000)
	for i := range in {
		in[i] = i
	}
	if err := cluster.Submit(ctx, client, "many", square, in, nil); err != nil {
		t.Fatal(err)
	}
	out, err := cluster.Attach(ctx, client, "many", square)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out {
		if v != i*i {
			t.Fatalf("result %d is %d", i, v)
		}
	}
	if err := cluster.Submit(ctx, client, "large", fill, []int{100_000, 200_000}, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := cluster.Attach(ctx, client, "large", fill)
	if err != nil || len(rows[0]) != 100_000 || len(rows[1]) != 200_000 || rows[1][199_999] != 199_999 {
		t.Errorf("rows of %d and %d, %v", len(rows[0]), len(rows[1]), err)
	}
}

var fill = parade.Pure("cluster.fill", func(n int) []float64 {
	row := make([]float64, n)
	for i := range row {
		row[i] = float64(i)
	}
	return row
})

// TestJobAgain: answers to a job that was removed, from an engine that was frozen
// meanwhile, do not come to a job of the same name.
func TestJobAgain(t *testing.T) {
	ctl, engines, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	run := func(in []int) {
		t.Helper()
		if err := cluster.Submit(ctx, client, "again", doze, in, []parade.Option{parade.BatchSize(1)}); err != nil {
			t.Fatal(err)
		}
	}
	run([]int{300, 301, 302, 303, 304, 305})
	time.Sleep(150 * time.Millisecond) // both run some
	engines[0].signal(syscall.SIGSTOP)
	if err := cluster.RemoveJob(ctx, conn, "again"); err != nil {
		t.Fatal(err)
	}
	in := []int{600, 601, 602, 603, 604, 605}
	run(in)
	time.Sleep(300 * time.Millisecond) // its children go on
	engines[0].signal(syscall.SIGCONT)
	out, err := cluster.Attach(ctx, client, "again", doze)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out {
		if v != 7*in[i]+1 {
			t.Errorf("result %d is %d, want %d", i, v, 7*in[i]+1)
		}
	}
	jobs, err := cluster.Jobs(ctx, conn)
	if err != nil || len(jobs) != 1 || jobs[0].Name != "again" || jobs[0].Done != len(in) {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
}
