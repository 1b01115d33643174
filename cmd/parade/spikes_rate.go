package main

import (
	"context"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
)

func newRateCommand() *cobra.Command {
	var w window
	return analysisCommand(&cobra.Command{
		Use:   "rate FILE...",
		Short: "Mean firing rates",
		Long: `Rate gives the mean firing rate of each train: its number of spikes divided by the
duration of the recording, or of the part from --from to --to, both ends included.`,
		Example: `  parade spikes rate *.csv
  parade spikes rate --from 10s --to 20s -o rates.csv recordings/*.npz`,
	}, sheetEndings, w.flags, func(ctx context.Context, a analysis) error { return runRate(ctx, a, w) })
}

// trainRate is what "spikes rate" tells of a train.
type trainRate struct {
	Name     string
	Spikes   int // in the window
	From, To unit.Time
	Rate     unit.Rate
}

var spikesRate = overFile("spikes.rate", func(trains []spike.Train, w window) ([]trainRate, error) {
	all := make([]trainRate, len(trains))
	for i, t := range trains {
		rate, err := rateInHertz(t, w)
		if err != nil {
			return nil, err
		}
		from, to, err := w.of(t)
		if err != nil {
			return nil, err
		}
		n := 0
		for _, at := range t.Times {
			if from <= at && at <= to {
				n++
			}
		}
		all[i] = trainRate{trainName(t, i), n, unit.Time{Value: from, Unit: t.Unit}, unit.Time{Value: to, Unit: t.Unit}, rate}
	}
	return all, nil
})

// rateInHertz is the mean firing rate in the unit in which rates of files that
// differ in theirs can be compared.
func rateInHertz(t spike.Train, w window) (unit.Rate, error) {
	rate, err := spike.MeanFiringRateWithin(t, w.From, w.To)
	if err != nil {
		return unit.Rate{}, err
	}
	return rate.In(unit.Hertz)
}

func runRate(ctx context.Context, a analysis, w window) error {
	if err := w.check(); err != nil {
		return err
	}
	done, failed := eachFile(ctx, a, spikesRate, w)
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "train", head: "train"}, {name: "spikes", head: "spikes"}, {name: "unit"}, {name: "from", head: "from"}, {name: "to", head: "to"}, {name: "rate_hz", head: "rate (Hz)"},
	}}
	for _, file := range done {
		for _, t := range file.value {
			s.add(file.file, t.Name, t.Spikes, t.From.Unit.String(), t.From, t.To, t.Rate.Value)
		}
	}
	return a.finish(s, nil, failed)
}
