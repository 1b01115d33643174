package controller

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// servers have the queue of a client, but not its key.
type servers struct {
	jetstream.JetStream
	err     error // of a look
	removed bool  // it came so far
}

func (s *servers) KeyValue(_ context.Context, name string) (jetstream.KeyValue, error) {
	return bucket{of: s, name: name}, s.err
}

type bucket struct {
	jetstream.KeyValue
	of   *servers
	name string
}

func (b bucket) ListKeys(context.Context, ...jetstream.WatchOpt) (jetstream.KeyLister, error) {
	list := make(keyList, 1)
	if b.name == queue.Records {
		list <- "client"
	}
	close(list)
	return list, nil
}

// Get is what comes before the removal.
func (b bucket) Get(context.Context, string) (jetstream.KeyValueEntry, error) {
	b.of.removed = true
	return nil, jetstream.ErrKeyNotFound
}

type keyList chan string

func (l keyList) Keys() <-chan string { return l }
func (l keyList) Stop() error         { return nil }

// TestDepart: a client goes when looks that follow one another have missed it for long.
func TestDepart(t *testing.T) {
	t.Parallel()
	lost := errors.New("no leader")
	for name, test := range map[string]struct {
		before time.Duration // the last good look
		looks  []error
		gone   bool
	}{
		"missed for long":             {time.Second, []error{nil}, true},
		"the first look after others": {time.Second, []error{lost, nil}, false},
		"the next one, too":           {time.Second, []error{lost, nil, nil}, false},
		"the first look for long":     {time.Hour, []error{nil}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &servers{}
			k := &Keeper{js: s, grace: time.Minute, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
			now := time.Now()
			a := absent{since: map[string]time.Time{"client": now.Add(-2 * time.Hour)}, looked: now.Add(-test.before)}
			for _, s.err = range test.looks {
				if err := k.depart(t.Context(), &a); !errors.Is(err, s.err) {
					t.Fatal(err)
				}
			}
			if s.removed != test.gone {
				t.Errorf("the queue is removed: %v, want %v", s.removed, test.gone)
			}
		})
	}
}
