package linalg_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/parade-go/parade/linalg"
	"gonum.org/v1/gonum/mat"
)

// golden is testdata/linalg.json; linalg.py says how it was made, and the tolerances.
type golden struct {
	Cases []struct {
		Name        string
		A           array
		S           numbers
		Shapes      [4][2]int // U, VT, and those of the thin decomposition
		R           numbers
		Eigenvalues []numbers // real and imaginary parts
		Symmetric   numbers
		Cholesky    numbers
		NotPositive string `json:"not positive definite"`
		Solution    numbers
		Condition   float64
		Singular    string
	}
	Empty []struct {
		Rows, Cols int
		SVD        [3][]int
		U, VT      numbers
		Thin       [3][]int
		QR         [2][]int
		Q          numbers
		ThinQR     [2][]int `json:"thin qr"`
	}
	Refused []struct{ Name, Error string }
}

// numbers are floats in hexadecimal.
type numbers []float64

func (n *numbers) UnmarshalJSON(data []byte) error {
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		return err
	}
	*n = make(numbers, len(texts))
	for i, text := range texts {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		(*n)[i] = v
	}
	return nil
}

type array struct {
	Rows, Cols int
	Data       numbers
}

// Dims, At and T make an array of any shape, 0×5 too, a mat.Matrix.
func (a array) Dims() (rows, cols int) { return a.Rows, a.Cols }
func (a array) At(i, j int) float64    { return a.Data[i*a.Cols+j] }
func (a array) T() mat.Matrix          { return mat.Transpose{Matrix: a} }

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/linalg.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) == 0 || len(g.Empty) == 0 || len(g.Refused) == 0 {
		t.Fatal("the golden file is not complete")
	}
	return g
}

// near compares with a tolerance relative to the largest of want, as numbers of LAPACK
// are accurate.
func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i, v := range got {
		if d := math.Abs(v - want[i]); !(d <= tolerance*largest || d <= 4*math.SmallestNonzeroFloat64) {
			t.Errorf("%s[%d] is %g, want %g: off by %.1e of the largest", what, i, v, want[i], d/largest)
		}
	}
}

// elements returns the elements row by row, or their absolute values.
func elements(m mat.Matrix, absolute bool) []float64 {
	rows, cols := m.Dims()
	var all []float64
	for i := range rows {
		for j := range cols {
			v := m.At(i, j)
			if absolute {
				v = math.Abs(v)
			}
			all = append(all, v)
		}
	}
	return all
}

func hasShape(t *testing.T, what string, m mat.Matrix, want ...int) {
	t.Helper()
	if want[0]*want[1] == 0 {
		want = []int{0, 0} // gonum has no others
	}
	if rows, cols := m.Dims(); rows != want[0] || cols != want[1] {
		t.Errorf("%s is %d×%d, want %d×%d", what, rows, cols, want[0], want[1])
	}
}

const tolerance = 1e-13

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			full, err := linalg.SVD(c.A)
			if err != nil {
				t.Fatal(err)
			}
			slim, err := linalg.ThinSVD(c.A)
			if err != nil {
				t.Fatal(err)
			}
			values, err := linalg.SingularValues(c.A)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "S", full.S, c.S, tolerance)
			near(t, "thin S", slim.S, c.S, tolerance)
			near(t, "singular values", values, c.S, tolerance)
			for i, m := range []*mat.Dense{full.U, full.VT, slim.U, slim.VT} {
				hasShape(t, []string{"U", "VT", "thin U", "thin VT"}[i], m, c.Shapes[i][:]...)
			}
			if c.R != nil {
				q, err := linalg.ThinQR(c.A)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "|R|", elements(q.R, true), c.R, tolerance)
			}
			if c.Symmetric == nil {
				return
			}
			symmetric, err := linalg.EigenvaluesSym(c.A)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "symmetric eigenvalues", symmetric, c.Symmetric, tolerance)
			l, err := linalg.Cholesky(c.A)
			switch {
			case c.NotPositive != "" && !errors.Is(err, linalg.ErrNotPositiveDefinite):
				t.Errorf("Cholesky gave %v, want ErrNotPositiveDefinite as numpy (%s)", err, c.NotPositive)
			case c.Cholesky != nil && err != nil:
				t.Error(err)
			case c.Cholesky != nil:
				near(t, "L", elements(l, false), c.Cholesky, tolerance)
			}
			if c.Eigenvalues != nil {
				values, err := linalg.Eigenvalues(c.A)
				if err != nil {
					t.Fatal(err)
				}
				want := make([]complex128, len(values))
				for i := range want {
					want[i] = complex(c.Eigenvalues[0][i], c.Eigenvalues[1][i])
				}
				near(t, "eigenvalues", flat(values), flat(want), tolerance)
			}
			b := array{c.A.Rows, 2, make(numbers, 2*c.A.Rows)}
			for i := range b.Data {
				b.Data[i] = float64(i + 1)
			}
			x, err := linalg.Solve(c.A, b)
			switch {
			case c.Singular != "" && !errors.Is(err, linalg.ErrSingular):
				t.Errorf("Solve gave %v, want ErrSingular as numpy (%s)", err, c.Singular)
			case c.Solution != nil && err != nil:
				t.Error(err)
			case c.Solution != nil:
				near(t, "X", elements(x, false), c.Solution, tolerance*max(1, c.Condition))
			}
		})
	}
}

// flat sorts complex numbers by real part, those that differ by rounding only by their
// imaginary part, and lists the parts.
func flat(values []complex128) []float64 {
	values = slices.Clone(values)
	round := func(v float64) float64 { return math.Round(v*1e9) / 1e9 }
	slices.SortFunc(values, func(a, b complex128) int {
		return cmp.Or(cmp.Compare(round(real(a)), round(real(b))), cmp.Compare(imag(a), imag(b)))
	})
	var parts []float64
	for _, v := range values {
		parts = append(parts, real(v), imag(v))
	}
	return parts
}

func TestGoldenEmpty(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Empty {
		a := array{Rows: c.Rows, Cols: c.Cols}
		full, err := linalg.SVD(a)
		if err != nil {
			t.Fatal(err)
		}
		hasShape(t, "U", full.U, c.SVD[0]...)
		hasShape(t, "VT", full.VT, c.SVD[2]...)
		near(t, "U", elements(full.U, false), c.U, 0)
		near(t, "VT", elements(full.VT, false), c.VT, 0)
		slim, err := linalg.ThinSVD(a)
		if err != nil {
			t.Fatal(err)
		}
		hasShape(t, "thin U", slim.U, c.Thin[0]...)
		hasShape(t, "thin VT", slim.VT, c.Thin[2]...)
		values, err := linalg.SingularValues(a)
		if err != nil {
			t.Fatal(err)
		}
		if full.S == nil || len(full.S)+len(slim.S)+len(values) != 0 {
			t.Errorf("singular values of a %d×%d matrix: %v, %v, %v", c.Rows, c.Cols, full.S, slim.S, values)
		}
		complete, err := linalg.QR(a)
		if err != nil {
			t.Fatal(err)
		}
		hasShape(t, "Q", complete.Q, c.QR[0]...)
		hasShape(t, "R", complete.R, c.QR[1]...)
		near(t, "Q", elements(complete.Q, false), c.Q, 0)
		reduced, err := linalg.ThinQR(a)
		if err != nil {
			t.Fatal(err)
		}
		hasShape(t, "thin Q", reduced.Q, c.ThinQR[0]...)
		hasShape(t, "thin R", reduced.R, c.ThinQR[1]...)
	}
	// As numpy, which gives arrays without elements.
	none := new(mat.Dense)
	if f, err := linalg.Eigen(none); err != nil || len(f.Values) != 0 || f.Vectors == nil {
		t.Errorf("Eigen: %v, %v", f, err)
	}
	if f, err := linalg.EigenSym(none); err != nil || len(f.Values) != 0 || f.Vectors == nil {
		t.Errorf("EigenSym: %v, %v", f, err)
	}
	if l, err := linalg.Cholesky(none); err != nil || !l.IsEmpty() {
		t.Errorf("Cholesky: %v, %v", l, err)
	}
	if x, err := linalg.Solve(none, none); err != nil || !x.IsEmpty() {
		t.Errorf("Solve: %v, %v", x, err)
	}
	if x, err := linalg.Solve(mat.NewDense(2, 2, []float64{1, 0, 0, 1}), array{Rows: 2}); err != nil || !x.IsEmpty() {
		t.Errorf("Solve with 2×0: %v, %v", x, err)
	}
}

func TestGoldenRefused(t *testing.T) {
	t.Parallel()
	wide, tall := mat.NewDense(2, 3, nil), mat.NewDense(3, 2, nil)
	calls := map[string]struct {
		call func() error
		want error
	}{
		"eigen of 2x3":           {func() error { _, err := linalg.Eigen(wide); return err }, linalg.ErrShape},
		"eigenvalues of 2x3":     {func() error { _, err := linalg.Eigenvalues(wide); return err }, linalg.ErrShape},
		"symmetric of 2x3":       {func() error { _, err := linalg.EigenSym(wide); return err }, linalg.ErrShape},
		"cholesky of 3x2":        {func() error { _, err := linalg.Cholesky(tall); return err }, linalg.ErrShape},
		"cholesky, negative":     {func() error { _, err := linalg.Cholesky(mat.NewDense(2, 2, []float64{1, 0, 0, -1})); return err }, linalg.ErrNotPositiveDefinite},
		"cholesky, semidefinite": {func() error { _, err := linalg.Cholesky(mat.NewDense(2, 2, nil)); return err }, linalg.ErrNotPositiveDefinite},
		"solve 3x2":              {func() error { _, err := linalg.Solve(tall, mat.NewDense(3, 1, nil)); return err }, linalg.ErrShape},
		"solve, singular": {func() error {
			_, err := linalg.Solve(mat.NewDense(2, 2, []float64{1, 2, 2, 4}), mat.NewDense(2, 1, []float64{1, 1}))
			return err
		}, linalg.ErrSingular},
		"solve, zero": {func() error {
			_, err := linalg.Solve(mat.NewDense(2, 2, nil), mat.NewDense(2, 1, []float64{1, 1}))
			return err
		}, linalg.ErrSingular},
	}
	refused := readGolden(t).Refused
	if len(refused) != len(calls) {
		t.Errorf("numpy refuses %d, tested are %d", len(refused), len(calls))
	}
	for _, r := range refused {
		c, ok := calls[r.Name]
		if !ok {
			t.Errorf("%s: no test", r.Name)
			continue
		}
		if err := c.call(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %q as numpy (%s)", r.Name, err, c.want, r.Error)
		}
	}
}
