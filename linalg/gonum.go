package linalg

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// pure is gonum's LAPACK in Go.
type pure struct{}

func (pure) info() BackendInfo {
	info := BackendInfo{Name: "gonum", IntegerBits: 64, Threads: runtime.GOMAXPROCS(0)}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, d := range b.Deps {
			if d.Path == "gonum.org/v1/gonum" {
				info.Version = d.Version
			}
		}
	}
	return info
}

func (a matrix) general() blas64.General {
	return blas64.General{Rows: a.rows, Cols: a.cols, Stride: max(1, a.cols), Data: a.data}
}

func (a matrix) symmetric() blas64.Symmetric {
	return blas64.Symmetric{N: a.rows, Stride: a.cols, Data: a.data, Uplo: blas.Lower}
}

// withWork asks a routine for the size of its work space and runs it.
func withWork(routine func(work []float64, lwork int)) {
	size := make([]float64, 1)
	routine(size, -1)
	work := make([]float64, int(size[0]))
	routine(work, len(work))
}

// caught makes an error of a panic of gonum's.
func caught(err *error) {
	if x := recover(); x != nil {
		*err = fmt.Errorf("gonum: %v", x)
	}
}

func (pure) svd(how extent, m, u matrix, s []float64, vt matrix) (err error) {
	defer caught(&err)
	job := map[extent]lapack.SVDJob{full: lapack.SVDAll, thin: lapack.SVDStore, valuesOnly: lapack.SVDNone}[how]
	var ok bool
	withWork(func(work []float64, lwork int) {
		ok = lapack64.Gesvd(job, job, m.general(), u.general(), vt.general(), s, work, lwork)
	})
	if !ok {
		return ErrNotConverged
	}
	return nil
}

func (pure) eigen(m matrix, wr, wi []float64, v matrix) (err error) {
	defer caught(&err)
	job := lapack.RightEVNone
	if len(v.data) > 0 {
		job = lapack.RightEVCompute
	}
	first := 0
	withWork(func(work []float64, lwork int) {
		first = lapack64.Geev(lapack.LeftEVNone, job, m.general(), wr, wi, blas64.General{Stride: 1}, v.general(), work, lwork)
	})
	if first != 0 {
		return ErrNotConverged
	}
	return nil
}

func (pure) eigenSym(m matrix, w []float64, vectors bool) (err error) {
	defer caught(&err)
	job := lapack.EVNone
	if vectors {
		job = lapack.EVCompute
	}
	ok := false
	withWork(func(work []float64, lwork int) {
		ok = lapack64.Syev(job, m.symmetric(), w, work, lwork)
	})
	if !ok {
		return ErrNotConverged
	}
	return nil
}

func (pure) qr(m, q matrix) (err error) {
	defer caught(&err)
	k := min(m.rows, m.cols)
	tau := make([]float64, k)
	withWork(func(work []float64, lwork int) { lapack64.Geqrf(m.general(), tau, work, lwork) })
	for i := range m.rows {
		copy(q.data[i*q.cols:i*q.cols+k], m.data[i*m.cols:i*m.cols+k])
	}
	withWork(func(work []float64, lwork int) { lapack64.Orgqr(q.general(), tau, work, lwork) })
	return nil
}

func (pure) cholesky(m matrix) (err error) {
	defer caught(&err)
	if _, ok := lapack64.Potrf(m.symmetric()); !ok {
		return ErrNotPositiveDefinite
	}
	return nil
}

func (pure) solve(m, b matrix) (err error) {
	defer caught(&err)
	pivots := make([]int, m.rows)
	if !lapack64.Getrf(m.general(), pivots) {
		return ErrSingular
	}
	lapack64.Getrs(blas.NoTrans, m.general(), b.general(), pivots)
	return nil
}
