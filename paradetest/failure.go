package paradetest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade"
)

var errorTests = []test{
	{"stop at the first", needs{}, (*suite).errorStop},
	{"stop after some", needs{}, (*suite).errorStopAfter},
	{"collect", needs{}, (*suite).errorCollect},
	{"all fail", needs{}, (*suite).errorAll},
	{"unfinished", needs{}, (*suite).errorUnfinished},
	{"identity", needs{}, (*suite).errorIdentity},
	{"result not sent", needs{}, (*suite).errorResult},
	{"input not sent", needs{}, (*suite).errorInput},
	{"input of a stream not sent", needs{remote: true}, (*suite).errorStreamInput},
	{"bound argument not sent", needs{remote: true}, (*suite).errorBound},
}

var panicTests = []test{
	{"value", needs{}, (*suite).panicValue},
	{"error", needs{}, (*suite).panicError},
	{"runtime error", needs{}, (*suite).panicRuntime},
	{"goexit", needs{replaces: true}, (*suite).panicGoexit},
}

var retryTests = []test{
	{"enough", needs{}, (*suite).retryEnough},
	{"too few", needs{}, (*suite).retryTooFew},
	{"panic", needs{}, (*suite).retryPanic},
	{"stream", needs{}, (*suite).retryStream},
}

var timeoutTests = []test{
	{"cooperative", needs{}, (*suite).timeoutCooperative},
	{"not reached", needs{}, (*suite).timeoutNotReached},
	{"retried", needs{}, (*suite).timeoutRetried},
	{"ignored", needs{replaces: true}, (*suite).timeoutIgnored},
}

// jobError wants the error of a job, with so many failed tasks.
func (s *suite) jobError(err error, failed int) *parade.JobError {
	s.Helper()
	var job *parade.JobError
	if !errors.As(err, &job) {
		s.Fatalf("the error is %v (%T), want a JobError", err, err)
	}
	if len(job.Failed) != failed {
		s.Fatalf("%d tasks failed, want %d: %v", len(job.Failed), failed, err)
	}
	if !slices.IsSortedFunc(job.Failed, func(a, b *parade.TaskError) int { return a.Index - b.Index }) {
		s.Fatalf("failures are not in order: %v", err)
	}
	if msg := err.Error(); msg == "" || strings.Contains(msg, "%!") {
		s.Fatalf("bad message: %q", msg)
	}
	return job
}

// consistent wants results, counts and unfinished inputs to agree.
func (s *suite) consistent(job *parade.JobError, out []int) {
	s.Helper()
	open, last := 0, -1
	for _, r := range job.Unfinished {
		if r.First <= last || r.Len < 1 || r.First+r.Len > len(out) {
			s.Fatalf("unfinished inputs are not ascending ranges of inputs: %v", job.Unfinished)
		}
		last = r.First + r.Len // two ranges that touch are one
		for i := r.First; i < r.First+r.Len; i++ {
			open++
			if out[i] != 0 {
				s.Fatalf("input %d is unfinished and has result %d", i, out[i])
			}
		}
	}
	for i, v := range out {
		if v != 0 && v != result(i) {
			s.Fatalf("result %d is %d, want %d", i, v, result(i))
		}
	}
	if job.Tasks != len(out) || job.Done != len(out)-open {
		s.Fatalf("%d of %d tasks are done, want %d of %d", job.Done, job.Tasks, len(out)-open, len(out))
	}
	for _, task := range job.Failed {
		if out[task.Index] != 0 {
			s.Fatalf("input %d failed and has result %d", task.Index, out[task.Index])
		}
	}
}

// taskError wants a task's error to be complete.
func (s *suite) taskError(e *parade.TaskError, name string, index, attempt int, kind parade.Kind) {
	s.Helper()
	if e.Func != name || e.Index != index || e.Attempt != attempt || e.Kind != kind || e.Err == nil {
		s.Errorf("the error is of %s, input %d, attempt %d, kind %v: %v; want %s, input %d, attempt %d, kind %v",
			e.Func, e.Index, e.Attempt, e.Kind, e.Err, name, index, attempt, kind)
	}
	if e.Worker == "" && kind != parade.Unsendable {
		s.Errorf("the error names no worker: %v", e)
	}
}

func (s *suite) errorStop() {
	in := steps(2000, func(st *step) {
		if st.Value == 10 {
			st.Act = "fail"
		}
	})
	out, err := parade.Map(s.ctx, s.ex, play, in)
	job := s.jobError(err, 1)
	s.taskError(job.Failed[0], "paradetest.play", 10, 1, parade.Failed)
	if job.Err != nil || job.Func != "paradetest.play" {
		s.Errorf("the job's error has Err %v and Func %q", job.Err, job.Func)
	}
	if !strings.Contains(err.Error(), "no such value: 10") {
		s.Errorf("the message %q does not have the function's own", err)
	}
	s.consistent(job, out)
}

func (s *suite) errorStopAfter() {
	in := steps(500, func(st *step) {
		if st.Value%2 == 1 {
			st.Act = "fail"
		}
	})
	for _, size := range []int{1, 50} {
		out, err := parade.Map(s.ctx, s.ex, play, in, parade.StopAfter(7), parade.BatchSize(size))
		s.consistent(s.jobError(err, 7), out)
	}
	// Fewer failures than that do not stop it.
	out, err := parade.Map(s.ctx, s.ex, play, in[:10], parade.StopAfter(7))
	job := s.jobError(err, 5)
	s.consistent(job, out)
	if job.Done != 5 {
		s.Errorf("%d tasks are done, want 5", job.Done)
	}
}

func (s *suite) errorCollect() {
	var missing []int
	in := steps(1000, func(st *step) {
		if st.Value%97 == 3 {
			st.Act = "fail"
			missing = append(missing, st.Value)
		}
	})
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors())
	job := s.jobError(err, len(missing))
	for k, e := range job.Failed {
		s.taskError(e, "paradetest.play", missing[k], 1, parade.Failed)
	}
	s.checkResults(out, 1000, missing)
	s.consistent(job, out)
}

func (s *suite) errorAll() {
	in := steps(300, func(st *step) { st.Act = "fail" })
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors())
	job := s.jobError(err, 300)
	s.consistent(job, out)
	if want := (parade.Range{First: 0, Len: 300}); len(job.Unfinished) != 1 || job.Unfinished[0] != want {
		s.Errorf("unfinished is %v, want %v", job.Unfinished, want)
	}
}

func (s *suite) errorUnfinished() {
	in := steps(12, func(st *step) {
		if st.Value == 0 || st.Value == 4 || st.Value == 5 || st.Value == 11 {
			st.Act = "fail"
		}
	})
	_, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors())
	job := s.jobError(err, 4)
	if want := []parade.Range{{First: 0, Len: 1}, {First: 4, Len: 2}, {First: 11, Len: 1}}; !slices.Equal(job.Unfinished, want) {
		s.Errorf("unfinished is %v, want %v", job.Unfinished, want)
	}
}

// errorIdentity: errors.Is and errors.As find what was declared, wherever the
// function ran.
func (s *suite) errorIdentity() {
	isRange := func(err error) bool {
		var r *rangeError
		return errors.As(err, &r) && *r == rangeError{8, 0, 5}
	}
	for _, tc := range []struct {
		act, message string
		holds        func(error) bool
	}{
		{"fail", "no such value: 8", func(err error) bool { return !errors.Is(err, errRefused) && !isRange(err) }},
		{"sentinel", "value 8: refused", func(err error) bool { return errors.Is(err, errRefused) }},
		{"unknown", "value 8: not known elsewhere", func(err error) bool { return errors.Is(err, errUnknown) == s.features.Shared }},
		{"typed", "reading: 8 is not in [0, 5]", isRange},
		{"joined", "and refused", func(err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && isRange(err) && errors.Is(err, errRefused)
		}},
		{"file", "missing", func(err error) bool {
			var path *fs.PathError
			return errors.Is(err, fs.ErrNotExist) && errors.As(err, &path) && path.Op == "open"
		}},
		{"nested", "input 1 failed", func(err error) bool {
			var job *parade.JobError // the job in the task, not the one around it
			if errors.As(err, &job) && job.Func == "paradetest.play" {
				err = job.Failed[0].Err
			}
			return errors.As(err, &job) && job.Func == "paradetest.refuse" && job.Tasks == 2 && job.Failed[0].Index == 1 &&
				job.Failed[0].Func == "paradetest.refuse" && errors.Is(err, errRefused)
		}},
	} {
		_, err := parade.Map(s.ctx, s.ex, play, []step{{Value: 8, Act: tc.act, Dir: s.TempDir()}})
		task := s.jobError(err, 1).Failed[0]
		s.taskError(task, "paradetest.play", 0, 1, parade.Failed)
		if !tc.holds(err) || !tc.holds(task) {
			s.Errorf("%s: the identity of %v (%T) is lost or wrong", tc.act, task.Err, task.Err)
		}
		if !strings.Contains(err.Error(), tc.message) {
			s.Errorf("%s: the message is %q, want it to have %q", tc.act, err, tc.message)
		}
		for _, target := range []error{parade.ErrPanic, parade.ErrTimeout, parade.ErrWorkerLost, parade.ErrEncode, parade.ErrClosed} {
			if errors.Is(err, target) {
				s.Errorf("%s: the error is %v, too", tc.act, target)
			}
		}
	}
}

func (s *suite) errorResult() {
	in := steps(40, nil)
	in[13].Act, in[20].Act = "ring", "ring"
	for _, size := range []int{1, 40} {
		out, err := parade.Map(s.ctx, s.ex, makeRing, in, parade.CollectErrors(), parade.BatchSize(size), parade.Retries(2))
		if s.features.Shared {
			if err != nil || out[13].Next == nil {
				s.Errorf("results need no encoding here: %v", err)
			}
			continue
		}
		job := s.jobError(err, 2)
		s.taskError(job.Failed[0], "paradetest.makeRing", 13, 1, parade.Unsendable)
		s.taskError(job.Failed[1], "paradetest.makeRing", 20, 1, parade.Unsendable)
		if !errors.Is(err, parade.ErrEncode) {
			s.Errorf("%v is not ErrEncode", err)
		}
		for i, r := range out {
			if i != 13 && i != 20 && r.Value != i {
				s.Errorf("result %d is %+v", i, r)
			}
		}
	}
}

func rings(n int, shut ...int) []ring {
	all := make([]ring, n)
	for i := range all {
		all[i].Value = i
		if slices.Contains(shut, i) {
			all[i] = closed(i)
		}
	}
	return all
}

func (s *suite) errorInput() {
	for _, size := range []int{1, 40} {
		out, err := parade.Map(s.ctx, s.ex, openRing, rings(40, 0, 13, 39), parade.CollectErrors(), parade.BatchSize(size))
		if s.features.Shared {
			s.check(out, err, 40)
			continue
		}
		job := s.jobError(err, 3)
		for k, i := range []int{0, 13, 39} {
			s.taskError(job.Failed[k], "paradetest.openRing", i, 1, parade.Unsendable)
		}
		if !errors.Is(err, parade.ErrEncode) {
			s.Errorf("%v is not ErrEncode", err)
		}
		s.checkResults(out, 40, []int{0, 13, 39})
		s.consistent(job, out)
	}
}

func (s *suite) errorStreamInput() {
	next := 0
	for r := range parade.Stream(s.ctx, s.ex, openRing, slices.Values(rings(40, 5)), parade.CollectErrors()) {
		if r.Index != next || errors.Is(r.Err, parade.ErrEncode) != (next == 5) || next != 5 && r.Value != result(next) {
			s.Fatalf("result %d is %+v", next, r)
		}
		next++
	}
	if next != 40 {
		s.Errorf("%d results for 40 inputs", next)
	}
}

func (s *suite) errorBound() {
	_, err := parade.Map(s.ctx, s.ex, parade.Bind(addRing, closed(1)), numbers(3))
	if !errors.Is(err, parade.ErrEncode) || !strings.Contains(err.Error(), "paradetest.addRing") {
		s.Errorf("the error is %v, want ErrEncode with the function's name", err)
	}
}

// panicked runs 50 tasks, of which number 17 panics in some way.
func (s *suite) panicked(how string) *parade.TaskError {
	s.Helper()
	in := steps(50, nil)
	in[17].Act = how
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors())
	job := s.jobError(err, 1)
	s.checkResults(out, 50, []int{17})
	s.taskError(job.Failed[0], "paradetest.play", 17, 1, parade.Panicked)
	if !errors.Is(err, parade.ErrPanic) {
		s.Errorf("%v is not ErrPanic", err)
	}
	return job.Failed[0]
}

func (s *suite) panicValue() {
	e := s.panicked("panic")
	if !strings.Contains(e.Error(), "value 17 went too far") {
		s.Errorf("the message %q does not have the panic's value", e)
	}
	if !strings.Contains(e.Stack, "paradetest.act") {
		s.Errorf("the stack does not show where it was:\n%s", e.Stack)
	}
}

func (s *suite) panicError() {
	if e := s.panicked("panic error"); !errors.Is(e, errRefused) {
		s.Errorf("%v is not the error that the function panicked with", e)
	}
}

func (s *suite) panicRuntime() {
	if e := s.panicked("panic runtime"); !strings.Contains(e.Error(), "index out of range [17]") {
		s.Errorf("the message %q does not have the runtime's", e)
	}
}

func (s *suite) panicGoexit() {
	if e := s.panicked("goexit"); !strings.Contains(e.Error(), "Goexit") {
		s.Errorf("the message %q does not say what happened", e)
	}
}

func (s *suite) retryEnough() {
	in := steps(100, func(st *step) {
		if st.Value%10 == 0 {
			st.Act, st.Until = "fail", 2
		}
	})
	var report parade.Report
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.Retries(2), parade.WithReport(&report))
	s.check(out, err, 100)
	if report.Retries != 20 || report.Failed != 0 {
		s.Errorf("%d retries and %d failures, want 20 and 0", report.Retries, report.Failed)
	}
}

func (s *suite) retryTooFew() {
	in := steps(100, func(st *step) {
		if st.Value%10 == 0 {
			st.Act = "sentinel"
		}
	})
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.Retries(2), parade.CollectErrors())
	job := s.jobError(err, 10)
	for k, e := range job.Failed {
		s.taskError(e, "paradetest.play", 10*k, 3, parade.Failed)
	}
	s.consistent(job, out)
}

func (s *suite) retryPanic() {
	in := steps(20, func(st *step) { st.Act, st.Until = "panic", 1 })
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.Retries(1))
	s.check(out, err, 20)
}

func (s *suite) retryStream() {
	in := steps(100, func(st *step) { st.Act, st.Until = "fail", st.Value%3 })
	for i := range in {
		if in[i].Until == 0 {
			in[i].Act = ""
		}
	}
	next := 0
	for r := range parade.Stream(s.ctx, s.ex, play, slices.Values(in), parade.Retries(2)) {
		if r.Err != nil || r.Index != next || r.Value != result(next) {
			s.Fatalf("result %d is %+v", next, r)
		}
		next++
	}
	if next != 100 {
		s.Errorf("%d results for 100 inputs", next)
	}
}

// timedOut runs 20 tasks, of which number 4 does not end in time.
func (s *suite) timedOut(ex parade.Executor, act string, gate int) {
	s.Helper()
	in := steps(20, nil)
	in[4].Act, in[4].Gate = act, gate
	out, err := parade.Map(s.ctx, ex, play, in, parade.Timeout(300*time.Millisecond), parade.CollectErrors())
	job := s.jobError(err, 1)
	s.taskError(job.Failed[0], "paradetest.play", 4, 1, parade.TimedOut)
	if !errors.Is(err, parade.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("%v is not ErrTimeout and DeadlineExceeded", err)
	}
	s.checkResults(out, 20, []int{4})
}

func (s *suite) timeoutCooperative() { s.timedOut(s.ex, "wait", 0) }

func (s *suite) timeoutIgnored() {
	ex := s.own()
	gate := s.gate() // opens before the executor is closed
	s.timedOut(ex, "ignore", gate)
	// The executor still has all its workers.
	dir, n := s.TempDir(), ex.Info().Workers
	in := steps(n, func(st *step) { st.Act, st.Dir, st.Gate = "meet", dir, n })
	out, err := parade.Map(s.ctx, ex, play, in)
	s.check(out, err, n)
}

func (s *suite) timeoutNotReached() {
	in := steps(200, nil)
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.Timeout(time.Minute))
	s.check(out, err, 200)
}

func (s *suite) timeoutRetried() {
	in := steps(5, func(st *step) {
		if st.Value == 2 {
			st.Act, st.Until = "wait", 1
		}
	})
	out, err := parade.Map(s.ctx, s.ex, play, in, parade.Timeout(300*time.Millisecond), parade.Retries(1))
	s.check(out, err, 5)
}
