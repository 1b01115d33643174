package cluster

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// TestStanding: the first answer for a task counts, failures of earlier rounds do not.
func TestStanding(t *testing.T) {
	t.Parallel()
	type told struct {
		seq, round uint64
		first, n   int
		failed     [][2]int
	}
	for name, tc := range map[string]struct {
		rounds       []uint64
		answers      []told
		done, failed int
		void         bool // the last answer's failure of its first task
	}{
		"all well":                      {nil, []told{{1, 1, 0, 4, nil}}, 4, 0, false},
		"some failed":                   {nil, []told{{1, 1, 0, 4, [][2]int{{1, 2}, {3, 4}}}}, 2, 2, false},
		"the first counts":              {nil, []told{{1, 1, 0, 1, nil}, {2, 1, 0, 1, [][2]int{{0, 1}}}}, 1, 0, false},
		"a failure that comes first":    {nil, []told{{1, 1, 0, 1, [][2]int{{0, 1}}}, {2, 1, 0, 1, nil}}, 0, 1, false},
		"a round has begun":             {[]uint64{1}, []told{{1, 1, 0, 4, [][2]int{{1, 3}}}}, 2, 0, true},
		"and has ended":                 {[]uint64{1}, []told{{1, 1, 0, 4, [][2]int{{1, 3}}}, {2, 2, 1, 2, [][2]int{{2, 3}}}}, 3, 1, false},
		"a late failure of round one":   {[]uint64{1}, []told{{1, 1, 0, 1, [][2]int{{0, 1}}}, {2, 1, 0, 1, [][2]int{{0, 1}}}}, 0, 0, true},
		"a late result of round one":    {[]uint64{1}, []told{{1, 1, 0, 1, [][2]int{{0, 1}}}, {2, 1, 0, 1, nil}}, 1, 0, true},
		"first failure during round 2":  {[]uint64{1}, []told{{1, 1, 0, 1, [][2]int{{0, 1}}}, {2, 1, 3, 1, [][2]int{{3, 4}}}}, 0, 1, false},
		"two rounds":                    {[]uint64{1, 2}, []told{{1, 1, 0, 1, [][2]int{{0, 1}}}, {2, 2, 0, 1, [][2]int{{0, 1}}}, {3, 3, 0, 1, nil}}, 1, 0, true},
		"two rounds, a failure of both": {[]uint64{1, 2}, []told{{1, 1, 0, 1, [][2]int{{0, 1}}}, {2, 2, 0, 1, [][2]int{{0, 1}}}, {3, 2, 0, 1, [][2]int{{0, 1}}}}, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStanding(&queue.JobRecord{Tasks: 4, Rounds: tc.rounds})
			var last *answer
			for _, a := range tc.answers {
				last = &answer{seq: a.seq, round: a.round, Summary: queue.Summary{First: a.first, Len: a.n, Failed: a.failed}}
				if err := s.see(last); err != nil {
					t.Fatal(err)
				}
			}
			s.end()
			if s.done != tc.done || s.failed != tc.failed {
				t.Errorf("%d done, %d failed; want %d and %d", s.done, s.failed, tc.done, tc.failed)
			}
			if got := s.void(last, last.First); got != tc.void && len(last.Failed) > 0 && last.Failed[0][0] == last.First {
				t.Errorf("the last failure is void: %v", got)
			}
		})
	}
	s := newStanding(&queue.JobRecord{Tasks: 4})
	if err := s.see(&answer{seq: 1, round: 1, Summary: queue.Summary{First: 3, Len: 2}}); err == nil {
		t.Error("an answer for more tasks than there are")
	}
}

// TestStandingSettles: whatever the order of answers, and however often tasks are run twice
// and failures sent again, each task is settled once by the answers to what was sent last.
func TestStandingSettles(t *testing.T) {
	t.Parallel()
	for range 200 {
		const n = 30
		var answers []*answer
		var rounds []uint64
		type sent struct{ task, round int }
		var under []sent
		for i := range n {
			under = append(under, sent{i, 1})
		}
		seq := uint64(0)
		for len(under) > 0 {
			k := rand.IntN(len(under))
			one := under[k]
			if rand.IntN(5) > 0 { // else it runs twice
				under = append(under[:k], under[k+1:]...)
			}
			seq++
			a := &answer{seq: seq, round: uint64(one.round), Summary: queue.Summary{First: one.task, Len: 1}}
			if rand.IntN(3) == 0 {
				a.Failed = [][2]int{{one.task, one.task + 1}}
			}
			answers = append(answers, a)
			if rand.IntN(10) > 0 {
				continue
			}
			s := newStanding(&queue.JobRecord{Tasks: n, Rounds: rounds})
			for _, a := range answers {
				if err := s.see(a); err != nil {
					t.Fatal(err)
				}
			}
			s.end()
			for i, state := range s.state {
				if state == taskFailed {
					under = append(under, sent{i, len(rounds) + 2})
				}
			}
			if s.failed > 0 {
				rounds = append(rounds, seq)
			}
		}
		s := newStanding(&queue.JobRecord{Tasks: n, Rounds: rounds})
		told := map[int]bool{}
		for _, a := range answers {
			if err := s.see(a); err != nil {
				t.Fatal(err)
			}
			if len(a.Failed) == 0 || !s.void(a, a.First) {
				told[a.First] = true
			}
		}
		s.end()
		if !s.settled() || len(told) != n {
			t.Fatalf("%d done and %d failed, %d told of %d", s.done, s.failed, len(told), n)
		}
	}
}

// TestStandingTakes: a count that somebody has kept is taken up, but not if a round has begun
// amid the answers that it counts, as a failure after that is not sent again.
func TestStandingTakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rounds []uint64
		failed int
		taken  bool
	}{
		"no round":             {nil, 2, true},
		"a round after it":     {[]uint64{2}, 0, true},
		"a round amid it":      {[]uint64{1}, 1, false},
		"and another after it": {[]uint64{1, 2}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			see := func(s *standing) {
				for task := range 2 {
					a := &answer{seq: uint64(task + 1), round: 1, Summary: queue.Summary{First: task, Len: 1, Failed: [][2]int{{task, task + 1}}}}
					if err := s.see(a); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := newStanding(&queue.JobRecord{Tasks: 2})
			see(before)
			s := newStanding(&queue.JobRecord{Tasks: 2, Rounds: tc.rounds})
			s.take(tallied{Last: before.last, Failed: before.failed, State: []byte{byte(before.state[0]), byte(before.state[1])}}, 2)
			if taken := s.last == before.last; taken != tc.taken {
				t.Errorf("taken: %v", taken)
			}
			if s.last == 0 {
				see(s) // as a reader then does
			}
			s.end()
			if s.failed != tc.failed {
				t.Errorf("%d failed, want %d", s.failed, tc.failed)
			}
		})
	}
}

// TestBeginRound: a round begins once, also when its record is changed again as nobody has
// confirmed that, but not after another's.
func TestBeginRound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failed        int
		before, after queue.JobRecord
		begun         bool
	}{
		"failures":                 {1, queue.JobRecord{Rounds: []uint64{3}}, queue.JobRecord{Rounds: []uint64{3, 7}}, true},
		"and once more":            {1, queue.JobRecord{Rounds: []uint64{3, 7}}, queue.JobRecord{Rounds: []uint64{3, 7}}, true},
		"another's":                {1, queue.JobRecord{Rounds: []uint64{3, 5}}, queue.JobRecord{Rounds: []uint64{3, 5}}, false},
		"two of others":            {1, queue.JobRecord{Rounds: []uint64{3, 7, 9}}, queue.JobRecord{Rounds: []uint64{3, 7, 9}}, false},
		"cancelled":                {0, queue.JobRecord{Rounds: []uint64{3}, Cancelled: true}, queue.JobRecord{Rounds: []uint64{3}}, true},
		"cancelled, failures":      {1, queue.JobRecord{Rounds: []uint64{3}, Cancelled: true}, queue.JobRecord{Rounds: []uint64{3, 7}}, true},
		"cancelled since it began": {1, queue.JobRecord{Rounds: []uint64{3, 7}, Cancelled: true}, queue.JobRecord{Rounds: []uint64{3, 7}, Cancelled: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &standing{rounds: []uint64{3}, failed: tc.failed, last: 7}
			if begun := s.beginRound(&tc.before); begun != tc.begun {
				t.Errorf("begun: %v", begun)
			}
			if diff := cmp.Diff(tc.after, tc.before); diff != "" {
				t.Error(diff)
			}
		})
	}
}
