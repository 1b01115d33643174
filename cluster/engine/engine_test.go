//go:build unix

package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
)

// lab is a controller, and a client.
func lab(t *testing.T) (c *controller.Controller, client *cluster.Client, conn cluster.Connection) {
	t.Helper()
	c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if conn, err = cluster.Load(c.File(cluster.RoleEngine)); err != nil {
		t.Fatal(err)
	}
	clients, err := cluster.Load(c.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	if client, err = cluster.Connect(t.Context(), clients); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return c, client, conn
}

// TestAbandoned: an engine whose controller stays away ends, and says why.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	c, client, conn := lab(t)
	ended := make(chan error, 1)
	go func() {
		ended <- engine.Run(t.Context(), engine.Config{Connection: conn, Slots: 1, Cache: t.TempDir(), Grace: 300 * time.Millisecond, Log: quiet})
	}()
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, engine.ErrAbandoned) {
			t.Errorf("the engine says %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the engine goes on")
	}
}

// TestAsked: an engine that is asked to end does, after its tasks.
func TestAsked(t *testing.T) {
	t.Parallel()
	c, client, conn := lab(t)
	ended := make(chan error, 1)
	go func() {
		ended <- engine.Run(context.WithoutCancel(t.Context()), engine.Config{Connection: conn, ID: "one", Slots: 1, Cache: t.TempDir(), Log: quiet})
	}()
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	f := parade.Go(ctx, client.LoadBalanced(), beside, room{dir, 300})
	for begun := 0; begun == 0; time.Sleep(5 * time.Millisecond) { // or the engine would leave it to others
		all, err := os.ReadDir(dir)
		if err != nil || ctx.Err() != nil {
			t.Fatalf("it has not begun: %v, %v", err, ctx.Err())
		}
		begun = len(all)
	}
	clients, err := cluster.Load(c.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.StopEngines(t.Context(), clients, "one"); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Wait(ctx); n != 1 || err != nil {
		t.Errorf("the task that ran gave %d, %v", n, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the engine says %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the engine goes on")
	}
	if err := cluster.StopEngines(t.Context(), clients, "one"); err == nil {
		t.Error("an engine that is not there can be stopped")
	}
}

var nap = parade.Pure("engine.nap", func(ms int) int {
	time.Sleep(time.Duration(ms) * time.Millisecond)
	return ms
})

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	_, _, conn := lab(t)
	clients := conn
	clients.Key = "SU"
	for name, cfg := range map[string]engine.Config{
		"slots":   {Connection: conn, Slots: -1},
		"threads": {Connection: conn, Threads: -1},
		"an id":   {Connection: conn, ID: "a.b"},
		"a key":   {Connection: clients},
	} {
		cfg.Cache = filepath.Join(t.TempDir(), "programs")
		if err := engine.Run(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
