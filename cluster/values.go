package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// stock is the values that a client has in the store for its views, each once.
type stock struct {
	changing sync.Mutex // held while the store is changed; taken before the other
	mu       sync.Mutex // guards the rest, and the values of the sessions
	users    map[place]int
}

// place is where the store has a value: a job of the home queue, and its hash.
type place struct {
	job  string
	hash queue.Hash
}

func placeOf(v queue.Value) place { return place{v.Job, v.Hash} }

// hold counts one more user of each value. It is called with the stock locked.
func (s *stock) hold(values ...queue.Value) {
	if s.users == nil {
		s.users = map[place]int{}
	}
	for _, v := range values {
		s.users[placeOf(v)]++
	}
}

// storing is how long a value may take to be stored or fetched, with a controller that is
// started again meanwhile.
const storing = 2 * time.Minute

// store puts a value into the store, unless it is there, and holds it once.
func (c *Client) store(ctx context.Context, data parade.ValueData) (queue.Value, error) {
	v := queue.Value{Name: data.Name, Type: data.Type, Shape: data.Shape, Job: queue.Pushed, Hash: queue.HashOf(data.Data), Size: data.Size}
	s := &c.stock
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	here := s.users[placeOf(v)] > 0
	s.mu.Unlock()
	if !here {
		err := queue.Persist(ctx, storing, func(context.Context) error {
			return queue.PutValue(ctx, c.js, c.home(), v.Job, v.Hash, data.Data)
		})
		if err != nil {
			return queue.Value{}, fmt.Errorf("cluster %s: storing the value %q: %w", c.name, v.Name, err)
		}
	}
	s.mu.Lock()
	s.hold(v)
	s.mu.Unlock()
	return v, nil
}

// fetch gets a value from the store.
func (c *Client) fetch(ctx context.Context, v queue.Value) (data parade.ValueData, err error) {
	data = parade.ValueData{Name: v.Name, Type: v.Type, Shape: v.Shape, Size: v.Size}
	err = queue.Persist(ctx, storing, func(context.Context) error {
		data.Data, err = queue.GetValue(ctx, c.js, c.home(), v.Job, v.Hash)
		if queue.IsGone(err) {
			return queue.Final(err)
		}
		return err
	})
	if err != nil {
		return data, fmt.Errorf("cluster %s: fetching the value %q: %w", c.name, v.Name, err)
	}
	return data, nil
}

// release gives up values. Those that nobody else has go from the store.
func (c *Client) release(values ...queue.Value) {
	s := &c.stock
	s.mu.Lock()
	var gone []place
	for _, v := range values {
		p := placeOf(v)
		if s.users[p]--; s.users[p] == 0 {
			gone = append(gone, p)
		}
	}
	s.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	c.background(func() {
		for _, p := range gone {
			c.dropUnused(p)
		}
	})
}

// dropUnused removes a value from the store, unless somebody has come to use it.
func (c *Client) dropUnused(p place) {
	s := &c.stock
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	used := s.users[p] > 0
	if !used {
		delete(s.users, p)
	}
	s.mu.Unlock()
	if !used {
		ctx, cancel := context.WithTimeout(c.ended, 10*time.Second)
		defer cancel()
		_ = queue.DropValue(ctx, c.js, c.home(), p.job, p.hash) // what is left goes with the client
	}
}

// dropUnheld removes what the store has under the number of a call and nobody uses.
func (c *Client) dropUnheld(job string) {
	s := &c.stock
	s.changing.Lock()
	defer s.changing.Unlock()
	used := map[string]bool{}
	s.mu.Lock()
	for p := range s.users {
		if p.job == job {
			used[p.hash.Key()] = true
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.ended, 10*time.Second)
	defer cancel()
	_ = queue.DropValues(ctx, c.js, c.home(), job, used) // what is left goes with the client
}

// home is the queue in whose bucket the values of all views are: the client's first.
func (c *Client) home() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// loseValues gives up all values: the queue that had them was removed while this client was
// cut off. Calls whose tasks may ask for one cannot go on.
func (c *Client) loseValues() {
	var gone []queue.Value
	c.stock.mu.Lock()
	for _, s := range c.sessions {
		for _, v := range s.values {
			gone = append(gone, v)
		}
		s.values = nil
	}
	c.stock.mu.Unlock()
	c.release(gone...)
	c.mu.Lock()
	var calls []*call
	for _, call := range c.calls {
		uses := call.post.Keeps()
		for _, values := range call.values {
			uses = uses || len(values) > 0
		}
		if uses {
			calls = append(calls, call)
		}
	}
	c.mu.Unlock()
	for _, call := range calls {
		call.post.Stop(fmt.Errorf("cluster %s: %w: the values of its views were removed while this program was cut off; push them again", c.name, parade.ErrNoValue))
	}
}

// keep has tasks on the engines of a session find a value from now on, which has been held
// for it, and gives up what they found under its name.
func (c *Client) keep(s *session, v queue.Value) {
	c.stock.mu.Lock()
	old, replaces := s.values[v.Name]
	if s.values == nil {
		s.values = map[string]queue.Value{}
	}
	s.values[v.Name] = v
	c.stock.mu.Unlock()
	if replaces {
		c.release(old)
	}
}

// valuesOf returns the values of a session, held once more.
func (c *Client) valuesOf(s *session) []queue.Value {
	c.stock.mu.Lock()
	defer c.stock.mu.Unlock()
	if len(s.values) == 0 {
		return nil
	}
	values := make([]queue.Value, 0, len(s.values))
	for _, v := range s.values {
		values = append(values, v)
	}
	c.stock.hold(values...)
	return values
}

// named returns the value that each session has under a name, held once more.
func (c *Client) named(sessions []*session, name string) ([]queue.Value, error) {
	c.stock.mu.Lock()
	defer c.stock.mu.Unlock()
	values := make([]queue.Value, 0, len(sessions))
	for _, s := range sessions {
		v, ok := s.values[name]
		if !ok {
			return nil, fmt.Errorf("cluster %s: %w: %s have none of the name %q; give them one with cluster.Push", c.name, parade.ErrNoValue, s.engines(), name)
		}
		values = append(values, v)
	}
	c.stock.hold(values...)
	return values, nil
}

// transfers is how many values are stored or fetched at a time.
const transfers = 8

// together calls f for 0 to n-1, some at a time, and returns when all have returned.
func together(n int, f func(i int) error) error {
	var (
		running sync.WaitGroup
		slots   = make(chan struct{}, transfers)
		errs    = make([]error, n)
	)
	for i := range n {
		slots <- struct{}{}
		running.Go(func() {
			errs[i] = f(i)
			<-slots
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
