//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
)

var hang = parade.FuncContext("cluster.hang", func(ctx context.Context, _ int) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
})

// TestKeyReplaced deletes the keys of a cluster and starts its controller again: who has
// the old ones is put out, in the middle of a call too, and cannot come back.
func TestKeyReplaced(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	l, err := openLab(t.Context(), dir, cache, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]cluster.Connection{}
	for _, role := range []string{cluster.RoleClient, cluster.RoleEngine, cluster.RoleObserver} {
		if old[role], err = cluster.Load(l.controller.File(role)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(l.controller.File(role)); err != nil {
			t.Fatal(err)
		}
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := parade.Go(context.Background(), l, hang, 0).Wait(context.Background())
		waiting <- err
	}()
	time.Sleep(200 * time.Millisecond) // the call is on its way, or not yet: both must end
	if err := l.controller.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: dir, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	select {
	case err := <-waiting:
		if !errors.Is(err, cluster.ErrRefused) {
			t.Errorf("the call of a client whose key was replaced: %v, want ErrRefused", err)
		}
	case <-time.After(time.Minute):
		t.Error("the call of a client whose key was replaced goes on")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := cluster.Connect(ctx, old[cluster.RoleClient]); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("a new client with the old key: %v, want ErrRefused", err)
	}
	if err := engine.Run(ctx, engine.Config{Connection: old[cluster.RoleEngine], Slots: 1, Cache: cache, Log: quiet}); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("a new engine with the old key: %v, want ErrRefused", err)
	}
	if _, err := cluster.Look(ctx, old[cluster.RoleObserver]); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("an observer with the old key: %v, want ErrRefused", err)
	}
	// The engine that was there has ended by itself.
	ended := func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		return errors.Join(l.errs...)
	}
	for ended() == nil && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	if err := ended(); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("the engine whose key was replaced: %v, want ErrRefused", err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = l.Close() // has the engine's error
	}()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("Close waits for a connection that has ended")
	}
}
