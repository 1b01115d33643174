//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"github.com/parade-go/parade/internal/natstest"
	"github.com/parade-go/parade/paradetest"
)

func TestMain(m *testing.M) {
	parade.Serve()
	natstest.Serve()
	playRole()
	code := m.Run()
	if programsFolder != "" {
		_ = os.RemoveAll(programsFolder)
	}
	os.Exit(code)
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// lab is a cluster in this process.
type lab struct {
	*cluster.View
	client     *cluster.Client
	controller *controller.Controller
	stop       context.CancelFunc
	engines    sync.WaitGroup
	mu         sync.Mutex
	errs       []error
	once       sync.Once
}

func openLab(ctx context.Context, dir, cache string, engines, slots int) (_ *lab, err error) {
	l := &lab{}
	life, stop := context.WithCancel(context.Background())
	l.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.controller, err = controller.Start(ctx, controller.Config{Name: "lab", Folder: dir, Log: quiet}); err != nil {
		return nil, err
	}
	conn, err := cluster.Load(l.controller.File(cluster.RoleEngine))
	if err != nil {
		return nil, err
	}
	for i := range engines {
		l.engines.Go(func() {
			err := engine.Run(life, engine.Config{Connection: conn, ID: fmt.Sprintf("engine-%d", i), Slots: slots, Cache: cache})
			l.mu.Lock()
			l.errs = append(l.errs, err)
			l.mu.Unlock()
		})
	}
	clients, err := cluster.Load(l.controller.File(cluster.RoleClient))
	if err != nil {
		return nil, err
	}
	if l.client, err = cluster.Connect(ctx, clients); err != nil {
		return nil, err
	}
	l.View = l.client.LoadBalanced()
	return l, l.client.WaitForEngines(ctx, engines)
}

func (l *lab) Close() error {
	var errs []error
	if l.View != nil {
		errs = append(errs, l.View.Close())
	}
	if l.client != nil {
		errs = append(errs, l.client.Close())
	}
	l.once.Do(func() {
		l.stop()
		l.engines.Wait()
		errs = append(errs, l.errs...)
		if l.controller != nil {
			errs = append(errs, l.controller.Close())
		}
	})
	return errors.Join(errs...)
}

// ownLab opens a lab of engines of one slot that the test may harm, and closes it at the end.
func ownLab(t *testing.T, engines int) *lab {
	t.Helper()
	l, err := openLab(t.Context(), t.TempDir(), t.TempDir(), engines, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestConformance: with PARADE_TEST_CLUSTER=NAME the suite runs on that cluster of this
// user, whose engines must be on this machine, or on the one that PARADE_TEST_HOST names
// and that shares its folder for temporary files.
func TestConformance(t *testing.T) {
	features := paradetest.Features{
		// nats.go 1.55 forgets one when a large value is put in less time than it takes to start it.
		Leaks:  []string{"github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"},
		Kill:   func(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) },
		Freeze: func(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) },
	}
	if name := os.Getenv(suiteVariable); name != "" {
		features.Host, features.SharedWorkers = os.Getenv("PARADE_TEST_HOST"), true
		paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) { return parade.Open(ctx, "cluster:"+name) }, features)
		return
	}
	cache := t.TempDir()
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) {
				return openLab(ctx, t.TempDir(), cache, n, 1)
			}, features)
		})
	}
}

var square = parade.Pure("cluster.square", func(x int) int { return x * x })
