//go:build unix

package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// head takes the head of a job, and starts relays that nothing runs.
type head struct{ data []byte }

func (h *head) Info() parade.Info       { return parade.Info{} }
func (h *head) Close() error            { return nil }
func (h *head) Start(*parade.Job) error { return nil }
func (h *head) Run(_ context.Context, job *parade.Job) error {
	p, err := job.Post(func() {})
	if err == nil {
		h.data, err = p.Head(), errors.New("enough")
	}
	return err
}

var same = parade.Pure("engine.same", func(x int) int { return x })

// bare is an engine without queues of its own, and a queue in its cluster. stored waits
// until the engine holds nothing, and returns the number of messages in the queue's stream. js is
// a client's.
func bare(t *testing.T) (e *engine, js jetstream.JetStream, stored func() uint64) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	dial := func(role string) *nats.Conn {
		conn, err := access.Load(c.File(role))
		if err != nil {
			t.Fatal(err)
		}
		nc, err := conn.Dial("parade test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	js, err = queue.JetStream(dial(access.Client))
	if err != nil {
		t.Fatal(err)
	}
	if err := queue.Make(t.Context(), js, queue.Record{ID: "q", Kind: queue.Session}, 0); err != nil {
		t.Fatal(err)
	}
	e = &engine{log: log, held: map[*held]struct{}{}, conn: dial(access.Engine)}
	if e.courier, err = queue.NewCourier(e.conn, e.refused); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.courier.Close)
	if e.js, err = queue.JetStream(e.conn); err != nil {
		t.Fatal(err)
	}
	return e, js, func() uint64 {
		holds := func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(e.held) > 0
		}
		for until := time.Now().Add(20 * time.Second); holds() && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		s, err := js.Stream(t.Context(), queue.WorkStream("q"))
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs
	}
}

// idleRelay is a relay that nothing runs.
func idleRelay(t *testing.T) *parade.Relay {
	t.Helper()
	var job head
	_, _ = parade.Map(t.Context(), &job, same, []int{1}) // fails, as it should
	made, err := parade.NewRelay(job.data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Start(&job); err != nil {
		t.Fatal(err)
	}
	return made
}

// TestPushToEnded: a parcel that comes to a relay which has ended is handed back, unless
// nobody wants it any more.
func TestPushToEnded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause error
		want  uint64 // messages in the stream
	}{
		"tidied":           {nil, 1},
		"the engine ends":  {parade.ErrClosed, 1},
		"the job was over": {errOver, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := idleRelay(t)
			if test.cause != nil {
				made.Stop(test.cause)
			}
			e, _, stored := bare(t)
			e.running = 1
			h := &held{source: &source{Record: queue.Record{ID: "q"}}, job: "1", msg: &nats.Msg{Data: []byte("a parcel")}, owed: 1}
			e.held[h] = struct{}{}
			r := &relay{Relay: made, pool: &pool{engine: e}, key: h.key()} // held is nil: watch has been there
			r.push(h, queue.Message{}, parade.Parcel{})
			if n := stored(); n != test.want {
				t.Errorf("%d messages in the stream, want %d", n, test.want)
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			if len(e.held) != 0 || e.running != 0 {
				t.Errorf("the engine holds %d parcels and runs %d", len(e.held), e.running)
			}
		})
	}
}

// TestLargeInputsGone: a parcel whose inputs the client has removed, since it has their answer,
// does not go round for ever.
func TestLargeInputsGone(t *testing.T) {
	t.Parallel()
	e, _, stored := bare(t)
	e.ctx = t.Context()
	q := &source{Record: queue.Record{ID: "q"}, held: map[uint64]*held{}, pool: "program"}
	h := taken(e, q, 1)
	h.msg.Data = queue.Message{Head: []byte("a head"), ParcelHash: &queue.Hash{}}.AppendTo(nil)
	ready := make(chan struct{})
	close(ready)
	p := &pool{engine: e, ready: ready, relays: map[relayKey]*relay{}}
	p.relays[h.key()] = &relay{Relay: idleRelay(t), pool: p, key: h.key(), ready: ready, held: map[*held]struct{}{}}
	e.pools = map[string]*pool{"program": p}
	e.begin(h)
	if n := stored(); n != 0 || e.has() {
		t.Errorf("%d messages in the stream and %d parcels held, want none", n, len(e.held))
	}
}

// TestGivesBackLarge: what could not be stored at once is given back later, and kept meanwhile.
func TestGivesBackLarge(t *testing.T) {
	t.Parallel()
	e, js, stored := bare(t)
	e.ctx = t.Context()
	q := &source{Record: queue.Record{ID: "q"}, held: map[uint64]*held{}}
	h := taken(e, q, 1)
	bucket := jetstream.ObjectStoreConfig{Bucket: queue.Values("q")}
	if err := js.DeleteObjectStore(t.Context(), bucket.Bucket); err != nil {
		t.Fatal(err)
	}
	large := parcel(t, 2*queue.Inline/512)
	begun, given := make(chan struct{}), make(chan struct{})
	e.log = slog.New(slog.NewTextHandler(writer(sync.OnceFunc(func() { close(begun) })), nil))
	go func() {
		defer close(given)
		e.giveBack(h, queue.Message{}, large)
	}()
	<-begun // its first try has failed
	if _, err := js.CreateObjectStore(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	<-given
	if n := stored(); n != 1 {
		t.Errorf("%d messages in the stream, want 1", n)
	}
}

// writer is called when something is written.
type writer func()

func (w writer) Write(b []byte) (int, error) {
	w()
	return len(b), nil
}

// parcel is n tasks from number 0 on with inputs of 512 bytes.
func parcel(t *testing.T, n int) parade.Parcel {
	t.Helper()
	const size = 512
	var data []byte
	for _, head := range []int{0, 1, n, size} {
		data = binary.AppendUvarint(data, uint64(head))
	}
	data = append(data, make([]byte, n*size)...)
	p, err := parade.ParseParcel(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
