package main

import (
	"context"
	"slices"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gonum.org/v1/plot/vg"
)

// histogramOptions are the choices of "spikes histogram".
type histogramOptions struct {
	Bin    unit.Time
	Window window
	Output spike.Output
	Binary bool
}

func newHistogramCommand() *cobra.Command {
	var o histogramOptions
	return analysisCommand(&cobra.Command{
		Use:   "histogram FILE...",
		Short: "Time histograms of all trains of a file",
		Long: `Histogram counts the spikes of all trains of a file in bins of one size, as
Elephant's time_histogram does. With --output mean it divides by the number of
trains, with --output rate by the bin size, too. --binary counts a train at most
once in a bin.

Files of data have a row for each bin, a figure has a panel for each file.`,
		Example: `  parade spikes histogram --bin 100ms *.csv
  parade spikes histogram --bin 20ms --output rate recording.nwb -o rate.png`,
	}, slices.Concat(sheetEndings, figureEndings), func(f *pflag.FlagSet) {
		f.TextVarP(&o.Bin, "bin", "b", unit.Time{}, "bin size, a `time` such as 100ms (required)")
		f.TextVar(&o.Output, "output", spike.OutputCounts, "what the bins hold: `counts`, mean or rate")
		f.BoolVar(&o.Binary, "binary", false, "count a train at most once in a bin")
		unset(f, "bin")
		o.Window.flags(f)
	}, func(ctx context.Context, a analysis) error { return runHistogram(ctx, a, o) })
}

var spikesHistogram = overFile("spikes.histogram", func(trains []spike.Train, o histogramOptions) (spike.Histogram, error) {
	h, err := spike.TimeHistogram(trains, o.Bin, spike.HistogramOptions{
		TStart: o.Window.From, TStop: o.Window.To, Output: o.Output, Binary: o.Binary})
	if err != nil || o.Output != spike.OutputRate {
		return h, err
	}
	return h, inHertz(&h.AnalogSignal)
})

// inHertz rescales a signal of rates, as quantities does.
func inHertz(s *spike.AnalogSignal) error {
	factor, err := unit.Factor(s.Unit, unit.Hertz)
	if err != nil {
		return err
	}
	s.Unit = unit.Hertz
	for i := range s.Samples {
		s.Samples[i] *= factor
	}
	return nil
}

func runHistogram(ctx context.Context, a analysis, o histogramOptions) error {
	if err := checkBin(o.Bin); err != nil {
		return err
	}
	if err := o.Window.check(); err != nil {
		return err
	}
	if err := a.checkPanels(); err != nil {
		return err
	}
	done, failed := eachFile(ctx, a, spikesHistogram, o)
	name, head := o.Output.String(), "spikes per bin"
	switch o.Output {
	case spike.OutputMean:
		head = "spikes per train and bin"
	case spike.OutputRate:
		name, head = "rate_hz", "rate (Hz)"
	}
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "trains", head: "trains", once: true}, {name: "dropped", head: "left out", once: true},
		{name: "bin_size", head: "bin", once: true}, {name: "bins", head: "bins", once: true}, {name: "unit"}, {name: "time"}, {name: name, head: head},
	}}
	for _, file := range done {
		h := file.value
		bin, err := h.BinSize.In(h.TStart.Unit)
		if err != nil {
			return err
		}
		s.add(file.file, h.Trains, h.Dropped, bin, h.Len(), h.TStart.Unit.String(), h.Times(), h.Samples)
	}
	return a.finish(s, func() picture {
		var panels stack
		for _, file := range done {
			p := newBars(file.value)
			p.title, p.remark = file.file, plural(file.value.Trains, "train")
			panels = append(panels, p)
		}
		return panels.picture(5 * vg.Centimeter)
	}, failed)
}

func checkBin(bin unit.Time) error {
	switch {
	case !bin.IsSet():
		return usagef("a bin size is needed: give it with --bin, for example --bin 100ms")
	case !(bin.Value > 0):
		return usagef("--bin %v: give a time above 0", bin)
	}
	return nil
}
