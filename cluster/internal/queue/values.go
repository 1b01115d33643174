package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/internal/program"
)

// ParseNumber reads what Number wrote; 0 is no job's.
func ParseNumber(job string) uint64 {
	n, err := strconv.ParseUint(job, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// valueKey is the key of a value. Jobs share none, since each removes its own.
func valueKey(job string, h Hash) string { return job + "-" + h.Key() }

// PutValue stores a large value of a job.
func PutValue(ctx context.Context, js jetstream.JetStream, id, job string, h Hash, value []byte) error {
	values, err := js.ObjectStore(ctx, Values(id))
	if err != nil {
		return err
	}
	// To put it again would remove the first one's chunks, which an engine may not.
	if info, err := values.GetInfo(ctx, valueKey(job, h)); err == nil && info.Size == uint64(len(value)) {
		return nil
	}
	_, err = values.PutBytes(ctx, valueKey(job, h), value)
	return full(err)
}

// GetValue returns a large value of a job.
func GetValue(ctx context.Context, js jetstream.JetStream, id, job string, h Hash) ([]byte, error) {
	values, err := js.ObjectStore(ctx, Values(id))
	if err != nil {
		return nil, err
	}
	value, err := values.GetBytes(ctx, valueKey(job, h))
	if err != nil {
		return nil, err
	}
	if HashOf(value) != h {
		return nil, fmt.Errorf("value %s of queue %s is damaged", h.Key(), id)
	}
	return value, nil
}

// DropValue removes a large value of a job.
func DropValue(ctx context.Context, js jetstream.JetStream, id, job string, h Hash) error {
	values, err := js.ObjectStore(ctx, Values(id))
	if err != nil {
		return err
	}
	return values.Delete(ctx, valueKey(job, h))
}

// countKey is the key of what somebody has counted of a job; no value has it.
const countKey = "count"

// PutCount stores what has been counted of a job's answers, for those who count again.
func PutCount(ctx context.Context, js jetstream.JetStream, id string, count []byte) error {
	values, err := js.ObjectStore(ctx, Values(id))
	if err != nil {
		return err
	}
	_, err = values.PutBytes(ctx, countKey, count)
	return err
}

// GetCount returns what PutCount has stored last.
func GetCount(ctx context.Context, js jetstream.JetStream, id string) ([]byte, error) {
	values, err := js.ObjectStore(ctx, Values(id))
	if err != nil {
		return nil, err
	}
	return values.GetBytes(ctx, countKey)
}

// DropValues removes all large values of a job but those to keep, by [Hash.Key].
func DropValues(ctx context.Context, js jetstream.JetStream, id, job string, keep map[string]bool) error {
	values, err := js.ObjectStore(ctx, Values(id))
	if err != nil {
		return err
	}
	all, err := values.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, info := range all {
		if key, ok := strings.CutPrefix(info.Name, job+"-"); ok && !keep[key] {
			errs = append(errs, values.Delete(ctx, info.Name))
		}
	}
	return errors.Join(errs...)
}

// IsGone reports whether err says that a value, or its queue, has been removed.
func IsGone(err error) bool {
	return errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// putting is held while a program is stored.
var putting = make(chan struct{}, 1)

// PutProgram stores the program that is running, if it is not there.
func PutProgram(ctx context.Context, js jetstream.JetStream, hash string) error {
	select { // many jobs of a program may be submitted at once
	case putting <- struct{}{}:
		defer func() { <-putting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// It may take longer than Persist gives a try.
	return Persist(ctx, 2*time.Minute, func(context.Context) error { return putProgram(ctx, js, hash) })
}

func putProgram(ctx context.Context, js jetstream.JetStream, hash string) error {
	programs, err := js.ObjectStore(ctx, Programs)
	if err != nil {
		return err
	}
	if info, err := programs.GetInfo(ctx, hash); err == nil {
		if time.Since(info.ModTime) > usedAnew { // for Sweep
			_ = programs.UpdateMeta(ctx, hash, info.ObjectMeta)
		}
		return nil
	}
	f, err := program.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = programs.Put(ctx, jetstream.ObjectMeta{Name: hash}, f)
	return err
}
