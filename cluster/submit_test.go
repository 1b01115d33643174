//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// fussy is a number that cannot be encoded if it is 2. meanwhile is called when it is.
type fussy struct {
	N         byte
	meanwhile func()
}

func (f fussy) MarshalBinary() ([]byte, error) {
	if f.meanwhile != nil {
		f.meanwhile()
	}
	if f.N == 2 {
		return nil, errThree
	}
	return []byte{f.N}, nil
}

func (f *fussy) UnmarshalBinary(b []byte) error {
	f.N = b[0]
	return nil
}

var fuss = parade.Pure("cluster.fuss", func(f fussy) int { return int(f.N) })

// TestSubmitUnencodable: a job one of whose inputs cannot be encoded is refused, and its name
// stays free.
func TestSubmitUnencodable(t *testing.T) {
	t.Parallel()
	l := ownLab(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := cluster.Submit(ctx, l.client, "study", fuss, []fussy{{N: 1}, {N: 2}, {N: 3}}, nil)
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Index != 1 || !errors.Is(err, parade.ErrEncode) {
		t.Errorf("an input that cannot be encoded: %v, want a JobError for task 1", err)
	}
	if err := cluster.Submit(ctx, l.client, "study", fuss, []fussy{{N: 1}, {N: 3}}, nil); err != nil {
		t.Errorf("the same without it: %v", err)
	}
}

// TestSubmitRemoved: a submit whose job is removed meanwhile ends, and leaves another job of
// the name alone.
func TestSubmitRemoved(t *testing.T) {
	t.Parallel()
	l := ownLab(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := cluster.Load(l.controller.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	replace := func() {
		if err := cluster.RemoveJob(ctx, conn, "study"); err != nil {
			t.Errorf("remove: %v", err)
		}
		if err := cluster.Submit(ctx, l.client, "study", fuss, []fussy{{N: 5}}, nil); err != nil {
			t.Errorf("another of the name: %v", err)
		}
	}
	err = cluster.Submit(ctx, l.client, "study", fuss, []fussy{{N: 1}, {N: 3, meanwhile: replace}, {N: 4}}, []parade.Option{parade.BatchSize(1)})
	if !errors.Is(err, cluster.ErrNoJob) {
		t.Errorf("a job that was removed: %v, want ErrNoJob", err)
	}
	if j, err := cluster.FindJob(ctx, conn, "study"); err != nil || j.Tasks != 1 || !j.Complete {
		t.Errorf("the other job is %+v, %v", j, err)
	}
}

// TestRetryFull: a retry that the controller cannot store says so, and the failures stay.
func TestRetryFull(t *testing.T) {
	t.Parallel()
	l := ownLab(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := parade.Bind(gated, t.TempDir())
	if err := cluster.Submit(ctx, l.client, "study", f, []int{0, 1, 2, 3}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Attach(ctx, l.client, "study", f); err == nil {
		t.Fatal("no task has failed")
	}
	l.stop()
	l.engines.Wait()
	conn, err := cluster.Load(l.controller.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	js := store(t, conn)
	r, err := queue.Named(ctx, js, "study")
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, queue.WorkStream(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	full := s.CachedInfo().Config
	full.MaxMsgs, full.Discard = 1, jetstream.DiscardNew
	if _, err := js.UpdateStream(ctx, full); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Retry(ctx, l.client, "study"); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("it says %v", err)
	}
	if j, err := cluster.FindJob(ctx, conn, "study"); err != nil || j.Failed != 2 || j.Round != 1 {
		t.Errorf("the job is %+v, %v", j, err)
	}
}
