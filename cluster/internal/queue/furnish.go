package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Furnish makes the buckets of a cluster that are not there, each on so many servers. What
// clients make later is on as many as these.
func Furnish(ctx context.Context, js jetstream.JetStream, replicas int) error {
	kv := func(cfg jetstream.KeyValueConfig) func() error {
		cfg.Replicas = replicas
		return func() error {
			_, err := js.CreateKeyValue(ctx, cfg)
			return err
		}
	}
	for _, b := range []struct {
		stream string
		make   func() error
	}{
		{"KV_" + Records, kv(jetstream.KeyValueConfig{Bucket: Records})},
		{"KV_" + Engines, kv(jetstream.KeyValueConfig{Bucket: Engines, Storage: jetstream.MemoryStorage, TTL: Stale})},
		{"KV_" + Clients, kv(jetstream.KeyValueConfig{Bucket: Clients, Storage: jetstream.MemoryStorage, TTL: Stale})},
		{"KV_" + Tries, kv(jetstream.KeyValueConfig{Bucket: Tries, Storage: jetstream.MemoryStorage, TTL: 10 * time.Minute})},
		{"OBJ_" + Programs, func() error {
			_, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: Programs, Replicas: replicas})
			return err
		}},
	} {
		s, err := js.Stream(ctx, b.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if err = b.make(); err == nil {
				s, err = js.Stream(ctx, b.stream)
			}
		}
		if err == nil {
			err = settle(ctx, js, s, replicas)
		}
		if err != nil {
			return fmt.Errorf("stream %s on %d servers: %w", b.stream, replicas, err)
		}
	}
	return nil
}

// settle puts a bucket's stream on so many servers. Those that follow may be behind, and
// must not be asked for what has just been stored: only the one that leads.
func settle(ctx context.Context, js jetstream.JetStream, s jetstream.Stream, replicas int) error {
	cfg := s.CachedInfo().Config
	if cfg.Replicas == replicas && (replicas == 1 || !cfg.AllowDirect) {
		return nil
	}
	cfg.Replicas = replicas
	if replicas > 1 {
		cfg.AllowDirect = false
	}
	_, err := js.UpdateStream(ctx, cfg)
	return err
}

// replicas is on how many servers the buckets are.
func replicas(ctx context.Context, js jetstream.JetStream) (int, error) {
	s, err := js.Stream(ctx, "KV_"+Records)
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", Records, err)
	}
	return s.CachedInfo().Config.Replicas, nil
}
