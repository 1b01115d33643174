// Command parade shows what Parade does on this machine.
//
//	parade run       one command over many inputs
//	parade demo      run Elephant's parallel tutorial on every executor
//	parade doctor    what this machine offers: cores, memory, executors
//	parade smooth    smooth NIfTI images
//	parade spikes    statistics and figures of spike trains in files
//	parade bench     measure every executor
//	parade cluster   engines on any number of machines
//	parade jobs      jobs that a cluster runs by their names
//	parade version   which build this is
//
// "parade help exit-codes" lists what its exit codes mean.
package main

import (
	"fmt"
	"os"

	"github.com/parade-go/parade"
	_ "github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/mpi"
	_ "github.com/parade-go/parade/process"
)

func main() {
	parade.Serve() // a worker goes no further
	mpi.Keep()
	code := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err := mpi.Finalize(); err != nil {
		fmt.Fprintf(os.Stderr, "parade: %v\n", err)
		code = max(code, exitFailure)
	}
	os.Exit(code)
}
