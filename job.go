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

// Job is one call of [Map], [Stream] or [Go] as an [Executor] sees it: tasks
// to hand out in batches, and outcomes to take back. It decides what runs
// next, how many tasks make a batch, what is tried again and when to stop; the
// executor only decides where. A Job is safe for concurrent use.
type Job struct {
	run      run
	set      settings
	data     data
	declared *declared // nil for a closure
	unsent   error     // why the function cannot leave this process
	bound    func(*wire.Buffer) error
	keeps    bool          // results stay with the executor
	remote   bool          // sizes in bytes matter
	maxBytes int64         // of a batch of more than one task, if remote; 0: maxBatchBytes
	target   time.Duration // how long a batch should take, if longer than usual
	step     func()        // on serial, moves a stream's inputs and results between tasks
	ledger   *ledger       // where results are kept; nil without a journal
	recall   func() error  // before the first task, takes the results that the ledger has
	relay    *relayData    // of a job of another program
	started  time.Time
	finished chan struct{}
	cancel   context.CancelCauseFunc

	telling     sync.Mutex // held while the caller is told of tasks; taken before the next
	mu          sync.Mutex
	wake        sync.Cond // work may have arrived, or the job ended
	onWork      func()    // the same, for a dispatcher
	onInterrupt func()    // fails the tasks that run
	onEnd       func()    // called with the job locked
	finally     func()    // called once after the end, unlocked
	next        int       // first input not handed out; none of passed
	passed      []Range   // inputs from next on that need not run, ascending
	known       int       // inputs known so far
	complete    bool      // there will be no more
	redo        []*batch  // to run again, by first index
	crashes     map[int]int
	careful     bool // a worker should hold one batch only, to know which one kills it
	running     int
	ended       bool
	err         error      // why it was stopped, if not by failed tasks
	ends        []TaskInfo // that the caller has not been told of
	tempo       tempo
	tally       tally
}

// data is the typed end of a job: where inputs come from and results go. Its
// methods are called with the job locked.
type data interface {
	cut(next, n int, maxBytes int64) (first int, w work, bytes int64) // at least one input, at most n; first is its number
	deliver(first int, w work, lo, hi int)                            // w's tasks [lo, hi) have results; its task 0 is number first
	fail(w work, e *TaskError)
	full() bool // results must be taken before more work is handed out
}

// batch is consecutive tasks that travel together.
type batch struct {
	job     *Job
	first   int
	work    work
	attempt int           // of each of its tasks, from 1
	failed  int           // earlier attempts that ended in a failure of the task itself
	expect  time.Duration // how long it should take, 0 when unknown
	bytes   int64         // of its inputs, encoded, about; 0 when unknown
	alone   bool          // no other batch of its job should be at its worker
	at      time.Time     // when it was handed out, if somebody wants to know
}

// tempo is what the job has learnt about the time of a task.
type tempo struct {
	perTask time.Duration // moving average, 0 while nothing is known
	largest int           // tasks in the largest batch settled
}

func (t *tempo) learn(n int, d time.Duration) {
	per := max(d/time.Duration(n), 1)
	if t.perTask == 0 {
		t.perTask = per
	} else {
		t.perTask = (t.perTask + per + 1) / 2
	}
	t.largest = max(t.largest, n)
}

// binds says whether something goes to each worker once: a bound argument, or values.
func (j *Job) binds() bool { return j.bound != nil || len(j.set.values) > 0 }

// appendBound appends the bound argument, if there is one, and behind it the values.
func (j *Job) appendBound(b *wire.Buffer) error {
	if j.bound != nil {
		if err := j.bound(b); err != nil {
			return fmt.Errorf("%w: the argument bound to %q: %w", ErrEncode, j.run.name, err)
		}
	}
	return appendNamed(b, j.set.values)
}

// watch stops the job when its caller's context ends.
func (j *Job) watch(ctx context.Context) (release func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { j.stop(context.Cause(ctx)) })
}

// stop ends the job early for a reason other than failed tasks.
func (j *Job) stop(err error) {
	j.mu.Lock()
	defer j.unlock()
	if !j.ended {
		j.err = err
		j.end()
	}
}

// end is called with the job locked.
func (j *Job) end() {
	j.ended = true
	j.tally.wall = time.Since(j.started)
	j.cancel(j.err)
	close(j.finished)
	if j.onEnd != nil {
		j.onEnd()
	}
	j.wake.Broadcast() // a dispatcher has nothing to send for this
}

// unlock unlocks a job that may have ended meanwhile.
func (j *Job) unlock() {
	finally := j.takeFinally()
	j.mu.Unlock()
	if finally != nil {
		finally()
	}
}

// unlockAside is unlock for those who hold what the end of a job waits for.
func (j *Job) unlockAside() {
	finally := j.takeFinally()
	j.mu.Unlock()
	if finally != nil {
		go finally()
	}
}

// takeFinally is called with the job locked.
func (j *Job) takeFinally() (finally func()) {
	if j.ended {
		finally, j.finally = j.finally, nil
	}
	return finally
}

// endIfDone is called with the job locked.
func (j *Job) endIfDone() {
	if !j.ended && j.complete && j.next == j.known && j.running == 0 && len(j.redo) == 0 {
		j.end()
	}
}

// notify says that there may be work. It is called with the job locked.
func (j *Job) notify() {
	j.wake.Broadcast()
	if j.onWork != nil {
		j.onWork()
	}
}

// hasWork is called with the job locked.
func (j *Job) hasWork() bool {
	return len(j.redo) > 0 || j.next < j.known && !j.data.full()
}

// wait returns when there may be work, with false when the job has ended.
func (j *Job) wait() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.ended && !j.hasWork() {
		j.wake.Wait()
	}
	return !j.ended
}

// pass notes that input i, beyond all that were passed before, has its result from
// the journal. It is called with the job locked.
func (j *Job) pass(i int) {
	j.tally.done++
	j.tally.journaled++
	if n := len(j.passed); n > 0 && j.passed[n-1].First+j.passed[n-1].Len == i {
		j.passed[n-1].Len++
	} else {
		j.passed = append(j.passed, Range{First: i, Len: 1})
	}
	j.skip()
}

// skip moves next over inputs that need not run. It is called with the job locked.
func (j *Job) skip() {
	for len(j.passed) > 0 && j.passed[0].First == j.next {
		j.next += j.passed[0].Len
		j.passed = j.passed[1:]
	}
}

// size is the number of inputs known so far, and whether that is all.
func (j *Job) size() (tasks int, final bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.known, j.complete
}

// ready says that the job has something to hand out.
func (j *Job) ready() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.ended && j.hasWork()
}

func (j *Job) beCareful() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.careful = true
}

// sent counts bytes sent to workers beside the batches.
func (j *Job) sent(n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tally.bytesOut += n
}

// over says that the job has ended.
func (j *Job) over() bool {
	select {
	case <-j.finished:
		return true
	default:
		return false
	}
}

// maxBatchBytes bounds the encoded inputs of a batch of more than one task.
const maxBatchBytes = 1 << 20

// maxBatchTasks bounds the tasks of a batch.
const maxBatchTasks = 1 << 20

// take hands out the next batch, of at most limit tasks, for one of so many
// workers, or nil when there is nothing to do now.
func (j *Job) take(workers, limit int) *batch {
	b := j.takeNext(workers, limit)
	if b != nil && j.ledger != nil {
		b.work.sumInputs()
	}
	return b
}

func (j *Job) takeNext(workers, limit int) *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended || !j.hasWork() {
		return nil
	}
	n := min(j.batchSize(workers), limit)
	if len(j.redo) > 0 {
		b := j.redo[0]
		if b.work.len() > n {
			rest := b.slice(n, b.work.len())
			b.work = b.work.slice(0, n)
			j.redo[0] = rest
		} else {
			j.redo = slices.Delete(j.redo, 0, 1)
		}
		return j.hand(b)
	}
	maxBytes := int64(math.MaxInt64)
	if j.remote {
		maxBytes = cmp.Or(j.maxBytes, maxBatchBytes)
	}
	end := j.known // a batch is consecutive
	if len(j.passed) > 0 {
		end = j.passed[0].First
	}
	first, w, bytes := j.data.cut(j.next, min(n, end-j.next), maxBytes)
	b := &batch{job: j, first: first, work: w, attempt: 1, bytes: bytes}
	j.next += w.len()
	j.skip()
	return j.hand(b)
}

func (j *Job) hand(b *batch) *batch {
	b.alone = j.careful
	if j.set.onTask != nil {
		b.at = time.Now()
	}
	j.running += b.work.len()
	b.expect = j.tempo.perTask * time.Duration(b.work.len())
	return b
}

// batchSize is called with the job locked.
func (j *Job) batchSize(workers int) int {
	if j.set.batch > 0 {
		return j.set.batch
	}
	if j.tempo.perTask == 0 {
		return 1
	}
	// Towards the target, but no faster than the measurements can follow, and
	// with enough left at the end for all workers to finish together.
	n := min(int(max(j.target, batchTarget)/j.tempo.perTask), 8*j.tempo.largest, maxBatchTasks)
	if j.set.workers > 0 {
		workers = min(workers, j.set.workers)
	}
	left := j.known - j.next
	for _, b := range j.redo {
		left += b.work.len()
	}
	if !j.complete {
		left = max(left, j.set.items/2)
	}
	return max(1, min(n, left/(2*max(1, workers))))
}

func (b *batch) slice(lo, hi int) *batch {
	return &batch{job: b.job, first: b.first + lo, work: b.work.slice(lo, hi), attempt: b.attempt, failed: b.failed, bytes: b.bytes, at: b.at}
}

// again queues b to be handed out once more. It is called with the job locked.
func (j *Job) again(b *batch) {
	if b.work.len() == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(j.redo, b.first, func(r *batch, first int) int { return cmp.Compare(r.first, first) })
	j.redo = slices.Insert(j.redo, i, b)
}

// settle takes back a batch with what became of it. w is the batch's work, or
// a copy of it where a task that would not end still has the original.
func (j *Job) settle(b *batch, w work, o outcome, worker string) {
	var unkept error
	if j.ledger != nil {
		unkept = j.ledger.record(b.first, w, &o)
	}
	defer j.tell()
	j.mu.Lock()
	defer j.unlock()
	j.running -= w.len()
	j.tally.add(b, o, worker)
	if j.relay != nil {
		j.relay.account(w, &o, worker)
	}
	if j.ended {
		return
	}
	if o.ran > 0 {
		j.tempo.learn(o.ran, o.user)
	}
	lo := 0
	for _, f := range o.failures {
		j.deliver(b, w, lo, f.offset, &o, worker)
		lo = f.offset + 1
		f.detail = o.detail(f.offset)
		if f.kind != Unsendable && f.kind != Interrupted && b.failed < j.set.retries {
			retry := b.slice(f.offset, f.offset+1)
			retry.attempt++
			retry.failed++
			j.tally.retries++
			j.again(retry)
			continue
		}
		if j.fail(b, f, worker); j.ended {
			return
		}
	}
	j.deliver(b, w, lo, o.ran, &o, worker)
	if unkept != nil {
		j.err = unkept
		j.end()
		return
	}
	if o.ran < w.len() {
		if j.relay == nil || !j.relay.giveBack(w, o.ran) {
			j.again(b.slice(o.ran, w.len()))
		}
	}
	j.endIfDone()
	if len(j.redo) > 0 {
		j.notify()
	}
}

// deliver is called with the job locked.
func (j *Job) deliver(b *batch, w work, lo, hi int, o *outcome, worker string) {
	if lo >= hi {
		return
	}
	j.tally.done += hi - lo
	j.data.deliver(b.first, w, lo, hi)
	for k := lo; k < hi && j.set.onTask != nil; k++ {
		j.inform(b, k, o.detail(k), worker, nil)
	}
}

// fail records a task's final failure, and stops the job if that was one too
// many. It is called with the job locked.
func (j *Job) fail(b *batch, f failure, worker string) {
	j.tally.failed++
	e := &TaskError{
		Func: j.run.name, Index: b.first + f.offset, Attempt: b.attempt,
		Worker: worker, Kind: f.kind, Err: f.err, Stack: f.stack,
	}
	if f.attempt > 0 { // it was tried elsewhere
		e.Attempt, e.Worker = f.attempt, f.worker
	}
	j.data.fail(b.work, e)
	if j.set.onTask != nil {
		j.inform(b, f.offset, f.detail, worker, e)
	}
	if j.set.maxFailed > 0 && j.tally.failed >= j.set.maxFailed {
		j.end()
	}
}

// refuse takes back a batch whose input number n cannot be encoded; the
// inputs before it stay in the batch, which may be left empty.
func (j *Job) refuse(b *batch, n int, err error) {
	j.mu.Lock()
	defer j.unlockAside()
	all := b.work.len()
	j.running -= all - n
	rest := b.slice(n+1, all)
	b.work = b.work.slice(0, n)
	if j.ended {
		return
	}
	j.again(rest)
	j.fail(b, failure{offset: n, kind: Unsendable, err: err}, "")
	j.endIfDone()
	j.notify()
}

// garbled takes back a batch of which an input or a result could not be
// decoded. It is cut in two and run again, until the culprit is alone.
func (j *Job) garbled(b *batch, err error, worker string) {
	j.mu.Lock()
	defer j.unlock()
	n := b.work.len()
	j.running -= n
	if j.ended {
		return
	}
	if n == 1 {
		j.fail(b, failure{kind: Unsendable, err: fmt.Errorf("%w: %w", ErrEncode, err)}, worker)
	} else {
		j.again(b.slice(0, n/2))
		j.again(b.slice(n/2, n))
	}
	j.endIfDone()
	j.notify()
}

// lost takes back a batch whose worker is gone. crashed is the task that was
// running then, -1 if it was none of this batch.
func (j *Job) lost(b *batch, crashed int, cause error, worker string) {
	j.mu.Lock()
	defer j.unlock()
	n := b.work.len()
	j.running -= n
	if j.ended {
		return
	}
	k := crashed - b.first
	if crashed < 0 || k < 0 || k >= n {
		j.again(b)
		j.notify()
		return
	}
	if j.crashes == nil {
		j.crashes = map[int]int{}
	}
	j.crashes[crashed]++
	j.again(b.slice(0, k))
	j.again(b.slice(k+1, n))
	if errors.Is(cause, errDeaf) {
		j.fail(b, failure{offset: k, kind: Interrupted, err: errDeaf}, worker)
	} else if j.crashes[crashed] < j.set.crashes {
		suspect := b.slice(k, k+1)
		suspect.attempt++
		j.tally.retries++
		j.again(suspect)
	} else {
		err := fmt.Errorf("input set aside after it cost %d workers: %w", j.crashes[crashed], cause)
		j.fail(b, failure{offset: k, kind: Lost, err: err}, worker)
	}
	j.endIfDone()
	j.notify()
}

// Work runs the job's tasks on the calling goroutine until the job ends. It
// is all that an executor within this process needs; any number of goroutines
// may call it for one job. worker is the name that errors give.
func (j *Job) Work(worker string) {
	j.work(newLane(worker, new(Status), nil), 1)
}

func (j *Job) work(l *lane, workers int) {
	for {
		if j.step != nil {
			j.step()
		}
		b := j.take(workers, math.MaxInt)
		if b == nil {
			if !j.wait() {
				return
			}
			continue
		}
		if !j.execute(l, b) {
			return
		}
	}
}

func (j *Job) execute(l *lane, b *batch) (alive bool) {
	return l.execute(&j.run, b.work, b.first, b.attempt, func(w work, o outcome) {
		j.settle(b, w, o, l.worker)
	})
}
