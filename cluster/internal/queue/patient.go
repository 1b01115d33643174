package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// tryFor is how long a small request may take before it is made again: whoever got it may
	// have died with it.
	tryFor = 3 * time.Second
	// patience is how long requests are made again. Servers that have lost the one that leads
	// elect another for up to 10 s.
	patience = 20 * time.Second
)

// patient is JetStream over servers of which one may die at any time. Requests that came to
// nobody, or whose answer did not come, are made again; all of them may be made twice.
type patient struct{ jetstream.JetStream }

// again calls f until its error is another than that nobody leads at the moment.
func again[T any](ctx context.Context, one time.Duration, f func(context.Context) (T, error)) (T, error) {
	all, cancel := context.WithTimeout(ctx, max(patience, 2*one))
	defer cancel()
	for {
		try, done := context.WithTimeout(all, one)
		v, err := f(try)
		done()
		if err == nil || !passes(err) {
			return v, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-all.Done():
			return v, err
		}
	}
}

// passes reports whether err is one that time mends.
func passes(err error) bool {
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled, // of a server that has just started
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case 10008, 10009, 10118, 10119: // unavailable for now, not the leader, stream or consumer offline
		return true
	}
	return false
}

func (p patient) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	return again(ctx, tryFor, func(ctx context.Context) (jetstream.Stream, error) { return p.JetStream.Stream(ctx, name) })
}

func (p patient) DeleteStream(ctx context.Context, name string) error {
	_, err := again(ctx, tryFor, func(ctx context.Context) (struct{}, error) { return struct{}{}, p.JetStream.DeleteStream(ctx, name) })
	return err
}

func (p patient) Consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	return again(ctx, tryFor, func(ctx context.Context) (jetstream.Consumer, error) {
		return p.JetStream.Consumer(ctx, stream, name)
	})
}

func (p patient) KeyValue(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	kv, err := again(ctx, tryFor, func(ctx context.Context) (jetstream.KeyValue, error) { return p.JetStream.KeyValue(ctx, bucket) })
	if err != nil {
		return nil, err
	}
	return patientBucket{kv}, nil
}

type patientBucket struct{ jetstream.KeyValue }

func (p patientBucket) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	return again(ctx, tryFor, func(ctx context.Context) (jetstream.KeyValueEntry, error) { return p.KeyValue.Get(ctx, key) })
}

func (p patientBucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	return again(ctx, tryFor, func(ctx context.Context) (uint64, error) { return p.KeyValue.Put(ctx, key, value) })
}

func (p patientBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return again(ctx, tryFor, func(ctx context.Context) (uint64, error) { return p.KeyValue.Update(ctx, key, value, revision) })
}

func (p patientBucket) Purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	_, err := again(ctx, tryFor, func(ctx context.Context) (struct{}, error) { return struct{}{}, p.KeyValue.Purge(ctx, key, opts...) })
	return err
}

func (p patient) ObjectStore(ctx context.Context, bucket string) (jetstream.ObjectStore, error) {
	o, err := again(ctx, tryFor, func(ctx context.Context) (jetstream.ObjectStore, error) { return p.JetStream.ObjectStore(ctx, bucket) })
	if err != nil {
		return nil, err
	}
	return patientStore{o}, nil
}

type patientStore struct{ jetstream.ObjectStore }

// valueFor is how long a try to store or fetch a value of n bytes may take.
func valueFor(n int) time.Duration {
	return 5*time.Second + time.Duration(n>>20)*time.Second
}

func (p patientStore) PutBytes(ctx context.Context, name string, data []byte) (*jetstream.ObjectInfo, error) {
	return again(ctx, valueFor(len(data)), func(ctx context.Context) (*jetstream.ObjectInfo, error) {
		return p.ObjectStore.PutBytes(ctx, name, data)
	})
}

func (p patientStore) GetBytes(ctx context.Context, name string, opts ...jetstream.GetObjectOpt) ([]byte, error) {
	info, err := p.GetInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	return again(ctx, valueFor(int(info.Size)), func(ctx context.Context) ([]byte, error) {
		return p.ObjectStore.GetBytes(ctx, name, opts...)
	})
}

func (p patientStore) GetInfo(ctx context.Context, name string, opts ...jetstream.GetObjectInfoOpt) (*jetstream.ObjectInfo, error) {
	return again(ctx, tryFor, func(ctx context.Context) (*jetstream.ObjectInfo, error) {
		return p.ObjectStore.GetInfo(ctx, name, opts...)
	})
}

func (p patientStore) Delete(ctx context.Context, name string) error {
	_, err := again(ctx, tryFor, func(ctx context.Context) (struct{}, error) { return struct{}{}, p.ObjectStore.Delete(ctx, name) })
	return err
}
