package paradetest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

var futureTests = []test{
	{"wait many times", needs{}, (*suite).futureWait},
	{"many at once", needs{}, (*suite).futureMany},
	{"failure", needs{}, (*suite).futureFailure},
	{"wait given up", needs{replaces: true}, (*suite).futureGivenUp},
}

var optionTests = []test{
	{"refused", needs{}, (*suite).optionsRefused},
	{"nothing to work on", needs{}, (*suite).optionsNil},
	{"workers", needs{}, (*suite).optionWorkers},
}

var jobTests = []test{
	{"two at once", needs{}, (*suite).jobsTwo},
	{"a small one beside a large one", needs{}, (*suite).jobsSmall},
	{"a small one beside slow tasks", needs{}, (*suite).jobsSlow},
	{"many at once", needs{}, (*suite).jobsMany},
}

var accountTests = []test{
	{"info", needs{}, (*suite).accountInfo},
	{"progress", needs{}, (*suite).accountProgress},
	{"progress of a failure", needs{}, (*suite).accountProgressFailure},
	{"report", needs{}, (*suite).accountReport},
	{"report of a failure", needs{}, (*suite).accountReportFailure},
	{"report of a stream", needs{}, (*suite).accountReportStream},
}

var closeTests = []test{
	{"use after", needs{}, (*suite).closeThenUse},
	{"twice", needs{}, (*suite).closeTwice},
	{"while running", needs{}, (*suite).closeRunning},
	{"while a stream runs", needs{}, (*suite).closeStreaming},
	{"at once", needs{}, (*suite).closeAtOnce},
}

func (s *suite) futureWait() {
	f := parade.Go(s.ctx, s.ex, triple, 4)
	for range 3 {
		if v, err := f.Wait(s.ctx); err != nil || v != result(4) {
			s.Errorf("the future has %d, %v; want %d", v, err, result(4))
		}
	}
	<-f.Done()
	// A result that is there does not need a living context.
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	if v, err := f.Wait(ended); err != nil || v != result(4) {
		s.Errorf("the future has %d, %v for an ended context; want %d", v, err, result(4))
	}
}

func (s *suite) futureMany() {
	var futures []*parade.Future[int]
	for i := range 200 {
		futures = append(futures, parade.Go(s.ctx, s.ex, triple, i))
	}
	for i, f := range futures {
		if v, err := f.Wait(s.ctx); err != nil || v != result(i) {
			s.Fatalf("future %d has %d, %v; want %d", i, v, err, result(i))
		}
	}
}

func (s *suite) futureFailure() {
	_, err := parade.Go(s.ctx, s.ex, play, step{Act: "sentinel"}).Wait(s.ctx)
	var task *parade.TaskError
	if !errors.As(err, &task) || !errors.Is(err, errRefused) {
		s.Fatalf("the error is %v, want a TaskError with errRefused", err)
	}
	s.taskError(task, "paradetest.play", 0, 1, parade.Failed)
}

// futureGivenUp: who gives up waiting does not give up the call.
func (s *suite) futureGivenUp() {
	dir := s.TempDir()
	f := parade.Go(s.ctx, s.ex, play, step{Value: 1, Act: "await", Dir: dir})
	short, cancel := context.WithTimeout(s.ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := f.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("the error is %v, want context.DeadlineExceeded", err)
	}
	touch(dir, "go")
	if v, err := f.Wait(s.ctx); err != nil || v != result(1) {
		s.Errorf("the future has %d, %v; want %d", v, err, result(1))
	}
}

// optionsRefused: what makes no sense is said before any task runs.
func (s *suite) optionsRefused() {
	dir := s.TempDir()
	in := steps(3, func(st *step) { st.Act, st.Dir = "wait", dir })
	for _, tc := range []struct {
		name   string
		option parade.Option
	}{
		{"Workers(0)", parade.Workers(0)},
		{"Workers(-1)", parade.Workers(-1)},
		{"BatchSize(0)", parade.BatchSize(0)},
		{"BatchSize(2147483647)", parade.BatchSize(math.MaxInt32)},
		{"Retries(-1)", parade.Retries(-1)},
		{"Timeout(0s)", parade.Timeout(0)},
		{"StopAfter(0)", parade.StopAfter(0)},
		{"Crashes(0)", parade.Crashes(0)},
	} {
		if _, err := parade.Map(s.ctx, s.ex, play, in, tc.option); err == nil || !strings.Contains(err.Error(), tc.name) {
			s.Errorf("%s: Map says %v", tc.name, err)
		}
		if _, err := parade.Go(s.ctx, s.ex, play, in[0], tc.option).Wait(s.ctx); err == nil || !strings.Contains(err.Error(), tc.name) {
			s.Errorf("%s: Go says %v", tc.name, err)
		}
		s.streamRefuses(tc.name, parade.Stream(s.ctx, s.ex, play, slices.Values(in), tc.option))
	}
	s.streamRefuses("InFlight(0, 1)", parade.Stream(s.ctx, s.ex, play, slices.Values(in), parade.InFlight(0, 1)))
	s.streamRefuses("InFlight(1, 0)", parade.Stream(s.ctx, s.ex, play, slices.Values(in), parade.InFlight(1, 0)))
	if count(dir, "*") > 0 {
		s.Error("a task was started")
	}
}

func (s *suite) streamRefuses(what string, stream func(func(parade.Result[int]) bool)) {
	s.Helper()
	n := 0
	for r := range stream {
		n++
		if r.Index != -1 || r.Err == nil || !strings.Contains(r.Err.Error(), what) {
			s.Errorf("%s: the stream yields %+v", what, r)
		}
	}
	if n != 1 {
		s.Errorf("%s: the stream yields %d results, want one error", what, n)
	}
}

func (s *suite) optionsNil() {
	var noContext context.Context
	var noFunction *parade.Function[int, int]
	var noOption parade.Option
	for _, tc := range []struct {
		name, says string
		call       func() ([]int, error)
	}{
		{"context", "context", func() ([]int, error) { return parade.Map(noContext, s.ex, triple, []int{1}) }},
		{"executor", "executor", func() ([]int, error) { return parade.Map(s.ctx, nil, triple, []int{1}) }},
		{"function", "function", func() ([]int, error) { return parade.Map(s.ctx, s.ex, noFunction, []int{1}) }},
		{"option", "option", func() ([]int, error) { return parade.Map(s.ctx, s.ex, triple, []int{1}, noOption) }},
		{"sequence", "sequence", func() ([]int, error) {
			for r := range parade.Stream(s.ctx, s.ex, triple, nil) {
				return nil, r.Err
			}
			return nil, nil
		}},
	} {
		func() {
			defer func() {
				if v := recover(); v != nil {
					s.Errorf("%s: nil makes the call panic: %v", tc.name, v)
				}
			}()
			if _, err := tc.call(); err == nil || !strings.Contains(err.Error(), tc.says) {
				s.Errorf("%s: nil gives error %v", tc.name, err)
			}
		}()
	}
}

func (s *suite) optionWorkers() {
	for _, limit := range []int{1, 2, 1000} {
		spans, err := parade.Map(s.ctx, s.ex, spanOf, slices.Repeat([]time.Duration{3 * time.Millisecond}, 40),
			parade.Workers(limit), parade.BatchSize(2))
		if err != nil {
			s.Fatal(err)
		}
		if most := overlap(spans); most > min(limit, s.workers()) {
			s.Errorf("Workers(%d): %d tasks ran at once", limit, most)
		}
	}
}

// overlap is how many of the spans lie over one point in time.
func overlap(spans []span) int {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, sp := range spans {
		edges = append(edges, edge{sp.From, 1}, edge{sp.To, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}

func (s *suite) jobsTwo() {
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			out, err := parade.Map(s.ctx, s.ex, triple, numbers(20_000))
			if err != nil {
				s.Error(err)
				return
			}
			for i, v := range out {
				if v != result(i) {
					s.Errorf("result %d is %d, want %d", i, v, result(i))
					return
				}
			}
		})
	}
	calls.Wait()
}

// jobsSmall: a job without end does not starve another.
func (s *suite) jobsSmall() {
	ctx, cancel := context.WithCancel(s.ctx)
	started := make(chan struct{})
	var large sync.WaitGroup
	large.Go(func() {
		read := 0
		for range parade.Stream(ctx, s.ex, triple, endless) {
			if read++; read == 1000 {
				close(started)
			}
		}
	})
	<-started
	for range 3 {
		out, err := parade.Map(s.ctx, s.ex, triple, numbers(500))
		s.check(out, err, 500)
	}
	cancel()
	large.Wait()
}

// jobsSlow: the same beside tasks that each take a while.
func (s *suite) jobsSlow() {
	ctx, cancel := context.WithCancel(s.ctx)
	dir := s.TempDir()
	var large sync.WaitGroup
	large.Go(func() {
		in := func(yield func(step) bool) {
			for i := range endless {
				if !yield(step{Value: i, Sleep: 5 * time.Millisecond}) {
					return
				}
			}
		}
		for range parade.Stream(ctx, s.ex, play, in, parade.CollectErrors()) {
			touch(dir, "running")
		}
	})
	s.eventually("the large job", func() bool { return count(dir, "running") > 0 })
	out, err := parade.Map(s.ctx, s.ex, play, steps(20, nil))
	cancel()
	large.Wait()
	s.check(out, err, 20)
}

func (s *suite) jobsMany() {
	var calls sync.WaitGroup
	for k := range 50 {
		calls.Go(func() {
			out, err := parade.Map(s.ctx, s.ex, triple, numbers(k))
			if err != nil || len(out) != k {
				s.Errorf("job %d: %d results, %v", k, len(out), err)
			}
		})
	}
	calls.Wait()
}

func (s *suite) accountInfo() {
	info := s.ex.Info()
	if info.Kind == "" || info.Workers < 1 || info.Cores < 1 || info.Threads < 1 || info.Host == "" {
		s.Errorf("incomplete: %+v", info)
	}
	if text, ok := s.ex.(interface{ String() string }); !ok || !strings.Contains(text.String(), info.Kind) {
		s.Errorf("printing the executor shows no %q", info.Kind)
	}
}

// events collects what OnProgress is told.
type events struct {
	mu  sync.Mutex
	all []parade.Progress
}

func (e *events) add(p parade.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, p)
}

// check wants the events of one call in a sensible order, and returns the last.
func (e *events) check(s *suite) parade.Progress {
	s.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) < 2 {
		s.Fatalf("%d events, want one at the start and one at the end", len(e.all))
	}
	var last parade.Progress
	for i, p := range e.all {
		if p.Done < last.Done || p.Failed < last.Failed || p.Tasks < last.Tasks || p.Elapsed < last.Elapsed || p.Retries < last.Retries ||
			p.Running < 0 || p.Done+p.Failed+p.Running > p.Tasks || p.Rate < 0 || p.ETA < 0 {
			s.Errorf("event %d is %+v after %+v", i, p, last)
		}
		if p.Ended != (i == len(e.all)-1) {
			s.Errorf("event %d of %d says Ended is %v", i, len(e.all), p.Ended)
		}
		last = p
	}
	if last.Running != 0 {
		s.Errorf("at the end %d tasks are running", last.Running)
	}
	return last
}

func (s *suite) accountProgress() {
	var e events
	in := steps(100*s.workers(), func(st *step) { st.Sleep = 3 * time.Millisecond })
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.OnProgress(e.add))
	s.check(out, err, len(in))
	if last := e.check(s); last.Func != "paradetest.play" || last.Done != len(in) || last.Tasks != len(in) || !last.Final || last.Rate <= 0 {
		s.Errorf("the last event is %+v", last)
	}
	if len(e.all) < 3 {
		s.Errorf("%d events for a call of more than 300 ms", len(e.all))
	}
	var none events
	if _, err := parade.Map(s.ctx, s.ex, triple, nil, parade.OnProgress(none.add)); err != nil {
		s.Error(err)
	}
	none.check(s)
}

func (s *suite) accountProgressFailure() {
	var e events
	in := steps(40, func(st *step) {
		if st.Value%4 == 0 {
			st.Act = "fail"
		}
	})
	_, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors(), parade.Retries(1), parade.OnProgress(e.add))
	s.jobError(err, 10)
	if last := e.check(s); last.Failed != 10 || last.Done != 30 || last.Retries != 10 {
		s.Errorf("the last event is %+v", last)
	}
}

// checkReport wants an account that adds up.
func (s *suite) checkReport(r *parade.Report, tasks, done, failed int) {
	s.Helper()
	if r.Tasks != tasks || r.Done != done || r.Failed != failed {
		s.Errorf("%d tasks, %d done, %d failed; want %d, %d, %d", r.Tasks, r.Done, r.Failed, tasks, done, failed)
	}
	if r.Executor.Kind != s.ex.Info().Kind || r.Wall <= 0 || r.User <= 0 || r.Batches < 1 || r.Waiting < 0 || r.Transport < 0 {
		s.Errorf("incomplete: %+v", r)
	}
	user, transport, waiting := r.Shares()
	if sum := user + transport + waiting; math.Abs(sum-1) > 1e-9 {
		s.Errorf("the shares %v, %v and %v add up to %v", user, transport, waiting, sum)
	}
	if s.features.Shared != (r.BytesOut == 0) || s.features.Shared != (r.BytesIn == 0) {
		s.Errorf("%d bytes out and %d in", r.BytesOut, r.BytesIn)
	}
	if len(r.Slowest) == 0 || !slices.IsSortedFunc(r.Slowest, func(a, b parade.Straggler) int { return cmp.Compare(b.Time, a.Time) }) {
		s.Errorf("the slowest batches are %+v", r.Slowest)
	}
	for _, b := range r.Slowest {
		if b.First < 0 || b.Len < 1 || b.First+b.Len > tasks || b.Worker == "" {
			s.Errorf("a straggler is %+v of %d tasks", b, tasks)
		}
	}
	if text := r.String(); text == "" || strings.Contains(text, "%!") {
		s.Errorf("bad text: %q", text)
	}
}

func (s *suite) accountReport() {
	var r parade.Report
	in := steps(200, func(st *step) { st.Sleep = time.Millisecond })
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.WithReport(&r))
	s.check(out, err, 200)
	s.checkReport(&r, 200, 200, 0)
	if r.Func != "paradetest.play" || r.User < 200*time.Millisecond || r.SpeedUp() <= 0 {
		s.Errorf("200 tasks of 1 ms give %+v", r)
	}
}

func (s *suite) accountReportFailure() {
	var r parade.Report
	in := steps(200, func(st *step) {
		if st.Value%10 == 0 {
			st.Act = "fail"
		}
	})
	_, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors(), parade.Retries(2), parade.WithReport(&r))
	s.jobError(err, 20)
	s.checkReport(&r, 200, 180, 20)
	if r.Retries != 40 {
		s.Errorf("%d retries, want 40", r.Retries)
	}
}

func (s *suite) accountReportStream() {
	var r parade.Report
	for res := range parade.Stream(s.ctx, s.ex, play, slices.Values(steps(300, nil)), parade.WithReport(&r)) {
		if res.Err != nil {
			s.Fatal(res.Err)
		}
	}
	s.checkReport(&r, 300, 300, 0)
}

func (s *suite) closeThenUse() {
	ex := s.own()
	out, err := parade.Map(s.ctx, ex, triple, numbers(10))
	s.check(out, err, 10)
	if err := ex.Close(); err != nil {
		s.Error(err)
	}
	if _, err := parade.Map(s.ctx, ex, triple, numbers(10)); !errors.Is(err, parade.ErrClosed) {
		s.Errorf("Map says %v, want ErrClosed", err)
	}
	if _, err := parade.Go(s.ctx, ex, triple, 1).Wait(s.ctx); !errors.Is(err, parade.ErrClosed) {
		s.Errorf("Go says %v, want ErrClosed", err)
	}
	n := 0
	for r := range parade.Stream(s.ctx, ex, triple, endless) {
		if n++; r.Index != -1 || !errors.Is(r.Err, parade.ErrClosed) {
			s.Errorf("the stream yields %+v, want ErrClosed", r)
		}
	}
	if n != 1 {
		s.Errorf("the stream yields %d results, want one error", n)
	}
	_ = ex.Info() // still answers
}

func (s *suite) closeTwice() {
	ex := s.own()
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			if err := ex.Close(); err != nil {
				s.Error(err)
			}
		})
	}
	calls.Wait()
}

func (s *suite) closeRunning() {
	ex := s.own()
	dir := s.TempDir()
	var closing sync.WaitGroup
	closing.Go(func() {
		for count(dir, "started-*") == 0 && s.ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := ex.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	})
	in := steps(30, func(st *step) { st.Act, st.Dir = "wait", dir })
	out, err := parade.Map(s.ctx, ex, play, in)
	closing.Wait()
	if !errors.Is(err, parade.ErrClosed) {
		s.Errorf("the error is %v, want ErrClosed", err)
	}
	s.consistent(s.jobError(err, 0), out)
}

func (s *suite) closeStreaming() {
	ex := s.own()
	read := 0
	var closing sync.WaitGroup
	var last parade.Result[int]
	for r := range parade.Stream(s.ctx, ex, triple, endless) {
		if read++; read == 100 {
			closing.Go(func() {
				if err := ex.Close(); err != nil {
					s.Errorf("close: %v", err)
				}
			})
		}
		last = r
	}
	closing.Wait()
	if last.Index != -1 || !errors.Is(last.Err, parade.ErrClosed) {
		s.Errorf("the last result is %+v, want ErrClosed", last)
	}
}

// closeAtOnce closes an executor that has hardly been opened.
func (s *suite) closeAtOnce() {
	for range 3 {
		ex := s.own()
		if err := ex.Close(); err != nil {
			s.Error(err)
		}
	}
}
