package cluster

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

var (
	// ErrNoJob says that the cluster has no job of that name.
	ErrNoJob = errors.New("no such job")
	// ErrJobExists says that the name of a job is taken.
	ErrJobExists = errors.New("there is a job of that name")
	// ErrCancelled says that somebody has cancelled the job.
	ErrCancelled = errors.New("the job was cancelled")
	// ErrJobDone says that a job cannot be cancelled because all of its tasks have ended.
	ErrJobDone = errors.New("the job has ended already")
	// ErrSubmitting says that a job has not been stored wholly: its client is at it, or has
	// died.
	ErrSubmitting = errors.New("the job has not been submitted wholly: its client is at it, or has died")
)

// Job is a named job of a cluster, as it stands.
type Job struct {
	Name      string
	Func      string // the declared function
	Result    string // the type of its results
	Owner     string
	Created   time.Time
	Tasks     int
	Done      int // tasks with a result
	Failed    int
	Round     int  // 1, and one more for each Retry that had something to send
	Complete  bool // Submit has stored all of it
	Cancelled bool
	Requires  []string // of an engine
	Err       error    // why no engine can run it, nil otherwise
	Meta      []byte   // what the submitter left with it
}

// State is a word for it: "submitting", "running", "done", "failed" or "cancelled".
func (j Job) State() string {
	switch {
	case j.Err != nil:
		return "failed"
	case j.Cancelled && (!j.Complete || j.Done+j.Failed < j.Tasks):
		return "cancelled"
	case !j.Complete:
		return "submitting"
	case j.Done+j.Failed < j.Tasks:
		return "running"
	case j.Failed > 0:
		return "failed"
	}
	return "done"
}

// SubmitOption is an option of [Submit].
type SubmitOption func(*submission)

type submission struct {
	priority, maxRunning int
	requires             []string
	meta                 []byte
}

// Priority has engines take the job's tasks before those of jobs with a lower
// priority. The default is 0, which calls of clients have, too.
func Priority(n int) SubmitOption { return func(s *submission) { s.priority = n } }

// MaxRunning bounds how many of the job's parcels of tasks run at a time.
func MaxRunning(n int) SubmitOption { return func(s *submission) { s.maxRunning = max(0, n) } }

// Require has only engines take the job's tasks that have what is required, each a label
// such as "gpu" or an amount of a resource for each task that runs, such as "mem=8G".
func Require(requires ...string) SubmitOption {
	return func(s *submission) { s.requires = sorted(append(s.requires, requires...)) }
}

// maxMeta bounds what a submitter may leave with a job, which every engine gets to see.
const maxMeta = 256 << 10

// Meta leaves something with the job that Jobs gives back, for example how its results
// are to be written. It may have 256 KiB.
func Meta(own []byte) SubmitOption { return func(s *submission) { s.meta = own } }

// ValidJob says whether a job can have a name: 1 to 64 letters, digits, - and _.
func ValidJob(name string) error { return queue.Valid(name) }

// Submit hands a job to the cluster under a name. When it returns nil the job is stored,
// and goes on whatever becomes of this program; [Attach] gets its results, from any
// build of the program that submitted it. All tasks are run, whatever fails, and [Retry]
// runs again those that failed. The options are those of parade.Map; StopAfter, Workers,
// Journal, OnProgress and WithReport are refused, as they need a program that is there.
func Submit[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R], inputs []A, opts []parade.Option, more ...SubmitOption) error {
	if err := queue.Valid(name); err != nil {
		return fmt.Errorf("job: %w", err)
	}
	// The queue is another each time that the name is used: what engines still have of a
	// job that was removed must not come to this one.
	id := name[:min(len(name), 40)] + "-" + newID()
	s := &submitter{client: c, name: name, id: id, function: f.Name(), result: reflect.TypeFor[R]().String()}
	for _, o := range more {
		o(&s.submission)
	}
	if _, err := queue.ParseNeeds(s.requires); err != nil {
		return fmt.Errorf("job %s: %w", name, err)
	}
	if len(s.meta) > maxMeta {
		return fmt.Errorf("job %s: Meta of %d bytes; %d are allowed", name, len(s.meta), maxMeta)
	}
	opts = append([]parade.Option{parade.CollectErrors()}, opts...)
	_, err := parade.Map(ctx, s, f, inputs, opts...)
	if err == nil { // no inputs: Map does not ask the executor
		err = s.begin(ctx, nil, 0)
	}
	if errors.Is(err, errSubmitted) {
		return nil
	}
	return err
}

// errSubmitted ends the call in this program; the job goes on.
var errSubmitted = errors.New("submitted")

// submitter is an executor that stores a job and leaves.
type submitter struct {
	submission
	client   *Client
	name     string
	id       string // of its queue
	function string
	result   string // the type
}

func (s *submitter) Info() parade.Info { return s.client.LoadBalanced().Info() }
func (s *submitter) Close() error      { return nil }

const (
	// parcelsPerSlot is into how many parcels a job is cut for each slot; engines give back
	// what turns out slow.
	parcelsPerSlot = 16
	// unconfirmed bounds the parcels that are on their way to the stream.
	unconfirmed = 512
)

// begin makes the queue, with the record that shows the job.
func (s *submitter) begin(ctx context.Context, p *parade.Post, tasks int) error {
	c := s.client
	taken := fmt.Errorf("cluster %s: %w: %s; choose another, or remove it first", c.name, ErrJobExists, s.name)
	if _, err := queue.Named(ctx, c.js, s.name); err == nil {
		return taken
	}
	program, err := c.program()
	if err != nil {
		return err
	}
	if err := queue.PutProgram(ctx, c.js, program.Hash); err != nil {
		return fmt.Errorf("cluster %s: storing this program: %w", c.name, err)
	}
	r := queue.Record{
		ID: s.id, Kind: queue.Job, Owner: owner(), Created: time.Now(), Program: program, Priority: s.priority, Requires: s.requires,
		Job: &queue.JobRecord{Name: s.name, Func: s.function, Result: s.result, Tasks: tasks, Complete: tasks == 0, Meta: s.meta},
	}
	if p != nil {
		r.Job.Head = p.Head()
		if bound, ok := p.Bound(); ok && len(bound) > queue.InlineBound {
			h := queue.HashOf(bound)
			r.Job.BoundHash = h[:]
		} else if ok {
			r.Job.Bound = append([]byte{}, bound...) // not nil
		}
	}
	err = queue.Make(ctx, c.js, r, s.maxRunning)
	if errors.Is(err, queue.ErrTaken) {
		return taken
	}
	return err
}

// Run implements [parade.Executor]: it stores all parcels.
func (s *submitter) Run(ctx context.Context, job *parade.Job) error {
	c := s.client
	p, err := job.Post(func() {})
	if err != nil {
		return err
	}
	if err := p.Unattended(); err != nil {
		return err
	}
	if err := s.begin(ctx, p, p.Tasks()); err != nil {
		return err
	}
	if err := s.store(p.Context(), p); err != nil {
		gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return errors.Join(err, queue.Remove(gone, c.js, queue.Record{ID: s.id, Job: &queue.JobRecord{Name: s.name}}))
	}
	return errSubmitted
}

func (s *submitter) store(ctx context.Context, p *parade.Post) error {
	c := s.client
	to := c.posting(ctx, s.id, "1", p.Head())
	defer to.end()
	if bound, ok := p.Bound(); ok {
		if err := to.bind(bound); err != nil {
			return err
		}
	}
	slots := max(1, c.slotCount())
	p.Size(p.Tasks() / (slots * parcelsPerSlot))
	p.Bytes(inlined)
	sent := 0
	for next := p.Next(slots); next != nil; next = p.Next(slots) {
		if err := to.send(next.First, next.Data); err != nil {
			return err
		}
		sent += next.Len
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if sent < p.Tasks() { // the call's error names the others
		return fmt.Errorf("job %s: %d of %d inputs cannot be encoded, so nothing of it is stored", s.name, p.Tasks()-sent, p.Tasks())
	}
	if err := to.wait(); err != nil {
		return err
	}
	err := queue.Change(ctx, c.js, s.id, func(r *queue.Record) { r.Job.Complete = true })
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return errRemoved
	}
	return err
}

// errRemoved is for who stores parcels of a job that somebody removes meanwhile.
var errRemoved = fmt.Errorf("%w: it was removed meanwhile", ErrNoJob)

// posting puts parcels into the stream of a job, a bounded number at a time.
type posting struct {
	client    *Client
	id, round string
	message   queue.Message // without a parcel
	ctx       context.Context
	fail      context.CancelCauseFunc // because the stream does not store them
	look      *time.Ticker            // whether the job is there
	room      chan struct{}           // has one for each parcel on its way
	stored    bool                    // all of them
}

// looking is how often who waits for a stream to store parcels looks whether it is there: one
// that was removed does not answer.
const looking = 2 * time.Second

// posting begins to put parcels of a round of a job into its stream, until ctx ends.
func (c *Client) posting(ctx context.Context, id, round string, head []byte) *posting {
	p := &posting{
		client: c, id: id, round: round, message: queue.Message{Head: head},
		look: time.NewTicker(looking), room: make(chan struct{}, unconfirmed),
	}
	p.ctx, p.fail = context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.storing[p] = struct{}{}
	return p
}

// end gives up what is not stored.
func (p *posting) end() {
	p.look.Stop()
	p.fail(nil)
	p.client.mu.Lock()
	delete(p.client.storing, p)
	p.client.mu.Unlock()
	if !p.stored {
		p.client.courier.Forget(queue.Work(p.id, p.round))
	}
}

// bind gives the bound argument to all parcels.
func (p *posting) bind(bound []byte) error {
	if len(bound) <= queue.InlineBound {
		p.message.Bound = append([]byte{}, bound...) // not nil
		return nil
	}
	h := queue.HashOf(bound)
	if err := queue.PutValue(p.ctx, p.client.js, p.id, p.round, h, bound); err != nil {
		return fmt.Errorf("cluster %s: storing the bound argument: %w", p.client.name, err)
	}
	p.message.BoundHash = &h
	return nil
}

// send puts a parcel, which begins with the given task, into the stream.
func (p *posting) send(first int, parcel []byte) error {
	m := p.message
	m.Parcel = parcel
	if len(parcel) > queue.Inline {
		h := queue.HashOf(parcel)
		if err := queue.PutValue(p.ctx, p.client.js, p.id, p.round, h, parcel); err != nil {
			return fmt.Errorf("cluster %s: storing the inputs from %d on: %w", p.client.name, first, err)
		}
		m.Parcel, m.ParcelHash = nil, &h
	}
	if err := p.occupy(); err != nil {
		return err
	}
	p.client.courier.Send(queue.Work(p.id, p.round), m.AppendTo(nil), func() { <-p.room })
	return nil
}

// occupy waits for room for a parcel and takes it.
func (p *posting) occupy() error {
	for {
		select {
		case p.room <- struct{}{}:
			return nil
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		case <-p.look.C:
			if _, err := queue.Get(p.ctx, p.client.js, p.id); errors.Is(err, jetstream.ErrKeyNotFound) {
				return errRemoved
			}
		}
	}
}

// wait returns when all is stored: then all the room can be taken.
func (p *posting) wait() error {
	for range cap(p.room) {
		if err := p.occupy(); err != nil {
			return err
		}
	}
	p.stored = true
	return nil
}

// job returns the record of a job.
func (c *Client) job(ctx context.Context, name string) (queue.Record, error) {
	r, err := queue.Named(ctx, c.js, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) || err == nil && r.Job == nil {
		return r, fmt.Errorf("cluster %s: %w: %s", c.name, ErrNoJob, name)
	}
	return r, err
}

// Jobs returns the named jobs, oldest first, as they stand. It counts by summaries of the
// answers, without getting results.
func Jobs(ctx context.Context, conn Connection) ([]Job, error) {
	var jobs []Job
	err := within(conn, func(js jetstream.JetStream) error {
		var records []queue.Record
		if err := queue.Each(ctx, js, queue.Records, func(r queue.Record) {
			if r.Job != nil {
				records = append(records, r)
			}
		}); err != nil {
			return err
		}
		for _, r := range records {
			j, _, err := stands(ctx, js, r)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				continue // removed meanwhile
			}
			if err != nil {
				return err
			}
			jobs = append(jobs, j)
		}
		return nil
	})
	slices.SortFunc(jobs, func(a, b Job) int { return a.Created.Compare(b.Created) })
	return jobs, err
}

// FindJob returns a job, by its name, as it stands.
func FindJob(ctx context.Context, conn Connection, name string) (j Job, err error) {
	err = withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error {
		j, _, err = stands(ctx, js, r)
		return err
	})
	return j, err
}

// jobOf is what a record tells of a job.
func jobOf(r queue.Record) Job {
	return Job{
		Name: r.Name(), Func: r.Job.Func, Result: r.Job.Result, Owner: r.Owner, Created: r.Created, Tasks: r.Job.Tasks,
		Round: int(r.Job.Round()), Complete: r.Job.Complete, Cancelled: r.Job.Cancelled, Requires: r.Requires, Meta: r.Job.Meta,
	}
}

// stands counts what a job has come to.
func stands(ctx context.Context, js jetstream.JetStream, r queue.Record) (Job, *standing, error) {
	j, s := jobOf(r), newStanding(r.Job)
	from := answers{js: js, record: r, summaries: true}
	err := s.recall(ctx, &from)
	counted := from.last
	if err == nil {
		err = from.read(ctx, false, func(a *answer) (bool, error) {
			if a.refused != nil {
				j.Err = a.refused
				return true, nil
			}
			return true, s.see(a)
		})
	}
	if err == nil && j.Err == nil && from.last-counted >= manyAnswers {
		s.remember(ctx, &from)
	}
	s.end()
	j.Done, j.Failed = s.done, s.failed
	return j, s, err
}

// WatchJob yields a job as it comes to its end, whenever there is news. The last one is
// done, failed, cancelled or has an error; an error of its own, such as [ErrNoJob], ends
// it too.
func WatchJob(ctx context.Context, conn Connection, name string) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		left := false
		var j Job
		err := withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error {
			if !r.Job.Complete {
				return fmt.Errorf("job %s: %w", name, ErrSubmitting)
			}
			s := newStanding(r.Job)
			j = jobOf(r)
			if j.Tasks == 0 {
				return nil
			}
			from := answers{js: js, record: r, summaries: true}
			if err := s.recall(ctx, &from); err != nil {
				return err
			}
			if j.Done, j.Failed = s.done, s.failed; s.begun == len(s.rounds) && s.settled() {
				return nil
			}
			return from.follow(ctx, func(a *answer) (bool, error) {
				if a.refused != nil {
					j.Err = a.refused
				} else if err := s.see(a); err != nil {
					return false, err
				}
				j.Done, j.Failed = s.done, s.failed
				over := j.Err != nil || s.begun == len(s.rounds) && s.settled()
				if !over {
					left = !yield(j, nil)
				}
				return !over && !left, nil
			})
		})
		if errors.Is(err, ErrCancelled) {
			j.Cancelled, err = true, nil
		}
		if !left {
			yield(j, err)
		}
	}
}

// CancelJob stops a job. The results that there are stay until it is removed, and so do
// its other tasks, which [Retry] takes up again. One that is done is [ErrJobDone].
func CancelJob(ctx context.Context, conn Connection, name string) error {
	return withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error {
		_, s, err := stands(ctx, js, r)
		if err != nil {
			return err
		}
		if r.Job.Complete && s.settled() {
			return fmt.Errorf("%w: %s", ErrJobDone, name)
		}
		return queue.Change(ctx, js, r.ID, func(r *queue.Record) { r.Job.Cancelled = true })
	})
}

// RemoveJob stops a job and removes all there is of it.
func RemoveJob(ctx context.Context, conn Connection, name string) error {
	return withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error {
		err := queue.Remove(ctx, js, r)
		if queue.IsFull(err) { // removing a record takes room, which there is now
			err = queue.Remove(ctx, js, r)
		}
		if queue.IsFull(err) {
			err = fmt.Errorf("job %s: all it had is removed, but its record is not, since the controller's disk is full, or what it may take of it: %w", name, err)
		}
		return err
	})
}

func withJob(ctx context.Context, conn Connection, name string, act func(jetstream.JetStream, queue.Record) error) error {
	return within(conn, func(js jetstream.JetStream) error {
		c := &Client{name: conn.Cluster, js: js}
		r, err := c.job(ctx, name)
		if err != nil {
			return err
		}
		return act(js, r)
	})
}

// within calls act while there is a connection.
func within(conn Connection, act func(jetstream.JetStream) error) error {
	nc, err := conn.Dial("parade client")
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := queue.JetStream(nc)
	if err != nil {
		return err
	}
	return act(js)
}
