package cluster

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/gob"
	"fmt"
	"io"

	"github.com/parade-go/parade/cluster/internal/queue"
)

// standing is what has become of the tasks of a job, by its answers in their order. The
// first answer for a task counts, a failure only until the task is sent again, which is
// what begins a round.
type standing struct {
	rounds       []uint64 // as the record has them
	begun        int      // of these, by the answers so far
	state        []taskState
	sent         []uint32 // by how many rounds had begun when a task was sent last; nil: all by none
	done, failed int
	last         uint64 // answer
}

type taskState uint8

const (
	taskOpen taskState = iota
	taskDone
	taskFailed
)

func newStanding(j *queue.JobRecord) *standing {
	s := &standing{rounds: j.Rounds, state: make([]taskState, j.Tasks)}
	if len(j.Rounds) > 0 {
		s.sent = make([]uint32, j.Tasks)
	}
	return s
}

// settled says that all tasks have a result or have failed, after all answers.
func (s *standing) settled() bool { return s.done+s.failed == len(s.state) }

// begin begins the rounds that began before an answer.
func (s *standing) begin(seq uint64) {
	for ; s.begun < len(s.rounds) && s.rounds[s.begun] < seq; s.begun++ {
		for i, was := range s.state {
			if was == taskFailed {
				s.state[i], s.sent[i] = taskOpen, uint32(s.begun+1)
			}
		}
		s.failed = 0
	}
}

// end is for when there are no more answers.
func (s *standing) end() { s.begin(^uint64(0)) }

// see takes an answer.
func (s *standing) see(a *answer) error {
	if a.First+a.Len > len(s.state) {
		return fmt.Errorf("an answer for tasks up to %d of %d", a.First+a.Len, len(s.state))
	}
	s.begin(a.seq)
	s.last = a.seq
	i := a.First
	good := func(to int) {
		for ; i < to; i++ {
			if s.state[i] == taskOpen {
				s.state[i] = taskDone
				s.done++
			}
		}
	}
	for _, bad := range a.Failed {
		good(bad[0])
		for ; i < bad[1]; i++ {
			if s.state[i] == taskOpen && !s.superseded(a, i) {
				s.state[i] = taskFailed
				s.failed++
			}
		}
	}
	good(a.First + a.Len)
	return nil
}

// superseded says that a task was sent again in a later round than that of an answer.
func (s *standing) superseded(a *answer, task int) bool {
	return s.sent != nil && a.round <= uint64(s.sent[task])
}

// void says that a failure which the answer seen last tells of does not count now.
func (s *standing) void(a *answer, task int) bool {
	n := len(s.rounds)
	return n > 0 && a.seq <= s.rounds[n-1] || s.superseded(a, task)
}

// manyAnswers is from how many answers on it is worth while to keep what has been counted.
const manyAnswers = 5000

// tallied is a standing as it is kept.
type tallied struct {
	Last         uint64
	Begun        int
	Done, Failed int
	State        []byte
	Sent         []uint32
}

// recall takes up what somebody has counted of the answers before, if there are many.
func (s *standing) recall(ctx context.Context, from *answers) error {
	stream, err := from.stream(ctx)
	if err != nil {
		return err
	}
	until := stream.CachedInfo().State.LastSeq
	if until < manyAnswers {
		return nil
	}
	data, err := queue.GetCount(ctx, from.js, from.record.ID)
	if err != nil {
		return nil // nobody has yet
	}
	var c tallied
	most := int64(len(s.state))*16 + 1<<20
	if gob.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(data)), most)).Decode(&c) != nil {
		return nil
	}
	s.take(c, until)
	from.last = s.last
	return nil
}

// take takes what was counted, unless it makes no sense, or counts answers from after the
// beginning of a round that nobody knew of then.
func (s *standing) take(c tallied, until uint64) {
	if len(c.State) != len(s.state) || c.Begun > len(s.rounds) || c.Last > until || len(c.Sent) != 0 && len(c.Sent) != len(s.state) {
		return
	}
	if c.Begun < len(s.rounds) && s.rounds[c.Begun] < c.Last {
		return
	}
	for i, state := range c.State {
		s.state[i] = taskState(state)
	}
	s.begun, s.done, s.failed, s.last = c.Begun, c.Done, c.Failed, c.Last
	copy(s.sent, c.Sent)
}

// remember keeps what has been counted. It is no harm if that fails.
func (s *standing) remember(ctx context.Context, from *answers) {
	c := tallied{Last: s.last, Begun: s.begun, Done: s.done, Failed: s.failed, State: make([]byte, len(s.state)), Sent: s.sent}
	for i, state := range s.state {
		c.State[i] = byte(state)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil && gob.NewEncoder(w).Encode(c) == nil && w.Close() == nil {
		_ = queue.PutCount(ctx, from.js, from.record.ID, b.Bytes())
	}
}
