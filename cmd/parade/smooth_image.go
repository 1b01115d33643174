package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"strings"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/nifti"
	"github.com/parade-go/parade/smooth"
)

const (
	gaussian = "gaussian"
	afni     = "afni"
	inMask   = "in-mask"
	toFWHM   = "to-fwhm"
)

// smoothRecipe is how images are smoothed.
type smoothRecipe struct {
	Method string     // "" measures only
	FWHM   [3]float64 // mm

	// Of to-fwhm.
	InPlane, Strict, Uniform, NoDetrend, AllVolumes bool
	Rate                                            float64
	MaxIterations                                   int

	Estimate, Demedian bool // measured without each voxel's median over time
	Picture, Force     bool
	Level              int // of gzip
	Threads            int // that a task may use
}

// smoothImage is an image to smooth. Paths are absolute, "" without.
type smoothImage struct{ Path, Out, Mask, Master string }

// smoothed is what became of an image.
type smoothed struct {
	Path, Out, Picture string
	Status             string // "" if nothing
	Reason             string // why to-fwhm ended
	Shape, Voxel       []float64
	Volumes            int
	Before, After      [3]float64 // mm, NaN if not known
	Iterations         int
	Zeroed             float64 // values that were not finite, NaN if not known
	Seconds            float64
	Warnings           []string // about the image
}

// What became of an image.
const (
	statusSmoothed   = "smoothed"
	statusMeasured   = "measured"
	statusThere      = "done before"
	statusNotReached = "not reached"
	statusSmoother   = "smooth before"
)

// smoothOne smooths an image as a task of an executor.
var smoothOne = parade.Func2Context("smooth.image", func(ctx context.Context, r smoothRecipe, image smoothImage) (smoothed, error) {
	ex := parade.Serial()
	if r.Threads > 1 {
		ex = parade.Threads(r.Threads)
	}
	defer ex.Close()
	return r.smooth(ctx, ex, image, nil)
})

func init() {
	// They tell a bad file from a task that failed.
	parade.Sentinel("nifti.ErrFormat", nifti.ErrFormat)
	parade.Sentinel("nifti.ErrType", nifti.ErrType)
	parade.Sentinel("smooth.ErrArgument", smooth.ErrArgument)
	parade.Sentinel("smooth.ErrNotReached", smooth.ErrNotReached)
}

// byVolume tells whether volumes are smoothed independently of each other.
func (r smoothRecipe) byVolume() bool { return r.Method != toFWHM }

// smooth smooths or measures an image, its volumes on ex. progress may be nil.
func (r smoothRecipe) smooth(ctx context.Context, ex parade.Executor, image smoothImage, progress func(volume, volumes int)) (v smoothed, err error) {
	begun := time.Now()
	in, err := nifti.Open(image.Path)
	if err != nil {
		return v, err
	}
	defer in.Close()
	h := in.Header()
	grid := gridOf(h)
	v = smoothed{
		Path: image.Path, Out: image.Out, Volumes: h.Volumes(), Before: unknown, After: unknown, Voxel: grid.Voxel[:],
		Warnings: h.Warnings(),
	}
	for _, n := range h.Shape {
		v.Shape = append(v.Shape, float64(n))
	}
	mask, text, err := readMask(image.Mask, h)
	if err != nil {
		return v, err
	}
	j := smoothJob{recipe: r, image: image, grid: grid, in: in, mask: mask, result: &v, progress: progress}
	switch {
	case image.Out != "":
		err = j.write(ctx, ex, text)
	case r.Demedian:
		v.Status = statusMeasured
		v.Before, v.Zeroed, err = j.demedianWidths(ctx, image.Path)
	default:
		v.Status = statusMeasured
		if r.Estimate {
			err = j.byVolume(ctx, ex, nil)
		}
	}
	v.Seconds = time.Since(begun).Seconds()
	return v, err
}

func gridOf(h *nifti.Header) smooth.Grid { return smooth.Grid{Shape: h.Grid(), Voxel: h.VoxelSize()} }

var unknown = [3]float64{math.NaN(), math.NaN(), math.NaN()}

// text says in a line what is done to an image. It is kept in the output, by which a
// later run knows it again; so it has nothing of who, when and where.
func (r smoothRecipe) text(mask string) string {
	var b strings.Builder
	switch r.Method {
	case gaussian:
		b.WriteString("Gaussian kernel as nilearn.image.smooth_img")
	case afni:
		b.WriteString("Gaussian kernel as AFNI 3dmerge -1blur_fwhm")
	case inMask:
		b.WriteString("method of AFNI 3dBlurInMask")
	case toFWHM:
		b.WriteString("method of AFNI 3dBlurToFWHM")
	}
	fmt.Fprintf(&b, ", FWHM %s mm", widthText(r.FWHM))
	if mask != "" {
		b.WriteString(", mask " + mask)
	}
	for _, o := range []struct {
		set  bool
		text string
	}{{r.InPlane, "in plane"}, {r.Uniform, "uniform"}, {r.NoDetrend, "without detrending"}, {r.AllVolumes, "all volumes measured"}} {
		if o.set {
			b.WriteString(", " + o.text)
		}
	}
	if r.Method == toFWHM {
		if r.Rate != 1 {
			fmt.Fprintf(&b, ", rate %g", r.Rate)
		}
		if r.MaxIterations > 0 {
			fmt.Fprintf(&b, ", at most %d rounds", r.MaxIterations)
		}
	}
	return b.String()
}

func widthText(mm [3]float64) string {
	if mm[0] == mm[1] && mm[0] == mm[2] {
		return fmt.Sprintf("%g", mm[0])
	}
	return fmt.Sprintf("%g x %g x %g", mm[0], mm[1], mm[2])
}

// commentStart begins the comment in an output, of which the next line is the text.
const commentStart = "parade smooth "

// What of a file is looked at to tell it from others: its beginning, and blocks that
// are spread over it.
const (
	firstBytes  = 1 << 16
	blockBytes  = 1 << 12
	blocksLooks = 256
)

// fingerprint tells an image from others, without reading all of it.
func fingerprint(path string) (string, error) {
	h := sha256.New()
	total := int64(0)
	for _, name := range nifti.Files(path) {
		size, err := addFingerprint(h, name)
		if err != nil {
			return "", err
		}
		total += size
	}
	return fmt.Sprintf("%d bytes (%x)", total, h.Sum(nil)[:8]), nil
}

func addFingerprint(h hash.Hash, path string) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if _, err := io.CopyN(h, f, firstBytes); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	step := max(blockBytes, info.Size()/blocksLooks)
	for at := int64(firstBytes); at < info.Size(); at += step {
		if _, err := io.Copy(h, io.NewSectionReader(f, at, blockBytes)); err != nil {
			return 0, err
		}
	}
	return info.Size(), nil
}

// there tells whether the output is there, whole and made by the same method, with what
// was noted if the width was not reached, and whether it is older than what it was made
// from. It refuses another file of that name.
func (r smoothRecipe) there(image smoothImage, method string) (there, stale bool, reached string, err error) {
	info, err := os.Stat(image.Out)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && r.Force:
		return false, r.Force, "", nil
	case err != nil:
		return false, false, "", err
	}
	was, reached := howMade(image.Out)
	switch {
	case was == "":
		return false, false, "", fmt.Errorf("%s is there already, and was not made by parade smooth; remove it, choose another --out, or replace it with --force", image.Out)
	case was != method:
		return false, false, "", fmt.Errorf("%s is there already, and was made in another way or of another image (%s; now: %s); remove it, choose another --out, or replace it with --force", image.Out, was, method)
	case older(info, image):
		return false, true, "", nil
	case r.Strict && reached != "":
		return false, false, "", fmt.Errorf("%w: %s, %s", smooth.ErrNotReached, image.Out, reached)
	}
	in, err := nifti.Open(image.Path)
	if err != nil {
		return false, false, "", err
	}
	defer in.Close()
	if err := checkWhole(image.Out, in.Header()); err != nil {
		return false, false, "", fmt.Errorf("%w; it is there already, and damaged; make it again with --force", err)
	}
	return true, false, reached, nil
}

// howMade says how parade smooth made an output, and what it noted if the width was
// not reached; "" if another program made it.
func howMade(path string) (method, reached string) {
	out, err := nifti.Open(path)
	if err != nil {
		return "", ""
	}
	defer out.Close()
	for _, e := range out.Header().Extensions { // the last is the latest
		if text := strings.TrimRight(string(e.Data), "\x00"); e.Code == nifti.CommentExtension && strings.HasPrefix(text, commentStart) {
			_, rest, _ := strings.Cut(text, "\n")
			method, reached, _ = strings.Cut(rest, "\n")
		}
	}
	return method, reached
}

// older tells whether an output is older than a file that it was made from.
func older(out fs.FileInfo, image smoothImage) bool {
	for _, path := range []string{image.Path, image.Mask, image.Master} {
		if path == "" {
			continue
		}
		for _, name := range nifti.Files(path) {
			if input, err := os.Stat(name); err == nil && input.ModTime().After(out.ModTime()) {
				return true
			}
		}
	}
	return false
}

// readMask reads a mask for an image of the header h, and describes its voxels.
func readMask(path string, h *nifti.Header) (mask []bool, text string, err error) {
	if path == "" {
		return nil, "", nil
	}
	values, err := readFirst(path, h)
	if err != nil {
		return nil, "", err
	}
	mask = make([]bool, len(values))
	bits := make([]byte, len(values))
	n := 0
	for i, v := range values {
		if v != 0 && v-v == 0 { // what is not finite counts as 0
			mask[i], bits[i] = true, 1
			n++
		}
	}
	if n == 0 {
		return nil, "", fmt.Errorf("%w: mask %s has no voxel that is not 0", smooth.ErrArgument, path)
	}
	sum := sha256.Sum256(bits)
	return mask, fmt.Sprintf("of %d voxels (%s)", n, hex.EncodeToString(sum[:6])), nil
}

// readFirst reads the first volume of an image that must be on the grid of h.
func readFirst(path string, h *nifti.Header) ([]float32, error) {
	r, err := nifti.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := onGrid(path, r.Header(), h); err != nil {
		return nil, err
	}
	values := make([]float32, h.VolumeLen())
	return values, r.ReadFloat32(values)
}

// onGrid refuses an image that is on another grid than that of h.
func onGrid(path string, other, h *nifti.Header) error {
	if other.Grid() != h.Grid() {
		return fmt.Errorf("%w: %s has %v voxels, and the image %v", smooth.ErrArgument, path, other.Grid(), h.Grid())
	}
	a, b := other.Affine(), h.Affine()
	for i := range 3 {
		for k := range 4 {
			// A thousandth of a voxel, or what float32 makes of a far origin.
			if math.Abs(a[i][k]-b[i][k]) > 1e-3*math.Max(1, math.Abs(b[i][k])) {
				return fmt.Errorf("%w: %s has voxels of other sizes or at another place than the image", smooth.ErrArgument, path)
			}
		}
	}
	return nil
}

// smoothJob smooths one image.
type smoothJob struct {
	recipe   smoothRecipe
	image    smoothImage
	grid     smooth.Grid
	in       *nifti.Reader
	mask     []bool
	result   *smoothed
	progress func(volume, volumes int)
	show     [2][]float32 // the volume of the picture, before and after
}

// write makes the output, unless it is there. mask is the mask in words.
func (j *smoothJob) write(ctx context.Context, ex parade.Executor, mask string) error {
	r, v := j.recipe, j.result
	of, err := fingerprint(j.image.Path)
	if err != nil {
		return err
	}
	method := r.text(mask)
	if j.image.Master != "" {
		master, err := fingerprint(j.image.Master)
		if err != nil {
			return err
		}
		method += ", master of " + master
	}
	method += ", of " + of
	there, replace, reached, err := r.there(j.image, method)
	if err != nil {
		return err
	}
	if there {
		v.Status, v.Zeroed = statusThere, math.NaN()
		if reached != "" {
			v.Status, v.Reason = statusNotReached, reached
		}
		return j.look(ctx, ex)
	}
	if r.Picture && !replace {
		if _, err := os.Lstat(pictureName(j.image.Out)); err == nil {
			return fmt.Errorf("%s is there already; remove it, choose another --out, or replace it with --force", pictureName(j.image.Out))
		}
	}
	v.Status = statusSmoothed
	create := func() (*nifti.Writer, error) {
		h := j.in.Header().Derived(fmt.Sprintf("%smm FWHM, parade smooth %s", strings.ReplaceAll(widthText(r.FWHM), " ", ""), r.Method))
		comment := commentStart + thisBuild().Version + "\n" + method
		if v.Status == statusNotReached {
			comment += "\n" + v.Reason
		}
		h.Extensions = append(h.Extensions, nifti.Extension{Code: nifti.CommentExtension, Data: []byte(comment)})
		return nifti.Create(j.image.Out, h, nifti.Options{Overwrite: replace, Level: r.Level, Workers: max(r.Threads, ex.Info().Workers)})
	}
	if r.byVolume() {
		err = j.writeVolumes(ctx, ex, create)
	} else {
		err = j.writeToFWHM(ctx, create)
	}
	if err != nil {
		return err
	}
	return j.look(ctx, ex)
}

func (j *smoothJob) writeVolumes(ctx context.Context, ex parade.Executor, create func() (*nifti.Writer, error)) error {
	out, err := create()
	if err != nil {
		return err
	}
	defer out.Close()
	if err := j.byVolume(ctx, ex, out.WriteFloat32); err != nil {
		return err
	}
	return out.Commit()
}

// look measures and draws, from the files, what is wanted and was not seen on the way.
func (j *smoothJob) look(ctx context.Context, ex parade.Executor) (err error) {
	r, v := j.recipe, j.result
	if r.Estimate && math.IsNaN(meanWidth(v.Before)) {
		for i, path := range []string{j.image.Path, j.image.Out} {
			w, err := r.measure(ctx, ex, path, j.image.Mask)
			if err != nil {
				return err
			}
			if i == 0 {
				v.Before, v.Zeroed = w.Before, w.Zeroed
			} else {
				v.After = w.Before
			}
		}
	}
	if !r.Picture {
		return nil
	}
	v.Picture = pictureName(j.image.Out)
	if _, err := os.Stat(v.Picture); err == nil && v.Status == statusThere {
		return nil
	}
	if j.show[1] == nil {
		return writePictureOf(v.Picture, j.image)
	}
	return writeSlices(v.Picture, j.grid, j.show)
}

// measure measures a file.
func (r smoothRecipe) measure(ctx context.Context, ex parade.Executor, path, mask string) (smoothed, error) {
	r.Method = ""
	return r.smooth(ctx, ex, smoothImage{Path: path, Mask: mask}, nil)
}

// pictureName is the name of the picture of an output.
func pictureName(out string) string { return out + ".png" }

// chunkBytes is about what a task has of an image that is split by volume: enough for
// what a filter needs to be made once for it.
const chunkBytes = 4 << 20

// smoothFilter smooths or measures volumes of a grid.
type smoothFilter struct {
	Grid     smooth.Grid
	Mask     []bool
	Method   string
	FWHM     [3]float64
	Estimate bool
}

// smoothChunk is some volumes, with the FWHM of each before and after.
type smoothChunk struct {
	Values        []float32
	Before, After [][3]float64
	Zeroed        int
}

var smoothVolumes = parade.Func2Context("smooth.volumes", func(ctx context.Context, f smoothFilter, values []float32) (c smoothChunk, err error) {
	if f.Estimate {
		if c.Before, c.Zeroed, err = f.estimate(ctx, values); err != nil {
			return c, err
		}
	}
	if f.Method == "" {
		return c, nil
	}
	c.Values = values
	if c.Zeroed, err = f.apply(ctx, values); err == nil && f.Estimate {
		c.After, _, err = f.estimate(ctx, values)
	}
	return c, err
})

// apply smooths volumes where they are.
func (f smoothFilter) apply(ctx context.Context, values []float32) (zeroed int, err error) {
	if f.Method == inMask {
		return smooth.InMask(ctx, f.Grid, values, smooth.InMaskConfig{FWHM: f.FWHM[0], Mask: f.Mask})
	}
	definition := smooth.Nilearn
	if f.Method == afni {
		definition = smooth.AFNI
	}
	filter, err := smooth.NewGaussian(f.Grid, smooth.GaussianConfig{FWHM: f.FWHM, Definition: definition, Mask: f.Mask})
	if err != nil {
		return 0, err
	}
	return filter.Apply(ctx, values, values)
}

func (f smoothFilter) estimate(ctx context.Context, values []float32) (widths [][3]float64, zeroed int, err error) {
	est, err := smooth.Estimate(ctx, f.Grid, values, smooth.EstimateConfig{Mask: f.Mask})
	if err != nil {
		return nil, 0, err
	}
	return est.Volumes, est.Zeroed, nil
}

// byVolume smooths the volumes one by one, as many at the same time as ex does. With
// nil for write it measures them.
func (j *smoothJob) byVolume(ctx context.Context, ex parade.Executor, write func([]float32) error) error {
	n := j.grid.Voxels()
	chunk := max(1, chunkBytes/4/n)
	var failed error // to read
	f := smoothFilter{j.grid, j.mask, j.recipe.Method, j.recipe.FWHM, j.recipe.Estimate && !j.recipe.Demedian}
	var before, after [][3]float64
	volumes := 0
	for r := range parade.Stream(ctx, ex, parade.Bind(smoothVolumes, f), j.chunks(chunk, &failed),
		parade.BatchSize(1), parade.InFlight(2*ex.Info().Workers, math.MaxInt64)) {
		if r.Err != nil {
			return r.Err
		}
		c := r.Value
		before, after = append(before, c.Before...), append(after, c.After...)
		j.result.Zeroed += float64(c.Zeroed)
		if at := j.result.Volumes/2 - volumes; j.recipe.Picture && at >= 0 && at < len(c.Values)/n {
			j.show[1] = append([]float32(nil), c.Values[at*n:][:n]...)
		}
		if write != nil {
			if err := write(c.Values); err != nil {
				return err
			}
		}
		if volumes = min(j.result.Volumes, volumes+chunk); j.progress != nil {
			j.progress(volumes, j.result.Volumes)
		}
	}
	if failed != nil {
		return failed
	}
	if f.Estimate {
		j.result.Before, j.result.After = meanWidths(before), meanWidths(after)
	}
	return nil
}

// demedianWidths measures a whole file without each voxel's median over time.
func (j *smoothJob) demedianWidths(ctx context.Context, path string) (widths [3]float64, zeroed float64, err error) {
	_, values, err := nifti.ReadFile[float32](path)
	if err != nil {
		return unknown, 0, err
	}
	est, err := smooth.Estimate(ctx, j.grid, values, smooth.EstimateConfig{Mask: j.mask, Demedian: true, Workers: j.recipe.Threads})
	if err != nil {
		return unknown, 0, err
	}
	return meanWidths(est.Volumes), float64(est.Zeroed), nil
}

// chunks reads the image, so many volumes at a time.
func (j *smoothJob) chunks(chunk int, failed *error) iter.Seq[[]float32] {
	n := j.grid.Voxels()
	return func(yield func([]float32) bool) {
		for volume := 0; volume < j.result.Volumes; volume += chunk {
			values := make([]float32, n*min(chunk, j.result.Volumes-volume))
			if err := j.in.ReadFloat32(values); err != nil {
				*failed = err
				return
			}
			if at := j.result.Volumes/2 - volume; j.recipe.Picture && at >= 0 && at < len(values)/n {
				j.show[0] = append([]float32(nil), values[at*n:][:n]...)
			}
			if !yield(values) {
				return
			}
		}
	}
}

// meanWidths is the mean over the volumes that have a width, along each axis.
func meanWidths(volumes [][3]float64) [3]float64 {
	widths := unknown
	for axis := range 3 {
		sum, n := 0.0, 0
		for _, w := range volumes {
			if w[axis] > 0 {
				sum += w[axis]
				n++
			}
		}
		if n > 0 {
			widths[axis] = sum / float64(n)
		}
	}
	return widths
}

// writeToFWHM smooths the image as a whole.
func (j *smoothJob) writeToFWHM(ctx context.Context, create func() (*nifti.Writer, error)) error {
	r, v := j.recipe, j.result
	_, values, err := nifti.ReadFile[float32](j.image.Path)
	if err != nil {
		return err
	}
	cfg := smooth.ToFWHMConfig{
		Goal: r.FWHM[0], InPlane: r.InPlane, Mask: j.mask, NoDetrend: r.NoDetrend, AllVolumes: r.AllVolumes, Uniform: r.Uniform,
		Rate: r.Rate, MaxIterations: r.MaxIterations, Workers: r.Threads,
	}
	if j.image.Master != "" {
		var h *nifti.Header
		if h, cfg.Master, err = nifti.ReadFile[float32](j.image.Master); err != nil {
			return err
		}
		if err := onGrid(j.image.Master, h, j.in.Header()); err != nil {
			return err
		}
	}
	n := j.grid.Voxels()
	shown := values[v.Volumes/2*n:][:n]
	if r.Picture {
		j.show[0] = append([]float32(nil), shown...)
	}
	res, err := smooth.ToFWHM(ctx, j.grid, values, cfg)
	if err != nil {
		return err
	}
	if r.Picture {
		j.show[1] = shown
	}
	v.Before, v.After, v.Iterations = res.Before().XYZ, res.After().XYZ, len(res.Rounds)
	v.Reason, v.Zeroed = res.Reason.String(), float64(res.Zeroed)
	switch {
	case res.Reason == smooth.AlreadySmoother:
		v.Status = statusSmoother
	case !res.Reached() && r.Strict:
		return res.Err()
	case !res.Reached():
		v.Status = statusNotReached
	}
	out, err := create()
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.WriteFloat32(values); err != nil {
		return err
	}
	return out.Commit()
}
