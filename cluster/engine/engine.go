// Package engine takes tasks from a cluster's queues and has them run by child
// processes of the client's own program.
//
//	conn, err := cluster.Load("engine.json") // from the cluster's folder
//	err = engine.Run(ctx, engine.Config{Connection: conn, Slots: 8})
//
// An engine is a process pool that is fed from the streams: what happens to tasks,
// children and inputs that kill them is what package process does. It needs nothing on
// its machine but itself. Run returns when ctx ends, after it has handed back what it
// had not begun and delivered what it had finished.
package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
)

// Config describes an engine.
type Config struct {
	// Connection is that of the role engine.
	Connection access.Connection
	// ID is the engine's name among the engines; "" makes one.
	ID string
	// Slots is how many tasks run at a time; 0 is the number of granted cores.
	Slots int
	// Threads is how many threads each task may use; 0 divides the granted cores.
	Threads int
	// Labels are what queues may require of an engine, such as "gpu".
	Labels []string
	// Resources are what parcels of queues that require them hold while they run, with
	// the amount that is there, such as "mem=64G" or "license=2".
	Resources []string
	// Cache is the folder for programs; "" is the user's own place for it.
	Cache string
	// Values is the folder in which the engines of this user on this machine share large
	// values; "" is one below Cache, or without that below the folder for temporary files.
	Values string
	// Grace is how long the engine waits for a controller that is gone, 0 is 10 minutes.
	Grace time.Duration
	// Idle is for how long it may have nothing to do before it ends; 0 is for ever.
	Idle time.Duration
	// Batch is the batch system and the job that it runs in, as "slurm 4711"; "" is none.
	Batch string
	// Drain is how long it goes on with running tasks after ctx has ended; 0 is 5 s.
	Drain time.Duration
	// Log gets what happens; nil is slog's default.
	Log *slog.Logger
}

// ErrAbandoned says that the controller stayed away longer than Config.Grace.
var ErrAbandoned = errors.New("the controller is gone")

const (
	// heldBack is how long a parcel may wait here for a slot before it is handed back.
	heldBack = 200 * time.Millisecond
	// short is the time of a parcel up to which more of them are taken than there are slots.
	short = 2 * time.Millisecond
	// depth is how many short parcels a slot may have, running or waiting.
	depth = 32
	// pullFor is how long the server keeps a request for parcels.
	pullFor = 30 * time.Second
	// busyFor is the same for a queue that is busy, from which an engine asks for many.
	// Should it freeze they are sent to it all the same, one after another.
	busyFor = time.Second
	// lively is for how long after a parcel a queue counts as busy.
	lively = time.Second
	// forget is when a job that nothing is heard of is ended.
	forget = 10 * time.Second
	// maxPaces bounds the jobs of which the engine remembers how long their parcels take.
	maxPaces = 1000
	// rememberOver is how long parcels of a job that is over are dropped, at least; of a queue
	// that is there it is as long, unless that makes more than maxEnded.
	rememberOver = time.Minute
	maxEnded     = 1000
	// maxLosses is how many engines a parcel may cost before its tasks are parted, or a
	// single one is set aside.
	maxLosses = 4
	// maxBreaks bounds the losses of the connection that the engine remembers.
	maxBreaks = 64
)

// engine is a running engine.
type engine struct {
	cfg       Config
	resources map[string]int64 // all
	log       *slog.Logger
	started   time.Time
	conn      *nats.Conn
	js        jetstream.JetStream
	tries     jetstream.KeyValue // how many engines have begun a parcel
	courier   *queue.Courier
	again     chan struct{} // the connection has come back
	inbox     string        // parcels come to inbox + queue
	ctx       context.Context
	cancel    context.CancelCauseFunc
	work      sync.WaitGroup
	sending   sync.RWMutex // full while what is on its way to a queue is given up; comes before mu

	mu       sync.Mutex
	draining bool
	retiring bool // it takes no more, but is not done
	queues   []*source
	turn     int
	free     map[string]int64 // resources that no parcel holds
	running  int              // parcels
	waiting  int
	paces    map[relayKey]time.Duration // of a parcel, lately
	quick    bool                       // the last one to finish was of a job with short parcels
	ended    map[relayKey]time.Time     // jobs that are over, and since when
	held     map[*held]struct{}
	breaks   []time.Time // when the connection came back, the last maxBreaks
	pools    map[string]*pool
	warned   time.Time // that a stream does not store
	done     int64
	failed   int64
	kept     atomic.Int64 // bytes of values, since old ones were removed
	checked  sync.Map     // files of values that are as they should be
}

// source is a queue that the engine pulls from.
type source struct {
	queue.Record
	needs    queue.Needs
	lacks    time.Time // since when resources are kept for it, zero: they are not
	fits     time.Time // since when they are there
	sub      *nats.Subscription
	requests string    // the subject
	asked    int       // parcels asked for and not come
	askedAt  time.Time // last
	came     time.Time // the last parcel
	waiting  []*held
	held     map[uint64]*held // by sequence in the stream
	gone     bool
	left     bool   // the job was cancelled
	pool     string // the key of its program's, once there was a parcel
}

// held is a parcel that this engine has.
type held struct {
	source *source
	job    string
	msg    *nats.Msg
	again  atomic.Pointer[nats.Msg] // its last delivery, if there was another
	seq    uint64                   // in the stream
	losses int                      // deliveries to engines that did not answer; those that had begun it, once this one has
	at     time.Time
	owed   int  // confirmations that are missing, and one for what still runs
	back   bool // it has been handed back
	began  time.Time
	pushed *parade.Pushed // once a pool has it
	relay  *relay
}

func (h *held) key() relayKey { return relayKey{h.source.ID, h.job} }

// delivery is the message to confirm.
func (h *held) delivery() *nats.Msg {
	if m := h.again.Load(); m != nil {
		return m
	}
	return h.msg
}

// release forgets a parcel. It is called with the engine locked.
func (e *engine) release(h *held) {
	delete(e.held, h)
	delete(h.source.held, h.seq)
}

// Run runs an engine until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	parade.Serve()
	if cfg.Slots < 0 || cfg.Threads < 0 {
		return errors.New("engine: Slots and Threads must not be negative")
	}
	if cfg.Slots == 0 {
		cfg.Slots = cores.Granted()
	}
	if cfg.Threads == 0 {
		cfg.Threads = cores.InnerThreads(cfg.Slots)
	}
	if cfg.ID == "" {
		cfg.ID = fmt.Sprintf("%s-%d-%s", clean(host.Name()), os.Getpid(), strconv.FormatInt(time.Now().UnixNano()%1e9, 36))
	}
	if err := queue.Valid(cfg.ID); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	for _, l := range cfg.Labels {
		if err := queue.Valid(l); err != nil {
			return fmt.Errorf("engine: label: %w", err)
		}
	}
	resources, err := queue.ParseResources(cfg.Resources)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Minute
	}
	if cfg.Drain == 0 {
		cfg.Drain = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Values == "" && cfg.Cache != "" {
		cfg.Values = filepath.Join(cfg.Cache, "values")
	}
	if cfg.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("engine: where to keep programs: %w; set Cache", err)
		}
		cfg.Cache = filepath.Join(dir, "parade", "programs")
	}
	if err := os.MkdirAll(cfg.Cache, 0o700); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if cfg.Values == "" {
		cfg.Values = valueFolder()
	}
	if err := ownFolder(cfg.Values); err != nil {
		cfg.Log.Warn("large values are not shared with other engines of this machine", "error", err)
		cfg.Values = ""
	}
	e := &engine{cfg: cfg, resources: resources, free: maps.Clone(resources), log: cfg.Log.With("engine", cfg.ID), started: time.Now(), held: map[*held]struct{}{}, paces: map[relayKey]time.Duration{}, ended: map[relayKey]time.Time{}, again: make(chan struct{}, 1), pools: map[string]*pool{}}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	defer e.cancel(nil)
	return e.run(ctx)
}

// clean makes a host's name one that can stand in a subject.
func clean(name string) string {
	b := []byte(name)
	for i, c := range b {
		if queue.Valid(string(c)) != nil {
			b[i] = '-'
		}
	}
	return string(b[:min(len(b), 30)])
}

func (e *engine) run(ctx context.Context) (err error) {
	e.conn, err = e.cfg.Connection.DialWithin(ctx, e.cfg.Grace, "parade engine "+e.cfg.ID,
		nats.DisconnectErrHandler(func(*nats.Conn, error) { e.work.Go(e.await) }),
		nats.ReconnectHandler(func(*nats.Conn) { e.reconnected() }),
		nats.ClosedHandler(func(nc *nats.Conn) {
			if err := nc.LastError(); errors.Is(err, nats.ErrAuthorization) {
				e.cancel(fmt.Errorf("%w: its key has been replaced", access.ErrRefused))
			}
		}))
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	defer access.Close(e.conn)
	if e.js, err = queue.JetStream(e.conn); err != nil {
		return err
	}
	if e.courier, err = queue.NewCourier(e.conn, e.refused); err != nil {
		return err
	}
	defer e.courier.Close()
	e.inbox = e.conn.NewInbox() + "."
	if _, err := e.conn.Subscribe(queue.Over("*"), e.over); err != nil {
		return err
	}
	asked, err := e.onVerb(queue.Stop)
	if err != nil {
		return err
	}
	retire, err := e.onVerb(queue.Retire)
	if err != nil {
		return err
	}
	if _, err := e.conn.Subscribe(queue.EngineVerb(e.cfg.ID, queue.Interrupt), e.interrupt); err != nil {
		return err
	}
	records, err := queue.Bucket(ctx, e.js, queue.Records)
	if err != nil {
		return fmt.Errorf("engine: the bucket of queues: %w", err)
	}
	states, err := queue.Bucket(ctx, e.js, queue.Engines)
	if err != nil {
		return fmt.Errorf("engine: the bucket of engines: %w", err)
	}
	if at, known := started(ctx, states); known {
		e.mu.Lock()
		e.breaks = append([]time.Time{at}, e.breaks...) // the connection may have come back already
		e.mu.Unlock()
	}
	if e.tries, err = queue.Bucket(ctx, e.js, queue.Tries); err != nil {
		return fmt.Errorf("engine: the bucket of tries: %w", err)
	}
	e.work.Go(func() { queue.Follow(e.ctx, records, e.again, e.listen) })
	e.work.Go(func() { e.beat(states) })
	e.work.Go(e.progress)
	e.work.Go(e.housekeep)
	if e.cfg.Idle > 0 {
		e.work.Go(func() { e.idle(retire) })
	}
	select {
	case <-ctx.Done():
		e.drain()
		err = nil
	case <-asked:
		e.log.Info("the engine was asked to end")
		e.drain()
		err = nil
	case <-retire:
		e.log.Info("the engine takes no more tasks and ends when it has none")
		e.retire(ctx, asked)
		e.drain()
		err = nil
	case <-e.ctx.Done():
		err = context.Cause(e.ctx)
	}
	e.cancel(err)
	if e.conn.IsConnected() {
		gone, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = states.Purge(gone, e.cfg.ID)
		cancel()
	}
	e.close()
	e.work.Wait()
	return err
}

// started is when the controller did, which makes this bucket anew, as it is in memory.
func started(ctx context.Context, states jetstream.KeyValue) (at time.Time, known bool) {
	status, err := states.Status(ctx)
	if err != nil {
		return at, false
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return at, false
	}
	return bucket.StreamInfo().Created, true
}

// await ends the engine when the controller stays away.
func (e *engine) await() {
	timer := time.NewTimer(e.cfg.Grace)
	defer timer.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !e.conn.IsConnected() {
		select {
		case <-timer.C:
			e.cancel(fmt.Errorf("engine %s: %w for %v", e.cfg.ID, ErrAbandoned, e.cfg.Grace))
			return
		case <-e.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// reconnected asks again: the server has forgotten what was asked for.
func (e *engine) reconnected() {
	select {
	case e.again <- struct{}{}:
	default:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.breaks = append(e.breaks[max(0, len(e.breaks)-maxBreaks+1):], time.Now())
	for _, q := range e.queues {
		q.asked = 0
	}
	e.proceed()
}

// listen returns what keeps the list of queues, by the records that there are and then by
// each that changes.
func (e *engine) listen() func(jetstream.KeyValueEntry) {
	seen := map[string]bool{}
	return func(entry jetstream.KeyValueEntry) {
		if entry != nil {
			if seen != nil {
				seen[entry.Key()] = true
			}
			e.hear(entry)
			return
		}
		e.mu.Lock()
		var gone []string // while the connection was lost
		for _, q := range e.queues {
			if !seen[q.ID] {
				gone = append(gone, q.ID)
			}
		}
		e.mu.Unlock()
		for _, id := range gone {
			e.leave(id, false)
		}
		seen = nil
	}
}

func (e *engine) hear(entry jetstream.KeyValueEntry) {
	if entry.Operation() != jetstream.KeyValuePut {
		e.leave(entry.Key(), false)
		return
	}
	var r queue.Record
	if err := json.Unmarshal(entry.Value(), &r); err != nil || r.ID != entry.Key() || queue.Valid(r.ID) != nil {
		e.log.Warn("a queue's record cannot be read", "queue", entry.Key(), "error", err)
		return
	}
	if r.Job != nil && r.Job.Cancelled {
		e.leave(r.ID, true)
		return
	}
	if err := e.join(r); err != nil {
		e.log.Warn("a queue cannot be joined", "queue", r.ID, "error", err)
	}
}

// refused is told that a stream does not store what was sent, which goes on being sent.
func (e *engine) refused(subject string, err error) {
	e.mu.Lock()
	late := time.Since(e.warned) > forget
	if late {
		e.warned = time.Now()
	}
	e.mu.Unlock()
	if late {
		e.log.Warn("the controller does not store what this engine sends; it sends it again", "subject", subject, "error", err)
	}
}

// join starts to pull from a queue, if this engine can run its program and has what it
// requires.
func (e *engine) join(r queue.Record) error {
	if r.Program.OS != runtime.GOOS || r.Program.Arch != runtime.GOARCH {
		return nil
	}
	if r.Engines != nil && !slices.Contains(r.Engines, e.cfg.ID) {
		return nil
	}
	needs, err := queue.ParseNeeds(r.Requires)
	if err != nil {
		return err
	}
	if needs.Tasks(e.cfg.Slots, e.cfg.Labels, e.resources) == 0 {
		return nil
	}
	e.mu.Lock()
	known := slices.IndexFunc(e.queues, func(q *source) bool { return q.ID == r.ID })
	if known >= 0 && e.queues[known].Created.Equal(r.Created) { // only its priority can be another
		e.queues[known].Priority = r.Priority
		e.mu.Unlock()
		return nil
	}
	e.mu.Unlock()
	if known >= 0 { // it was lost, and has been made again
		e.leave(r.ID, false)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	q := &source{Record: r, needs: needs, came: time.Now(), held: map[uint64]*held{}, requests: "$JS.API.CONSUMER.MSG.NEXT." + queue.WorkStream(r.ID) + "." + queue.Consumer}
	if q.sub, err = e.conn.Subscribe(e.inbox+r.ID, func(m *nats.Msg) { e.receive(q, m) }); err != nil {
		return err
	}
	if err := q.sub.SetPendingLimits(-1, -1); err != nil { // it asks for what comes
		return err
	}
	e.queues = append(e.queues, q)
	e.proceed()
	return nil
}

// leave drops a queue that has been removed, with its tasks. With keep its job was only
// cancelled: what has no answer is put back into its stream, and may be run another time.
func (e *engine) leave(id string, keep bool) {
	e.mu.Lock()
	if !keep { // there is no stream to put anything back into
		defer e.abandon(id)
	}
	i := slices.IndexFunc(e.queues, func(q *source) bool { return q.ID == id })
	if i < 0 {
		e.mu.Unlock()
		return
	}
	q := e.queues[i]
	q.gone, q.left = !keep, keep
	e.queues = slices.Delete(e.queues, i, i+1)
	var back []*held
	for _, h := range q.waiting {
		if keep {
			back = append(back, h)
		} else {
			e.release(h)
		}
		e.waiting--
	}
	q.waiting = nil
	var stopped []*relay
	for _, p := range e.pools {
		stopped = append(stopped, p.take(func(key relayKey) bool { return key.queue == id })...)
	}
	e.mu.Unlock()
	_ = q.sub.Unsubscribe()
	why := errCancelled
	if !keep {
		why = errOver
		e.dropValues(q.Record)
	}
	for _, h := range back {
		e.handBack(h)
	}
	for _, r := range stopped {
		r.stop(why)
	}
}

// abandon gives up what is here of a queue that has been removed, also if its job was cancelled
// before, and what is on its way to it.
func (e *engine) abandon(id string) {
	e.sending.Lock()
	defer e.sending.Unlock()
	e.mu.Lock()
	for h := range e.held {
		if h.source.ID == id {
			h.source.gone = true
			e.release(h)
		}
	}
	e.mu.Unlock()
	e.courier.Forget(queue.Done(id, ""))
	e.courier.Forget(queue.Rest(id, ""))
}

// send publishes what a parcel has come to, unless its queue is gone: nothing would confirm it.
func (e *engine) send(h *held, subject string, header nats.Header, data []byte) {
	e.sending.RLock()
	defer e.sending.RUnlock()
	if !e.isGone(h) {
		e.courier.SendWith(subject, header, data, func() { e.confirmed(h) })
	}
}

// isGone reports whether the queue of a parcel has been removed.
func (e *engine) isGone(h *held) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return h.source.gone
}

var errOver = errors.New("the job is over")

// over ends a job that its client says is over.
func (e *engine) over(m *nats.Msg) {
	if len(m.Data) != 8 || len(m.Subject) <= len(queue.Over("")) {
		return
	}
	key := relayKey{m.Subject[len(queue.Over("")):], queue.Number(binary.LittleEndian.Uint64(m.Data))}
	e.mu.Lock()
	e.ended[key] = time.Now()
	var dropped []*held
	for _, q := range e.queues {
		if q.ID != key.queue {
			continue
		}
		q.waiting = slices.DeleteFunc(q.waiting, func(h *held) bool {
			if h.job != key.job {
				return false
			}
			dropped = append(dropped, h)
			return true
		})
	}
	e.waiting -= len(dropped)
	for _, h := range dropped {
		e.release(h)
	}
	var stopped []*relay
	for _, p := range e.pools {
		stopped = append(stopped, p.take(func(k relayKey) bool { return k == key })...)
	}
	e.proceed()
	e.mu.Unlock()
	for _, h := range dropped {
		_ = h.delivery().Ack()
	}
	for _, r := range stopped {
		r.stop(errOver)
	}
}

// forgetEnded forgets jobs that are over and of which no parcel can come any more. It is called
// with the engine locked.
func (e *engine) forgetEnded(now time.Time) {
	for key, since := range e.ended {
		if now.Sub(since) <= rememberOver {
			continue
		}
		joined := slices.ContainsFunc(e.queues, func(q *source) bool { return q.ID == key.queue })
		if !joined || len(e.ended) > maxEnded {
			delete(e.ended, key)
		}
	}
}

// receive takes what the server sends for a request.
func (e *engine) receive(q *source, m *nats.Msg) {
	if status := m.Header.Get("Status"); status != "" {
		e.mu.Lock()
		defer e.mu.Unlock()
		// 408: the request has expired, with so many not sent. Others: the consumer is
		// gone, or will be back.
		if left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages")); err == nil {
			q.asked = max(0, q.asked-left)
		} else {
			q.asked = 0
		}
		if status == "408" {
			e.proceed()
		}
		return
	}
	h := &held{source: q, msg: m, at: time.Now(), owed: 1}
	_, h.job, _ = queue.Parse(m.Subject)
	if e.take(q, h) {
		e.handBack(h)
	}
}

// take has a parcel wait for a slot, or says that it is to be handed back.
func (e *engine) take(q *source, h *held) (back bool) {
	m := h.msg
	e.mu.Lock()
	defer e.mu.Unlock()
	q.asked = max(0, q.asked-1)
	q.came = h.at
	if meta, err := m.Metadata(); err == nil {
		h.seq, h.losses = meta.Sequence.Stream, e.losses(meta)
	}
	if before := q.held[h.seq]; before != nil { // a controller that was started again does not know
		before.again.Store(m)
		e.proceed()
		return false
	}
	if q.gone {
		return false
	}
	if _, over := e.ended[h.key()]; over { // parcels that were still in the stream
		_ = m.Ack()
		e.proceed()
		return false
	}
	e.held[h] = struct{}{}
	q.held[h.seq] = h
	if e.draining || q.left {
		return true
	}
	q.waiting = append(q.waiting, h)
	e.waiting++
	e.proceed()
	return false
}

// proceed starts what can be started, the queues in turn, and asks for more. It is
// called with the engine locked.
func (e *engine) proceed() {
	if e.draining {
		return
	}
	for e.waiting > 0 {
		q := e.next()
		if q == nil {
			break
		}
		h := q.waiting[0]
		q.waiting = q.waiting[1:]
		e.waiting--
		e.occupy(h)
		e.work.Go(func() { e.begin(h) })
	}
	room := e.cfg.Slots - e.running
	for _, q := range e.queues { // what waits for resources leaves the slots to others
		if e.fit(q) {
			room -= len(q.waiting)
		}
	}
	if e.quick {
		room += e.cfg.Slots * depth
	}
	if room <= 0 || len(e.queues) == 0 {
		return
	}
	now := time.Now()
	busy := 0
	for _, q := range e.queues {
		if now.Sub(q.came) < lively {
			busy++
		}
	}
	share := max(1, room/max(1, busy))
	for i := range e.queues {
		q := e.queues[(e.turn+i)%len(e.queues)]
		want := 1
		switch fit := e.fit(q); {
		case !fit && (!q.lacks.IsZero() || len(q.waiting) > 0):
			want = 0
		case fit && now.Sub(q.came) < lively:
			want = share
			if len(q.needs.Amounts) > 0 {
				want = min(share, q.needs.Tasks(share, e.cfg.Labels, e.free))
			}
		}
		// One request for several parcels costs as much as one for a single. One for none the server
		// would take for one for a single.
		if want > 0 && (q.asked == 0 || q.asked < want && want-q.asked >= max(1, e.cfg.Slots*depth/8)) {
			e.ask(q, want-q.asked, now)
		}
	}
}

// next returns the queue whose turn it is, of those with the highest priority, or nil
// when the next parcel of none of them can start now. When all slots are taken only
// those of jobs can whose parcels are known to be short: behind another they wait no
// longer than an answer and the next request take.
func (e *engine) next() *source {
	var best *source
	for i := range e.queues {
		q := e.queues[(e.turn+1+i)%len(e.queues)]
		if len(q.waiting) == 0 || best != nil && q.Priority <= best.Priority || !e.fit(q) {
			continue
		}
		if e.running >= e.cfg.Slots && (e.running >= e.cfg.Slots*depth/2 || !e.isQuick(q.waiting[0].key())) {
			continue
		}
		best = q
	}
	if best != nil {
		e.turn = slices.Index(e.queues, best)
	}
	return best
}

func (e *engine) isQuick(key relayKey) bool {
	pace, known := e.paces[key]
	return known && pace < short
}

// ask requests n parcels of a queue.
func (e *engine) ask(q *source, n int, now time.Time) {
	q.asked += n
	q.askedAt = now
	keep := pullFor
	if now.Sub(q.came) < lively {
		keep = busyFor
	}
	_ = e.conn.PublishRequest(q.requests, e.inbox+q.ID, fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, n, keep.Nanoseconds()))
}

// finished gives a parcel's slot back. took is the time of its tasks, if they have run.
func (e *engine) finished(h *held, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.vacate(h)
	if key := h.key(); took > 0 {
		if pace := e.paces[key]; pace > 0 {
			took = (3*pace + took) / 4
		}
		e.paces[key] = took
		e.quick = took < short
	}
	e.proceed()
}

// confirmed acknowledges a parcel when nothing of it is owed any more.
func (e *engine) confirmed(h *held) {
	e.mu.Lock()
	h.owed--
	last := h.owed == 0
	if last {
		e.release(h)
	}
	e.mu.Unlock()
	if last {
		_ = h.delivery().Ack()
	}
}

// owe notes that a parcel needs another confirmation.
func (e *engine) owe(h *held) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h.owed++
}

// handBack puts a parcel behind the others in its stream, once. It is a new message, so that
// the deliveries of a message count the engines that it has cost.
func (e *engine) handBack(h *held) {
	e.mu.Lock()
	again := h.back
	h.back = true
	e.mu.Unlock()
	if !again {
		e.send(h, queue.Rest(h.source.ID, h.job), nil, h.msg.Data)
	}
}

// losses is how often a parcel was delivered before without an answer. A controller
// that was started again may deliver each parcel once more, though no engine was lost.
// It is called with the engine locked.
func (e *engine) losses(meta *nats.MsgMetadata) int {
	n := int(meta.NumDelivered) - 1
	for _, at := range e.breaks {
		if at.After(meta.Timestamp) {
			n--
		}
	}
	return max(0, n)
}

// progress tells the server what is still here, hands back what cannot be started, and
// mends what a lost message has left.
func (e *engine) progress() {
	tick := time.NewTicker(queue.Progress / 2)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-e.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		var here, back []*held
		e.mu.Lock()
		for h := range e.held {
			here = append(here, h)
		}
		for _, q := range e.queues {
			if q.asked > 0 && now.Sub(q.askedAt) > pullFor+2*time.Second {
				q.asked = 0
			}
			q.unkeep(e, now)
			// With slots full of long tasks, what waits here could run elsewhere.
			for len(q.waiting) > 0 && now.Sub(q.waiting[0].at) > heldBack {
				if !q.needs.Fit(e.free) && q.lacks.IsZero() {
					q.lacks = now
				}
				back = append(back, q.waiting[0])
				q.waiting = q.waiting[1:]
				e.waiting--
			}
		}
		var late []*held
		if e.running > e.cfg.Slots { // so could what waits in a pool behind one that turned out long
			for _, h := range here {
				if h.pushed != nil && now.Sub(h.began) > heldBack {
					late = append(late, h)
				}
			}
		}
		e.forgetEnded(now)
		if len(e.paces) > maxPaces { // of jobs that are mostly over
			clear(e.paces)
		}
		e.proceed()
		pools := make([]*pool, 0, len(e.pools))
		for _, p := range e.pools {
			pools = append(pools, p)
		}
		e.mu.Unlock()
		for _, h := range late {
			if h.pushed.Withdraw() && h.relay.drop(h) {
				e.mu.Lock()
				e.vacate(h)
				e.mu.Unlock()
				back = append(back, h)
			}
		}
		for _, h := range back {
			e.handBack(h)
		}
		if n%2 == 0 {
			for _, h := range here {
				_ = h.delivery().InProgress()
			}
		}
		for _, p := range pools {
			p.tidy(now)
		}
	}
}

// beat writes the engine's state.
func (e *engine) beat(states jetstream.KeyValue) {
	tick := time.NewTicker(queue.Beat)
	defer tick.Stop()
	for {
		e.mu.Lock()
		state := queue.Engine{
			ID: e.cfg.ID, Host: host.Name(), PID: os.Getpid(), OS: runtime.GOOS, Arch: runtime.GOARCH,
			Slots: e.cfg.Slots, Threads: e.cfg.Threads, Running: e.running, Done: e.done, Failed: e.failed,
			Labels: e.cfg.Labels, Started: e.started, Resources: e.resources, Free: maps.Clone(e.free), Batch: e.cfg.Batch,
		}
		draining := e.draining && !e.retiring
		if e.retiring {
			state.Slots = 0
		}
		e.mu.Unlock()
		if data, err := json.Marshal(state); err == nil && !draining && e.conn.IsConnected() {
			ctx, cancel := context.WithTimeout(e.ctx, 2*queue.Beat)
			_, err = states.Put(ctx, e.cfg.ID, data)
			cancel()
			if err != nil && e.ctx.Err() == nil && e.conn.IsConnected() {
				e.log.Debug("the engine's state was not written", "error", err)
			}
		}
		select {
		case <-e.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// handedBack is how long an engine that ends waits for what it has handed back to be stored.
const handedBack = time.Second

// cease takes no more parcels, and hands back those that have not begun.
func (e *engine) cease() []*source {
	e.mu.Lock()
	e.draining = true
	queues := slices.Clone(e.queues)
	var back []*held
	for _, q := range queues {
		_ = q.sub.Drain() // takes back what it has asked for, and handles what is on its way
		back = append(back, q.waiting...)
		e.waiting -= len(q.waiting)
		q.waiting = nil
	}
	e.mu.Unlock()
	for _, h := range back {
		e.handBack(h)
	}
	return queues
}

// drain hands back what has not begun, and waits for what has.
func (e *engine) drain() {
	queues := e.cease()
	e.settled(e.cfg.Drain, queues)
	e.mu.Lock()
	left := slices.Collect(maps.Keys(e.held))
	e.mu.Unlock()
	for _, h := range left {
		e.handBack(h)
	}
	e.settled(handedBack, queues)
	_ = e.conn.FlushTimeout(time.Second)
}

// settled waits until nothing is held and nothing will come, but not longer than patience.
func (e *engine) settled(patience time.Duration, queues []*source) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && e.ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		e.mu.Lock()
		left := len(e.held)
		e.mu.Unlock()
		coming := e.conn.IsConnected() && slices.ContainsFunc(queues, func(q *source) bool { return q.sub.IsValid() })
		if left == 0 && !coming {
			return
		}
	}
}

// close ends the children.
func (e *engine) close() {
	e.mu.Lock()
	e.draining = true
	pools := e.pools
	e.pools = nil
	e.mu.Unlock()
	for _, p := range pools {
		p.close()
	}
}
