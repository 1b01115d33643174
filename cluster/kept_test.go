//go:build unix

package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// firstOnly returns 7 where it comes first, and elsewhere when the folder has a file "go".
var firstOnly = parade.FuncContext("cluster.firstOnly", func(ctx context.Context, folder string) (int, error) {
	if f, err := os.OpenFile(filepath.Join(folder, "first"), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		return 7, f.Close()
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(filepath.Join(folder, "go")); err == nil {
			return 8, nil
		}
		time.Sleep(time.Millisecond)
	}
	return 0, ctx.Err()
})

// TestKept: results of Execute stay, those that nobody has got do not, and none is found when
// the values of the client were lost meanwhile.
func TestKept(t *testing.T) {
	before := lingering
	lingering = 500 * time.Millisecond
	defer func() { lingering = before }()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ctl, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer ctl.Close()
	engines, err := Load(ctl.File(RoleEngine))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	life, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range 2 {
		running.Go(func() {
			_ = engine.Run(life, engine.Config{Connection: engines, ID: strconv.Itoa(i), Slots: 1, Cache: cache, Log: log})
		})
	}
	defer running.Wait()
	defer stop()
	conn, err := Load(ctl.File(RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitForEngines(ctx, 2); err != nil {
		t.Fatal(err)
	}
	view := c.Direct()
	execute := func(meanwhile func(folder, call string)) error {
		folder := t.TempDir()
		once := sync.OnceFunc(func() {
			c.mu.Lock()
			call := queue.Number(c.lastJob)
			c.mu.Unlock()
			go meanwhile(folder, call)
		})
		return Execute(ctx, view, "x", firstOnly, folder, parade.OnProgress(func(p parade.Progress) {
			if p.Done == 1 {
				once()
			}
		}))
	}

	stray := queue.HashOf([]byte("stray")) // as of a task that ran twice
	var job string
	err = execute(func(folder, call string) {
		job = call
		err := queue.PutValue(ctx, c.js, c.home(), call, stray, []byte("stray"))
		if err := errors.Join(err, os.WriteFile(filepath.Join(folder, "go"), nil, 0o600)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := queue.GetValue(ctx, c.js, c.home(), job, stray)
		if errors.Is(err, jetstream.ErrObjectNotFound) {
			break
		}
		if err != nil {
			t.Fatalf("a result that nobody has got stays: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	x, err := Pull[int](ctx, view, "x")
	slices.Sort(x)
	if err != nil || !slices.Equal(x, []int{7, 8}) {
		t.Errorf("the others are %v, %v", x, err)
	}

	if err := execute(func(string, string) { c.loseValues() }); !errors.Is(err, parade.ErrNoValue) {
		t.Errorf("values are lost during the call: %v, want ErrNoValue", err)
	}
	for _, s := range c.sessions {
		if len(s.values) > 0 {
			t.Errorf("then there still are %v", s.values)
		}
	}
}
