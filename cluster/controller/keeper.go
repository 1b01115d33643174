package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// KeepConfig describes the housekeeping of a cluster.
type KeepConfig struct {
	// Connection is a client's, to a site's own NATS. Its Replicas says on how many of the servers
	// everything is to be; at least 1.
	Connection access.Connection
	// Folder is that of the cluster, if it has one on this machine: the connection files are
	// written there, and it has one keeper at a time. "" is none.
	Folder string
	// SessionGrace is how long the queue of a client that is gone is kept; 0 is 30 s.
	SessionGrace time.Duration
	// Log gets what happens; nil is slog's default.
	Log *slog.Logger
}

// Keeper keeps house in a cluster: it makes the buckets, and removes the queues of clients that
// are gone. It has no state, so that there may be several, on any machines.
type Keeper struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	grace  time.Duration
	log    *slog.Logger
	own    bool     // the connection
	lock   *os.File // of the folder, if there is one
	asked  chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Keep keeps house in a cluster whose servers are a site's own. It returns when clients and
// engines can connect.
func Keep(ctx context.Context, cfg KeepConfig) (*Keeper, error) {
	conn := cfg.Connection
	if !conn.Site() || conn.Role != access.Client {
		return nil, fmt.Errorf("%v: a keeper needs a client's connection to a site's own NATS", conn)
	}
	var lock *os.File
	if cfg.Folder != "" {
		var err error
		if lock, err = settleIn(cfg.Folder); err != nil {
			return nil, fmt.Errorf("cluster %s: %w", conn.Cluster, err)
		}
	}
	k, err := keepAt(ctx, cfg)
	if err == nil && lock != nil {
		if err = note(cfg.Folder, conn); err != nil {
			_ = k.Close()
		}
	}
	if err != nil {
		if lock != nil {
			_ = lock.Close()
		}
		return nil, err
	}
	k.lock = lock
	return k, nil
}

// note writes the connection files into a cluster's folder, and who keeps it. All roles have
// the same credentials: what they may do is a matter of the site's.
func note(folder string, conn access.Connection) error {
	for _, role := range access.Roles {
		conn.Role = role
		if err := conn.Save(access.File(folder, role)); err != nil {
			return err
		}
	}
	s := state{Name: conn.Cluster, PID: os.Getpid(), Started: time.Now()}
	return s.save(folder)
}

// settleIn takes a cluster's folder, which must not be of one with a server of its own.
func settleIn(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	lock, err := take(folder)
	if err != nil {
		return nil, err
	}
	if before, err := access.Load(access.File(folder, access.Client)); err == nil && !before.Site() {
		err = fmt.Errorf("it has a server of its own, and queues in %s: remove it first, or give the one at a site's NATS another name", folder)
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func keepAt(ctx context.Context, cfg KeepConfig) (*Keeper, error) {
	conn := cfg.Connection
	nc, err := conn.DialWithin(ctx, 10*time.Second, "parade keeper")
	if err != nil {
		return nil, err
	}
	k, err := keep(ctx, nc, conn.Replicas, cfg.SessionGrace, cfg.Log)
	if err != nil {
		access.Close(nc)
		return nil, fmt.Errorf("%v: %w", conn, err)
	}
	k.own = true
	return k, nil
}

// Clear removes all that a cluster has at a site's own NATS: its queues, jobs and buckets. No
// client and no engine may be at work.
func Clear(ctx context.Context, conn access.Connection) error {
	nc, err := conn.Dial("parade keeper")
	if err != nil {
		return err
	}
	defer access.Close(nc)
	js, err := queue.JetStream(nc)
	if err != nil {
		return err
	}
	names := js.StreamNames(ctx)
	var ours []string
	for name := range names.Name() {
		if queue.Ours(name) {
			ours = append(ours, name)
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("%v: its streams: %w", conn, err)
	}
	for _, name := range ours {
		if err := js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("%v: stream %s: %w", conn, name, err)
		}
	}
	return nil
}

// keep keeps house by way of conn, which is its caller's.
func keep(ctx context.Context, conn *nats.Conn, replicas int, grace time.Duration, log *slog.Logger) (*Keeper, error) {
	if grace == 0 {
		grace = 30 * time.Second
	}
	if log == nil {
		log = slog.Default()
	}
	k := &Keeper{conn: conn, grace: grace, log: log, asked: make(chan struct{})}
	var err error
	if k.js, err = queue.JetStream(conn); err != nil {
		return nil, err
	}
	if err := k.furnish(ctx, replicas); err != nil {
		return nil, err
	}
	var once sync.Once
	_, err = conn.Subscribe(queue.ControllerStop, func(m *nats.Msg) {
		if !access.FromClient(m.Reply) {
			return
		}
		_ = m.Respond(nil)
		_ = conn.Flush()
		once.Do(func() { close(k.asked) })
	})
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	k.done.Go(func() { k.housekeep(life) })
	k.done.Go(func() { k.sweep(life) })
	return k, nil
}

// furnishPatience is how long servers may be busy with themselves: a cluster whose leader has
// died elects another for up to 10 s.
const furnishPatience = 30 * time.Second

func (k *Keeper) furnish(ctx context.Context, replicas int) error {
	return queue.Persist(ctx, furnishPatience, func(ctx context.Context) error {
		err := queue.Furnish(ctx, k.js, replicas)
		switch api := (*jetstream.APIError)(nil); {
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return queue.Final(fmt.Errorf("%w: the servers, and the account, must have JetStream", err))
		case errors.As(err, &api) && api.ErrorCode == tooManyReplicas:
			return queue.Final(fmt.Errorf("%w: these servers are no cluster; replicas must be 1", err))
		}
		return err
	})
}

// tooManyReplicas is what a single server says of a stream that is to be on several.
const tooManyReplicas jetstream.ErrorCode = 10074

// Asked is closed when a client has asked the controller to end. Whoever started it
// then calls Close.
func (k *Keeper) Asked() <-chan struct{} { return k.asked }

// Close ends the housekeeping; clients and engines go on.
func (k *Keeper) Close() error {
	k.cancel()
	k.done.Wait()
	if k.own {
		access.Close(k.conn)
	}
	if k.lock != nil {
		return k.lock.Close()
	}
	return nil
}

// housekeep looks now and then for clients that are gone. A client says all the time that it is
// there; one that has not been heard of for the grace is gone.
func (k *Keeper) housekeep(ctx context.Context) {
	tick := time.NewTicker(min(k.grace/4+time.Millisecond, queue.Stale))
	defer tick.Stop()
	a := absent{since: map[string]time.Time{}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		round, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := k.depart(round, &a)
		cancel()
		if err != nil && ctx.Err() == nil {
			k.log.Debug("the queues of clients that are gone could not be looked for", "error", err)
		}
	}
}

// absent is which clients with queues are not there.
type absent struct {
	since  map[string]time.Time // by client
	looked time.Time            // last
}

// tooLong is after how long without a look nobody knows how long clients have been absent.
const tooLong = 3 * queue.Stale

// depart removes the queues of clients that have been absent for long. Only looks that
// succeed one after the other count: servers that elect another leader have lost the clients'
// keys, and the first look after that finds none.
func (k *Keeper) depart(ctx context.Context, a *absent) (err error) {
	defer func() {
		if err != nil {
			clear(a.since)
		}
	}()
	records, err := keys(ctx, k.js, queue.Records)
	if err != nil {
		return err
	}
	clients, err := keys(ctx, k.js, queue.Clients)
	if err != nil {
		return err
	}
	here := map[string]bool{}
	for _, id := range clients {
		here[id] = true
	}
	now := time.Now()
	if now.Sub(a.looked) > tooLong {
		clear(a.since)
	}
	a.looked = now
	seen := map[string]bool{}
	for _, id := range records {
		owner := queue.Owner(id)
		if here[owner] {
			continue
		}
		seen[owner] = true
		since, before := a.since[owner]
		if !before {
			a.since[owner] = now
			continue
		}
		if now.Sub(since) < k.grace {
			continue
		}
		if removed, err := k.remove(ctx, id); err != nil {
			k.log.Warn("the queue of a client that is gone stays", "queue", id, "error", err)
		} else if removed {
			k.log.Info("removed the queue of a client that is gone", "queue", id)
		}
	}
	for owner := range a.since {
		if !seen[owner] {
			delete(a.since, owner)
		}
	}
	return nil
}

// remove removes a session's queue. Jobs stay.
func (k *Keeper) remove(ctx context.Context, id string) (removed bool, err error) {
	r, err := queue.Get(ctx, k.js, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) || err == nil && r.Kind != queue.Session {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, queue.Remove(ctx, k.js, r)
}

// keys lists the keys of a bucket.
func keys(ctx context.Context, js jetstream.JetStream, bucket string) ([]string, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return nil, err
	}
	list, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for id := range list.Keys() {
		all = append(all, id)
	}
	return all, ctx.Err() // it ends the list, too
}
