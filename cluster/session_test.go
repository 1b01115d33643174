//go:build unix

package cluster

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// TestSessionAgain: of a queue that could not be made no subscription stays, so that the next
// try takes each answer once.
func TestSessionAgain(t *testing.T) {
	t.Parallel()
	ctl, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ctl.Close() })
	conn, err := Load(ctl.File(RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := Connect(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	p, err := c.program()
	if err != nil {
		t.Fatal(err)
	}
	if err := queue.PutProgram(ctx, c.js, p.Hash); err != nil { // which subscribes to something, too
		t.Fatal(err)
	}
	before := c.conn.NumSubscriptions()
	gone, end := context.WithCancel(ctx)
	end()
	for { // until it comes so far
		if _, err := c.session(gone, nil, nil); err == nil {
			t.Fatal("a queue is made after its context")
		} else if strings.Contains(err.Error(), "queue "+c.id) {
			break
		}
	}
	if n := c.conn.NumSubscriptions(); n != before {
		t.Errorf("%d subscriptions after it, %d before", n, before)
	}
	if _, err := c.session(ctx, nil, nil); err != nil {
		t.Errorf("the next try: %v", err)
	}
}
