//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// wire is a way to a cluster that can be cut, stopped or narrow.
type wire struct {
	listener net.Listener
	to       string
	back     atomic.Int64 // bytes from the cluster
	pace     atomic.Int64 // bytes a second from the cluster, 0: no bound
	stopped  atomic.Bool  // nothing passes
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]struct{}
	done     sync.WaitGroup
}

// through returns the connection by way of a wire.
func through(t *testing.T, conn cluster.Connection) (cluster.Connection, *wire) {
	t.Helper()
	u, err := url.Parse(conn.URLs[0])
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: u.Host, open: map[net.Conn]struct{}{}}
	w.done.Go(w.serve)
	t.Cleanup(func() {
		w.stopped.Store(false)
		_ = l.Close()
		w.set(true)
		w.done.Wait()
	})
	conn.URLs = []string{"tls://" + l.Addr().String()}
	return conn, w
}

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		w.mu.Lock()
		if err != nil || w.cut {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			w.mu.Unlock()
			continue
		}
		w.open[near], w.open[far] = struct{}{}, struct{}{}
		w.done.Go(func() { w.pass(far, near, nil) })
		w.done.Go(func() { w.pass(near, far, &w.back) })
		w.mu.Unlock()
	}
}

func (w *wire) pass(to, from net.Conn, count *atomic.Int64) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		for w.stopped.Load() {
			time.Sleep(time.Millisecond)
		}
		if count != nil {
			count.Add(int64(n))
			if pace := w.pace.Load(); pace > 0 {
				time.Sleep(time.Duration(n) * time.Second / time.Duration(pace))
			}
		}
		if _, e := to.Write(buf[:n]); err != nil || e != nil {
			return
		}
	}
}

// set cuts the wire, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.open {
			_ = c.Close()
		}
		clear(w.open)
	}
}

// within is a controller with engines in this process.
func within(t *testing.T, cfg controller.Config, slots ...int) (*controller.Controller, cluster.Connection) {
	t.Helper()
	cfg.Name, cfg.Log, cfg.Folder = "lab", quiet, t.TempDir()
	c, err := controller.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	engines, err := cluster.Load(c.File(cluster.RoleEngine))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	life, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, n := range slots {
		all.Go(func() {
			if err := engine.Run(life, engine.Config{Connection: engines, ID: fmt.Sprintf("engine-%d", i), Slots: n, Cache: cache, Log: quiet}); err != nil {
				t.Errorf("engine %d: %v", i, err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		all.Wait()
	})
	conn, err := cluster.Load(c.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	return c, conn
}

func enter(t *testing.T, conn cluster.Connection, engines int) *cluster.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, err := cluster.Connect(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.WaitForEngines(ctx, engines); err != nil {
		t.Fatal(err)
	}
	return client
}

// sessions are the queues of clients.
func sessions(t *testing.T, conn cluster.Connection) (ids []string) {
	t.Helper()
	s, err := cluster.Look(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range s.Queues {
		if q.Kind == queue.Session {
			ids = append(ids, q.ID)
		}
	}
	return ids
}

// length is how many bytes two slices have, after some milliseconds.
var length = parade.Func2("cluster.length", func(bound []byte, in delayed) (int, error) {
	time.Sleep(time.Duration(in.MS) * time.Millisecond)
	return len(bound) + len(in.Value), nil
})

// TestClientTakenForGone: a client that was cut off for longer than its queues are kept
// loses nothing.
func TestClientTakenForGone(t *testing.T) {
	t.Parallel()
	_, conn := within(t, controller.Config{SessionGrace: 200 * time.Millisecond}, 2, 1)
	far, w := through(t, conn)
	client := enter(t, far, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type outcome struct {
		what string
		got  []int
		err  error
	}
	inputs := make([]int, 60)
	large := make([]delayed, 12)
	for i := range inputs {
		inputs[i] = i
	}
	for i := range large {
		large[i] = delayed{200, make([]byte, 300<<10+i)}
	}
	bound := parade.Bind(length, make([]byte, 500<<10))
	outcomes := make(chan outcome, 4)
	go func() {
		got, err := parade.Map(ctx, client.LoadBalanced(), slowSquare, inputs, parade.BatchSize(1))
		outcomes <- outcome{"small", got, err}
	}()
	go func() {
		got, err := parade.Map(ctx, client.LoadBalanced(), bound, large, parade.BatchSize(1))
		outcomes <- outcome{"large", got, err}
	}()
	go func() {
		got, err := parade.Map(ctx, client.Direct(), slowSquare, inputs, parade.BatchSize(1))
		outcomes <- outcome{"direct", got, err}
	}()
	single := parade.Go(ctx, client.LoadBalanced(), slowSquare, 1500)
	for len(sessions(t, conn)) < 3 {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	w.set(true)
	for len(sessions(t, conn)) > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	w.set(false)
	for range 3 {
		o := <-outcomes
		if o.err != nil {
			t.Errorf("%s: %v", o.what, o.err)
			continue
		}
		for i, n := range o.got {
			want := i * i
			if o.what == "large" {
				want = 800<<10 + i
			}
			if n != want {
				t.Errorf("%s: task %d gave %d, want %d", o.what, i, n, want)
			}
		}
	}
	if n, err := single.Wait(ctx); n != 1500*1500 || err != nil {
		t.Errorf("the single task gave %d, %v", n, err)
	}
}

// slowSquare takes 50 ms.
var slowSquare = parade.Pure("cluster.slowSquare", func(x int) int {
	time.Sleep(50 * time.Millisecond)
	return x * x
})

// TestDirectOverRestart: a direct view's call outlives a controller that is away for longer than
// engines may be silent.
func TestDirectOverRestart(t *testing.T) {
	t.Parallel()
	c, conn := within(t, controller.Config{}, 1, 1)
	client := enter(t, conn, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := cluster.Apply(ctx, client.Direct(), doze, int(queue.Stale/time.Millisecond)+15_000)
		done <- err
	}()
	for len(sessions(t, conn)) < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(queue.Stale + 500*time.Millisecond)
	again, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: c.Folder(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Both ends hear at once of what is new.
	if _, err := parade.Map(ctx, client.LoadBalanced().Require(), square, []int{1}); err != nil {
		t.Error(err)
	}
}

// TestOneFetch: a large answer that takes longer to fetch than to be announced again is
// fetched once.
func TestOneFetch(t *testing.T) {
	t.Parallel()
	_, conn := within(t, controller.Config{}, 1)
	far, w := through(t, conn)
	client := enter(t, far, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const size = 4 << 20
	w.pace.Store(600 << 10)
	before := w.back.Load()
	out, err := parade.Map(ctx, client.LoadBalanced(), zeros, []int{size})
	if err != nil || len(out[0]) != size {
		t.Fatalf("%v", err)
	}
	time.Sleep(3 * time.Second) // what else was asked for comes behind it
	if n := w.back.Load() - before; n > size*5/4 {
		t.Errorf("%d bytes came for an answer of %d", n, size)
	}
}

var zeros = parade.Pure("cluster.zeros", func(n int) []byte { return make([]byte, n) })

// TestGoHeedsContext: a call that cannot be opened ends with its context.
func TestGoHeedsContext(t *testing.T) {
	t.Parallel()
	_, conn := within(t, controller.Config{}, 1)
	far, w := through(t, conn)
	client := enter(t, far, 1)
	w.stopped.Store(true)
	defer w.stopped.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	returned := make(chan error, 2)
	for range 2 { // the second waits for the first
		go func() {
			_, err := parade.Go(ctx, client.LoadBalanced(), square, 3).Wait(t.Context())
			returned <- err
		}()
	}
	for range 2 {
		select {
		case err := <-returned:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it says %v", err)
			}
		case <-time.After(4 * time.Second):
			t.Fatal("it goes on")
		}
	}
}

// store reaches a cluster's streams.
func store(t *testing.T, conn cluster.Connection) jetstream.JetStream {
	t.Helper()
	nc, err := conn.Dial("parade test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := queue.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestFull: what the controller cannot store fails the call at once, and says why.
func TestFull(t *testing.T) {
	t.Parallel()
	_, conn := within(t, controller.Config{}, 1)
	client := enter(t, conn, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := parade.Map(ctx, client.LoadBalanced(), square, []int{1}); err != nil {
		t.Fatal(err)
	}
	js := store(t, conn)
	s, err := js.Stream(ctx, queue.WorkStream(sessions(t, conn)[0]))
	if err != nil {
		t.Fatal(err)
	}
	full := s.CachedInfo().Config
	full.MaxMsgs, full.Discard = 2, jetstream.DiscardNew
	if _, err := js.UpdateStream(ctx, full); err != nil {
		t.Fatal(err)
	}
	_, err = parade.Map(ctx, client.LoadBalanced(), slowSquare, make([]int, 500), parade.BatchSize(1))
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "maximum messages exceeded") {
		t.Errorf("it says %v", err)
	}
}

// TestNothingIsLeft: of a call that has ended no large value stays, neither one that an
// engine has put there before nor one that it announces later.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	c, conn := within(t, controller.Config{}, 2)
	client := enter(t, conn, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inputs := make([]delayed, 40)
	for i := range inputs {
		inputs[i] = delayed{100, make([]byte, 300<<10+i)}
	}
	done := make(chan error, 1)
	go func() {
		_, err := parade.Map(ctx, client.LoadBalanced(), late, inputs)
		done <- err
	}()
	for len(sessions(t, conn)) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	js := store(t, conn)
	id, value := sessions(t, conn)[0], make([]byte, 400<<10)
	put := func(job string) {
		t.Helper()
		if err := queue.PutValue(t.Context(), js, id, job, queue.HashOf(value), value); err != nil {
			t.Fatal(err)
		}
	}
	values, err := js.ObjectStore(t.Context(), queue.Values(id))
	if err != nil {
		t.Fatal(err)
	}
	empty := func(when string) {
		t.Helper()
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			left, err := values.List(t.Context())
			if errors.Is(err, jetstream.ErrNoObjectsFound) || err == nil && len(left) == 0 {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%s: %d values are left, %v", when, len(left), err)
			}
		}
	}
	put("1")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	empty("at the end")
	put("99") // of a call that has ended long ago
	own, err := cluster.Load(c.File(cluster.RoleEngine))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := own.Dial("parade test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.PublishRequest(queue.Done(id, "99"), nc.NewInbox(), queue.AppendAnswerHash(nil, queue.HashOf(value))); err != nil {
		t.Fatal(err)
	}
	empty("afterwards")
}
