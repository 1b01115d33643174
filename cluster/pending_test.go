//go:build unix

package cluster

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
)

// lazy takes long to be read.
type lazy struct{ data []byte }

func (l lazy) MarshalBinary() ([]byte, error) { return l.data, nil }

func (l *lazy) UnmarshalBinary(data []byte) error {
	time.Sleep(30 * time.Millisecond)
	l.data = slices.Clone(data)
	return nil
}

var makeLazy = parade.Pure("cluster.makeLazy", func(n int) lazy { return lazy{make([]byte, n)} })

// TestSlowClient: answers that come faster than the program takes them are bounded, and
// none is lost.
func TestSlowClient(t *testing.T) {
	before := mostPending
	mostPending = 60 << 10
	defer func() { mostPending = before }()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	engines, err := Load(c.File(RoleEngine))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	life, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		_ = engine.Run(life, engine.Config{Connection: engines, Slots: 4, Cache: cache, Log: log})
	})
	defer running.Wait()
	defer stop()
	conn, err := Load(c.File(RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	client, err := Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.WaitForEngines(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := parade.Map(ctx, client.LoadBalanced(), makeLazy, slices.Repeat([]int{3000}, 60), parade.BatchSize(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range out {
		if len(l.data) != 3000 {
			t.Errorf("task %d gave %d bytes", i, len(l.data))
		}
	}
	client.making <- struct{}{}
	dropped, err := client.sessions[0].answers.Dropped()
	<-client.making
	if err != nil || dropped == 0 {
		t.Errorf("%d answers were dropped, %v: the test shows nothing", dropped, err)
	}
}
