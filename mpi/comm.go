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
		p, err := startPool(context.Background(), Config{})
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

// newComm finds out about a communicator that was made.
func newComm(e *engine, comm handle) (*Comm, error) {
	c := &Comm{e: e, comm: comm}
	err := e.do(func() (err error) {
		if err = e.lib.returnErrors(comm); err == nil {
			c.rank, err = e.lib.rank(comm)
		}
		if err == nil {
			c.size, err = e.lib.size(comm)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
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
	var part handle
	err := c.e.do(func() (err error) {
		part, err = c.e.lib.split(c.comm, color, key)
		return err
	})
	if err != nil || color < 0 {
		return nil, err
	}
	return newComm(c.e, part)
}

// Barrier returns when every rank has called it. It is collective.
func (c *Comm) Barrier(ctx context.Context) error {
	if c.taken {
		return errServing
	}
	r := new(request)
	err := c.e.do(func() error { return c.e.lib.startBarrier(r, c.comm) })
	if err != nil {
		return err
	}
	return c.e.waitFor(ctx, r)
}

// Send sends p, of less than 2 GiB, to a rank that calls Recv with the same tag.
func (c *Comm) Send(ctx context.Context, p []byte, to, tag int) error {
	r := new(request)
	if err := c.start(r, p, to, tag, (*library).startSend); err != nil {
		return err
	}
	return c.e.waitFor(ctx, r)
}

// Recv receives what a rank sends with the same tag into p, which it must fill: another
// length is an error. When ctx ends nothing is received, and p is the caller's again.
func (c *Comm) Recv(ctx context.Context, p []byte, from, tag int) error {
	r := &request{counted: true}
	if err := c.start(r, p, from, tag, (*library).startReceive); err != nil {
		return err
	}
	err := c.e.await(r, ctx.Done())
	if errors.Is(err, errGivenUp) {
		if err = c.e.do(func() error { return c.e.lib.giveUp(r) }); err == nil {
			err = c.e.await(r, nil)
		}
		if err == nil && r.count < 0 {
			err = context.Cause(ctx)
		}
	}
	if err == nil && r.count != len(p) {
		err = fmt.Errorf("mpi: rank %d sent %d bytes under tag %d, and %d were to be received", from, r.count, tag, len(p))
	}
	return err
}

// start starts to send or receive p.
func (c *Comm) start(r *request, p []byte, peer, tag int, how func(*library, *request, []byte, int, int, handle) error) error {
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
	return c.e.do(func() error { return how(c.e.lib, r, p, peer, tag, c.comm) })
}

// Open gives the root of the communicator an executor over its ranks. At the other ranks
// it serves until the root closes that, and then returns an executor that has none
// of the results and says so: its Root is false, and calls on it fail with
// [ErrNotRoot]. It is collective; only the root's cfg counts.
func (c *Comm) Open(ctx context.Context, root int, cfg Config) (*Executor, error) {
	if root < 0 || root >= c.size {
		return nil, fmt.Errorf("mpi: there is no rank %d among %d that could be root", root, c.size)
	}
	if c.taken {
		if root != 0 {
			return nil, errServing
		}
		if err := cfg.complete(); err != nil {
			return nil, err
		}
		pool.Lock()
		defer pool.Unlock()
		return openPool(ctx, cfg)
	}
	pool.Lock()
	pool.open++ // Finalize would end it
	pool.Unlock()
	leave := func() error {
		pool.Lock()
		defer pool.Unlock()
		pool.open--
		return nil
	}
	ex, err := c.open(ctx, root, cfg, leave)
	if err != nil || !ex.Root() {
		_ = leave()
	}
	return ex, err
}

func (c *Comm) open(ctx context.Context, root int, cfg Config, leave func() error) (*Executor, error) {
	bad := cfg.complete() // for others to hear of once they are there
	joining := ctx
	if c.rank == root {
		var cancel context.CancelFunc
		joining, cancel = context.WithTimeoutCause(ctx, cfg.StartTimeout, fmt.Errorf("mpi: some rank did not get to Open within %v", cfg.StartTimeout))
		defer cancel()
	}
	own, err := c.e.duplicate(joining, c.comm, func(own *Comm) { // others came after all
		p := newPort(own, root)
		if c.rank != root {
			_, _ = p.attend(joining)
			return
		}
		p.join(root, thisMember())
		if p.awaitMembers(cfg.StartTimeout, nil) == nil {
			_ = p.dissolve()
		}
	})
	if err != nil {
		return nil, err
	}
	p := newPort(own, root)
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
	if bad != nil {
		return nil, errors.Join(bad, p.dissolve())
	}
	if p.size == 1 && !cfg.RootWorks {
		slog.Warn("mpi: the communicator has one rank, which computes by itself")
	}
	ex, err := p.open(cfg, func() error { return errors.Join(p.dissolve(), leave()) })
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
		if err := p.leave(); err != nil {
			return nil, err
		}
	case <-ctx.Done():
		p.sessions.endAll()
		p.send(p.root, note{Op: "left", Error: context.Cause(ctx).Error()})
		_ = p.e.settle(finishPatience)
		p.close()
		return nil, context.Cause(ctx)
	}
	if err := p.e.do(func() error { return p.e.lib.free(p.comm) }); err != nil {
		return nil, err
	}
	return &Executor{}, nil
}

// dissolve lets the other ranks go on with their program.
func (p *port) dissolve() error {
	err := p.dismiss(finishPatience)
	if err == nil {
		err = p.e.settle(finishPatience)
	}
	p.close()
	if err == nil {
		err = p.e.do(func() error { return p.e.lib.free(p.comm) })
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
	times := make([]time.Duration, rounds)
	buf := make([]byte, size)
	for i := range times {
		if c.rank > 1 {
			break
		}
		err := c.e.do(func() error {
			start := time.Now()
			err := c.e.lib.echo(buf, c.rank, c.comm)
			times[i] = time.Since(start)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(times)
	return times, c.Barrier(ctx)
}
