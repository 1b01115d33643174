package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/host"
	"github.com/parade-go/parade/internal/program"
)

// Client is a connection to a cluster. It is safe for concurrent use.
type Client struct {
	name    string
	conn    *nats.Conn
	js      jetstream.JetStream
	courier *queue.Courier
	id      string // of its queue for all engines
	stop    context.CancelFunc
	ended   context.Context // the client's life
	work    sync.WaitGroup  // what goes on in the background
	hungUp  chan struct{}   // closed when conn has ended for good, which it may do by itself
	again   chan struct{}   // the connection has come back
	fetches chan struct{}   // one for each large answer that is being fetched
	after   func() error    // ends what Start has started

	stock stock // values of its views

	making   chan struct{} // full while a queue is made; guards the next
	sessions []*session

	mu       sync.Mutex
	closed   bool
	failure  error // why the connection will not come back
	known    map[string]seen
	synced   bool // engines are heard
	slots    int
	lastJob  uint64
	calls    map[string]*call
	first    string // the queue that was made first
	storing  map[*posting]struct{}
	fetching map[string]bool // large answers, by key
	heard    time.Time       // the last answer, or the last look at the sessions
	warned   time.Time       // that a stream does not store
	reminded time.Time       // the engines, of a call that is over
}

type seen struct {
	queue.Engine
	at time.Time
}

// Engine is what an engine tells of itself.
type Engine struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Slots   int       `json:"slots"`   // tasks at a time; 0 of one that ends after what it runs
	Running int       `json:"running"` // parcels of tasks
	Done    int64     `json:"done"`
	Failed  int64     `json:"failed"`
	Labels  []string  `json:"labels,omitempty"`
	Started time.Time `json:"started"`
	OS      string    `json:"os"`              // as GOOS
	Arch    string    `json:"arch"`            // as GOARCH
	Batch   string    `json:"batch,omitempty"` // the batch system and the job that it runs in, as "slurm 4711"

	Resources map[string]int64 `json:"resources,omitempty"` // all that it has
	Free      map[string]int64 `json:"free,omitempty"`      // what no parcel holds
}

// Connect connects to a cluster. It returns once the engines are known that are there
// now; there may be none yet. The program must import package process, which serves in
// the engines' children.
func Connect(ctx context.Context, conn Connection) (*Client, error) {
	parade.Serve()
	if err := runnable(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	c := &Client{
		name: conn.Cluster, id: newID(), known: map[string]seen{}, calls: map[string]*call{}, storing: map[*posting]struct{}{}, fetching: map[string]bool{},
		hungUp: make(chan struct{}), again: make(chan struct{}, 1), fetches: make(chan struct{}, mostFetches), making: make(chan struct{}, 1),
	}
	c.ended, c.stop = context.WithCancel(context.Background())
	var err error
	c.conn, err = conn.DialWithin(ctx, 3*time.Second, queue.ClientName(c.id),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if s != nil && errors.Is(err, nats.ErrSlowConsumer) { // engines give them again
				slog.Debug("answers come faster than this program takes them", "cluster", c.name)
			}
		}),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { c.cutOff() }),
		nats.ReconnectHandler(func(*nats.Conn) { c.reconnected() }),
		nats.ClosedHandler(func(nc *nats.Conn) {
			defer close(c.hungUp)
			if err := nc.LastError(); errors.Is(err, nats.ErrAuthorization) {
				c.fail(fmt.Errorf("%w: its key has been replaced", access.ErrRefused))
			}
		}))
	if err != nil {
		c.stop()
		return nil, err
	}
	err = c.start(ctx)
	if err == nil && conn.Site() {
		err = c.overhear()
	}
	if err != nil {
		c.stop()
		if c.courier != nil {
			c.courier.Close()
		}
		c.conn.Close()
		c.work.Wait()
		return nil, fmt.Errorf("cluster %s: %w", c.name, err)
	}
	return c, nil
}

// newID makes a name that nobody has.
func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

func (c *Client) start(ctx context.Context) (err error) {
	if c.js, err = queue.JetStream(c.conn); err != nil {
		return err
	}
	if c.courier, err = queue.NewCourier(c.conn, c.refused); err != nil {
		return err
	}
	engines, err := queue.Bucket(ctx, c.js, queue.Engines)
	if err != nil {
		return fmt.Errorf("its bucket of engines: %w", err)
	}
	known := make(chan struct{})
	all := sync.OnceFunc(func() { close(known) })
	c.work.Go(func() {
		queue.Follow(c.ended, engines, c.again, func() func(jetstream.KeyValueEntry) {
			return func(e jetstream.KeyValueEntry) {
				c.hear(e)
				c.count()
				if e == nil {
					all()
				}
			}
		})
	})
	select {
	case <-known:
		c.work.Go(c.watch)
		c.work.Go(c.present)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(10 * time.Second):
		return errors.New("its bucket of engines cannot be read")
	}
}

func (c *Client) hear(e jetstream.KeyValueEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e == nil { // that was all there is
		c.synced = true
		return
	}
	if e.Operation() != jetstream.KeyValuePut {
		delete(c.known, e.Key())
		return
	}
	var s seen
	if json.Unmarshal(e.Value(), &s.Engine) == nil {
		s.at = time.Now()
		c.known[e.Key()] = s
	}
}

// count forgets engines that are silent, and tells the calls when there are more slots,
// or fewer.
func (c *Client) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	slots := 0
	listening := c.synced && c.conn.IsConnected()
	for id, e := range c.known {
		switch {
		case !listening: // that nothing is heard of it is not its fault
			e.at = time.Now()
			c.known[id] = e
		case time.Since(e.at) > queue.Stale:
			delete(c.known, id)
			continue
		}
		slots += e.Slots
	}
	var lost map[*call]string
	for _, cl := range c.calls {
		if slots != c.slots {
			cl.wake()
		}
		if id := c.missing(cl.targets); id != "" && listening {
			if lost == nil {
				lost = map[*call]string{}
			}
			lost[cl] = id
		}
	}
	c.slots = slots
	if lost != nil {
		go func() { // the jobs' locks come before the client's
			for cl, id := range lost {
				cl.post.Stop(fmt.Errorf("%w: engine %s of cluster %s is gone", parade.ErrWorkerLost, id, c.name))
			}
		}()
	}
}

// missing returns an engine that one of the groups cannot do without, "" if there is
// none. It is called with the client locked.
func (c *Client) missing(groups [][]string) string {
	for _, group := range groups {
		here := func(id string) bool {
			_, ok := c.known[id]
			return ok
		}
		if !slices.ContainsFunc(group, here) {
			return group[0]
		}
	}
	return ""
}

// watch notices engines that are silent, and a queue that has been removed.
func (c *Client) watch() {
	tick := time.NewTicker(queue.Beat)
	defer tick.Stop()
	for {
		select {
		case <-c.ended.Done():
			return
		case <-tick.C:
		}
		c.count()
		c.mu.Lock()
		quiet := len(c.calls) > 0 && c.conn.IsConnected() && time.Since(c.heard) > silence
		if quiet {
			c.heard = time.Now()
		}
		c.mu.Unlock()
		if quiet {
			c.background(c.restore)
		}
	}
}

// Engines returns the engines that are there, by host and number.
func (c *Client) Engines() []Engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Engine
	for _, e := range c.known {
		all = append(all, engineOf(e.Engine))
	}
	slices.SortFunc(all, byPlace)
	return all
}

// WaitForEngines returns when there are at least n engines, or ctx ends.
func (c *Client) WaitForEngines(ctx context.Context, n int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c.mu.Lock()
		have, err := len(c.known), c.unusable()
		c.mu.Unlock()
		switch {
		case err != nil:
			return err
		case have >= n:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cluster %s: %d of %d engines are there: %w", c.name, have, n, context.Cause(ctx))
		}
	}
}

// unusable is called with the client locked.
func (c *Client) unusable() error {
	if c.closed {
		return parade.ErrClosed
	}
	return c.failure
}

// fail stops all calls for good.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = fmt.Errorf("cluster %s: %w", c.name, err)
	}
	err = c.failure
	calls := slices.Collect(maps.Values(c.calls))
	c.mu.Unlock()
	for _, call := range calls {
		call.post.Stop(err)
	}
}

// session is a queue of this client, for all engines or for some.
type session struct {
	id       string
	targets  []string // nil: all
	requires []string
	answers  *nats.Subscription
	values   map[string]queue.Value // that tasks find by name; guarded by the client's stock
	record   queue.Record
}

// made returns the queues that there are.
func (c *Client) made(ctx context.Context) ([]*session, error) {
	select {
	case c.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-c.making }()
	return c.sessions[:len(c.sessions):len(c.sessions)], nil
}

// session returns the queue for the given engines and requirements, which it makes at the
// first call for them.
func (c *Client) session(ctx context.Context, targets, requires []string) (*session, error) {
	select {
	case c.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-c.making }()
	for _, s := range c.sessions {
		if slices.Equal(s.targets, targets) && slices.Equal(s.requires, requires) {
			return s, nil
		}
	}
	p, err := c.program()
	if err != nil {
		return nil, err
	}
	if err := c.publishProgram(ctx, p); err != nil { // which may take long
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s := &session{id: c.id, targets: targets, requires: requires}
	if len(c.sessions) > 0 || targets != nil || requires != nil {
		s.id += "-" + strconv.Itoa(len(c.sessions)+1)
	}
	s.record = queue.Record{
		ID: s.id, Kind: queue.Session, Owner: owner(), Created: time.Now(), Program: p, Engines: targets, Requires: requires,
	}
	s.answers, err = c.conn.Subscribe(queue.Done(s.id, "*"), func(m *nats.Msg) { c.answered(s, m) })
	if err == nil {
		if err = s.answers.SetPendingLimits(-1, mostPending); err == nil {
			err = queue.Make(ctx, c.js, s.record, 0)
		}
		if err != nil { // another try subscribes, too
			_ = s.answers.Unsubscribe()
		}
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		<-c.hungUp // the reason is known by then
		c.mu.Lock()
		reason := c.unusable()
		c.mu.Unlock()
		if reason != nil {
			return nil, reason
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.name, err)
	}
	c.mu.Lock()
	if c.first == "" {
		c.first = s.id
	}
	c.mu.Unlock()
	c.sessions = append(c.sessions, s)
	return s, nil
}

func owner() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + host.Name()
}

// program is this program, if an engine can run it.
func (c *Client) program() (queue.Program, error) {
	sum, err := program.Sum()
	if err != nil {
		return queue.Program{}, err
	}
	p := queue.Program{Hash: sum, Build: parade.BuildID(), Args: os.Args, OS: runtime.GOOS, Arch: runtime.GOARCH}
	p.Dir, _ = os.Getwd() // without one the engine has its own
	p.Path, _ = os.Executable()
	p.Host = host.Name()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) == 0 {
		return p, nil
	}
	var others []string
	for _, e := range c.known {
		if e.OS == p.OS && e.Arch == p.Arch {
			return p, nil
		}
		if kind := e.OS + "/" + e.Arch; !slices.Contains(others, kind) {
			others = append(others, kind)
		}
	}
	slices.Sort(others)
	return p, fmt.Errorf("%w: it is for %s/%s, and the engines of cluster %s are %s; build it for them with GOOS and GOARCH",
		ErrNoProgram, p.OS, p.Arch, c.name, strings.Join(others, ", "))
}

// publishProgram sees to it that engines can get this program. Those on this machine
// take its file, so that only for others it has to be waited for.
func (c *Client) publishProgram(ctx context.Context, p queue.Program) error {
	near := true
	c.mu.Lock()
	for _, e := range c.known {
		near = near && e.Host == p.Host
	}
	c.mu.Unlock()
	if !near {
		return queue.PutProgram(ctx, c.js, p.Hash)
	}
	c.background(func() {
		if err := queue.PutProgram(c.ended, c.js, p.Hash); err != nil && c.ended.Err() == nil {
			slog.Warn("this program is not in the cluster's store, so engines on other machines cannot run it", "cluster", c.name, "error", err)
		}
	})
	return nil
}

// Close stops what runs, with [parade.ErrClosed], and removes the client's queue.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		<-c.ended.Done()
		c.work.Wait()
		return nil
	}
	c.closed = true
	calls := slices.Collect(maps.Values(c.calls))
	c.mu.Unlock()
	for _, call := range calls {
		call.post.Stop(parade.ErrClosed)
	}
	for _, call := range calls {
		<-call.left
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	select {
	case c.making <- struct{}{}:
		for _, s := range c.sessions {
			if c.conn.IsConnected() {
				if err := queue.Remove(ctx, c.js, queue.Record{ID: s.id}); err != nil { // else the controller does
					slog.Debug("a queue could not be removed yet", "cluster", c.name, "queue", s.id, "error", err)
				}
			}
		}
		<-c.making
	case <-ctx.Done(): // a queue is being made, for long; the controller removes it
	}
	cancel()
	c.stop()
	c.courier.Close()
	c.work.Wait()
	c.conn.Close()
	<-c.hungUp
	if c.after != nil {
		return c.after()
	}
	return nil
}

// LoadBalanced returns the executor that runs tasks wherever there is room, on all
// engines or on those with the given ids. Closing it stops its jobs; the client stays.
func (c *Client) LoadBalanced(engines ...string) *View {
	if len(engines) == 0 {
		return &View{client: c}
	}
	return &View{client: c, targets: [][]string{sorted(engines)}}
}

// Direct returns the executor that deals the tasks of a Map out to the engines with the
// given ids, each about an equal part in the order of the inputs, or to all that take tasks
// now; those of a Stream go to one after the other. When one of them is lost the job stops with [parade.ErrWorkerLost]: no other may
// have its part. See also [Apply].
func (c *Client) Direct(engines ...string) *View {
	if len(engines) == 0 {
		for _, e := range c.Engines() {
			if e.Slots > 0 {
				engines = append(engines, e.ID)
			}
		}
	}
	v := &View{client: c, deals: true}
	for _, id := range engines {
		v.targets = append(v.targets, []string{id})
	}
	return v
}

// Require returns a view of those engines of v that have what is required, each a label
// such as "gpu" or an amount of a resource for each task that runs, such as "mem=8G". Calls of
// a load-balanced view wait while no engine has it; a view of [Client.Direct] keeps the engines
// that have it now. Closing it closes the client if closing v does.
func (v *View) Require(requires ...string) *View {
	w := &View{client: v.client, owns: v.owns, targets: v.targets, deals: v.deals, requires: sorted(append(slices.Clone(v.requires), requires...))}
	needs, err := queue.ParseNeeds(w.requires)
	if !v.deals || err != nil { // its calls say what is wrong
		return w
	}
	v.client.mu.Lock()
	defer v.client.mu.Unlock()
	w.targets = slices.DeleteFunc(slices.Clone(v.targets), func(group []string) bool {
		e, known := v.client.known[group[0]]
		return known && needs.Tasks(1, e.Labels, e.Resources) == 0
	})
	return w
}

func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}
