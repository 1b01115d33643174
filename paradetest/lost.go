package paradetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

var cancelTests = []test{
	{"map", needs{}, (*suite).cancelMap},
	{"before", needs{}, (*suite).cancelBefore},
	{"with a cause", needs{}, (*suite).cancelCause},
	{"deadline of the call", needs{}, (*suite).cancelDeadline},
	{"task that ignores it", needs{replaces: true}, (*suite).cancelIgnored},
	{"future", needs{}, (*suite).cancelFuture},
}

var lostTests = []test{
	{"exits", needs{loses: true}, func(s *suite) { s.lostOnce("exit") }},
	{"kills itself", needs{loses: true}, func(s *suite) { s.lostOnce("kill") }},
	{"in a stream", needs{loses: true}, (*suite).lostStream},
	{"poison", needs{loses: true}, (*suite).lostPoison},
	{"poison stops the job", needs{loses: true}, (*suite).lostStops},
	{"two poisons in a batch", needs{loses: true}, (*suite).lostPair},
	{"killed from outside", needs{kill: true}, (*suite).lostKilled},
	{"killed while idle", needs{kill: true}, (*suite).lostIdle},
	{"frozen", needs{freeze: true}, (*suite).lostFrozen},
	{"frozen while idle", needs{freeze: true}, (*suite).lostFrozenIdle},
}

// cancelMap: the call ends with a typed error, and so does every running task.
func (s *suite) cancelMap() {
	dir := s.TempDir()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var stop sync.WaitGroup
	stop.Go(func() {
		for count(dir, "started-*") == 0 && s.ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	})
	in := steps(100, func(st *step) { st.Act, st.Dir = "wait", dir })
	out, err := parade.Map(ctx, s.ex, play, in)
	stop.Wait()
	job := s.jobError(err, 0)
	if !errors.Is(err, context.Canceled) || job.Err == nil || job.Done != 0 {
		s.Errorf("the error is %v, want context.Canceled", err)
	}
	s.consistent(job, out)
	s.eventually("tasks that see the end of their context", func() bool {
		return count(dir, "ended-*") == count(dir, "started-*")
	})
}

func (s *suite) cancelBefore() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	dir := s.TempDir()
	out, err := parade.Map(ctx, s.ex, play, steps(3, func(st *step) { st.Act, st.Dir = "wait", dir }))
	if !errors.Is(err, context.Canceled) || len(out) != 3 {
		s.Errorf("results %v, error %v; want three and context.Canceled", out, err)
	}
	if count(dir, "*") > 0 {
		s.Error("a task was started")
	}
}

func (s *suite) cancelCause() {
	ctx, cancel := context.WithCancelCause(s.ctx)
	time.AfterFunc(20*time.Millisecond, func() { cancel(errRefused) })
	_, err := parade.Map(ctx, s.ex, play, steps(3, func(st *step) { st.Act = "wait" }))
	if !errors.Is(err, errRefused) {
		s.Errorf("the error is %v, want the cause of the cancel", err)
	}
}

func (s *suite) cancelDeadline() {
	ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := parade.Map(ctx, s.ex, play, steps(30, func(st *step) { st.Act = "wait" }), parade.CollectErrors())
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, parade.ErrTimeout) {
		s.Errorf("the error is %v, want context.DeadlineExceeded and not a task's timeout", err)
	}
}

// cancelIgnored: a task that goes on holds up neither its call nor later ones.
func (s *suite) cancelIgnored() {
	ex := s.own()
	dir, gate := s.TempDir(), s.gate()
	ctx, cancel := context.WithCancel(s.ctx)
	var stop sync.WaitGroup
	stop.Go(func() {
		for count(dir, "started-*") == 0 && s.ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	})
	in := []step{{Act: "ignore", Dir: dir, Gate: gate}}
	_, err := parade.Map(ctx, ex, play, in)
	stop.Wait()
	if !errors.Is(err, context.Canceled) {
		s.Errorf("the error is %v, want context.Canceled", err)
	}
	if s.features.Shared {
		return // a thread is lost until its function returns
	}
	n := ex.Info().Workers
	dir = s.TempDir()
	out, err := parade.Map(s.ctx, ex, play, steps(n, func(st *step) { st.Act, st.Dir, st.Gate = "meet", dir, n }))
	s.check(out, err, n)
}

func (s *suite) cancelFuture() {
	ctx, cancel := context.WithCancel(s.ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := parade.Go(ctx, s.ex, play, step{Act: "wait"}).Wait(s.ctx); !errors.Is(err, context.Canceled) {
		s.Errorf("the error is %v, want context.Canceled", err)
	}
}

// lostOnce has some tasks take their worker with them the first time.
func (s *suite) lostOnce(act string) {
	ex := s.own()
	in := steps(500, func(st *step) {
		if st.Value == 3 || st.Value == 250 || st.Value == 499 {
			st.Act, st.Until = act, 1
		}
	})
	var report parade.Report
	out, err := parade.Map(s.ctx, ex, play, in, parade.WithReport(&report))
	s.check(out, err, 500)
	if report.Lost != 3 {
		s.Errorf("%d workers were lost by the report, want 3", report.Lost)
	}
}

func (s *suite) lostStream() {
	ex := s.own()
	in := steps(300, func(st *step) {
		if st.Value%100 == 50 {
			st.Act, st.Until = "kill", 1
		}
	})
	next := 0
	for r := range parade.Stream(s.ctx, ex, play, slices.Values(in)) {
		if r.Err != nil || r.Index != next || r.Value != result(next) {
			s.Fatalf("result %d is %+v", next, r)
		}
		next++
	}
	if next != 300 {
		s.Errorf("%d results for 300 inputs", next)
	}
}

func (s *suite) lostPoison() {
	for _, size := range []int{0, 1, 100} {
		ex := s.own()
		in := steps(200, nil)
		in[150].Act = "exit"
		opts := []parade.Option{parade.CollectErrors(), parade.Crashes(2), parade.Retries(5)}
		if size > 0 {
			opts = append(opts, parade.BatchSize(size))
		}
		out, err := parade.Map(s.ctx, ex, play, in, opts...)
		job := s.jobError(err, 1)
		s.taskError(job.Failed[0], "paradetest.play", 150, 2, parade.Lost)
		if !errors.Is(err, parade.ErrWorkerLost) {
			s.Errorf("%v is not ErrWorkerLost", err)
		}
		s.checkResults(out, 200, []int{150})
		s.consistent(job, out)
	}
}

// lostStops: with the default options the poison ends the job after three
// workers, and the executor is still of use.
func (s *suite) lostStops() {
	ex := s.own()
	in := steps(50, nil)
	in[7].Act = "kill"
	out, err := parade.Map(s.ctx, ex, play, in)
	job := s.jobError(err, 1)
	s.taskError(job.Failed[0], "paradetest.play", 7, 3, parade.Lost)
	s.consistent(job, out)
	out, err = parade.Map(s.ctx, ex, play, steps(50, nil))
	s.check(out, err, 50)
}

func (s *suite) lostPair() {
	ex := s.own()
	in := steps(60, nil)
	in[20].Act, in[21].Act = "exit", "kill"
	out, err := parade.Map(s.ctx, ex, play, in, parade.CollectErrors(), parade.Crashes(2), parade.BatchSize(30))
	job := s.jobError(err, 2)
	s.taskError(job.Failed[0], "paradetest.play", 20, 2, parade.Lost)
	s.taskError(job.Failed[1], "paradetest.play", 21, 2, parade.Lost)
	s.checkResults(out, 60, []int{20, 21})
}

// disturbed runs tasks while strike does something to one of the workers.
func (s *suite) disturbed(strike func(pid int) error) {
	s.Helper()
	ex := s.own()
	id, err := parade.Go(s.ctx, ex, pid, step{}).Wait(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	var struck sync.WaitGroup
	struck.Go(func() {
		time.Sleep(time.Duration(20+rand.IntN(50)) * time.Millisecond)
		if err := strike(id); err != nil {
			s.Errorf("striking process %d: %v", id, err)
		}
	})
	n := 100 * s.workers()
	out, err := parade.Map(s.ctx, ex, play, steps(n, func(st *step) { st.Sleep = 2 * time.Millisecond }))
	struck.Wait()
	s.check(out, err, n)
	pids, err := parade.Map(s.ctx, ex, pid, steps(20*s.workers(), nil), parade.BatchSize(1))
	if err != nil || slices.Contains(pids, id) {
		s.Errorf("processes %v, error %v; process %d should be gone", pids, err, id)
	}
}

func (s *suite) lostKilled() { s.disturbed(s.features.Kill) }

func (s *suite) lostFrozen() { s.disturbed(s.features.Freeze) }

// strickenIdle does something to a worker between two calls.
func (s *suite) strickenIdle(strike func(pid int) error) {
	s.Helper()
	ex := s.own()
	for range 2 {
		id, err := parade.Go(s.ctx, ex, pid, step{}).Wait(s.ctx)
		if err == nil {
			err = strike(id)
		}
		if err != nil {
			s.Fatal(err)
		}
		out, err := parade.Map(s.ctx, ex, play, steps(100, nil))
		s.check(out, err, 100)
	}
}

func (s *suite) lostIdle() { s.strickenIdle(s.features.Kill) }

func (s *suite) lostFrozenIdle() { s.strickenIdle(s.features.Freeze) }
