//go:build unix

package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	parade.Serve() // the engine's children are this binary
	// nats.go 1.55 forgets one when a large value is put in less time than it takes to start it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

var double = parade.Pure("engine.double", func(x int) int { return 2 * x })

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// A cluster within one process: a controller, an engine, and a client.
func Example() {
	if err := run(); err != nil {
		fmt.Println(err)
	}
	// Output: [2 4 6]
}

func run() error {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := controller.Start(ctx, controller.Config{Name: "lab", Folder: dir, Log: quiet})
	if err != nil {
		return err
	}
	defer c.Close()
	engines, err := cluster.Load(c.File(cluster.RoleEngine))
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- engine.Run(ctx, engine.Config{Connection: engines, Slots: 2, Cache: filepath.Join(dir, "programs"), Log: quiet})
	}()
	defer func() {
		cancel()
		<-ended
	}()
	clients, err := cluster.Load(c.File(cluster.RoleClient))
	if err != nil {
		return err
	}
	client, err := cluster.Connect(ctx, clients)
	if err != nil {
		return err
	}
	defer client.Close()
	out, err := parade.Map(ctx, client.LoadBalanced(), double, []int{1, 2, 3})
	fmt.Println(out)
	return err
}
