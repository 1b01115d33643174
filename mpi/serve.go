package mpi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
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
	pool.Unlock()
	switch {
	case !first:
	case here.rank == 0 && !here.spawned:
		if here.size != 1 {
			// All ranks initialise MPI, or none: one alone would wait for ever. What
			// goes wrong is said when somebody asks for the executor.
			go func() { _, _ = startPool(Config{}) }()
		}
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
	comm := handle(0)
	if here.spawned {
		e.do(func() {
			var ok bool
			if between, ok = e.lib.parent(); !ok {
				err = fmt.Errorf("mpi: this process was spawned, but MPI knows of no parent")
				return
			}
			comm, err = e.lib.mergeWith(between, 1)
			if err == nil {
				err = e.lib.returnErrors(comm)
			}
		})
		prefix = fmt.Sprintf("[rank %d] ", e.rank+1) // behind the parent
	} else {
		comm, err = e.duplicate(context.Background(), e.lib.commWorld)
	}
	if err != nil {
		return err
	}
	var rank, size int
	e.do(func() {
		rank, err = e.lib.rank(comm)
		if err == nil {
			size, err = e.lib.size(comm)
		}
	})
	if err != nil {
		return err
	}
	restore, err := prefixOutput(prefix)
	if err != nil {
		return err
	}
	p := newPort(e, comm, rank, size, 0)
	p.announce()
	<-p.finish
	p.leave()
	restore()
	if between != 0 {
		e.do(func() { err = e.lib.free(comm) })
		if err == nil {
			e.do(func() { err = e.lib.leave(between) })
		}
		if err != nil {
			return err
		}
	}
	return e.finalize()
}

// leave ends what a rank does for a port.
func (p *port) leave() {
	p.sessions.endAll()
	p.send(p.root, note{Op: "bye"})
	p.e.settle(time.Second)
	p.close()
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
