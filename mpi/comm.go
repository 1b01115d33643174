package mpi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/parade-go/parade"
)

// Comm is a communicator: some of the ranks, numbered from 0. Its methods that say so
// are collective: every rank of the communicator calls them, in the same order.
type Comm struct {
	e     *engine
	comm  handle
	rank  int
	size  int
	taken bool // the other ranks serve, and call nothing
}

var errServing = errors.New("mpi: the other ranks serve, since parade.Open or parade.Serve came before mpi.World; call World first to have every rank run the program")

// World returns the communicator of all ranks. Called before the first parade.Open or
// parade.Serve it makes every rank run the program, which then calls [Finalize] at
// its end; later, rank 0 can open executors on it, over the ranks that serve.
func World() (*Comm, error) {
	pool.Lock()
	pool.world = pool.world || !pool.serving
	pool.Unlock()
	parade.Serve() // workers of other executors go no further
	pool.Lock()
	defer pool.Unlock()
	if pool.finished {
		return nil, errFinished
	}
	if pool.serving {
		p, err := startPool(Config{})
		if err != nil {
			return nil, err
		}
		return &Comm{e: p.e, comm: p.e.lib.commWorld, rank: p.e.rank, size: p.e.size, taken: p.e.size > 1}, nil
	}
	return theWorld()
}

func theWorld() (*Comm, error) {
	e, err := theEngine()
	if err != nil {
		return nil, err
	}
	return &Comm{e: e, comm: e.lib.commWorld, rank: e.rank, size: e.size}, nil
}

// Rank is this process's number in the communicator.
func (c *Comm) Rank() int { return c.rank }

// Size is the number of ranks.
func (c *Comm) Size() int { return c.size }

// Split makes communicators of the ranks that give the same color, ordered by key. A
// rank with a negative color is in none, and gets nil. It is collective.
func (c *Comm) Split(ctx context.Context, color, key int) (*Comm, error) {
	if c.taken {
		return nil, errServing
	}
	// MPI's call waits without a pause for the last rank: so it is met first.
	if err := c.Barrier(ctx); err != nil {
		return nil, err
	}
	part := &Comm{e: c.e}
	var err error
	c.e.do(func() {
		if part.comm, err = c.e.lib.split(c.comm, color, key); err != nil || color < 0 {
			return
		}
		if err = c.e.lib.returnErrors(part.comm); err != nil {
			return
		}
		if part.rank, err = c.e.lib.rank(part.comm); err == nil {
			part.size, err = c.e.lib.size(part.comm)
		}
	})
	if err != nil || color < 0 {
		return nil, err
	}
	return part, nil
}

// Barrier returns when every rank has called it. It is collective.
func (c *Comm) Barrier(ctx context.Context) error {
	if c.taken {
		return errServing
	}
	r := new(request)
	var err error
	c.e.do(func() { err = c.e.lib.startBarrier(r, c.comm) })
	if err != nil {
		return err
	}
	return c.e.waitFor(ctx, r)
}

// Send sends p, of less than 2 GiB, to a rank that calls Recv with the same tag.
func (c *Comm) Send(ctx context.Context, p []byte, to, tag int) error {
	return c.transfer(ctx, p, to, tag, (*library).startSend)
}

// Recv receives what a rank sends with the same tag into p, which it must fill.
func (c *Comm) Recv(ctx context.Context, p []byte, from, tag int) error {
	return c.transfer(ctx, p, from, tag, (*library).startReceive)
}

func (c *Comm) transfer(ctx context.Context, p []byte, peer, tag int, start func(*library, *request, []byte, int, int, handle) error) error {
	switch {
	case c.taken:
		return errServing
	case peer < 0 || peer >= c.size:
		return fmt.Errorf("mpi: there is no rank %d among %d", peer, c.size)
	case tag < 0 || tag > c.e.tagMax:
		return fmt.Errorf("mpi: tag %d is not in [0, %d]", tag, c.e.tagMax)
	case len(p) > 1<<31-1:
		return fmt.Errorf("mpi: %d bytes in one message; send less than 2 GiB at a time", len(p))
	}
	r := new(request)
	var err error
	var done bool
	c.e.do(func() {
		if err = start(c.e.lib, r, p, peer, tag, c.comm); err == nil {
			done, err = c.e.lib.done(r)
		}
	})
	if err != nil || done {
		return err
	}
	return c.e.waitFor(ctx, r)
}

// Open gives the root of the communicator an executor over its ranks. At the other ranks
// it serves until the root closes that, and then returns an executor that has none
// of the results and says so: its Root is false, and calls on it fail with
// [ErrNotRoot]. It is collective; only the root's cfg counts.
func (c *Comm) Open(ctx context.Context, root int, cfg Config) (*Executor, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if root < 0 || root >= c.size {
		return nil, fmt.Errorf("mpi: there is no rank %d among %d that could be root", root, c.size)
	}
	if c.taken {
		if root != 0 {
			return nil, errServing
		}
		pool.Lock()
		defer pool.Unlock()
		return openPool(ctx, cfg)
	}
	comm, err := c.e.duplicate(ctx, c.comm)
	if err != nil {
		return nil, err
	}
	p := newPort(c.e, comm, c.rank, c.size, root)
	if c.rank != root {
		return p.attend(ctx)
	}
	p.join(root, thisMember())
	if err := p.awaitMembers(cfg.StartTimeout, ctx.Done()); err != nil {
		_ = p.dissolve()
		if errors.Is(err, errGivenUp) {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	if p.size == 1 && !cfg.RootWorks {
		slog.Warn("mpi: the communicator has one rank, which computes by itself")
	}
	ex, err := p.open(cfg, p.dissolve)
	if err != nil {
		return nil, errors.Join(err, p.dissolve())
	}
	return ex, nil
}

// attend serves until the root is done.
func (p *port) attend(ctx context.Context) (*Executor, error) {
	p.announce()
	select {
	case <-p.finish:
		p.leave()
	case <-ctx.Done():
		p.sessions.endAll()
		p.send(p.root, note{Op: "left", Error: context.Cause(ctx).Error()})
		p.e.settle(finishPatience)
		p.close()
		return nil, context.Cause(ctx)
	}
	p.e.do(func() { _ = p.e.lib.free(p.comm) })
	return &Executor{}, nil
}

// dissolve lets the other ranks go on with their program.
func (p *port) dissolve() error {
	err := p.dismiss(finishPatience)
	p.e.settle(finishPatience)
	p.close()
	if err == nil {
		p.e.do(func() { err = p.e.lib.free(p.comm) })
	}
	return err
}

// PingPong measures what MPI itself takes for a message of so many bytes from rank 0 to
// rank 1 and back, by blocking calls, and returns the time of each round at rank 0,
// sorted. Other ranks wait. It is collective.
func (c *Comm) PingPong(ctx context.Context, size, rounds int) ([]time.Duration, error) {
	if c.taken {
		return nil, errServing
	}
	if c.size < 2 || size < 0 || rounds < 1 {
		return nil, fmt.Errorf("mpi: ping-pong of %d bytes, %d times, among %d ranks", size, rounds, c.size)
	}
	if err := c.Barrier(ctx); err != nil {
		return nil, err
	}
	var err error
	times := make([]time.Duration, rounds)
	if c.rank < 2 {
		c.e.do(func() {
			buf := make([]byte, size)
			for i := range times {
				start := time.Now()
				if err = c.e.lib.echo(buf, c.rank, c.comm); err != nil {
					return
				}
				times[i] = time.Since(start)
			}
		})
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(times)
	return times, c.Barrier(ctx)
}
