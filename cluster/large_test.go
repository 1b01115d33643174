//go:build unix

package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/parade-go/parade"
)

// late returns a value after some milliseconds.
var late = parade.Pure("cluster.late", func(in delayed) []byte {
	time.Sleep(time.Duration(in.MS) * time.Millisecond)
	return in.Value
})

type delayed struct {
	MS    int
	Value []byte
}

// TestSharedValues: calls with the same large values do not take them from one another.
func TestSharedValues(t *testing.T) {
	_, _, client := stage(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	value := make([]byte, 600<<10)
	all := make([]*parade.Future[[]byte], 12) // more than there are slots, and all have the same input
	for i := range all {
		all[i] = parade.Go(ctx, client.LoadBalanced(), late, delayed{30, value})
	}
	for i, f := range all {
		if out, err := f.Wait(ctx); err != nil || len(out) != len(value) {
			t.Errorf("call %d gave %d bytes, %v", i, len(out), err)
		}
	}
}
