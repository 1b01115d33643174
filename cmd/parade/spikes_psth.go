package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gonum.org/v1/plot/vg"
)

// psthOptions are the choices of "spikes psth". Events are either given or, where
// Every is set, at regular times of a recording.
type psthOptions struct {
	Bin           unit.Time
	Before, After unit.Time
	Events        spike.Events
	Every         unit.Time
}

func newPSTHCommand() *cobra.Command {
	var (
		o      psthOptions
		at     []string
		file   string
		events spike.ReadOptions
	)
	return analysisCommand(&cobra.Command{
		Use:   "psth FILE... --events FILE",
		Short: "Firing rates around events: peri-stimulus time histograms",
		Long: `Psth cuts a recording into trials around events, such as the onsets of stimuli,
and gives for each train the firing rate in bins, averaged over trials, with its
standard error. Time 0 is the event. Events whose trial reaches beyond the recording
are left out, and counted.

Events come from a file of times, in any of the formats of recordings, or from
--event, as often as needed, or --every so often.

A figure has the trains above, darker where the rate is higher, and below their
mean; of a file with a single train it has the trials above, up to 2000 of them.`,
		Example: `  parade spikes psth recording.nwb --events stimuli.csv --before 200ms --after 1s --bin 20ms -o psth.png
  parade spikes psth trains.npz --event 1.5s --event 4s --after 500ms --bin 10ms
  parade spikes psth trains.npz --every 2s --after 2s --bin 50ms -o psth.csv`,
	}, slices.Concat(sheetEndings, figureEndings), func(f *pflag.FlagSet) {
		f.StringVar(&file, "events", "", "`file` with the times of the events")
		f.TextVar(&events.Unit, "event-unit", unit.Dimensionless, "`unit` of the events, where their file does not say it")
		f.TextVar(&events.SamplingRate, "event-sampling-rate", unit.Rate{}, "`rate` of the recording, where events are numbers of samples")
		f.StringVar(&events.TimeColumn, "event-column", "", "`name` of the column of events, where it is not time")
		f.StringSliceVar(&at, "event", nil, "`time` of an event; may be repeated")
		f.TextVar(&o.Every, "every", unit.Time{}, "`time` from event to event, from the beginning to the end of a recording")
		f.TextVar(&o.Before, "before", unit.Seconds(0), "`time` before the event at which a trial begins")
		f.TextVar(&o.After, "after", unit.Time{}, "`time` after the event at which a trial ends (required)")
		f.TextVarP(&o.Bin, "bin", "b", unit.Time{}, "bin size, a `time` such as 10ms (required)")
		unset(f, "event-unit", "event-sampling-rate", "every", "before", "after", "bin")
	}, func(ctx context.Context, a analysis) error {
		if err := o.check(a, at, file); err != nil {
			return err
		}
		if file != "" {
			var err error
			if o.Events, err = readEvents(file, events); err != nil {
				return err
			}
		}
		return runPSTH(ctx, a, o)
	})
}

// check refuses what makes no trials, and takes the events of the command line.
func (o *psthOptions) check(a analysis, at []string, file string) error {
	sources := 0
	for _, given := range []bool{file != "", len(at) > 0, o.Every.IsSet()} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		return usagef("events are needed from one place: --events FILE, --event TIME or --every TIME")
	}
	if o.Every.IsSet() && !(o.Every.Value > 0) {
		return usagef("--every %v: give a time above 0", o.Every)
	}
	for i, text := range at {
		t, err := unit.ParseTime(text)
		if err != nil {
			return usagef("--event: %v", err)
		}
		if i == 0 {
			o.Events.Unit = t.Unit
		}
		t, err = t.In(o.Events.Unit)
		if err != nil {
			return usagef("--event: %v", err)
		}
		o.Events.Times = append(o.Events.Times, t.Value)
	}
	if !o.After.IsSet() {
		return usagef("say when a trial ends with --after, for example --after 500ms")
	}
	before, err := o.Before.In(o.After.Unit)
	if err != nil {
		return usagef("--before: %v", err)
	}
	if !(-before.Value < o.After.Value) {
		return usagef("trials from %v before the events to %v after them are empty", o.Before, o.After)
	}
	if err := checkBin(o.Bin); err != nil {
		return err
	}
	return a.checkPanels()
}

// eventFlagNames is readingFlagNames for the file of events.
var eventFlagNames = strings.NewReplacer(
	": give it with ReadOptions.Unit", ": give it, for example with --event-unit ms",
	"with ReadOptions.SamplingRate", "with --event-sampling-rate, for example --event-sampling-rate 30kHz",
	"ReadOptions.TimeColumn and ReadOptions.TrainColumn", "--event-column",
	"ReadOptions.TimeColumn", "--event-column",
)

// readEvents reads the times of a file, of all its trains.
func readEvents(file string, opts spike.ReadOptions) (spike.Events, error) {
	trains, err := spike.ReadFile(file, opts)
	if err != nil {
		return spike.Events{}, &inputError{errors.New(eventFlagNames.Replace(strings.TrimPrefix(err.Error(), "spike: ")))}
	}
	events := spike.Events{Unit: trains[0].Unit}
	for _, t := range trains {
		events.Times = append(events.Times, t.Times...)
	}
	slices.Sort(events.Times)
	return events, nil
}

// trainPSTH is what "spikes psth" tells of a train.
type trainPSTH struct {
	Name            string
	Trials, LeftOut int // events with and without a whole trial
	Spikes          int
	Histogram       spike.PeristimulusHistogram // in Hz
}

type filePSTH struct {
	Trains []trainPSTH
	Trials []rasterRow // of a single train, unless they are more than mostTrials
}

// mostTrials is how many trials a figure shows one by one: more than it has dots.
const mostTrials = 2000

var spikesPSTH = overFile("spikes.psth", func(trains []spike.Train, o psthOptions) (filePSTH, error) {
	var result filePSTH
	for i, t := range trains {
		p := trainPSTH{Name: trainName(t, i)}
		events, err := o.events(t)
		if err != nil {
			return filePSTH{}, err
		}
		p.Trials, p.LeftOut = len(events.Times), len(o.Events.Times)-len(events.Times)
		if o.Every.IsSet() {
			p.LeftOut = 0
		}
		if p.Trials == 0 {
			return filePSTH{}, fmt.Errorf("no event has a whole trial in train %s, recorded from %v to %v", p.Name, t.Start(), t.Stop())
		}
		trials, err := spike.Align(t, events, o.Before, o.After)
		if err != nil {
			return filePSTH{}, fmt.Errorf("train %s: %w", p.Name, err)
		}
		p.Spikes = spikesIn(trials)
		if p.Histogram, err = spike.PSTH(trials, o.Bin, spike.PSTHOptions{}); err != nil {
			return filePSTH{}, fmt.Errorf("train %s: %w", p.Name, err)
		}
		factor, err := unit.Factor(p.Histogram.Unit, unit.Hertz)
		if err != nil {
			return filePSTH{}, err
		}
		for k := range p.Histogram.SEM {
			p.Histogram.SEM[k] *= factor
		}
		if err := inHertz(&p.Histogram.AnalogSignal); err != nil {
			return filePSTH{}, err
		}
		result.Trains = append(result.Trains, p)
		if len(trains) == 1 && len(trials) <= mostTrials {
			for k, trial := range trials {
				trial.Name = ""
				result.Trials = append(result.Trials, newRasterRow(trial, k, trial.TStart, trial.TStop))
			}
		}
	}
	return result, nil
})

// events are those with a whole trial in the train, in its unit.
func (o psthOptions) events(t spike.Train) (spike.Events, error) {
	const tolerance = 1e-8 // of Align
	events := spike.Events{Unit: t.Unit}
	before, err := o.Before.In(t.Unit)
	if err != nil {
		return events, err
	}
	after, err := o.After.In(t.Unit)
	if err != nil {
		return events, err
	}
	fits := func(at float64) bool {
		return at-before.Value >= t.TStart-tolerance && at+after.Value <= t.TStop+tolerance
	}
	if o.Every.IsSet() {
		every, err := o.Every.In(t.Unit)
		if err != nil {
			return events, err
		}
		if n := (t.TStop - t.TStart) / every.Value; !(n <= 1e7) {
			return events, fmt.Errorf("an event every %v makes %.3g events", o.Every, n)
		}
		for k := 0.0; t.TStart+k*every.Value <= t.TStop; k++ {
			if at := t.TStart + k*every.Value; fits(at) {
				events.Times = append(events.Times, at)
			}
		}
		return events, nil
	}
	factor, err := unit.Factor(o.Events.Unit, t.Unit)
	if err != nil {
		return events, err
	}
	for _, at := range o.Events.Times {
		if at *= factor; fits(at) {
			events.Times = append(events.Times, at)
		}
	}
	return events, nil
}

func runPSTH(ctx context.Context, a analysis, o psthOptions) error {
	done, failed := eachFile(ctx, a, spikesPSTH, o)
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "train", head: "train"}, {name: "trials", head: "trials", once: true},
		{name: "left_out", head: "left out", once: true}, {name: "spikes", head: "spikes", once: true},
		{name: "unit"}, {name: "time"}, {name: "rate_hz", head: "rate"}, {name: "sem_hz"},
	}}
	for _, file := range done {
		for _, t := range file.value.Trains {
			h := t.Histogram
			s.add(file.file, t.Name, t.Trials, t.LeftOut, t.Spikes, h.TStart.Unit.String(), h.Times(), h.Samples, h.SEM)
		}
	}
	return a.finish(s, func() picture {
		var panels stack
		for _, file := range done {
			panels = append(panels, file.value.panels(file.file)...)
		}
		return panels.picture(5 * vg.Centimeter)
	}, failed)
}

// panels are the trains, or the trials of a single one, above their mean rate.
func (r filePSTH) panels(file string) []panel {
	first := r.Trains[0].Histogram
	times := append(first.Times(), first.TStop().Value)
	start, stop := times[0], times[len(times)-1]

	rate, sem := first.Samples, first.SEM
	remark := plural(r.Trains[0].Trials, "trial")
	var above panel
	if len(r.Trials) > 0 {
		above = newRaster(r.Trials, start, stop)
		above.Y.Label.Text = "trial"
	} else {
		rows := make([][]float64, len(r.Trains))
		names := make([]rasterRow, len(r.Trains))
		for i, t := range r.Trains {
			rows[i] = t.Histogram.Samples
			names[i].Name = t.Name
		}
		means, errs, most := acrossTrains(rows)
		if len(rows) > 1 {
			rate, sem = means, errs
		}
		above = newRaster(names, start, stop)
		above.Add(heat{rows, most})
		remark = fmt.Sprintf("%s, %s, dark is %s Hz", plural(len(r.Trains), "train"), remark, digits(most))
	}
	above.title, above.remark = file, remark+", below their mean and its standard error"
	above.share = min(2, max(0.8, 0.12*float64(max(len(r.Trials), len(r.Trains)))))
	above.HideX()
	above.Add(zeroLine{})

	below := newPanel()
	below.X.Min, below.X.Max = start, stop
	below.X.Label.Text = "time from the event (" + first.TStart.Unit.String() + ")"
	below.Y.Label.Text = "rate (Hz)"
	upper := make([]float64, len(rate))
	for i := range rate {
		upper[i] = rate[i]
		if sem[i] > 0 {
			upper[i] += sem[i]
		}
	}
	below.Y.Min, below.Y.Max = 0, roomAbove(upper)
	below.Add(rules{}, band{times, rate, sem}, zeroLine{}, stairs(times, rate))
	return []panel{above, below}
}

// acrossTrains gives mean and standard error of rows of one length, and their
// highest value.
func acrossTrains(rows [][]float64) (means, errs []float64, most float64) {
	n := float64(len(rows))
	means, errs = make([]float64, len(rows[0])), make([]float64, len(rows[0]))
	for k := range means {
		for _, row := range rows {
			means[k] += row[k] / n
			most = max(most, row[k])
		}
		for _, row := range rows {
			errs[k] += (row[k] - means[k]) * (row[k] - means[k])
		}
		errs[k] = math.Sqrt(errs[k] / (n - 1) / n)
	}
	return means, errs, most
}
