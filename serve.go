package parade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/parade-go/parade/internal/wire"
)

// StatusSize is how many bytes a [Status] takes.
const StatusSize = int(unsafe.Sizeof(Status{}))

// StatusAt returns the Status that lies in memory shared between a worker and
// whoever started it. The memory must be aligned to 8 bytes and hold at least
// StatusSize.
func StatusAt(memory []byte) *Status {
	_ = memory[StatusSize-1]
	return (*Status)(unsafe.Pointer(unsafe.SliceData(memory)))
}

// WorkerEnd is the worker's side of a [Link].
type WorkerEnd struct {
	Name   string
	Status *Status // nil when nothing outlives the worker
	io.Reader
	// Write sends the chunks one after another, all of them or an error.
	Write func(chunks [][]byte) error
	// Segment returns the memory that the other side's SendSegment sent under
	// a tag, and what frees it.
	Segment func(tag uint64, size int) (memory []byte, retire func(), err error)
	// Logs, if not nil, gets the handler that sends slog records to the
	// dispatcher's process.
	Logs func(slog.Handler)
	// Capture, if not nil, is how to keep what tasks print.
	Capture Capture
}

const (
	// flushAfter is how long finished outcomes may wait for more.
	flushAfter = 100 * time.Microsecond
	// flushBytes is how many bytes of outcomes may wait.
	flushBytes = 256 << 10
	// arenaSize is the unit in which small frames are kept until they are run.
	arenaSize = 64 << 10
)

// ServeWorker runs tasks for the dispatcher at the other end until that one
// goes away, and returns why. Functions must have been declared before.
func ServeWorker(w WorkerEnd) error {
	if w.Status == nil {
		w.Status = new(Status)
	}
	s := &server{end: w, runs: map[uint32]*servedRun{}}
	s.arrived.L = &s.inbox
	if w.Logs != nil {
		w.Logs(&forwarder{server: s})
	}
	s.lane = newLane(w.Name, w.Status, s.giveUp)
	s.lane.capture = w.Capture
	s.send(appendHello)
	go s.work()
	defer s.close()
	return s.read()
}

// server is a worker: one goroutine reads frames, another runs batches.
type server struct {
	end  WorkerEnd
	lane *lane

	inbox   sync.Mutex // guards the next five
	arrived sync.Cond
	closed  bool
	queue   []message
	arena   []byte
	runs    map[uint32]*servedRun

	outbox  sync.Mutex // guards the next two
	out     wire.Buffer
	flushed time.Time
	writing sync.Mutex // held while writing
}

// message is a frame that waits to be acted on.
type message struct {
	wire.Header
	payload []byte
	owned   bool
	run     *servedRun
}

// servedRun is a job as the worker knows it.
type servedRun struct {
	run
	scopes  *scopes
	factory workFactory
	err     error             // why it cannot be run
	retire  []func()          // frees shared memory
	shelves map[uint64][]byte // shared memory for large batches, by tag
}

func (s *server) read() error {
	frames := wire.NewFrameReader(s.end, maxFrame)
	for {
		h, payload, owned, err := frames.Next()
		if err != nil {
			return err
		}
		switch h.Kind {
		case framePing:
			s.send(func(b *wire.Buffer) { b.EndFrame(b.BeginFrame(wire.Header{Kind: framePong})) })
		case frameInterrupt:
			s.interrupt(h.Job, time.Duration(wire.NewReader(payload, false).Uint64()))
		case frameJob, frameBatch, frameShelved, frameEnd:
			s.enqueue(h, payload, owned)
		default:
			return fmt.Errorf("frame of unknown kind %d", h.Kind)
		}
	}
}

func (s *server) enqueue(h wire.Header, payload []byte, owned bool) {
	s.inbox.Lock()
	defer s.inbox.Unlock()
	if !owned && len(payload) > 0 { // the reader's buffer is about to be reused
		if cap(s.arena)-len(s.arena) < len(payload) {
			s.arena = make([]byte, 0, max(arenaSize, len(payload)))
		}
		at := len(s.arena)
		s.arena = append(s.arena, payload...)
		payload = s.arena[at:len(s.arena):len(s.arena)]
	}
	run := s.runs[h.Job]
	switch {
	case h.Kind == frameJob:
		run = &servedRun{scopes: newScopes()}
		s.runs[h.Job] = run
	case h.Kind == frameEnd && run != nil:
		run.scopes.end() // at once, even while its task runs
		delete(s.runs, h.Job)
	}
	s.queue = append(s.queue, message{Header: h, payload: payload, owned: owned, run: run})
	s.arrived.Signal()
}

// close ends the goroutine that works, once its task has returned.
func (s *server) close() {
	s.inbox.Lock()
	defer s.inbox.Unlock()
	s.closed = true
	for _, run := range s.runs {
		run.scopes.end()
	}
	s.arrived.Broadcast()
}

// next returns everything that has arrived, in order, or nil at the end.
// Finished outcomes are sent before it waits.
func (s *server) next(spare []message) []message {
	s.inbox.Lock()
	defer s.inbox.Unlock()
	if len(s.queue) == 0 {
		s.inbox.Unlock()
		s.flush()
		s.inbox.Lock()
	}
	for len(s.queue) == 0 && !s.closed {
		s.arrived.Wait()
	}
	if s.closed {
		return nil
	}
	messages := s.queue
	clear(spare)
	s.queue = spare[:0]
	return messages
}

// work runs what arrives, until a task makes this goroutine unusable.
func (s *server) work() {
	var rest []message
	var rd wire.Reader
	for {
		if rest = s.next(rest); rest == nil {
			return
		}
		for _, m := range rest {
			rd.Init(m.payload, m.owned)
			switch {
			case m.run == nil: // of a job that has ended
			case m.Kind == frameJob:
				if !s.open(m, &rd) {
					return
				}
			case m.Kind == frameBatch, m.Kind == frameShelved:
				if !s.execute(s.lane, m, &rd) {
					return
				}
			case m.Kind == frameEnd:
				s.flush() // results may lie in the bound argument's memory
				m.run.values.free()
				for _, retire := range m.run.retire {
					retire()
				}
			}
		}
	}
}

// open makes a job known. It is false when this worker asks to be replaced: a frozen one
// keeps it from getting the bound argument, and its successor gets that in another way.
func (s *server) open(m message, rd *wire.Reader) bool {
	run := m.run
	settings := decodeRun(rd)
	settings.scopes = run.scopes
	run.run = settings
	run.factory, run.err = s.factory(m, rd)
	switch {
	case errors.Is(run.err, ErrFrozen):
		s.giveUp()
		return false
	case run.err != nil:
		s.refuse(m, run.err)
	}
	return true
}

// refuse says why a job cannot be run here.
func (s *server) refuse(m message, err error) {
	s.send(func(b *wire.Buffer) {
		mark := b.BeginFrame(wire.Header{Kind: frameRefusal, Job: m.Job})
		wire.AppendError(b, err)
		b.EndFrame(mark)
	})
}

func (s *server) factory(m message, rd *wire.Reader) (workFactory, error) {
	mode := rd.Uint8()
	bound := wire.NewReader(nil, false)
	switch mode {
	case boundInline:
		rd.Align(64)
		bound = wire.NewReader(rd.Rest(), m.owned)
	case boundSegment:
		memory, err := s.segment(m.run, rd.Uint64(), rd.Uint64())
		if err != nil {
			return nil, fmt.Errorf("mapping the bound argument: %w", err)
		}
		bound = wire.NewReader(memory, true)
	}
	if rd.Err() != nil {
		return nil, rd.Err()
	}
	d := lookup(m.run.name)
	if d == nil {
		return nil, fmt.Errorf("%w: this worker has no function %q; declare it in a package-level variable", ErrNotDeclared, m.run.name)
	}
	factory, err := d.open(bound)
	if err != nil {
		return nil, fmt.Errorf("bound argument of %q: %w", m.run.name, err)
	}
	if m.run.values, err = parseNamed(bound); err != nil {
		return nil, fmt.Errorf("values of a call of %q: %w", m.run.name, err)
	}
	return factory, nil
}

// segment returns shared memory, which is kept until the job ends.
func (s *server) segment(r *servedRun, tag, size uint64) ([]byte, error) {
	if size > uint64(math.MaxInt) || s.end.Segment == nil {
		return nil, fmt.Errorf("shared memory of %d bytes", size)
	}
	memory, retire, err := s.end.Segment(tag, int(size))
	if err != nil {
		return nil, err
	}
	r.retire = append(r.retire, retire)
	return memory, nil
}

// unshelve has rd read a batch that lies in shared memory. Values are copied
// out of it: the memory is used again for the next batch.
func (s *server) unshelve(r *servedRun, rd *wire.Reader) error {
	tag, size, length := rd.Uint64(), rd.Uint64(), rd.Uint64()
	if rd.Err() != nil {
		return rd.Err()
	}
	memory := r.shelves[tag]
	if memory == nil {
		var err error
		if memory, err = s.segment(r, tag, size); err != nil {
			return err
		}
		if r.shelves == nil {
			r.shelves = map[uint64][]byte{}
		}
		r.shelves[tag] = memory
	}
	if length > uint64(len(memory)) {
		return fmt.Errorf("batch of %d bytes in shared memory of %d", length, len(memory))
	}
	rd.Init(memory[:length], false)
	return nil
}

func (s *server) execute(l *lane, m message, rd *wire.Reader) (alive bool) {
	start := time.Now()
	s.end.Status.job.Store(uint64(m.Job))
	s.end.Status.index.Store(decodingBatch)
	if m.Kind == frameShelved {
		if err := s.unshelve(m.run, rd); err != nil {
			rd.Fail(err)
		}
	}
	first, attempt, n := int(rd.Uvarint()), int(rd.Uvarint()), rd.Uvarint()
	r := m.run
	if r.err != nil { // the dispatcher knows
		s.end.Status.index.Store(0)
		s.reply(m, func(b *wire.Buffer) { appendGarbled(b, r.err) }, true)
		return true
	}
	var w work
	err := rd.Err()
	if err == nil && n > uint64(max(rd.Len(), maxBatchTasks)) {
		err = fmt.Errorf("batch of %d tasks in %d bytes", n, rd.Len())
	}
	if err == nil {
		w, err = r.factory(rd, int(n), r.apart)
	}
	if err != nil {
		s.end.Status.index.Store(0)
		s.reply(m, func(b *wire.Buffer) { appendGarbled(b, fmt.Errorf("decoding the input: %w", err)) }, true)
		return true
	}
	decoding := time.Since(start)
	return l.execute(&r.run, w, first, attempt, func(w work, o outcome) {
		o.codec = decoding
		s.end.Status.index.Store(decodingBatch) // encoding may kill as well
		s.reply(m, func(b *wire.Buffer) { appendOutcome(b, w, &o, r.apart) }, o.user > flushAfter)
		s.end.Status.index.Store(0)
	})
}

// reply appends the outcome of a batch. It is sent at once if that is urgent,
// and else with what follows soon.
func (s *server) reply(m message, outcome func(*wire.Buffer), urgent bool) {
	s.outbox.Lock()
	defer s.outbox.Unlock()
	mark := s.out.BeginFrame(wire.Header{Kind: frameOutcome, Job: m.Job, Seq: m.Seq})
	outcome(&s.out)
	s.out.EndFrame(mark)
	if urgent || s.out.Len() >= flushBytes || time.Since(s.flushed) > flushAfter {
		s.flushLocked()
	}
}

// send sends a frame at once, ahead of outcomes that are being encoded.
func (s *server) send(frame func(*wire.Buffer)) {
	var b wire.Buffer
	frame(&b)
	s.write(&b)
}

func (s *server) write(b *wire.Buffer) {
	s.writing.Lock()
	defer s.writing.Unlock()
	// When the other end is gone, read notices too, and ends the worker.
	_ = s.end.Write(b.Chunks())
}

func (s *server) flush() {
	s.outbox.Lock()
	defer s.outbox.Unlock()
	s.flushLocked()
}

func (s *server) flushLocked() {
	if s.out.Len() == 0 {
		return
	}
	s.write(&s.out)
	s.out.Reset()
	s.flushed = time.Now()
}

// giveUp asks to be replaced: a task will not return, and nothing can stop it
// but the end of this process.
func (s *server) giveUp() {
	s.flush()
	s.send(func(b *wire.Buffer) { b.EndFrame(b.BeginFrame(wire.Header{Kind: frameBye})) })
}

// forwarder is the slog handler of a worker: records appear in the program
// that started it, with the worker's name.
type forwarder struct {
	server *server
	attrs  []slog.Attr
	group  string
}

func (f *forwarder) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

func (f *forwarder) Handle(_ context.Context, rec slog.Record) error {
	attrs := append([]slog.Attr(nil), f.attrs...)
	rec.Attrs(func(a slog.Attr) bool {
		attrs = f.flatten(attrs, f.group, a)
		return true
	})
	f.server.send(func(b *wire.Buffer) { appendRecord(b, rec, attrs) })
	return nil
}

func (f *forwarder) WithAttrs(attrs []slog.Attr) slog.Handler {
	g := *f
	g.attrs = append([]slog.Attr(nil), f.attrs...)
	for _, a := range attrs {
		g.attrs = f.flatten(g.attrs, f.group, a)
	}
	return &g
}

func (f *forwarder) WithGroup(name string) slog.Handler {
	g := *f
	g.group += name + "."
	return &g
}

func (f *forwarder) flatten(attrs []slog.Attr, group string, a slog.Attr) []slog.Attr {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return append(attrs, slog.Attr{Key: group + a.Key, Value: v})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, inner := range v.Group() {
		attrs = f.flatten(attrs, group, inner)
	}
	return attrs
}
