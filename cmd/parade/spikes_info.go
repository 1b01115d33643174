package main

import (
	"context"
	"math"
	"slices"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newInfoCommand() *cobra.Command {
	return analysisCommand(&cobra.Command{
		Use:   "info FILE...",
		Short: "Say what is in files of spike trains",
		Long: `Info says for each train how many spikes it has, from when to when it was
recorded, its mean firing rate and shortest interval, and what a recording should
not have: spikes that are not sorted, and times that occur twice.`,
		Example: `  parade spikes info *.nwb
  parade spikes info --json *.csv | jq -r 'select(.duplicates > 0) | .file'`,
	}, sheetEndings, func(*pflag.FlagSet) {}, runInfo)
}

// trainInfo is what "spikes info" tells of a train.
type trainInfo struct {
	Name        string
	Spikes      int
	Start, Stop unit.Time
	Rate        unit.Rate
	Shortest    float64 // NaN for fewer than two spikes
	Sorted      bool
	Duplicates  int
}

type none struct{} // of parameters

var spikesInfo = overFile("spikes.info", func(trains []spike.Train, _ none) ([]trainInfo, error) {
	all := make([]trainInfo, len(trains))
	for i, t := range trains {
		rate, err := rateInHertz(t, window{})
		if err != nil {
			return nil, err
		}
		info := trainInfo{Name: trainName(t, i), Spikes: len(t.Times), Start: t.Start(), Stop: t.Stop(),
			Rate: rate, Shortest: math.NaN(), Sorted: slices.IsSorted(t.Times)}
		times := sorted(t).Times
		for k := 1; k < len(times); k++ {
			if interval := times[k] - times[k-1]; !(interval >= info.Shortest) {
				info.Shortest = interval
			}
			if times[k] == times[k-1] {
				info.Duplicates++
			}
		}
		all[i] = info
	}
	return all, nil
})

// sorted gives the train with its spikes in order.
func sorted(t spike.Train) spike.Train {
	if !slices.IsSorted(t.Times) {
		t.Times = slices.Sorted(slices.Values(t.Times))
	}
	return t
}

func runInfo(ctx context.Context, a analysis) error {
	done, failed := eachFile(ctx, a, spikesInfo, none{})
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "train", head: "train"}, {name: "spikes", head: "spikes"}, {name: "unit"}, {name: "t_start", head: "from"}, {name: "t_stop", head: "to"},
		{name: "rate_hz", head: "rate (Hz)"}, {name: "shortest_isi", head: "shortest interval"}, {name: "sorted", head: "sorted"}, {name: "duplicates", head: "duplicates"},
	}}
	for _, file := range done {
		for _, t := range file.value {
			u := t.Start.Unit
			s.add(file.file, t.Name, t.Spikes, u.String(), t.Start, t.Stop, t.Rate.Value, unit.Time{Value: t.Shortest, Unit: u}, t.Sorted, t.Duplicates)
		}
	}
	return a.finish(s, nil, failed)
}
