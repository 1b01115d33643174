package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// surrogateOptions are the choices of "spikes surrogates".
type surrogateOptions struct {
	Surrogate spike.Surrogate
	Statistic string // "" writes the surrogates
	Bin       unit.Time
	N         int
	Seed      uint64
}

// statistics are what surrogates can be tested on: each is a number for all trains
// of a file, from the counts of their time histogram.
var statistics = map[string]func(counts []float64) float64{
	"coincidences": func(counts []float64) float64 {
		pairs := 0.0
		for _, c := range counts {
			pairs += c * (c - 1) / 2
		}
		return pairs
	},
	"peak": func(counts []float64) float64 { return slices.Max(counts) },
}

func newSurrogatesCommand() *cobra.Command {
	o := surrogateOptions{Surrogate: spike.Surrogate{Method: spike.DitherSpikes, Dither: unit.Milliseconds(15)}}
	return analysisCommand(&cobra.Command{
		Use:   "surrogates FILE...",
		Short: "Surrogate trains, and tests against them",
		Long: `Surrogates changes the trains of a file at random, as Elephant's surrogate methods
do, so that they keep their rates and lose their fine timing.

With --statistic it compares a number of the recording with those of a thousand
surrogates of it, which are the tasks of the executor:

  coincidences   pairs of spikes in one bin, over all trains
  peak           spikes in the fullest bin

p is the part of the surrogates, the recording counted as one, whose number is at
least the recording's. A figure shows their distribution.

Without --statistic the surrogates of one file are written, as recordings with a
train NAME/1, NAME/2, ... for each surrogate. The same seed gives the same
surrogates on every executor.

Methods: dither_spikes, dither_spike_train, jitter_spikes, randomise_spikes,
shuffle_isis, bin_shuffling, trial_shifting, joint_isi_dithering, isi_dithering.`,
		Example: `  parade spikes surrogates --statistic coincidences --bin 5ms --dither 20ms *.npz
  parade spikes surrogates --statistic peak --bin 5ms -n 10000 --on processes trains.npz -o peak.png
  parade spikes surrogates --method shuffle_isis -n 10 trains.npz -o shuffled.npz`,
	}, slices.Concat(sheetEndings, figureEndings), func(f *pflag.FlagSet) {
		f.StringVar(&o.Statistic, "statistic", "", "`name` of what to compare: coincidences or peak")
		f.TextVarP(&o.Bin, "bin", "b", unit.Time{}, "bin size of the statistic, a `time` such as 5ms")
		f.IntVarP(&o.N, "number", "n", 0, "`number` of surrogates (default 1000, and 1 without --statistic)")
		f.TextVar(&o.Surrogate.Method, "method", o.Surrogate.Method, "`method` of making surrogates")
		f.TextVar(&o.Surrogate.Dither, "dither", o.Surrogate.Dither, "`time` by which spikes, or trains, are moved at most")
		f.TextVar(&o.Surrogate.RefractoryPeriod, "refractory", unit.Time{}, "`period` that moved spikes stay away from their neighbours")
		f.TextVar(&o.Surrogate.BinSize, "jitter", unit.Time{}, "`time` of the bins of jitter_spikes and bin_shuffling")
		f.BoolVar(&o.Surrogate.KeepOutside, "keep-outside", false, "keep spikes that would leave the recording at its ends")
		f.TextVar(&o.Surrogate.TrialLength, "trial-length", unit.Time{}, "`time` of a trial of trial_shifting (default: the whole recording)")
		f.TextVar(&o.Surrogate.TrialSeparation, "trial-separation", unit.Time{}, "`time` between trials of trial_shifting")
		f.Uint64Var(&o.Seed, "seed", 1, "seed of the surrogates")
		unset(f, "bin", "refractory", "jitter", "trial-length", "trial-separation")
	}, func(ctx context.Context, a analysis) error { return runSurrogates(ctx, a, o) })
}

// surrogateInput is a recording that surrogates are made of.
type surrogateInput struct {
	Trains []spike.Train
	Value  float64 // its statistic
}

// surrogateJob is the bound argument of the tasks, of which each makes one
// surrogate: task i the surrogate i%Options.N of recording i/Options.N.
type surrogateJob struct {
	Options    surrogateOptions
	Recordings []surrogateInput
}

var (
	spikesSurrogateInput = overFile("spikes.surrogate-input", func(trains []spike.Train, o surrogateOptions) (surrogateInput, error) {
		// One surrogate made in vain finds what is wrong with the options.
		if _, err := o.draw(trains, rand.New(rand.NewPCG(0, 0))); err != nil {
			return surrogateInput{}, err
		}
		value, err := o.value(trains)
		return surrogateInput{trains, value}, err
	})

	spikesSurrogate = parade.Func2Context("spikes.surrogate", func(ctx context.Context, job surrogateJob, i int) ([]spike.Train, error) {
		return job.Options.draw(job.Recordings[i/job.Options.N].Trains, parade.Rand(ctx))
	})

	spikesSurrogateValue = parade.Func2Context("spikes.surrogate-value", func(ctx context.Context, job surrogateJob, i int) (float64, error) {
		trains, err := job.Options.draw(job.Recordings[i/job.Options.N].Trains, parade.Rand(ctx))
		if err != nil {
			return 0, err
		}
		return job.Options.value(trains)
	})
)

func (o surrogateOptions) draw(trains []spike.Train, rng spike.Random) ([]spike.Train, error) {
	surrogates := make([]spike.Train, len(trains))
	for i, t := range trains {
		var err error
		if surrogates[i], err = o.Surrogate.Train(rng, t); err != nil {
			return nil, fmt.Errorf("train %s: %w", trainName(t, i), err)
		}
	}
	return surrogates, nil
}

func (o surrogateOptions) value(trains []spike.Train) (float64, error) {
	if o.Statistic == "" {
		return 0, nil
	}
	h, err := spike.TimeHistogram(trains, o.Bin, spike.HistogramOptions{})
	if err != nil {
		return 0, err
	}
	return statistics[o.Statistic](h.Samples), nil
}

// check refuses what makes no surrogates, before any file is read.
func (o *surrogateOptions) check(a analysis) error {
	const most = 1e8
	if o.N < 0 || o.N > most/len(a.files) {
		return usagef("--number %d: give 1 to %d for so many files", o.N, int(most)/len(a.files))
	}
	if o.Statistic == "" {
		switch {
		case len(a.files) > 1:
			return usagef("surrogates of one file are written at a time, these are %d; or compare them with --statistic", len(a.files))
		case a.figure():
			return usagef("--out %s: a figure shows a statistic; give one with --statistic", a.out)
		case a.json:
			return usagef("--json is for a statistic; surrogates are written as JSON with --out FILE.json")
		}
		o.N = max(o.N, 1)
	} else {
		if statistics[o.Statistic] == nil {
			return usagef("--statistic %s: there are coincidences and peak", o.Statistic)
		}
		if err := checkBin(o.Bin); err != nil {
			return err
		}
		if o.N == 0 {
			o.N = 1000
		}
	}
	if m := o.Surrogate.Method; (m == spike.JitterSpikes || m == spike.BinShuffling) && !o.Surrogate.BinSize.IsSet() {
		return usagef("--method %v needs the size of its bins: give it with --jitter, for example --jitter 20ms", m)
	}
	for _, flag := range []struct {
		name string
		time unit.Time
	}{
		{"dither", o.Surrogate.Dither}, {"refractory", o.Surrogate.RefractoryPeriod}, {"jitter", o.Surrogate.BinSize},
		{"trial-length", o.Surrogate.TrialLength}, {"trial-separation", o.Surrogate.TrialSeparation},
	} {
		if !(flag.time.Value >= 0) {
			return usagef("--%s %v: give a time of at least 0", flag.name, flag.time)
		}
	}
	return a.checkPanels()
}

func runSurrogates(ctx context.Context, a analysis, o surrogateOptions) error {
	if err := o.check(a); err != nil {
		return err
	}
	inputs, failed := eachFile(ctx, a, spikesSurrogateInput, o)
	if len(inputs) == 0 {
		return failed
	}
	job := surrogateJob{Options: o}
	for _, input := range inputs {
		job.Recordings = append(job.Recordings, input.value)
	}
	if o.Statistic == "" {
		surrogates, err := eachSurrogate(ctx, a, spikesSurrogate, job)
		if err != nil {
			return err
		}
		var trains []spike.Train
		for i, made := range surrogates {
			for k, t := range made {
				t.Name = fmt.Sprintf("%s/%d", trainName(t, k), i+1)
				trains = append(trains, t)
			}
		}
		return writeTrains(trains, a.out, a.stdout)
	}
	values, err := eachSurrogate(ctx, a, spikesSurrogateValue, job)
	if err != nil {
		return err
	}
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "trains", head: "trains"}, {name: "statistic"}, {name: "value", head: o.Statistic}, {name: "surrogates", head: "surrogates"},
		{name: "mean", head: "their mean"}, {name: "sd", head: "SD"}, {name: "low", head: "2.5 %"}, {name: "high", head: "97.5 %"}, {name: "p", head: "p"},
		{name: "values", onlyJSON: true},
	}}
	var panels stack
	for i, input := range inputs {
		t := newSurrogateTest(input.value.Value, values[i*o.N:(i+1)*o.N])
		s.add(input.file, len(input.value.Trains), o.Statistic, t.value, o.N, t.mean, t.sd, t.low, t.high, t.p, t.surrogates)
		panels = append(panels, t.panel(input.file, o))
	}
	return a.finish(s, func() picture { return panels.picture(5 * vg.Centimeter) }, failed)
}

// eachSurrogate runs a task for each surrogate of each recording.
func eachSurrogate[R any](ctx context.Context, a analysis, f *parade.Function2[surrogateJob, int, R], job surrogateJob) (results []R, err error) {
	ex, err := openExecutor(ctx, a.worker.on)
	if err != nil {
		return nil, err
	}
	defer func() { err = closing(ex, err) }()
	tasks := make([]int, job.Options.N*len(job.Recordings))
	for i := range tasks {
		tasks[i] = i
	}
	bar := newProgress(newTerminal(a.stderr))
	defer bar.clear()
	return parade.Map(ctx, ex, parade.Bind(f, job), tasks, parade.Seed(job.Options.Seed), parade.OnProgress(bar.job(plural(len(tasks), "surrogate"))))
}

// surrogateTest compares a recording's number with its surrogates'.
type surrogateTest struct {
	value, mean, sd, low, high, p float64
	surrogates                    []float64
}

func newSurrogateTest(value float64, surrogates []float64) surrogateTest {
	t := surrogateTest{value: value, surrogates: surrogates, mean: mean(surrogates)}
	n := float64(len(surrogates))
	asHigh := 1.0
	for _, v := range surrogates {
		t.sd += (v - t.mean) * (v - t.mean)
		if v >= value {
			asHigh++
		}
	}
	t.sd, t.p = math.Sqrt(t.sd/(n-1)), asHigh/(n+1)
	inOrder := slices.Sorted(slices.Values(surrogates))
	quantile := func(q float64) float64 { return inOrder[int(q*(n-1)+0.5)] }
	t.low, t.high = quantile(0.025), quantile(0.975)
	return t
}

func (t surrogateTest) panel(file string, o surrogateOptions) panel {
	lowest, highest := slices.Min(t.surrogates), slices.Max(t.surrogates)
	bin := max(1, round125((highest-lowest+1)/40)) // the statistics are whole numbers
	first := bin * math.Floor(lowest/bin)
	b := bars{edges: []float64{first - 0.5}, colour: faint}
	for at := first; at <= highest; at += bin {
		b.edges, b.heights = append(b.edges, at+bin-0.5), append(b.heights, 0)
	}
	for _, v := range t.surrogates {
		b.heights[int((v-first)/bin)]++
	}
	p := newPanel()
	p.title, p.remark = file, fmt.Sprintf("%s by %v, p = %s", plural(len(t.surrogates), "surrogate"), o.Surrogate.Method, digits(t.p))
	p.X.Label.Text = o.Statistic + " in bins of " + quantity(o.Bin)
	p.Y.Label.Text = "surrogates"
	left, right := min(b.edges[0], t.value), max(b.edges[len(b.edges)-1], t.value)
	p.X.Min, p.X.Max = left-0.04*(right-left), right+0.04*(right-left)
	p.X.Tick.Marker, p.Y.Tick.Marker = wholeTicks(10), wholeTicks(4)
	p.Y.Min, p.Y.Max = 0, 1.2*roomAbove(b.heights) // for the legend
	recording := line{xs: []float64{t.value, t.value}, ys: []float64{0, p.Y.Max}, style: draw.LineStyle{Color: red, Width: 1.6}}
	p.Add(rules{}, b, recording)
	p.Legend.Add("recording", recording)
	p.Legend.Top = true
	p.Legend.Left = t.value > (p.X.Min+p.X.Max)/2
	if !p.Legend.Left {
		p.Legend.XOffs = -8
	}
	return p
}
