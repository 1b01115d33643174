package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
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
)

// Job is a named job of a cluster, as it stands.
type Job struct {
	Name      string
	Func      string // the declared function
	Owner     string
	Created   time.Time
	Tasks     int
	Done      int // tasks with a result
	Failed    int
	Complete  bool // Submit has stored all of it
	Cancelled bool
	Err       error // why no engine can run it, nil otherwise
}

// State is a word for it: "submitting", "running", "done", "failed" or "cancelled".
func (j Job) State() string {
	switch {
	case j.Cancelled:
		return "cancelled"
	case j.Err != nil:
		return "failed"
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

// Submit hands a job to the cluster under a name. When it returns nil the job is stored,
// and goes on whatever becomes of this program; [Attach] gets its results, from any
// build of the program that submitted it. All tasks are run, whatever fails. The options
// are those of parade.Map; of them Retries, Crashes, Timeout, Seed and BatchSize count.
func Submit[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R], inputs []A, opts []parade.Option, more ...SubmitOption) error {
	if err := queue.Valid(name); err != nil {
		return fmt.Errorf("job: %w", err)
	}
	// The queue is another each time that the name is used: what engines still have of a
	// job that was removed must not come to this one.
	id := name[:min(len(name), 40)] + "-" + newID()
	s := &submitter{client: c, name: name, id: id, function: f.Name()}
	for _, o := range more {
		o(&s.submission)
	}
	if _, err := queue.ParseNeeds(s.requires); err != nil {
		return fmt.Errorf("job %s: %w", name, err)
	}
	opts = append(opts[:len(opts):len(opts)], parade.CollectErrors())
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
}

func (s *submitter) Info() parade.Info { return s.client.LoadBalanced().Info() }
func (s *submitter) Close() error      { return nil }

// jobNumber is the only one in a job's queue.
const jobNumber = "1"

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
		Job: &queue.JobRecord{Name: s.name, Func: s.function, Tasks: tasks, Complete: tasks == 0},
	}
	if p != nil {
		r.Job.Head = p.Head()
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
	if err := s.begin(ctx, p, p.Tasks()); err != nil {
		return err
	}
	if err := s.store(ctx, p); err != nil {
		gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return errors.Join(err, queue.Remove(gone, c.js, queue.Record{ID: s.id, Job: &queue.JobRecord{Name: s.name}}))
	}
	return errSubmitted
}

func (s *submitter) store(ctx context.Context, p *parade.Post) error {
	c := s.client
	m := queue.Message{Head: p.Head()}
	if bound, ok := p.Bound(); ok && len(bound) > queue.InlineBound {
		h := queue.HashOf(bound)
		if err := queue.PutValue(ctx, c.js, s.id, jobNumber, h, bound); err != nil {
			return fmt.Errorf("cluster %s: storing the bound argument: %w", c.name, err)
		}
		m.BoundHash = &h
	} else if ok {
		m.Bound = bound
	}
	slots := max(1, c.slotCount())
	p.Size(p.Tasks() / (slots * parcelsPerSlot))
	var (
		stored sync.WaitGroup
		room   = make(chan struct{}, unconfirmed)
	)
	for next := p.Next(slots); next != nil; next = p.Next(slots) {
		m.Parcel, m.ParcelHash = next.Data, nil
		if len(next.Data) > queue.Inline {
			h := queue.HashOf(next.Data)
			if err := queue.PutValue(ctx, c.js, s.id, jobNumber, h, next.Data); err != nil {
				return fmt.Errorf("cluster %s: storing the inputs from %d on: %w", c.name, next.First, err)
			}
			m.Parcel, m.ParcelHash = nil, &h
		}
		select {
		case room <- struct{}{}:
		case <-p.Done():
			return nil // it was cancelled, and says why itself
		}
		stored.Add(1)
		c.courier.Send(queue.Work(s.id, jobNumber), m.AppendTo(nil), func() {
			<-room
			stored.Done()
		})
	}
	all := make(chan struct{})
	go func() {
		stored.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-p.Done():
		c.courier.Forget(queue.Work(s.id, jobNumber))
		return nil
	}
	return queue.Change(ctx, c.js, s.id, func(r *queue.Record) { r.Job.Complete = true })
}

// Attach waits for a job to end and returns its results, in the order of its inputs, as
// parade.Map does. It can be called any number of times, by any number of programs.
func Attach[A, R any](ctx context.Context, c *Client, name string, f *parade.Function[A, R], opts ...parade.Option) ([]R, error) {
	r, err := c.job(ctx, name)
	if err != nil {
		return nil, err
	}
	if r.Job.Func != f.Name() {
		return nil, fmt.Errorf("job %s runs %q, not %q", name, r.Job.Func, f.Name())
	}
	if !r.Job.Complete {
		return nil, fmt.Errorf("job %s has not been submitted wholly: its client is at it, or has died; remove it and submit it again", name)
	}
	opts = append(opts[:len(opts):len(opts)], parade.CollectErrors())
	return parade.Map(ctx, &attacher{client: c, record: r}, f, make([]A, r.Job.Tasks), opts...)
}

// job returns the record of a job.
func (c *Client) job(ctx context.Context, name string) (queue.Record, error) {
	r, err := queue.Named(ctx, c.js, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) || err == nil && r.Job == nil {
		return r, fmt.Errorf("cluster %s: %w: %s", c.name, ErrNoJob, name)
	}
	return r, err
}

// attacher is an executor that takes the results of a job that runs elsewhere.
type attacher struct {
	client *Client
	record queue.Record
}

func (a *attacher) Info() parade.Info { return a.client.LoadBalanced().Info() }
func (a *attacher) Close() error      { return nil }

// Run implements [parade.Executor].
func (a *attacher) Run(ctx context.Context, job *parade.Job) error {
	p, err := job.Post(func() {})
	if err != nil {
		return err
	}
	p.Adopt()
	c := a.client
	cancelled, err := queue.WatchRecord(ctx, c.js, a.record.ID)
	if err != nil {
		return err
	}
	defer func() { _ = cancelled.Stop() }()
	failed := make(chan error, 1)
	life, stop := context.WithCancel(ctx)
	defer stop()
	var reading sync.WaitGroup
	reading.Go(func() {
		if err := eachAnswer(life, c.js, a.record, true, p.Settle); err != nil && life.Err() == nil {
			failed <- err
		}
	})
	defer reading.Wait()
	defer stop()
	for {
		select {
		case <-p.Done():
			return nil
		case err := <-failed:
			return err
		case e := <-cancelled.Updates():
			if e == nil {
				continue
			}
			var r queue.Record
			if e.Operation() != jetstream.KeyValuePut {
				return fmt.Errorf("%w: %s was removed", ErrNoJob, a.record.Name())
			}
			if json.Unmarshal(e.Value(), &r) == nil && r.Job != nil && r.Job.Cancelled {
				return ErrCancelled
			}
		}
	}
}

// eachAnswer calls take with every answer of a job from the first on; with wait it goes on
// until ctx ends, and else until there are no more for now.
func eachAnswer(ctx context.Context, js jetstream.JetStream, r queue.Record, wait bool, take func([]byte) error) error {
	stream, err := js.Stream(ctx, queue.DoneStream(r.Name()))
	if err != nil {
		return err
	}
	if !slices.Contains(stream.CachedInfo().Config.Subjects, queue.Done(r.ID, "*")) { // of a later job
		return fmt.Errorf("job %s: %w", r.Name(), jetstream.ErrStreamNotFound)
	}
	left := stream.CachedInfo().State.Msgs
	if left == 0 && !wait {
		return nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	all, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, all.Stop)()
	defer all.Stop()
	for n := uint64(1); ; n++ {
		m, err := all.Next()
		if err != nil {
			return err
		}
		answer, elsewhere, err := queue.ParseAnswer(m.Data())
		if elsewhere != nil {
			answer, err = queue.GetValue(ctx, js, r.ID, jobNumber, *elsewhere)
		}
		if err == nil {
			err = take(answer)
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", r.Name(), err)
		}
		if n >= left && !wait {
			return nil
		}
	}
}

// Jobs returns the named jobs, oldest first, as they stand. It reads every answer.
func Jobs(ctx context.Context, conn Connection) ([]Job, error) {
	nc, err := conn.Dial("parade client")
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := queue.JetStream(nc)
	if err != nil {
		return nil, err
	}
	var records []queue.Record
	if err := each(ctx, js, queue.Records, func(r queue.Record) {
		if r.Job != nil {
			records = append(records, r)
		}
	}); err != nil {
		return nil, err
	}
	var jobs []Job
	for _, r := range records {
		j, err := standing(ctx, js, r)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b Job) int { return a.Created.Compare(b.Created) })
	return jobs, nil
}

// standing counts what a job has come to.
func standing(ctx context.Context, js jetstream.JetStream, r queue.Record) (Job, error) {
	j := Job{
		Name: r.Name(), Func: r.Job.Func, Owner: r.Owner, Created: r.Created, Tasks: r.Job.Tasks,
		Complete: r.Job.Complete, Cancelled: r.Job.Cancelled,
	}
	seen := make([]bool, j.Tasks)
	err := eachAnswer(ctx, js, r, false, func(answer []byte) error {
		span, failed, err := parade.AnswerSpan(answer)
		if err != nil {
			j.Err = err
			return nil
		}
		if span.First+span.Len > len(seen) {
			return fmt.Errorf("an answer for tasks up to %d of %d", span.First+span.Len, len(seen))
		}
		fresh := 0
		for i := span.First; i < span.First+span.Len; i++ {
			if !seen[i] {
				seen[i] = true
				fresh++
			}
		}
		failed = min(failed, fresh)
		j.Failed += failed
		j.Done += fresh - failed
		return nil
	})
	return j, err
}

// CancelJob stops a job. The results that there are stay until it is removed.
func CancelJob(ctx context.Context, conn Connection, name string) error {
	return withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error {
		if err := queue.Change(ctx, js, r.ID, func(r *queue.Record) { r.Job.Cancelled = true }); err != nil {
			return err
		}
		return queue.Drop(ctx, js, r.ID)
	})
}

// RemoveJob stops a job and removes all there is of it.
func RemoveJob(ctx context.Context, conn Connection, name string) error {
	return withJob(ctx, conn, name, func(js jetstream.JetStream, r queue.Record) error { return queue.Remove(ctx, js, r) })
}

func withJob(ctx context.Context, conn Connection, name string, act func(jetstream.JetStream, queue.Record) error) error {
	nc, err := conn.Dial("parade client")
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := queue.JetStream(nc)
	if err != nil {
		return err
	}
	c := &Client{name: conn.Cluster, js: js}
	r, err := c.job(ctx, name)
	if err != nil {
		return err
	}
	return act(js, r)
}
