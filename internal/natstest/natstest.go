// Package natstest is a NATS cluster with JetStream for tests: real processes, which
// can be killed, frozen and started again.
//
//	func TestMain(m *testing.M) { natstest.Serve(); os.Exit(m.Run()) }
//
//	site := natstest.Start(t, 3)
//	conn, err := nats.Connect(strings.Join(site.URLs(), ","), nats.UserInfo(natstest.User, natstest.Password))
//	site.Kill(0)
//
// A server is the test's own binary, started again: [Serve] is where it becomes one.
package natstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// User and Password are those of the one account that the servers have.
const (
	User     = "site"
	Password = "no secret: a test's"
)

// variable has the settings of a server in the environment of its process.
const variable = "PARADE_TEST_NATS"

// settings are those of one server.
type settings struct {
	Name   string
	Port   int
	Routes int   // the port for the other servers
	Peers  []int // theirs
	Folder string
}

// Serve makes the process a server, if [Start] started it, and then does not return.
// Call it first in TestMain.
func Serve() {
	text := os.Getenv(variable)
	if text == "" {
		return
	}
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, "natstest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: s.Name, Host: "127.0.0.1", Port: s.Port, JetStream: true, StoreDir: s.Folder,
		NoSigs: true, LogFile: s.Folder + ".log", Logtime: true,
		Users: []*server.User{{Username: User, Password: Password}},
	}
	if len(s.Peers) > 1 {
		opts.Cluster = server.ClusterOpts{Name: "site", Host: "127.0.0.1", Port: s.Routes}
		for _, port := range s.Peers {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: at(port)})
		}
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	ns.ConfigureLogger()
	ns.Start()
	if !ns.ReadyForConnections(30 * time.Second) {
		return fmt.Errorf("%s cannot listen at port %d", s.Name, s.Port)
	}
	// The pipe ends with the test, however that ends.
	_, _ = io.Copy(io.Discard, os.Stdin)
	ns.Shutdown()
	ns.WaitForShutdown()
	return nil
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Cluster is a running cluster.
type Cluster struct {
	t       testing.TB
	servers []*process
}

type process struct {
	settings
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.Closer
}

// Start starts n servers, and returns when streams can be made on all of them. They end
// with the test.
func Start(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	ports := freePorts(t, 2*n)
	for i := range n {
		c.servers = append(c.servers, &process{settings: settings{
			Name: "node" + strconv.Itoa(i), Port: ports[i], Routes: ports[n+i], Peers: ports[n:],
			Folder: filepath.Join(t.TempDir(), "node"+strconv.Itoa(i)),
		}})
	}
	t.Cleanup(c.stop)
	for i := range n {
		c.Restart(i)
	}
	c.Ready()
	return c
}

// freePorts are ports that nothing listens at.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// URLs are where the servers listen, the dead ones too.
func (c *Cluster) URLs() []string {
	var urls []string
	for _, p := range c.servers {
		urls = append(urls, "nats://"+at(p.Port))
	}
	return urls
}

// Ready waits until all servers are there and streams can be made on them.
func (c *Cluster) Ready() {
	c.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for i := range c.servers {
		for {
			err := c.try(i)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				c.t.Fatalf("server %d of NATS: %v; see %s", i, err, c.servers[i].Folder+".log")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// try makes a stream that is on all servers, by way of server i.
func (c *Cluster) try(i int) error {
	closed := make(chan struct{})
	nc, err := nats.Connect(c.URLs()[i], nats.UserInfo(User, Password), nats.NoReconnect(),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return err
	}
	defer func() {
		nc.Close()
		<-closed
	}()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
	if err != nil {
		return err
	}
	ctx := c.t.Context()
	s, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "natstest", Subjects: []string{"natstest"}, Replicas: len(c.servers), Storage: jetstream.MemoryStorage})
	if err != nil {
		return err
	}
	if info := s.CachedInfo().Cluster; info != nil {
		for _, r := range info.Replicas {
			if !r.Current || r.Offline {
				err = fmt.Errorf("%s is behind", r.Name)
			}
		}
	}
	return errors.Join(err, js.DeleteStream(ctx, "natstest"))
}

// Restart starts server i, which must not run.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	p := c.servers[i]
	text, err := json.Marshal(p.settings)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	p.mu.Lock()
	p.cmd, p.in = cmd, in
	p.mu.Unlock()
}

// Process is that of server i, to send it signals; nil when it was killed.
func (c *Cluster) Process(i int) *os.Process {
	p := c.servers[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	return p.cmd.Process
}

// Kill ends server i without a warning. [Cluster.Restart] starts it again, with what it had
// on disk.
func (c *Cluster) Kill(i int) {
	p := c.servers[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Leader is the server that leads a stream, -1 if none does at the moment. Its loss is the
// one that is noticed.
func (c *Cluster) Leader(stream string) int {
	c.t.Helper()
	closed := make(chan struct{})
	nc, err := nats.Connect(c.URLs()[0], nats.UserInfo(User, Password), nats.NoReconnect(),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		nc.Close()
		<-closed
	}()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	s, err := js.Stream(c.t.Context(), stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return -1
	}
	for i, p := range c.servers {
		if p.Name == s.CachedInfo().Cluster.Leader {
			return i
		}
	}
	return -1
}

func (c *Cluster) stop() {
	for i := range c.servers {
		c.Kill(i)
	}
}
