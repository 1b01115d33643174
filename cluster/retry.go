package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// errFaster is for a retry that finds that another has begun a round meanwhile.
var errFaster = errors.New("somebody else is running it again at this moment")

// Retry runs again the tasks of a job that have failed so far, and goes on with a job that
// was cancelled. It returns how many tasks that are. Their inputs are with the cluster, so
// that any program can call it, at any time, also while others of the job's tasks run. Tasks
// that have a result are not run again.
func Retry(ctx context.Context, c *Client, name string) (tasks int, err error) {
	r, err := c.job(ctx, name)
	if err != nil {
		return 0, err
	}
	if !r.Job.Complete {
		return 0, fmt.Errorf("job %s: %w; remove it and submit it again", name, ErrSubmitting)
	}
	j, s, err := stands(ctx, c.js, r)
	if err != nil {
		return 0, err
	}
	if j.Err != nil {
		return 0, fmt.Errorf("job %s cannot be run again, as no engine can run it; remove it: %w", name, j.Err)
	}
	if r.Job.Cancelled {
		tasks = j.Tasks - j.Done - j.Failed
	}
	if j.Failed == 0 && !r.Job.Cancelled {
		return 0, nil
	}
	// Only when the inputs are stored does the round begin: until then the failures count.
	if err := c.sendAgain(ctx, r, s); err != nil {
		return 0, fmt.Errorf("job %s: %w", name, err)
	}
	faster := false
	err = queue.Change(ctx, c.js, r.ID, func(now *queue.Record) { faster = !s.beginRound(now.Job) })
	if err == nil && faster {
		err = fmt.Errorf("job %s: %w", name, errFaster)
	}
	return tasks + j.Failed, err
}

// beginRound has a job run again what has failed, by its record, which may have had that done to
// it before: the confirmation was lost. It returns false when another has begun a round.
func (s *standing) beginRound(j *queue.JobRecord) bool {
	n := len(s.rounds)
	switch {
	case s.failed > 0 && len(j.Rounds) == n+1 && j.Rounds[n] == s.last:
		return true
	case len(j.Rounds) != n:
		return false
	case s.failed > 0:
		j.Rounds = append(j.Rounds, s.last)
	}
	j.Cancelled = false
	return true
}

// sendAgain stores the inputs of the tasks that have failed for the next round.
func (c *Client) sendAgain(ctx context.Context, r queue.Record, s *standing) error {
	if s.failed == 0 {
		return nil
	}
	to := c.posting(ctx, r.ID, queue.Number(r.Job.Round()+1), r.Job.Head)
	defer to.end()
	if err := c.bindAgain(ctx, r, to); err != nil {
		return err
	}
	from := answers{js: c.js, record: r, summaries: true}
	stream, err := from.stream(ctx)
	if err != nil {
		return err
	}
	sent := 0
	err = from.read(ctx, false, func(a *answer) (bool, error) {
		if !s.anyFailed(a) {
			return a.seq < s.last, nil
		}
		whole, err := from.get(ctx, stream, a.seq)
		if err != nil {
			return false, err
		}
		for _, data := range whole.Inputs {
			p, err := parade.ParseParcel(data)
			if err != nil {
				return false, err
			}
			for lo := 0; lo < p.Len(); lo++ {
				hi := lo
				for hi < p.Len() && s.state[p.First+hi] == taskFailed {
					s.state[p.First+hi] = taskOpen // it is on its way
					hi++
				}
				if hi == lo {
					continue
				}
				if err := to.send(p.First+lo, p.Slice(lo, hi).AppendTo(nil)); err != nil {
					return false, err
				}
				sent += hi - lo
				lo = hi
			}
		}
		return sent < s.failed && a.seq < s.last, nil
	})
	if err == nil {
		err = to.wait()
	}
	if err == nil && sent != s.failed {
		err = fmt.Errorf("of %d failed tasks, the inputs of %d are there", s.failed, sent)
	}
	return err
}

// anyFailed says whether a task that an answer calls failed counts as that.
func (s *standing) anyFailed(a *answer) bool {
	for _, bad := range a.Failed {
		for i := bad[0]; i < bad[1] && i < len(s.state); i++ {
			if s.state[i] == taskFailed {
				return true
			}
		}
	}
	return false
}

// bindAgain gives the bound argument of a job to the parcels of another round.
func (c *Client) bindAgain(ctx context.Context, r queue.Record, to *posting) error {
	bound := r.Job.Bound
	if len(r.Job.BoundHash) > 0 {
		if len(r.Job.BoundHash) != len(queue.Hash{}) {
			return errors.New("the record of its bound argument is damaged")
		}
		var err error
		if bound, err = queue.GetValue(ctx, c.js, r.ID, "1", queue.Hash(r.Job.BoundHash)); err != nil {
			return fmt.Errorf("the bound argument: %w", err)
		}
	}
	if bound == nil {
		return nil
	}
	return to.bind(bound)
}
