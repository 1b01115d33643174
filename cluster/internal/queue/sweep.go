package queue

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// orphaned is the age from which a stream without a record is nobody's.
	orphaned = 5 * time.Minute
	// unused is after how long a program goes that no record names.
	unused = 24 * time.Hour
	// usedAnew is how often a program in use is marked.
	usedAnew = time.Hour
)

// Sweep removes what those have left who died while they made or removed a queue: streams
// and buckets without a record, older than five minutes. It also removes programs that no
// client has used for a day and no record names.
func Sweep(ctx context.Context, js jetstream.JetStream) error {
	return sweep(ctx, js, orphaned, unused)
}

func sweep(ctx context.Context, js jetstream.JetStream, orphaned, unused time.Duration) error {
	var old []*jetstream.StreamInfo
	streams := js.ListStreams(ctx) // before the records: whoever makes a queue does it in this order
	for info := range streams.Info() {
		if info.TimeStamp.Sub(info.Created) > orphaned {
			old = append(old, info)
		}
	}
	if err := streams.Err(); err != nil {
		return err
	}
	var errs []error
	for _, info := range old {
		id, isQueues := queueOf(info.Config)
		if !isQueues {
			continue
		}
		if _, err := Get(ctx, js, id); !errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // it has one, or nobody knows
		}
		if now, err := js.Stream(ctx, info.Config.Name); err != nil || !now.CachedInfo().Created.Equal(info.Created) {
			continue // it is gone, or another job's by now, which has the name
		}
		if err := js.DeleteStream(ctx, info.Config.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, err)
		}
	}
	hashes := map[string]bool{}
	if err := Each(ctx, js, Records, func(r Record) { hashes[r.Program.Hash] = true }); err != nil {
		return errors.Join(append(errs, err)...)
	}
	programs, err := js.ObjectStore(ctx, Programs)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	list, err := programs.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		errs = append(errs, err)
	}
	for _, info := range list {
		if !hashes[info.Name] && time.Since(info.ModTime) > unused {
			errs = append(errs, programs.Delete(ctx, info.Name))
		}
	}
	return errors.Join(errs...)
}

// queueOf returns the queue that a stream is of.
func queueOf(c jetstream.StreamConfig) (id string, ok bool) {
	if id, ok := strings.CutPrefix(c.Name, WorkStream("")); ok {
		return id, true
	}
	if id, ok := strings.CutPrefix(c.Name, "OBJ_"+Values("")); ok {
		return id, true
	}
	if strings.HasPrefix(c.Name, DoneStream("")) && len(c.Subjects) == 1 {
		id, _, err := Parse(c.Subjects[0])
		return id, err == nil
	}
	return "", false
}
