package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
)

// trial is a cluster of one engine within this process, gone when it is closed.
type trial struct {
	*cluster.View
	close func() error
}

func (t *trial) Close() error { return t.close() }

// openTrial starts a cluster of one engine with one slot.
func openTrial(ctx context.Context) (parade.Executor, error) {
	folder, err := os.MkdirTemp("", "parade-trial-")
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	life, stop := context.WithCancel(context.Background())
	var engines sync.WaitGroup
	ended := make(chan error, 1)
	var c *controller.Controller
	var client *cluster.Client
	end := sync.OnceValue(func() error {
		var errs []error
		if client != nil {
			errs = append(errs, client.Close())
		}
		stop()
		engines.Wait()
		select {
		case err := <-ended:
			errs = append(errs, err)
		default:
		}
		if c != nil {
			errs = append(errs, c.Close())
		}
		return errors.Join(append(errs, os.RemoveAll(folder))...)
	})
	fail := func(err error) (parade.Executor, error) { return nil, errors.Join(err, end()) }
	if c, err = controller.Start(ctx, controller.Config{Name: "trial", Folder: folder, Log: quiet}); err != nil {
		return fail(err)
	}
	conn, err := cluster.Load(c.File(cluster.RoleEngine))
	if err != nil {
		return fail(err)
	}
	engines.Go(func() {
		ended <- engine.Run(life, engine.Config{Connection: conn, Slots: 1, Cache: filepath.Join(folder, "programs"), Log: quiet})
	})
	clients, err := cluster.Load(c.File(cluster.RoleClient))
	if err != nil {
		return fail(err)
	}
	if client, err = cluster.Connect(ctx, clients); err != nil {
		return fail(err)
	}
	if err := client.WaitForEngines(ctx, 1); err != nil {
		return fail(err)
	}
	return &trial{client.LoadBalanced(), end}, nil
}
