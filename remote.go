package parade

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade/internal/wire"
)

const (
	// maxFrame bounds what a worker may send at once; memory is taken only as
	// the bytes arrive.
	maxFrame = 1 << 40
	// flushAt is how many bytes of batches go into one write, but for a bulkLink.
	flushAt = 256 << 10
	// offerBytes surely fits into an empty socket.
	offerBytes = 32 << 10
	// aheadTime is how much work a worker should have waiting, and aheadOne up
	// to which length a batch waits behind the one that runs.
	aheadTime = time.Millisecond
	aheadOne  = 5 * time.Millisecond
	// maxAhead and maxAheadBytes bound what is on its way to one worker.
	maxAhead      = 1024
	maxAheadBytes = 32 << 20
	// batchCost is what a batch costs beside its tasks, about.
	batchCost = time.Microsecond
)

// remote is the dispatcher's side of one worker: a goroutine that writes and
// one that reads.
type remote struct {
	d       *Dispatcher
	link    Link
	kicked  chan struct{} // a token: the writer has something to look at
	quit    chan struct{}
	heard   atomic.Bool // something came since the last heartbeat
	greeted atomic.Bool // it said hello
	waiting atomic.Bool // the reader waits for something to come
	silent  int         // heartbeats without anything; the heartbeat's own

	encoding sync.Mutex // held while inputs are read; taken after writing
	writing  sync.Mutex // guards what the writer uses
	buf      wire.Buffer
	seq      uint64
	turn     int // which job is next, for fairness
	known    map[uint32]bool
	tasks    int // handed out so far
	large    wire.Buffer
	lastTag  uint64 // of shared memory
	flushAt  int    // bytes of batches in one write

	mu       sync.Mutex
	ended    bool
	retiring bool
	ready    bool      // said hello, and the initializer has run
	private  *dispatch // the initializer
	sent     []flight  // batches on their way or being run, oldest first
	ahead    time.Duration
	bytes    int64
	notes    []func(*wire.Buffer) // other frames to send
	shelves  []*shelf
	gone     chan struct{} // closed when the link has ended
}

// flight is a batch that a worker has and has not settled.
type flight struct {
	run    *dispatch
	batch  *batch
	seq    uint64
	expect time.Duration // 0: nobody knows
	bytes  int64
	codec  time.Duration // spent on encoding it
	shelf  *shelf        // where its inputs lie, if not in the frame
}

func newRemote(d *Dispatcher, l Link) *remote {
	r := &remote{
		d: d, link: l, kicked: make(chan struct{}, 1), quit: make(chan struct{}),
		known: map[uint32]bool{}, gone: make(chan struct{}), flushAt: flushAt,
	}
	if bulk, ok := l.(bulkLink); ok {
		r.flushAt = bulk.FlushSize()
	}
	return r
}

func (r *remote) wake() {
	select {
	case r.kicked <- struct{}{}:
	default:
	}
}

// post has the writer append a frame of its own.
func (r *remote) post(note func(*wire.Buffer)) {
	r.mu.Lock()
	r.notes = append(r.notes, note)
	r.mu.Unlock()
	r.wake()
}

func (r *remote) write() {
	for {
		select {
		case <-r.quit:
			return
		case <-r.kicked:
		}
		r.writing.Lock()
		err := r.pump()
		r.writing.Unlock()
		if err != nil {
			r.end(err)
			return
		}
	}
}

// offer does the writer's work on the caller's goroutine, which saves a switch
// between the two, as long as that cannot block.
func (r *remote) offer() {
	r.mu.Lock()
	idle := len(r.sent) == 0
	r.mu.Unlock()
	if !idle || !r.writing.TryLock() {
		r.wake()
		return
	}
	defer r.writing.Unlock()
	if r.buf.Len() > 0 {
		return // the writer has been woken for this
	}
	if err := r.fill(); err != nil {
		r.d.done.Go(func() { r.end(err) })
		return
	}
	// What an idle worker's empty socket takes is sent here, but no more.
	if r.buf.Len() > offerBytes {
		r.wake()
		return
	}
	if err := r.flush(); err != nil {
		r.d.done.Go(func() { r.end(err) })
	}
}

// pump sends what there is to send.
func (r *remote) pump() error {
	for {
		if err := r.flush(); err != nil {
			return err
		}
		if err := r.fill(); err != nil || r.buf.Len() == 0 {
			return err
		}
	}
}

// fill collects what should be sent now.
func (r *remote) fill() error {
	r.appendNotes(&r.buf)
	for r.buf.Len() < r.flushAt && r.hasRoom() {
		run, b := r.pick()
		if b == nil {
			break
		}
		r.seq++
		if err := r.appendBatch(&r.buf, run, b, r.seq); err != nil {
			return err
		}
	}
	return nil
}

func (r *remote) flush() error {
	if r.buf.Len() == 0 {
		return nil
	}
	err := r.link.Write(r.buf.Chunks())
	r.buf.Reset()
	return err
}

func (r *remote) appendNotes(buf *wire.Buffer) {
	r.mu.Lock()
	notes := r.notes
	r.notes = nil
	r.mu.Unlock()
	for _, note := range notes {
		note(buf)
	}
}

// hasRoom says whether another batch should be on its way: enough to keep the
// worker busy while outcomes travel, but no long task waiting behind another
// when a second worker could have it.
func (r *remote) hasRoom() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.sent)
	switch {
	case !r.ready && r.private == nil, r.retiring, r.ended:
		return false
	case n == 0:
		return true
	case r.sent[n-1].batch.alone:
		return false
	case n >= maxAhead || r.bytes >= maxAheadBytes || r.sent[n-1].expect == 0:
		return false
	}
	return r.ahead < aheadTime || n == 1 && r.ahead < aheadOne
}

// pick takes a batch from the jobs in turn.
func (r *remote) pick() (*dispatch, *batch) {
	r.mu.Lock()
	private := r.private
	r.mu.Unlock()
	if private != nil {
		return private, private.job.take(1, 1)
	}
	jobs := *r.d.jobs.Load()
	limit := math.MaxInt
	if max := r.d.cfg.MaxTasks; max > 0 {
		limit = max - r.tasks
	}
	for range jobs {
		r.turn++
		run := jobs[r.turn%len(jobs)]
		if !run.admit(r) {
			continue
		}
		if b := run.job.take(r.d.cfg.Workers, limit); b != nil {
			return run, b
		}
		run.uncount(r)
	}
	return nil, nil
}

// admit counts a batch at r against the job's limit of workers.
func (run *dispatch) admit(r *remote) bool {
	limit := run.job.set.workers
	if limit == 0 {
		return true
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.using[r] == 0 && len(run.using) >= limit {
		return false
	}
	run.using[r]++
	return true
}

// leave counts a batch that r no longer has.
func (run *dispatch) leave(r *remote) {
	if run.uncount(r) {
		r.d.kick() // a worker that was not admitted may be now
	}
}

// uncount undoes admit, and says whether that makes room for another worker.
func (run *dispatch) uncount(r *remote) bool {
	if run.job.set.workers == 0 {
		return false
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.using[r]--; run.using[r] > 0 {
		return false
	}
	delete(run.using, r)
	return true
}

// appendBatch appends a batch, and before it the job if the worker does not
// know it yet.
func (r *remote) appendBatch(buf *wire.Buffer, run *dispatch, b *batch, seq uint64) error {
	r.encoding.Lock()
	defer r.encoding.Unlock()
	if b.job.over() { // its inputs are the caller's again
		run.leave(r)
		return nil
	}
	if !r.known[run.id] {
		r.known[run.id] = true
		if err := r.appendJob(buf, run); err != nil {
			b.job.lost(b, -1, err, r.link.Name())
			run.leave(r)
			return err
		}
	}
	start := time.Now()
	f := flight{run: run, batch: b, seq: seq}
	h := wire.Header{Kind: frameBatch, Job: run.id, Seq: seq}
	if b.bytes >= shelveFrom {
		var err error
		if f.shelf, f.bytes, err = r.shelve(run, b); err != nil {
			b.job.lost(b, -1, err, r.link.Name())
			run.leave(r)
			return err
		}
	}
	if f.shelf != nil {
		h.Kind = frameShelved
		mark := buf.BeginFrame(h)
		buf.Uint64(f.shelf.tag)
		buf.Uint64(uint64(f.shelf.segment.Size()))
		buf.Uint64(uint64(f.bytes))
		buf.EndFrame(mark)
	} else {
		mark := buf.BeginFrame(h)
		if encodeBatch(buf, b) {
			buf.EndFrame(mark)
			f.bytes = int64(buf.Len() - mark)
		} else {
			buf.Truncate(mark)
		}
	}
	if b.work.len() == 0 { // none of its inputs could be encoded
		run.leave(r)
		return nil
	}
	f.codec = time.Since(start)
	if b.expect > 0 {
		f.expect = b.expect + batchCost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if run != r.private {
		r.tasks += b.work.len()
	}
	if r.ended {
		b.job.lost(b, -1, nil, r.link.Name())
		run.leave(r)
		return errors.New("worker has ended")
	}
	r.sent = append(r.sent, f)
	r.ahead += f.expect
	r.bytes += f.bytes
	if max := r.d.cfg.MaxTasks; max > 0 && r.tasks >= max {
		r.retiring = true
	}
	return nil
}

// awaitEncoding returns when no batch is being encoded that was taken before.
func (r *remote) awaitEncoding() {
	r.encoding.Lock()
	defer r.encoding.Unlock()
}

// encodeBatch appends what a worker needs to run b. Inputs that cannot be
// encoded are taken out and fail; false when none is left.
func encodeBatch(buf *wire.Buffer, b *batch) bool {
	for b.work.len() > 0 {
		mark := buf.Mark()
		buf.Uvarint(uint64(b.first))
		buf.Uvarint(uint64(b.attempt))
		buf.Uvarint(uint64(b.work.len()))
		n, err := b.work.encodeInputs(buf, b.job.run.apart)
		if err == nil {
			return true
		}
		b.job.refuse(b, n, fmt.Errorf("%w: %w", ErrEncode, err))
		buf.Truncate(mark)
	}
	return false
}

func (r *remote) appendJob(buf *wire.Buffer, run *dispatch) error {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.users = append(run.users, r)
	mode := run.mode
	var tag uint64
	var size int
	if mode == boundSegment {
		sharer, ok := r.link.(segmentLink)
		receiver, _ := r.link.(sharedLink)
		switch {
		case run.shared != nil && receiver != nil && !receiver.Shared():
			mode = boundInline
		case run.shared != nil:
			tag, size = run.shared.tag, run.shared.size
		case run.segment == nil: // the job has ended; its batches no longer count
			mode = boundNone
		case !ok:
			mode = boundInline
		default:
			r.lastTag++
			tag, size = r.lastTag, run.segment.Size()
			if err := sharer.SendSegment(run.segment, tag); err != nil {
				return fmt.Errorf("sending the bound argument: %w", err)
			}
		}
	}
	m := buf.BeginFrame(wire.Header{Kind: frameJob, Job: run.id})
	for _, chunk := range run.head.Chunks() {
		buf.Raw(chunk)
	}
	buf.Uint8(mode)
	switch mode {
	case boundInline:
		buf.Align(64) // so that the worker may view numbers in place
		for _, chunk := range run.bound.Chunks() {
			buf.Raw(chunk)
		}
	case boundSegment:
		buf.Uint64(tag)
		buf.Uint64(uint64(size))
	}
	buf.EndFrame(m)
	run.job.sent(int64(buf.Len() - m))
	return nil
}

// forget tells the worker that a job has ended, and sees to it that its task
// does, too.
func (r *remote) forget(run *dispatch) {
	note := func(b *wire.Buffer) {
		if r.known[run.id] {
			delete(r.known, run.id)
			b.EndFrame(b.BeginFrame(wire.Header{Kind: frameEnd, Job: run.id}))
		}
	}
	r.mu.Lock()
	r.notes = append(r.notes, note)
	r.clearShelves(run)
	r.mu.Unlock()
	// A worker that holds nothing of the job learns of its end with whatever
	// is sent next, at the latest a heartbeat.
	if r.holds(run) {
		r.wake()
		time.AfterFunc(r.d.cfg.Grace, func() {
			if r.holds(run) {
				r.end(errStubborn)
			}
		})
	}
}

func (r *remote) holds(run *dispatch) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.sent {
		if f.run == run {
			return true
		}
	}
	return false
}

func (r *remote) read() {
	frames := wire.NewFrameReader(ear{r}, maxFrame)
	var rd wire.Reader
	for {
		h, payload, owned, err := frames.Next()
		if err != nil {
			r.end(err)
			return
		}
		rd.Init(payload, owned)
		if err := r.handle(h, &rd); err != nil {
			r.end(err)
			return
		}
		// One look by the writer for all that arrived together, and none when
		// there is nothing to hand out: the end of a job can wait.
		if !frames.Buffered() && r.d.hasWork() {
			r.wake()
		}
	}
}

// ear reads from the link, and notes for the heartbeat whether anything comes.
type ear struct{ *remote }

func (e ear) Read(p []byte) (int, error) {
	e.waiting.Store(true)
	n, err := e.link.Read(p)
	e.waiting.Store(false)
	e.heard.Store(true)
	return n, err
}

func (r *remote) handle(h wire.Header, rd *wire.Reader) error {
	switch h.Kind {
	case frameOutcome:
		return r.settle(h, rd)
	case framePong:
	case frameHello:
		if err := checkHello(rd, r.d.cfg.Build); err != nil {
			return &fatalError{err}
		}
		r.greeted.Store(true)
		return r.prepare()
	case frameRefusal:
		err := wire.DecodeError(rd)
		for _, run := range append([]*dispatch{r.private}, *r.d.jobs.Load()...) {
			if run != nil && run.id == h.Job {
				run.job.stop(err)
			}
		}
	case frameLog:
		rec, err := decodeRecord(rd)
		if err != nil {
			return err
		}
		rec.AddAttrs(slog.String("worker", r.link.Name()))
		if log := slog.Default(); log.Enabled(context.Background(), rec.Level) {
			_ = log.Handler().Handle(context.Background(), rec)
		}
	case frameBye:
		return errStuck
	case frameDeaf:
		if deaf := (&deafError{h.Job, int(rd.Uint64())}); rd.Err() == nil {
			return deaf
		}
	default:
		return fmt.Errorf("frame of unknown kind %d", h.Kind)
	}
	return rd.Err()
}

func (r *remote) settle(h wire.Header, rd *wire.Reader) error {
	r.mu.Lock()
	if len(r.sent) == 0 || r.sent[0].seq != h.Seq || r.sent[0].run.id != h.Job {
		r.mu.Unlock()
		return fmt.Errorf("outcome of batch %d of job %d out of turn", h.Seq, h.Job)
	}
	f := r.sent[0]
	r.mu.Unlock()

	start := time.Now()
	o, err := decodeOutcome(rd, f.batch.work, f.run.job.run.apart)
	var garbled *garbledError
	if err != nil && !errors.As(err, &garbled) {
		return fmt.Errorf("outcome of batch %d: %w", h.Seq, err)
	}
	o.codec += f.codec + time.Since(start)
	o.bytesOut, o.bytesIn = f.bytes, int64(h.Length)

	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return nil // the batch is queued again already
	}
	r.sent[0] = flight{}
	r.sent = r.sent[1:]
	if f.shelf != nil {
		f.shelf.busy = false
		if f.batch.job.over() {
			r.clearShelves(f.run)
		}
	}
	r.ahead -= f.expect
	r.bytes -= f.bytes
	retired := r.retiring && len(r.sent) == 0
	r.mu.Unlock()

	if garbled != nil {
		f.batch.job.garbled(f.batch, garbled, r.link.Name())
	} else {
		f.batch.job.settle(f.batch, f.batch.work, o, r.link.Name())
	}
	f.run.leave(r)
	if f.run == r.private {
		if err := r.private.job.result(r.private.job.data.(*mapData[int, struct{}]).failed, nil); err != nil {
			return &fatalError{fmt.Errorf("initializer: %w", err)}
		}
		r.setReady()
	}
	if retired {
		r.end(nil)
	}
	return nil
}

// fatalError ends a worker for a reason that another worker would not mend.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// prepare runs the initializer, if there is one, in a worker that said hello.
func (r *remote) prepare() error {
	f := r.d.cfg.Initializer
	if f == nil {
		r.setReady()
		return nil
	}
	j := newMapJob(context.Background(), newMapData(f, []int{r.link.Number()}), settings{maxFailed: 1, crashes: 1})
	run, err := r.d.newDispatch(j)
	if err != nil {
		return &fatalError{fmt.Errorf("initializer: %w", err)}
	}
	r.d.mu.Lock()
	r.d.lastJob++
	run.id = r.d.lastJob
	r.d.mu.Unlock()
	r.mu.Lock()
	r.private = run
	r.mu.Unlock()
	r.wake()
	return nil
}

func (r *remote) setReady() {
	r.mu.Lock()
	r.private, r.ready = nil, true
	r.mu.Unlock()
	r.wake()
}

// end ends the worker, once, and queues again what it held. Whoever comes
// second waits for the first.
func (r *remote) end(cause error) {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		<-r.gone
		return
	}
	r.ended = true
	flights := r.sent
	r.sent = nil
	ready, initializing := r.ready, r.private != nil
	r.mu.Unlock()

	d := r.d
	d.mu.Lock()
	remove(&d.workers, r)
	closed := d.closed
	d.mu.Unlock()
	status, death := r.link.End(cause)
	close(r.quit)
	r.writing.Lock() // the writer may be filling a shelf
	r.mu.Lock()
	r.clearShelves(nil)
	r.mu.Unlock()
	r.writing.Unlock()
	if death == nil {
		death = cause
	}
	if initializing && death != nil {
		death = fmt.Errorf("initializer: %w", death)
	}
	var fatal *fatalError
	if errors.As(cause, &fatal) {
		d.Fail(cause)
	}
	r.requeue(flights, cause, death, status)
	if !closed && fatal == nil && d.cfg.Gone != nil {
		d.cfg.Gone(r.link, ready, death)
	}
	close(r.gone)
}

// requeue hands back the batches of a worker that has ended. The task that was
// running when it died is the suspect. Where nothing tells which that was, the
// job's batches from then on travel alone, and are cut in two until the culprit
// is.
func (r *remote) requeue(flights []flight, cause, death error, status *Status) {
	blameless := cause == nil || errors.Is(cause, errStubborn) || errors.Is(cause, errStuck) || errors.As(cause, new(*deafError))
	name := r.link.Name()
	err := fmt.Errorf("%w: %w", ErrWorkerLost, death)
	counted := map[*Job]bool{}
	for i, f := range flights {
		j, n := f.batch.job, f.batch.work.len()
		alone := f.batch.alone
		f.batch = f.batch.slice(0, n) // the reader may still be decoding into the old one
		if !blameless && !counted[j] {
			counted[j] = true
			j.mu.Lock()
			j.tally.lost++
			j.mu.Unlock()
		}
		crashed := deafTo(cause, f)
		if crashed >= 0 {
			j.lost(f.batch, crashed, errDeaf, name)
			f.run.leave(r)
			continue
		}
		if !blameless {
			var unsure bool
			crashed, unsure = status.suspect(f.run.id, i == 0)
			if unsure && len(flights) > 1 && !alone {
				j.beCareful() // the oldest may be done, and another the culprit
				unsure = false
			}
			switch {
			case unsure && n == 1:
				crashed = f.batch.first
			case unsure:
				j.lost(f.batch.slice(0, n/2), -1, err, name)
				f.batch = f.batch.slice(n/2, n)
			}
		}
		j.lost(f.batch, crashed, err, name)
		f.run.leave(r)
	}
}

// suspect returns the task of a job that was running when its worker died, or
// -1. It is unsure when one task of the oldest batch may be to blame, but
// nothing says which.
func (s *Status) suspect(job uint32, oldest bool) (index int, unsure bool) {
	if s == nil {
		return -1, oldest
	}
	switch at := s.index.Load(); {
	case at == 0 || s.job.Load() != uint64(job):
		return -1, false
	case at == decodingBatch:
		return -1, oldest
	default:
		return int(at) - 1, false
	}
}
