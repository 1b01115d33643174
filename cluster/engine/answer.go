package engine

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// errCancelled stops a job that may be taken up again.
var errCancelled = errors.New("the job was cancelled")

// unwanted says why a parcel is not to be run, if its job is over or its queue has been left.
func (e *engine) unwanted(h *held) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, over := e.ended[h.key()]
	switch {
	case over, h.source.gone:
		return errOver
	case h.source.left:
		return errCancelled
	}
	return nil
}

// deliverJob sends the answer for the tasks of a named job, with a summary for those who
// only count, and the inputs of tasks that failed.
func (e *engine) deliverJob(h *held, answer []byte, tasks parade.Parcel, failed []parade.Parcel) {
	s := queue.Summary{First: tasks.First, Len: tasks.Len()}
	whole := queue.JobAnswer{Data: answer}
	for _, p := range failed {
		s.Failed = append(s.Failed, [2]int{p.First, p.First + p.Len()})
		whole.Inputs = append(whole.Inputs, p.AppendTo(nil))
	}
	value, inputs := queue.JoinAnswer(whole)
	elsewhere := len(value) > queue.Inline
	if elsewhere {
		hash := queue.HashOf(value)
		if e.put(h, h.source.ID, hash, value) != nil {
			return
		}
		value = hash[:]
	}
	e.answer(h, &s, queue.AppendJobAnswer(nil, value, inputs, elsewhere))
}

// refuse answers that no engine can run the job.
func (e *engine) refuse(h *held, err error) {
	var s *queue.Summary
	if h.source.Job != nil {
		s = &queue.Summary{}
	}
	e.answer(h, s, queue.AppendAnswer(nil, parade.Refusal(err)))
}

// answer sends an answer, of a named job's with its summary.
func (e *engine) answer(h *held, s *queue.Summary, data []byte) {
	var header nats.Header
	if s != nil {
		header = nats.Header{queue.SummaryHeader: []string{s.String()}}
	}
	e.send(h, queue.Done(h.source.ID, h.job), header, data)
}
