package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/linalg"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
)

type demoOptions struct {
	spikes string // a file; "" for Poisson trains
	read   spike.ReadOptions
	out    string
	on     []string
	chosen bool // the user named the executors
	seed   uint64
	quick  bool
}

func newDemoCommand() *cobra.Command {
	var opts demoOptions
	var reading []string // names of flags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run Elephant's parallel tutorial on every executor",
		Long: `Demo runs the parallel tutorial of Elephant, the Python library for spike trains,
on every executor of this machine, and checks that all give the same bits:

  example 1   mean firing rates of 8 Poisson spike trains
  example 2   time histograms over bin sizes, the trains as bound argument
  benchmark   100 bin sizes: a plain loop beside the executors, on the tutorial's
              trains and on a recording of 200 neurons and one hour
  example 3   singular value decompositions of 20 random matrices, by one to all
              workers (not with --spikes)
  example 4   synthetic fMRI recordings, each smoothed to 6 mm, as the tutorial on
              running programs does it with AFNI (not with --spikes)

It ends with figures: a raster above a histogram and the speed-up of example 3 by
number of workers, as PNG and SVG, and slices of a recording before and after.

With --spikes it does the same on a recording of yours, in any format that
"parade help spikes" names, read as the flags of its commands say.`,
		Example: `  parade demo
  parade demo --seed 7 --on serial,threads:4,processes:4
  parade demo --spikes recording.csv --out figures
  parade demo --spikes times.npy --unit ms --t-stop "60 s"`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.chosen = cmd.Flags().Changed("on")
			for _, name := range reading {
				if opts.spikes == "" && cmd.Flags().Changed(name) {
					return usagef("--%s is about a recording: give one with --spikes", name)
				}
			}
			return runDemo(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.spikes, "spikes", "", "recording to use: a `file` of spike trains")
	reading = readingFlags(f, &opts.read)
	f.StringVar(&opts.out, "out", "parade-demo", "`folder` for the figures")
	f.StringSliceVar(&opts.on, "on", usualExecutors(), "`executors` to run on")
	f.BoolVar(&opts.quick, "quick", false, "a short benchmark, without the long recording")
	f.Uint64Var(&opts.seed, "seed", 1, "seed of the Poisson trains")
	return cmd
}

// The functions that the executors run. meanRate is a function of package spike
// as it is; the others put their arguments in the order that a call needs.
var (
	meanRate = parade.Func("demo.mean-firing-rate", spike.MeanFiringRate)

	histogram = parade.Func2("demo.time-histogram",
		func(trains []spike.Train, bin unit.Time) (spike.Histogram, error) {
			return spike.TimeHistogram(trains, bin, spike.HistogramOptions{})
		})

	poissonTrain = parade.Func2Context("demo.poisson-train",
		func(ctx context.Context, p spike.PoissonProcess, _ int) (spike.Train, error) {
			return p.Train(parade.Rand(ctx))
		})
)

// The tutorial's process, and a recording as they are made today.
var (
	tutorial  = spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(10)}
	recording = spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(3600)}
)

const (
	tutorialTrains  = 8
	recordingTrains = 200
	exampleBins     = 8
	benchmarkBins   = 100
)

// demo is a run of "parade demo".
type demo struct {
	ctx  context.Context
	opts demoOptions
	out  *terminal
	bar  *progress
	on   []opened

	files []string // figures
}

func runDemo(ctx context.Context, opts demoOptions, stdout, stderr io.Writer) (err error) {
	if err := checkExecutors(opts.on); err != nil {
		return err
	}
	// What cannot work is said before anything is computed.
	trains, err := opts.trains(ctx)
	if err != nil {
		return err
	}
	bins, err := binSizes(trains, exampleBins)
	if err != nil {
		return &inputError{fmt.Errorf("%s: %w", opts.spikes, err)}
	}
	backend, err := linalg.Backend()
	if err != nil {
		return err
	}
	if err := prepareFolder(opts.out); err != nil {
		return err
	}
	on, missing, err := openExecutors(ctx, opts.on, !opts.chosen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeExecutors(on)) }()

	d := &demo{ctx: ctx, opts: opts, out: newTerminal(stdout), bar: newProgress(newTerminal(stderr)), on: on}
	defer d.bar.clear()
	d.introduce(missing)
	if err := d.rates(trains); err != nil {
		return err
	}
	histograms, err := d.histograms(trains, bins)
	if err != nil {
		return err
	}
	if err := d.benchmarks(trains); err != nil {
		return err
	}
	if opts.spikes == "" {
		if err := d.decompositions(backend); err != nil {
			return err
		}
		if err := d.smoothing(); err != nil {
			return err
		}
	}
	if err := d.figures(trains, histograms[0]); err != nil {
		return err
	}
	return d.out.err
}

// trains reads the user's recording, or draws the tutorial's trains.
func (o demoOptions) trains(ctx context.Context) ([]spike.Train, error) {
	if o.spikes == "" {
		return drawTrains(ctx, parade.Serial(), tutorial, tutorialTrains, o.seed)
	}
	trains, err := spike.ReadFile(o.spikes, o.read)
	if err != nil {
		return nil, &inputError{errors.New(readingFlagNames.Replace(err.Error()))}
	}
	return trains, nil
}

// drawTrains draws Poisson trains, the same ones on every executor.
func drawTrains(ctx context.Context, ex parade.Executor, p spike.PoissonProcess, n int, seed uint64, opts ...parade.Option) ([]spike.Train, error) {
	return parade.Map(ctx, ex, parade.Bind(poissonTrain, p), make([]int, n), append(opts, parade.Seed(seed))...)
}

func (d *demo) introduce(missing []string) {
	d.out.heading("Parade demo", "the parallel tutorial of Elephant, on this machine")
	d.out.printf("\n")
	for _, ex := range d.on {
		d.out.printf("  %v\n", ex.Info())
	}
	for _, spec := range missing {
		d.out.note(spec + " is not available on this system; see \"parade doctor\".")
	}
}

// source says what the trains are.
func (d *demo) source(trains []spike.Train) string {
	if d.opts.spikes != "" {
		return d.opts.spikes + ": " + describe(trains)
	}
	return fmt.Sprintf("%s of a Poisson process, %v for %v, seed %d", plural(len(trains), "spike train"), tutorial.Rate, tutorial.TStop, d.opts.seed)
}

func describe(trains []spike.Train) string {
	return fmt.Sprintf("%s of %s, %s", plural(len(trains), "train"), quantity(duration(trains[0])), plural(spikesIn(trains), "spike"))
}

func spikesIn(trains []spike.Train) (n int) {
	for _, t := range trains {
		n += len(t.Times)
	}
	return n
}

// rates is the tutorial's example 1.
func (d *demo) rates(trains []spike.Train) error {
	d.out.heading("Example 1: mean firing rates", d.source(trains))
	d.code("rates, err := parade.Map(ctx, ex, meanRate, trains)")
	head := []string{d.out.dim("train"), d.out.dim("spikes")}
	columns := make([][]unit.Rate, len(d.on))
	for i, ex := range d.on {
		var err error
		if columns[i], err = parade.Map(d.ctx, ex, meanRate, trains); err != nil {
			return onExecutor(ex, err)
		}
		head = append(head, d.out.bold(ex.spec))
	}
	const most = 12
	rows := [][]string{head}
	for k, train := range trains[:min(most, len(trains))] {
		row := []string{trainName(train, k), count(len(train.Times))}
		for i := range d.on {
			row = append(row, columns[i][k].String())
		}
		rows = append(rows, row)
	}
	d.out.table("rr"+strings.Repeat("r", len(d.on)), rows)
	if more := len(trains) - most; more > 0 {
		d.out.note(fmt.Sprintf("and %s more", plural(more, "train")))
	}
	return d.verdict(d.on, func(i int) bool { return sameRates(columns[i], columns[0]) })
}

// histograms is the tutorial's example 2.
func (d *demo) histograms(trains []spike.Train, bins []unit.Time) ([]spike.Histogram, error) {
	d.out.heading("Example 2: time histograms", fmt.Sprintf("%d bin sizes, the trains as bound argument", len(bins)))
	d.code("histograms, err := parade.Map(ctx, ex, parade.Bind(histogram, trains), binSizes)")
	results := make([][]spike.Histogram, len(d.on))
	for i, ex := range d.on {
		var err error
		if results[i], err = parade.Map(d.ctx, ex, parade.Bind(histogram, trains), bins); err != nil {
			return nil, onExecutor(ex, err)
		}
	}
	width := max(10, min(48, d.out.columns()-42))
	rows := [][]string{{d.out.dim("bin size"), d.out.dim("bins"), d.out.dim("spikes"), d.out.dim("left out"), d.out.dim("spikes per bin")}}
	for i, h := range results[0] {
		rows = append(rows, []string{
			quantity(bins[i]), count(h.Len()), count(spikesIn(trains) - h.Dropped), count(h.Dropped),
			d.out.cyan(sparkline(h.Samples, width, coverage(h, trains[0]))),
		})
	}
	d.out.table("rrrrl", rows)
	return results[0], d.verdict(d.on, func(i int) bool { return sameHistograms(results[i], results[0]) })
}

// coverage is the part of the trains' duration that the bins cover.
func coverage(h spike.Histogram, t spike.Train) float64 {
	stop, err := h.TStop().In(t.Unit)
	if err != nil || t.TStop <= t.TStart {
		return 1
	}
	return min(1, (stop.Value-t.TStart)/(t.TStop-t.TStart))
}

// benchmarks is the tutorial's benchmark, and the same with more to do.
func (d *demo) benchmarks(trains []spike.Train) error {
	d.out.heading("Benchmark", fmt.Sprintf("example 2 at %d bin sizes, executors open and warm", benchmarkBins))
	if d.opts.spikes != "" {
		return d.benchmark(describe(trains), trains)
	}
	if err := d.benchmark("The tutorial's: "+describe(trains), trains); err != nil {
		return err
	}
	d.out.note("Elephant's tutorial shows 951 ms for its loop and 2.27 s for ProcessPoolExecutor(max_workers=4), on its authors' machine.")
	if d.opts.quick {
		return nil
	}

	// Threads share the trains; drawing them in processes would only move them.
	ex := parade.Threads(0)
	defer ex.Close()
	large, err := drawTrains(d.ctx, ex, recording, recordingTrains, d.opts.seed, parade.OnProgress(d.bar.job("drawing a long recording")))
	d.bar.clear()
	if err != nil {
		return err
	}
	return d.benchmark("A recording of today: "+describe(large), large)
}

func (d *demo) benchmark(title string, trains []spike.Train) error {
	bins, err := binSizes(trains, benchmarkBins)
	if err != nil {
		return err
	}
	d.out.printf("\n  %s\n", d.out.bold(title))
	var want []spike.Histogram
	results := make([][]spike.Histogram, len(d.on))
	runs := []contender{{name: "plain loop", call: func(bool) (err error) {
		want, err = plainLoop(d.ctx, trains, bins, func(done int) { d.bar.show("plain loop", done, len(bins)) })
		return err
	}}}
	for i, ex := range d.on {
		report := new(parade.Report)
		runs = append(runs, contender{name: ex.spec, report: report, call: func(watch bool) (err error) {
			opts := []parade.Option{parade.WithReport(report)}
			if watch {
				opts = append(opts, parade.OnProgress(d.bar.job(ex.spec)))
			}
			results[i], err = parade.Map(d.ctx, ex, parade.Bind(histogram, trains), bins, opts...)
			if err != nil {
				return onExecutor(ex, err)
			}
			return nil
		}})
	}
	if err := race(runs, d.opts.quick); err != nil {
		return err
	}
	d.bar.clear()
	d.printRuns(runs, "a histogram", benchmarkBins)
	return d.verdict(d.on, func(i int) bool { return sameHistograms(results[i], want) })
}

// contender is one line of a benchmark.
type contender struct {
	name   string
	call   func(watch bool) error
	check  func()         // what to do after a call that is not measured, or nil
	report *parade.Report // of the last call; nil for the plain loop
	times  []time.Duration
	wall   time.Duration // the median
}

// race times calls in rounds, so that what else the machine does is shared by
// all of them: three rounds, of short calls more and of very long ones fewer.
// Bars are shown for calls that are long enough for them to cost nothing.
func race(runs []contender, quick bool) error {
	const (
		fewest, most = 3, 100
		tooMuch      = 12 * time.Second
		watchable    = 100 * time.Millisecond
	)
	enough := 2 * time.Second
	if quick {
		enough /= 10
	}
	watch := false
	began := time.Now()
	for round := range most {
		spent := time.Since(began)
		if round > 0 && spent > tooMuch || round >= fewest && spent > enough {
			break
		}
		for i := range runs {
			start := time.Now()
			if err := runs[i].call(watch); err != nil {
				return err
			}
			took := time.Since(start)
			if runs[i].check != nil {
				runs[i].check()
			}
			runs[i].times = append(runs[i].times, took)
			watch = watch || took > watchable
		}
	}
	for i := range runs {
		runs[i].wall = median(runs[i].times)
	}
	return nil
}

// plainLoop is the benchmark without Parade.
func plainLoop(ctx context.Context, trains []spike.Train, bins []unit.Time, done func(int)) ([]spike.Histogram, error) {
	all := make([]spike.Histogram, len(bins))
	for i, bin := range bins {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := spike.TimeHistogram(trains, bin, spike.HistogramOptions{})
		if err != nil {
			return nil, err
		}
		all[i] = h
		if i%10 == 9 {
			done(i + 1)
		}
	}
	return all, nil
}

// printRuns prints a table of runs, each of n tasks, and who won.
func (d *demo) printRuns(runs []contender, task string, n int) {
	loop, best, slowest := runs[0], runs[0], runs[0].wall
	for _, r := range runs {
		slowest = max(slowest, r.wall)
		if r.wall < best.wall {
			best = r
		}
	}
	const width = 14
	head := []string{"", "time", "speed-up", "", "function", "encoding", "waiting", "sent", "back"}
	align := "lrrlrrrrr"
	for i := range head {
		head[i] = d.out.dim(head[i])
	}
	rows := [][]string{head}
	moved := false
	for _, r := range runs {
		bar := strings.Repeat("█", max(1, int(width*float64(r.wall)/float64(slowest)+0.5)))
		row := []string{r.name, took(r.wall), "", d.out.cyan(bar)}
		if r.report != nil {
			row[2] = fmt.Sprintf("%.2f×", float64(loop.wall)/float64(r.wall))
			row = append(row, account(r.report)...)
			moved = moved || r.report.BytesOut > 0
		}
		rows = append(rows, row)
	}
	if !moved { // nothing travelled
		rows[0] = head[:7]
	}
	if d.out.columns() < 90 { // no room for bars
		align = align[:3] + align[4:]
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 3, 4)
		}
	}
	d.out.table(align, rows)
	d.out.note(conclusion(loop, best, task, n))
}

// conclusion says who won, also when it is not Parade.
func conclusion(loop, best contender, task string, n int) string {
	const worthIt = 100 * time.Microsecond
	each := loop.wall / time.Duration(n)
	gain := float64(loop.wall) / float64(best.wall)
	switch {
	case gain < 1.05 && each < worthIt:
		return fmt.Sprintf("The plain loop wins: %s takes %s, too little to share out.", task, took(each))
	case gain < 1.05 && best.report == nil:
		return fmt.Sprintf("The plain loop wins, though %s takes %s.%s", task, took(each), fewCores())
	case gain < 1.2:
		return fmt.Sprintf("Even %s gains little, though %s takes %s.%s", best.name, task, took(each), fewCores())
	}
	return fmt.Sprintf("Fastest is %s, %.1f times the plain loop: %s takes %s, worth sharing out over %s.",
		best.name, gain, task, took(each), plural(best.report.Executor.Workers, "worker"))
}

// fewCores says what keeps long tasks from gaining.
func fewCores() string {
	if cores.Granted() == 1 {
		return " There is one core only."
	}
	return " The cores seem to be busy with something else."
}

// account is a report in five cells: the shares of the workers' time, and what
// travelled.
func account(r *parade.Report) []string {
	var cells []string
	user, transport, waiting := r.Shares()
	for _, share := range []float64{user, transport, waiting} {
		cells = append(cells, fmt.Sprintf("%.0f %%", 100*share))
	}
	if r.BytesOut > 0 {
		cells = append(cells, size(float64(r.BytesOut)), size(float64(r.BytesIn)))
	}
	return cells
}

// figures draws the trains and their histogram, and says which figures there are.
func (d *demo) figures(trains []spike.Train, h spike.Histogram) error {
	d.bar.show("drawing the figure", 0, 1)
	files, err := drawFigure(d.opts.out, trains, h)
	d.bar.clear()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("raster of %s, and their spikes per %s", plural(len(trains), "train"), quantity(h.BinSize))
	if len(d.files) > 0 {
		what += "; speed-up by number of workers; slices before and after smoothing"
	}
	d.out.heading("Figures", what)
	for _, file := range append(files, d.files...) {
		d.out.printf("  %s\n", file)
	}
	d.out.printf("\n")
	return nil
}

func (d *demo) code(line string) {
	d.out.printf("  %s\n\n", d.out.dim(line))
}

// verdict says whether all executors agree with the first result, and is an
// error where one does not.
func (d *demo) verdict(on []opened, same func(i int) bool) error {
	var names, wrong []string
	for i, ex := range on {
		names = append(names, ex.spec)
		if !same(i) {
			wrong = append(wrong, ex.spec)
		}
	}
	if len(wrong) > 0 {
		d.out.printf("  %s\n", d.out.red("✗ "+strings.Join(wrong, ", ")+" gave other results"))
		return fmt.Errorf("results differ on %s", strings.Join(wrong, ", "))
	}
	d.out.printf("  %s identical to the last bit on %s\n", d.out.green("✓"), strings.Join(names, ", "))
	return nil
}

func onExecutor(ex opened, err error) error { return fmt.Errorf("executor %s: %w", ex.spec, err) }
