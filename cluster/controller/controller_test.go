package controller_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/natstest"
	_ "github.com/parade-go/parade/process"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	natstest.Serve()
	// nats.go 1.55 forgets one when a large value is put in less time than it takes to start it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	c, err := controller.Start(context.Background(), controller.Config{Name: "lab", Folder: dir, Log: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	conn, err := cluster.Load(c.File(cluster.RoleClient))
	fmt.Println(conn.Cluster, conn.Role, err)
	// Output: lab client <nil>
}

func start(t *testing.T, cfg controller.Config) *controller.Controller {
	t.Helper()
	cfg.Name, cfg.Log = "lab", quiet
	if cfg.Folder == "" {
		cfg.Folder = t.TempDir()
	}
	c, err := controller.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func load(t *testing.T, c *controller.Controller, role string) cluster.Connection {
	t.Helper()
	conn, err := cluster.Load(c.File(role))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func dial(t *testing.T, conn cluster.Connection) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	closed := make(chan struct{})
	nc, err := conn.Dial("test", nats.ClosedHandler(func(*nats.Conn) { close(closed) }), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		<-closed
	})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func TestSecretsAreForOneUser(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("windows has no such modes")
	}
	c := start(t, controller.Config{})
	for _, file := range []string{"client.json", "engine.json", "observer.json", "authority.pem", "controller.json"} {
		info, err := os.Stat(filepath.Join(c.Folder(), file))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
}

// TestRestart has a controller start again where another ended.
func TestRestart(t *testing.T) {
	t.Parallel()
	c := start(t, controller.Config{})
	before := load(t, c, cluster.RoleClient)
	_, js := dial(t, before)
	record := queue.Record{ID: "kept", Kind: queue.Job}
	if err := queue.Make(t.Context(), js, record, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), queue.Work("kept", "1"), []byte("a parcel")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, controller.Config{Folder: c.Folder()})
	after := load(t, again, cluster.RoleClient)
	if after.Key != before.Key || after.CA != before.CA || after.URLs[0] != before.URLs[0] {
		t.Errorf("the connection is another: %v, was %v", after, before)
	}
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for { // the old connection comes back by itself
		s, err := js.Stream(deadline, queue.WorkStream("kept"))
		if err == nil {
			if n := s.CachedInfo().State.Msgs; n != 1 {
				t.Errorf("%d parcels, want 1", n)
			}
			break
		}
		if deadline.Err() != nil {
			t.Fatalf("the queue is gone: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestRefuses: who has another cluster's key, or none, does not get in, and is told why.
func TestRefuses(t *testing.T) {
	t.Parallel()
	mine, other := start(t, controller.Config{}), start(t, controller.Config{})
	right, wrong := load(t, mine, cluster.RoleClient), load(t, other, cluster.RoleClient)
	for _, tc := range []struct {
		name   string
		change func(c *cluster.Connection)
	}{
		{"the key of another cluster", func(c *cluster.Connection) { c.Key = wrong.Key }},
		{"no key", func(c *cluster.Connection) { c.Key = "" }},
		{"another cluster's authority", func(c *cluster.Connection) { c.CA = wrong.CA }},
	} {
		conn := right
		tc.change(&conn)
		nc, err := conn.Dial("test")
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), "lab") {
			t.Errorf("%s: %v, want ErrRefused with the cluster's name", tc.name, err)
		}
		if err != nil && strings.Contains(err.Error(), conn.Key) && conn.Key != "" {
			t.Errorf("%s: the message has the secret", tc.name)
		}
	}
	plain := right
	plain.CA, plain.URLs = "", []string{strings.Replace(right.URLs[0], "tls://", "nats://", 1)}
	if nc, err := plain.Dial("test", nats.RootCAs()); err == nil {
		nc.Close()
		t.Error("a connection without the authority's certificate is accepted")
	}
}

// TestRolesMay tries what roles must not be able to do.
func TestRolesMayNot(t *testing.T) {
	t.Parallel()
	c := start(t, controller.Config{})
	_, client := dial(t, load(t, c, cluster.RoleClient))
	if err := queue.Make(t.Context(), client, queue.Record{ID: "q", Kind: queue.Job}, 0); err != nil {
		t.Fatalf("a client cannot make a queue: %v", err)
	}
	for _, tc := range []struct {
		role, name string
		try        func(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) error
	}{
		{cluster.RoleEngine, "publish a parcel", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			_, err := js.Publish(ctx, queue.Work("q", "1"), nil)
			return err
		}},
		{cluster.RoleEngine, "make a queue", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			return queue.Make(ctx, js, queue.Record{ID: "other", Kind: queue.Job}, 0)
		}},
		{cluster.RoleEngine, "change a record", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			kv, err := js.KeyValue(ctx, queue.Records)
			if err == nil {
				_, err = kv.Put(ctx, "q", []byte("{}"))
			}
			return err
		}},
		{cluster.RoleEngine, "store a program", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			programs, err := js.ObjectStore(ctx, queue.Programs)
			if err == nil {
				_, err = programs.PutBytes(ctx, "evil", []byte("program"))
			}
			return err
		}},
		{cluster.RoleEngine, "remove a queue", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			return js.DeleteStream(ctx, queue.WorkStream("q"))
		}},
		{cluster.RoleEngine, "empty a queue", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, queue.WorkStream("q"))
			if err == nil {
				err = s.Purge(ctx)
			}
			return err
		}},
		{cluster.RoleEngine, "remove the results of a job", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, queue.DoneStream("q"))
			if err == nil {
				err = s.DeleteMsg(ctx, 1)
			}
			return err
		}},
		{cluster.RoleEngine, "read the results of a job", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, queue.DoneStream("q"))
			if err == nil {
				_, err = s.GetMsg(ctx, 1)
			}
			return err
		}},
		{cluster.RoleEngine, "follow the results of a job", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			_, err := js.CreateConsumer(ctx, queue.DoneStream("q"), jetstream.ConsumerConfig{})
			return err
		}},
		{cluster.RoleEngine, "follow the parcels of a queue", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			_, err := js.CreateConsumer(ctx, queue.WorkStream("q"), jetstream.ConsumerConfig{FilterSubject: queue.Work("q", "*")})
			return err
		}},
		{cluster.RoleEngine, "keep the others from a queue", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			return js.DeleteConsumer(ctx, queue.WorkStream("q"), queue.Consumer)
		}},
		{cluster.RoleEngine, "read answers as they pass", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			s, err := nc.SubscribeSync("parade.done.>")
			if err != nil {
				return err
			}
			_, err = s.NextMsgWithContext(ctx)
			return err
		}},
		{cluster.RoleEngine, "end another engine", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			_, err := nc.RequestWithContext(ctx, queue.EngineVerb("e", queue.Stop), nil)
			return err
		}},
		{cluster.RoleEngine, "end a job", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			_, err := nc.RequestWithContext(ctx, queue.Over("q"), make([]byte, 8))
			return err
		}},
		{cluster.RoleObserver, "publish a parcel", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			_, err := js.Publish(ctx, queue.Work("q", "1"), nil)
			return err
		}},
		{cluster.RoleObserver, "give an answer", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			_, err := js.Publish(ctx, queue.Done("q", "1"), nil)
			return err
		}},
		{cluster.RoleObserver, "take a parcel", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			_, err := nc.RequestWithContext(ctx, "$JS.API.CONSUMER.MSG.NEXT."+queue.WorkStream("q")+"."+queue.Consumer, []byte(`{"batch":1,"no_wait":true}`))
			return err
		}},
		{cluster.RoleObserver, "read answers as they pass", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			s, err := nc.SubscribeSync("parade.done.>")
			if err != nil {
				return err
			}
			_, err = s.NextMsgWithContext(ctx)
			return err
		}},
		{cluster.RoleObserver, "read a parcel", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, queue.WorkStream("q"))
			if err == nil {
				_, err = s.GetMsg(ctx, 1)
			}
			return err
		}},
		{cluster.RoleObserver, "follow the parcels of a queue", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			_, err := js.CreateConsumer(ctx, queue.WorkStream("q"), jetstream.ConsumerConfig{FilterSubject: queue.Work("q", "*")})
			return err
		}},
		{cluster.RoleObserver, "read a program", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			programs, err := js.ObjectStore(ctx, queue.Programs)
			if err == nil {
				_, err = programs.GetBytes(ctx, "secret")
			}
			return err
		}},
		{cluster.RoleObserver, "pass for an engine", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			kv, err := js.KeyValue(ctx, queue.Engines)
			if err == nil {
				_, err = kv.Put(ctx, "e", []byte("{}"))
			}
			return err
		}},
		{cluster.RoleObserver, "change a record", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
			kv, err := js.KeyValue(ctx, queue.Records)
			if err == nil {
				_, err = kv.Put(ctx, "q", []byte("{}"))
			}
			return err
		}},
		{cluster.RoleObserver, "end an engine", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			_, err := nc.RequestWithContext(ctx, queue.EngineVerb("e", queue.Stop), nil)
			return err
		}},
		{cluster.RoleObserver, "end a job", func(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
			_, err := nc.RequestWithContext(ctx, queue.Over("q"), make([]byte, 8))
			return err
		}},
		{cluster.RoleObserver, "read what a client is told", overhear},
		{cluster.RoleEngine, "read what a client is told", overhear},
	} {
		t.Run(tc.role+" "+tc.name, func(t *testing.T) {
			t.Parallel()
			nc, js := dial(t, load(t, c, tc.role))
			refused := make(chan error, 10)
			nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				select {
				case refused <- err:
				default:
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			if err := tc.try(ctx, nc, js); err == nil {
				t.Fatal("it may")
			}
			select {
			case err := <-refused:
				if !errors.Is(err, nats.ErrPermissionViolation) {
					t.Errorf("refused because of %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("it failed, but not for want of permission")
			}
		})
	}
	// An engine does what it is for: large values come and go.
	_, engine := dial(t, load(t, c, cluster.RoleEngine))
	value := make([]byte, 300<<10)
	for range 2 { // the second finds it there
		if err := queue.PutValue(t.Context(), engine, "q", "1", queue.HashOf(value), value); err != nil {
			t.Errorf("an engine cannot store a value: %v", err)
		}
	}
	if _, err := queue.GetValue(t.Context(), engine, "q", "1", queue.HashOf(value)); err != nil {
		t.Errorf("an engine cannot read a value: %v", err)
	}
	programs, err := client.ObjectStore(t.Context(), queue.Programs)
	if err == nil {
		_, err = programs.PutBytes(t.Context(), "ours", value)
	}
	if err != nil {
		t.Fatal(err)
	}
	if programs, err = engine.ObjectStore(t.Context(), queue.Programs); err == nil {
		_, err = programs.GetBytes(t.Context(), "ours")
	}
	if err != nil {
		t.Errorf("an engine cannot read a program: %v", err)
	}
	// And an observer does see what there is.
	_, observer := dial(t, load(t, c, cluster.RoleObserver))
	kv, err := observer.KeyValue(t.Context(), queue.Records)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "q"); err != nil {
		t.Errorf("an observer cannot read a record: %v", err)
	}
	if _, err := observer.Stream(t.Context(), queue.WorkStream("q")); err != nil {
		t.Errorf("an observer cannot see a stream: %v", err)
	}
}

// present says that a client is there, as cluster.Client does, until the returned function is called.
func present(nc *nats.Conn, id string) (stop func()) {
	life, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for life.Err() == nil {
			_ = nc.Publish(queue.Presence(id), nil)
			time.Sleep(50 * time.Millisecond)
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// overhear reads replies to requests of clients.
func overhear(ctx context.Context, nc *nats.Conn, _ jetstream.JetStream) error {
	s, err := nc.SubscribeSync("_INBOX_client.>")
	if err != nil {
		return err
	}
	_, err = s.NextMsgWithContext(ctx)
	return err
}

// TestSessionOfADeadClient is removed after the grace, a job's queue is not.
func TestSessionOfADeadClient(t *testing.T) {
	t.Parallel()
	c := start(t, controller.Config{SessionGrace: 200 * time.Millisecond})
	nc, js := dial(t, load(t, c, cluster.RoleClient))
	leave := present(nc, "mine")
	for id, kind := range map[string]string{"mine": queue.Session, "mine-1": queue.Session, "job": queue.Job} {
		if err := queue.Make(t.Context(), js, queue.Record{ID: id, Kind: kind}, 0); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond) // longer than the grace: it is there
	if _, err := js.Stream(t.Context(), queue.WorkStream("mine")); err != nil {
		t.Fatalf("the queue of a client that is there: %v", err)
	}
	leave()
	for _, id := range []string{"mine", "mine-1"} {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if _, err := js.Stream(t.Context(), queue.WorkStream(id)); errors.Is(err, jetstream.ErrStreamNotFound) {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("queue %s is still there: %v", id, err)
			}
		}
	}
	if _, err := js.Stream(t.Context(), queue.WorkStream("job")); err != nil {
		t.Errorf("the job's queue: %v", err)
	}
}

// TestSessionOverRestarts: a client that is back within the grace keeps its queues.
func TestSessionOverRestarts(t *testing.T) {
	t.Parallel()
	c := start(t, controller.Config{})
	nc, js := dial(t, load(t, c, cluster.RoleClient))
	defer present(nc, "mine")()
	for _, id := range []string{"mine", "mine-1"} {
		if err := queue.Make(t.Context(), js, queue.Record{ID: id, Kind: queue.Session}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = start(t, controller.Config{Folder: c.Folder(), SessionGrace: time.Second})
		time.Sleep(2 * time.Second) // longer than the grace
		for _, id := range []string{"mine", "mine-1"} {
			if _, err := js.Stream(t.Context(), queue.WorkStream(id)); err != nil {
				t.Fatalf("queue %s of a client that is there: %v", id, err)
			}
		}
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]controller.Config{
		"a name":     {Name: "../lab"},
		"an address": {Name: "lab", Listen: "localhost"},
		"a port":     {Name: "lab", Listen: "127.0.0.1:http"},
	} {
		cfg.Folder, cfg.Log = t.TempDir(), quiet
		if c, err := controller.Start(t.Context(), cfg); err == nil {
			t.Errorf("%s is accepted", name)
			_ = c.Close()
		}
	}
}

// TestOneController: a folder has one controller at a time.
func TestOneController(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := start(t, controller.Config{Folder: folder})
	if c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: folder, Log: quiet}); !errors.Is(err, controller.ErrRunning) {
		t.Fatalf("a second one: %v, %v", c, err)
	}
	if running, err := controller.Running(folder); !running || err != nil {
		t.Errorf("it runs: %v, %v", running, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if running, err := controller.Running(folder); running || err != nil {
		t.Errorf("it has ended: %v, %v", running, err)
	}
	start(t, controller.Config{Folder: folder})
}

// TestStopNeedsClient: what a stream delivers to the subject of stopping does not stop
// the controller, as the reply is not a client's.
func TestStopNeedsClient(t *testing.T) {
	t.Parallel()
	c := start(t, controller.Config{})
	conn, err := cluster.Load(c.File(cluster.RoleClient))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := conn.Dial("parade test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, reply := range []string{"$JS.ACK.KV_parade-queues.x.1.1.1.1.0", "_INBOX_observer.x"} {
		if err := nc.PublishRequest(queue.ControllerStop, reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Publish(queue.ControllerStop, nil); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Asked():
		t.Fatal("it would stop")
	case <-time.After(50 * time.Millisecond):
	}
	if err := cluster.StopController(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	<-c.Asked()
}
