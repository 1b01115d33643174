package parade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/parade-go/parade/internal/wire"
)

// postTarget is how long the tasks of a parcel should take: a queue costs more
// than a pipe.
const postTarget = 10 * time.Millisecond

// Post is a job as an executor sees it that has no workers of its own, but hands
// tasks to a queue: parcels go out, answers come in, in any order and more than
// once. It is safe for concurrent use. At the other end is a [Relay].
type Post struct {
	job         *Job
	head, bound []byte

	encoding sync.Mutex // held while inputs are read
	mu       sync.Mutex
	out      []*voyage // by first, without those that have been answered wholly
}

// voyage is a batch whose answer has not come.
type voyage struct {
	batch    *batch
	left     int
	answered []bool // nil: none
}

// Posted is a parcel on its way.
type Posted struct {
	First, Len int
	Data       []byte        // for ParseParcel
	Expect     time.Duration // how long it should take; 0: nobody knows
}

// Post readies the job for a queue. It refuses a job that other processes cannot
// run. wake is called when Next may have something again; the job is locked then,
// so that wake must not block.
func (j *Job) Post(wake func()) (*Post, error) {
	if j.relay != nil {
		return nil, errRelayed
	}
	if err := j.leave(); err != nil {
		return nil, err
	}
	j.run.apart = true
	// A task that takes its slot's time may keep others from it, and what
	// one of so few workers gives back nobody else may take.
	j.run.shares = j.run.shares && j.set.workers == 0
	j.target = postTarget
	p := &Post{job: j}
	var head, bound wire.Buffer
	appendRun(&head, &j.run)
	head.Uvarint(uint64(j.set.retries))
	head.Uvarint(uint64(j.set.crashes))
	if !j.binds() {
		head.Uint8(0)
	} else {
		head.Uint8(1)
		if err := j.appendBound(&bound); err != nil {
			return nil, err
		}
		p.bound = bound.AppendTo(make([]byte, 0, bound.Len()))
	}
	p.head = head.AppendTo(nil)
	j.mu.Lock()
	j.onWork = wake
	j.mu.Unlock()
	return p, nil
}

// Head is what a [Relay] must know of the job.
func (p *Post) Head() []byte { return p.head }

// Bound is the encoded bound argument with the values of [With]; ok is false without
// either.
func (p *Post) Bound() (encoded []byte, ok bool) { return p.bound, p.job.binds() }

// Sent counts bytes that were sent beside the parcels.
func (p *Post) Sent(n int) { p.job.sent(int64(n)) }

// Limit is how many workers the caller allows, 0 for all.
func (p *Post) Limit() int { return p.job.set.workers }

// Unattended refuses a job that its caller leaves to itself if an option of the call
// needs somebody to be there.
func (p *Post) Unattended() error {
	s := &p.job.set
	switch {
	case s.maxFailed > 0:
		return fmt.Errorf("parade: StopAfter(%d) needs a program that counts, and a job that goes on by itself has none: all of its tasks run, whatever fails", s.maxFailed)
	case s.workers > 0:
		return fmt.Errorf("parade: Workers(%d) is for a call that is waited for", s.workers)
	case s.journal != "", s.progress != nil, s.report != nil:
		return errors.New("parade: Journal, OnProgress and WithReport are for a call that is waited for")
	}
	return nil
}

// Done is closed when the job has ended. Parcels that are out are then of no use.
func (p *Post) Done() <-chan struct{} { return p.job.finished }

// Context ends when the job does.
func (p *Post) Context() context.Context { return p.job.run.ctx }

// Stop ends the job because it cannot be run.
func (p *Post) Stop(err error) { p.job.stop(err) }

// AtEnd has f called when a job that was given to [Starter.Start] has ended, before its
// caller hears of it. It returns false, and f is not called, if it has already.
func (p *Post) AtEnd(f func()) bool {
	j := p.job
	j.mu.Lock()
	if j.ended {
		j.unlock()
		return false
	}
	defer j.mu.Unlock()
	then := j.finally
	j.finally = func() {
		f()
		then()
	}
	return true
}

// Waiting reports whether the parcel that begins with a task has not been answered wholly.
func (p *Post) Waiting(first int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, found := slices.BinarySearchFunc(p.out, first, byFirst)
	return found
}

// Size sets how many tasks make a parcel, unless the caller has said that, for a job
// whose parcels are made before any time is known.
func (p *Post) Size(tasks int) {
	p.job.mu.Lock()
	defer p.job.mu.Unlock()
	if p.job.set.batch == 0 {
		p.job.set.batch = max(1, tasks)
	}
}

// Bytes bounds the encoded inputs of a parcel of more than one task.
func (p *Post) Bytes(n int) {
	p.job.mu.Lock()
	defer p.job.mu.Unlock()
	p.job.maxBytes = int64(n)
}

// Adopt takes all tasks as if their parcels were out: somebody else has sent them.
// The inputs are not looked at, so that there can be no journal of them.
func (p *Post) Adopt() error {
	if p.job.set.journal != "" {
		return errors.New("parade: a Journal knows tasks by their inputs, which are elsewhere: leave it out")
	}
	p.job.mu.Lock()
	p.job.set.batch, p.job.remote = math.MaxInt, false // one parcel, however large
	p.job.mu.Unlock()
	if b := p.job.take(1, math.MaxInt); b != nil {
		p.mu.Lock()
		p.out = append(p.out, &voyage{batch: b, left: b.work.len()})
		p.mu.Unlock()
	}
	return nil
}

// Tasks is how many inputs are known.
func (p *Post) Tasks() int {
	tasks, _ := p.job.size()
	return tasks
}

// Out is how many parcels have not been answered wholly.
func (p *Post) Out() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out)
}

// Next returns the next parcel for one of so many workers, or nil when there is
// nothing to hand out now. Once the job has ended and Next has returned, nobody reads
// its inputs any more.
func (p *Post) Next(workers int) *Posted {
	p.encoding.Lock()
	defer p.encoding.Unlock()
	for {
		b := p.job.take(workers, math.MaxInt)
		if b == nil {
			return nil
		}
		if p.job.over() {
			return nil // its inputs are the caller's again
		}
		data := encodeParcel(b)
		if data == nil {
			continue
		}
		p.job.sent(int64(len(data)))
		p.mu.Lock()
		i, _ := slices.BinarySearchFunc(p.out, b.first, byFirst)
		p.out = slices.Insert(p.out, i, &voyage{batch: b, left: b.work.len()})
		p.mu.Unlock()
		return &Posted{First: b.first, Len: b.work.len(), Data: data, Expect: b.expect}
	}
}

// Again calls send with each parcel that has not been answered wholly, encoded once more,
// for a queue that has lost them. Like Next it reads the inputs, until the job has ended, and
// it ends at an error of send.
func (p *Post) Again(send func(*Posted) error) error {
	p.encoding.Lock()
	defer p.encoding.Unlock()
	p.mu.Lock()
	out := slices.Clone(p.out)
	p.mu.Unlock()
	for _, v := range out {
		if p.job.over() {
			return nil
		}
		data := encodeParcel(v.batch)
		if data == nil {
			continue
		}
		p.job.sent(int64(len(data)))
		if err := send(&Posted{First: v.batch.first, Len: v.batch.work.len(), Data: data, Expect: v.batch.expect}); err != nil {
			return err
		}
	}
	return nil
}

// encodeParcel returns nil when no input of b can be encoded.
func encodeParcel(b *batch) []byte {
	s := scratches.Get().(*scratch)
	defer s.release()
	if !encodeBatch(&s.wire, b) {
		return nil
	}
	return s.wire.AppendTo(make([]byte, 0, s.wire.Len()))
}

func byFirst(v *voyage, first int) int { return cmp.Compare(v.batch.first, first) }

// Settle takes an answer. What had been answered before is passed over, so that
// a task whose parcel came to two engines counts once. An error means that the answer is
// damaged.
func (p *Post) Settle(answer []byte) error { return p.SettleExcept(answer, nil) }

// SettleExcept is Settle, but passes over the failures of the tasks of which void, if it is
// not nil, is true: they have been sent again.
func (p *Post) SettleExcept(answer []byte, void func(index int) bool) error {
	rd := wire.NewReader(answer, true)
	h, refused, err := readAnswerHead(rd)
	if err != nil {
		return err
	}
	if refused != nil {
		p.job.stop(refused)
		return nil
	}
	v, err := p.find(h.first, h.tasks)
	if v == nil {
		return err // nil for a duplicate
	}
	b := v.batch
	lo, hi := h.first-b.first, h.first+h.tasks-b.first
	w := b.work.slice(lo, hi)
	o, err := decodeOutcome(rd, w, true)
	var garbled *garbledError
	if errors.As(err, &garbled) {
		// The types are the same at both ends, so this is a value of the
		// user's that reads otherwise than it was written.
		o = outcome{ran: h.tasks}
		for k := range h.tasks {
			o.failures = append(o.failures, failure{offset: k, kind: Unsendable, err: fmt.Errorf("%w: %w", ErrEncode, garbled)})
		}
	} else if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if o.ran != h.tasks {
		return fmt.Errorf("answer for %d tasks of which %d ran: it is damaged", h.tasks, o.ran)
	}
	o.bytesIn = int64(len(answer))
	p.job.heard(h.retries, h.lost)
	var passed map[int]bool // by their place in the voyage
	for _, f := range o.failures {
		if void != nil && void(h.first+f.offset) {
			if passed == nil {
				passed = map[int]bool{}
			}
			passed[lo+f.offset] = true
		}
	}
	for _, run := range p.claim(v, lo, hi, passed) {
		sub := b.slice(run.First, run.First+run.Len)
		sub.failed = math.MaxInt // it has been tried again where it was run
		if run.First == lo && run.Len == hi-lo {
			p.job.settle(sub, w, o, h.worker)
			break
		}
		from := run.First - lo
		part := outcome{ran: run.Len, user: o.user * time.Duration(run.Len) / time.Duration(hi-lo)}
		for _, f := range o.failures {
			if f.offset >= from && f.offset < from+run.Len {
				f.offset -= from
				part.failures = append(part.failures, f)
			}
		}
		if from < len(o.details) {
			part.details = o.details[from:min(len(o.details), from+run.Len)]
		}
		p.job.settle(sub, w.part(from, from+run.Len), part, h.worker)
	}
	return nil
}

// heard notes what an answer tells of tries elsewhere.
func (j *Job) heard(retries, lost int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tally.retries += retries
	j.tally.lost += lost
}

// find returns the voyage with these tasks, nil if they have been answered.
func (p *Post) find(first, n int) (*voyage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, found := slices.BinarySearchFunc(p.out, first, byFirst)
	if !found {
		i--
	}
	if i < 0 {
		return nil, nil
	}
	switch end := p.out[i].batch.first + p.out[i].batch.work.len(); {
	case first >= end:
		return nil, nil
	case first+n > end:
		return nil, fmt.Errorf("answer for %d tasks from %d on, of a parcel that ends at %d: it is damaged, or of another job", n, first, end)
	}
	return p.out[i], nil
}

// claim marks the tasks [lo, hi) of a voyage, without those passed over, as answered, and
// returns those that were not before.
func (p *Post) claim(v *voyage, lo, hi int, passed map[int]bool) (fresh []Range) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := v.batch.work.len()
	if v.left == 0 {
		return nil
	}
	if v.answered == nil && (hi-lo < n || len(passed) > 0) {
		v.answered = make([]bool, n)
	}
	if v.answered == nil {
		fresh = []Range{{First: lo, Len: hi - lo}}
		v.left = 0
	}
	for k := lo; k < hi && v.answered != nil; k++ {
		if v.answered[k] || passed[k] {
			continue
		}
		v.answered[k] = true
		v.left--
		if last := len(fresh) - 1; last >= 0 && fresh[last].First+fresh[last].Len == k {
			fresh[last].Len++
		} else {
			fresh = append(fresh, Range{First: k, Len: 1})
		}
	}
	if v.left == 0 {
		if i, found := slices.BinarySearchFunc(p.out, v.batch.first, byFirst); found {
			p.out = slices.Delete(p.out, i, i+1)
		}
	}
	return fresh
}
