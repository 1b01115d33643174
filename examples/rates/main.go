// Command rates computes the mean firing rates of eight spike trains in parallel:
// example 1 of Elephant's parallel tutorial.
//
//	go run ./examples/rates              in processes, one per core
//	go run ./examples/rates threads:2    or serial, threads, processes:4
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"

	"github.com/parade-go/parade"
	_ "github.com/parade-go/parade/process" // makes "processes" known to Open
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// A function that worker processes can run is declared once, at package level,
// under a name of its own. This one is used as it is in package spike.
var meanRate = parade.Func("mean-rate", spike.MeanFiringRate)

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
	// A worker process comes as far as this and then serves.
	ex, err := parade.Open(ctx, executor)
	if err != nil {
		return err
	}
	defer ex.Close()

	process := spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(10)}
	trains, err := process.Trains(rand.New(rand.NewPCG(1, 2)), 8)
	if err != nil {
		return err
	}

	// The same call on every executor, and the same results, in the trains' order.
	rates, err := parade.Map(ctx, ex, meanRate, trains)
	if err != nil {
		return err
	}
	for i, rate := range rates {
		fmt.Fprintf(w, "train %d: %v\n", i+1, rate)
	}
	return nil
}
