package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/internal/access"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// streams reaches a new cluster.
func streams(t *testing.T) jetstream.JetStream {
	t.Helper()
	c, err := controller.Start(t.Context(), controller.Config{Name: "lab", Folder: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	conn, err := access.Load(c.File(access.Client))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := conn.Dial("parade test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := queue.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func job(name, id string) queue.Record {
	return queue.Record{ID: id, Kind: queue.Job, Created: time.Now(), Job: &queue.JobRecord{Name: name}}
}

// begin makes a job as a client does that dies before the record is there.
func begin(t *testing.T, js jetstream.JetStream, r queue.Record) {
	t.Helper()
	if err := queue.Make(t.Context(), js, r, 0); err != nil {
		t.Fatal(err)
	}
	records, err := js.KeyValue(t.Context(), queue.Records)
	if err == nil {
		err = records.Purge(t.Context(), r.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, js jetstream.JetStream) (all []string) {
	t.Helper()
	list := js.StreamNames(t.Context())
	for name := range list.Name() {
		all = append(all, name)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// TestHalfMade: the name of a job whose maker died is free again, but not while a maker may
// be at it, nor that of a job that is there.
func TestHalfMade(t *testing.T) {
	js := streams(t)
	begin(t, js, job("study", "study-a"))
	if err := queue.Make(t.Context(), js, job("study", "study-b"), 0); !errors.Is(err, queue.ErrTaken) {
		t.Errorf("while the maker may be at it: %v", err)
	}
	defer queue.SetHalf(0)()
	if err := queue.Make(t.Context(), js, job("study", "study-c"), 0); err != nil {
		t.Fatal(err)
	}
	if r, err := queue.Named(t.Context(), js, "study"); err != nil || r.ID != "study-c" {
		t.Errorf("the name leads to %s, %v", r.ID, err)
	}
	if slices.Contains(names(t, js), queue.WorkStream("study-a")) {
		t.Error("the parcels of the first are still there")
	}
	if err := queue.Make(t.Context(), js, job("study", "study-d"), 0); !errors.Is(err, queue.ErrTaken) {
		t.Errorf("a job that is there: %v", err)
	}
}

// TestMadeAgain: an acknowledgement for a parcel of a queue that was removed does not hit one of
// the queue that was made again in its place.
func TestMadeAgain(t *testing.T) {
	t.Parallel()
	js := streams(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var late jetstream.Msg
	for range 2 {
		r := queue.Record{ID: "session", Kind: queue.Session, Created: time.Now()}
		if err := queue.Make(ctx, js, r, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(ctx, queue.Work(r.ID, "1"), []byte("parcel")); err != nil {
			t.Fatal(err)
		}
		engine, err := js.Consumer(ctx, queue.WorkStream(r.ID), queue.Consumer)
		if err != nil {
			t.Fatal(err)
		}
		m, err := engine.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if late == nil {
			late = m
			if err := queue.Remove(ctx, js, r); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := late.Ack(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // nobody says that it has come
		s, err := js.Stream(ctx, queue.WorkStream(r.ID))
		if err != nil || s.CachedInfo().State.Msgs != 1 {
			t.Errorf("the second parcel is gone, %v", err)
		}
	}
}

// TestSweep removes what has no record, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	js := streams(t)
	program := "0123"
	whole := job("whole", "whole-1")
	whole.Program.Hash = program
	if err := queue.Make(t.Context(), js, whole, 0); err != nil {
		t.Fatal(err)
	}
	before := names(t, js)
	begin(t, js, job("half", "half-1"))
	begin(t, js, queue.Record{ID: "gone", Kind: queue.Session})
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "somebody-elses"}); err != nil {
		t.Fatal(err)
	}
	programs, err := js.ObjectStore(t.Context(), queue.Programs)
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{program, "4567"} {
		if _, err := programs.PutString(t.Context(), hash, hash); err != nil {
			t.Fatal(err)
		}
	}
	all := names(t, js)
	if err := queue.Sweep(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, names(t, js)); diff != "" {
		t.Errorf("what is young goes: %s", diff)
	}
	if _, err := programs.GetInfo(t.Context(), "4567"); err != nil {
		t.Errorf("a program that is young: %v", err)
	}
	if err := queue.SweepOlder(t.Context(), js, 0, 0); err != nil {
		t.Fatal(err)
	}
	before = append(before, "somebody-elses")
	slices.Sort(before)
	if diff := cmp.Diff(before, names(t, js)); diff != "" {
		t.Error(diff)
	}
	if _, err := programs.GetInfo(t.Context(), program); err != nil {
		t.Errorf("a program that a record names: %v", err)
	}
	if _, err := programs.GetInfo(t.Context(), "4567"); !errors.Is(err, jetstream.ErrObjectNotFound) {
		t.Errorf("a program that nobody needs: %v", err)
	}
}

// meddled is streams at which somebody does something when a bucket is asked for first.
type meddled struct {
	jetstream.JetStream
	meddle func()
}

func (m *meddled) KeyValue(ctx context.Context, name string) (jetstream.KeyValue, error) {
	if do := m.meddle; do != nil {
		m.meddle = nil
		do()
	}
	return m.JetStream.KeyValue(ctx, name)
}

// TestSweepMeanwhile: the answers of a job stay that has come to a name of which something old
// was left.
func TestSweepMeanwhile(t *testing.T) {
	t.Parallel()
	js := streams(t)
	old := job("study", "study-a")
	begin(t, js, old)
	replace := func() {
		err := queue.Remove(t.Context(), js, old)
		if err == nil {
			err = queue.Make(t.Context(), js, job("study", "study-b"), 0)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if err := queue.SweepOlder(t.Context(), &meddled{js, replace}, 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	if r, err := queue.Named(t.Context(), js, "study"); err != nil || r.ID != "study-b" {
		t.Errorf("the name leads to %q, %v", r.ID, err)
	}
}

// TestIsFull knows a full disk by what the server says of it.
func TestIsFull(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"resources", &jetstream.APIError{ErrorCode: 10023, Description: "insufficient resources"}, true},
		{"store", &jetstream.APIError{ErrorCode: 10049, Description: "error creating store for stream"}, true},
		{"file", fmt.Errorf("stream x: %w", &jetstream.APIError{ErrorCode: 10049, Description: "mkdir x: no space left on device"}), true},
		{"stream of another kind", &jetstream.APIError{ErrorCode: 10049, Description: "stream is being restored"}, false},
		{"none found", jetstream.ErrStreamNotFound, false},
		{"no error", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := queue.IsFull(tc.err); got != tc.want {
				t.Errorf("IsFull(%v) is %t", tc.err, got)
			}
		})
	}
}

// TestPersist goes on until f succeeds, but not when waiting mends nothing.
func TestPersist(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want int // calls
	}{
		"a stream that is not there yet": {jetstream.ErrStreamNotFound, 3},
		"a full disk":                    {&jetstream.APIError{ErrorCode: 10047, Description: "insufficient storage resources available"}, 1},
		"the store failed":               {&jetstream.APIError{ErrorCode: 10077}, 1},
		"final":                          {queue.Final(queue.ErrTaken), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			err := queue.Persist(t.Context(), 10*time.Second, func(context.Context) error {
				if calls++; calls == 3 {
					return nil
				}
				return test.err
			})
			if calls != test.want || (err == nil) != (test.want == 3) {
				t.Errorf("%d calls, %v; want %d", calls, err, test.want)
			}
		})
	}
}
