// Command stream draws spike trains until their mean rate is known well enough.
// How many that takes is not known before, so the inputs have no end; Stream
// reads them as it needs them and holds a bounded number.
//
//	go run ./examples/stream              in processes, one per core
//	go run ./examples/stream threads:2    or serial, threads, processes:4
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"os"

	"github.com/parade-go/parade"
	_ "github.com/parade-go/parade/process"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// parade.Rand gives each task a random stream of its own, from the call's seed and
// the input's index: the numbers are the same on every executor.
var randomRate = parade.FuncContext("random-rate",
	func(ctx context.Context, p spike.PoissonProcess) (unit.Rate, error) {
		train, err := p.Train(parade.Rand(ctx))
		if err != nil {
			return unit.Rate{}, err
		}
		return spike.MeanFiringRate(train)
	})

func main() {
	executor := "processes"
	if len(os.Args) > 1 {
		executor = os.Args[1]
	}
	if err := run(context.Background(), executor, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, executor string, w io.Writer) error {
	ex, err := parade.Open(ctx, executor)
	if err != nil {
		return err
	}
	defer ex.Close()

	endless := func(yield func(spike.PoissonProcess) bool) {
		for yield(spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(10)}) {
		}
	}
	const enough = 0.05 // Hz, standard error of the mean
	n, mean, squares := 0.0, 0.0, 0.0
	for r := range parade.Stream(ctx, ex, randomRate, endless, parade.Seed(1)) {
		if r.Err != nil {
			return r.Err
		}
		n++ // Welford's running mean and variance
		difference := r.Value.Value - mean
		mean += difference / n
		squares += difference * (r.Value.Value - mean)
		if n > 10 && math.Sqrt(squares/(n-1)/n) < enough {
			break // leaving the loop stops the work
		}
	}
	fmt.Fprintf(w, "%.2f 1/s after %v trains\n", mean, n)
	return nil
}
