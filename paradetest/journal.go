package paradetest

import (
	"errors"
	"path/filepath"
	"slices"

	"github.com/parade-go/parade"
)

var journalTests = []test{
	{"map", needs{}, (*suite).journalMap},
	{"stream", needs{}, (*suite).journalStream},
}

// journalMap leaves gaps in a journal, with batches that fail in part, and has the
// next call fill them.
func (s *suite) journalMap() {
	const n = 200
	keep := parade.Journal(filepath.Join(s.TempDir(), "journal"))
	sevenths := 0
	in := steps(n, func(st *step) {
		if st.Value%7 == 0 {
			sevenths++
			st.Act = []string{"fail", "panic"}[st.Value%2]
		}
	})
	_, err := parade.Map(s.ctx, s.ex, play, in, parade.CollectErrors(), parade.BatchSize(20), keep)
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != sevenths || job.Done != n-sevenths {
		s.Fatalf("%v, want %d failures", err, sevenths)
	}
	var report parade.Report
	out, err := parade.Map(s.ctx, s.ex, play, steps(n, nil), parade.WithReport(&report), keep)
	s.check(out, err, n)
	if report.Journaled != n-sevenths || report.Done != n {
		s.Errorf("%d of %d results came from the journal, want %d", report.Journaled, report.Done, n-sevenths)
	}
}

// journalStream leaves a stream early and has the next call continue it.
func (s *suite) journalStream() {
	const n, first = 200, 50
	keep := parade.Journal(filepath.Join(s.TempDir(), "journal"))
	for r := range parade.Stream(s.ctx, s.ex, play, slices.Values(steps(n, nil)), keep) {
		if r.Err != nil {
			s.Fatal(r.Err)
		}
		if r.Index == first-1 {
			break
		}
	}
	var report parade.Report
	var out []int
	for r := range parade.Stream(s.ctx, s.ex, play, slices.Values(steps(n, nil)), keep, parade.WithReport(&report)) {
		if r.Err != nil {
			s.Fatal(r.Err)
		}
		out = append(out, r.Value)
	}
	s.check(out, nil, n)
	if report.Journaled < first || report.Done != n {
		s.Errorf("%d of %d results came from the journal, want at least %d", report.Journaled, report.Done, first)
	}
}
