package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade/internal/wholefile"
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
	pale   = color.RGBA{0xe4, 0xe8, 0xec, 0xff}
	accent = color.RGBA{0x1f, 0x83, 0x99, 0xff}
	red    = color.RGBA{0xd1, 0x49, 0x5b, 0xff}

	// colours tell lines apart, also for eyes that see no red or green.
	colours = []color.RGBA{accent, {0xdd, 0x8a, 0x1e, 0xff}, {0x7b, 0x5e, 0xa7, 0xff}, {0x4d, 0x8f, 0x3c, 0xff}, red, ink}
)

// picture is a figure that is not drawn yet.
type picture struct {
	width, height vg.Length
	draw          func(draw.Canvas)
}

// figureEndings are the formats of figures, by the endings of their files.
var figureEndings = []string{".png", ".svg"}

// write writes the figure whole, in the format that the path's ending says.
func (f picture) write(path string) error {
	var canvas vg.CanvasWriterTo
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(figureDPI), vgimg.UseBackgroundColor(color.White))}
	case ".svg":
		canvas = vgsvg.New(f.width, f.height)
	default:
		return fmt.Errorf("%s: figures end in %s", path, strings.Join(figureEndings, ", "))
	}
	f.draw(draw.New(canvas))
	return wholefile.Write(path, func(w io.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	})
}

// writeBoth writes the figure as PNG and SVG into a folder and gives the files.
func (f picture) writeBoth(folder, name string) ([]string, error) {
	var files []string
	for _, ending := range figureEndings {
		path := filepath.Join(folder, name+ending)
		if err := f.write(path); err != nil {
			return nil, figureError(folder, err)
		}
		files = append(files, path)
	}
	return files, nil
}

// prepareFolder makes the folder and sees whether a file can be made in it.
func prepareFolder(folder string) error {
	err := os.MkdirAll(folder, 0o755)
	if err == nil {
		err = tryFolder(folder)
	}
	return figureError(folder, err)
}

// tryFolder sees whether a file can be made in a folder.
func tryFolder(folder string) error {
	probe, err := os.CreateTemp(folder, ".parade-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func figureError(folder string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the figure cannot be written to %s: %w; choose another folder with --out", folder, reason(err))
}

// reason takes the path out of an error, where it is that of a temporary file or
// has been said.
func reason(err error) error {
	if file := (*spike.FileError)(nil); errors.As(err, &file) {
		err = file.Err
	}
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		return inner.Err
	}
	if inner := (*os.LinkError)(nil); errors.As(err, &inner) {
		return inner.Err
	}
	return err
}

// drawFigure writes the demo's figure, a raster above a histogram, and returns
// the files.
func drawFigure(folder string, trains []spike.Train, h spike.Histogram) ([]string, error) {
	start, stop := trains[0].TStart, trains[0].TStop
	rows := make([]rasterRow, len(trains))
	for i, t := range trains {
		rows[i] = newRasterRow(t, i, start, stop)
	}
	raster := newRaster(rows, start, stop)
	raster.title, raster.share = describe(trains), 0.6
	raster.HideX()
	bars := newBars(h)
	bars.share = 0.4
	bars.X.Min, bars.X.Max = start, stop
	return picture{figureWidth, figureHeight, stack{raster, bars}.draw}.writeBoth(folder, "spikes")
}

// speedup is a line of a figure of speed-ups: how many times faster than the
// plain loop an executor was with each number of workers.
type speedup struct {
	name    string
	workers []int
	gain    []float64
}

// drawSpeedup writes a figure of speed-ups over numbers of workers, with the
// ideal as a dashed line, and returns the files: speedup.png and speedup.svg.
func drawSpeedup(folder, title string, lines []speedup) ([]string, error) {
	return speedupFigure(title, lines).writeBoth(folder, "speedup")
}

func speedupFigure(title string, lines []speedup) picture {
	most, top := 1, 1.0
	seen := map[int]bool{}
	for _, l := range lines {
		for i, n := range l.workers {
			seen[n] = true
			most, top = max(most, n), max(top, l.gain[i])
		}
	}
	p := newPanel()
	p.title, p.share = title, 1
	p.X.Label.Text, p.Y.Label.Text = "workers", "speed-up over the plain loop"
	p.X.Min, p.X.Max = 0, float64(most)*1.06
	p.Y.Min, p.Y.Max = 0, 1.06*max(top, float64(most))
	p.X.Tick.Marker = workerTicks(seen)
	p.Y.Tick.Marker = labelledTicks(5)
	p.Add(rules{})
	ideal := line{xs: []float64{0, p.Y.Max}, ys: []float64{0, p.Y.Max}, style: draw.LineStyle{Color: faint, Width: 1, Dashes: []vg.Length{4, 3}}}
	p.Add(ideal)
	p.Legend.Add("ideal", ideal)
	for i, l := range lines {
		xs := make([]float64, len(l.workers))
		for k, n := range l.workers {
			xs[k] = float64(n)
		}
		shown := line{xs: xs, ys: l.gain, style: draw.LineStyle{Color: colours[i%len(colours)], Width: 1.6}, dots: 2.6}
		p.Add(shown)
		p.Legend.Add(l.name, shown)
	}
	p.Legend.Left, p.Legend.Top = true, true
	return picture{12 * vg.Centimeter, 10 * vg.Centimeter, stack{p}.draw}
}

// workerTicks labels the numbers of workers that were tried, of many only some.
func workerTicks(seen map[int]bool) plot.Ticker {
	var ticks []plot.Tick
	for n := range seen {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: strconv.Itoa(n)})
	}
	if len(ticks) > 12 {
		return labelledTicks(8)
	}
	return plot.ConstantTicks(ticks)
}

// panel is one of the plots of a figure.
type panel struct {
	*plot.Plot
	title  string  // a line above it, "" for none
	remark string  // goes on beside the title
	share  float64 // of the figure's height
}

// newPanel is a plot with quiet axes.
func newPanel() panel {
	p := plot.New()
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
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = sans(8.5), ink
	p.Legend.Padding, p.Legend.ThumbnailWidth = 2, 18
	p.Legend.XOffs, p.Legend.YOffs = 8, -4
	return panel{Plot: p, share: 1}
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// stack draws panels one above the other. Their data areas begin and end at the
// same place, so that they can share a time axis.
type stack []panel

func (s stack) draw(c draw.Canvas) {
	const margin, gap, title = 12, 10, 20
	c = draw.Crop(c, margin, -margin, margin, -margin)
	free, shares := c.Max.Y-c.Min.Y-gap*vg.Length(len(s)-1), 0.0
	for _, p := range s {
		shares += p.share
		if p.title != "" {
			free -= title
		}
	}
	places := make([]draw.Canvas, len(s))
	left, right := c.Min.X, c.Max.X
	top := c.Max.Y
	for i, p := range s {
		if p.title != "" {
			top -= title
		}
		height := free * vg.Length(p.share/shares)
		places[i] = draw.Crop(c, 0, 0, top-height-c.Min.Y, top-c.Max.Y)
		data := p.DataCanvas(places[i])
		left, right = max(left, data.Min.X), min(right, data.Max.X)
		top -= height + gap
	}
	for i, p := range s {
		data := p.DataCanvas(places[i])
		place := draw.Crop(places[i], left-data.Min.X, right-data.Max.X, 0, 0)
		if p.title != "" {
			bold := draw.TextStyle{Color: ink, Font: sans(11), Handler: plot.DefaultTextHandler, YAlign: draw.YBottom}
			bold.Font.Weight = xfont.WeightBold
			at := vg.Point{X: left, Y: place.Max.Y + 7}
			text := ending(p.title, 60)
			c.FillText(bold, at, text)
			at.X += bold.Width(text) + 8
			c.FillText(draw.TextStyle{Color: faint, Font: sans(9.5), Handler: plot.DefaultTextHandler, YAlign: draw.YBottom}, at, p.remark)
		}
		p.Draw(place)
	}
}

// picture gives the stack on paper, with so much height for each share.
func (s stack) picture(each vg.Length) picture {
	height := 1.5 * vg.Centimeter
	for _, p := range s {
		height += each * vg.Length(p.share)
	}
	return picture{figureWidth, height, s.draw}
}

func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// ending is the end of a path that is too long.
func ending(path string, most int) string {
	if runes := []rune(path); len(runes) > most {
		return "…" + string(runes[len(runes)-most+1:])
	}
	return path
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

// wholeTicks are labelledTicks of what is counted.
type wholeTicks int

// Ticks implements plot.Ticker.
func (about wholeTicks) Ticks(lowest, highest float64) []plot.Tick {
	return labelledTicks(max(1, min(int(about), int(highest-lowest)))).Ticks(lowest, highest)
}

// rules are faint lines at the ticks of the y axis.
type rules struct{}

// Plot implements plot.Plotter.
func (rules) Plot(c draw.Canvas, p *plot.Plot) {
	_, toY := p.Transforms(&c)
	for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.6}, c.Min.X, toY(tick.Value), c.Max.X, toY(tick.Value))
	}
}

// line draws lines from point to point, and a dot at each where dots is the
// radius of one.
type line struct {
	xs, ys []float64
	style  draw.LineStyle
	dots   vg.Length
}

// Plot implements plot.Plotter.
func (l line) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	points := make([]vg.Point, len(l.xs))
	for i := range points {
		points[i] = vg.Point{X: toX(l.xs[i]), Y: toY(l.ys[i])}
	}
	c.StrokeLines(l.style, c.ClipLinesXY(points)...)
	for _, at := range points {
		if l.dots > 0 && c.Contains(at) {
			c.DrawGlyph(draw.GlyphStyle{Color: l.style.Color, Radius: l.dots, Shape: draw.CircleGlyph{}}, at)
		}
	}
}

// Thumbnail implements plot.Thumbnailer.
func (l line) Thumbnail(c *draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(l.style, c.Min.X, y, c.Max.X, y)
	if l.dots > 0 {
		c.DrawGlyph(draw.GlyphStyle{Color: l.style.Color, Radius: l.dots, Shape: draw.CircleGlyph{}}, c.Center())
	}
}

// rasterRow is the spikes of a train as a raster shows them: how many fall on
// each of rasterPlaces places. It is all that a figure needs of a long train.
type rasterRow struct {
	Name   string
	Counts []uint32 // nil without spikes
}

// rasterPlaces is a quarter of a point, the width of a stroke's middle.
const rasterPlaces = 1920

func newRasterRow(t spike.Train, index int, start, stop float64) rasterRow {
	row := rasterRow{Name: trainName(t, index)}
	for _, at := range t.Times {
		if !(start <= at && at <= stop) {
			continue
		}
		if row.Counts == nil {
			row.Counts = make([]uint32, rasterPlaces)
		}
		place := 0
		if stop > start {
			place = min(int((at-start)/(stop-start)*rasterPlaces), rasterPlaces-1)
		}
		row.Counts[place]++
	}
	return row
}

// newRaster is a panel with a row for each train, the first one at the bottom.
func newRaster(rows []rasterRow, start, stop float64) panel {
	p := newPanel()
	p.X.Min, p.X.Max = start, stop
	p.Y.Label.Text = "train"
	p.Y.Min, p.Y.Max = 0.4, float64(len(rows))+0.6
	if len(rows) <= 16 {
		var ticks []plot.Tick
		for i, row := range rows {
			ticks = append(ticks, plot.Tick{Value: float64(i + 1), Label: shortened(row.Name, 12)})
		}
		p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	}
	p.Y.Tick.Length = 0
	p.Add(rasterPlot(rows))
	return p
}

type rasterPlot []rasterRow

// Plot implements plot.Plotter. Spikes that fall on one place are one stroke. Where
// strokes would hide each other, or make a file too large for a browser, it draws
// an image instead, darker where there are more spikes.
func (r rasterPlot) Plot(c draw.Canvas, p *plot.Plot) {
	const most, mostOfRow = 25_000, rasterPlaces / 4
	all, ofRow := 0, 0
	for _, row := range r {
		n := 0
		for _, spikes := range row.Counts {
			if spikes > 0 {
				n++
			}
		}
		all, ofRow = all+n, max(ofRow, n)
	}
	toX, toY := p.Transforms(&c)
	bottom, top := toY(0.5), toY(float64(len(r))+0.5)
	left, right := toX(p.X.Min), toX(p.X.Max)
	if all > most || ofRow > mostOfRow {
		c.DrawImage(vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: top}}, r.image())
		return
	}
	height := (top - bottom) / vg.Length(max(1, len(r)))
	style := draw.LineStyle{Color: ink, Width: 0.7}
	for i, row := range r {
		middle := toY(float64(i + 1))
		for place, n := range row.Counts {
			if n > 0 {
				x := left + (right-left)*(vg.Length(place)+0.5)/rasterPlaces
				c.StrokeLine2(style, x, middle-0.38*height, x, middle+0.38*height)
			}
		}
	}
}

// image shows how dense spikes are, with gaps between rows where there is room.
func (r rasterPlot) image() image.Image {
	const height, mostWithGaps = 600, 60
	each := max(1, (height+len(r)-1)/len(r))
	gap := 0
	if len(r) <= mostWithGaps {
		gap = each / 8
	}
	busiest := 1.0
	for _, row := range r {
		for _, n := range row.Counts {
			busiest = max(busiest, float64(n))
		}
	}
	dots := image.NewNRGBA(image.Rect(0, 0, rasterPlaces, each*len(r)))
	for i, row := range r {
		top := each * (len(r) - 1 - i)
		for x, n := range row.Counts {
			if n == 0 {
				continue
			}
			// The root, so that one busy place does not make all others pale.
			dot := color.NRGBA{ink.R, ink.G, ink.B, uint8(255 * math.Sqrt(float64(n)/busiest))}
			for y := top + gap; y < top+each-gap; y++ {
				dots.SetNRGBA(x, y, dot)
			}
		}
	}
	return dots
}

// newBars is a panel with a time histogram.
func newBars(h spike.Histogram) panel {
	p := newPanel()
	p.X.Min, p.X.Max = h.TStart.Value, h.TStop().Value
	p.X.Label.Text = "time (" + h.TStart.Unit.String() + ")"
	switch h.Output {
	case spike.OutputCounts:
		p.Y.Label.Text = "spikes per " + quantity(h.BinSize)
		p.Y.Tick.Marker = wholeTicks(4)
	case spike.OutputMean:
		p.Y.Label.Text = "spikes per train and " + quantity(h.BinSize)
	case spike.OutputRate:
		p.Y.Label.Text = "rate (" + h.Unit.String() + ")"
	}
	p.Y.Min, p.Y.Max = 0, roomAbove(h.Samples)
	p.Add(bars{edges: append(h.Times(), h.TStop().Value), heights: h.Samples, colour: accent})
	return p
}

// roomAbove is where an axis ends that begins at 0 and shows all values.
func roomAbove(values []float64) float64 {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	if top == 0 {
		return 1
	}
	return 1.05 * top
}

// bars draws adjacent bars as one filled outline. edges has one more than heights.
type bars struct {
	edges, heights []float64
	colour         color.Color
}

// Plot implements plot.Plotter. Where there are more bars than places on paper
// it draws the highest of each place.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	const most = 4000
	toX, toY := p.Transforms(&c)
	each := (len(b.heights) + most - 1) / most
	outline := []vg.Point{{X: toX(b.edges[0]), Y: toY(0)}}
	for k := 0; k < len(b.heights); k += each {
		to := min(k+each, len(b.heights))
		y := toY(slices.Max(b.heights[k:to]))
		outline = append(outline, vg.Point{X: toX(b.edges[k]), Y: y}, vg.Point{X: toX(b.edges[to]), Y: y})
	}
	outline = append(outline, vg.Point{X: toX(b.edges[len(b.heights)]), Y: toY(0)})
	c.FillPolygon(b.colour, outline)
}

// stairs is a line that is level within each bin.
func stairs(edges, values []float64) line {
	l := line{style: draw.LineStyle{Color: accent, Width: 1.4}}
	for k, v := range values {
		l.xs = append(l.xs, edges[k], edges[k+1])
		l.ys = append(l.ys, v, v)
	}
	return l
}

// band is a standard error around a mean, not drawn below 0.
type band struct{ edges, middle, around []float64 }

// Plot implements plot.Plotter.
func (b band) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	var upper, lower []vg.Point
	for k, m := range b.middle {
		e := b.around[k]
		if !(e > 0) {
			e = 0 // of a single trial it is not known
		}
		left, right := toX(b.edges[k]), toX(b.edges[k+1])
		upper = append(upper, vg.Point{X: left, Y: toY(m + e)}, vg.Point{X: right, Y: toY(m + e)})
		lower = append(lower, vg.Point{X: left, Y: toY(max(0, m-e))}, vg.Point{X: right, Y: toY(max(0, m-e))})
	}
	slices.Reverse(lower)
	c.FillPolygon(color.NRGBA{accent.R, accent.G, accent.B, 0x40}, append(upper, lower...))
}

// zeroLine marks the event.
type zeroLine struct{}

// Plot implements plot.Plotter.
func (zeroLine) Plot(c draw.Canvas, p *plot.Plot) {
	if p.X.Min <= 0 && 0 <= p.X.Max {
		toX, _ := p.Transforms(&c)
		c.StrokeLine2(draw.LineStyle{Color: red, Width: 1, Dashes: []vg.Length{4, 3}}, toX(0), c.Min.Y, toX(0), c.Max.Y)
	}
}

// heat shows a row of values for each train, dark where they are near the most.
type heat struct {
	rows [][]float64
	most float64
}

// Plot implements plot.Plotter.
func (h heat) Plot(c draw.Canvas, p *plot.Plot) {
	const widest = 2000
	each := (len(h.rows[0]) + widest - 1) / widest // of a place the highest
	dots := image.NewNRGBA(image.Rect(0, 0, (len(h.rows[0])+each-1)/each, len(h.rows)))
	for i, row := range h.rows {
		for k := 0; k < len(row); k += each {
			v := slices.Max(row[k:min(k+each, len(row))])
			if h.most > 0 {
				v /= h.most
			}
			dots.SetNRGBA(k/each, len(h.rows)-1-i, shadeOf(v))
		}
	}
	// Enlarged, since viewers blur the few dots of an image.
	big := image.NewNRGBA(image.Rect(0, 0, enlarged(dots.Rect.Dx(), rasterPlaces), enlarged(dots.Rect.Dy(), 600)))
	for y := range big.Rect.Dy() {
		for x := range big.Rect.Dx() {
			big.SetNRGBA(x, y, dots.NRGBAAt(x*dots.Rect.Dx()/big.Rect.Dx(), y*dots.Rect.Dy()/big.Rect.Dy()))
		}
	}
	toX, toY := p.Transforms(&c)
	c.DrawImage(vg.Rectangle{
		Min: vg.Point{X: toX(p.X.Min), Y: toY(0.5)},
		Max: vg.Point{X: toX(p.X.Max), Y: toY(float64(len(h.rows)) + 0.5)},
	}, big)
}

// enlarged is the least multiple of n that is at least enough.
func enlarged(n, enough int) int { return n * ((enough + n - 1) / n) }

// shadeOf goes from white over the accent's colour to nearly black, from 0 to 1.
func shadeOf(v float64) color.NRGBA {
	stops := []color.RGBA{{0xf7, 0xf9, 0xfa, 0xff}, {0x8f, 0xc9, 0xd3, 0xff}, accent, {0x0b, 0x2c, 0x3d, 0xff}}
	at := max(0, min(1, v)) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	a, b, part := stops[i], stops[i+1], at-float64(i)
	mix := func(x, y uint8) uint8 { return uint8(float64(x) + part*(float64(y)-float64(x)) + 0.5) }
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}
