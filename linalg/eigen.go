package linalg

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// EigenFactors are the eigenvalues and right eigenvectors of a square matrix:
// A·v = λ·v.
type EigenFactors struct {
	Values  []complex128 // the N eigenvalues, in no order
	Vectors Complex      // N×N; column k, of Euclidean norm 1, belongs to Values[k]
}

// EigenSymFactors are the eigenvalues and eigenvectors of a symmetric matrix:
// A = Vectors·diag(Values)·Vectorsᵀ.
type EigenSymFactors struct {
	Values  []float64  // the N eigenvalues, in ascending order
	Vectors *mat.Dense // N×N, orthogonal; column k belongs to Values[k]
}

// Complex is a complex matrix as plain data, row by row; it is a mat.CMatrix.
type Complex struct {
	Rows, Cols int
	Data       []complex128 // Rows·Cols elements
}

// Dims returns the number of rows and columns.
func (c Complex) Dims() (rows, cols int) { return c.Rows, c.Cols }

// At returns element (i, j). As gonum's, it panics when there is none.
func (c Complex) At(i, j int) complex128 {
	if uint(i) >= uint(c.Rows) || uint(j) >= uint(c.Cols) {
		panic(fmt.Sprintf("linalg: no element (%d, %d) in a %d×%d matrix", i, j, c.Rows, c.Cols))
	}
	return c.Data[i*c.Cols+j]
}

// H returns the conjugate transpose as a view.
func (c Complex) H() mat.CMatrix { return mat.ConjTranspose{CMatrix: c} }

// T returns the transpose as a view.
func (c Complex) T() mat.CMatrix { return mat.CTranspose{CMatrix: c} }

// Eigen returns the eigenvalues and right eigenvectors of a square matrix, as
// numpy.linalg.eig(a). It is LAPACK's dgeev. For a symmetric matrix EigenSym is
// faster and its vectors are orthogonal.
func Eigen[M mat.Matrix](a M) (EigenFactors, error) { return eigen("eigenvectors", a, true) }

// Eigenvalues returns the eigenvalues of a square matrix, as
// numpy.linalg.eigvals(a).
func Eigenvalues[M mat.Matrix](a M) ([]complex128, error) {
	f, err := eigen("eigenvalues", a, false)
	return f.Values, err
}

// EigenSym returns the eigenvalues and eigenvectors of a symmetric matrix, as
// numpy.linalg.eigh(a): only the lower triangle is read. It is LAPACK's dsyevd
// (gonum: dsyev).
func EigenSym[M mat.Matrix](a M) (EigenSymFactors, error) {
	return eigenSym("symmetric eigenvectors", a, true)
}

// EigenvaluesSym returns the eigenvalues of a symmetric matrix in ascending order,
// as numpy.linalg.eigvalsh(a): only the lower triangle is read.
func EigenvaluesSym[M mat.Matrix](a M) ([]float64, error) {
	f, err := eigenSym("symmetric eigenvalues", a, false)
	return f.Values, err
}

func eigen(op string, a mat.Matrix, vectors bool) (EigenFactors, error) {
	e, err := loaded()
	if err != nil {
		return EigenFactors{}, err
	}
	m, err := readSquare(op, a)
	if err != nil {
		return EigenFactors{}, err
	}
	n := m.rows
	f := EigenFactors{Values: make([]complex128, n)}
	wr, wi, v := make([]float64, n), make([]float64, n), matrix{}
	if vectors {
		v = newMatrix(n, n)
		f.Vectors = Complex{n, n, make([]complex128, n*n)}
	}
	if n == 0 {
		return f, nil
	}
	err = e.eigen(m, wr, wi, v)
	if err == nil && (overflowed(wr) || overflowed(wi)) {
		err = fmt.Errorf("%w: the eigenvalues are beyond the largest float64; scale the matrix down", ErrNotFinite)
	}
	if err != nil {
		return EigenFactors{}, fail(op, m, err)
	}
	for k := range n {
		f.Values[k] = complex(wr[k], wi[k])
	}
	if vectors {
		unpack(f.Vectors.Data, v, wi)
	}
	return f, nil
}

// unpack makes complex vectors of those of dgeev: a pair of conjugate eigenvalues has
// the real part in one column and the imaginary part in the next.
func unpack(dst []complex128, v matrix, wi []float64) {
	n := v.cols
	for i := range n {
		from, to := v.data[i*n:(i+1)*n], dst[i*n:(i+1)*n]
		for k := 0; k < n; k++ {
			if wi[k] == 0 || k+1 == n {
				to[k] = complex(from[k], 0)
				continue
			}
			to[k], to[k+1] = complex(from[k], from[k+1]), complex(from[k], -from[k+1])
			k++
		}
	}
}

func eigenSym(op string, a mat.Matrix, vectors bool) (EigenSymFactors, error) {
	e, err := loaded()
	if err != nil {
		return EigenSymFactors{}, err
	}
	m, err := read(op, a, lower)
	if err != nil {
		return EigenSymFactors{}, err
	}
	f := EigenSymFactors{Values: make([]float64, m.rows)}
	if m.rows > 0 {
		err = e.eigenSym(m, f.Values, vectors)
	}
	if err == nil && overflowed(f.Values) {
		err = fmt.Errorf("%w: the eigenvalues are beyond the largest float64; scale the matrix down", ErrNotFinite)
	}
	if err != nil {
		return EigenSymFactors{}, fail(op, m, err)
	}
	if vectors {
		f.Vectors = m.dense()
	}
	return f, nil
}
