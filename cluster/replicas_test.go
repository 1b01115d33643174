//go:build unix

package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade/internal/natstest"
)

// atServers starts a cluster at three servers of NATS, which have all of it three times.
func atServers(t *testing.T, engines, slots int) (*place, *natstest.Cluster) {
	t.Helper()
	servers := natstest.Start(t, 3)
	s := newPlace(t)
	credentials := write(t, filepath.Join(t.TempDir(), "nats"), natstest.User+":"+natstest.Password+"\n", 0o600)
	s.start("--nats", strings.Join(servers.URLs(), ","), "--nats-creds", credentials, "--replicas", "3",
		"-n", fmt.Sprint(engines), "--slots", fmt.Sprint(slots))
	s.wait(engines)
	return s, servers
}

// TestSiteConformance: the suite on engines that three servers of NATS keep together.
func TestSiteConformance(t *testing.T) {
	t.Parallel()
	s, _ := atServers(t, 2, 1)
	s.conform()
	s.stop()
}

// TestChaosSite: servers of NATS are killed, one at a time, while functions and commands run.
func TestChaosSite(t *testing.T) {
	t.Parallel()
	n := chaosTasks(t, 1000)
	s, servers := atServers(t, 2, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+time.Duration(n)*20*time.Millisecond)
	defer cancel()
	functions := s.client(ctx, fmt.Sprint(n))
	commands := s.command(ctx, append([]string{s.parade, "run", "--no-progress", "--on", "cluster:lab", "-k", "echo x{}", ":::"}, numbers(n)...)...)
	var said [2]bytes.Buffer
	ended := make(chan error, 2)
	start := time.Now()
	functions.Stdout, functions.Stderr, commands.Stdout = &said[0], &said[0], &said[1]
	var errs bytes.Buffer
	commands.Stderr = &errs
	if err := functions.Start(); err != nil {
		t.Fatal(err)
	}
	if err := commands.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- functions.Wait() }()
	go func() { ended <- commands.Wait() }()
	kills := 0
	for left := 2; left > 0; {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("after %d servers were killed: %v\n%s%s", kills, err, &said[0], &errs)
			}
			left--
			continue
		case <-time.After(time.Duration(300+rand.IntN(1000)) * time.Millisecond):
		}
		i := rand.IntN(3)
		servers.Kill(i)
		kills++
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
		servers.Restart(i)
		servers.Ready() // two of three must be there
	}
	var want bytes.Buffer
	for _, i := range numbers(n) {
		fmt.Fprintf(&want, "x%s\n", i)
	}
	if !bytes.Equal(said[1].Bytes(), want.Bytes()) {
		t.Errorf("the commands print %d bytes, want %d", said[1].Len(), want.Len())
	}
	if kills == 0 {
		t.Error("no server was killed; give it more tasks")
	}
	t.Logf("%d tasks and as many commands in %v, while %d servers of NATS were killed", n, time.Since(start), kills)
}
