// Package linalg computes the matrix factorisations of numpy.linalg on the
// types of gonum's package mat, with the LAPACK that the machine has.
//
//	a := mat.NewDense(1000, 1000, data)
//	f, err := linalg.SVD(a)      // f.U · diag(f.S) · f.VT = a
//	q, err := linalg.ThinQR(a)   // q.Q · q.R = a
//	x, err := linalg.Solve(a, b) // a · x = b
//	backend, err := linalg.Backend()
//	fmt.Println(backend) // OpenBLAS 0.3.21 (libopenblasp-r0.3.21.so, 32-bit integers, 1 thread)
//
// # Back ends
//
// The library is looked for at run time, at the first call: OpenBLAS, Intel
// MKL, BLIS with LAPACK, the reference LAPACK, Apple's Accelerate. Where there
// is none, gonum's pure Go does the work. The environment variable
// PARADE_LINALG chooses instead: openblas, mkl, blis, lapack, accelerate, gonum,
// or the path of a library, such as the OpenBLAS that comes with a pip NumPy
// (numpy.libs/libscipy_openblas64_-*.so). What is asked for and cannot be loaded
// is an error of every call, never replaced silently. A program built with the tag
// static, or for another system than Linux and macOS, has gonum only.
//
// # Contract
//
// Results mean what numpy.linalg's mean: shapes, order, which triangle is read.
// Signs of singular vectors and eigenvectors are the library's. Arguments are not
// changed and results share no memory with them. NaN and infinities are refused.
// Every function may be called from many goroutines at a time.
//
// # Threads
//
// A call runs in one thread of the library, because with another number of them the last
// bits of a result are others. SetThreads or PARADE_LINALG_THREADS=n asks for more. Workers
// in one process share the cores: calls × threads never exceed what the process has
// been granted, and OPENBLAS_NUM_THREADS and its like are upper limits.
//
// # Other processes
//
// Functions are generic over the argument so that an instance can be declared
// for other processes: parade.Func("svd", linalg.SVD[*mat.Dense]).
package linalg

import (
	"errors"
	"fmt"
	"math"

	"github.com/parade-go/parade/internal/cores"
	"gonum.org/v1/gonum/mat"
)

// Errors that callers branch on; every error of this package wraps one of them
// and says the shape of the matrix.
var (
	// ErrShape says that a matrix has the wrong shape for what is asked, or one
	// that the library cannot address.
	ErrShape = errors.New("bad shape")
	// ErrNotFinite says that a matrix holds a NaN or an infinity, or that a
	// result would.
	ErrNotFinite = errors.New("not finite")
	// ErrNotConverged says that an iteration did not converge.
	ErrNotConverged = errors.New("did not converge")
	// ErrNotPositiveDefinite says that a matrix has no Cholesky factor.
	ErrNotPositiveDefinite = errors.New("not positive definite")
	// ErrSingular says that a matrix has no inverse.
	ErrSingular = errors.New("singular matrix")
	// ErrBackend says that what PARADE_LINALG or PARADE_LINALG_THREADS asks for is
	// unknown or cannot be used.
	ErrBackend = errors.New("bad choice of back end")
)

// matrix is a row-major copy of an argument without gaps. LAPACK overwrites it.
type matrix struct {
	rows, cols int
	data       []float64
}

func newMatrix(rows, cols int) matrix {
	return matrix{rows, cols, make([]float64, rows*cols)}
}

func (a matrix) String() string { return fmt.Sprintf("%d×%d matrix", a.rows, a.cols) }

// dense hands the memory to the caller. gonum has no matrices of 0×n: they
// become the empty Dense.
func (a matrix) dense() *mat.Dense {
	if len(a.data) == 0 {
		return new(mat.Dense)
	}
	return mat.NewDense(a.rows, a.cols, a.data)
}

// part says which elements of a symmetric matrix are read.
type part uint8

const (
	whole part = iota
	lower      // numpy's UPLO='L'
)

// read copies an argument. With lower it mirrors the lower triangle and does not
// look at the other. A panic of the argument's own methods, as of a nil *mat.Dense,
// becomes an error.
func read(op string, a mat.Matrix, which part) (m matrix, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("linalg: %s: %w: the matrix cannot be read: %v", op, ErrShape, x)
		}
	}()
	if a == nil {
		return m, fmt.Errorf("linalg: %s: %w: the matrix is nil", op, ErrShape)
	}
	rows, cols := a.Dims()
	if rows < 0 || cols < 0 {
		return m, fmt.Errorf("linalg: %s: %w: the matrix is %d×%d", op, ErrShape, rows, cols)
	}
	if which == lower && rows != cols {
		return m, notSquare(op, rows, cols)
	}
	m = newMatrix(rows, cols)
	raw, dense := a.(mat.RawMatrixer)
	for i := range rows {
		row := m.data[i*cols : (i+1)*cols]
		if which == lower {
			row = row[:i+1]
		}
		if dense {
			r := raw.RawMatrix()
			copy(row, r.Data[i*r.Stride:i*r.Stride+cols])
		} else {
			for j := range row {
				row[j] = a.At(i, j)
			}
		}
		for j, v := range row {
			if !finite(v) {
				return m, fmt.Errorf("linalg: %s of a %v: %w: element (%d, %d) is %v", op, m, ErrNotFinite, i, j, v)
			}
			if which == lower {
				m.data[j*cols+i] = v
			}
		}
	}
	return m, nil
}

// readSquare is read for what only square matrices have.
func readSquare(op string, a mat.Matrix) (matrix, error) {
	m, err := read(op, a, whole)
	if err == nil && m.rows != m.cols {
		err = notSquare(op, m.rows, m.cols)
	}
	return m, err
}

func notSquare(op string, rows, cols int) error {
	return fmt.Errorf("linalg: %s of a %d×%d matrix: %w: it must be square", op, rows, cols, ErrShape)
}

// finite reports whether v is a number: the difference of an infinity to itself is
// a NaN.
func finite(v float64) bool { return v-v == 0 }

// scaled brings a matrix with elements near the ends of the range of float64 to its
// middle, by a power of two, and returns what scales singular values or eigenvalues back.
// LAPACK does so itself, but gonum's dsterf panics at it, and dgeev of OpenBLAS 0.3.30
// does not scale back.
func (a matrix) scaled() (back func(values []float64)) {
	largest := 0.0
	for _, v := range a.data {
		largest = max(largest, math.Abs(v))
	}
	const far = 400 // powers of two; squares of elements then stay in range
	_, e := math.Frexp(largest)
	if -far < e && e < far {
		return func([]float64) {}
	}
	shift := func(values []float64, e int) {
		for i, v := range values {
			values[i] = math.Ldexp(v, e)
		}
	}
	shift(a.data, -e)
	return func(values []float64) { shift(values, e) }
}

// overflow is the error of a result that went beyond the largest float64.
func overflow(what string, values []float64) error {
	for _, v := range values {
		if !finite(v) {
			return fmt.Errorf("%w: the %s is beyond the largest float64; scale the matrix down", ErrNotFinite, what)
		}
	}
	return nil
}

// affordable refuses square factors beyond the memory granted, which would end the
// process.
func affordable(m matrix, thinOne string) error {
	need := 8 * (float64(m.rows)*float64(m.rows) + float64(m.cols)*float64(m.cols))
	if need < 1<<30 {
		return nil
	}
	if granted, _ := cores.Memory(); granted > 0 && need > float64(granted) {
		return fmt.Errorf("%w: the square factors take %.0f GiB, more than the memory of %.0f GiB; %s has what is needed to put the matrix together again",
			ErrShape, need/(1<<30), float64(granted)/(1<<30), thinOne)
	}
	return nil
}

// fail words the error of an operation on m.
func fail(op string, m matrix, err error) error {
	return fmt.Errorf("linalg: %s of a %v: %w", op, m, err)
}

func identity(n int) matrix {
	m := newMatrix(n, n)
	for i := range n {
		m.data[i*n+i] = 1
	}
	return m
}

// transpose returns the transpose, by blocks that fit the cache.
func (a matrix) transpose() matrix {
	const block = 32
	t := newMatrix(a.cols, a.rows)
	for i0 := 0; i0 < a.rows; i0 += block {
		for j0 := 0; j0 < a.cols; j0 += block {
			for i := i0; i < min(i0+block, a.rows); i++ {
				for j := j0; j < min(j0+block, a.cols); j++ {
					t.data[j*a.rows+i] = a.data[i*a.cols+j]
				}
			}
		}
	}
	return t
}
