package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/wholefile"
	"github.com/parade-go/parade/nifti"
	"github.com/parade-go/parade/smooth"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// smoothOptions are the flags of "parade smooth".
type smoothOptions struct {
	files  []string
	recipe smoothRecipe
	fwhm   widthsValue
	mask   string // templates of command.ParseText
	master string
	out    string
	worker workers
	afni   bool
	json   bool

	stdout, stderr io.Writer
}

func newSmoothCommand() *cobra.Command {
	o := &smoothOptions{recipe: smoothRecipe{Method: "gaussian", Rate: 1, Level: 1}}
	cmd := &cobra.Command{
		Use:   "smooth --fwhm MM -o FOLDER IMAGE...",
		Short: "Smooth NIfTI images, such as those of fMRI",
		Long: `Smooth smooths images, each to a file of the same name in the folder of --out; a pair
of .hdr and .img becomes a .nii.gz.

  gaussian   adds a Gaussian kernel, as nilearn.image.smooth_img does (the default)
  afni       adds the kernel of AFNI's 3dmerge -1blur_fwhm
  in-mask    adds by diffusion within the mask, the method of AFNI's 3dBlurInMask
  to-fwhm    smooths until the image has the FWHM, the method of AFNI's 3dBlurToFWHM

Images are NIfTI-1 or 2, .nii, .nii.gz or .hdr and .img, of any real type; what is
written is float32. Values that are not finite count as 0. Several images are tasks
of an executor; a few large ones are split by volume where the method allows it, with
the same result, bit by bit.

An output is there whole or not at all. One that the same command has made before of
the same image is not made again unless the image is newer, so a run that was ended
goes on where it was. Any other file of that name is refused without --force.

With --estimate and without --fwhm images are measured and nothing is written.`,
		Example: `  parade smooth --fwhm 6 -o smoothed sub-*_bold.nii.gz
  parade smooth --fwhm 6 --method to-fwhm --mask '{//}/mask.nii.gz' -o smoothed sub-*/func/*_bold.nii.gz
  parade smooth --fwhm 8,8,4 --estimate --json -o smoothed bold.nii.gz
  parade smooth --estimate --on processes *.nii.gz
  parade smooth --fwhm 6 --with-afni -o afni sub-*_bold.nii.gz`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s needs an image, or several", cmd.CommandPath())
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	r := &o.recipe
	f.Var(&o.fwhm, "fwhm", "`width` in mm, of the kernel or, for to-fwhm, that the result is to have; 8,8,4 for x,y,z")
	f.StringVarP(&o.out, "out", "o", "", "`folder` for the outputs; it is made where it is missing")
	f.StringVar(&r.Method, "method", r.Method, "`method`: "+strings.Join(smoothMethods, ", "))
	f.StringVar(&o.mask, "mask", "", "`image` that is not 0 where to smooth; {//} {/} {..} are of the path of the image")
	f.BoolVar(&r.Estimate, "estimate", false, "measure the smoothness of each image, before and after")
	f.BoolVar(&r.Demedian, "demed", false, "with --estimate: take each voxel's median over time off first, as 3dFWHMx -demed")
	f.BoolVar(&r.Picture, "picture", false, "make a .png beside each output: slices before, above those after")
	f.BoolVar(&r.Force, "force", false, "make again, and replace, what is there")
	f.BoolVar(&o.afni, "with-afni", false, "run AFNI's 3dBlurToFWHM itself, and check that its output is whole")
	o.worker.flags(f)
	f.BoolVar(&o.json, "json", false, "print one JSON object per image")
	f.IntVar(&r.Level, "level", r.Level, "`level` of gzip, 1 to 9")
	groupFlags(f, "Options")

	f.BoolVar(&r.InPlane, "in-plane", false, "smooth along x and y only (-FWHMxy)")
	f.BoolVar(&r.Strict, "strict", false, "an image that does not reach the width fails, and is not written")
	f.StringVar(&o.master, "master", "", "`image` whose smoothness is steered in place of the image's (-blurmaster); may have placeholders")
	f.BoolVar(&r.Uniform, "uniform", false, "smooth alike everywhere, much faster (-nbhd NULL)")
	f.BoolVar(&r.NoDetrend, "no-detrend", false, "take the median over time off, not the trends (-nodetrend)")
	f.BoolVar(&r.AllVolumes, "all-volumes", false, "measure all volumes (-bmall)")
	f.Float64Var(&r.Rate, "rate", r.Rate, "`rate` of smoothing, 0.05 to 3.555 (-rate)")
	f.IntVar(&r.MaxIterations, "max-iterations", 0, "`limit` of rounds (-maxite; default 66 or more)")
	groupFlags(f, "For --method to-fwhm, with the names that 3dBlurToFWHM has for them")
	cmd.InitDefaultHelpFlag()
	f.Lookup("help").Annotations = map[string][]string{groupKey: {"Options"}}
	setGroupedUsage(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		o.files, o.stdout, o.stderr = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
		if o.worker.on, err = o.worker.spec(f); err != nil {
			return err
		}
		if err := o.settle(f); err != nil {
			return err
		}
		return o.run(cmd.Context())
	}
	return cmd
}

var smoothMethods = []string{gaussian, afni, inMask, toFWHM}

// settle refuses flags that contradict each other, and fills in the recipe.
func (o *smoothOptions) settle(f *pflag.FlagSet) error {
	r := &o.recipe
	for _, name := range []string{"out", "mask", "master"} {
		if f.Changed(name) && f.Lookup(name).Value.String() == "" {
			return usagef("--%s is empty; give it a value, or leave it out", name)
		}
	}
	if !slices.Contains(smoothMethods, r.Method) {
		return usagef("--method %s: there are %s", r.Method, strings.Join(smoothMethods, ", "))
	}
	if o.afni {
		if f.Changed("method") && r.Method != toFWHM {
			return usagef("--with-afni is 3dBlurToFWHM, so its method is to-fwhm; leave out --method %s", r.Method)
		}
		r.Method = toFWHM
	}
	if r.Method != toFWHM {
		for _, name := range []string{"in-plane", "strict", "master", "uniform", "no-detrend", "all-volumes", "rate", "max-iterations"} {
			if f.Changed(name) {
				return usagef("--%s is for --method to-fwhm", name)
			}
		}
	}
	switch {
	case !f.Changed("fwhm") && !r.Estimate:
		return usagef("--fwhm is missing: the width in mm, such as --fwhm 6; or --estimate to measure only")
	case !f.Changed("fwhm"):
		r.Method = "" // measures only
		for _, name := range []string{"out", "method", "picture", "force", "with-afni", "level"} {
			if f.Changed(name) {
				return usagef("--%s is for images that are smoothed: give --fwhm, too", name)
			}
		}
	case o.out == "":
		return usagef("--out is missing: the folder for the smoothed images")
	case o.afni && r.Strict:
		return usagef("--strict does not go with --with-afni: 3dBlurToFWHM does not say in its result whether the width was reached; see --estimate")
	}
	if r.Demedian && !r.Estimate {
		return usagef("--demed is for --estimate")
	}
	r.FWHM = o.fwhm.mm
	if (r.Method == toFWHM || r.Method == inMask) && (r.FWHM[0] != r.FWHM[1] || r.FWHM[0] != r.FWHM[2]) {
		return usagef("--fwhm %s: the method %s takes one width", o.fwhm.text, r.Method)
	}
	if r.Level < 1 || r.Level > 9 {
		return usagef("--level %d: give 1 to 9", r.Level)
	}
	if !(r.Rate >= 0.05 && r.Rate <= 3.555) {
		return usagef("--rate %v: give 0.05 to 3.555", r.Rate)
	}
	if r.MaxIterations < 0 {
		return usagef("--max-iterations %d: give 1 or more", r.MaxIterations)
	}
	return nil
}

// images pairs the images with their outputs and so on, and refuses what would
// overwrite one with another.
func (o *smoothOptions) images() ([]smoothImage, error) {
	mask, err := command.ParseText(o.mask, nil)
	if err != nil {
		return nil, &usageError{err}
	}
	master, err := command.ParseText(o.master, nil)
	if err != nil {
		return nil, &usageError{err}
	}
	images := make([]smoothImage, len(o.files))
	outputs := map[string]string{}
	for i, file := range o.files {
		in := command.Input{Seq: i + 1, Args: []string{file}}
		of := &images[i]
		for _, p := range []struct {
			to       *string
			template command.Template
		}{{&of.Path, command.Template{Words: []string{"{}"}}}, {&of.Mask, mask}, {&of.Master, master}} {
			text, err := p.template.Text(in, command.Values{})
			if err == nil && text != "" {
				*p.to, err = filepath.Abs(text) // a worker may be elsewhere
			}
			if err != nil {
				return nil, err
			}
		}
		if o.recipe.Method == "" {
			continue
		}
		name := filepath.Base(file)
		// A pair becomes one file.
		if ending := strings.ToLower(filepath.Ext(strings.TrimSuffix(name, ".gz"))); ending == ".hdr" || ending == ".img" {
			name = name[:len(strings.TrimSuffix(name, ".gz"))-len(ending)] + ".nii.gz"
		}
		if of.Out, err = filepath.Abs(filepath.Join(o.out, name)); err != nil {
			return nil, err
		}
		if other, taken := outputs[of.Out]; taken {
			if sameFile(other, file) {
				return nil, usagef("%s is given twice", file)
			}
			return nil, usagef("%s and %s would both be written to %s; smooth them into two folders", other, file, filepath.Join(o.out, name))
		}
		outputs[of.Out] = file
		for _, input := range []struct{ what, path string }{{"image", of.Path}, {"mask", of.Mask}, {"master", of.Master}} {
			if input.path != "" && sameFile(of.Out, input.path) {
				return nil, usagef("--out %s: the %s of %s would be overwritten by its result; choose another folder", o.out, input.what, file)
			}
		}
	}
	return images, nil
}

func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func (o *smoothOptions) run(ctx context.Context) (err error) {
	images, err := o.images()
	if err != nil {
		return err
	}
	if o.recipe.Method != "" {
		if err := os.MkdirAll(o.out, 0o777); err != nil {
			return outError(o.out, err)
		}
		if err := tryFolder(o.out); err != nil {
			return outError(o.out, err)
		}
	}
	on := o.worker.on
	if o.recipe.Method == toFWHM && !o.afni {
		on = fewer(on, len(images))
	}
	ex, err := openExecutor(ctx, on)
	if err != nil {
		return err
	}
	defer func() {
		err = closing(ex, err)
		wholefile.Sweep(o.out) // what workers that were ended have left
	}()
	info := ex.Info()
	o.recipe.Threads = max(1, info.Threads)

	bar := newProgress(newTerminal(o.stderr))
	var done []smoothed
	switch byVolume := len(images) < info.Workers && o.recipe.byVolume(); {
	case o.afni:
		done, err = o.runAFNI(ctx, ex, images, bar)
	case byVolume:
		done, err = o.eachByVolume(ctx, ex, images, bar)
	default:
		done, err = o.each(ctx, ex, images, bar)
	}
	bar.clear()
	if cause := context.Cause(ctx); cause != nil && o.recipe.Method != "" && !o.afni {
		newTerminal(o.stderr).note("What is whole is kept: the same command goes on where this one was ended.")
	}
	return errors.Join(o.report(done), err)
}

// fewer gives an executor of no more workers than there are images, so that each
// worker has more of the cores for itself.
func fewer(on string, images int) string {
	kind, arg, _ := strings.Cut(on, ":")
	if kind != "threads" && kind != "processes" {
		return on
	}
	all := cores.Granted()
	if n, err := strconv.Atoi(arg); err == nil {
		all = n
	}
	return fmt.Sprintf("%s:%d", kind, min(all, images))
}

// each smooths the images, each as a task.
func (o *smoothOptions) each(ctx context.Context, ex parade.Executor, images []smoothImage, bar *progress) ([]smoothed, error) {
	failed := &filesError{files: len(images)}
	var done []smoothed
	for r := range parade.Stream(ctx, ex, parade.Bind(smoothOne, o.recipe), slices.Values(images),
		parade.CollectErrors(), parade.BatchSize(1), parade.OnProgress(bar.job(plural(len(images), "image")))) {
		switch {
		case r.Index < 0:
			return done, r.Err
		case r.Err != nil:
			failed.errs = append(failed.errs, o.failure(r.Index, images[r.Index], r.Err))
		default:
			done = append(done, r.Value)
		}
	}
	return done, failed.orNil()
}

// eachByVolume smooths one image after another, each by all workers.
func (o *smoothOptions) eachByVolume(ctx context.Context, ex parade.Executor, images []smoothImage, bar *progress) ([]smoothed, error) {
	failed := &filesError{files: len(images)}
	var done []smoothed
	for i, image := range images {
		label := o.files[i]
		v, err := o.recipe.smooth(ctx, ex, image, func(volume, volumes int) { bar.show(label, volume, volumes) })
		switch {
		case ctx.Err() != nil:
			return done, context.Cause(ctx)
		case err != nil:
			failed.errs = append(failed.errs, o.failure(i, image, err))
		default:
			done = append(done, v)
		}
	}
	return done, failed.orNil()
}

// failure says why an image failed, under the names that the user gave. An image or
// mask that is not what it should be is the input's fault, all else the task's.
func (o *smoothOptions) failure(i int, image smoothImage, err error) error {
	var task *parade.TaskError
	text := err.Error()
	if errors.As(err, &task) && task.Kind == parade.Failed && task.Err != nil {
		text = task.Err.Error()
	}
	text = withoutPackage(text)
	names := []string{image.Path, o.files[i]}
	if image.Out != "" {
		names = append(names, image.Out, filepath.Join(o.out, filepath.Base(image.Out)))
	}
	if text = strings.NewReplacer(names...).Replace(text); !strings.HasPrefix(text, o.files[i]+":") {
		text = o.files[i] + ": " + text
	}
	for _, fault := range []error{nifti.ErrFormat, nifti.ErrType, smooth.ErrArgument, fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, fault) {
			return &inputError{errors.New(text)}
		}
	}
	if task == nil {
		task = &parade.TaskError{Func: "smooth", Index: i, Attempt: 1, Kind: parade.Failed, Err: err}
	}
	return &taskFailure{text, task}
}

// withoutPackage takes away what a user need not know of an error.
func withoutPackage(text string) string {
	for _, prefix := range []string{"nifti: ", "smooth: ", "open ", "stat ", smooth.ErrArgument.Error() + ": "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// report prints what became of the images.
func (o *smoothOptions) report(done []smoothed) error {
	s := &sheet{columns: []column{
		{name: "file", head: "image"}, {name: "out"}, {name: "status", head: "status"},
		{name: "method"}, {name: "fwhm_mm"}, {name: "shape"}, {name: "voxel_mm"}, {name: "volumes", head: "volumes"},
		{name: "before_mm"}, {name: "before_mean_mm", head: "before (mm)"},
		{name: "after_mm"}, {name: "after_mean_mm", head: "after (mm)"},
		{name: "iterations", head: "rounds"}, {name: "reason"}, {name: "not_finite", head: "not finite"},
		{name: "picture"}, {name: "seconds", head: "time (s)"},
	}}
	measured, iterated := o.recipe.Estimate || o.recipe.Method == toFWHM, o.recipe.Method == toFWHM && !o.afni
	for i := range s.columns {
		c := &s.columns[i]
		hidden := !measured && strings.HasSuffix(c.name, "_mean_mm") || !iterated && c.name == "iterations"
		if hidden || o.recipe.Method == "" && c.name == "after_mean_mm" {
			c.head = ""
		}
	}
	names := map[string]string{}
	for _, file := range o.files {
		if path, err := filepath.Abs(file); err == nil {
			names[path] = file
		}
	}
	stderr := newTerminal(o.stderr)
	for _, v := range done {
		for _, warning := range v.Warnings {
			stderr.printf("parade: %s: %s\n", names[v.Path], warning)
		}
		out, picture := "", ""
		if v.Out != "" {
			out = filepath.Join(o.out, filepath.Base(v.Out))
		}
		if v.Picture != "" {
			picture = filepath.Join(o.out, filepath.Base(v.Picture))
		}
		s.add(names[v.Path], out, v.Status, o.recipe.Method, o.recipe.FWHM[:], v.Shape, v.Voxel, v.Volumes,
			v.Before[:], meanWidth(v.Before), v.After[:], meanWidth(v.After), v.Iterations, v.Reason, v.Zeroed, picture, v.Seconds)
	}
	return s.print(newTerminal(o.stdout), o.json)
}

// meanWidth is the geometric mean of the widths that are known.
func meanWidth(widths [3]float64) float64 {
	product, n := 1.0, 0
	for _, w := range widths {
		if !math.IsNaN(w) {
			product, n = product*w, n+1
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return math.Pow(product, 1/float64(n))
}

// widthsValue is one width in mm, or three for x, y and z.
type widthsValue struct {
	text string
	mm   [3]float64
}

func (v *widthsValue) Type() string   { return "mm" }
func (v *widthsValue) String() string { return v.text }

func (v *widthsValue) Set(text string) error {
	parts := strings.Split(text, ",")
	if len(parts) == 1 {
		parts = []string{text, text, text}
	}
	bad := len(parts) != 3
	some := false
	for i := range min(3, len(parts)) {
		w, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(parts[i]), "mm"), 64)
		bad = bad || err != nil || !(w >= 0) || math.IsInf(w, 0)
		v.mm[i] = w
		some = some || w > 0
	}
	if bad || !some {
		return usagef("give a width in mm above 0, such as 6, or three, such as 8,8,4, of which 0 leaves an axis alone")
	}
	v.text = text
	return nil
}
