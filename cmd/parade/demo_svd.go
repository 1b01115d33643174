package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/linalg"
	"gonum.org/v1/gonum/mat"
)

const svdMatrices = 20

var (
	svd = parade.Func("demo.svd", linalg.SVD[*mat.Dense])

	randomMatrix = parade.FuncContext("demo.random-matrix",
		func(ctx context.Context, n int) (*mat.Dense, error) {
			rng := parade.Rand(ctx)
			a := mat.NewDense(n, n, nil)
			for i := range n {
				row := a.RawRowView(i)
				for j := range row {
					row[j] = rng.NormFloat64()
				}
			}
			return a, nil
		})
)

// svdSize is the size of the matrices. Without LAPACK the work of minutes would
// show nothing more.
func svdSize(backend linalg.BackendInfo, quick bool) int {
	switch {
	case quick:
		return 150
	case backend.Name == "gonum":
		return 400
	}
	return 1000
}

// decompositions is the SVD example: 20 matrices, by a plain loop and by executors
// of one to all workers. It ends with the figure of speed-ups.
func (d *demo) decompositions(backend linalg.BackendInfo) error {
	n := svdSize(backend, d.opts.quick)
	what := fmt.Sprintf("%d random %d×%d matrices", svdMatrices, n, n)
	d.out.heading("Example 3: singular value decompositions", what)
	d.code("factors, err := parade.Map(ctx, ex, svd, matrices)")
	d.out.printf("  numpy.linalg.svd by %v\n", backend)
	if backend.Name == "gonum" {
		d.out.note("There is no LAPACK on this machine, so the matrices are small; see \"parade doctor\".")
	}

	sizes := slices.Repeat([]int{n}, svdMatrices)
	threads := parade.Threads(0)
	defer threads.Close()
	matrices, err := parade.Map(d.ctx, threads, randomMatrix, sizes, parade.Seed(d.opts.seed))
	if err != nil {
		return err
	}

	on, err := d.openRows()
	if err != nil {
		return err
	}
	defer func() { _ = closeExecutors(on) }()
	var factors []linalg.SVDFactors
	var want [sha256.Size]byte
	same := make([]bool, len(on))
	runs := []contender{{
		name: "plain loop",
		call: func(bool) error {
			factors = make([]linalg.SVDFactors, 0, svdMatrices)
			for i, a := range matrices {
				if d.ctx.Err() != nil {
					return context.Cause(d.ctx)
				}
				f, err := linalg.SVD(a)
				if err != nil {
					return err
				}
				factors = append(factors, f)
				d.bar.show("plain loop", i+1, svdMatrices)
			}
			return nil
		},
		check: func() { want, factors = digest(factors), nil },
	}}
	for i, ex := range on {
		// What the first call of all needs, such as loading LAPACK, is not measured.
		if _, err := parade.Map(d.ctx, ex, svd, slices.Repeat([]*mat.Dense{mat.NewDense(1, 1, nil)}, 2*ex.Info().Workers), parade.BatchSize(1)); err != nil {
			return onExecutor(ex, err)
		}
		report := new(parade.Report)
		runs = append(runs, contender{
			name: ex.spec, report: report,
			call: func(watch bool) (err error) {
				opts := []parade.Option{parade.WithReport(report)}
				if watch {
					opts = append(opts, parade.OnProgress(d.bar.job(ex.spec)))
				}
				if factors, err = parade.Map(d.ctx, ex, svd, matrices, opts...); err != nil {
					return onExecutor(ex, err)
				}
				return nil
			},
			// The factors are much to keep: what is kept is their digest.
			check: func() { same[i], factors = digest(factors) == want, nil },
		})
	}
	if err := race(runs, d.opts.quick); err != nil {
		return err
	}
	d.bar.clear()
	d.printRuns(runs, "a decomposition", svdMatrices)
	if err := d.verdict(on, func(i int) bool { return same[i] }); err != nil {
		return err
	}
	return d.speedups(what, runs, on)
}

// openRows opens the executors that the user named, or else threads and processes of
// 1, 2, 4 and so on to all workers.
func (d *demo) openRows() ([]opened, error) {
	specs := d.opts.on
	if !d.opts.chosen {
		specs = nil
		for _, kind := range []string{"threads", "processes"} {
			for n := 1; n < cores.Granted(); n *= 2 {
				specs = append(specs, fmt.Sprintf("%s:%d", kind, n))
			}
			specs = append(specs, fmt.Sprintf("%s:%d", kind, cores.Granted()))
		}
	}
	on, _, err := openExecutors(d.ctx, specs, !d.opts.chosen)
	return on, err
}

// speedups draws the figure of what was measured: a line for each kind of executor.
func (d *demo) speedups(what string, runs []contender, on []opened) error {
	var lines []speedup
	for i, ex := range on {
		kind, _, _ := strings.Cut(ex.spec, ":")
		k := slices.IndexFunc(lines, func(l speedup) bool { return l.name == kind })
		if k < 0 {
			k = len(lines)
			lines = append(lines, speedup{name: kind})
		}
		lines[k].workers = append(lines[k].workers, ex.Info().Workers)
		lines[k].gain = append(lines[k].gain, runs[0].wall.Seconds()/runs[i+1].wall.Seconds())
	}
	files, err := drawSpeedup(d.opts.out, "SVD of "+what, lines)
	if err != nil {
		return err
	}
	d.files = append(d.files, files...)
	return nil
}

// digest is one for equal bits.
func digest(factors []linalg.SVDFactors) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range factors {
		addMatrix(h, f.U)
		addNumbers(h, f.S)
		addMatrix(h, f.VT)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func addMatrix(h hash.Hash, a *mat.Dense) {
	rows, cols := a.Dims()
	fmt.Fprintf(h, "%d×%d", rows, cols)
	for i := range rows {
		addNumbers(h, a.RawRowView(i))
	}
}

func addNumbers(h hash.Hash, v []float64) {
	data := make([]byte, 0, 8*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
	}
	h.Write(data)
}
