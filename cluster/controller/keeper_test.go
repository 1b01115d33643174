package controller_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/natstest"
)

func siteConn(site *natstest.Cluster, replicas int) cluster.Connection {
	return cluster.Connection{
		Cluster: "lab", Role: cluster.RoleClient, URLs: site.URLs(), Replicas: replicas, User: natstest.User, Password: natstest.Password,
	}
}

// TestKeep: what a cluster has at a site's NATS is on as many servers as was asked for, survives
// its keepers, and is gone when it is cleared.
func TestKeep(t *testing.T) {
	t.Parallel()
	site := natstest.Start(t, 3)
	folder := t.TempDir()
	conn := siteConn(site, 3)
	first, err := controller.Keep(t.Context(), controller.KeepConfig{Connection: conn, Folder: folder, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := controller.Keep(t.Context(), controller.KeepConfig{Connection: conn, Folder: folder, Log: quiet}); !errors.Is(err, controller.ErrRunning) {
		t.Errorf("another one in its folder: %v, want ErrRunning", err)
	}
	second, err := controller.Keep(t.Context(), controller.KeepConfig{Connection: conn, Log: quiet})
	if err != nil {
		t.Fatalf("one of another machine: %v", err)
	}
	saved, err := cluster.Load(filepath.Join(folder, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, js := dial(t, saved)
	r := queue.Record{ID: "q", Kind: queue.Job}
	if err := queue.Make(t.Context(), js, r, 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{queue.WorkStream("q"), queue.DoneStream("q"), "OBJ_" + queue.Values("q"), "OBJ_" + queue.Programs, "KV_" + queue.Records, "KV_" + queue.Engines, "KV_" + queue.Clients} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Errorf("stream %s: %v", name, err)
			continue
		}
		cfg := s.CachedInfo().Config
		if cfg.Replicas != 3 || cfg.AllowDirect {
			t.Errorf("stream %s is on %d servers, and those that follow are asked: %v; want 3, false", name, cfg.Replicas, cfg.AllowDirect)
		}
	}
	if err := cluster.StopController(t.Context(), saved); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*controller.Keeper{first, second} {
		<-k.Asked()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := cluster.StopController(t.Context(), saved); !errors.Is(err, cluster.ErrNobody) {
		t.Errorf("stopping without a keeper: %v, want ErrNobody", err)
	}
	if _, err := queue.Get(t.Context(), js, "q"); err != nil {
		t.Errorf("the queue after its keepers: %v", err)
	}
	if err := controller.Clear(t.Context(), saved); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(t.Context(), queue.WorkStream("q")); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the queue's stream in the end: %v", err)
	}
}

func TestKeepRefuses(t *testing.T) {
	t.Parallel()
	site := natstest.Start(t, 1)
	own := start(t, controller.Config{})
	for _, tc := range []struct {
		name, want string
		change     func(*cluster.Connection)
	}{
		{"copies on a single server", "replicas must be 1", func(c *cluster.Connection) { c.Replicas = 3 }},
		{"no TLS over a network", "--insecure", func(c *cluster.Connection) { c.URLs = []string{"nats://192.0.2.1:4222"} }},
		{"another password", "refuses", func(c *cluster.Connection) { c.Password = "other" }},
		{"a role that may not", "needs a client's", func(c *cluster.Connection) { c.Role = cluster.RoleEngine }},
		{"a controller's connection", "needs a client's", func(c *cluster.Connection) { c.Replicas = 0 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			conn := siteConn(site, 1)
			tc.change(&conn)
			k, err := controller.Keep(t.Context(), controller.KeepConfig{Connection: conn, Log: quiet})
			if err == nil {
				_ = k.Close()
				t.Fatal("it is accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want something about %q", err, tc.want)
			}
			if conn.Password != "" && strings.Contains(err.Error(), conn.Password) && tc.name != "another password" {
				t.Errorf("the message has the secret: %v", err)
			}
		})
	}
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := controller.Keep(t.Context(), controller.KeepConfig{Connection: siteConn(site, 1), Folder: own.Folder(), Log: quiet}); err == nil || !strings.Contains(err.Error(), "server of its own") {
		t.Errorf("the folder of a cluster with a server of its own: %v", err)
	}
	if _, err := os.Stat(filepath.Join(own.Folder(), "authority.pem")); err != nil {
		t.Error(err)
	}
}
