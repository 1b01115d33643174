// Command surrogates asks whether two neurons fire together more often than their
// rates explain: it counts coincident spikes in 1000 surrogates of the recording,
// each of them one task with a random stream of its own.
//
//	go run ./examples/surrogates              in processes, one per core
//	go run ./examples/surrogates threads:2    or serial, threads, processes:4
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"

	"github.com/parade-go/parade"
	_ "github.com/parade-go/parade/process"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// The pair of trains is a bound argument; the input is the surrogate's number, of
// which the stream of parade.Rand depends.
var coincidencesOfSurrogate = parade.Func2Context("coincidences-of-surrogate",
	func(ctx context.Context, pair [2]spike.Train, _ int) (float64, error) {
		dither := spike.Surrogate{Method: spike.DitherSpikes, Dither: unit.Milliseconds(20)}
		first, err := dither.Train(parade.Rand(ctx), pair[0])
		if err != nil {
			return 0, err
		}
		return coincidences(first, pair[1])
	})

// coincidences is the number of pairs of spikes in one bin of 5 ms.
func coincidences(a, b spike.Train) (float64, error) {
	c, err := spike.CrossCorrelationHistogram(a, b, unit.Milliseconds(5), spike.CrossCorrelationOptions{MinLag: -1, MaxLag: 1})
	if err != nil {
		return 0, err
	}
	return c.Samples[1], nil // at lag 0
}

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

	pair, err := together()
	if err != nil {
		return err
	}
	found, err := coincidences(pair[0], pair[1])
	if err != nil {
		return err
	}
	byChance, err := parade.Map(ctx, ex, parade.Bind(coincidencesOfSurrogate, pair), make([]int, 1000), parade.Seed(1))
	if err != nil {
		return err
	}
	asMany, sum := 0, 0.0
	for _, n := range byChance {
		sum += n
		if n >= found {
			asMany++
		}
	}
	fmt.Fprintf(w, "%v coincidences, %.1f by chance, p = %.3f\n", found, sum/float64(len(byChance)), float64(1+asMany)/float64(1+len(byChance)))
	return nil
}

// together draws two neurons that share a tenth of their spikes.
func together() (pair [2]spike.Train, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	shared, err := spike.PoissonProcess{Rate: unit.Hz(1), TStop: unit.Seconds(60)}.Train(rng)
	if err != nil {
		return pair, err
	}
	for i := range pair {
		own, err := spike.PoissonProcess{Rate: unit.Hz(9), TStop: unit.Seconds(60)}.Train(rng)
		if err != nil {
			return pair, err
		}
		if pair[i], err = spike.Merge([]spike.Train{own, shared}); err != nil {
			return pair, err
		}
	}
	return pair, nil
}
