package engine

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// errCancelled stops a job that may be taken up again.
var errCancelled = errors.New("the job was cancelled")

// unwanted says why a parcel is not to be run, if its queue has been left.
func (e *engine) unwanted(h *held) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case h.source.left:
		return errCancelled
	case h.source.gone:
		return errOver
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
	e.send(h, s, queue.AppendJobAnswer(nil, value, inputs, elsewhere))
}

// refuse answers that no engine can run the job.
func (e *engine) refuse(h *held, err error) {
	refusal := queue.AppendAnswer(nil, parade.Refusal(err))
	if h.source.Job != nil {
		e.send(h, queue.Summary{}, refusal)
		return
	}
	e.answer(h, refusal)
}

func (e *engine) send(h *held, s queue.Summary, data []byte) {
	header := nats.Header{queue.SummaryHeader: []string{s.String()}}
	e.courier.SendWith(queue.Done(h.source.ID, h.job), header, data, func() { e.confirmed(h) })
}
