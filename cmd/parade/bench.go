package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/spf13/cobra"
)

type benchOptions struct {
	json    bool
	quick   bool
	on      []string
	chosen  bool // the user named them
	workers int
	tasks   int
}

func newBenchCommand() *cobra.Command {
	var opts benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a task costs on each executor",
		Long: `Bench measures each executor on this machine:

  no-op tasks per second, with one task per batch and with automatic batches
  the time of one call on a warm executor: median and 99th percentile
  the time from opening the executor to the first result
  200 tasks that share a bound argument of 80 MB
  64 inputs of 8 MB, of which a number, or a result of 8 MB, comes back

Other programs that are running slow it down and make it uncertain. It takes
about half a minute, with --quick some seconds, and up to 1.2 GB of memory.

With --json each figure is one line: metric, executor, workers, value, unit. In
the repository, bench/run.sh prints the same figures of Python's pools beside.`,
		Example: `  parade bench
  parade bench --quick --on threads,processes --workers 8
  parade bench --json >bench.jsonl`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.chosen = cmd.Flags().Changed("on")
			return runBench(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opts.json, "json", false, "print one JSON object per figure")
	f.BoolVar(&opts.quick, "quick", false, "shorter runs, rougher figures")
	f.StringSliceVar(&opts.on, "on", usualExecutors(), "executors to measure")
	f.IntVar(&opts.workers, "workers", cores.Granted(), "workers of each executor")
	f.IntVar(&opts.tasks, "tasks", 0, "no-op tasks per run (default: as many as it takes)")
	return cmd
}

// figure is one line of "parade bench --json". The names of metrics are those
// of bench/peers/peers.py.
type figure struct {
	Metric   string  `json:"metric"`
	Executor string  `json:"executor"`
	Workers  int     `json:"workers"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
}

// benchMetrics are the rows of the table for people.
var benchMetrics = []struct{ metric, label string }{
	{"noop/batch=1", "no-op tasks, one per batch"},
	{"noop/batch=auto", "no-op tasks, automatic batches"},
	{"round-trip/median", "one call, median"},
	{"round-trip/p99", "one call, 99th percentile"},
	{"first-result", "first result after Open"},
	{"bound-80MB", "200 tasks, 80 MB bound argument"},
	{"bound-80MB/pickled", "  how often it was encoded"},
	{"bound-80MB/sent", "  how much was sent"},
	{"payload-8MB-sum", "8 MB in, their sum back"},
	{"payload-8MB-doubled", "8 MB in, 8 MB back"},
}

func runBench(ctx context.Context, opts benchOptions, stdout, stderr io.Writer) error {
	on, err := opts.executors()
	if err != nil {
		return err
	}
	bar := newProgress(newTerminal(stderr))
	defer bar.clear()
	var (
		all     []figure
		missing []string
	)
	for i, ex := range on {
		kind, _, _ := strings.Cut(ex.spec, ":")
		b := bencher{
			ctx: ctx, opts: opts, spec: ex.spec,
			step: func(step int, what string) {
				bar.show(kind+": "+what, i*benchSteps+step, len(on)*benchSteps)
			},
			opened: func(info parade.Info) { on[i].workers = info.Workers },
			report: func(metric string, value float64, unit string) {
				all = append(all, figure{metric, kind, on[i].workers, rounded(value), unit})
			},
		}
		first := len(all)
		err := b.run()
		if errors.Is(err, errors.ErrUnsupported) && !opts.chosen {
			missing = append(missing, kind)
			continue
		}
		if err != nil {
			return fmt.Errorf("executor %s: %w", ex.spec, err)
		}
		if !opts.json {
			continue
		}
		lines := json.NewEncoder(stdout)
		lines.SetEscapeHTML(false)
		bar.clear()
		for _, f := range all[first:] {
			if err := lines.Encode(f); err != nil {
				return err
			}
		}
	}
	bar.clear()
	out := newTerminal(stdout)
	if !opts.json {
		printBench(out, on, all)
	}
	for _, spec := range missing {
		newTerminal(stderr).note(spec + " is left out: this system does not have it; see \"parade doctor\".")
	}
	return out.err
}

// benched is an executor to measure.
type benched struct {
	spec    string
	workers int
}

func (o benchOptions) executors() ([]benched, error) {
	if err := checkExecutors(o.on); err != nil {
		return nil, err
	}
	if o.workers < 1 {
		return nil, usagef("--workers %d: give 1 or more", o.workers)
	}
	if o.tasks < 0 {
		return nil, usagef("--tasks %d: give 1 or more", o.tasks)
	}
	var on []benched
	for _, spec := range o.on {
		kind, arg, given := strings.Cut(spec, ":")
		workers := o.workers
		switch {
		case kind == "mpi":
			workers = mpiWorkers(arg)
		case given && kind != clusterKind:
			n, err := parade.WorkerCount(kind, arg, 0)
			if err != nil {
				return nil, &usageError{err}
			}
			workers = n
		case kind == clusterKind: // it has as many as it has
			workers = 0
		case kind == "serial":
			workers = 1
		default:
			spec = kind + ":" + strconv.Itoa(workers)
		}
		on = append(on, benched{spec, workers})
	}
	return on, nil
}

// rounded keeps four digits: more would be noise.
func rounded(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return r
}

func printBench(t *terminal, on []benched, all []figure) {
	host := parade.Serial().Info()
	t.heading("Parade bench", fmt.Sprintf("%s, %s/%s, %s granted, %s",
		host.Host, runtime.GOOS, runtime.GOARCH, plural(host.Cores, "core"), runtime.Version()))
	head := []string{""}
	for _, ex := range on {
		head = append(head, t.bold(ex.spec))
	}
	rows := [][]string{head}
	for _, m := range benchMetrics {
		row := []string{m.label}
		for _, ex := range on {
			kind, _, _ := strings.Cut(ex.spec, ":")
			cell := t.dim("-")
			for _, f := range all {
				if f.Metric == m.metric && f.Executor == kind && f.Workers == ex.workers {
					cell = f.text()
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	t.printf("\n")
	t.table("l"+strings.Repeat("r", len(on)), rows)
	t.printf("\n")
}

// text is the figure for people, with its unit.
func (f figure) text() string {
	switch f.Unit {
	case "tasks/s":
		return short(f.Value) + " tasks/s"
	case "us":
		return took(time.Duration(f.Value * float64(time.Microsecond)))
	case "ms":
		return took(time.Duration(f.Value * float64(time.Millisecond)))
	case "s":
		return took(time.Duration(f.Value * float64(time.Second)))
	case "MB":
		return size(f.Value * 1e6)
	case "MB/s":
		return size(f.Value*1e6) + "/s"
	}
	return strconv.FormatFloat(f.Value, 'g', 3, 64) + "×"
}

// What the executors run. All are declared here, so that workers know them.
var (
	noop    = parade.Pure("bench.noop", func(x int) int { return x })
	sum     = parade.Pure("bench.sum", sumOf)
	doubled = parade.Pure("bench.doubled", func(a []float64) []float64 {
		twice := make([]float64, len(a))
		for i, v := range a {
			twice[i] = 2 * v
		}
		return twice
	})
	element = parade.Pure2("bench.element", func(b boundArray, i int) float64 { return b.Array[i] })
)

// sumOf adds in four places: one chain of additions would be slower than memory.
func sumOf(a []float64) float64 {
	var s [4]float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += a[i]
		s[1] += a[i+1]
		s[2] += a[i+2]
		s[3] += a[i+3]
	}
	for ; i < len(a); i++ {
		s[0] += a[i]
	}
	return s[0] + s[1] + s[2] + s[3]
}

// boundArray is an argument that counts how often it is encoded.
type boundArray struct {
	Array []float64
	Count encodings
}

// encodings counts, in this process, how often one of its values is encoded.
type encodings struct{}

var encoded atomic.Int64

// MarshalBinary counts.
func (encodings) MarshalBinary() ([]byte, error) {
	encoded.Add(1)
	return nil, nil
}

// UnmarshalBinary takes what MarshalBinary gave.
func (*encodings) UnmarshalBinary([]byte) error { return nil }

const (
	benchSteps    = 5
	mostNoops     = 4_000_000 // in one run: 32 MB each of inputs and results
	boundElements = 10_000_000
	boundTasks    = 200
	payloadLength = 1_000_000
)

// bencher measures one executor.
type bencher struct {
	ctx    context.Context
	opts   benchOptions
	spec   string
	step   func(step int, what string)
	opened func(parade.Info)
	report func(metric string, value float64, unit string)
}

func (b *bencher) run() error {
	b.step(0, "first result")
	if err := b.firstResult(); err != nil {
		return err
	}
	ex, err := parade.Open(b.ctx, b.spec)
	if err != nil {
		return err
	}
	defer ex.Close()
	for i, part := range []struct {
		what    string
		measure func(parade.Executor) error
	}{
		{"no-op tasks", b.throughput},
		{"round trip", b.roundTrip},
		{"bound argument", b.bound},
		{"payload", b.payload},
	} {
		b.step(i+1, part.what)
		if err := part.measure(ex); err != nil {
			return err
		}
	}
	return nil
}

// pick is a value for full runs or for --quick.
func pick[T any](b *bencher, full, quick T) T {
	if b.opts.quick {
		return quick
	}
	return full
}

func (b *bencher) firstResult() error {
	var times []time.Duration
	for range pick(b, 15, 5) {
		start := time.Now()
		ex, err := parade.Open(b.ctx, b.spec)
		if err != nil {
			return err
		}
		_, err = parade.Go(b.ctx, ex, noop, 1).Wait(b.ctx)
		times = append(times, time.Since(start))
		b.opened(ex.Info())
		if closed := ex.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	b.report("first-result", 1e3*median(times).Seconds(), "ms")
	return nil
}

func (b *bencher) throughput(ex parade.Executor) error {
	for _, batch := range []struct {
		metric string
		opts   []parade.Option
	}{
		{"noop/batch=1", []parade.Option{parade.BatchSize(1)}},
		{"noop/batch=auto", nil},
	} {
		rate, err := b.rate(ex, batch.opts)
		if err != nil {
			return err
		}
		b.report(batch.metric, rate, "tasks/s")
	}
	return nil
}

// rate returns no-op tasks per second: the median of at least three runs that
// together are long enough to trust.
func (b *bencher) rate(ex parade.Executor, opts []parade.Option) (float64, error) {
	least := pick(b, time.Second, 200*time.Millisecond)
	tasks, fixed := 100_000, b.opts.tasks > 0
	if fixed {
		tasks = b.opts.tasks
	}
	var (
		inputs []int
		times  []time.Duration
		total  time.Duration
	)
	for len(times) < 3 || total < 3*least && len(times) < 100 {
		for i := len(inputs); i < tasks; i++ {
			inputs = append(inputs, i)
		}
		start := time.Now()
		results, err := parade.Map(b.ctx, ex, noop, inputs, opts...)
		run := time.Since(start)
		if err != nil {
			return 0, err
		}
		if !slices.Equal(results, inputs) {
			return 0, fmt.Errorf("%d no-op tasks did not return their inputs", tasks)
		}
		if !fixed && len(times) == 0 && run < least && tasks < mostNoops {
			tasks = min(mostNoops, 4*tasks)
			continue
		}
		times = append(times, run)
		total += run
	}
	return float64(tasks) / median(times).Seconds(), nil
}

func (b *bencher) roundTrip(ex parade.Executor) error {
	call := func(i int) (time.Duration, error) {
		start := time.Now()
		got, err := parade.Go(b.ctx, ex, noop, i).Wait(b.ctx)
		if err == nil && got != i {
			err = fmt.Errorf("a call with %d returned %d", i, got)
		}
		return time.Since(start), err
	}
	var times []time.Duration
	const warm = 100
	for i := range warm + pick(b, 10_000, 1_000) {
		d, err := call(i)
		if err != nil {
			return err
		}
		if i >= warm {
			times = append(times, d)
		}
	}
	b.report("round-trip/median", 1e6*median(times).Seconds(), "us")
	b.report("round-trip/p99", 1e6*times[len(times)*99/100].Seconds(), "us") // median has sorted them
	return nil
}

func (b *bencher) bound(ex parade.Executor) error {
	array := make([]float64, boundElements)
	indexes := make([]int, boundTasks)
	for i := range array {
		array[i] = float64(i)
	}
	for i := range indexes {
		indexes[i] = i
	}
	before := encoded.Load()
	start := time.Now()
	var report parade.Report
	got, err := parade.Map(b.ctx, ex, parade.Bind(element, boundArray{Array: array}), indexes, parade.WithReport(&report))
	seconds := time.Since(start).Seconds()
	if err != nil {
		return err
	}
	if !slices.Equal(got, array[:boundTasks]) {
		return fmt.Errorf("tasks with a bound argument saw other values than those bound")
	}
	b.report("bound-80MB", seconds, "s")
	b.report("bound-80MB/pickled", float64(encoded.Load()-before), "times")
	b.report("bound-80MB/sent", float64(report.BytesOut)/1e6, "MB")
	return nil
}

func (b *bencher) payload(ex parade.Executor) error {
	arrays := make([][]float64, pick(b, 64, 16))
	for i := range arrays {
		arrays[i] = slices.Repeat([]float64{float64(i)}, payloadLength)
	}
	megabytes := float64(8 * len(arrays))
	sums := func() error {
		got, err := parade.Map(b.ctx, ex, sum, arrays)
		for i := range got {
			if err == nil && got[i] != float64(payloadLength*i) {
				err = fmt.Errorf("the sum of array %d is %v", i, got[i])
			}
		}
		return err
	}
	// A stream, so that the results need not all be in memory at once.
	doubles := func() error {
		for r := range parade.Stream(b.ctx, ex, doubled, slices.Values(arrays)) {
			if r.Err != nil {
				return r.Err
			}
			if len(r.Value) != payloadLength || r.Value[payloadLength-1] != float64(2*r.Index) {
				return fmt.Errorf("array %d was not doubled", r.Index)
			}
		}
		return nil
	}
	for _, way := range []struct {
		metric string
		call   func() error
	}{{"payload-8MB-sum", sums}, {"payload-8MB-doubled", doubles}} {
		if err := way.call(); err != nil { // warm
			return err
		}
		var times []time.Duration
		for range pick(b, 3, 1) {
			start := time.Now()
			if err := way.call(); err != nil {
				return err
			}
			times = append(times, time.Since(start))
		}
		b.report(way.metric, megabytes/median(times).Seconds(), "MB/s")
	}
	return nil
}

// median sorts the times and returns the middle one.
func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	n := len(times)
	return (times[(n-1)/2] + times[n/2]) / 2
}
