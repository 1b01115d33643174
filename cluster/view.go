package cluster

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/host"
)

// View is an executor over engines of a cluster.
type View struct {
	client  *Client
	owns    bool       // the client is closed with it
	targets [][]string // groups of engines; nil: one, of all
	deals   bool       // each group gets its part

	requires []string

	mu     sync.Mutex
	closed bool
	calls  map[*call]struct{}
}

// call is a job on its way through the client's queue.
type call struct {
	client   *Client
	number   string
	post     *parade.Post
	sessions []*session // one for each group of engines
	targets  [][]string
	awake    chan struct{}
	left     chan struct{} // closed when the cluster has been told of its end
	bound    *queue.Hash   // of a large bound argument
	large    atomic.Bool   // it has values in a bucket
	values   map[*session][]queue.Value

	mu     sync.Mutex
	lost   []*session     // whose parcels are to be sent again
	only   *parade.Posted // the parcel of a single task
	part   int            // the tasks that each group gets, when they are dealt out
	stored map[int]stored // large parcels, by first task
}

// stored is a large value in the bucket of a session.
type stored struct {
	*session
	hash queue.Hash
}

// of returns the session for a parcel.
func (c *call) of(p *parade.Posted) *session {
	if len(c.sessions) == 1 {
		return c.sessions[0]
	}
	return c.sessions[p.First/c.part%len(c.sessions)]
}

func (c *call) wake() {
	select {
	case c.awake <- struct{}{}:
	default:
	}
}

const (
	// pipeline is how much work a slot should have ahead, so that it need not wait for
	// this program.
	pipeline = 20 * time.Millisecond
	// inlined bounds the inputs of a parcel of several tasks, so that it need not go by way
	// of the store; what is between them is the rest.
	inlined = queue.Inline * 3 / 4
	// maxAhead bounds the parcels ahead of a slot.
	maxAhead = 64
	// patience is after how long without engines the log says so.
	patience = 5 * time.Second
)

// Run implements [parade.Executor].
func (v *View) Run(ctx context.Context, job *parade.Job) error {
	return v.run(ctx, job, func(string) {})
}

// run runs a job, whose number it tells before.
func (v *View) run(ctx context.Context, job *parade.Job, tell func(number string)) error {
	c, err := v.open(job)
	if err != nil {
		return err
	}
	defer v.leave(c, true)
	tell(c.number)
	defer v.hint().Stop()
	c.part = 1
	if !v.deals {
		c.post.Bytes(inlined)
	} else if c.post.Tasks() > 0 {
		c.part = max(1, (c.post.Tasks()+len(c.sessions)-1)/len(c.sessions))
		c.post.Size(c.part)
	}
	var expect time.Duration
	for {
		slots := max(1, v.slots())
		c.sendAgain(ctx)
		for c.post.Out() < max(len(c.sessions), window(slots, c.post.Limit(), expect)) {
			next := c.post.Next(slots)
			if next == nil {
				break
			}
			expect = next.Expect
			if err := c.send(ctx, next, false); err != nil {
				c.post.Stop(err)
			}
		}
		select {
		case <-c.post.Done():
			return nil
		case <-c.awake:
		}
	}
}

// hint has the log say after a while that a call waits for engines.
func (v *View) hint() *time.Timer {
	return time.AfterFunc(patience, func() {
		switch {
		case v.slots() > 0:
		case v.client.slotCount() > 0 && len(v.requires) > 0:
			slog.Warn("no engine of the cluster has what the call requires; it waits for one that has", "cluster", v.client.name, "requires", v.requires)
		default:
			slog.Warn("the cluster has no engines yet; the call waits for some", "cluster", v.client.name)
		}
	})
}

// window is how many parcels a call may have out: what keeps the slots busy, and
// no more, so that another call need not wait behind it.
func window(slots, limit int, expect time.Duration) int {
	n := slots
	if expect > 0 {
		n += slots * int(min(maxAhead, pipeline/expect+1))
	}
	if limit > 0 {
		n = min(n, limit)
	}
	return n
}

// Start implements [parade.Starter], for a single task.
func (v *View) Start(job *parade.Job) error {
	c, err := v.open(job)
	if err != nil {
		return err
	}
	hint := v.hint()
	if !c.post.AtEnd(func() {
		hint.Stop()
		go v.leave(c, c.post.Out() > 0)
	}) {
		hint.Stop()
		v.leave(c, false)
		return nil
	}
	c.part = 1
	next := c.post.Next(max(1, v.slots()))
	if next == nil { // its input cannot be encoded, or it was cancelled
		return nil
	}
	c.mu.Lock()
	c.only = next
	c.mu.Unlock()
	if err := c.send(c.post.Context(), next, true); err != nil {
		c.post.Stop(err)
	}
	return nil
}

// open readies a call. It takes no longer than the job.
func (v *View) open(job *parade.Job) (*call, error) {
	cl := v.client
	c := &call{client: cl, targets: v.targets, awake: make(chan struct{}, 1), left: make(chan struct{})}
	_, err := queue.ParseNeeds(v.requires)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cl.name, err)
	}
	if c.post, err = job.Post(c.wake); err != nil {
		return nil, err
	}
	ctx := c.post.Context()
	if err := v.usable(); err != nil {
		return nil, err
	}
	cl.mu.Lock()
	cl.lastJob++
	c.number = queue.Number(cl.lastJob)
	cl.mu.Unlock()
	if c.sessions, err = v.sessions(ctx); err != nil {
		return nil, err
	}
	if bound, ok := c.post.Bound(); ok && len(bound) > queue.InlineBound {
		h := queue.HashOf(bound)
		c.large.Store(true)
		for _, s := range c.sessions {
			if err := queue.PutValue(ctx, cl.js, s.id, c.number, h, bound); err != nil {
				return nil, fmt.Errorf("cluster %s: storing the bound argument: %w", cl.name, err)
			}
			c.post.Sent(len(bound)) // once, however many engines fetch it
		}
		c.bound = &h
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, parade.ErrClosed
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if err := cl.unusable(); err != nil {
		return nil, err
	}
	cl.calls[c.number] = c
	if v.calls == nil {
		v.calls = map[*call]struct{}{}
	}
	v.calls[c] = struct{}{}
	c.values = map[*session][]queue.Value{}
	for _, s := range c.sessions {
		if c.values[s] == nil {
			c.values[s] = cl.valuesOf(s)
		}
	}
	return c, nil
}

// usable says why the view can run nothing.
func (v *View) usable() error {
	cl := v.client
	cl.mu.Lock()
	err := cl.unusable()
	missing := cl.missing(v.targets)
	cl.mu.Unlock()
	switch {
	case err != nil:
		return err
	case missing != "":
		return fmt.Errorf("cluster %s: %w: there is no engine %s", cl.name, parade.ErrWorkerLost, missing)
	case v.deals && len(v.targets) == 0 && len(v.requires) > 0:
		return fmt.Errorf("cluster %s: no engine of the direct view has what is required, %q", cl.name, v.requires)
	case v.deals && len(v.targets) == 0:
		return fmt.Errorf("cluster %s: the direct view has no engines; wait for some with WaitForEngines before Direct", cl.name)
	}
	return nil
}

// sessions returns the queue of each of the view's groups of engines.
func (v *View) sessions(ctx context.Context) (all []*session, err error) {
	groups := v.targets
	if groups == nil {
		groups = [][]string{nil}
	}
	for _, group := range groups {
		s, err := v.client.session(ctx, group, v.requires)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// send hands a parcel to the stream. An error means that it never will be.
func (c *call) send(ctx context.Context, p *parade.Posted, only bool) error {
	to := c.of(p)
	m := queue.Message{Only: only, Head: c.post.Head(), BoundHash: c.bound, Parcel: p.Data}
	if bound, ok := c.post.Bound(); ok && c.bound == nil {
		m.Bound = bound
	}
	if m.Values, m.Keep = c.values[to], c.post.Keeps(); m.Keep || len(m.Values) > 0 {
		m.Home = c.client.home()
	}
	if len(p.Data) > queue.Inline {
		h := queue.HashOf(p.Data)
		c.large.Store(true)
		err := queue.PutValue(ctx, c.client.js, to.id, c.number, h, p.Data)
		if queue.IsGone(err) { // the queue was removed at this moment
			c.client.background(func() { c.regain(to) })
			return nil
		}
		if err != nil {
			return fmt.Errorf("cluster %s: storing the inputs from %d on: %w", c.client.name, p.First, err)
		}
		c.mu.Lock()
		if c.stored == nil {
			c.stored = map[int]stored{}
		}
		c.stored[p.First] = stored{to, h}
		c.mu.Unlock()
		m.Parcel, m.ParcelHash = nil, &h
	}
	c.client.courier.Send(queue.Work(to.id, c.number), m.AppendTo(nil), nil)
	return nil
}

// answered takes an answer. It is called for one at a time.
func (c *Client) answered(s *session, m *nats.Msg) {
	_, number, err := queue.Parse(m.Subject)
	if err != nil {
		return
	}
	c.mu.Lock()
	call := c.calls[number]
	c.heard = time.Now()
	c.mu.Unlock()
	answer, elsewhere, err := queue.ParseAnswer(m.Data)
	switch {
	case call == nil: // it has ended, which that engine did not hear, or has forgotten
		c.remind(s, number)
		if elsewhere != nil {
			c.background(func() { c.dropValue(s.id, number, *elsewhere) })
		}
	case err != nil:
		call.post.Stop(fmt.Errorf("cluster %s: %w", c.name, err))
	case elsewhere != nil:
		call.large.Store(true)
		key := s.id + " " + number + " " + elsewhere.Key()
		c.mu.Lock()
		already := c.fetching[key]
		c.fetching[key] = true
		c.mu.Unlock()
		if !already {
			c.background(func() { c.fetchAnswer(call, s, *elsewhere, m, key) })
		}
		return
	default:
		call.settle(answer)
	}
	_ = m.Respond(nil)
}

// mostFetches bounds the large answers that are fetched at a time.
const mostFetches = 4

// mostPending bounds the bytes of answers that this program has not come to.
var mostPending = 256 << 20

// fetchAnswer takes a large answer. Without a confirmation it is announced again.
func (c *Client) fetchAnswer(call *call, s *session, h queue.Hash, m *nats.Msg, key string) {
	defer func() {
		c.mu.Lock()
		delete(c.fetching, key)
		c.mu.Unlock()
	}()
	select {
	case c.fetches <- struct{}{}:
	case <-call.left: // it is announced again, and then removed
		return
	}
	defer func() { <-c.fetches }()
	ctx, cancel := context.WithTimeout(c.ended, 10*time.Minute)
	defer cancel()
	answer, err := queue.GetValue(ctx, c.js, s.id, call.number, h)
	if err != nil {
		if queue.IsGone(err) { // it was confirmed before, and removed
			_ = m.Respond(nil)
		}
		return
	}
	call.settle(answer)
	_ = m.Respond(nil)
	c.dropValue(s.id, call.number, h)
}

// dropValue removes a large value. The whole bucket goes with the client.
func (c *Client) dropValue(id, job string, h queue.Hash) {
	ctx, cancel := context.WithTimeout(c.ended, 10*time.Second)
	defer cancel()
	_ = queue.DropValue(ctx, c.js, id, job, h)
}

func (c *call) settle(answer []byte) {
	if err := c.post.Settle(answer); err != nil {
		c.post.Stop(fmt.Errorf("cluster %s: %w", c.client.name, err))
	}
	c.drop()
	c.wake()
}

// drop removes large parcels from the store that have been answered.
func (c *call) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for first, value := range c.stored {
		if c.post.Waiting(first) {
			continue
		}
		delete(c.stored, first)
		c.client.background(func() { c.client.dropValue(value.id, c.number, value.hash) })
	}
}

// leave forgets a call, and tells the engines if they may have some of it.
func (v *View) leave(c *call, tell bool) {
	cl := c.client
	v.mu.Lock()
	delete(v.calls, c)
	v.mu.Unlock()
	cl.mu.Lock()
	delete(cl.calls, c.number)
	cl.mu.Unlock()
	for _, s := range c.sessions {
		if tell {
			cl.courier.Forget(queue.Work(s.id, c.number))
			cl.over(s, c.number)
		}
	}
	if c.large.Load() || c.post.Keeps() {
		cl.background(func() { c.clear(tell) })
	}
	for _, values := range c.values {
		cl.release(values...)
	}
	close(c.left)
}

// over tells the engines that they may forget a call.
func (c *Client) over(s *session, number string) {
	_ = c.conn.Publish(queue.Over(s.id), binary.LittleEndian.AppendUint64(nil, queue.ParseNumber(number)))
}

// remind tells them again, though not for each answer of those that were on their way.
func (c *Client) remind(s *session, number string) {
	c.mu.Lock()
	late := time.Since(c.reminded) > time.Second
	if late {
		c.reminded = time.Now()
	}
	c.mu.Unlock()
	if late {
		c.over(s, number)
	}
}

// clear removes the call's values from the store, also those that engines have put there,
// and again when they have heard of its end. Results that stay there have its number, too:
// of such a call only what it has sent goes, and in the end the results that nobody has got,
// of tasks that ran twice or when the call had failed.
func (c *call) clear(again bool) {
	if c.post.Keeps() {
		for _, s := range c.sessions {
			if c.bound != nil {
				c.client.dropValue(s.id, c.number, *c.bound)
			}
		}
		c.mu.Lock()
		stored := slices.Collect(maps.Values(c.stored))
		c.mu.Unlock()
		for _, value := range stored {
			c.client.dropValue(value.id, c.number, value.hash)
		}
		if c.linger() {
			c.client.dropUnheld(c.number)
		}
		return
	}
	for {
		for _, s := range c.sessions {
			ctx, cancel := context.WithTimeout(c.client.ended, 10*time.Second)
			_ = queue.DropValues(ctx, c.client.js, s.id, c.number, nil) // they go with the client, at the latest
			cancel()
		}
		if !again {
			return
		}
		again = false
		if !c.linger() {
			return
		}
	}
}

// linger waits until engines have heard of the call's end. It returns false when the client is
// closed meanwhile.
func (c *call) linger() bool {
	select {
	case <-time.After(lingering):
		return true
	case <-c.client.ended.Done():
		return false
	}
}

// background runs f beside, unless the client is being closed.
func (c *Client) background(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.work.Go(f)
	}
}

func (c *Client) slotCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slots
}

// takes is how many of the view's tasks an engine runs at a time, 0 if it is none of the
// view's, or takes no more.
func (v *View) takes(e queue.Engine) int {
	if (v.targets != nil || v.deals) && !slices.ContainsFunc(v.targets, func(group []string) bool { return slices.Contains(group, e.ID) }) {
		return 0
	}
	needs, err := queue.ParseNeeds(v.requires)
	if err != nil {
		return 0
	}
	return needs.Tasks(e.Slots, e.Labels, e.Resources)
}

// has reports whether an engine is one of the view's, also one that takes no more tasks.
func (v *View) has(e queue.Engine) bool {
	e.Slots = max(1, e.Slots)
	return v.takes(e) > 0
}

// slots is how many tasks the view's engines run at a time now.
func (v *View) slots() (n int) {
	c := v.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.targets == nil && v.requires == nil {
		return c.slots
	}
	for _, e := range c.known {
		n += v.takes(e.Engine)
	}
	return n
}

// Info implements [parade.Executor]. Workers are the slots of its engines now.
func (v *View) Info() parade.Info {
	info := parade.Info{Kind: "cluster", Host: host.Name(), Threads: 1}
	c := v.client
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.known {
		n := v.takes(e.Engine)
		if n == 0 {
			continue
		}
		info.Workers += n
		info.Cores += n * max(1, e.Threads)
		info.Threads = max(info.Threads, e.Threads)
	}
	info.Workers, info.Cores = max(1, info.Workers), max(1, info.Cores)
	return info
}

// String is the executor's Info as text.
func (v *View) String() string { return v.Info().String() }

// Close stops the view's jobs with [parade.ErrClosed].
func (v *View) Close() error {
	if v.owns {
		return v.client.Close()
	}
	v.mu.Lock()
	v.closed = true
	var calls []*call
	for c := range v.calls {
		calls = append(calls, c)
	}
	v.mu.Unlock()
	for _, c := range calls {
		c.post.Stop(parade.ErrClosed)
	}
	for _, c := range calls {
		<-c.left
	}
	return nil
}
