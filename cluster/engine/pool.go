package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
	"github.com/parade-go/parade/process"
)

// idle is when the children of a program that nobody needs are ended.
const idle = time.Minute

// pool is the children of one program, and the jobs that they run.
type pool struct {
	engine  *engine
	key     string
	program queue.Program
	ready   chan struct{} // closed when executor or err is there

	executor *process.Executor
	err      error

	mu     sync.Mutex
	relays map[relayKey]*relay
	used   time.Time
	closed bool
}

type relayKey struct{ queue, job string }

// relay is one job at this engine.
type relay struct {
	*parade.Relay
	pool  *pool
	key   relayKey
	ready chan struct{} // closed when Relay or err is there
	err   error

	mu      sync.Mutex
	stopped error // before it was ready
	held    map[*held]struct{}
	used    time.Time
	files   []parade.ValueData // of values; constant once ready
	marked  time.Time
}

// poolOf returns the pool of a queue's program, which may not be ready yet.
func (e *engine) poolOf(s *source) (*pool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := s.Program
	if s.pool == "" {
		s.pool = fmt.Sprintf("%s %d %q %q", p.Hash, p.Build, p.Dir, p.Args)
	}
	key := s.pool
	if e.pools == nil {
		return nil, parade.ErrClosed
	}
	found := e.pools[key]
	if found == nil {
		found = &pool{engine: e, key: key, program: p, ready: make(chan struct{}), relays: map[relayKey]*relay{}, used: time.Now()}
		e.pools[key] = found
		e.work.Go(found.open)
	}
	return found, nil
}

func (p *pool) open() {
	defer close(p.ready)
	if p.err = p.start(); p.err == nil {
		return
	}
	// The next parcel finds another pool, and may have better luck.
	e := p.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pools[p.key] == p {
		delete(e.pools, p.key)
	}
}

func (p *pool) start() error {
	path, err := p.engine.fetch(p.program)
	if err != nil {
		return fmt.Errorf("getting the client's program: %w", err)
	}
	dir := p.program.Dir
	if !isDir(dir) {
		dir = "" // the client's machine has it, this one has not
	}
	cfg := p.engine.cfg
	// A file just written is busy while a child that was forked at the time has not
	// come to its exec: golang/go#22315.
	for wait := time.Millisecond; ; wait *= 2 {
		p.executor, err = process.Open(context.Background(), process.Config{
			Workers: cfg.Slots, Threads: cfg.Threads, Program: path, Args: p.program.Args, Dir: dir,
			Build: p.program.Build, Name: cfg.ID,
		})
		if !errors.Is(err, syscall.ETXTBSY) || wait > time.Second {
			return err
		}
		time.Sleep(wait)
	}
}

// relay returns the job that a message belongs to, and makes it if it is new.
func (p *pool) relay(key relayKey, m queue.Message) (*relay, error) {
	p.mu.Lock()
	p.used = time.Now()
	r := p.relays[key]
	if p.closed {
		p.mu.Unlock()
		return nil, parade.ErrClosed
	}
	if r != nil {
		r.mu.Lock()
		r.used = p.used // or tidy could end it before the parcel is pushed
		r.mu.Unlock()
		p.mu.Unlock()
		<-r.ready
		return r, r.err
	}
	r = &relay{pool: p, key: key, ready: make(chan struct{}), held: map[*held]struct{}{}, used: time.Now()}
	p.relays[key] = r
	p.mu.Unlock()
	r.err = r.open(m)
	close(r.ready)
	if r.err != nil {
		p.take(func(k relayKey) bool { return k == key })
	}
	return r, r.err
}

// open makes the job, once it has what its tasks need, however long that takes to come.
func (r *relay) open(m queue.Message) error {
	e, bound := r.pool.engine, m.Bound
	var err error
	if m.BoundHash != nil {
		if bound, err = e.value(e.ctx, r.key.queue, r.key.job, *m.BoundHash); err != nil {
			return fmt.Errorf("the bound argument: %w", err)
		}
	}
	if len(m.Values) > 0 {
		if r.files, err = e.named(e.ctx, m); err != nil {
			return err
		}
	}
	made, err := parade.NewRelay(m.Head, bound, r.files...)
	if err != nil {
		return &brokenError{err}
	}
	made.Engine = e.cfg.ID
	if err := made.Start(r.pool.executor); err != nil {
		return err
	}
	r.mu.Lock()
	r.Relay = made
	stopped := r.stopped
	r.mu.Unlock()
	if stopped != nil {
		made.Stop(stopped)
	}
	e.work.Go(r.watch)
	return nil
}

// brokenError is a message that no engine can use.
type brokenError struct{ error }

func (e *brokenError) Unwrap() error { return e.error }

// watch sees to what is left when the job ends.
func (r *relay) watch() {
	<-r.Done()
	r.pool.take(func(k relayKey) bool { return k == r.key })
	err := r.Err()
	r.mu.Lock()
	left := r.held
	r.held = nil
	r.mu.Unlock()
	e := r.pool.engine
	for h := range left {
		e.late(h, err)
	}
}

// late deals with a parcel that came to a job which had ended, for the given reason.
func (e *engine) late(h *held, err error) {
	e.finished(h, 0)
	switch {
	case errors.Is(err, errOver): // nobody wants it
		e.mu.Lock()
		e.release(h)
		e.mu.Unlock()
		_ = h.delivery().Ack()
	case err == nil, errors.Is(err, parade.ErrClosed), errors.Is(err, errCancelled): // only here, or only now
		e.handBack(h)
	default: // the program cannot run the job
		e.refuse(h, fmt.Errorf("engine %s: %w", e.cfg.ID, err))
	}
}

// drop forgets a parcel, and says whether it was there.
func (r *relay) drop(h *held) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, here := r.held[h]
	delete(r.held, h)
	return here
}

// stop ends the job, now or as soon as it has begun.
func (r *relay) stop(err error) {
	r.mu.Lock()
	made := r.Relay
	if made == nil {
		r.stopped = err
	}
	r.mu.Unlock()
	if made != nil {
		made.Stop(err)
	}
}

// take removes jobs from the pool.
func (p *pool) take(which func(relayKey) bool) (taken []*relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, r := range p.relays {
		if which(key) {
			taken = append(taken, r)
			delete(p.relays, key)
		}
	}
	return taken
}

// tidy ends jobs that nothing is heard of, and children that nobody needs.
func (p *pool) tidy(now time.Time) {
	p.mu.Lock()
	var quiet []*relay
	for key, r := range p.relays {
		r.mu.Lock()
		if r.Relay != nil && len(r.held) == 0 && now.Sub(r.used) > forget {
			quiet = append(quiet, r)
			delete(p.relays, key)
		}
		if r.Relay != nil && len(r.files) > 0 && now.Sub(r.marked) > marked {
			r.marked = now
			for _, v := range r.files {
				if v.File != "" {
					used(v.File)
				}
			}
		}
		r.mu.Unlock()
	}
	old := len(p.relays) == 0 && now.Sub(p.used) > idle
	if old {
		p.closed = true
	}
	p.mu.Unlock()
	for _, r := range quiet {
		r.Finish()
	}
	if !old {
		return
	}
	e := p.engine
	e.mu.Lock()
	if e.pools[p.key] == p {
		delete(e.pools, p.key)
		e.work.Go(p.close)
	}
	e.mu.Unlock()
}

func (p *pool) close() {
	<-p.ready
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	if p.executor != nil {
		_ = p.executor.Close() // it stops its jobs, which end their relays
	}
}

// begin has a parcel run.
func (e *engine) begin(h *held) {
	m, err := queue.ParseMessage(h.msg.Data)
	if err != nil {
		e.giveUp(h, &brokenError{err})
		return
	}
	p, err := e.poolOf(h.source)
	if err != nil {
		e.giveUp(h, err)
		return
	}
	select {
	case <-p.ready:
	case <-e.ctx.Done():
		e.giveUp(h, parade.ErrClosed)
		return
	}
	if p.err != nil {
		e.giveUp(h, p.err)
		return
	}
	var r *relay
	if err = e.unwanted(h); err == nil { // the program may have taken long to come
		err = e.surely(h, func() (err error) {
			r, err = p.relay(h.key(), m)
			return err
		})
	}
	if queue.IsGone(err) {
		err = fmt.Errorf("%w: %w", parade.ErrNoValue, err)
	}
	if why := e.unwanted(h); why != nil { // leave and over may have looked before the relay was there
		err = why
	}
	if err != nil {
		e.giveUp(h, err)
		return
	}
	data := m.Parcel
	if m.ParcelHash != nil {
		err = e.surely(h, func() (err error) {
			data, err = queue.GetValue(e.ctx, e.js, h.source.ID, h.job, *m.ParcelHash)
			return err
		})
		switch {
		case queue.IsGone(err) && h.source.Job == nil: // the client has an answer
			err = errOver
		case queue.IsGone(err):
			err = fmt.Errorf("%w: large inputs: %w", parade.ErrNoValue, err)
		case err != nil:
			err = fmt.Errorf("large inputs: %w", err)
		}
		if err != nil {
			e.giveUp(h, err)
			return
		}
	}
	parcel, err := parade.ParseParcel(data)
	if err != nil {
		e.giveUp(h, &brokenError{err})
		return
	}
	if h.losses > 0 {
		if h.losses, err = e.tried(h); err != nil {
			e.giveUp(h, err)
			return
		}
	}
	if h.losses >= maxLosses {
		e.part(h, m, parcel)
		return
	}
	r.push(h, m, parcel)
}

// goneFor is how long a value is looked for that is not there: a server that has just started may
// not have found it yet.
const goneFor = 3 * time.Second

// surely calls get for what a parcel needs, and again while that is gone, so that in the end it is.
func (e *engine) surely(h *held, get func() error) error {
	for until := time.Now().Add(goneFor); ; {
		err := get()
		if !queue.IsGone(err) || time.Now().After(until) || e.unwanted(h) != nil {
			return err
		}
		select {
		case <-time.After(goneFor / 10):
		case <-e.ctx.Done():
			return err
		}
	}
}

// part deals with a parcel that has cost one engine after another: the tasks are sent
// separate ways, until the culprit is alone and can be set aside.
func (e *engine) part(h *held, m queue.Message, parcel parade.Parcel) {
	e.finished(h, 0)
	if parcel.Len() == 1 {
		lost := parcel.Lost(e.cfg.ID, fmt.Errorf("input set aside after it cost %d engines", h.losses))
		if h.source.Job != nil {
			e.deliverJob(h, lost, parcel, []parade.Parcel{parcel})
			return
		}
		e.answer(h, nil, queue.AppendAnswer(nil, lost))
		return
	}
	half := parcel.Len() / 2
	e.owe(h) // one for each half
	e.giveBack(h, m, parcel.Slice(0, half))
	e.giveBack(h, m, parcel.Slice(half, parcel.Len()))
}

func (r *relay) push(h *held, m queue.Message, parcel parade.Parcel) {
	e := r.pool.engine
	r.mu.Lock()
	if r.held == nil { // it has ended meanwhile
		r.mu.Unlock()
		e.late(h, r.Err())
		return
	}
	r.held[h] = struct{}{}
	r.used = time.Now()
	r.mu.Unlock()
	// Both functions are called with the relay locked.
	pushed := r.Push(parcel, func(rest []parade.Parcel) {
		for _, part := range rest {
			e.owe(h)
			e.work.Go(func() { e.giveBack(h, m, part) })
		}
	}, func(a parade.Answer) {
		r.drop(h) // before the job can end, which answers what is left here
		e.work.Go(func() {
			e.mu.Lock()
			e.done += int64(a.Len() - a.Failed())
			e.failed += int64(a.Failed())
			e.mu.Unlock()
			took := a.User()
			if m.Only { // there will be no other like it
				took = 0
			}
			e.finished(h, took)
			if h.source.Job != nil {
				e.deliverJob(h, a.AppendTo(nil), a.Parcel(), a.FailedParcels())
				return
			}
			if !m.Keep || e.keepResults(h, m.Home, a) {
				e.deliver(h, a.AppendTo(nil))
			}
		})
	})
	e.mu.Lock()
	h.pushed, h.relay = pushed, r
	e.mu.Unlock()
	if m.Only {
		r.Finish()
	}
}

// deliver sends an answer, by way of the store if it is large.
func (e *engine) deliver(h *held, answer []byte) {
	if len(answer) <= queue.Inline {
		e.answer(h, nil, queue.AppendAnswer(nil, answer))
		return
	}
	hash := queue.HashOf(answer)
	if e.put(h, h.source.ID, hash, answer) == nil {
		e.answer(h, nil, queue.AppendAnswerHash(nil, hash))
	}
}

// put stores what a parcel has come to in the bucket of a queue, for as long as it takes: each
// try may take longer the larger it is. An error means that nobody wants it any more.
func (e *engine) put(h *held, queueID string, hash queue.Hash, data []byte) error {
	for {
		err := queue.PutValue(e.ctx, e.js, queueID, h.job, hash, data)
		if err == nil {
			return nil
		}
		if e.isGone(h) || e.ctx.Err() != nil {
			return err
		}
		e.log.Warn("a large value could not be stored yet", "queue", h.source.ID, "error", err)
		select {
		case <-time.After(time.Second):
		case <-e.ctx.Done():
			return err
		}
	}
}

// giveBack publishes tasks that others may have.
func (e *engine) giveBack(h *held, m queue.Message, part parade.Parcel) {
	m.Only = false
	m.Parcel, m.ParcelHash = part.AppendTo(nil), nil
	if len(m.Parcel) > queue.Inline {
		hash := queue.HashOf(m.Parcel)
		if e.put(h, h.source.ID, hash, m.Parcel) != nil {
			return
		}
		m.Parcel, m.ParcelHash = nil, &hash
	}
	e.send(h, queue.Rest(h.source.ID, h.job), nil, m.AppendTo(nil))
}

// giveUp deals with a parcel that could not be started.
func (e *engine) giveUp(h *held, err error) {
	var broken *brokenError
	switch {
	case errors.As(err, &broken), errors.Is(err, errOver), errors.Is(err, errCancelled), errors.Is(err, errWrongProgram),
		errors.Is(err, parade.ErrNoValue), errors.Is(err, parade.ErrClosed):
		e.late(h, err)
	default: // another engine, or later
		e.finished(h, 0)
		if e.ctx.Err() == nil {
			e.log.Warn("a parcel could not be started here", "queue", h.source.ID, "error", err)
		}
		time.AfterFunc(time.Second, func() { e.handBack(h) })
	}
}
