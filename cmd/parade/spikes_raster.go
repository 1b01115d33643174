package main

import (
	"context"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"gonum.org/v1/plot/vg"
)

func newRasterCommand() *cobra.Command {
	var w window
	return analysisCommand(&cobra.Command{
		Use:   "raster FILE... -o FIGURE",
		Short: "Draw every spike of every train",
		Long: `Raster draws a row for each train and a stroke for each spike, in a panel for each
file. Where there are more spikes than strokes can be told apart, it is darker where
there are more, and the figure stays small.`,
		Example: `  parade spikes raster trains.npz -o raster.png
  parade spikes raster --from 10s --to 12s recording.nwb -o raster.svg`,
	}, figureEndings, w.flags, func(ctx context.Context, a analysis) error { return runRaster(ctx, a, w) })
}

// fileRaster is what a figure needs of a file, however long it is.
type fileRaster struct {
	Rows        []rasterRow
	Spikes      int // in the window
	Start, Stop unit.Time
}

var spikesRaster = overFile("spikes.raster", func(trains []spike.Train, w window) (fileRaster, error) {
	u := trains[0].Unit
	var start, stop float64
	for i := range trains {
		var err error
		if trains[i], err = trains[i].In(u); err != nil {
			return fileRaster{}, err
		}
		from, to, err := w.of(trains[i])
		if err != nil {
			return fileRaster{}, err
		}
		if i == 0 {
			start, stop = from, to
		}
		start, stop = min(start, from), max(stop, to)
	}
	result := fileRaster{Start: unit.Time{Value: start, Unit: u}, Stop: unit.Time{Value: stop, Unit: u}}
	for i, t := range trains {
		row := newRasterRow(t, i, start, stop)
		for _, n := range row.Counts {
			result.Spikes += int(n)
		}
		result.Rows = append(result.Rows, row)
	}
	return result, nil
})

func runRaster(ctx context.Context, a analysis, w window) error {
	if a.out == "" {
		return usagef("a raster is a figure: name its file with --out, for example -o raster.png")
	}
	if err := w.check(); err != nil {
		return err
	}
	if err := a.checkPanels(); err != nil {
		return err
	}
	done, failed := eachFile(ctx, a, spikesRaster, w)
	s := &sheet{columns: []column{{name: "file"}, {name: "trains"}, {name: "spikes"}, {name: "unit"}, {name: "from"}, {name: "to"}}}
	for _, file := range done {
		r := file.value
		s.add(file.file, len(r.Rows), r.Spikes, r.Start.Unit.String(), r.Start, r.Stop)
	}
	return a.finish(s, func() picture {
		var panels stack
		for _, file := range done {
			r := file.value
			p := newRaster(r.Rows, r.Start.Value, r.Stop.Value)
			p.title, p.remark = file.file, plural(len(r.Rows), "train")+", "+plural(r.Spikes, "spike")
			p.X.Label.Text = "time (" + r.Start.Unit.String() + ")"
			p.share = float64(min(16, max(3, len(r.Rows)))) // enough for the names
			panels = append(panels, p)
		}
		return panels.picture(0.8 * vg.Centimeter)
	}, failed)
}
