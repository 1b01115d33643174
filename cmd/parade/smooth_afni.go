package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
	"github.com/parade-go/parade/nifti"
	"github.com/spf13/cobra"
)

// afniProgram ends with 0 whatever happens: its output is checked.
const afniProgram = "3dBlurToFWHM"

// runAFNI has 3dBlurToFWHM smooth the images.
func (o *smoothOptions) runAFNI(ctx context.Context, ex parade.Executor, images []smoothImage, bar *progress) (done []smoothed, err error) {
	if _, err := exec.LookPath(afniProgram); err != nil {
		return nil, usagef("--with-afni: there is no %s in PATH: install AFNI, or leave out --with-afni for the same method", afniProgram)
	}
	spec, err := o.afniSpec()
	if err != nil {
		return nil, err
	}
	defer command.Wait() // after Ctrl-C, for the commands to be gone
	failed := &filesError{files: len(images)}
	var inputs []command.Input
	for i, image := range images {
		in := command.Input{Seq: i + 1, Args: []string{image.Path, image.Out, image.Mask, image.Master}}
		if err := o.afniThere(spec, in, image.Out); err != nil {
			failed.errs = append(failed.errs, o.failure(i, image, err))
			continue
		}
		inputs = append(inputs, in)
	}
	for r := range parade.Stream(ctx, ex, parade.Bind(command.Run, spec), slices.Values(inputs), parade.CollectErrors(), parade.BatchSize(1)) {
		if r.Index < 0 {
			return done, r.Err
		}
		i := inputs[r.Index].Seq - 1
		image := images[i]
		res, err := command.ResultOf(r)
		if err == nil && res.Exit != 0 {
			err = &parade.TaskError{Func: afniProgram, Index: i, Attempt: res.Attempts, Kind: parade.Failed, Err: errors.New(afniFault(res))}
		}
		var v smoothed
		if err == nil {
			v, err = o.afniResult(ctx, ex, image, res)
		}
		if err != nil {
			failed.errs = append(failed.errs, o.failure(i, image, err))
		} else {
			done = append(done, v)
		}
		bar.show(plural(len(images), "image"), r.Index+1, len(images))
	}
	return done, failed.orNil()
}

func (o *smoothOptions) afniSpec() (spec command.Spec, err error) {
	self, err := os.Executable()
	if err != nil {
		return spec, err
	}
	r := o.recipe
	goal := "-FWHM"
	if r.InPlane {
		goal = "-FWHMxy"
	}
	// -quiet, or it would leave files of its own in the working directory.
	words := []string{afniProgram, "-quiet", "-input", "{1}", goal, strconv.FormatFloat(r.FWHM[0], 'g', -1, 64)}
	for _, option := range []struct {
		set   bool
		words []string
	}{
		{o.mask != "", []string{"-mask", "{3}"}}, {o.master != "", []string{"-blurmaster", "{4}"}},
		{r.Uniform, []string{"-nbhd", "NULL"}}, {r.NoDetrend, []string{"-nodetrend"}}, {r.AllVolumes, []string{"-bmall"}},
		{r.Rate != 1, []string{"-rate", fmt.Sprint(r.Rate)}}, {r.MaxIterations > 0, []string{"-maxite", fmt.Sprint(r.MaxIterations)}},
	} {
		if option.set {
			words = append(words, option.words...)
		}
	}
	words = append(words, "-prefix", "{out}")
	if spec.Template, err = command.ParseTemplate(words, false, nil); err != nil {
		return spec, err
	}
	file := func(argument string) command.Template { return command.Template{Words: []string{argument}} }
	spec.Outputs, spec.Force = []command.Template{file("{2}")}, r.Force
	spec.Inputs = []command.Template{file("{1}")}
	if o.mask != "" {
		spec.Inputs = append(spec.Inputs, file("{3}"))
	}
	if o.master != "" {
		spec.Inputs = append(spec.Inputs, file("{4}"))
	}
	spec.Env = []string{"AFNI_LOGFILE=NO"}
	spec.Check, err = command.ParseCheck([]string{self, "whole-image", "{out}", "{1}"}, false, nil)
	return spec, err
}

// afniThere refuses an output that is there unless AFNI's history in it says that it was
// made by the same command of the same image: then it is not made again while it is newer.
func (o *smoothOptions) afniThere(spec command.Spec, in command.Input, out string) error {
	if _, err := os.Stat(out); o.recipe.Force || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	argv, err := spec.Template.Expand(in, command.Values{Outputs: []string{out}})
	if err != nil {
		return err
	}
	command := strings.Join(argv[:len(argv)-1], " ") // without the name of the output, which was a temporary one
	if made, err := nifti.Open(out); err == nil {
		defer made.Close()
		for _, e := range made.Header().Extensions {
			if e.Code == nifti.AFNIExtension && strings.Contains(string(e.Data), command) {
				return nil
			}
		}
	}
	return fmt.Errorf("%s is there already, and its history does not say %q; remove it, choose another --out, or replace it with --force", out, command)
}

// afniFault says what went wrong, with what the program said of it: the last line that
// has the word ERROR, as the very last one is a date.
func afniFault(res command.Result) string {
	text := res.Outcome()
	lines, err := res.Stderr.Tail(20)
	if err != nil {
		return text
	}
	if strings.HasPrefix(res.Fault, "the check ") && len(lines) > 0 { // by newWholeImageCommand
		return "its output is not whole: " + strings.TrimPrefix(lines[len(lines)-1], "parade: ")
	}
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, "ERROR") || len(lines) == 1 {
			return text + ": " + strings.TrimSpace(line)
		}
	}
	return text
}

// afniResult describes an output of 3dBlurToFWHM, which was checked.
func (o *smoothOptions) afniResult(ctx context.Context, ex parade.Executor, image smoothImage, res command.Result) (smoothed, error) {
	v, err := o.recipe.measure(ctx, ex, image.Path, image.Mask)
	if err == nil && o.recipe.Estimate {
		var after smoothed
		after, err = o.recipe.measure(ctx, ex, image.Out, image.Mask)
		v.After = after.Before
	}
	if err != nil {
		return v, err
	}
	v.Out, v.Status, v.Seconds = image.Out, statusSmoothed, res.Duration.Seconds()
	if res.Skipped {
		v.Status = statusThere
	}
	if o.recipe.Picture {
		v.Picture = pictureName(image.Out)
		err = writePictureOf(v.Picture, image)
	}
	return v, err
}

// writePictureOf draws an image and its output from their files.
func writePictureOf(path string, image smoothImage) error {
	var volumes [2][]float32
	for i, file := range []string{image.Path, image.Out} {
		r, err := nifti.Open(file)
		if err != nil {
			return err
		}
		h := r.Header()
		volumes[i] = make([]float32, h.VolumeLen())
		err = r.SeekVolume(h.Volumes() / 2)
		if err == nil {
			err = r.ReadFloat32(volumes[i])
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		if i == 1 {
			return writeSlices(path, gridOf(h), volumes)
		}
	}
	return nil
}

// newWholeImageCommand checks an output of another program. It is for --with-afni, so
// the help does not list it.
func newWholeImageCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "whole-image IMAGE LIKE",
		Short:  "Check that an image is whole, and has the grid and the volumes of another",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			like, err := nifti.Open(args[1])
			if err != nil {
				return &inputError{err}
			}
			defer like.Close()
			if err := checkWhole(args[0], like.Header()); err != nil {
				return &inputError{errors.New(strings.ReplaceAll(withoutPackage(err.Error()), args[0], "the output"))}
			}
			return nil
		},
	}
}

// checkWhole reads an image to its end.
func checkWhole(path string, like *nifti.Header) error {
	r, err := nifti.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	h := r.Header()
	if err := onGrid(path, h, like); err != nil {
		return err
	}
	if h.Volumes() != like.Volumes() {
		return fmt.Errorf("%s has %s, and the image %d", path, plural(h.Volumes(), "volume"), like.Volumes())
	}
	values := make([]float32, h.VolumeLen())
	for {
		if err := r.ReadFloat32(values); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
