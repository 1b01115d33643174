package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// Push has tasks of a view find a value under a name, by [parade.Value]:
//
//	view := client.Direct()
//	err := cluster.Push(ctx, view, "mask", mask)
//	means, err := parade.Map(ctx, view, maskedMean, volumes) // calls parade.Value[[]bool](ctx, "mask")
//
// It replaces what they found there before; calls that run keep what they have. The value
// travels to the cluster once, however many engines there are, to each machine with engines
// when a call first needs it there, and to a child when a task of it asks. It stays until it is
// replaced or deleted or the client is closed, whatever becomes of engines and controller. Views
// of one client with the same engines share their values: those of Direct(a) are also those
// of engine a in Direct(a, b). Those of LoadBalanced are its own.
func Push[T any](ctx context.Context, v *View, name string, value T) error {
	sessions, err := v.targeted(ctx, name)
	if err != nil {
		return err
	}
	data, err := parade.EncodeValue(name, value)
	if err != nil {
		return err
	}
	stored, err := v.client.store(ctx, data)
	if err != nil {
		return err
	}
	for range sessions[1:] {
		v.client.hold(stored)
	}
	for _, s := range sessions {
		v.client.keep(s, stored)
	}
	return nil
}

// Pull returns the values that the targets of a view have under a name, in their order:
// each engine's of a view of [Client.Direct], or the one of a load-balanced view. When one
// has none, or of another type, the error is [parade.ErrNoValue].
func Pull[T any](ctx context.Context, v *View, name string) ([]T, error) {
	sessions, err := v.targeted(ctx, name)
	if err != nil {
		return nil, err
	}
	values, err := v.client.named(sessions, name)
	if err != nil {
		return nil, err
	}
	defer v.client.release(values...)
	out := make([]T, len(values))
	same := map[place][]int{}
	var places []place
	for i, value := range values {
		p := placeOf(value)
		if same[p] == nil {
			places = append(places, p)
		}
		same[p] = append(same[p], i)
	}
	return out, together(len(places), func(n int) error {
		targets := same[places[n]]
		data, err := v.client.fetch(ctx, values[targets[0]])
		for n, i := range targets {
			if err != nil {
				return err
			}
			own := data
			if n > 0 { // numbers may be views into it
				own.Data = slices.Clone(data.Data)
			}
			out[i], err = parade.DecodeValue[T](own)
		}
		return err
	})
}

// Scatter cuts a slice into consecutive parts, one for each target of a view, and gives each
// its part under a name, as [Push] does. The parts are as equal as can be; the first ones have
// one more.
func Scatter[T any](ctx context.Context, v *View, name string, slice []T) error {
	sessions, err := v.targeted(ctx, name)
	if err != nil {
		return err
	}
	stored := make([]queue.Value, len(sessions))
	each, more := len(slice)/len(sessions), len(slice)%len(sessions)
	err = together(len(sessions), func(i int) (err error) {
		from := i*each + min(i, more)
		to := from + each
		if i < more {
			to++
		}
		data, err := parade.EncodeValue(name, slice[from:to:to])
		if err == nil {
			stored[i], err = v.client.store(ctx, data)
		}
		return err
	})
	for i, value := range stored {
		switch {
		case value.Job == "": // it did not come so far
		case err != nil:
			v.client.release(value)
		default:
			v.client.keep(sessions[i], value)
		}
	}
	return err
}

// Gather is [Pull] for parts of a slice, such as [Scatter] has made: it returns them as one
// slice, in the order of the targets.
func Gather[T any](ctx context.Context, v *View, name string) ([]T, error) {
	parts, err := Pull[[]T](ctx, v, name)
	return slices.Concat(parts...), err
}

// Delete has the targets of a view forget values. When none of them has one of a name, the
// error is [parade.ErrNoValue]; the others are deleted all the same.
func Delete(ctx context.Context, v *View, names ...string) error {
	var errs []error
	for _, name := range names {
		sessions, err := v.targeted(ctx, name)
		if err != nil {
			return err
		}
		var gone []queue.Value
		v.client.stock.mu.Lock()
		for _, s := range sessions {
			if value, ok := s.values[name]; ok {
				gone = append(gone, value)
				delete(s.values, name)
			}
		}
		v.client.stock.mu.Unlock()
		if len(gone) == 0 {
			errs = append(errs, fmt.Errorf("cluster %s: %w: no engine of the view has one of the name %q", v.client.name, parade.ErrNoValue, name))
		}
		v.client.release(gone...)
	}
	return errors.Join(errs...)
}

// Apply runs f once on each engine of a view that [Client.Direct] returned, and returns
// the results in the order of the engines.
func Apply[A, R any](ctx context.Context, v *View, f *parade.Function[A, R], input A, opts ...parade.Option) ([]R, error) {
	if err := v.applies("Apply"); err != nil {
		return nil, err
	}
	return parade.Map(ctx, v, f, slices.Repeat([]A{input}, len(v.targets)), opts...)
}

// applies says why a view cannot run a function once on each of its engines.
func (v *View) applies(verb string) error {
	switch {
	case !v.deals:
		return fmt.Errorf("cluster: %s is for a view of Client.Direct", verb)
	case len(v.targets) == 0: // of no tasks the executor would not hear
		return v.usable()
	}
	return nil
}

// Execute runs f once on each engine of a view that [Client.Direct] returned, and keeps each
// result there under a name: [Pull] gets them, and later tasks of the view find that of
// their engine by [parade.Value]. The results do not travel through this program. When f
// fails somewhere the error is that of parade.Map, and the engines where it did not have
// their results.
func Execute[A, R any](ctx context.Context, v *View, name string, f *parade.Function[A, R], input A, opts ...parade.Option) error {
	if err := v.applies("Execute"); err != nil {
		return err
	}
	sessions, err := v.targeted(ctx, name)
	if err != nil {
		return err
	}
	if f == nil {
		return errors.New("cluster: Execute: the function is nil; declare it with parade.Func")
	}
	keep, of := parade.Keep(f)
	keeper := &keeper{View: v}
	kept, err := parade.Map(ctx, keeper, keep, slices.Repeat([]A{input}, len(v.targets)), opts...)
	var job *parade.JobError
	if errors.As(err, &job) && errors.Is(job.Err, parade.ErrNoValue) { // it ended since values are lost, and so may these be
		return err
	}
	for i, k := range kept {
		if k == (parade.Kept{}) {
			continue
		}
		value := queue.Value{Name: name, Type: of.Type, Shape: of.Shape, Job: keeper.number, Hash: k.Hash, Size: k.Size}
		v.client.hold(value)
		v.client.keep(sessions[i], value)
	}
	return err
}

// ApplyAsync is [Apply] that returns at once: see [parade.MapAsync].
func ApplyAsync[A, R any](ctx context.Context, v *View, f *parade.Function[A, R], input A, opts ...parade.Option) *parade.Async[R] {
	if err := v.applies("ApplyAsync"); err != nil {
		return parade.MapAsync(ctx, &refusal{v, err}, f, []A{input}, opts...)
	}
	return parade.MapAsync(ctx, v, f, slices.Repeat([]A{input}, len(v.targets)), opts...)
}

// refusal is a view that refuses all jobs.
type refusal struct {
	*View
	err error
}

// Run implements [parade.Executor].
func (r *refusal) Run(context.Context, *parade.Job) error { return r.err }

// Interrupt fails the tasks of this client's calls that run on the engines of the view now, with
// [parade.ErrInterrupted], whatever view they were given to. Those that wait go on, and so do
// the tasks of other clients and of submitted jobs. The context of an interrupted task ends at once;
// one that does not return within 2 s gets SIGTERM, and then SIGKILL, with all that it has started.
// It is not tried again. Interrupt returns when all engines have taken note; an error names those that did not.
func (v *View) Interrupt(ctx context.Context) error {
	if err := v.usable(); err != nil {
		return err
	}
	c := v.client
	sessions, err := c.made(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, s := range sessions {
		ids = append(ids, s.id)
	}
	if len(ids) == 0 {
		return nil // nothing has been started
	}
	data, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	var engines []string
	c.mu.Lock()
	for id, e := range c.known {
		if v.has(e.Engine) {
			engines = append(engines, id)
		}
	}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return together(len(engines), func(i int) error {
		_, err := c.conn.RequestWithContext(ctx, queue.EngineVerb(engines[i], queue.Interrupt), data)
		if err != nil {
			return fmt.Errorf("cluster %s: engine %s was not interrupted: %w", c.name, engines[i], err)
		}
		return nil
	})
}

// keeper is a view that remembers the number of its one job, under which the store has its
// results.
type keeper struct {
	*View
	number string
}

// Run implements [parade.Executor].
func (k *keeper) Run(ctx context.Context, job *parade.Job) error {
	return k.run(ctx, job, func(number string) { k.number = number })
}

// targeted returns the queues of the view's targets, for values of a name.
func (v *View) targeted(ctx context.Context, name string) ([]*session, error) {
	if name == "" {
		return nil, errors.New("cluster: the name of a value is empty")
	}
	v.mu.Lock()
	closed := v.closed
	v.mu.Unlock()
	if closed {
		return nil, parade.ErrClosed
	}
	if err := v.usable(); err != nil {
		return nil, err
	}
	return v.sessions(ctx)
}

func (c *Client) hold(v queue.Value) {
	c.stock.mu.Lock()
	defer c.stock.mu.Unlock()
	c.stock.hold(v)
}

// engines names those of a session, for an error.
func (s *session) engines() string {
	if len(s.targets) == 0 {
		return "the engines"
	}
	return fmt.Sprintf("the engines %q", s.targets)
}
