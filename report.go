package parade

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Progress is the state of a running call.
type Progress struct {
	Func    string
	Tasks   int  // inputs known so far
	Final   bool // no more inputs will come
	Done    int  // tasks with a result
	Failed  int
	Running int // tasks handed to workers
	Retries int
	Elapsed time.Duration
	Rate    float64       // tasks finished per second, over the whole call, without Journaled
	ETA     time.Duration // until the known tasks are finished; 0 when unknown
	Ended   bool          // the last event of the call

	Journaled int // of Done, how many came from a [Journal]
}

// String is one line for a log: "smooth: 120 of 1000 done, 2 failed, 4 running, 37/s, 24s left".
func (p Progress) String() string {
	var b strings.Builder
	if p.Func != "" {
		fmt.Fprintf(&b, "%s: ", p.Func)
	}
	fmt.Fprintf(&b, "%d of %d", p.Done, p.Tasks)
	if !p.Final {
		b.WriteString("+")
	}
	b.WriteString(" done")
	if p.Journaled > 0 {
		fmt.Fprintf(&b, " (%d from the journal)", p.Journaled)
	}
	if p.Failed > 0 {
		fmt.Fprintf(&b, ", %d failed", p.Failed)
	}
	if p.Ended {
		fmt.Fprintf(&b, " in %v", p.Elapsed.Round(time.Millisecond))
		return b.String()
	}
	fmt.Fprintf(&b, ", %d running, %.3g/s", p.Running, p.Rate)
	if p.ETA > 0 {
		fmt.Fprintf(&b, ", %v left", p.ETA.Round(time.Second))
	}
	return b.String()
}

// Report is an account of a call, filled in by [WithReport] when it ends.
type Report struct {
	Func      string
	Executor  Info
	Tasks     int // inputs known
	Done      int
	Journaled int // of Done, how many came from a [Journal]
	Failed    int
	Retries   int
	Batches   int
	Lost      int           // workers lost on the way
	Wall      time.Duration // from start to end
	User      time.Duration // in the user's function, added up over workers
	Transport time.Duration // encoding and decoding, added up over both ends
	Waiting   time.Duration // workers × Wall − User − Transport: idle, or in system calls
	BytesOut  int64         // sent to workers
	BytesIn   int64         // received from workers
	Slowest   []Straggler   // the batches that took longest, longest first
}

// Straggler is a batch that took long.
type Straggler struct {
	Range
	Worker string
	Time   time.Duration
}

// SpeedUp is how many times faster the call was than its function alone would
// have been on one core: User / Wall.
func (r *Report) SpeedUp() float64 {
	if r.Wall <= 0 {
		return 0
	}
	return float64(r.User) / float64(r.Wall)
}

// SerialWins says whether a plain loop would have been faster. What results from a
// journal would have cost it is not known: then it is false.
func (r *Report) SerialWins() bool {
	return r.Executor.Workers > 1 && r.User < r.Wall && r.Journaled == 0
}

// Shares returns the parts of the workers' time spent in the user's function,
// in encoding and decoding, and waiting. They add up to 1.
func (r *Report) Shares() (user, transport, waiting float64) {
	total := float64(r.User + r.Transport + r.Waiting)
	if total <= 0 {
		return 0, 0, 0
	}
	return float64(r.User) / total, float64(r.Transport) / total, float64(r.Waiting) / total
}

// String is the account in a few lines of plain words.
func (r *Report) String() string {
	var b strings.Builder
	user, transport, waiting := r.Shares()
	fmt.Fprintf(&b, "%d tasks, %d failed, %d retries, %d batches in %v on %v\n",
		r.Tasks, r.Failed, r.Retries, r.Batches, r.Wall.Round(time.Microsecond), r.Executor)
	fmt.Fprintf(&b, "speed-up %.2f; time of the workers: %.0f%% function, %.0f%% encoding, %.0f%% waiting; %s out, %s in\n",
		r.SpeedUp(), 100*user, 100*transport, 100*waiting, bytesText(r.BytesOut), bytesText(r.BytesIn))
	if r.Journaled > 0 {
		fmt.Fprintf(&b, "%d results came from the journal\n", r.Journaled)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "%d workers were lost and replaced\n", r.Lost)
	}
	if len(r.Slowest) > 0 && len(r.Slowest) > 1 && r.Slowest[0].Time > 2*r.Slowest[1].Time {
		s := r.Slowest[0]
		fmt.Fprintf(&b, "straggler: inputs %d to %d took %v on %s\n", s.First, s.First+s.Len-1, s.Time.Round(time.Microsecond), s.Worker)
	}
	if r.SerialWins() {
		fmt.Fprintf(&b, "a plain loop would have taken about %v: the tasks are too small for this executor\n", r.User.Round(time.Microsecond))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func bytesText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// tally is what a job counts while it runs.
type tally struct {
	done, failed, retries, batches, lost int
	journaled                            int // of done
	user, codec, wall                    time.Duration
	bytesOut, bytesIn                    int64
	slowest                              []Straggler
}

// stragglersKept is how many of the slowest batches a report names.
const stragglersKept = 5

func (t *tally) add(b *batch, o outcome, worker string) {
	t.batches++
	t.user += o.user
	t.codec += o.codec
	t.bytesOut += o.bytesOut
	t.bytesIn += o.bytesIn
	if o.ran == 0 || len(t.slowest) == stragglersKept && o.user <= t.slowest[stragglersKept-1].Time {
		return
	}
	t.slowest = append(t.slowest, Straggler{Range{b.first, o.ran}, worker, o.user})
	slices.SortStableFunc(t.slowest, func(a, b Straggler) int { return cmp.Compare(b.Time, a.Time) })
	t.slowest = t.slowest[:min(len(t.slowest), stragglersKept)]
}

// report fills in the caller's Report once the job has ended.
func (j *Job) report(ex Executor) {
	r := j.set.report
	if r == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	info := ex.Info()
	if j.set.workers > 0 {
		info.Workers = min(info.Workers, j.set.workers)
	}
	t := &j.tally
	*r = Report{
		Func: j.run.name, Executor: info, Tasks: j.known, Done: t.done, Journaled: t.journaled, Failed: t.failed,
		Retries: t.retries, Batches: t.batches, Lost: t.lost, Wall: t.wall, User: t.user, Transport: t.codec,
		Waiting:  max(0, time.Duration(info.Workers)*t.wall-t.user-t.codec),
		BytesOut: t.bytesOut, BytesIn: t.bytesIn, Slowest: slices.Clone(t.slowest),
	}
}

func (j *Job) progress() Progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := Progress{
		Func: j.run.name, Tasks: j.known, Final: j.complete, Done: j.tally.done, Failed: j.tally.failed,
		Running: j.running, Retries: j.tally.retries, Elapsed: time.Since(j.started), Ended: j.ended,
		Journaled: j.tally.journaled,
	}
	if p.Ended {
		p.Elapsed, p.Running = j.tally.wall, 0
	}
	finished := p.Done + p.Failed
	if computed := finished - p.Journaled; computed > 0 && p.Elapsed > 0 {
		p.Rate = float64(computed) / p.Elapsed.Seconds()
		p.ETA = time.Duration(float64(p.Tasks-finished) / p.Rate * float64(time.Second))
	}
	return p
}

// announce reports progress until the job has ended; the function returned
// waits for the last event.
func (j *Job) announce() (wait func()) {
	f := j.set.progress
	if f == nil {
		return func() {}
	}
	f(j.progress())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(j.set.every)
		defer tick.Stop()
		for ended := false; !ended; {
			select {
			case <-tick.C: // which may come after the end, too
			case <-j.finished:
			}
			p := j.progress()
			f(p)
			ended = p.Ended
		}
	}()
	return func() { <-done }
}
