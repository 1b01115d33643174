// Command histograms bins the same spike trains with several bin sizes in
// parallel: example 2 of Elephant's parallel tutorial. The trains are a bound
// argument, as with functools.partial, and travel once per worker.
//
//	go run ./examples/histograms              in processes, one per core
//	go run ./examples/histograms threads:2    or serial, threads, processes:4
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

// A function of two arguments: Bind fixes the first, Map goes over the second.
var histogram = parade.Func2("histogram",
	func(trains []spike.Train, bin unit.Time) (spike.Histogram, error) {
		return spike.TimeHistogram(trains, bin, spike.HistogramOptions{})
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

	process := spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(10)}
	trains, err := process.Trains(rand.New(rand.NewPCG(1, 2)), 8)
	if err != nil {
		return err
	}
	var bins []unit.Time
	for _, ms := range []float64{100, 200, 250, 500, 1000} {
		bins = append(bins, unit.Milliseconds(ms))
	}

	var report parade.Report
	histograms, err := parade.Map(ctx, ex, parade.Bind(histogram, trains), bins, parade.WithReport(&report))
	if err != nil {
		return err
	}
	for i, h := range histograms {
		most := 0.0
		for _, count := range h.Samples {
			most = max(most, count)
		}
		fmt.Fprintf(w, "%v: %d bins, at most %v spikes in one\n", bins[i], h.Len(), most)
	}
	fmt.Fprintf(w, "%d tasks, %d failed\n", report.Tasks, report.Failed)
	return nil
}
