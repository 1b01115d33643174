package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gonum.org/v1/plot/vg"
)

// isiOptions are the choices of "spikes isi".
type isiOptions struct {
	Bin, Longest unit.Time // of the figure; unset is what fits the intervals
	Refractory   unit.Time
}

func newISICommand() *cobra.Command {
	var o isiOptions
	return analysisCommand(&cobra.Command{
		Use:   "isi FILE...",
		Short: "Inter-spike intervals and how much they vary",
		Long: `Isi gives for each train the mean of its inter-spike intervals and the measures of
their variation: CV, CV2, LV and LVR. All are about 1 for a Poisson process and 0
for a regular train. Spikes that are not in order are sorted first. A measure for
which a train has too few spikes is left empty.

A figure shows how many intervals of each length there are, in a panel for each
file.`,
		Example: `  parade spikes isi *.csv
  parade spikes isi recording.nwb --longest 100ms -o isi.png`,
	}, slices.Concat(sheetEndings, figureEndings), func(f *pflag.FlagSet) {
		f.TextVar(&o.Refractory, "refractory", unit.Milliseconds(5), "refractory `period` that LVR corrects for")
		f.TextVarP(&o.Bin, "bin", "b", unit.Time{}, "bin size of the figure, a `time` (default: what fits)")
		f.TextVar(&o.Longest, "longest", unit.Time{}, "longest interval of the figure, a `time` (default: 99 % are shorter)")
		unset(f, "bin", "longest")
	}, func(ctx context.Context, a analysis) error { return runISI(ctx, a, o) })
}

// trainIntervals is what "spikes isi" tells of a train. What needs more spikes
// than there are is NaN.
type trainIntervals struct {
	Name             string
	N                int
	Mean             unit.Time
	CV, CV2, LV, LVR float64
}

// fileIntervals is what it tells of a file.
type fileIntervals struct {
	Trains []trainIntervals
	Unit   unit.Unit
	Edges  []float64 // of the bins of all intervals
	Counts []float64
	Longer int // intervals behind the last bin
}

var spikesISI = overFile("spikes.isi", func(trains []spike.Train, o isiOptions) (fileIntervals, error) {
	result := fileIntervals{Unit: trains[0].Unit}
	var pooled []float64
	for i, t := range trains {
		t, err := sorted(t).In(result.Unit)
		if err != nil {
			return fileIntervals{}, err
		}
		iv, err := spike.ISI(t)
		if err != nil {
			return fileIntervals{}, err
		}
		pooled = append(pooled, iv.Values...)
		row := trainIntervals{Name: trainName(t, i), N: len(iv.Values), Mean: unit.Time{Value: mean(iv.Values), Unit: t.Unit}}
		for _, m := range []struct {
			to *float64
			of func(spike.Intervals) (float64, error)
		}{
			{&row.CV, spike.CV}, {&row.CV2, spike.CV2}, {&row.LV, spike.LV},
			{&row.LVR, func(iv spike.Intervals) (float64, error) { return spike.LVR(iv, o.Refractory) }},
		} {
			switch v, err := m.of(iv); {
			case errors.Is(err, spike.ErrTooFew):
				*m.to = math.NaN()
			case err != nil:
				return fileIntervals{}, fmt.Errorf("train %s: %w", row.Name, err)
			default:
				*m.to = v
			}
		}
		result.Trains = append(result.Trains, row)
	}
	return result, result.count(pooled, o)
})

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// count puts intervals into the bins of the figure.
func (r *fileIntervals) count(intervals []float64, o isiOptions) error {
	const about, most = 80, 100_000
	slices.Sort(intervals)
	longest, bin := 0.0, 0.0
	if n := len(intervals); n > 0 {
		longest = intervals[n-1-n/100]
	}
	for _, given := range []struct {
		time  unit.Time
		value *float64
	}{{o.Longest, &longest}, {o.Bin, &bin}} {
		if given.time.IsSet() {
			t, err := given.time.In(r.Unit)
			if err != nil {
				return err
			}
			*given.value = t.Value
		}
	}
	if longest == 0 { // there is nothing to see
		longest = 1
	}
	if bin == 0 {
		bin = round125(longest / about)
	}
	n := math.Floor(longest/bin+1e-8) + 1
	if o.Longest.IsSet() {
		n = max(1, math.Ceil(longest/bin-1e-8))
	}
	if !(n <= most) {
		return fmt.Errorf("bins of %s up to %s are %.0f, want at most %d; give another --bin or --longest",
			quantity(unit.Time{Value: bin, Unit: r.Unit}), quantity(unit.Time{Value: longest, Unit: r.Unit}), n, most)
	}
	r.Counts = make([]float64, int(n))
	for k := range len(r.Counts) + 1 {
		r.Edges = append(r.Edges, float64(k)*bin)
	}
	for _, v := range intervals {
		if k := v/bin + 1e-8; k < float64(len(r.Counts)) {
			r.Counts[int(k)]++
		} else {
			r.Longer++
		}
	}
	return nil
}

func runISI(ctx context.Context, a analysis, o isiOptions) error {
	for _, flag := range []struct {
		name string
		time unit.Time
	}{{"bin", o.Bin}, {"longest", o.Longest}} {
		if flag.time.IsSet() && !(flag.time.Value > 0) {
			return usagef("--%s %v: give a time above 0", flag.name, flag.time)
		}
	}
	if !(o.Refractory.Value >= 0) {
		return usagef("--refractory %v: give a time of at least 0", o.Refractory)
	}
	if err := a.checkPanels(); err != nil {
		return err
	}
	done, failed := eachFile(ctx, a, spikesISI, o)
	s := &sheet{columns: []column{
		{name: "file", head: "file"}, {name: "train", head: "train"}, {name: "intervals", head: "intervals"}, {name: "unit"}, {name: "mean", head: "mean"},
		{name: "cv", head: "CV"}, {name: "cv2", head: "CV2"}, {name: "lv", head: "LV"}, {name: "lvr", head: "LVR"},
	}}
	for _, file := range done {
		for _, t := range file.value.Trains {
			s.add(file.file, t.Name, t.N, t.Mean.Unit.String(), t.Mean, t.CV, t.CV2, t.LV, t.LVR)
		}
	}
	return a.finish(s, func() picture {
		var panels stack
		for _, file := range done {
			panels = append(panels, file.value.panel(file.file))
		}
		return panels.picture(5.5 * vg.Centimeter)
	}, failed)
}

func (r fileIntervals) panel(file string) panel {
	p := newPanel()
	p.title = file
	n := 0
	for _, t := range r.Trains {
		n += t.N
	}
	p.remark = fmt.Sprintf("%s, %s", plural(len(r.Trains), "train"), plural(n, "interval"))
	if r.Longer > 0 {
		p.remark += fmt.Sprintf(", %s of them longer than shown", count(r.Longer))
	}
	p.X.Label.Text = "interval (" + r.Unit.String() + ")"
	p.X.Min, p.X.Max = 0, r.Edges[len(r.Edges)-1]
	p.Y.Label.Text = "intervals per " + quantity(unit.Time{Value: r.Edges[1], Unit: r.Unit})
	p.Y.Tick.Marker = wholeTicks(4)
	p.Y.Min, p.Y.Max = 0, roomAbove(r.Counts)
	p.Add(rules{}, bars{edges: r.Edges, heights: r.Counts, colour: accent})
	return p
}
