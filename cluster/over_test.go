//go:build unix

package cluster_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// TestOverAgain: an engine that answers a call which is over hears so, and its answer is confirmed.
func TestOverAgain(t *testing.T) {
	t.Parallel()
	l, err := openLab(t.Context(), t.TempDir(), t.TempDir(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := parade.Map(t.Context(), l.View, series, []int{1}); err != nil {
		t.Fatal(err)
	}
	conn, err := cluster.Load(l.controller.File(cluster.RoleObserver))
	if err != nil {
		t.Fatal(err)
	}
	s, err := cluster.Look(t.Context(), conn)
	if err != nil || len(s.Queues) != 1 {
		t.Fatalf("%d queues, %v", len(s.Queues), err)
	}
	id := s.Queues[0].ID
	if conn, err = cluster.Load(l.controller.File(cluster.RoleEngine)); err != nil {
		t.Fatal(err)
	}
	late, err := conn.Dial("parade test")
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	over, err := late.SubscribeSync(queue.Over("*"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Request(queue.Done(id, "1"), queue.AppendAnswer(nil, []byte("an answer")), 10*time.Second); err != nil {
		t.Fatalf("the answer was not confirmed: %v", err)
	}
	m, err := over.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatalf("the engine does not hear that the call is over: %v", err)
	}
	if m.Subject != queue.Over(id) || len(m.Data) != 8 || binary.LittleEndian.Uint64(m.Data) != 1 {
		t.Errorf("%s has % x", m.Subject, m.Data)
	}
}
