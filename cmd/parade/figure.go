package main

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/parade-go/parade/spike"
	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	figureWidth  = 18 * vg.Centimeter
	figureHeight = 11 * vg.Centimeter
	figureDPI    = 200
)

var (
	ink    = color.RGBA{0x26, 0x32, 0x3e, 0xff}
	faint  = color.RGBA{0x7a, 0x86, 0x92, 0xff}
	accent = color.RGBA{0x1f, 0x83, 0x99, 0xff}
)

// prepareFolder makes the folder and sees whether a file can be made in it.
func prepareFolder(folder string) error {
	err := os.MkdirAll(folder, 0o755)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(folder, ".figure-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	return figureError(folder, err)
}

func figureError(folder string, err error) error {
	if err == nil {
		return nil
	}
	// The path in the system's error is that of a temporary file.
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("the figure cannot be written to %s: %w; choose another folder with --out", folder, err)
}

// drawFigure writes the figure in both formats and returns the files.
func drawFigure(folder string, trains []spike.Train, h spike.Histogram) ([]string, error) {
	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(figureWidth, figureHeight), vgimg.UseDPI(figureDPI), vgimg.UseBackgroundColor(color.White))}
	svg := vgsvg.New(figureWidth, figureHeight)
	var files []string
	for _, format := range []struct {
		name   string
		canvas vg.CanvasWriterTo
	}{{"spikes.png", png}, {"spikes.svg", svg}} {
		composeFigure(draw.New(format.canvas), trains, h)
		path := filepath.Join(folder, format.name)
		err := writeWhole(path, func(w io.Writer) error {
			_, err := format.canvas.WriteTo(w)
			return err
		})
		if err != nil {
			return nil, figureError(folder, err)
		}
		files = append(files, path)
	}
	return files, nil
}

// writeWhole writes a file that is there completely or not at all.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".figure-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil { // CreateTemp's is for secrets
		return err
	}
	return os.Rename(f.Name(), path)
}

// composeFigure draws the raster above the histogram, over one time axis.
func composeFigure(c draw.Canvas, trains []spike.Train, h spike.Histogram) {
	const margin, gap, title = 12, 8, 20
	c = draw.Crop(c, margin, -margin, margin, -margin)
	start, stop := trains[0].TStart, trains[0].TStop
	unitName := trains[0].Unit.String()

	raster := newPanel(start, stop)
	raster.Y.Label.Text = "train"
	raster.Y.Min, raster.Y.Max = 0.4, float64(len(trains))+0.6
	if len(trains) <= 16 {
		var ticks []plot.Tick
		for i, t := range trains {
			ticks = append(ticks, plot.Tick{Value: float64(i + 1), Label: shortened(trainName(t, i), 12)})
		}
		raster.Y.Tick.Marker = plot.ConstantTicks(ticks)
	}
	raster.Y.Tick.Length = 0
	raster.HideX()
	raster.Add(rasterPlot{trains})

	bars := newPanel(start, stop)
	bars.X.Label.Text = "time (" + unitName + ")"
	bars.Y.Label.Text = "spikes per " + quantity(h.BinSize)
	bars.Y.Min, bars.Y.Max = 0, math.Max(1, 1.05*slices.Max(h.Samples))
	bars.Add(barPlot{h})

	heading := draw.TextStyle{Color: ink, Font: sans(11), Handler: plot.DefaultTextHandler, YAlign: draw.YTop}
	heading.Font.Weight = xfont.WeightBold
	above := draw.Crop(c, 0, 0, (c.Max.Y-c.Min.Y)*0.40+gap, -title)
	below := draw.Crop(c, 0, 0, 0, -(c.Max.Y-c.Min.Y)*0.60)

	// Both data areas begin and end at the same place.
	a, b := raster.DataCanvas(above), bars.DataCanvas(below)
	left, right := max(a.Min.X, b.Min.X), min(a.Max.X, b.Max.X)
	above = draw.Crop(above, left-a.Min.X, right-a.Max.X, 0, 0)
	below = draw.Crop(below, left-b.Min.X, right-b.Max.X, 0, 0)
	c.FillText(heading, vg.Point{X: left, Y: c.Max.Y}, describe(trains))
	raster.Draw(above)
	bars.Draw(below)
}

// newPanel is a plot with quiet axes from start to stop.
func newPanel(start, stop float64) *plot.Plot {
	p := plot.New()
	p.X.Min, p.X.Max = start, stop
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Color, axis.LineStyle.Width = faint, 0.6
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = 4
		axis.Tick.Label.Font, axis.Tick.Label.Color = sans(8.5), ink
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = sans(9.5), ink
		axis.Label.Padding = 4
		axis.Padding = 4
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = labelledTicks(10), labelledTicks(4)
	return p
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// labelledTicks marks about so many round values, each with its number.
type labelledTicks int

// Ticks implements plot.Ticker.
func (about labelledTicks) Ticks(lowest, highest float64) []plot.Tick {
	step := round125((highest - lowest) / float64(about))
	var ticks []plot.Tick
	// Counted in whole steps, so that rounding errors do not add up.
	for k := math.Ceil(lowest/step - 1e-9); k*step <= highest+1e-9*step; k++ {
		v := k*step + 0 // never -0
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)})
	}
	return ticks
}

// rasterPlot draws a stroke for each spike. Spikes that fall on one place are
// drawn once, so that a long recording makes no larger a figure.
type rasterPlot struct{ trains []spike.Train }

// Plot implements plot.Plotter.
func (r rasterPlot) Plot(c draw.Canvas, p *plot.Plot) {
	const resolution = 0.25 // points
	toX, toY := p.Transforms(&c)
	height := toY(2) - toY(1)
	style := draw.LineStyle{Color: ink, Width: 0.7}
	for i, t := range r.trains {
		places := make([]bool, int((c.Max.X-c.Min.X)/resolution)+2)
		for _, spike := range t.Times {
			if x := toX(spike); x >= c.Min.X && x <= c.Max.X {
				places[int((x-c.Min.X)/resolution+0.5)] = true
			}
		}
		middle := toY(float64(i + 1))
		for place, spiked := range places {
			if spiked {
				x := c.Min.X + vg.Length(place)*resolution
				c.StrokeLine2(style, x, middle-0.38*height, x, middle+0.38*height)
			}
		}
	}
}

// barPlot draws a histogram as one filled outline.
type barPlot struct{ h spike.Histogram }

// Plot implements plot.Plotter.
func (b barPlot) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	times := append(b.h.Times(), b.h.TStop().Value)
	outline := []vg.Point{{X: toX(times[0]), Y: toY(0)}}
	for k, v := range b.h.Samples {
		outline = append(outline, vg.Point{X: toX(times[k]), Y: toY(v)}, vg.Point{X: toX(times[k+1]), Y: toY(v)})
	}
	outline = append(outline, vg.Point{X: toX(times[len(times)-1]), Y: toY(0)})
	c.FillPolygon(accent, outline)
}
