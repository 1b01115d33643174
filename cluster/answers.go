package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// answer is an answer of a job, as its stream has it.
type answer struct {
	seq   uint64 // in the stream
	round uint64
	queue.Summary
	queue.JobAnswer       // unless only summaries are read
	refused         error // why no engine can run the job
}

// answers reads the answers of a job.
type answers struct {
	js        jetstream.JetStream
	record    queue.Record
	summaries bool   // and nothing else of them
	last      uint64 // that was read
}

func (a *answers) stream(ctx context.Context) (jetstream.Stream, error) {
	name := a.record.Name()
	stream, err := a.js.Stream(ctx, queue.DoneStream(name))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(stream.CachedInfo().Config.Subjects, queue.Done(a.record.ID, "*")) { // of a later job
		return nil, fmt.Errorf("job %s: %w", name, jetstream.ErrStreamNotFound)
	}
	return stream, nil
}

// read calls take with the answers behind the last, until it wants no more; with wait it
// goes on until ctx ends, and else until there are no more for now.
func (a *answers) read(ctx context.Context, wait bool, take func(*answer) (more bool, err error)) error {
	stream, err := a.stream(ctx)
	if err != nil {
		return err
	}
	until := stream.CachedInfo().State.LastSeq
	if a.last >= until && !wait {
		return nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		HeadersOnly: a.summaries, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: a.last + 1,
	})
	if err != nil {
		return err
	}
	all, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, all.Stop)()
	defer all.Stop()
	for wait || a.last < until {
		m, err := all.Next()
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		found, err := a.parse(ctx, meta.Sequence.Stream, m.Subject(), m.Headers().Get(queue.SummaryHeader), m.Data(), stream)
		more := false
		if err == nil {
			a.last = found.seq
			more, err = take(found)
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", a.record.Name(), err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// parse makes an answer of a message.
func (a *answers) parse(ctx context.Context, seq uint64, subject, summary string, data []byte, stream jetstream.Stream) (*answer, error) {
	found := &answer{seq: seq}
	_, round, err := queue.Parse(subject)
	if err != nil {
		return nil, err
	}
	found.round = queue.ParseNumber(round)
	if found.Summary, err = queue.ParseSummary(summary); err != nil {
		return nil, err
	}
	if a.summaries && (found.Len == 0 || found.Much) { // it has more to tell
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			return nil, err
		}
		data = m.Data
	} else if a.summaries {
		return found, nil
	}
	found.JobAnswer, err = queue.ParseJobAnswer(data, func(h queue.Hash) ([]byte, error) {
		return queue.GetValue(ctx, a.js, a.record.ID, round, h)
	})
	if err != nil {
		return nil, err
	}
	switch {
	case found.Len == 0:
		if _, found.refused = parade.ReadAnswer(a.record.Job.Func, found.Data); found.refused == nil {
			return nil, errors.New("an answer for no tasks")
		}
	case found.Much:
		all, err := parade.ReadAnswer(a.record.Job.Func, found.Data)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if one.Err != nil {
				found.Failed = append(found.Failed, [2]int{one.Index, one.Index + 1})
			}
		}
	}
	return found, nil
}

// get returns one answer again, whole.
func (a *answers) get(ctx context.Context, stream jetstream.Stream, seq uint64) (*answer, error) {
	m, err := stream.GetMsg(ctx, seq)
	if err != nil {
		return nil, err
	}
	whole := answers{js: a.js, record: a.record}
	return whole.parse(ctx, seq, m.Subject, m.Header.Get(queue.SummaryHeader), m.Data, stream)
}

// follow calls take with the answers as they come, until it wants no more. The error is
// ErrCancelled, after all the answers that there are, when somebody has cancelled the job,
// and ErrNoJob when it was removed.
func (a *answers) follow(ctx context.Context, take func(*answer) (more bool, err error)) error {
	wanted := true
	counted := func(x *answer) (bool, error) {
		var err error
		wanted, err = take(x)
		return wanted, err
	}
	end := ErrCancelled
	if !a.record.Job.Cancelled {
		life, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		watch, err := queue.WatchRecord(ctx, a.js, a.record.ID)
		if err != nil {
			return err
		}
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			a.watch(life, watch, stop)
		}()
		err = a.read(life, true, counted)
		end = context.Cause(life)
		stop(nil)
		<-watched
		_ = watch.Stop()
		switch {
		case err == nil:
			return nil
		case end == nil:
			if _, gone := queue.Get(ctx, a.js, a.record.ID); errors.Is(gone, jetstream.ErrKeyNotFound) {
				return fmt.Errorf("%w: %s was removed", ErrNoJob, a.record.Name())
			}
			return err
		case !errors.Is(end, ErrCancelled):
			return end
		}
	}
	if err := a.read(ctx, false, counted); err != nil || !wanted {
		return err
	}
	return end
}

// watch calls stop when the job is cancelled or removed.
func (a *answers) watch(ctx context.Context, watch jetstream.KeyWatcher, stop context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-watch.Updates():
			if !open {
				return
			}
			if e == nil {
				continue
			}
			var r queue.Record
			if e.Operation() != jetstream.KeyValuePut {
				stop(fmt.Errorf("%w: %s was removed", ErrNoJob, a.record.Name()))
				return
			}
			if json.Unmarshal(e.Value(), &r) == nil && r.Job != nil && r.Job.Cancelled {
				stop(ErrCancelled)
				return
			}
		}
	}
}
