package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is what to reach a cluster's streams by. A busy server may take a while over
// large values.
func JetStream(conn *nats.Conn) (jetstream.JetStream, error) {
	return jetstream.New(conn, jetstream.WithDefaultTimeout(30*time.Second), jetstream.WithPublishAsyncTimeout(30*time.Second))
}

// Make makes a queue: its streams, and then its record, at which engines come.
func Make(ctx context.Context, js jetstream.JetStream, r Record, maxRunning int) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: WorkStream(r.ID), Subjects: []string{Work(r.ID, "*"), Rest(r.ID, "*")},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: 1,
		Duplicates: Progress, // tasks may come twice; there is no need to remember
	})
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
	if err == nil && r.Kind == Job {
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{
			Name: DoneStream(r.ID), Subjects: []string{Done(r.ID, "*")},
			Storage: jetstream.FileStorage, Replicas: 1, Duplicates: Progress,
		})
	}
	if err == nil {
		_, err = js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: Values(r.ID)})
	}
	if err == nil {
		err = put(ctx, js, r)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("queue %s: %w", r.ID, err), Remove(context.WithoutCancel(ctx), js, r.ID))
	}
	return nil
}

// Bucket returns a bucket, which may not be there yet while a controller starts.
func Bucket(ctx context.Context, js jetstream.JetStream, name string) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		kv, err := js.KeyValue(ctx, name)
		if err == nil || !errors.Is(err, jetstream.ErrBucketNotFound) && !errors.Is(err, nats.ErrNoResponders) {
			return kv, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
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
func Remove(ctx context.Context, js jetstream.JetStream, id string) error {
	var errs []error
	records, err := js.KeyValue(ctx, Records)
	if err == nil {
		err = records.Purge(ctx, id)
	}
	errs = append(errs, err)
	for _, stream := range []string{WorkStream(id), DoneStream(id), "OBJ_" + Values(id)} {
		if err := js.DeleteStream(ctx, stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
