//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// fussy is a number that cannot be encoded if it is 2.
type fussy struct{ N byte }

func (f fussy) MarshalBinary() ([]byte, error) {
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
	l, err := openLab(t.Context(), t.TempDir(), t.TempDir(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = cluster.Submit(ctx, l.client, "study", fuss, []fussy{{1}, {2}, {3}}, nil)
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Index != 1 || !errors.Is(err, parade.ErrEncode) {
		t.Errorf("an input that cannot be encoded: %v, want a JobError for task 1", err)
	}
	if err := cluster.Submit(ctx, l.client, "study", fuss, []fussy{{1}, {3}}, nil); err != nil {
		t.Errorf("the same without it: %v", err)
	}
}
