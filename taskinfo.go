package parade

import (
	"errors"
	"time"

	"github.com/parade-go/parade/internal/host"
	"github.com/parade-go/parade/internal/wire"
)

// TaskInfo tells where and when a task of a call ran: the attempt that counted. What is not
// known is zero: a task that took its worker along has no Started and Completed, and one whose
// input could not be sent has no Worker.
type TaskInfo struct {
	Index     int // position of the input
	Attempt   int // 1 for the first try
	Worker    string
	Host      string    // the machine of the worker
	Engine    string    // of a cluster, by its id
	Submitted time.Time // when the call handed it out, by the caller's clock
	Started   time.Time // by the worker's clock
	Completed time.Time // by the worker's clock
	Received  time.Time // by the caller's clock
	Err       error     // a *TaskError; nil for a task with a result
	Stdout    Output    // with CaptureOutput
	Stderr    Output    // with CaptureOutput
}

// Time is how long the function ran.
func (t TaskInfo) Time() time.Duration { return t.Completed.Sub(t.Started) }

// Output is the end of what a task printed.
type Output struct {
	Text string // 64 KiB at most
	Cut  int64  // bytes before Text that were not kept
}

// OnTask has f called for each task when it has ended for good, with a result or without,
// one call at a time, in the order in which they end; all calls have returned when the call
// of [Map], [Stream] or [Go] has. It is not called for results from a [Journal], nor for
// tasks that were running when the call was stopped. f must not block.
func OnTask(f func(TaskInfo)) Option {
	return option(func(s *settings) {
		if f == nil {
			s.refuse("OnTask(nil): give the function to call")
		}
		s.onTask = f
	})
}

// CaptureOutput has worker processes keep what each task prints, which the [TaskInfo] then has, in
// place of passing it on: what goes to file descriptors 1 and 2, also from C code and from
// programs that the task starts. Of what a task leaves running in the background the output
// counts as that of whatever runs then. It works where a child of a process executor or of an
// engine of a cluster runs one task at a time; what serial, threads and ranks of MPI print
// is not captured. It needs [OnTask] or [MapAsync], to which the output goes.
func CaptureOutput() Option { return option(func(s *settings) { s.capture = true }) }

// Capture keeps what a worker process prints, one task after another.
type Capture interface {
	// Begin begins to keep it.
	Begin() error
	// Take returns what has been printed to standard output and standard error since Begin or the
	// last Take.
	Take() (stdout, stderr Output)
	// End has what is printed go where it went before.
	End()
}

// detail is what a worker tells of a task.
type detail struct {
	attempt              int
	worker, host, engine string
	started, completed   time.Time
	stdout, stderr       Output
}

// note appends what is known of the task that has just ended.
func (o *outcome) note(l *lane, attempt int, started time.Time) {
	d := detail{attempt: attempt, worker: l.worker, host: host.Name(), started: started, completed: time.Now()}
	if l.capturing {
		d.stdout, d.stderr = l.capture.Take()
	}
	o.details = append(o.details, d)
}

// detail returns what is known of a task of the batch, nil if nothing is.
func (o *outcome) detail(k int) *detail {
	if k >= len(o.details) {
		return nil
	}
	return &o.details[k]
}

func appendDetails(b *wire.Buffer, details []detail) {
	b.Uvarint(uint64(len(details)))
	var last detail
	for _, d := range details {
		b.Uvarint(uint64(d.attempt))
		if d.worker == last.worker && d.host == last.host && d.engine == last.engine {
			b.Uint8(0)
		} else {
			b.Uint8(1)
			b.String(d.worker)
			b.String(d.host)
			b.String(d.engine)
		}
		appendTime(b, d.started)
		appendTime(b, d.completed)
		for _, out := range []Output{d.stdout, d.stderr} {
			b.Uvarint(uint64(out.Cut))
			b.String(out.Text)
		}
		last = d
	}
}

// appendTime appends 0 for the zero time.
func appendTime(b *wire.Buffer, t time.Time) {
	if t.IsZero() {
		b.Uint64(0)
	} else {
		b.Uint64(uint64(t.UnixNano()))
	}
}

func decodeTime(r *wire.Reader) time.Time {
	if ns := int64(r.Uint64()); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

var errDetails = errors.New("details of more tasks than ran")

// decodeDetails reads those of up to n tasks.
func decodeDetails(r *wire.Reader, n int) []detail {
	count := r.Uvarint()
	if count > uint64(n) {
		r.Fail(errDetails)
	}
	if r.Err() != nil {
		return nil
	}
	details := make([]detail, count)
	var last detail
	for i := range details {
		d := &details[i]
		d.attempt = int(r.Uvarint())
		if r.Uint8() == 0 {
			d.worker, d.host, d.engine = last.worker, last.host, last.engine
		} else {
			d.worker, d.host, d.engine = r.String(), r.String(), r.String()
		}
		d.started, d.completed = decodeTime(r), decodeTime(r)
		for _, out := range []*Output{&d.stdout, &d.stderr} {
			out.Cut, out.Text = int64(r.Uvarint()), r.String()
		}
		last = *d
	}
	return details
}

// inform notes that a task has ended, for those who asked. It is called with the job
// locked.
func (j *Job) inform(b *batch, k int, d *detail, worker string, err *TaskError) {
	info := TaskInfo{Index: b.first + k, Attempt: b.attempt, Worker: worker, Submitted: b.at, Received: time.Now()}
	if d != nil && d.attempt > 0 && (err == nil || d.attempt == err.Attempt) {
		info.Attempt, info.Worker, info.Host, info.Engine = d.attempt, d.worker, d.host, d.engine
		info.Started, info.Completed, info.Stdout, info.Stderr = d.started, d.completed, d.stdout, d.stderr
	}
	if err != nil {
		info.Err, info.Attempt, info.Worker = err, err.Attempt, err.Worker
	}
	j.ends = append(j.ends, info)
}

// tell calls the caller's function for the tasks that have ended, and returns when
// it has been called for all that had ended before.
func (j *Job) tell() {
	if j.set.onTask == nil {
		return
	}
	j.telling.Lock()
	defer j.telling.Unlock()
	for {
		j.mu.Lock()
		ends := j.ends
		j.ends = nil
		j.mu.Unlock()
		if len(ends) == 0 {
			return
		}
		for _, info := range ends {
			j.set.onTask(info)
		}
	}
}
