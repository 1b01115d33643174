package linalg

import "gonum.org/v1/gonum/mat"

// SVDFactors are the factors of the singular value decomposition
// A = U·diag(S)·VT of an M×N matrix, with K = min(M, N). The columns of U and
// the rows of VT are orthonormal. A factor without elements is the empty
// mat.Dense: gonum has no 0×N.
type SVDFactors struct {
	U  *mat.Dense // left singular vectors as columns: M×M, or M×K from ThinSVD
	S  []float64  // the K singular values, not negative, in descending order
	VT *mat.Dense // right singular vectors as rows: N×N, or K×N from ThinSVD
}

// SVD returns the full decomposition, as numpy.linalg.svd(a): U is M×M and VT
// N×N. It is LAPACK's dgesdd, the divide and conquer method (gonum: dgesvd).
func SVD[M mat.Matrix](a M) (SVDFactors, error) { return svd("SVD", a, full) }

// ThinSVD returns the decomposition with as many singular vectors as values, as
// numpy.linalg.svd(a, full_matrices=False): U is M×K and VT K×N.
func ThinSVD[M mat.Matrix](a M) (SVDFactors, error) { return svd("thin SVD", a, thin) }

// SingularValues returns the singular values alone, in descending order, as
// numpy.linalg.svdvals(a). It is several times faster than SVD.
func SingularValues[M mat.Matrix](a M) ([]float64, error) {
	f, err := svd("singular values", a, valuesOnly)
	return f.S, err
}

// extent says how much of a factorisation is computed.
type extent uint8

const (
	full extent = iota
	thin
	valuesOnly
)

func svd(op string, a mat.Matrix, how extent) (SVDFactors, error) {
	e, err := loaded()
	if err != nil {
		return SVDFactors{}, err
	}
	m, err := read(op, a, whole)
	if err != nil {
		return SVDFactors{}, err
	}
	if how == full {
		if err := affordable(m, "ThinSVD"); err != nil {
			return SVDFactors{}, fail(op, m, err)
		}
	}
	k := min(m.rows, m.cols)
	u, s, vt := matrix{}, make([]float64, k), matrix{}
	switch how {
	case full:
		u, vt = newMatrix(m.rows, m.rows), newMatrix(m.cols, m.cols)
	case thin:
		u, vt = newMatrix(m.rows, k), newMatrix(k, m.cols)
	}
	switch {
	case k > 0:
		back := m.scaled()
		err = e.svd(how, m, u, s, vt)
		back(s)
	case how == full:
		u, vt = identity(m.rows), identity(m.cols)
	}
	if err == nil {
		err = overflow("largest singular value", s)
	}
	if err != nil {
		return SVDFactors{}, fail(op, m, err)
	}
	f := SVDFactors{S: s}
	if how != valuesOnly {
		f.U, f.VT = u.dense(), vt.dense()
	}
	return f, nil
}
