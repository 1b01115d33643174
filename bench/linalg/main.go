//go:build ignore

// Times linalg.SVD as peer.py does numpy.linalg.svd: go run main.go one|many
// MATRICES. It is run as a file, since nothing under bench is a part of the module.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/linalg"
	_ "github.com/parade-go/parade/process"
	"gonum.org/v1/gonum/mat"
)

const (
	n       = 1000
	workers = 2
	repeats = 5
)

var svd = parade.Func("svd", linalg.SVD[*mat.Dense])

type result struct {
	Metric   string  `json:"metric"`
	Executor string  `json:"executor"`
	Workers  int     `json:"workers"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Check    float64 `json:"check"` // the sum of all singular values
	Library  string  `json:"library"`
}

func main() {
	parade.Serve()
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(what, path string) error {
	matrices, err := read(path)
	if err != nil {
		return err
	}
	backend, err := linalg.Backend()
	if err != nil {
		return err
	}
	report := func(metric, executor string, workers int, took time.Duration, factors []linalg.SVDFactors) error {
		check := 0.0
		for _, f := range factors {
			for _, s := range f.S {
				check += s
			}
		}
		return json.NewEncoder(os.Stdout).Encode(result{metric, executor, workers, took.Seconds(), "s", check, backend.Library})
	}
	if what == "one" {
		for i := range 1 + repeats {
			start := time.Now()
			f, err := linalg.SVD(matrices[0])
			took := time.Since(start)
			if err != nil {
				return err
			}
			if i == 0 {
				continue // to warm up
			}
			if err := report("svd", "parade", 1, took, []linalg.SVDFactors{f}); err != nil {
				return err
			}
		}
		return nil
	}

	if _, err := linalg.SVD(matrices[0]); err != nil { // to warm up
		return err
	}
	factors := make([]linalg.SVDFactors, len(matrices))
	start := time.Now()
	for i, a := range matrices {
		if factors[i], err = linalg.SVD(a); err != nil {
			return err
		}
	}
	if err := report("svd-many", "parade loop", 1, time.Since(start), factors); err != nil {
		return err
	}
	clear(factors)
	ctx := context.Background()
	for _, kind := range []string{"threads", "processes"} {
		ex, err := parade.Open(ctx, fmt.Sprintf("%s:%d", kind, workers))
		if err != nil {
			return err
		}
		small := mat.NewDense(2, 2, []float64{1, 2, 3, 4})
		if _, err := parade.Map(ctx, ex, svd, []*mat.Dense{small, small, small, small}); err != nil {
			return err
		}
		start := time.Now()
		factors, err := parade.Map(ctx, ex, svd, matrices)
		took := time.Since(start)
		if err != nil {
			return err
		}
		if err := ex.Close(); err != nil {
			return err
		}
		if err := report("svd-many", "parade "+kind, workers, took, factors); err != nil {
			return err
		}
	}
	return nil
}

// read reads matrices as numpy's tofile writes them.
func read(path string) ([]*mat.Dense, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	numbers := unsafe.Slice((*float64)(unsafe.Pointer(&data[0])), len(data)/8)
	var matrices []*mat.Dense
	for ; len(numbers) >= n*n; numbers = numbers[n*n:] {
		matrices = append(matrices, mat.NewDense(n, n, append([]float64(nil), numbers[:n*n]...)))
	}
	return matrices, nil
}
