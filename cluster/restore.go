package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster/internal/queue"
)

// silence is after how long without an answer the client looks whether its queues are
// there.
const silence = 10 * time.Second

// lingering is how long engines may take over the end of a call.
var lingering = 10 * time.Second // a variable for tests

// cutOff is called when the connection is lost.
func (c *Client) cutOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = false
}

// reconnected is called when it has come back.
func (c *Client) reconnected() {
	c.cutOff() // the server has forgotten the watch
	select {
	case c.again <- struct{}{}:
	default:
	}
	c.background(c.restore)
}

// restore sees to it that the client's queues are there. One that the controller has
// removed, since it took this client for gone, is made again, and the calls send again what
// has not been answered.
func (c *Client) restore() {
	c.mu.Lock()
	c.heard = time.Now()
	c.mu.Unlock()
	select {
	case c.making <- struct{}{}:
	case <-c.ended.Done():
		return
	}
	defer func() { <-c.making }()
	for _, s := range c.sessions {
		remade, err := c.mend(c.ended, s)
		var calls []*call
		c.mu.Lock()
		for _, call := range c.calls {
			if slices.Contains(call.sessions, s) {
				calls = append(calls, call)
			}
		}
		c.mu.Unlock()
		switch {
		case c.ended.Err() != nil:
			return
		case queue.IsFull(err):
			for _, call := range calls {
				call.post.Stop(fmt.Errorf("cluster %s: the queue of this call was lost: %w", c.name, err))
			}
		case err != nil:
			slog.Warn("it is not known whether the calls' queue is there; the client looks again", "cluster", c.name, "queue", s.id, "error", err)
		case remade:
			slog.Warn("the calls' queue was gone and has been made again", "cluster", c.name, "queue", s.id)
			if s.id == c.home() {
				c.loseValues()
			}
			for _, call := range calls {
				call.lose(s)
			}
		}
	}
}

// mend makes a session's queue again if it is gone. Each request is made for a bounded time, that
// to store the program for one by its size.
func (c *Client) mend(ctx context.Context, s *session) (remade bool, err error) {
	// The controller makes this bucket when it has all others back.
	if _, err := queue.Bucket(ctx, c.js, queue.Engines); err != nil {
		return false, err
	}
	if _, err = c.js.Stream(ctx, queue.WorkStream(s.id)); err == nil {
		_, err = queue.Get(ctx, c.js, s.id)
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, err
	}
	if err := c.publishProgram(ctx, s.record.Program); err != nil {
		return false, err
	}
	if err := queue.Remove(ctx, c.js, s.record); err != nil { // what is left of it
		return false, err
	}
	s.record.Created = time.Now() // by which engines know that it is another
	return true, queue.Make(ctx, c.js, s.record, 0)
}

// lose has the parcels of a session sent again.
func (c *call) lose(s *session) {
	c.mu.Lock()
	c.lost = append(c.lost, s)
	single := c.only != nil
	c.mu.Unlock()
	if single {
		c.client.background(func() { c.sendAgain(c.post.Context()) })
	} else {
		c.wake() // inputs are read where the call runs
	}
}

// regain sees to a queue that was found to be gone, and has its parcels sent again.
func (c *call) regain(s *session) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-c.client.ended.Done():
		return
	}
	c.client.restore()
	c.lose(s)
}

// sendAgain sends what the queues have lost.
func (c *call) sendAgain(ctx context.Context) {
	c.mu.Lock()
	lost, only := c.lost, c.only
	c.lost = nil
	c.mu.Unlock()
	if len(lost) == 0 {
		return
	}
	err := func() error {
		for _, s := range lost {
			c.client.courier.Forget(queue.Work(s.id, c.number))
			if bound, _ := c.post.Bound(); c.bound != nil {
				err := queue.PutValue(ctx, c.client.js, s.id, c.number, *c.bound, bound)
				if queue.IsGone(err) { // once more
					c.client.background(func() { c.regain(s) })
					return nil
				}
				if err != nil {
					return fmt.Errorf("cluster %s: storing the bound argument: %w", c.client.name, err)
				}
			}
		}
		if only != nil {
			if !c.post.Waiting(only.First) {
				return nil
			}
			return c.send(ctx, only, true)
		}
		return c.post.Again(func(p *parade.Posted) error {
			if !slices.Contains(lost, c.of(p)) {
				return nil
			}
			return c.send(ctx, p, false)
		})
	}()
	if err != nil {
		c.post.Stop(err)
	}
}

// refused is told that a stream does not store a parcel.
func (c *Client) refused(subject string, err error) {
	id, number, parsed := queue.Parse(subject)
	if parsed != nil {
		return
	}
	var stops []func(error)
	c.mu.Lock()
	for p := range c.storing {
		if p.id == id {
			stops = append(stops, p.fail)
		}
	}
	if call := c.calls[number]; call != nil && slices.ContainsFunc(call.sessions, func(s *session) bool { return s.id == id }) {
		stops = append(stops, call.post.Stop)
	}
	c.mu.Unlock()
	if len(stops) == 0 {
		return
	}
	err = fmt.Errorf("cluster %s: the controller does not store the inputs: %w", c.name, err)
	if queue.IsFull(err) {
		for _, stop := range stops {
			stop(err)
		}
		return
	}
	c.mu.Lock()
	late := time.Since(c.warned) > silence
	if late {
		c.warned = time.Now()
	}
	c.mu.Unlock()
	if late {
		slog.Warn("parcels are sent again", "cluster", c.name, "error", err)
	}
}
