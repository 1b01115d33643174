package mpi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// rankServes is set in a process that has become a worker.
var rankServes atomic.Bool

// serve makes a worker of a rank other than 0, and has rank 0 meet the others, who are
// on their way to serving. In a program that called World it does nothing.
func serve() {
	if !here.launched() || rankServes.Load() {
		return
	}
	pool.Lock()
	first := !pool.world && !pool.serving
	pool.serving = pool.serving || first
	if first && here.rank == 0 && !here.spawned && here.size != 1 {
		// All ranks initialise MPI, or none: one alone would wait for ever. What
		// goes wrong is said when somebody asks for the executor.
		launchPool(Config{})
	}
	pool.Unlock()
	switch {
	case !first, here.rank == 0 && !here.spawned:
	default:
		rankServes.Store(true)
		if err := serveRank(); err != nil {
			fatal(err)
		}
		os.Exit(0)
	}
}

// serveRank serves until rank 0 lets the ranks go.
func serveRank() error {
	e, err := theEngine()
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("[rank %d] ", e.rank)
	var between handle
	var c *Comm
	if here.spawned {
		var all handle
		err = e.do(func() (err error) {
			var ok bool
			if between, ok = e.lib.parent(); !ok {
				return fmt.Errorf("mpi: this process was spawned, but MPI knows of no parent")
			}
			all, err = e.lib.mergeWith(between, 1)
			return err
		})
		if err == nil {
			c, err = newComm(e, all)
		}
		prefix = fmt.Sprintf("[rank %d] ", e.rank+1) // behind the parent
	} else {
		c, err = e.duplicate(context.Background(), e.lib.commWorld, nil)
	}
	if err != nil {
		return err
	}
	restore, err := prefixOutput(prefix)
	if err != nil {
		return err
	}
	p := newPort(c, 0)
	// Children of this process must not inherit that signals are ignored: they are
	// taken, and what is a Ctrl-C for rank 0 to act on is nothing here.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	p.announce()
	p.serveUntil(signals)
	err = p.leave()
	restore()
	if err != nil {
		return err
	}
	if between != 0 {
		err := e.do(func() error { return errors.Join(e.lib.free(c.comm), e.lib.leave(between)) })
		if err != nil {
			return err
		}
	}
	return e.finalize()
}

// terminated is how long a rank that was told to end waits for rank 0, which may have
// been told so, too, and be about to end all ranks in order.
const terminated = 2 * time.Second

// serveUntil returns when rank 0 lets this rank go. SIGTERM ends the tasks here, and with
// them the commands that they have started, and soon the process.
func (p *port) serveUntil(signals <-chan os.Signal) {
	for {
		select {
		case <-p.finish:
			return
		case s := <-signals:
			if s != syscall.SIGTERM {
				continue
			}
		}
		break
	}
	p.send(p.root, note{Op: "left", Error: "it was told to end by SIGTERM"})
	p.sessions.endAll()
	select {
	case <-p.finish:
	case <-time.After(terminated):
		os.Exit(128 + int(syscall.SIGTERM))
	}
}

// leave ends what a rank does for a port.
func (p *port) leave() error {
	p.sessions.endAll()
	p.send(p.root, note{Op: "bye"})
	err := p.e.settle(finishPatience)
	p.close()
	return err
}

// prefixOutput has what Go code of this process prints appear as whole lines with a
// prefix. What C code prints, and the trace of a crash, go where they always went.
func prefixOutput(prefix string) (restore func(), err error) {
	var relays sync.WaitGroup
	var undo []func()
	for _, f := range []**os.File{&os.Stdout, &os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		to := *f
		*f = w
		relays.Go(func() {
			lines := bufio.NewReader(r)
			for {
				line, err := lines.ReadString('\n')
				if len(line) > 0 {
					if err != nil {
						line += "\n"
					}
					_, _ = io.WriteString(to, prefix+line)
				}
				if err != nil {
					return
				}
			}
		})
		undo = append(undo, func() {
			*f = to
			_ = w.Close()
		})
	}
	log.SetOutput(os.Stderr)
	return func() {
		for _, f := range undo {
			f()
		}
		log.SetOutput(os.Stderr)
		// A process that a task has left behind may hold the pipes.
		done := make(chan struct{})
		go func() {
			relays.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(time.Second):
		}
	}, nil
}
