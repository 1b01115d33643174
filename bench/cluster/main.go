//go:build ignore

// Measures a cluster of two engines as peer.py does its peers: main PARADE first|measure,
// where PARADE is the command. It is run as a file, since nothing under bench is a part of
// the module.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	_ "github.com/parade-go/parade/process"
)

const (
	name     = "bench"
	million  = 1_000_000
	jobs     = 100
	commands = 10_000
)

var noop = parade.Pure("noop", func(x int) int { return x })

func main() {
	parade.Serve() // the engines' children go no further
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command, what string) (err error) {
	begin := time.Now()
	if err := invoke(command, "", "cluster", "start", name, "-n", "2", "--slots", "1"); err != nil {
		return err
	}
	conn, err := cluster.Find(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(command)) }()
	client, err := cluster.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ex := client.LoadBalanced()
	if _, err := parade.Go(ctx, ex, noop, 1).Wait(ctx); err != nil {
		return err
	}
	report("first-result", time.Since(begin).Seconds(), "s")
	if what == "first" {
		return nil
	}
	return errors.Join(submitted(ctx, client), calls(ctx, ex, client), ran(command)) // memory before it has been used
}

// stop ends the cluster, and returns when its controller does not disturb others any more.
func stop(command string) error {
	proc, err := controller()
	if err != nil {
		return err
	}
	if err := invoke(command, "", "cluster", "stop", name, "--remove"); err != nil {
		return err
	}
	for err == nil {
		time.Sleep(10 * time.Millisecond)
		_, err = os.Stat(proc)
	}
	return nil
}

// controller is the folder that the kernel has for the controller's process.
func controller() (string, error) {
	folder, err := cluster.Folder(name)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(folder, "controller.json"))
	if err != nil {
		return "", err
	}
	var state struct{ PID int }
	err = json.Unmarshal(data, &state)
	return filepath.Join("/proc", strconv.Itoa(state.PID)), err
}

// invoke runs the command once.
func invoke(command, stdin string, args ...string) error {
	cmd := exec.Command(command, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("parade %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func report(metric string, value float64, unit string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"metric": metric, "executor": "Parade", "value": value, "unit": unit})
}

// median of three calls, in seconds.
func median(f func() error) (float64, error) {
	var times []float64
	for range 3 {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start).Seconds())
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func same(got, want []int) error {
	if !slices.Equal(got, want) {
		return errors.New("wrong results")
	}
	return nil
}

func calls(ctx context.Context, ex parade.Executor, client *cluster.Client) error {
	direct := client.Direct()
	for _, m := range []struct {
		metric string
		ex     parade.Executor
		n      int
		opts   []parade.Option
	}{
		{"noop/batch=1", ex, 50_000, []parade.Option{parade.BatchSize(1)}},
		{"noop/batched", ex, million, nil},
		{"noop/direct", direct, million, nil},
	} {
		inputs := numbers(m.n)
		seconds, err := median(func() error {
			out, err := parade.Map(ctx, m.ex, noop, inputs, m.opts...)
			if err != nil {
				return err
			}
			return same(out, inputs)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", m.metric, err)
		}
		report(m.metric, float64(m.n)/seconds, "tasks/s")
	}
	var trips []time.Duration
	for i := range 2_000 {
		start := time.Now()
		if _, err := parade.Go(ctx, ex, noop, i).Wait(ctx); err != nil {
			return err
		}
		trips = append(trips, time.Since(start))
	}
	slices.Sort(trips)
	report("round-trip", trips[len(trips)/2].Seconds()*1e3, "ms")
	report("round-trip/p99", trips[len(trips)*99/100].Seconds()*1e3, "ms")
	return nil
}

// submitted measures jobs that are stored, and would go on without this program.
func submitted(ctx context.Context, client *cluster.Client) error {
	proc, err := controller()
	if err != nil {
		return err
	}
	job := func(name string, inputs []int) error {
		if err := cluster.Submit(ctx, client, name, noop, inputs, nil); err != nil {
			return err
		}
		out, err := cluster.Attach(ctx, client, name, noop)
		if err != nil {
			return err
		}
		return same(out, inputs)
	}
	if err := os.WriteFile(filepath.Join(proc, "clear_refs"), []byte("5"), 0); err != nil { // the peak starts anew
		return err
	}
	inputs, start := numbers(million), time.Now()
	if err := job("million", inputs); err != nil {
		return err
	}
	report("job-million", time.Since(start).Seconds(), "s")
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); words[0] == "VmHWM:" {
			kb, err := strconv.Atoi(words[1])
			if err != nil {
				return err
			}
			report("job-million/controller", float64(kb)/1024, "MiB")
		}
	}
	inputs, start = numbers(1_000), time.Now()
	var all sync.WaitGroup
	errs := make([]error, jobs)
	for i := range jobs {
		all.Go(func() { errs[i] = job("job-"+strconv.Itoa(i), inputs) })
	}
	all.Wait()
	report("jobs-100", time.Since(start).Seconds(), "s")
	return errors.Join(errs...)
}

// ran measures commands that do nothing.
func ran(command string) error {
	var lines strings.Builder
	for i := range commands {
		fmt.Fprintln(&lines, i)
	}
	start := time.Now()
	if err := invoke(command, lines.String(), "run", "--on", "cluster:"+name, "true"); err != nil {
		return err
	}
	report("commands", commands/time.Since(start).Seconds(), "commands/s")
	return nil
}
