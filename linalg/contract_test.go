package linalg_test

import (
	"errors"
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parade-go/parade/linalg"
	"gonum.org/v1/gonum/mat"
)

// accuracy is what the contract promises of products and of orthogonality.
const accuracy = 1e-12

func random(rng *rand.Rand, rows, cols int) *mat.Dense {
	data := make([]float64, rows*cols)
	for i := range data {
		data[i] = rng.NormFloat64()
	}
	return mat.NewDense(rows, cols, data)
}

// samples are matrices of every class, by name.
func samples() map[string]mat.Matrix {
	rng := rand.New(rand.NewPCG(1, 1))
	all := map[string]mat.Matrix{}
	for _, shape := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {2, 2}, {40, 40}, {81, 81}, {130, 7}, {7, 130}, {33, 32}, {32, 33}, {64, 20}} {
		all[fmt.Sprintf("%d×%d", shape[0], shape[1])] = random(rng, shape[0], shape[1])
	}
	var low mat.Dense
	low.Mul(random(rng, 30, 3), random(rng, 3, 26))
	all["rank 3"] = &low
	all["zero"] = mat.NewDense(6, 4, nil)
	all["ones"] = mat.NewDense(5, 5, slices.Repeat([]float64{1}, 25))
	hilbert := mat.NewDense(14, 14, nil)
	hilbert.Apply(func(i, j int, _ float64) float64 { return 1 / float64(i+j+1) }, hilbert)
	all["Hilbert"] = hilbert
	for _, scale := range []float64{1e300, 1e154, 1e-154, 1e-300, 1e-310} {
		a := random(rng, 16, 16)
		a.Scale(scale, a)
		all[fmt.Sprintf("scale %g", scale)] = a
	}
	steep := random(rng, 12, 12)
	steep.Apply(func(i, _ int, v float64) float64 { return v * math.Pow(10, float64(-3*i)) }, steep)
	all["rows of 1 to 1e-33"] = steep
	all["view with a stride"] = random(rng, 20, 20).Slice(3, 17, 5, 14)
	all["transpose of a view"] = random(rng, 20, 20).Slice(3, 17, 5, 14).T()
	all["vector"] = random(rng, 11, 4).ColView(2)
	all["row of a matrix"] = random(rng, 11, 4).RowView(2).T()
	all["symmetric"] = mat.NewSymDense(10, random(rng, 10, 10).RawMatrix().Data)
	all["upper triangle"] = mat.NewTriDense(10, mat.Upper, random(rng, 10, 10).RawMatrix().Data)
	all["lower triangle"] = mat.NewTriDense(10, mat.Lower, random(rng, 10, 10).RawMatrix().Data)
	all["diagonal"] = mat.NewDiagDense(4, []float64{3, -1, 0, 2})
	all["band"] = mat.NewBandDense(6, 6, 1, 1, random(rng, 6, 3).RawMatrix().Data)
	return all
}

func forSamples(t *testing.T, square bool, f func(t *testing.T, a mat.Matrix)) {
	for name, a := range samples() {
		if rows, cols := a.Dims(); square && rows != cols {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := mat.DenseCopyOf(a)
			f(t, a)
			if !mat.Equal(before, a) {
				t.Error("the argument was changed")
			}
		})
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// largest returns the largest absolute value, or 1 of a zero matrix.
func largest(a mat.Matrix) float64 {
	most := 0.0
	for _, v := range elements(a, true) {
		most = max(most, v)
	}
	if most == 0 {
		return 1
	}
	return most
}

// shrunk returns the matrix divided by its largest element, so that products stay in
// the range of float64.
func shrunk(a mat.Matrix) *mat.Dense {
	most := largest(a)
	m := mat.DenseCopyOf(a)
	m.Apply(func(_, _ int, v float64) float64 { return v / most }, m)
	return m
}

func isProduct(t *testing.T, what string, want mat.Matrix, factors ...mat.Matrix) {
	t.Helper()
	var got mat.Dense
	got.Product(factors...)
	rows, cols := want.Dims()
	size := largest(want) * float64(max(rows, cols))
	if !mat.EqualApprox(&got, want, accuracy*size) {
		var d mat.Dense
		d.Sub(&got, want)
		t.Errorf("%s differs by %.1e", what, largest(&d))
	}
}

// hasOrthonormalColumns checks qᵀ·q = 1.
func hasOrthonormalColumns(t *testing.T, what string, q mat.Matrix) {
	t.Helper()
	var got mat.Dense
	got.Mul(q.T(), q)
	n, _ := got.Dims()
	for i := range n {
		for j := range n {
			want := 0.0
			if i == j {
				want = 1
			}
			if d := math.Abs(got.At(i, j) - want); !(d <= accuracy) {
				t.Fatalf("%s: columns %d and %d are off by %.1e", what, i, j, d)
			}
		}
	}
}

func TestSVDContract(t *testing.T) {
	t.Parallel()
	forSamples(t, false, func(t *testing.T, a mat.Matrix) {
		m, n := a.Dims()
		k := min(m, n)
		full, slim, values := must[linalg.SVDFactors](t)(linalg.SVD(a)), must[linalg.SVDFactors](t)(linalg.ThinSVD(a)), must[[]float64](t)(linalg.SingularValues(a))
		hasShape(t, "U", full.U, m, m)
		hasShape(t, "VT", full.VT, n, n)
		hasShape(t, "thin U", slim.U, m, k)
		hasShape(t, "thin VT", slim.VT, k, n)
		for i, f := range []linalg.SVDFactors{full, slim} {
			what := []string{"full", "thin"}[i]
			if len(f.S) != k || !slices.IsSortedFunc(f.S, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) || f.S[k-1] < 0 {
				t.Fatalf("%s: singular values are %v", what, f.S)
			}
			hasOrthonormalColumns(t, what+" U", f.U)
			hasOrthonormalColumns(t, what+" V", f.VT.T())
			near(t, "singular values", values, f.S, tolerance)
			s := mat.NewDense(f.U.RawMatrix().Cols, f.VT.RawMatrix().Rows, nil)
			size := largest(a)
			for j, v := range f.S {
				s.Set(j, j, v/size)
			}
			isProduct(t, what+" U·S·VT", shrunk(a), f.U, s, f.VT)
		}
	})
}

func TestQRContract(t *testing.T) {
	t.Parallel()
	forSamples(t, false, func(t *testing.T, a mat.Matrix) {
		m, n := a.Dims()
		k := min(m, n)
		full, slim := must[linalg.QRFactors](t)(linalg.QR(a)), must[linalg.QRFactors](t)(linalg.ThinQR(a))
		hasShape(t, "Q", full.Q, m, m)
		hasShape(t, "R", full.R, m, n)
		hasShape(t, "thin Q", slim.Q, m, k)
		hasShape(t, "thin R", slim.R, k, n)
		for i, f := range []linalg.QRFactors{full, slim} {
			what := []string{"full", "thin"}[i]
			hasOrthonormalColumns(t, what+" Q", f.Q)
			rows, cols := f.R.Dims()
			for i := range rows {
				for j := range min(i, cols) {
					if f.R.At(i, j) != 0 {
						t.Fatalf("%s: R has %g below its diagonal, at (%d, %d)", what, f.R.At(i, j), i, j)
					}
				}
			}
			size, r := largest(a), mat.DenseCopyOf(f.R)
			r.Apply(func(_, _ int, v float64) float64 { return v / size }, r)
			isProduct(t, what+" Q·R", shrunk(a), f.Q, r)
		}
	})
}

func TestEigenContract(t *testing.T) {
	t.Parallel()
	forSamples(t, true, func(t *testing.T, a mat.Matrix) {
		f := must[linalg.EigenFactors](t)(linalg.Eigen(a))
		n, _ := a.Dims()
		small := shrunk(a)
		trace := complex(-mat.Trace(small), 0)
		size := complex(largest(a), 0)
		for k, value := range f.Values {
			value /= size
			trace += value
			norm := 0.0
			for i := range n {
				sum := -value * f.Vectors.At(i, k)
				for j := range n {
					sum += complex(small.At(i, j), 0) * f.Vectors.At(j, k)
				}
				if cmplx.Abs(sum) > accuracy*float64(n) {
					t.Fatalf("A·v - λ·v of pair %d is %.1e", k, cmplx.Abs(sum))
				}
				norm = math.Hypot(norm, cmplx.Abs(f.Vectors.At(i, k)))
			}
			if math.Abs(norm-1) > accuracy {
				t.Errorf("vector %d has length %g", k, norm)
			}
		}
		if cmplx.Abs(trace) > accuracy*float64(n) {
			t.Errorf("the sum of the eigenvalues differs from the trace by %.1e", cmplx.Abs(trace))
		}
		values := must[[]complex128](t)(linalg.Eigenvalues(a))
		if len(values) != n {
			t.Errorf("%d eigenvalues of %d", len(values), n)
		}
	})
}

// mirrored returns the symmetric matrix of the lower triangle.
func mirrored(a mat.Matrix) *mat.Dense {
	m := mat.DenseCopyOf(a)
	m.Apply(func(i, j int, _ float64) float64 { return a.At(max(i, j), min(i, j)) }, m)
	return m
}

func TestEigenSymContract(t *testing.T) {
	t.Parallel()
	forSamples(t, true, func(t *testing.T, a mat.Matrix) {
		f := must[linalg.EigenSymFactors](t)(linalg.EigenSym(a))
		if !slices.IsSorted(f.Values) {
			t.Fatalf("eigenvalues are %v", f.Values)
		}
		hasOrthonormalColumns(t, "vectors", f.Vectors)
		near(t, "eigenvalues", must[[]float64](t)(linalg.EigenvaluesSym(a)), f.Values, tolerance)
		want := mirrored(a)
		values := slices.Clone(f.Values)
		for i := range values {
			values[i] /= largest(want)
		}
		isProduct(t, "V·D·Vᵀ", shrunk(want), f.Vectors, mat.NewDiagDense(len(values), values), f.Vectors.T())
	})
}

func TestCholeskyContract(t *testing.T) {
	t.Parallel()
	forSamples(t, true, func(t *testing.T, a mat.Matrix) {
		if largest(a) > 1e100 || largest(a) < 1e-100 {
			return // its square is out of range
		}
		n, _ := a.Dims()
		var definite mat.Dense
		definite.Mul(a, a.T())
		more := largest(&definite) / 1000
		for i := range n {
			definite.Set(i, i, definite.At(i, i)+more)
		}
		for i := range n {
			for j := i + 1; j < n; j++ {
				definite.Set(i, j, math.Inf(1)) // not read
			}
		}
		l := must[*mat.Dense](t)(linalg.Cholesky(&definite))
		for i := range n {
			for j := i + 1; j < n; j++ {
				if l.At(i, j) != 0 {
					t.Fatalf("%g above the diagonal", l.At(i, j))
				}
			}
		}
		isProduct(t, "L·Lᵀ", mirrored(&definite), l, l.T())
	})
}

func TestSolveContract(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{1, 2, 17, 100} {
		for _, scale := range []float64{1, 1e150, 1e-150} {
			a, x := random(rng, n, n), random(rng, n, 3)
			for i := range n {
				a.Set(i, i, a.At(i, i)+float64(2*n))
			}
			var b mat.Dense
			b.Mul(a, x)
			a.Scale(scale, a)
			b.Scale(scale, &b)
			got := must[*mat.Dense](t)(linalg.Solve(a, &b))
			if !mat.EqualApprox(got, x, accuracy*float64(n)) {
				t.Errorf("%d×%d at scale %g: wrong solution", n, n, scale)
			}
			one := must[*mat.Dense](t)(linalg.Solve(a, b.ColView(1)))
			if !mat.EqualApprox(one, x.ColView(1), accuracy*float64(n)) {
				t.Errorf("%d×%d at scale %g: wrong solution for a vector", n, n, scale)
			}
			// A transpose is read as what it stands for.
			b.Mul(a.T(), x)
			if got := must[*mat.Dense](t)(linalg.Solve(a.T(), &b)); !mat.EqualApprox(got, x, accuracy*float64(n)) {
				t.Errorf("%d×%d at scale %g: wrong solution for a transpose", n, n, scale)
			}
		}
	}
}

// calls are all functions of the package on one matrix.
var calls = map[string]func(a mat.Matrix) error{
	"SVD":            func(a mat.Matrix) error { _, err := linalg.SVD(a); return err },
	"ThinSVD":        func(a mat.Matrix) error { _, err := linalg.ThinSVD(a); return err },
	"SingularValues": func(a mat.Matrix) error { _, err := linalg.SingularValues(a); return err },
	"Eigen":          func(a mat.Matrix) error { _, err := linalg.Eigen(a); return err },
	"Eigenvalues":    func(a mat.Matrix) error { _, err := linalg.Eigenvalues(a); return err },
	"EigenSym":       func(a mat.Matrix) error { _, err := linalg.EigenSym(a); return err },
	"EigenvaluesSym": func(a mat.Matrix) error { _, err := linalg.EigenvaluesSym(a); return err },
	"QR":             func(a mat.Matrix) error { _, err := linalg.QR(a); return err },
	"ThinQR":         func(a mat.Matrix) error { _, err := linalg.ThinQR(a); return err },
	"Cholesky":       func(a mat.Matrix) error { _, err := linalg.Cholesky(a); return err },
	"Solve": func(a mat.Matrix) error {
		_, err := linalg.Solve(a, mat.NewDense(3, 1, []float64{1, 1, 1}))
		return err
	},
	"Solve, right": func(a mat.Matrix) error {
		_, err := linalg.Solve(mat.NewDiagDense(3, []float64{1, 1, 1}), a)
		return err
	},
}

func TestRefused(t *testing.T) {
	t.Parallel()
	var none *mat.Dense
	with := func(i, j int, v float64) mat.Matrix {
		m := mat.NewDense(3, 3, []float64{4, 1, 1, 1, 4, 1, 1, 1, 4})
		m.Set(i, j, v)
		return m
	}
	for _, tc := range []struct {
		name string
		a    mat.Matrix
		want error
		text string
	}{
		{"NaN", with(1, 0, math.NaN()), linalg.ErrNotFinite, "element (1, 0) is NaN"},
		{"infinity", with(2, 1, math.Inf(1)), linalg.ErrNotFinite, "element (2, 1) is +Inf"},
		{"minus infinity", with(2, 2, math.Inf(-1)), linalg.ErrNotFinite, "3×3 matrix"},
		{"a nil pointer", none, linalg.ErrShape, "cannot be read"},
		{"nil", nil, linalg.ErrShape, "nil"},
		{"elements that are not there", array{Rows: 3, Cols: 3}, linalg.ErrShape, "cannot be read"},
		{"a negative shape", array{Rows: -3, Cols: -3}, linalg.ErrShape, "-3×-3"},
	} {
		for name, call := range calls {
			err := call(tc.a)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) || !strings.HasPrefix(err.Error(), "linalg: ") {
				t.Errorf("%s of %s: %v, want %q with %q", name, tc.name, err, tc.want, tc.text)
			}
		}
	}
	for _, tc := range []struct {
		name string
		a, b mat.Matrix
	}{
		{"fewer rows", mat.NewDense(3, 3, nil), mat.NewDense(2, 1, nil)},
		{"more rows", mat.NewDense(3, 3, nil), mat.NewDense(4, 1, nil)},
		{"more rows than none", new(mat.Dense), mat.NewDense(4, 1, nil)},
	} {
		if _, err := linalg.Solve(tc.a, tc.b); !errors.Is(err, linalg.ErrShape) {
			t.Errorf("Solve with %s on the right: %v", tc.name, err)
		}
	}
	// The triangle that is not read may hold anything.
	for _, name := range []string{"EigenSym", "EigenvaluesSym", "Cholesky"} {
		if err := calls[name](with(0, 2, math.NaN())); err != nil {
			t.Errorf("%s looks at the upper triangle: %v", name, err)
		}
	}
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	huge := mat.NewDense(3, 3, slices.Repeat([]float64{1.5e308}, 9))
	for _, name := range []string{"SVD", "ThinSVD", "SingularValues", "Eigenvalues", "EigenvaluesSym"} {
		if err := calls[name](huge); !errors.Is(err, linalg.ErrNotFinite) {
			t.Errorf("%s: %v, want ErrNotFinite", name, err)
		}
	}
	if _, err := linalg.Solve(mat.NewDense(1, 1, []float64{1e-300}), mat.NewDense(1, 1, []float64{1e300})); !errors.Is(err, linalg.ErrNotFinite) {
		t.Errorf("Solve: %v, want ErrNotFinite", err)
	}
	if err := calls["SVD"](column(1 << 18)); !errors.Is(err, linalg.ErrShape) || !strings.Contains(err.Error(), "ThinSVD") {
		t.Errorf("a U of 512 GiB: %v", err)
	}
	if err := calls["QR"](column(1 << 18)); !errors.Is(err, linalg.ErrShape) || !strings.Contains(err.Error(), "ThinQR") {
		t.Errorf("a Q of 512 GiB: %v", err)
	}
}

// column is a column of ones.
type column int

func (c column) Dims() (rows, cols int) { return int(c), 1 }
func (c column) At(_, _ int) float64    { return 1 }
func (c column) T() mat.Matrix          { return mat.Transpose{Matrix: c} }

// TestConcurrent compares what many goroutines get with what one gets.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	a := random(rng, 50, 50)
	for i := range 50 {
		a.Set(i, i, a.At(i, i)+100)
	}
	type results struct {
		SVD   linalg.SVDFactors
		Eigen linalg.EigenFactors
		Sym   linalg.EigenSymFactors
		QR    linalg.QRFactors
		X     *mat.Dense
	}
	all := func() (r results, err error) {
		var errs [5]error
		r.SVD, errs[0] = linalg.SVD(a)
		r.Eigen, errs[1] = linalg.Eigen(a)
		r.Sym, errs[2] = linalg.EigenSym(a)
		r.QR, errs[3] = linalg.QR(a)
		r.X, errs[4] = linalg.Solve(a, a)
		return r, errors.Join(errs[:]...)
	}
	want := must[results](t)(all())
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 3 {
				got, err := all()
				if err != nil {
					t.Error(err)
					return
				}
				if !reflect.DeepEqual(want, got) {
					t.Error("not the same bits")
					return
				}
			}
		})
	}
	wg.Wait()
}
