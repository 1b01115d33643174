package linalg

import (
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// QRFactors are the factors of A = Q·R of an M×N matrix, with K = min(M, N). A
// factor without elements is the empty mat.Dense.
type QRFactors struct {
	Q *mat.Dense // orthonormal columns: M×M, or M×K from ThinQR
	R *mat.Dense // upper triangular (trapezoidal): M×N, or K×N from ThinQR
}

// QR returns the full factorisation, as numpy.linalg.qr(a, mode="complete"): Q is
// M×M and R M×N. It is LAPACK's Householder method; the signs of the diagonal of R
// are its own.
func QR[M mat.Matrix](a M) (QRFactors, error) { return qr("QR", a, full) }

// ThinQR returns the reduced factorisation, as numpy.linalg.qr(a): Q is M×K and R
// K×N.
func ThinQR[M mat.Matrix](a M) (QRFactors, error) { return qr("thin QR", a, thin) }

// Cholesky returns the lower triangular L with A = L·Lᵀ of a symmetric positive
// definite matrix, as numpy.linalg.cholesky(a): only the lower triangle is read,
// and zeros are above the diagonal of L. It is LAPACK's dpotrf.
func Cholesky[M mat.Matrix](a M) (*mat.Dense, error) {
	const op = "Cholesky factor"
	e, err := loaded()
	if err != nil {
		return nil, err
	}
	m, err := read(op, a, lower)
	if err != nil {
		return nil, err
	}
	if m.rows > 0 {
		if err := e.cholesky(m); err != nil {
			return nil, fail(op, m, err)
		}
	}
	for i := range m.rows {
		clear(m.data[i*m.cols+i+1 : (i+1)*m.cols])
	}
	return m.dense(), nil
}

// Solve returns X with A·X = B, as numpy.linalg.solve(a, b): A is N×N, B and X are
// N×K. It is LAPACK's LU factorisation with partial pivoting. Only a matrix that is singular
// to the last bit is ErrSingular: of one that is nearly so the result is inaccurate.
func Solve[A, B mat.Matrix](a A, b B) (*mat.Dense, error) {
	const op = "solution"
	e, err := loaded()
	if err != nil {
		return nil, err
	}
	m, err := readSquare(op, a)
	if err != nil {
		return nil, err
	}
	x, err := read("right-hand side", b, whole)
	if err != nil {
		return nil, err
	}
	// An empty B of gonum is 0×0 whatever it was meant to be.
	if x.rows != m.rows && len(x.data) > 0 || x.rows > m.rows {
		return nil, fmt.Errorf("linalg: %s of a %v with a %v on the right: %w: both need the same number of rows", op, m, x, ErrShape)
	}
	if len(x.data) == 0 {
		return x.dense(), nil
	}
	if err = e.solve(m, x); err == nil {
		err = overflow("solution", x.data)
	}
	if err != nil {
		return nil, fail(op, m, err)
	}
	return x.dense(), nil
}

func qr(op string, a mat.Matrix, how extent) (QRFactors, error) {
	e, err := loaded()
	if err != nil {
		return QRFactors{}, err
	}
	m, err := read(op, a, whole)
	if err != nil {
		return QRFactors{}, err
	}
	if how == full {
		if err := affordable(matrix{rows: m.rows}, "ThinQR"); err != nil {
			return QRFactors{}, fail(op, m, err)
		}
	}
	k := min(m.rows, m.cols)
	if k == 0 {
		if how == thin {
			return QRFactors{Q: new(mat.Dense), R: new(mat.Dense)}, nil
		}
		return QRFactors{Q: identity(m.rows).dense(), R: new(mat.Dense)}, nil
	}
	q := newMatrix(m.rows, k)
	if how == full {
		q = newMatrix(m.rows, m.rows)
	}
	if err := e.qr(m, q); err != nil {
		return QRFactors{}, fail(op, m, err)
	}
	// R is the upper triangle of what is left of A; the reflectors are below.
	r := matrix{q.cols, m.cols, m.data[:q.cols*m.cols]}
	for i := range r.rows {
		clear(r.data[i*r.cols : i*r.cols+min(i, r.cols)])
	}
	return QRFactors{Q: q.dense(), R: r.dense()}, nil
}
