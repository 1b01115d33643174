//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// gated fails for odd numbers until its folder has a file "open", and notes that it ran.
var gated = parade.Func2("cluster.gated", func(folder string, v int) (int, error) {
	f, err := os.OpenFile(filepath.Join(folder, "runs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.WriteString(strconv.Itoa(v) + "\n"); err != nil {
		return 0, err
	}
	if _, err := os.Stat(filepath.Join(folder, "open")); err != nil && v%2 == 1 {
		return 0, errThree
	}
	return 10 * v, nil
})

// runs counts how often gated ran for each number.
func runs(t *testing.T, folder string) map[int]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[int]int{}
	for line := range strings.Lines(string(text)) {
		v, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		times[v]++
	}
	return times
}

// TestRetry: what failed is run again, by whoever asks, from the inputs that the cluster has
// kept, and nothing else is.
func TestRetry(t *testing.T) {
	for name, tc := range map[string]struct {
		folder string // a longer name of the same, so that the bound argument is stored by its hash
		opts   []parade.Option
	}{
		"one by one":             {"", []parade.Option{parade.BatchSize(1)}},
		"in parcels":             {"", []parade.Option{parade.BatchSize(50)}},
		"a large bound argument": {strings.Repeat("/.", 3000), nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctl, _, client := stage(t, 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, conn := connect(t, ctl)
			folder := t.TempDir()
			f := parade.Bind(gated, folder+tc.folder)
			in := make([]int, 101)
			for i := range in {
				in[i] = i
			}
			if err := cluster.Submit(ctx, client, "study", f, in, tc.opts); err != nil {
				t.Fatal(err)
			}
			const bad = 50
			_, err := cluster.Attach(ctx, client, "study", f)
			var job *parade.JobError
			if !errors.As(err, &job) || len(job.Failed) != bad {
				t.Fatalf("first: %v", err)
			}
			other, _ := connect(t, ctl)
			for round := 2; round <= 3; round++ { // the second time all fail once more
				if round == 3 {
					if err := os.WriteFile(filepath.Join(folder, "open"), nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if n, err := cluster.Retry(ctx, other, "study"); err != nil || n != bad {
					t.Fatalf("retry: %d tasks, %v", n, err)
				}
				out, err := cluster.Attach(ctx, client, "study", f)
				if round == 2 {
					if !errors.As(err, &job) || len(job.Failed) != bad {
						t.Fatalf("round %d: %v", round, err)
					}
				} else if err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				for i, v := range out {
					if want := 10 * i; v != want && (round == 3 || i%2 == 0) {
						t.Fatalf("result %d is %d, want %d", i, v, want)
					}
				}
				j, err := cluster.FindJob(ctx, conn, "study")
				if err != nil || j.Round != round || j.Done+j.Failed != 101 {
					t.Errorf("round %d: %+v, %v", round, j, err)
				}
			}
			for v, n := range runs(t, folder) {
				if want := 1 + v%2*2; n != want {
					t.Errorf("input %d ran %d times, want %d", v, n, want)
				}
			}
			if n, err := cluster.Retry(ctx, other, "study"); err != nil || n != 0 {
				t.Errorf("nothing has failed: %d tasks, %v", n, err)
			}
			if _, err := cluster.Retry(ctx, other, "nothing"); !errors.Is(err, cluster.ErrNoJob) {
				t.Errorf("a job that is not there: %v", err)
			}
		})
	}
}

// TestCancelThenRetry: a job that was cancelled keeps its results and its tasks, and comes
// whole to its end when it is taken up again.
func TestCancelThenRetry(t *testing.T) {
	ctl, _, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	in := make([]int, 300)
	for i := range in {
		in[i] = 10 + i%10
	}
	if err := cluster.Submit(ctx, client, "study", doze, in, []parade.Option{parade.BatchSize(1)}); err != nil {
		t.Fatal(err)
	}
	for j := (cluster.Job{}); j.Done < 20; time.Sleep(10 * time.Millisecond) {
		var err error
		if j, err = cluster.FindJob(ctx, conn, "study"); err != nil {
			t.Fatal(err)
		}
	}
	attached := make(chan error, 1)
	go func() {
		_, err := cluster.Attach(ctx, client, "study", doze)
		attached <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := cluster.CancelJob(ctx, conn, "study"); err != nil {
		t.Fatal(err)
	}
	var job *parade.JobError
	if err := <-attached; !errors.Is(err, cluster.ErrCancelled) || !errors.As(err, &job) || job.Done < 20 {
		t.Errorf("who waits hears %v", err)
	}
	out, err := cluster.Attach(ctx, client, "study", doze)
	if !errors.Is(err, cluster.ErrCancelled) || !errors.As(err, &job) || job.Done < 20 || job.Done == 300 {
		t.Fatalf("a cancelled job gives %v", err)
	}
	have := 0
	for i, v := range out {
		if v == 7*in[i]+1 {
			have++
		} else if v != 0 {
			t.Errorf("result %d is %d", i, v)
		}
	}
	if have != job.Done {
		t.Errorf("%d results, %d done", have, job.Done)
	}
	time.Sleep(300 * time.Millisecond)
	j, err := cluster.FindJob(ctx, conn, "study")
	if err != nil || j.State() != "cancelled" {
		t.Fatalf("%+v, %v", j, err)
	}
	time.Sleep(200 * time.Millisecond)
	if again, err := cluster.FindJob(ctx, conn, "study"); err != nil || again.Done != j.Done {
		t.Errorf("a cancelled job goes on: %d done, then %d, %v", j.Done, again.Done, err)
	}
	if n, err := cluster.Retry(ctx, client, "study"); err != nil || n != 300-j.Done {
		t.Errorf("retry: %d tasks, want %d, %v", n, 300-j.Done, err)
	}
	if out, err = cluster.Attach(ctx, client, "study", doze); err != nil {
		t.Fatal(err)
	}
	for i, v := range out {
		if v != 7*in[i]+1 {
			t.Fatalf("result %d is %d, want %d", i, v, 7*in[i]+1)
		}
	}
	if err := cluster.CancelJob(ctx, conn, "study"); !errors.Is(err, cluster.ErrJobDone) {
		t.Errorf("cancelling a job that is done: %v", err)
	}
	if j, err := cluster.FindJob(ctx, conn, "study"); err != nil || j.State() != "done" {
		t.Errorf("then it is %s, %v", j.State(), err)
	}
}

// TestRetryWhileRunning: what has failed is run again while the job's other tasks run.
func TestRetryWhileRunning(t *testing.T) {
	_, engines, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	folder := t.TempDir()
	f := parade.Bind(slowlyGated, folder)
	in := make([]int, 200)
	for i := range in {
		in[i] = i
	}
	if err := cluster.Submit(ctx, client, "study", f, in, []parade.Option{parade.BatchSize(1)}); err != nil {
		t.Fatal(err)
	}
	var strikes sync.WaitGroup
	strikes.Go(func() {
		time.Sleep(200 * time.Millisecond)
		engines[0].kill(20 * time.Millisecond)
	})
	total := 0
	for range 10 {
		time.Sleep(80 * time.Millisecond)
		n, err := cluster.Retry(ctx, client, "study")
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	strikes.Wait()
	if err := os.WriteFile(filepath.Join(folder, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Attach(ctx, client, "study", f); err != nil {
		if _, err := cluster.Retry(ctx, client, "study"); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cluster.Attach(ctx, client, "study", f)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out {
		if v != 10*i {
			t.Fatalf("result %d is %d", i, v)
		}
	}
	if total == 0 {
		t.Error("nothing was run again while the job ran")
	}
}

var slowlyGated = parade.Func2("cluster.slowlyGated", func(folder string, v int) (int, error) {
	time.Sleep(10 * time.Millisecond)
	if _, err := os.Stat(filepath.Join(folder, "open")); err != nil && v%2 == 1 {
		return 0, errThree
	}
	return 10 * v, nil
})

// TestSubmitRefuses: an option that needs a caller is an error, not passed over.
func TestSubmitRefuses(t *testing.T) {
	_, _, client := stage(t, 0)
	for name, o := range map[string]parade.Option{"StopAfter": parade.StopAfter(1), "Workers": parade.Workers(1)} {
		if err := cluster.Submit(t.Context(), client, "study", doze, []int{1}, []parade.Option{o}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := cluster.Submit(t.Context(), client, "study", doze, []int{1}, nil, cluster.Meta(make([]byte, 1<<20))); err == nil {
		t.Error("a Meta of a megabyte")
	}
	if err := cluster.Submit(t.Context(), client, "study", doze, []int{1}, nil, cluster.Meta([]byte("mine"))); err != nil {
		t.Error(err)
	}
}

// TestFollow: outcomes come as they are there, each once, failures with their inputs.
func TestFollow(t *testing.T) {
	ctl, _, client := stage(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	in := []int{5, 3, 7, 3, 9}
	f := parade.Bind(shift, 100)
	if err := cluster.Submit(ctx, client, "study", f, in, nil, cluster.Meta([]byte("mine"))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var seen []int
		for o := range cluster.Follow(ctx, client, "study", f) {
			seen = append(seen, o.Index)
			switch {
			case o.Index < 0:
				t.Fatal(o.Err)
			case in[o.Index] == 3:
				if !errors.Is(o.Err, errThree) || o.Input == nil || *o.Input != 3 {
					t.Errorf("task %d: %+v", o.Index, o)
				}
			case o.Err != nil || o.Value != in[o.Index]+100 || o.Input != nil:
				t.Errorf("task %d: %+v", o.Index, o)
			}
		}
		slices.Sort(seen)
		if !slices.Equal(seen, []int{0, 1, 2, 3, 4}) {
			t.Errorf("outcomes of %v", seen)
		}
	}
	results := 0
	for o := range cluster.Results(ctx, client, "study", f) {
		if o.Err == nil {
			results++
		}
	}
	if results != 3 {
		t.Errorf("%d results", results)
	}
	values := map[int]string{}
	for task, err := range cluster.Tasks(ctx, conn, "study") {
		if err != nil {
			t.Fatal(err)
		}
		if task.Err != nil {
			values[task.Index] = task.Err.Err.Error()
		} else {
			values[task.Index] = task.Value
		}
	}
	if values[0] != "105" || values[1] != "three" || values[4] != "109" || len(values) != 5 {
		t.Errorf("tasks %v", values)
	}
	var last cluster.Job
	for j, err := range cluster.WatchJob(ctx, conn, "study") {
		if err != nil {
			t.Fatal(err)
		}
		last = j
	}
	if last.State() != "failed" || last.Done != 3 || last.Failed != 2 || string(last.Meta) != "mine" || last.Result != "int" {
		t.Errorf("the job ends as %+v", last)
	}
	for o := range cluster.Follow(ctx, client, "nothing", f) {
		if o.Index != -1 || !errors.Is(o.Err, cluster.ErrNoJob) {
			t.Errorf("a job that is not there: %+v", o)
		}
	}
}

// TestManyAnswers: what has been counted of a job with many answers is taken up by the next
// who counts, and is right after another round, too.
func TestManyAnswers(t *testing.T) {
	ctl, _, client := stage(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, conn := connect(t, ctl)
	const n = 6000
	in := make([]int, n)
	for i := range in {
		in[i] = i
	}
	folder := t.TempDir()
	f := parade.Bind(gated, folder)
	if err := cluster.Submit(ctx, client, "study", f, in, []parade.Option{parade.BatchSize(1)}); err != nil {
		t.Fatal(err)
	}
	count := func(done, failed int) {
		t.Helper()
		for range 2 {
			j, err := cluster.FindJob(ctx, conn, "study")
			if err != nil || j.Done != done || j.Failed != failed {
				t.Errorf("%d done and %d failed, want %d and %d; %v", j.Done, j.Failed, done, failed, err)
			}
		}
	}
	ends := func() {
		t.Helper()
		for _, err := range cluster.WatchJob(ctx, conn, "study") {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	ends()
	count(n/2, n/2)
	if err := os.WriteFile(filepath.Join(folder, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := cluster.Retry(ctx, client, "study"); err != nil || k != n/2 {
		t.Fatalf("%d tasks, %v", k, err)
	}
	ends()
	count(n, 0)
	ends()
}
