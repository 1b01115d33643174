package paradetest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
)

var toldTests = []test{
	{"each task", needs{}, (*suite).toldEach},
	{"stream and future", needs{}, (*suite).toldStream},
	{"failures", needs{}, (*suite).toldFailures},
	{"a lost worker's task", needs{loses: true}, (*suite).toldLost},
	{"async", needs{}, (*suite).asyncWait},
	{"async, cancelled", needs{}, (*suite).asyncCancel},
	{"async, refused", needs{}, (*suite).asyncRefused},
}

// checkInfo wants times in their order, and a place.
func (s *suite) checkInfo(t parade.TaskInfo, begin time.Time) {
	s.Helper()
	name := s.features.Host
	if name == "" {
		name, _ = os.Hostname()
	}
	switch {
	case t.Worker == "" || t.Attempt < 1:
		s.Errorf("task %d: worker %q, attempt %d", t.Index, t.Worker, t.Attempt)
	case t.Host != name && t.Host != "localhost":
		s.Errorf("task %d: host %q, want %q", t.Index, t.Host, name)
	case t.Submitted.Before(begin) || t.Started.Before(t.Submitted.Add(-time.Millisecond)) || t.Completed.Before(t.Started) || t.Received.Before(t.Submitted):
		s.Errorf("task %d: submitted %v, started %v, completed %v, received %v", t.Index, t.Submitted, t.Started, t.Completed, t.Received)
	}
}

func (s *suite) toldEach() {
	begin := time.Now().Round(0)
	for _, size := range []int{0, 1, 7} {
		in := steps(60, func(st *step) { st.Sleep = time.Duration(st.Value%3) * time.Millisecond })
		opts := []parade.Option{}
		if size > 0 {
			opts = append(opts, parade.BatchSize(size))
		}
		var got []int
		_, err := parade.Map(s.ctx, s.ex, play, in, append(opts, parade.OnTask(func(t parade.TaskInfo) {
			got = append(got, t.Index) // one call at a time
			s.checkInfo(t, begin)
			if t.Err != nil || t.Time() < in[t.Index].Sleep {
				s.Errorf("task %d: took %v, %v", t.Index, t.Time(), t.Err)
			}
		}))...)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, numbers(60)) {
			s.Errorf("told of %v, %v", got, err)
		}
	}
}

func (s *suite) toldStream() {
	begin := time.Now().Round(0)
	n := 0
	for r := range parade.Stream(s.ctx, s.ex, play, slices.Values(steps(30, nil)), parade.OnTask(func(t parade.TaskInfo) {
		n++
		s.checkInfo(t, begin)
	})) {
		if r.Err != nil {
			s.Error(r.Err)
		}
	}
	if n != 30 {
		s.Errorf("told of %d of a stream's 30 tasks", n)
	}
	n = 0
	if _, err := parade.Go(s.ctx, s.ex, play, step{}, parade.OnTask(func(parade.TaskInfo) { n++ })).Wait(s.ctx); err != nil || n != 1 {
		s.Errorf("told %d times of one call: %v", n, err)
	}
}

func (s *suite) toldFailures() {
	begin := time.Now().Round(0)
	in := steps(20, func(st *step) {
		switch st.Value {
		case 3:
			st.Act = "fail"
		case 5:
			st.Act, st.Until = "fail", 2
		case 8:
			st.Act = "panic"
		}
	})
	infos := map[int]parade.TaskInfo{}
	_, err := parade.Map(s.ctx, s.ex, play, in, parade.Retries(2), parade.CollectErrors(), parade.OnTask(func(t parade.TaskInfo) {
		if _, twice := infos[t.Index]; twice {
			s.Errorf("told twice of task %d", t.Index)
		}
		infos[t.Index] = t
		s.checkInfo(t, begin)
	}))
	s.jobError(err, 2)
	var e *parade.TaskError
	if t := infos[3]; t.Attempt != 3 || !errors.As(t.Err, &e) || e.Index != 3 {
		s.Errorf("a task that failed: attempt %d, %v", t.Attempt, t.Err)
	}
	if t := infos[5]; t.Attempt != 3 || t.Err != nil {
		s.Errorf("a task that failed twice: attempt %d, %v", t.Attempt, t.Err)
	}
	if t := infos[8]; !errors.Is(t.Err, parade.ErrPanic) {
		s.Errorf("a task that panicked: %v", t.Err)
	}
	if len(infos) != len(in) {
		s.Errorf("told of %d tasks of %d", len(infos), len(in))
	}
}

func (s *suite) toldLost() {
	in := steps(20, nil)
	in[7].Act, in[7].Until = "kill", 1
	in[9].Act = "kill"
	infos := map[int]parade.TaskInfo{}
	_, err := parade.Map(s.ctx, s.own(), play, in, parade.Crashes(2), parade.CollectErrors(), parade.OnTask(func(t parade.TaskInfo) { infos[t.Index] = t }))
	s.jobError(err, 1)
	if t := infos[7]; t.Attempt != 2 || t.Err != nil || t.Started.IsZero() {
		s.Errorf("a task whose worker was lost once: %+v", t)
	}
	if t := infos[9]; !errors.Is(t.Err, parade.ErrWorkerLost) || t.Worker == "" || !t.Started.IsZero() {
		s.Errorf("a task that costs every worker: %+v", t)
	}
}

func (s *suite) asyncWait() {
	dir := s.TempDir()
	in := steps(40, func(st *step) { st.Act, st.Dir = "await", dir })
	if s.features.Holds { // the call has ended when MapAsync returns
		touch(dir, "go")
	}
	var report parade.Report
	a := parade.MapAsync(s.ctx, s.ex, play, in, parade.WithReport(&report))
	if !s.features.Holds {
		short, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond)
		if _, err := a.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("waiting in vain: %v", err)
		}
		cancel()
		if _, ended := a.Report(); ended || a.Progress().Ended {
			s.Error("the call has ended before its tasks could")
		}
		touch(dir, "go")
	}
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			out, err := a.Wait(s.ctx)
			if err != nil || len(out) != 40 || out[39] != result(39) {
				s.Errorf("results %v, %v", out, err)
			}
		})
	}
	waiting.Wait()
	<-a.Done()
	if p := a.Progress(); !p.Ended || p.Done != 40 {
		s.Errorf("progress at the end: %+v", p)
	}
	if r, ended := a.Report(); !ended || r.Done != 40 || r.SpeedUp() <= 0 || report.Done != 40 {
		s.Errorf("report at the end: %+v", r)
	}
	tasks := a.Tasks()
	if len(tasks) != 40 {
		s.Fatalf("%d tasks are known", len(tasks))
	}
	for i, t := range tasks {
		if t.Index != i {
			s.Fatalf("task %d is at %d", t.Index, i)
		}
	}
}

func (s *suite) asyncCancel() {
	if s.features.Holds {
		return // it has ended before anybody can cancel it
	}
	dir := s.TempDir()
	in := steps(100, func(st *step) { st.Act, st.Dir = "wait", dir })
	a := parade.MapAsync(s.ctx, s.ex, play, in)
	s.eventually("a task that runs", func() bool { return count(dir, "started-*") > 0 })
	a.Cancel()
	if _, err := a.Wait(s.ctx); !errors.Is(err, context.Canceled) {
		s.Errorf("the error is %v, want context.Canceled", err)
	}
	a.Cancel() // a second time does nothing
	s.eventually("tasks that see the end of their context", func() bool {
		return count(dir, "ended-*") == count(dir, "started-*")
	})
}

func (s *suite) asyncRefused() {
	a := parade.MapAsync(s.ctx, s.ex, play, steps(3, nil), parade.Workers(-1))
	_, err := a.Wait(s.ctx)
	if err == nil || !strings.Contains(err.Error(), "Workers(-1)") || !a.Progress().Ended || a.Tasks() != nil {
		s.Errorf("the error is %v, tasks %v", err, a.Tasks())
	}
	a.Cancel()
}
