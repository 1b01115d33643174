package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is what to reach a cluster's streams by, even while servers die and come back. A busy
// server may take a while over large values.
func JetStream(conn *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(30*time.Second), jetstream.WithPublishAsyncTimeout(30*time.Second))
	if err != nil {
		return nil, err
	}
	return patient{js}, nil
}

// ErrTaken says that there is a queue of that name.
var ErrTaken = errors.New("the name of the queue is taken")

// Make makes a queue: its streams, and then its record, at which engines come.
//
// A controller that dies meanwhile and is started again only delays it.
func Make(ctx context.Context, js jetstream.JetStream, r Record, maxRunning int) error {
	err := Persist(ctx, 30*time.Second, func(ctx context.Context) error {
		err := build(ctx, js, r, maxRunning)
		if errors.Is(err, ErrTaken) {
			return Final(err)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrTaken) {
		gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err = errors.Join(fmt.Errorf("queue %s: %w", r.ID, err), Remove(gone, js, r))
	}
	return err
}

// build is one try to make a queue. It may find what an earlier one has made.
func build(ctx context.Context, js jetstream.JetStream, r Record, maxRunning int) error {
	copies, err := replicas(ctx, js)
	if err != nil {
		return err
	}
	if r.Kind == Job { // it takes the name
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: DoneStream(r.Name()), Subjects: []string{Done(r.ID, "*")},
			Storage: jetstream.FileStorage, Replicas: copies, Duplicates: Progress,
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return abandoned(ctx, js, r.Name())
		}
		if err != nil {
			return fmt.Errorf("stream %s: %w", DoneStream(r.Name()), err)
		}
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: WorkStream(r.ID), Subjects: []string{Work(r.ID, "*"), Rest(r.ID, "*")},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: copies,
		Duplicates: Progress, // tasks may come twice; there is no need to remember
		// A parcel of a queue that was made again has a number that none had before: an acknowledgement
		// on its way, which has the stream's name and the number, must not hit it.
		FirstSeq: uint64(max(0, r.Created.UnixMicro())),
		Metadata: map[string]string{"parade.made": r.Created.Format(time.RFC3339Nano)}, // no two are the same
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return ErrTaken
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", WorkStream(r.ID), err)
	}
	if maxRunning == 0 {
		maxRunning = -1
	}
	_, err = js.CreateConsumer(ctx, WorkStream(r.ID), jetstream.ConsumerConfig{
		Durable: Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: AckWait,
		MaxAckPending: maxRunning, MaxWaiting: 64 << 10, MaxDeliver: -1,
	})
	if err == nil {
		err = makeValues(ctx, js, r.ID, copies)
	}
	if err == nil {
		err = put(ctx, js, r)
	}
	return err
}

func makeValues(ctx context.Context, js jetstream.JetStream, id string, copies int) error {
	_, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: Values(id), Replicas: copies})
	if copies == 1 || err != nil && !errors.Is(err, jetstream.ErrBucketExists) { // an earlier try may have made it
		return err
	}
	s, err := js.Stream(ctx, "OBJ_"+Values(id))
	if err != nil {
		return err
	}
	return settle(ctx, js, s, copies)
}

// half is how long a queue may have no record: whoever makes one gives up before.
var half = 45 * time.Second // a variable for tests

// abandoned removes what is left of a job of that name whose maker died at it, so that
// another try finds the name free, or says that the name is taken.
func abandoned(ctx context.Context, js jetstream.JetStream, name string) error {
	answers, err := js.Stream(ctx, DoneStream(name))
	if err != nil {
		return err
	}
	info := answers.CachedInfo()
	id, _, err := Parse(strings.Join(info.Config.Subjects, " "))
	if err != nil {
		return ErrTaken
	}
	if _, err := Get(ctx, js, id); !errors.Is(err, jetstream.ErrKeyNotFound) {
		if err == nil {
			err = ErrTaken
		}
		return err
	}
	if age := info.TimeStamp.Sub(info.Created); age < half {
		return fmt.Errorf("%w: somebody began to make it %v ago, and has not ended", ErrTaken, age.Round(time.Second))
	}
	if err := Remove(ctx, js, Record{ID: id, Job: &JobRecord{Name: name}}); err != nil {
		return err
	}
	return fmt.Errorf("queue %s, which was not made wholly, had the name", id)
}

// Bucket returns a bucket, which may not be there yet while a controller starts.
func Bucket(ctx context.Context, js jetstream.JetStream, name string) (kv jetstream.KeyValue, err error) {
	err = Persist(ctx, 20*time.Second, func(ctx context.Context) (err error) {
		kv, err = js.KeyValue(ctx, name)
		return err
	})
	return kv, err
}

// Persist calls f until it succeeds, with a few seconds for each try, and gives up after
// patience or when ctx ends: a controller may have died, and be about to start again.
// An error of [Final] ends it at once.
func Persist(ctx context.Context, patience time.Duration, f func(context.Context) error) error {
	all, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		try, done := context.WithTimeout(all, 3*time.Second)
		err := f(try)
		done()
		var final *finalError
		if errors.As(err, &final) {
			return final.error
		}
		if err == nil || IsFull(err) || errors.Is(err, nats.ErrConnectionClosed) { // for good: it is not merely lost
			return full(err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-all.Done():
			return err
		}
	}
}

// IsFull reports whether err says that the server cannot store more: its disk is full, or
// what it may take of it. Waiting does not mend that.
func IsFull(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case 10002, 10023, 10028, 10047, // resources of the account or the server, memory, storage
		10077: // the store failed
		return true
	case 10049: // a stream could not be made; the server's words say why
		return strings.Contains(api.Description, "no space left on device") || strings.Contains(api.Description, "creating store for stream")
	}
	return false
}

// full adds what an error of IsFull means.
func full(err error) error {
	if IsFull(err) {
		return fmt.Errorf("the controller's disk is full, or what it may take of it: %w", err)
	}
	return err
}

// Follow calls a function that begin returns with what a bucket has, then with nil, and then with
// each change, until ctx ends. On a signal in again it begins anew: what a server does for a
// watch is gone when the connection was.
func Follow(ctx context.Context, kv jetstream.KeyValue, again <-chan struct{}, begin func() (hear func(jetstream.KeyValueEntry))) {
	for ctx.Err() == nil {
		follow(ctx, kv, again, begin())
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func follow(ctx context.Context, kv jetstream.KeyValue, again <-chan struct{}, hear func(jetstream.KeyValueEntry)) {
	// A watch lasts as long as its context, and asking for one must not.
	life, end := context.WithCancel(ctx)
	defer end()
	late := time.AfterFunc(3*time.Second, end)
	watch, err := kv.WatchAll(life)
	if err != nil {
		return
	}
	defer func() { _ = watch.Stop() }()
	if !late.Stop() {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			return
		case e, ok := <-watch.Updates():
			if !ok {
				return
			}
			hear(e)
		}
	}
}

// Final marks an error that another try would not mend.
func Final(err error) error { return &finalError{err} }

type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// Get returns the record of a queue.
func Get(ctx context.Context, js jetstream.JetStream, id string) (r Record, err error) {
	records, err := Bucket(ctx, js, Records)
	if err != nil {
		return r, err
	}
	entry, err := records.Get(ctx, id)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(entry.Value(), &r)
}

// Named returns the record of a job, by its name.
func Named(ctx context.Context, js jetstream.JetStream, name string) (r Record, err error) {
	var answers jetstream.Stream
	err = Persist(ctx, 10*time.Second, func(ctx context.Context) (err error) {
		if answers, err = js.Stream(ctx, DoneStream(name)); errors.Is(err, jetstream.ErrStreamNotFound) {
			return Final(jetstream.ErrKeyNotFound)
		}
		return err
	})
	if err != nil {
		return r, err
	}
	subjects := answers.CachedInfo().Config.Subjects
	if len(subjects) != 1 {
		return r, fmt.Errorf("stream %s has the subjects %q, not one", DoneStream(name), subjects)
	}
	id, _, err := Parse(subjects[0])
	if err != nil {
		return r, err
	}
	return Get(ctx, js, id)
}

// Change changes the record of a queue, whoever else does.
func Change(ctx context.Context, js jetstream.JetStream, id string, change func(*Record)) error {
	records, err := Bucket(ctx, js, Records)
	if err != nil {
		return err
	}
	for {
		entry, err := records.Get(ctx, id)
		if err != nil {
			return err
		}
		var r Record
		if err := json.Unmarshal(entry.Value(), &r); err != nil {
			return err
		}
		change(&r)
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = records.Update(ctx, id, data, entry.Revision())
		if !errors.Is(err, jetstream.ErrKeyExists) { // or somebody was faster
			return err
		}
	}
}

// Each calls f with all that a bucket has.
func Each[T any](ctx context.Context, js jetstream.JetStream, bucket string, f func(T)) error {
	kv, err := Bucket(ctx, js, bucket)
	if err != nil {
		return err
	}
	all, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer func() { _ = all.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-all.Updates():
			if !ok {
				return fmt.Errorf("bucket %s: the connection was lost", bucket)
			}
			if e == nil {
				return nil
			}
			var v T
			if err := json.Unmarshal(e.Value(), &v); err != nil {
				return fmt.Errorf("%s in bucket %s: %w", e.Key(), bucket, err)
			}
			f(v)
		}
	}
}

// WatchRecord follows the record of a queue.
func WatchRecord(ctx context.Context, js jetstream.JetStream, id string) (jetstream.KeyWatcher, error) {
	records, err := Bucket(ctx, js, Records)
	if err != nil {
		return nil, err
	}
	return records.Watch(ctx, id)
}

func put(ctx context.Context, js jetstream.JetStream, r Record) error {
	records, err := js.KeyValue(ctx, Records)
	if err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = records.Put(ctx, r.ID, data)
	return err
}

// Remove removes a queue with all that is in it. What is gone already is no error.
func Remove(ctx context.Context, js jetstream.JetStream, r Record) error {
	var errs []error
	records, err := js.KeyValue(ctx, Records)
	if err == nil {
		err = records.Purge(ctx, r.ID)
	}
	errs = append(errs, err)
	streams := []string{WorkStream(r.ID), "OBJ_" + Values(r.ID)}
	if r.Job != nil {
		answers, err := js.Stream(ctx, DoneStream(r.Name()))
		if err == nil && slices.Equal(answers.CachedInfo().Config.Subjects, []string{Done(r.ID, "*")}) { // not another's of that name
			streams = append(streams, DoneStream(r.Name()))
		} else if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, err)
		}
	}
	for _, stream := range streams {
		if err := js.DeleteStream(ctx, stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
