//go:build unix

package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/natstest"
)

// atSite is a cluster of two engines at three servers of NATS.
func atSite(t *testing.T) (*natstest.Cluster, *controller.Keeper, *cluster.Client) {
	t.Helper()
	site := natstest.Start(t, 3)
	conn := cluster.Connection{
		Cluster: "lab", Role: cluster.RoleClient, URLs: site.URLs(), User: natstest.User, Password: natstest.Password, Replicas: 3,
	}
	k, err := controller.Keep(t.Context(), controller.KeepConfig{Connection: conn, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	var engines sync.WaitGroup
	life, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		engines.Wait()
	})
	theirs, cache := conn, t.TempDir()
	theirs.Role = cluster.RoleEngine
	for i := range 2 {
		engines.Go(func() {
			if err := engine.Run(life, engine.Config{Connection: theirs, ID: fmt.Sprintf("engine-%d", i), Slots: 1, Cache: cache, Log: quiet}); err != nil {
				t.Errorf("engine: %v", err)
			}
		})
	}
	client, err := cluster.Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := client.WaitForEngines(ctx, 2); err != nil {
		t.Fatal(err)
	}
	return site, k, client
}

// TestSiteLosesServers: each of three servers is killed while a call and a job run; nothing is lost.
func TestSiteLosesServers(t *testing.T) {
	site, _, client := atSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	in := make([]int, 600)
	for i := range in {
		in[i] = 50 + i%40
	}
	if err := cluster.Submit(ctx, client, "study", doze, in, nil); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var strikes sync.WaitGroup
	strikes.Go(func() {
		for i := range 3 {
			select {
			case <-over:
				t.Errorf("only %d servers were killed before the end", i)
				return
			case <-time.After(time.Second):
			}
			site.Kill(i)
			time.Sleep(3 * time.Second)
			site.Restart(i)
			site.Ready()
		}
	})
	start := time.Now()
	out, err := parade.Map(ctx, client.LoadBalanced(), doze, in, parade.BatchSize(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the call took %v", time.Since(start))
	strikes.Wait()
	close(over)
	again, err := cluster.Attach(ctx, client, "study", doze)
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		if want := 7*in[i] + 1; out[i] != want || again[i] != want {
			t.Fatalf("result %d is %d, and of the job %d, want %d", i, out[i], again[i], want)
		}
	}
}

// TestSiteKeepsEngines: while nobody leads the bucket of engines they are still there.
func TestSiteKeepsEngines(t *testing.T) {
	t.Parallel()
	site, _, client := atSite(t)
	var ids []string
	for _, e := range client.Engines() {
		ids = append(ids, e.ID)
	}
	over := make(chan error, 1)
	go func() {
		_, err := parade.Map(t.Context(), client.Direct(ids...), doze, []int{15000, 15000}, parade.BatchSize(1))
		over <- err
	}()
	leader := site.Leader("KV_" + queue.Engines)
	if leader < 0 {
		t.Fatal("nobody leads the bucket of engines")
	}
	site.Kill(leader)
	for {
		select {
		case err := <-over:
			if err != nil {
				t.Errorf("a call of chosen engines: %v", err)
			}
			return
		case <-time.After(50 * time.Millisecond):
			if n := len(client.Engines()); n != 2 {
				t.Fatalf("%d engines are there, want 2", n)
			}
		}
	}
}
