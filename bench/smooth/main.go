//go:build ignore

// Times smooth.Gaussian and smooth.ToFWHM: go run main.go write RUN.npy, which also
// writes RUN.nii and RUN.nii.gz, or
// go run main.go CASE RUN.npy WORKERS [RESULT.npy]. It is run as a file, since nothing
// under bench is a part of the module.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parade-go/parade/nifti"
	"github.com/parade-go/parade/npy"
	"github.com/parade-go/parade/smooth"
)

var grid = smooth.Grid{Shape: [3]int{64, 64, 36}, Voxel: [3]float64{3, 3, 3.5}}

const volumes = 200

type result struct {
	Case     string  `json:"case"`
	Executor string  `json:"executor"`
	Workers  int     `json:"workers"`
	CPU      float64 `json:"cpu"`  // seconds, user and system
	Wall     float64 `json:"wall"` // seconds
	Peak     int64   `json:"peak"` // bytes of the process, of which the volumes are 118 MB
	Rounds   int     `json:"rounds,omitempty"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "write" {
		data := recording()
		h := nifti.New([]int{grid.Shape[0], grid.Shape[1], grid.Shape[2], volumes}, grid.Voxel)
		for _, ending := range []string{".nii", ".nii.gz"} {
			if err := nifti.WriteFile(strings.TrimSuffix(args[1], ".npy")+ending, h, data, nifti.Options{}); err != nil {
				return err
			}
		}
		return save(args[1], data)
	}
	if len(args) < 3 {
		return fmt.Errorf("usage: main.go write RUN.npy, or main.go CASE RUN.npy WORKERS [RESULT.npy]")
	}
	workers, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	data, err := load(args[1])
	if err != nil {
		return err
	}
	r := result{Case: args[0], Executor: "parade", Workers: workers}
	cfg := smooth.ToFWHMConfig{Goal: 6, Workers: workers}
	work := func() error {
		res, err := smooth.ToFWHM(context.Background(), grid, data, cfg)
		if err == nil {
			r.Rounds, err = len(res.Rounds), res.Err()
		}
		return err
	}
	switch args[0] {
	case "to-fwhm":
	case "to-fwhm-mask":
		cfg.Mask = brain()
	case "gaussian":
		work = func() error {
			f, err := smooth.NewGaussian(grid, smooth.GaussianConfig{FWHM: [3]float64{6, 6, 6}, Workers: workers})
			if err == nil {
				_, err = f.Apply(context.Background(), data, data)
			}
			return err
		}
	default:
		return fmt.Errorf("there is no case %q", args[0])
	}
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return err
	}
	start := time.Now()
	if err := work(); err != nil {
		return err
	}
	r.Wall = time.Since(start).Seconds()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return err
	}
	r.CPU = float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / 1e9
	r.Peak = after.Maxrss * 1024
	if len(args) > 3 {
		if err := save(args[3], data); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// brain is an ellipsoid of 36 % of the voxels.
func brain() []bool {
	mask := make([]bool, grid.Voxels())
	s := grid.Shape
	for i := range mask {
		r := 0.0
		for a, v := range [3]int{i % s[0], i / s[0] % s[1], i / s[0] / s[1]} {
			d := (float64(v) - float64(s[a]-1)/2) / (float64(s[a]) / 2)
			r += d * d
		}
		mask[i] = r < 0.775
	}
	return mask
}

// recording is a smooth structure that drifts, and noise of an FWHM of 3 to 4 mm.
func recording() []float32 {
	n := grid.Voxels()
	data := make([]float32, n*volumes)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = float32(100 * rng.NormFloat64())
	}
	f, err := smooth.NewGaussian(grid, smooth.GaussianConfig{FWHM: [3]float64{4, 4, 4}})
	if err != nil {
		panic(err)
	}
	if _, err := f.Apply(context.Background(), data, data); err != nil {
		panic(err)
	}
	s := grid.Shape
	for i, in := range brain() {
		x, y, z := float64(i%s[0]), float64(i/s[0]%s[1]), float64(i/s[0]/s[1])
		structure := 60.0
		if in {
			structure = 600 + 200*math.Sin(x/9)*math.Cos(y/7) + 100*math.Sin(z/5)
		}
		for t := range volumes {
			data[t*n+i] += float32(structure * (1 + 0.01*math.Sin(float64(t)/40)))
		}
	}
	return data
}

func save(path string, data []float32) error {
	a, err := npy.New(data, volumes, grid.Shape[2], grid.Shape[1], grid.Shape[0])
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := npy.Write(f, a); err != nil {
		return err
	}
	return f.Close()
}

// load reads rather than maps, so that the peak is that of the volumes in memory.
func load(path string) ([]float32, error) {
	f, err := npy.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return npy.Values[float32](f.Array)
}
