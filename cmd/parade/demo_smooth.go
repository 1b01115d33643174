package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/nifti"
)

const smoothGoal = 6.0 // mm

// smoothSubjects is how many synthetic recordings there are, and of which shape.
func smoothSubjects(quick bool) (n int, shape []int) {
	if quick {
		return 2, []int{14, 14, 8, 6}
	}
	return 6, []int{36, 36, 20, 40}
}

// drawSubject writes a synthetic recording: a head of steady brightness, and noise.
var drawSubject = parade.Func2Context("demo.draw-subject", func(ctx context.Context, shape []int, path string) (struct{}, error) {
	rng := parade.Rand(ctx)
	h := nifti.New(shape, [3]float64{3, 3, 3.5})
	h.PixDim[4] = 2 // seconds
	head := make([]float32, 0, h.VolumeLen())
	at := func(i, n int) float64 { return (2*float64(i)+1)/float64(n) - 1 }
	for z := range shape[2] {
		for y := range shape[1] {
			for x := range shape[0] {
				u, v, w := at(x, shape[0])/0.8, at(y, shape[1])/0.9, at(z, shape[2])/0.85
				r := math.Sqrt(float64(u*u) + float64(v*v) + float64(w*w))
				bright := 0.0
				if r < 1 {
					bright = 800 + float64(200*math.Sin(6*u))
				}
				head = append(head, float32(bright))
			}
		}
	}
	out, err := nifti.Create(path, h, nifti.Options{})
	if err != nil {
		return struct{}{}, err
	}
	defer out.Close()
	volume := make([]float32, len(head))
	for range h.Volumes() {
		for i, v := range head {
			volume[i] = v + float32(20*rng.NormFloat64())
		}
		if err := out.WriteFloat32(volume); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, out.Commit()
})

// smoothing is the second tutorial's example: recordings of several subjects are
// smoothed, each by one call, here without AFNI.
func (d *demo) smoothing() error {
	dir, err := os.MkdirTemp("", "parade-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, shape := smoothSubjects(d.opts.quick)
	paths := make([]string, n)
	for i := range paths {
		paths[i] = filepath.Join(dir, fmt.Sprintf("sub-%02d.nii.gz", i+1))
	}
	d.out.heading("Example 4: smoothing", fmt.Sprintf("%d synthetic subjects of %d×%d×%d voxels and %d volumes, each to an FWHM of %g mm",
		n, shape[0], shape[1], shape[2], shape[3], smoothGoal))
	d.code("parade smooth --fwhm 6 --method to-fwhm -o smoothed sub-*.nii.gz")
	ex := parade.Threads(0)
	_, err = parade.Map(d.ctx, ex, parade.Bind(drawSubject, shape), paths, parade.Seed(d.opts.seed))
	if err := closing(ex, err); err != nil {
		return err
	}

	recipe := smoothRecipe{Method: toFWHM, FWHM: [3]float64{smoothGoal, smoothGoal, smoothGoal}, Rate: 1, Level: 1, Force: true, Threads: 1}
	images := func(folder string) ([]smoothImage, error) {
		folder = filepath.Join(dir, folder)
		all := make([]smoothImage, len(paths))
		for i, path := range paths {
			all[i] = smoothImage{Path: path, Out: filepath.Join(folder, filepath.Base(path))}
		}
		return all, os.MkdirAll(folder, 0o777)
	}
	loop, err := images("loop")
	if err != nil {
		return err
	}
	var subjects []smoothed
	want, same := "", make([]bool, len(d.on))
	runs := []contender{{
		name: "plain loop",
		call: func(bool) error {
			subjects = subjects[:0]
			for i, image := range loop {
				v, err := recipe.smooth(d.ctx, parade.Serial(), image, nil)
				if err != nil {
					return err
				}
				subjects = append(subjects, v)
				d.bar.show("plain loop", i+1, len(loop))
			}
			return nil
		},
		check: func() { want = digestFiles(loop) },
	}}
	for i, ex := range d.on {
		mine, err := images(fmt.Sprint(i))
		if err != nil {
			return err
		}
		report := new(parade.Report)
		runs = append(runs, contender{
			name: ex.spec, report: report,
			call: func(watch bool) error {
				opts := []parade.Option{parade.WithReport(report), parade.BatchSize(1)}
				if watch {
					opts = append(opts, parade.OnProgress(d.bar.job(ex.spec)))
				}
				if _, err := parade.Map(d.ctx, ex, parade.Bind(smoothOne, recipe), mine, opts...); err != nil {
					return onExecutor(ex, err)
				}
				return nil
			},
			check: func() { same[i] = digestFiles(mine) == want },
		})
	}
	if err := race(runs, d.opts.quick); err != nil {
		return err
	}
	d.bar.clear()
	rows := [][]string{{d.out.dim("subject"), d.out.dim("before"), d.out.dim("after"), d.out.dim("rounds")}}
	for _, v := range subjects {
		rows = append(rows, []string{filepath.Base(v.Path), fmt.Sprintf("%.2f mm", meanWidth(v.Before)), fmt.Sprintf("%.2f mm", meanWidth(v.After)), fmt.Sprint(v.Iterations)})
	}
	d.out.table("lrrr", rows)
	d.printRuns(runs, "a subject", n)
	if err := d.verdict(d.on, func(i int) bool { return same[i] }); err != nil {
		return err
	}
	picture := filepath.Join(d.opts.out, "smoothing.png")
	if err := writePictureOf(picture, loop[0]); err != nil {
		return figureError(d.opts.out, err)
	}
	d.files = append(d.files, picture)
	return nil
}

// digestFiles is one for equal outputs, and "" where one cannot be read.
func digestFiles(images []smoothImage) string {
	h := sha256.New()
	for _, image := range images {
		f, err := os.Open(image.Out)
		if err != nil {
			return ""
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return ""
		}
	}
	return string(h.Sum(nil))
}
