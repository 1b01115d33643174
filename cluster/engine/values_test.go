//go:build unix

package engine

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// TestValueOncePerHost: engines that share a folder fetch a value once, whatever is damaged
// in the folder, and remove it with its queue.
func TestValueOncePerHost(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	dial := func(role string) (*nats.Conn, jetstream.JetStream) {
		conn, err := access.Load(c.File(role))
		if err != nil {
			t.Fatal(err)
		}
		nc, err := conn.Dial("parade test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := queue.JetStream(nc)
		if err != nil {
			t.Fatal(err)
		}
		return nc, js
	}
	_, js := dial(access.Client)
	if err := queue.Make(t.Context(), js, queue.Record{ID: "q", Kind: queue.Session}, 0); err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte("spikes"), 1<<20)
	h := queue.HashOf(value)
	if err := queue.PutValue(t.Context(), js, "q", "1", h, value); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	var engines []*engine
	var conns []*nats.Conn
	for range 4 {
		nc, js := dial(access.Engine)
		conns = append(conns, nc)
		engines = append(engines, &engine{cfg: Config{Values: folder}, log: log, js: js})
	}
	fetched := func() (bytes uint64) {
		for _, nc := range conns {
			bytes += nc.Stats().InBytes
		}
		return bytes
	}
	read := func() {
		t.Helper()
		var all sync.WaitGroup
		for _, e := range engines {
			all.Go(func() {
				got, err := e.value(t.Context(), "q", "1", h)
				if err != nil || !bytes.Equal(got, value) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		all.Wait()
	}
	read()
	once := fetched()
	if size := uint64(len(value)); once < size || once > size*3/2 {
		t.Errorf("four engines have fetched %d bytes, and the value has %d", once, size)
	}
	read()
	if n := fetched(); n-once > uint64(len(value))/10 { // beside what a server says now and then
		t.Errorf("they have fetched it again: %d bytes", n-once)
	}
	path := filepath.Join(folder, "q", h.Key())
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	read()
	if n := fetched() - once; n < uint64(len(value)) || n > uint64(len(value))*3/2 {
		t.Errorf("what was damaged cost %d bytes", n)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	engines[0].dropValues(queue.Record{ID: "q", Kind: queue.Job})
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the value of a queue that was removed: %v", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	now := time.Now()
	named := func(name string) string { // as engines would
		sum := queue.HashOf([]byte(name))
		return filepath.Join(folder, filepath.Dir(name), sum.Key())
	}
	if err := os.WriteFile(filepath.Join(folder, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(folder, "notes"), now.Add(-1000*time.Hour), now.Add(-1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"q/new": 0, "q/lately": 30 * time.Minute, "q/before": 3 * time.Hour, "r/long": 5 * time.Hour, "s/old": 48 * time.Hour} {
		path := named(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	have := func() (all []string) {
		for _, name := range []string{"q/new", "q/lately", "q/before", "r/long", "s/old"} {
			if _, err := os.Stat(named(name)); err == nil {
				all = append(all, name)
			}
		}
		for _, name := range []string{"s", "notes"} { // a folder that is empty goes, what is not an engine's stays
			if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
				all = append(all, name)
			}
		}
		return all
	}
	for _, step := range []struct {
		name   string
		limits limits
		want   int
	}{
		{"nothing", limits{100 * time.Hour, 1 << 20, time.Hour}, 7},
		{"by age", limits{24 * time.Hour, 1 << 20, time.Hour}, 5},
		{"by size", limits{24 * time.Hour, 3500, time.Hour}, 4},
		{"not what is in use", limits{24 * time.Hour, 0, time.Hour}, 3},
	} {
		if err := prune(folder, step.limits); err != nil {
			t.Error(err)
		}
		if all := have(); len(all) != step.want {
			t.Errorf("%s: there is %q", step.name, all)
		}
	}
}

// TestOwnFolder: a folder that others could write to is closed, and what is none is refused.
func TestOwnFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ownFolder(open); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(open); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("it is %v, %v", info, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(open, link); err != nil {
		t.Fatal(err)
	}
	if err := ownFolder(link); err == nil {
		t.Error("a link is taken")
	}
}
