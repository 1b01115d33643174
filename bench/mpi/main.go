//go:build ignore

// Measures package mpi as peer.py does mpi4py.futures, and MPI itself: mpiexec -n 3 main.
// It is run as a file, since nothing under bench is a part of the module.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mpi"
)

const (
	elements = 1_000_000 // 8 MB
	arrays   = 64
	idle     = 3 * time.Second
)

var (
	noop = parade.Pure("noop", func(x int) int { return x })
	echo = parade.Pure("echo", func(a []float64) []float64 { return a })
	cpu  = parade.Func("cpu", func(int) (time.Duration, error) { return used() })
)

// used is the processor time that this process has taken.
func used() (time.Duration, error) {
	var r syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), err
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	world, err := mpi.World()
	if err != nil {
		return err
	}
	trip, err := world.PingPong(ctx, 8, 20_000)
	if err != nil {
		return err
	}
	bulk, err := world.PingPong(ctx, 8*elements, 40)
	if err != nil {
		return err
	}
	ex, err := world.Open(ctx, 0, mpi.Config{})
	if err != nil {
		return err
	}
	if ex.Root() {
		report("raw/round-trip", micros(trip[len(trip)/2]), "us")
		report("raw/payload-8MB", 2*8*elements/mean(bulk).Seconds()/1e6, "MB/s")
		err = measure(ctx, ex)
	}
	return errors.Join(err, ex.Close(), mpi.Finalize())
}

func report(metric string, value float64, unit string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"metric": metric, "executor": "parade", "value": value, "unit": unit})
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// mean, not median, is what a long transfer sees of other programs that are running.
func mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(len(all))
}

// median of five calls, in seconds.
func median(f func() error) (float64, error) {
	var times []float64
	for range 5 {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start).Seconds())
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func measure(ctx context.Context, ex parade.Executor) error {
	inputs := make([]int, 1_000_000)
	for i := range inputs {
		inputs[i] = i
	}
	for _, m := range []struct {
		metric string
		n      int
		opts   []parade.Option
	}{
		{"noop/batch=1", 100_000, []parade.Option{parade.BatchSize(1)}},
		{"noop/batch=auto", len(inputs), nil},
	} {
		seconds, err := median(func() error {
			out, err := parade.Map(ctx, ex, noop, inputs[:m.n], m.opts...)
			if err == nil && !slices.Equal(out, inputs[:m.n]) {
				err = errors.New("wrong results")
			}
			return err
		})
		if err != nil {
			return err
		}
		report(m.metric, float64(m.n)/seconds, "tasks/s")
	}

	var trips []time.Duration
	for i := range 5_000 {
		start := time.Now()
		if _, err := parade.Go(ctx, ex, noop, i).Wait(ctx); err != nil {
			return err
		}
		trips = append(trips, time.Since(start))
	}
	slices.Sort(trips)
	report("round-trip", micros(trips[len(trips)/2]), "us")

	payload := make([][]float64, arrays)
	for k := range payload {
		payload[k] = make([]float64, elements)
		for i := range payload[k] {
			payload[k][i] = float64(i + k)
		}
	}
	seconds, err := median(func() error {
		out, err := parade.Map(ctx, ex, echo, payload)
		if err == nil && out[arrays-1][elements-1] != float64(elements+arrays-2) {
			err = errors.New("wrong results")
		}
		return err
	})
	if err != nil {
		return err
	}
	report("payload-8MB", arrays*2*8*elements/seconds/1e6, "MB/s")

	before, err := parade.Go(ctx, ex, cpu, 0).Wait(ctx)
	if err != nil {
		return err
	}
	own, err := used()
	if err != nil {
		return err
	}
	time.Sleep(idle)
	ownAfter, err := used()
	if err != nil {
		return err
	}
	after, err := parade.Go(ctx, ex, cpu, 0, parade.Workers(1)).Wait(ctx)
	if err != nil {
		return err
	}
	report("idle/worker", 100*(after-before).Seconds()/idle.Seconds(), "%")
	report("idle/root", 100*(ownAfter-own).Seconds()/idle.Seconds(), "%")
	return nil
}
