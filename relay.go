package parade

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parade-go/parade/internal/wire"
)

// Parcel is consecutive tasks of a job, encoded: what a [Post] makes, a queue
// carries, and a [Relay] has run. Whoever holds one can cut it without knowing
// the types of its inputs.
type Parcel struct {
	First  int // number of the first input
	inputs [][]byte
}

// Len is the number of tasks.
func (p Parcel) Len() int { return len(p.inputs) }

// Slice returns the tasks [lo, hi) of p, counted from its own first.
func (p Parcel) Slice(lo, hi int) Parcel {
	return Parcel{First: p.First + lo, inputs: p.inputs[lo:hi:hi]}
}

// ParseParcel reads what [Posted] holds, or AppendTo wrote. The parcel refers to
// data.
func ParseParcel(data []byte) (Parcel, error) {
	rd := wire.NewReader(data, true)
	first, attempt, n := rd.Uvarint(), rd.Uvarint(), rd.Uvarint()
	if err := rd.Err(); err != nil {
		return Parcel{}, fmt.Errorf("parcel: %w", err)
	}
	// Each task takes a byte at least.
	if n == 0 || n > maxBatchTasks || n > uint64(rd.Len()) || attempt != 1 || first > 1<<53 {
		return Parcel{}, fmt.Errorf("parcel of %d tasks from %d on in %d bytes: it is damaged", n, first, len(data))
	}
	p := Parcel{First: int(first), inputs: make([][]byte, n)}
	readMessages(rd, p.inputs)
	if err := rd.Err(); err != nil {
		return Parcel{}, fmt.Errorf("parcel: %w", err)
	}
	return p, nil
}

// AppendTo appends the encoded parcel to dst.
func (p Parcel) AppendTo(dst []byte) []byte {
	var b wire.Buffer
	b.Uvarint(uint64(p.First))
	b.Uvarint(1)
	b.Uvarint(uint64(len(p.inputs)))
	appendMessages(&b, p.inputs)
	return b.AppendTo(dst)
}

// Lost is the answer for tasks that take down whoever runs them, worker after worker.
func (p Parcel) Lost(worker string, cause error) []byte {
	c := &chunk{Parcel: p, worker: worker, results: make([][]byte, p.Len())}
	for k := range p.Len() {
		c.failures = append(c.failures, failure{
			offset: k, kind: Lost, attempt: 1, worker: worker, err: fmt.Errorf("%w: %w", ErrWorkerLost, cause),
		})
	}
	return Answer{chunk: c}.AppendTo(nil)
}

// The forms of an answer.
const (
	answerOutcome uint8 = iota
	answerRefusal       // the job cannot be run: an error follows
)

// Refusal is the answer that stops a job with err: it cannot be run here, nor
// elsewhere.
func Refusal(err error) []byte {
	var b wire.Buffer
	b.Uint8(answerRefusal)
	wire.AppendError(&b, err)
	return b.AppendTo(nil)
}

// Relay is a job of another program on its way through this one, to an executor
// whose workers run that program: parcels come in, answers go out, and neither
// is understood here. Retries, timeouts, lost workers and inputs that kill them
// are dealt with as in any job.
type Relay struct {
	// Engine is what the TaskInfo of its tasks has; set it before Start.
	Engine string

	job  *Job
	data *relayData
}

// NewRelay makes the job that head and bound, of a [Post], describe. Its tasks find the values,
// too, but for names that the job has itself.
func NewRelay(head, bound []byte, values ...ValueData) (*Relay, error) {
	rd := wire.NewReader(head, false)
	r := decodeRun(rd)
	set := settings{retries: int(rd.Uvarint()), crashes: int(rd.Uvarint())}
	hasBound := rd.Uint8()
	if err := rd.Err(); err != nil || rd.Len() > 0 || !r.apart || set.retries < 0 || set.crashes < 1 || hasBound > 1 {
		return nil, fmt.Errorf("relay: a job's head of %d bytes that is no such thing: %w", len(head), errors.Join(err, errDamaged))
	}
	j := &Job{run: r, set: set, started: time.Now(), finished: make(chan struct{}), target: postTarget}
	j.run.ctx, j.cancel = context.WithCancelCause(context.Background())
	j.wake.L = &j.mu
	j.relay = &relayData{job: j, chunks: map[*chunk]struct{}{}}
	j.data, j.remote = j.relay, true
	if hasBound == 1 || len(values) > 0 {
		j.bound = func(b *wire.Buffer) error {
			b.Raw(bound)
			for _, v := range values {
				appendValueData(b, v)
			}
			return nil
		}
	}
	return &Relay{job: j, data: j.relay}, nil
}

var errDamaged = errors.New("it is damaged, or from another version")

// Start has ex run the parcels. It ends after Finish or Stop.
func (r *Relay) Start(ex Starter) error {
	r.job.mu.Lock()
	r.data.engine = r.Engine
	if r.job.finally == nil {
		r.job.finally = func() {}
	}
	r.job.mu.Unlock()
	return ex.Start(r.job)
}

// Pushed is a parcel that a relay has.
type Pushed struct {
	relay *Relay
	chunk *chunk
}

// Withdraw takes a parcel back that no worker has been given yet. It returns false,
// and done will be called, if one has.
func (p *Pushed) Withdraw() bool {
	j, d := p.relay.job, p.relay.data
	j.mu.Lock()
	defer j.unlock()
	i := slices.Index(d.waiting, p.chunk)
	if i < 0 || j.ended {
		return false
	}
	d.waiting = slices.Delete(d.waiting, i, i+1)
	delete(d.chunks, p.chunk)
	j.known -= p.chunk.Len()
	j.endIfDone()
	return true
}

// Push adds the tasks of p, or returns nil when the relay has ended. done is called with the answer for those of them
// that were run, unless the relay ends before, and rest, before that, with
// what should run elsewhere because it turned out slow. Both are called while the
// relay is locked: they must not block, nor call it.
func (r *Relay) Push(p Parcel, rest func([]Parcel), done func(Answer)) *Pushed {
	j := r.job
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended || p.Len() == 0 {
		return nil
	}
	c := &chunk{Parcel: p, results: make([][]byte, p.Len()), settled: make([]bool, p.Len()), left: p.Len(), rest: rest, done: done}
	r.data.chunks[c] = struct{}{}
	r.data.waiting = append(r.data.waiting, c)
	j.known += p.Len()
	j.notify()
	return &Pushed{r, c}
}

// Finish ends the relay once all that was pushed is done.
func (r *Relay) Finish() {
	r.job.mu.Lock()
	defer r.job.unlock()
	r.job.complete = true
	r.job.endIfDone()
}

// Stop ends the relay, and its tasks, at once.
func (r *Relay) Stop(err error) { r.job.stop(err) }

// Done is closed when the relay has ended.
func (r *Relay) Done() <-chan struct{} { return r.job.finished }

// Err is why the relay was stopped, nil if it was not.
func (r *Relay) Err() error {
	r.job.mu.Lock()
	defer r.job.mu.Unlock()
	return r.job.err
}

// relayData is the end of a relay's job where parcels come in and answers go
// out. Its fields are guarded by the job's lock.
type relayData struct {
	job           *Job
	chunks        map[*chunk]struct{}
	waiting       []*chunk
	retries, lost int // of the job's tally, told in answers so far
	engine        string
}

// chunk is a parcel that has been pushed.
type chunk struct {
	Parcel
	results  [][]byte
	failures []failure
	settled  []bool
	left     int // tasks neither settled nor given back
	user     time.Duration
	codec    time.Duration
	worker   string
	details  []detail // of each task, if the caller wants them
	rest     func([]Parcel)
	done     func(Answer)
}

func (d *relayData) cut(_, _ int, _ int64) (int, work, int64) {
	c := d.waiting[0]
	d.waiting[0] = nil
	d.waiting = d.waiting[1:]
	w := &relayed{chunk: c, hi: c.Len()}
	w.out = make([][]byte, w.hi)
	var bytes int64
	for _, in := range c.inputs {
		bytes += int64(len(in))
	}
	return c.First, w, bytes
}

func (d *relayData) deliver(_ int, w work, lo, hi int) {
	r := w.(*relayed)
	for k := lo; k < hi; k++ {
		r.chunk.results[r.lo+k] = r.out[k]
		d.settle(r.chunk, r.lo+k)
	}
}

func (d *relayData) fail(w work, e *TaskError) {
	c := w.(*relayed).chunk
	k := e.Index - c.First
	c.failures = append(c.failures, failure{
		offset: k, kind: e.Kind, err: e.Err, stack: e.Stack, attempt: e.Attempt, worker: e.Worker,
	})
	d.settle(c, k)
}

func (d *relayData) full() bool { return false }

func (d *relayData) settle(c *chunk, k int) {
	if c.settled[k] {
		return
	}
	c.settled[k] = true
	if c.left--; c.left == 0 {
		d.finish(c)
	}
}

func (d *relayData) finish(c *chunk) {
	delete(d.chunks, c)
	t := &d.job.tally
	a := Answer{chunk: c, retries: t.retries - d.retries, lost: t.lost - d.lost, engine: d.engine}
	d.retries, d.lost = t.retries, t.lost
	c.done(a)
}

// account notes what a batch took.
func (d *relayData) account(w work, o *outcome, worker string) {
	c := w.(*relayed).chunk
	c.user += o.user
	c.codec += o.codec
	c.worker = worker
	if len(o.details) == 0 {
		return
	}
	if c.details == nil {
		c.details = make([]detail, c.Len())
	}
	copy(c.details[w.(*relayed).lo:], o.details)
}

// giveBack hands the tasks of w from number lo on to where they came from,
// if they are the end of their chunk.
func (d *relayData) giveBack(w work, lo int) bool {
	r := w.(*relayed)
	c, from := r.chunk, r.lo+lo
	if from == 0 || r.hi != c.Len() || c.rest == nil {
		return false
	}
	rest := c.Slice(from, c.Len())
	c.Parcel = c.Slice(0, from)
	c.left -= rest.Len()
	d.job.known -= rest.Len()
	d.job.next -= rest.Len()
	each := rest.Len()
	if pace := d.job.tempo.perTask; pace > 0 {
		each = max(1, int(postTarget/pace))
	}
	var parts []Parcel
	for lo := 0; lo < rest.Len(); lo += each {
		parts = append(parts, rest.Slice(lo, min(lo+each, rest.Len())))
	}
	c.rest(parts)
	if c.left == 0 { // what ran has been delivered before
		d.finish(c)
	}
	return true
}

// Answer is what became of a parcel's tasks.
type Answer struct {
	chunk         *chunk
	retries, lost int
	engine        string
}

// AppendTo appends the encoded answer, for [Post.Settle], to dst.
func (a Answer) AppendTo(dst []byte) []byte {
	c := a.chunk
	var b wire.Buffer
	b.Uint8(answerOutcome)
	b.Uvarint(uint64(c.First))
	b.Uvarint(uint64(c.Len()))
	b.Uvarint(uint64(a.retries))
	b.Uvarint(uint64(a.lost))
	b.String(c.worker)
	o := outcome{ran: c.Len(), user: c.user, codec: c.codec}
	for _, f := range c.failures {
		o.addFailure(f)
	}
	if c.details != nil {
		o.details = c.details[:c.Len()]
		for i := range o.details {
			o.details[i].engine = a.engine
		}
	}
	appendOutcome(&b, &relayed{chunk: c, hi: c.Len(), out: c.results}, &o, true)
	return b.AppendTo(dst)
}

// Len is the number of tasks that the answer is about.
func (a Answer) Len() int { return a.chunk.Len() }

// Parcel is the tasks with their inputs.
func (a Answer) Parcel() Parcel { return a.chunk.Parcel }

// Failed is how many of the tasks failed for good.
func (a Answer) Failed() int { return len(a.chunk.failures) }

// FailedParcels are the inputs of the tasks that failed, in parcels, ascending.
func (a Answer) FailedParcels() (failed []Parcel) {
	c := a.chunk
	bad := make([]bool, c.Len())
	for _, f := range c.failures {
		bad[f.offset] = true
	}
	for lo := 0; lo < len(bad); lo++ {
		hi := lo
		for hi < len(bad) && bad[hi] {
			hi++
		}
		if hi > lo {
			failed = append(failed, c.Slice(lo, hi))
			lo = hi
		}
	}
	return failed
}

// User is the time spent in the user's function.
func (a Answer) User() time.Duration { return a.chunk.user }

// relayed is the work of a relay: tasks [lo, hi) of a chunk.
type relayed struct {
	chunk  *chunk
	lo, hi int
	out    [][]byte
}

func (r *relayed) len() int          { return r.hi - r.lo }
func (r *relayed) usesContext() bool { return true }

func (r *relayed) slice(lo, hi int) work {
	return &relayed{chunk: r.chunk, lo: r.lo + lo, hi: r.lo + hi, out: make([][]byte, hi-lo)}
}

func (r *relayed) part(lo, hi int) work {
	return &relayed{chunk: r.chunk, lo: r.lo + lo, hi: r.lo + hi, out: r.out[lo:hi]}
}

func (r *relayed) encodeInputs(b *wire.Buffer, _ bool) (int, error) {
	appendMessages(b, r.chunk.inputs[r.lo:r.hi])
	return r.len(), nil
}

func (r *relayed) encodeResults(b *wire.Buffer, lo, hi int, _ bool) (int, error) {
	appendMessages(b, r.out[lo:hi])
	return hi - lo, nil
}

func (r *relayed) decodeResults(rd *wire.Reader, lo, hi int, _ bool) error {
	readMessages(rd, r.out[lo:hi])
	for k := lo; k < hi && !rd.Alias(); k++ {
		r.out[k] = bytes.Clone(r.out[k])
	}
	return rd.Err()
}

func (r *relayed) resultBytes(lo, hi int) (bytes int64) {
	for _, out := range r.out[lo:hi] {
		bytes += int64(len(out))
	}
	return bytes
}

// What follows is for those who run tasks or keep a journal of them.

func (r *relayed) run(context.Context, int) error { return errRelayed }
func (r *relayed) sumInputs()                     {}
func (r *relayed) inputSum(int) inputSum          { return inputSum{} }
func (r *relayed) detach(int) work                { return r }

var errRelayed = errors.New("a task of another program was given to an executor that runs tasks of this one")
