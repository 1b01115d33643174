// Command svd decomposes 20 random matrices in parallel, in three ways: as a
// joblib one-liner, as tasks of a multiprocessing pool, and with a bound argument,
// as by functools.partial.
//
//	go run ./examples/svd                    1000×1000, in processes, one per core
//	go run ./examples/svd threads:2 300      or serial, threads, processes:4; the size
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/linalg"
	_ "github.com/parade-go/parade/process"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// numpy.linalg.svd, a matrix to draw, and a function of two arguments.
var (
	svd = parade.Func("svd", linalg.SVD[*mat.Dense])

	random = parade.FuncContext("random-matrix",
		func(ctx context.Context, n int) (*mat.Dense, error) {
			rng := parade.Rand(ctx) // the same numbers on every executor
			a := mat.NewDense(n, n, nil)
			for i := range n {
				for j := range n {
					a.Set(i, j, rng.NormFloat64())
				}
			}
			return a, nil
		})

	truncated = parade.Func2("truncated-svd",
		func(rank int, a *mat.Dense) (*mat.Dense, error) {
			f, err := linalg.ThinSVD(a)
			if err != nil {
				return nil, err
			}
			return product(f, rank), nil
		})
)

func main() {
	executor, size := "processes", 1000
	if len(os.Args) > 1 {
		executor = os.Args[1]
	}
	if len(os.Args) > 2 {
		var err error
		if size, err = strconv.Atoi(os.Args[2]); err != nil || size < 1 {
			log.Fatalf("the size must be a number of at least 1, not %q", os.Args[2])
		}
	}
	if err := run(context.Background(), executor, size, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, executor string, size int, w io.Writer) error {
	ex, err := parade.Open(ctx, executor)
	if err != nil {
		return err
	}
	defer ex.Close()

	sizes := make([]int, 20)
	for i := range sizes {
		sizes[i] = size
	}
	matrices, err := parade.Map(ctx, ex, random, sizes, parade.Seed(1))
	if err != nil {
		return err
	}

	// joblib: Parallel(n_jobs=-1)(delayed(svd)(a) for a in matrices)
	factors, err := parade.Map(ctx, ex, svd, matrices)
	if err != nil {
		return err
	}
	for i, f := range factors[:3] {
		fmt.Fprintf(w, "matrix %d: singular values from %.4f to %.4f, U·S·VT is the matrix: %t\n",
			i, f.S[0], f.S[len(f.S)-1], mat.EqualApprox(product(f, len(f.S)), matrices[i], 1e-10))
	}

	// multiprocessing: handles = [pool.apply_async(svd, (a,)) for a in matrices]
	var handles []*parade.Future[linalg.SVDFactors]
	for _, a := range matrices {
		handles = append(handles, parade.Go(ctx, ex, svd, a))
	}
	same := 0
	for i, h := range handles {
		f, err := h.Wait(ctx)
		if err != nil {
			return err
		}
		if floats.Same(f.S, factors[i].S) && mat.Equal(f.U, factors[i].U) && mat.Equal(f.VT, factors[i].VT) {
			same++
		}
	}
	fmt.Fprintf(w, "asynchronous calls: %d of %d are equal to the last bit\n", same, len(handles))

	// functools: pool.map(partial(truncated, 10), matrices)
	lowRank, err := parade.Map(ctx, ex, parade.Bind(truncated, 10), matrices)
	if err != nil {
		return err
	}
	var rest mat.Dense
	rest.Sub(matrices[0], lowRank[0])
	values, err := linalg.SingularValues(&rest)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "matrix 0 without its first 10 singular values: from %.4f\n", values[0])
	return nil
}

// product is U·diag(S)·VT over the first rank singular values.
func product(f linalg.SVDFactors, rank int) *mat.Dense {
	rank = min(rank, len(f.S))
	m, _ := f.U.Dims()
	_, n := f.VT.Dims()
	var us, usvt mat.Dense
	us.Mul(f.U.Slice(0, m, 0, rank), mat.NewDiagDense(rank, f.S[:rank]))
	usvt.Mul(&us, f.VT.Slice(0, rank, 0, n))
	return &usvt
}
