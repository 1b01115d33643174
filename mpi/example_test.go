package mpi_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mpi"
)

var square = parade.Pure("mpi.square", func(x float64) float64 { return x * x })

// Under mpiexec -n 4 there are three workers. One process alone computes by itself,
// and a machine without MPI says so.
func ExampleOpen() {
	ctx := context.Background()
	var executor parade.Executor
	executor, err := mpi.Open(ctx, mpi.Config{})
	if errors.Is(err, errors.ErrUnsupported) {
		executor, err = parade.Open(ctx, "threads")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer executor.Close()
	squares, err := parade.Map(ctx, executor, square, []float64{1, 2, 3})
	fmt.Println(squares, err)
	// Output: [1 4 9] <nil>
}
