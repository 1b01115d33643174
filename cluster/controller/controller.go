// Package controller is the middle of a cluster: a NATS server with JetStream in
// this process, its credentials, and the housekeeping. No task passes through it.
//
//	c, err := controller.Start(ctx, controller.Config{Name: "lab", Folder: dir})
//	defer c.Close()
//	conn, err := cluster.Load(c.File(cluster.RoleClient))
//	client, err := cluster.Connect(ctx, conn)
//	// engines: engine.Run, with the file of cluster.RoleEngine
//
// Everything that must outlive the process is in the folder: keys, certificates and
// the queues. A controller that starts there again goes on where the last one,
// however it ended, left off; clients and engines come back by themselves.
package controller

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/journal"
)

// Config describes a cluster.
type Config struct {
	// Name is the cluster's: letters, digits, - and _.
	Name string
	// Folder is where its state is; "" is the user's own place for it.
	Folder string
	// Listen is the address to listen at; "" is a free port of the loopback
	// interface, the same one at every start.
	Listen string
	// Sync has every parcel written to disk before it counts as stored, so
	// that none is lost even when the power is cut. It costs about 0.25 ms a parcel.
	Sync bool
	// SessionGrace is how long the queue of a client that is gone is kept;
	// 0 is 30 s.
	SessionGrace time.Duration
	// Log gets what happens; nil is slog's default.
	Log *slog.Logger
}

// account is the account that clients, engines and the controller are in.
const account = "PARADE"

// ErrRunning says that another controller has the cluster's folder.
var ErrRunning = errors.New("its controller is running already")

// Controller is a running server.
type Controller struct {
	cfg    Config
	lock   *os.File // of the folder
	server *server.Server
	urls   []string
	conn   *nats.Conn // in the account
	keeper *Keeper

	closing sync.Once
}

// Start starts the server and returns when clients and engines can connect.
func Start(ctx context.Context, cfg Config) (*Controller, error) {
	if err := queue.Valid(cfg.Name); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if cfg.Folder == "" {
		var err error
		if cfg.Folder, err = access.Folder(cfg.Name); err != nil {
			return nil, err
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, err
	}
	c := &Controller{cfg: cfg}
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("cluster %s: %w", cfg.Name, err)
	}
	return c, nil
}

// lockFile is locked by the controller that has the folder.
const lockFile = "controller.lock"

// take locks the folder: two servers on one store would ruin it.
func take(folder string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := journal.Lock(lock)
	switch {
	case errors.Is(err, errors.ErrUnsupported), err == nil && !taken:
		return lock, nil
	case err != nil:
		err = fmt.Errorf("locking %s: %w", lock.Name(), err)
	default:
		err = fmt.Errorf("%w: %s is locked", ErrRunning, lock.Name())
	}
	return nil, errors.Join(err, lock.Close())
}

// Running reports whether a controller has the folder of a cluster, on this machine or on one
// that shares its locks. Where there are no locks it is false.
func Running(folder string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	taken, err := journal.Lock(f)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	return taken, err
}

func (c *Controller) start(ctx context.Context) (err error) {
	if c.lock, err = take(c.cfg.Folder); err != nil {
		return err
	}
	state, err := loadState(c.cfg.Folder)
	if err != nil {
		return err
	}
	host, port, err := c.address(state)
	if err != nil {
		return err
	}
	if port > 0 { // the server itself would try for long, and not say why
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("%w; choose another place with --listen, such as 127.0.0.1:0", err)
		}
		_ = l.Close()
	}
	authority, err := loadAuthority(c.cfg.Folder, c.cfg.Name)
	if err != nil {
		return err
	}
	hosts := reachable(host)
	certificate, err := authority.issue(hosts)
	if err != nil {
		return err
	}
	keys, err := state.keys()
	if err != nil {
		return err
	}
	// The controller itself connects within this process: its key is never written.
	own, err := newKey()
	if err != nil {
		return err
	}
	main, system := server.NewAccount(account), server.NewAccount("SYS")
	users := []*server.NkeyUser{{Nkey: own.public, Account: main}}
	for _, role := range access.Roles {
		users = append(users, &server.NkeyUser{Nkey: keys[role].public, Account: main, Permissions: permissions(role)})
	}
	opts := &server.Options{
		ServerName: "parade-" + c.cfg.Name, Host: host, Port: port,
		NoSigs: true, NoLog: true, // the bridge to slog is set below
		JetStream: true, StoreDir: filepath.Join(c.cfg.Folder, "jetstream"), SyncAlways: c.cfg.Sync,
		TLS: true, TLSTimeout: 5, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13},
		Accounts: []*server.Account{main, system}, SystemAccount: "SYS", Nkeys: users,
		// As the others do: until the server knows that an engine is gone it hands it
		// parcels. One that was only busy comes back.
		PingInterval: 2 * time.Second, MaxPingsOut: 2, WriteDeadline: 10 * time.Second,
		DisableShortFirstPing: true,
	}
	if c.server, err = server.NewServer(opts); err != nil {
		return err
	}
	c.server.SetLoggerV2(&bridge{c.cfg.Log}, false, false, false)
	go c.server.Start()
	if !c.server.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("the server cannot listen at %s; see the log", net.JoinHostPort(host, strconv.Itoa(port)))
	}
	acc, err := c.server.LookupAccount(account)
	if err != nil {
		return err
	}
	if err := acc.EnableJetStream(nil, nil); err != nil {
		return err
	}
	actual, ok := c.server.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("the server listens at %v", c.server.Addr())
	}
	for _, h := range hosts {
		c.urls = append(c.urls, (&url.URL{Scheme: "tls", Host: net.JoinHostPort(h, strconv.Itoa(actual.Port))}).String())
	}
	if c.conn, err = own.within(c.server, "parade controller"); err != nil {
		return err
	}
	if c.keeper, err = keep(ctx, c.conn, 1, c.cfg.SessionGrace, c.cfg.Log); err != nil {
		return err
	}
	for _, role := range access.Roles {
		conn := access.Connection{Cluster: c.cfg.Name, Role: role, URLs: c.urls, CA: authority.pem, Key: keys[role].seed}
		if err := conn.Save(c.File(role)); err != nil {
			return err
		}
	}
	state.Name, state.Address, state.PID, state.Started = c.cfg.Name, net.JoinHostPort(host, strconv.Itoa(actual.Port)), os.Getpid(), time.Now()
	return state.save(c.cfg.Folder)
}

// address is where to listen: as asked, or as the last time.
func (c *Controller) address(s *state) (host string, port int, err error) {
	listen := c.cfg.Listen
	if listen == "" {
		listen = s.Address
	}
	if listen == "" {
		return "127.0.0.1", server.RANDOM_PORT, nil
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen at %q: %w; write for example 127.0.0.1:4222", listen, err)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("listen at %q: %q is not a port", listen, text)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// reachable returns the names by which others reach a server that listens at host.
func reachable(host string) []string {
	ip := net.ParseIP(host)
	if host != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{host}
	}
	var hosts []string
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}

// File is the connection file of a role, "client", "engine" or "observer".
func (c *Controller) File(role string) string { return access.File(c.cfg.Folder, role) }

// URLs are where the server listens.
func (c *Controller) URLs() []string { return c.urls }

// Folder is where the state is.
func (c *Controller) Folder() string { return c.cfg.Folder }

// Asked is closed when a client has asked the controller to end. Whoever started it
// then calls Close.
func (c *Controller) Asked() <-chan struct{} { return c.keeper.Asked() }

// Close stops the server. Engines and clients wait for it to come back.
func (c *Controller) Close() error {
	c.closing.Do(func() {
		if c.keeper != nil {
			_ = c.keeper.Close()
		}
		if c.conn != nil {
			c.conn.Close()
		}
		if c.server != nil {
			c.server.Shutdown()
			c.server.WaitForShutdown()
		}
		if c.lock != nil {
			_ = c.lock.Close()
		}
	})
	return nil
}

// key is a role's: the server needs the public half.
type key struct{ seed, public string }

func newKey() (key, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return key{}, err
	}
	return keyOf(pair)
}

func keyOf(pair nkeys.KeyPair) (key, error) {
	seed, err := pair.Seed()
	if err != nil {
		return key{}, err
	}
	public, err := pair.PublicKey()
	return key{string(seed), public}, err
}

// within connects without a socket.
func (k key) within(s *server.Server, name string) (*nats.Conn, error) {
	pair, err := nkeys.FromSeed([]byte(k.seed))
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.Name(name), nats.Nkey(k.public, pair.Sign))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return conn, nil
}

// permissions are what a role may do: docs/cluster-protocol.md has the reasons.
func permissions(role string) *server.Permissions {
	inbox := access.InboxPrefix(role) + ".>"
	p := &server.Permissions{
		Publish:   &server.SubjectPermission{},
		Subscribe: &server.SubjectPermission{Allow: []string{inbox}},
	}
	watch := func(bucket string) []string {
		return []string{
			"$JS.API.STREAM.INFO.KV_" + bucket,
			"$JS.API.CONSUMER.CREATE.KV_" + bucket + ".>", "$JS.API.CONSUMER.DELETE.KV_" + bucket + ".>",
			"$JS.API.CONSUMER.INFO.KV_" + bucket + ".*", "$JS.API.DIRECT.GET.KV_" + bucket + ".>",
		}
	}
	records, engines := watch(queue.Records), watch(queue.Engines)
	allow := append([]string{"$JS.API.INFO", "$JS.FC.>"}, append(records, engines...)...)
	const chunks, meta = "$O.*.C.*", "$O.*.M.*" // of large values and programs
	switch role {
	case access.Client:
		allow = append(allow,
			queue.Work("*", "*"), queue.Over("*"), "parade.engine.>", queue.ControllerStop,
			"$JS.API.STREAM.>", "$JS.API.CONSUMER.>", "$JS.API.DIRECT.GET.>", "$JS.ACK.>",
			"$KV."+queue.Records+".>", "$KV."+queue.Clients+".>", "$O.>")
		p.Subscribe.Allow = append(p.Subscribe.Allow, queue.Done("*", "*"))
		p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute} // confirms answers
	case access.Engine:
		allow = append(allow,
			"$JS.API.CONSUMER.MSG.NEXT.*."+queue.Consumer, "$JS.ACK.*."+queue.Consumer+".>",
			queue.Rest("*", "*"), queue.Done("*", "*"), "$KV."+queue.Engines+".*",
			"$KV."+queue.Tries+".*", "$JS.API.DIRECT.GET.KV_"+queue.Tries+".>",
			// to read and write large values, and nothing else of a stream
			"$JS.API.STREAM.INFO.*", "$JS.API.DIRECT.GET.*."+meta, "$JS.API.CONSUMER.CREATE.*.*."+chunks,
			"$JS.API.CONSUMER.DELETE.*.*", chunks, meta)
		p.Publish.Deny = []string{"$O." + queue.Programs + ".>", "$JS.API.CONSUMER.DELETE.*." + queue.Consumer}
		p.Subscribe.Allow = append(p.Subscribe.Allow, queue.Over("*"), "parade.engine.>")
		p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	case access.Observer:
		allow = append(allow, "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.INFO.*.*")
	}
	p.Publish.Allow = allow
	return p
}

// bridge writes what the server logs.
type bridge struct{ log *slog.Logger }

func (b *bridge) Noticef(format string, v ...any) { b.log.Debug(fmt.Sprintf(format, v...)) }
func (b *bridge) Warnf(format string, v ...any)   { b.log.Warn(fmt.Sprintf(format, v...)) }
func (b *bridge) Fatalf(format string, v ...any)  { b.log.Error(fmt.Sprintf(format, v...)) }
func (b *bridge) Errorf(format string, v ...any)  { b.log.Error(fmt.Sprintf(format, v...)) }
func (b *bridge) Debugf(string, ...any)           {}
func (b *bridge) Tracef(string, ...any)           {}
