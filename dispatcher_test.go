package parade_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"pgregory.net/rapid"
)

// cable links a dispatcher to a worker inside this process. It can be cut
// after any number of bytes, as a worker's death would.
type cable struct {
	number int
	name   string
	ours   net.Conn
	theirs net.Conn
	out    atomic.Int64 // bytes that may still pass to the worker
	in     atomic.Int64 // and from it
	status *parade.Status
	blind  bool // the status is not known afterwards
	served chan struct{}
}

// cables finds the one that a task's worker hangs on.
var (
	cables    sync.Map
	lastCable atomic.Int64
)

func newCable(number int, cut func() (out, in int64), blind bool) *cable {
	c := &cable{number: number, name: fmt.Sprintf("cable/%d", lastCable.Add(1)), blind: blind, served: make(chan struct{})}
	c.ours, c.theirs = net.Pipe()
	c.status = parade.StatusAt(make([]byte, parade.StatusSize))
	out, in := cut()
	c.out.Store(out)
	c.in.Store(in)
	cables.Store(c.name, c)
	go func() {
		defer close(c.served)
		_ = parade.ServeWorker(parade.WorkerEnd{
			Name: c.name, Status: c.status, Reader: c.theirs, Segment: segmentOf,
			Write: func(chunks [][]byte) error { return writeAll(c.theirs, chunks, nil) },
		})
	}()
	return c
}

// handed is what an executor of TestShare has sent to all its workers, by tag.
var handed sync.Map

func segmentOf(tag uint64, size int) ([]byte, func(), error) {
	memory, ok := handed.Load(tag)
	if !ok || len(memory.([]byte)) != size {
		return nil, nil, fmt.Errorf("no memory of %d bytes under tag %d", size, tag)
	}
	return memory.([]byte), func() {}, nil
}

func writeAll(w io.Writer, chunks [][]byte, budget *atomic.Int64) error {
	for _, chunk := range chunks {
		if budget != nil {
			if left := budget.Add(-int64(len(chunk))) + int64(len(chunk)); left < int64(len(chunk)) {
				_, _ = w.Write(chunk[:max(left, 0)])
				return io.ErrClosedPipe
			}
		}
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (c *cable) Name() string { return c.name }
func (c *cable) Number() int  { return c.number }

func (c *cable) Read(p []byte) (int, error) {
	left := c.in.Load()
	if left <= 0 {
		c.cut()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ours.Read(p[:min(int64(len(p)), left)])
	c.in.Add(-int64(n))
	return n, err
}

func (c *cable) Write(chunks [][]byte) error { return writeAll(c.ours, chunks, &c.out) }

func (c *cable) cut() {
	_ = c.ours.Close()
	_ = c.theirs.Close()
}

func (c *cable) End(cause error) (*parade.Status, error) {
	c.cut()
	<-c.served
	cables.Delete(c.name)
	switch {
	case cause == nil:
		return nil, nil
	case c.blind:
		return nil, cause
	}
	return c.status, cause
}

// pool is the least that an executor with a dispatcher must do.
type pool struct {
	*parade.Dispatcher
	info parade.Info
}

func (p *pool) Info() parade.Info { return p.info }

func (p *pool) Close() error {
	p.Dispatcher.Close()
	return nil
}

func newPool(cfg parade.DispatcherConfig, start func(number int) parade.Link) *pool {
	p := &pool{info: parade.Info{Kind: "pool", Workers: cfg.Workers, Cores: 1, Threads: 1, Host: "here"}}
	cfg.Gone = func(l parade.Link, _ bool, _ error) { p.Add(start(l.Number())) }
	p.Dispatcher = parade.NewDispatcher(cfg)
	for number := range cfg.Workers {
		p.Add(start(number))
	}
	return p
}

// order tells a task what to do.
type order struct {
	Value int
	Fails int  // in its first so many attempts
	Panic bool // is how it fails
	Kills bool // its worker, always
	Late  bool // a little
}

var released = make(chan struct{}) // never: what waits for it is lost with its worker

var obey = parade.FuncContext("test.obey", func(ctx context.Context, o order) (int, error) {
	task, _ := parade.TaskOf(ctx)
	if o.Late {
		time.Sleep(200 * time.Microsecond)
	}
	if o.Kills {
		if c, ok := cables.Load(task.Worker); ok {
			c.(*cable).cut()
		}
		<-released
	}
	if task.Attempt <= o.Fails {
		if o.Panic {
			panic("told to")
		}
		return 0, errors.New("told to")
	}
	return o.Value*5 + 1, nil
})

// scenario is a job with everything that happens to it.
type scenario struct {
	orders  []order
	workers int
	batch   int
	retries int
	stop    int // 0: never
	crashes int
	cuts    []int64 // after how many bytes cables break; nil: never
	blind   bool
	limit   int // of workers, 0: none
	tasks   int // of a worker, 0: any number
}

func drawScenario(t *rapid.T, cuts, kills, blind bool) scenario {
	s := scenario{
		workers: rapid.IntRange(1, 4).Draw(t, "workers"),
		batch:   rapid.SampledFrom([]int{0, 1, 2, 3, 10, 1000}).Draw(t, "batch"),
		retries: rapid.IntRange(0, 3).Draw(t, "retries"),
		stop:    rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5}).Draw(t, "stop after"),
		crashes: 1_000_000,
		blind:   blind,
		limit:   rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "limit"),
		tasks:   rapid.SampledFrom([]int{0, 0, 0, 1, 7}).Draw(t, "tasks of a worker"),
	}
	if cuts {
		s.cuts = rapid.SliceOfN(rapid.Int64Range(1, 4000), 16, 16).Draw(t, "cuts")
	}
	if kills {
		s.crashes = rapid.IntRange(1, 3).Draw(t, "crashes")
	}
	s.orders = make([]order, rapid.IntRange(0, 200).Draw(t, "inputs"))
	for i := range s.orders {
		s.orders[i].Value = i
	}
	for range rapid.IntRange(0, min(12, len(s.orders))).Draw(t, "odd inputs") {
		o := &s.orders[rapid.IntRange(0, len(s.orders)-1).Draw(t, "odd input")]
		// As often as retries mend, or always: a lost worker takes attempts with it.
		o.Fails = rapid.SampledFrom([]int{0, s.retries, 1_000_000}).Draw(t, "fails")
		o.Panic = rapid.Bool().Draw(t, "panics")
		o.Late = rapid.Bool().Draw(t, "late")
		o.Kills = kills && rapid.Bool().Draw(t, "kills")
	}
	return s
}

func (s *scenario) options() []parade.Option {
	opts := []parade.Option{parade.Retries(s.retries), parade.Crashes(s.crashes), parade.CollectErrors()}
	if s.stop > 0 {
		opts = append(opts, parade.StopAfter(s.stop))
	}
	if s.batch > 0 {
		opts = append(opts, parade.BatchSize(s.batch))
	}
	if s.limit > 0 {
		opts = append(opts, parade.Workers(s.limit))
	}
	return opts
}

// doomed returns the inputs that must fail, and how.
func (s *scenario) doomed() map[int]parade.Kind {
	kinds := map[int]parade.Kind{}
	for i, o := range s.orders {
		switch {
		case o.Kills:
			kinds[i] = parade.Lost
		case o.Fails > s.retries && o.Panic:
			kinds[i] = parade.Panicked
		case o.Fails > s.retries:
			kinds[i] = parade.Failed
		}
	}
	return kinds
}

func (s *scenario) open() *pool {
	var last atomic.Int64
	cut := func() (out, in int64) {
		if s.cuts == nil {
			return 1 << 50, 1 << 50
		}
		next := int(last.Add(2))
		// They hold longer and longer, so that a job comes to its end.
		grow := int64(1 + next/len(s.cuts))
		return s.cuts[next%len(s.cuts)] * grow * grow, s.cuts[(next+1)%len(s.cuts)] * grow * grow
	}
	return newPool(parade.DispatcherConfig{Workers: s.workers, MaxTasks: s.tasks, Heartbeat: time.Minute, Grace: 20 * time.Millisecond},
		func(number int) parade.Link { return newCable(number, cut, s.blind) })
}

// finish runs f, and shows all goroutines when it hangs.
func finish(t *rapid.T, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan any, 1)
	go func() {
		// A failure of rapid is a panic, for the goroutine that it runs.
		defer func() { done <- recover() }()
		f(ctx)
	}()
	select {
	case failure := <-done:
		if failure != nil {
			panic(failure)
		}
		if ctx.Err() == nil {
			return
		}
	case <-time.After(35 * time.Second):
	}
	stacks := make([]byte, 1<<20)
	t.Fatalf("the job hangs\n%s", stacks[:runtime.Stack(stacks, true)])
}

// verify compares what became of a job with what must have.
func (s *scenario) verify(t *rapid.T, out []int, err error, r *parade.Report) {
	doomed := s.doomed()
	var job *parade.JobError
	if err != nil && !errors.As(err, &job) {
		t.Fatalf("the error is %v", err)
	}
	if job == nil {
		job = &parade.JobError{Tasks: len(s.orders), Done: len(s.orders)}
	}
	if job.Err != nil {
		t.Fatalf("the job was stopped: %v", job.Err)
	}
	failed := map[int]parade.Kind{}
	for _, e := range job.Failed {
		if _, twice := failed[e.Index]; twice {
			t.Fatalf("input %d failed twice", e.Index)
		}
		failed[e.Index] = e.Kind
		attempts := s.retries + 1
		if e.Kind == parade.Lost {
			attempts = s.crashes
		}
		// A lost worker costs attempts, too, of what it held: on cut links, and
		// where nobody knows which of its tasks was to blame.
		if e.Attempt != attempts && !(e.Attempt > attempts && (s.cuts != nil || s.blind)) {
			t.Fatalf("input %d failed at attempt %d, want %d", e.Index, e.Attempt, attempts)
		}
	}
	switch {
	case s.stop == 0 || len(doomed) < s.stop:
		if !maps.Equal(failed, doomed) {
			t.Fatalf("failed: %v, want %v", failed, doomed)
		}
		if len(doomed) == 0 != (err == nil) {
			t.Fatalf("%d inputs must fail, the error is %v", len(doomed), err)
		}
		if r.Done+r.Failed != len(s.orders) {
			t.Fatalf("%d done and %d failed of %d", r.Done, r.Failed, len(s.orders))
		}
	default:
		if len(failed) != s.stop {
			t.Fatalf("%d inputs failed, want %d: %v", len(failed), s.stop, err)
		}
		for i, kind := range failed {
			if doomed[i] != kind {
				t.Fatalf("input %d failed: %v; all that may: %v", i, kind, doomed)
			}
		}
	}
	open := map[int]bool{}
	for _, u := range job.Unfinished {
		for i := u.First; i < u.First+u.Len; i++ {
			open[i] = true
		}
	}
	for i, v := range out {
		if _, bad := failed[i]; bad && !open[i] {
			t.Fatalf("input %d failed and is not among the unfinished", i)
		}
		if want := i*5 + 1; v != want && (v != 0 || !open[i]) || v == want && open[i] {
			t.Fatalf("result %d is %d, want %d; unfinished: %v", i, v, want, open[i])
		}
	}
	if len(open) != len(s.orders)-job.Done || r.Done != job.Done || r.Failed != len(failed) || r.Tasks != len(s.orders) {
		t.Fatalf("%d unfinished, %d done of %d; the report has %d done, %d failed of %d",
			len(open), job.Done, len(s.orders), r.Done, r.Failed, r.Tasks)
	}
}

// setRapid bounds what rapid does.
func setRapid(t *testing.T) {
	t.Helper()
	// The message has the seed; a file would only lie about. With the race
	// detector the usual 100 rounds take too long: -rapid.checks has more.
	settings := map[string]string{"rapid.nofailfile": "true"}
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		settings["rapid.checks"] = "40"
	}
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDispatcher runs random jobs on workers that are lost at random.
func TestDispatcher(t *testing.T) {
	restoreLog(t)
	setRapid(t)
	for _, tc := range []struct {
		name               string
		cuts, kills, blind bool
	}{
		{"steady workers", false, false, false},
		{"links cut at random", true, false, false},
		{"links cut at random without a status", true, false, true},
		{"inputs that kill", false, true, false},
		{"inputs that kill without a status", false, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := drawScenario(t, tc.cuts, tc.kills, tc.blind)
				finish(t, func(ctx context.Context) {
					p := s.open()
					defer p.Close()
					var r parade.Report
					out, err := parade.Map(ctx, p, obey, s.orders, append(s.options(), parade.WithReport(&r))...)
					s.verify(t, out, err, &r)
				})
			})
		})
		t.Run(tc.name+", as a stream", func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := drawScenario(t, tc.cuts, tc.kills, tc.blind)
				s.stop = 0
				items := rapid.IntRange(1, 300).Draw(t, "in flight")
				bytes := rapid.Int64Range(1, 20_000).Draw(t, "bytes in flight")
				unordered := rapid.Bool().Draw(t, "unordered")
				finish(t, func(ctx context.Context) {
					p := s.open()
					defer p.Close()
					s.verifyStream(ctx, t, p, items, bytes, unordered)
				})
			})
		})
	}
}

func (s *scenario) verifyStream(ctx context.Context, t *rapid.T, p *pool, items int, bytes int64, unordered bool) {
	opts := []parade.StreamOption{parade.InFlight(items, bytes)}
	for _, o := range s.options() {
		opts = append(opts, o)
	}
	if unordered {
		opts = append(opts, parade.Unordered())
	}
	doomed := s.doomed()
	seen := make([]bool, len(s.orders))
	next := 0
	for r := range parade.Stream(ctx, p, obey, slices.Values(s.orders), opts...) {
		if r.Index < 0 || r.Index >= len(seen) || seen[r.Index] || !unordered && r.Index != next {
			t.Fatalf("after %d results comes %+v", next, r)
		}
		seen[r.Index] = true
		next++
		kind, bad := doomed[r.Index]
		var task *parade.TaskError
		switch {
		case bad != (r.Err != nil), !bad && r.Value != r.Index*5+1:
			t.Fatalf("result %d is %d, error %v; must fail: %v", r.Index, r.Value, r.Err, bad)
		case bad && (!errors.As(r.Err, &task) || task.Kind != kind || task.Index != r.Index):
			t.Fatalf("input %d failed with %v, want kind %v", r.Index, r.Err, kind)
		}
	}
	if next != len(s.orders) {
		t.Fatalf("%d results for %d inputs", next, len(s.orders))
	}
}

// restoreLog undoes what a worker does to the program's log.
func restoreLog(t *testing.T) {
	old := slog.Default()
	t.Cleanup(func() {
		slog.SetDefault(old)
		log.SetOutput(os.Stderr)
	})
}

var element = parade.Pure2("dispatcher.element", func(v []float64, i int) float64 { return v[i] })

// TestShare has a large bound argument sent once, by other means than the links, and
// small ones, or those of one worker, not.
func TestShare(t *testing.T) {
	t.Parallel()
	var sent, released atomic.Int64
	p := newPool(parade.DispatcherConfig{
		Workers: 3,
		Share: func(chunks [][]byte) (uint64, func(), bool) {
			tag := uint64(sent.Add(1))
			if tag == 2 { // this one has to go through the links
				return 0, nil, false
			}
			handed.Store(tag, slices.Concat(chunks...))
			return tag, func() { released.Add(1) }, true
		},
	}, func(number int) parade.Link {
		return newCable(number, func() (int64, int64) { return 1 << 60, 1 << 60 }, false)
	})
	defer p.Close()
	v := make([]float64, 50_000)
	for i := range v {
		v[i] = float64(i) / 8
	}
	in := []int{0, 7, 49_999, 300}
	for _, tc := range []struct {
		name  string
		bound []float64
		opts  []parade.Option
		sent  int64 // since the beginning
	}{
		{"large", v, nil, 1},
		{"refused", v, nil, 2},
		{"one worker", v, []parade.Option{parade.Workers(1)}, 2},
		{"small", v[:1000], nil, 2},
		{"large again", v, nil, 3},
	} {
		in := in
		if len(tc.bound) < len(v) {
			in = in[:2]
		}
		out, err := parade.Map(t.Context(), p, parade.Bind(element, tc.bound), in, append(tc.opts, parade.BatchSize(1))...)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		for i, x := range out {
			if x != v[in[i]] {
				t.Errorf("%s: number %d is %v, want %v", tc.name, in[i], x, v[in[i]])
			}
		}
		if sent.Load() != tc.sent {
			t.Errorf("%s: sent %d times by now, want %d", tc.name, sent.Load(), tc.sent)
		}
	}
	if released.Load() != 2 {
		t.Errorf("%d of 2 were released", released.Load())
	}
}

func TestStartWorkerRefuses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"threads":   "has no workers",
		"processes": "add import",
		"nowhere":   "there is no executor",
	} {
		if l, err := parade.StartWorker(kind, "a", 0, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: link %v, error %v; want one that says %q", kind, l, err, want)
		}
	}
}
