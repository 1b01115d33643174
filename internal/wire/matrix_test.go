package wire

import (
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/cblas128"
	"gonum.org/v1/gonum/mat"
)

func TestMatrices(t *testing.T) {
	t.Parallel()
	numbers := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(i) + 0.5
		}
		return v
	}
	dense := mat.NewDense(30, 7, numbers(210))
	sym := mat.NewSymDense(4, numbers(16))
	vec := mat.NewVecDense(5, numbers(5))
	type model struct {
		Name    string
		Weights *mat.Dense
		Mean    mat.VecDense
		Parts   []mat.Dense
		Missing *mat.Dense
	}

	t.Run("dense", func(t *testing.T) {
		t.Parallel()
		if got := roundTrip(t, dense); !mat.Equal(got, dense) {
			t.Errorf("got %v", mat.Formatted(got))
		}
	})
	t.Run("a view", func(t *testing.T) {
		t.Parallel()
		view := dense.Slice(3, 9, 2, 5).(*mat.Dense)
		got := roundTrip(t, view)
		if !mat.Equal(got, view) {
			t.Errorf("got %v", mat.Formatted(got))
		}
		if n := len(encode(t, view)); n > 6*3*8+40 {
			t.Errorf("%d bytes for 18 numbers: numbers beside the view travelled", n)
		}
	})
	t.Run("a column", func(t *testing.T) {
		t.Parallel()
		column := dense.ColView(3).(*mat.VecDense)
		if got := roundTrip(t, column); !mat.Equal(got, column) {
			t.Errorf("got %v", mat.Formatted(got))
		}
	})
	t.Run("triangular", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []mat.TriKind{mat.Upper, mat.Lower} {
			tri := mat.NewTriDense(4, kind, numbers(16))
			if got := roundTrip(t, tri); !mat.Equal(got, tri) {
				t.Errorf("got %v", mat.Formatted(got))
			}
		}
	})
	t.Run("symmetric", func(t *testing.T) {
		t.Parallel()
		if got := roundTrip(t, sym); !mat.Equal(got, sym) {
			t.Errorf("got %v", mat.Formatted(got))
		}
	})
	t.Run("complex", func(t *testing.T) {
		t.Parallel()
		c := mat.NewCDense(2, 2, []complex128{1, 2i, 3, 4 + 5i})
		if got := roundTrip(t, c); !mat.CEqual(got, c) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("in a struct, and empty", func(t *testing.T) {
		t.Parallel()
		got := roundTrip(t, model{Name: "m", Weights: dense, Mean: *vec, Parts: []mat.Dense{{}, *dense}})
		if !mat.Equal(got.Weights, dense) || !mat.Equal(&got.Mean, vec) || got.Missing != nil ||
			len(got.Parts) != 2 || !got.Parts[0].IsEmpty() || !mat.Equal(&got.Parts[1], dense) {
			t.Errorf("got %+v", got)
		}
		got.Parts[0].ReuseAs(2, 2) // an empty matrix can still become any other
		if !roundTrip(t, new(mat.SymDense)).IsEmpty() || !roundTrip(t, new(mat.TriDense)).IsEmpty() ||
			!roundTrip(t, new(mat.VecDense)).IsEmpty() || !roundTrip(t, new(mat.CDense)).IsEmpty() {
			t.Error("an empty matrix came back with numbers")
		}
	})
	t.Run("size", func(t *testing.T) {
		t.Parallel()
		c, err := For[*mat.Dense]()
		if err != nil {
			t.Fatal(err)
		}
		v := dense
		if got, want := c.Size(&v), len(encode(t, v)); got < want-16 || got > want+64 {
			t.Errorf("size %d, encoded in %d", got, want)
		}
	})
}

func TestMatricesRefuse(t *testing.T) {
	t.Parallel()
	decodeAs := func(data []byte, into any) error {
		r := NewReader(data, false)
		switch into := into.(type) {
		case *[]mat.Dense:
			c, _ := For[mat.Dense]()
			return c.Decode(r, *into)
		case *[]mat.SymDense:
			c, _ := For[mat.SymDense]()
			return c.Decode(r, *into)
		case *[]mat.TriDense:
			c, _ := For[mat.TriDense]()
			return c.Decode(r, *into)
		case *[]mat.CDense:
			c, _ := For[mat.CDense]()
			return c.Decode(r, *into)
		}
		panic("unreachable")
	}
	for _, tc := range []struct {
		name string
		data []byte
		into any
	}{
		{"too few numbers", encode(t, blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: make([]float64, 3)}), &[]mat.Dense{{}}},
		{"numbers between the rows", encode(t, blas64.General{Rows: 2, Cols: 2, Stride: 3, Data: make([]float64, 5)}), &[]mat.Dense{{}}},
		{"negative", encode(t, blas64.General{Rows: -2, Cols: -2, Stride: -2, Data: make([]float64, 4)}), &[]mat.Dense{{}}},
		{"overflow", encode(t, blas64.General{Rows: 1 << 62, Cols: 4, Stride: 4}), &[]mat.Dense{{}}},
		{"numbers of an empty one", encode(t, blas64.General{Rows: 0, Cols: 4, Stride: 4, Data: make([]float64, 4)}), &[]mat.Dense{{}}},
		{"complex", encode(t, cblas128.General{Rows: 2, Cols: 2, Stride: 2}), &[]mat.CDense{{}}},
		{"a lower symmetric", encode(t, blas64.Symmetric{N: 1, Stride: 1, Data: make([]float64, 1), Uplo: blas.Lower}), &[]mat.SymDense{{}}},
		{"neither upper nor lower", encode(t, blas64.Triangular{N: 1, Stride: 1, Data: make([]float64, 1), Uplo: 'X', Diag: blas.NonUnit}), &[]mat.TriDense{{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := decodeAs(tc.data, tc.into); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("error %v, want one that says that the message is damaged", err)
			}
		})
	}
}

func BenchmarkMatrix(b *testing.B) {
	benchmarkCodec(b, []*mat.Dense{mat.NewDense(1000, 1000, nil)}, true)
}
