package mpi

import (
	"fmt"
	"os"
)

// SpawnError says that MPI could not start workers, and how to do without.
type SpawnError struct {
	Workers int
	Library string
	Err     error
}

func (e *SpawnError) Error() string {
	return fmt.Sprintf("mpi: %s cannot start %d workers from here (%v); have them started with the program: mpiexec -n %d %s",
		e.Library, e.Workers, e.Err, e.Workers+1, commandLine())
}

// Unwrap returns MPI's error.
func (e *SpawnError) Unwrap() error { return e.Err }

// spawnPool has MPI start n workers: this program again.
func spawnPool(e *engine, n int) (*port, handle, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	info := map[string]string{}
	if dir, err := os.Getwd(); err == nil {
		info["wdir"] = dir
	}
	var all, between handle
	err = e.do(func() (err error) {
		all, between, err = e.lib.spawnWorkers(program, os.Args[1:], n, info)
		return err
	})
	var c *Comm
	if err == nil {
		c, err = newComm(e, all)
	}
	if err != nil {
		return nil, 0, &SpawnError{Workers: n, Library: e.lib.maker.String(), Err: err}
	}
	p := newPort(c, 0)
	p.join(0, thisMember())
	return p, between, nil
}
