package linalg

import "gonum.org/v1/gonum/mat"

// EigenFactors are the eigenvalues and right eigenvectors of a square matrix:
// A·v = λ·v.
type EigenFactors struct {
	Values  []complex128 // the N eigenvalues, in no order
	Vectors *mat.CDense  // N×N; column k, of Euclidean norm 1, belongs to Values[k]
}

// EigenSymFactors are the eigenvalues and eigenvectors of a symmetric matrix:
// A = Vectors·diag(Values)·Vectorsᵀ.
type EigenSymFactors struct {
	Values  []float64  // the N eigenvalues, in ascending order
	Vectors *mat.Dense // N×N, orthogonal; column k belongs to Values[k]
}

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
		v, f.Vectors = newMatrix(n, n), new(mat.CDense)
	}
	if n == 0 {
		return f, nil
	}
	back := m.scaled()
	err = e.eigen(m, wr, wi, v)
	back(wr)
	back(wi)
	if err == nil {
		err = overflow("largest eigenvalue", append(wr, wi...))
	}
	if err != nil {
		return EigenFactors{}, fail(op, m, err)
	}
	for k := range n {
		f.Values[k] = complex(wr[k], wi[k])
	}
	if vectors {
		f.Vectors = mat.NewCDense(n, n, unpack(v, wi))
	}
	return f, nil
}

// unpack makes complex vectors of those of dgeev: a pair of conjugate eigenvalues has
// the real part in one column and the imaginary part in the next.
func unpack(v matrix, wi []float64) []complex128 {
	n := v.cols
	vectors := make([]complex128, n*n)
	for i := range n {
		from, to := v.data[i*n:(i+1)*n], vectors[i*n:(i+1)*n]
		for k := 0; k < n; k++ {
			if wi[k] == 0 || k+1 == n {
				to[k] = complex(from[k], 0)
				continue
			}
			to[k], to[k+1] = complex(from[k], from[k+1]), complex(from[k], -from[k+1])
			k++
		}
	}
	return vectors
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
		back := m.scaled()
		err = e.eigenSym(m, f.Values, vectors)
		back(f.Values)
	}
	if err == nil {
		err = overflow("largest eigenvalue", f.Values)
	}
	if err != nil {
		return EigenSymFactors{}, fail(op, m, err)
	}
	if vectors {
		f.Vectors = m.dense()
	}
	return f, nil
}
