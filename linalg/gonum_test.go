package linalg

import (
	"strings"
	"testing"
)

// gonum panics where LAPACK returns; that must stay an error.
func TestGonumPanics(t *testing.T) {
	t.Parallel()
	short := matrix{rows: 3, cols: 3, data: make([]float64, 4)}
	for name, err := range map[string]error{
		"svd":      pure{}.svd(full, short, newMatrix(3, 3), make([]float64, 3), newMatrix(3, 3)),
		"eigen":    pure{}.eigen(short, make([]float64, 3), make([]float64, 3), newMatrix(3, 3)),
		"eigenSym": pure{}.eigenSym(short, make([]float64, 3), true),
		"qr":       pure{}.qr(short, newMatrix(3, 3)),
		"cholesky": pure{}.cholesky(short),
		"solve":    pure{}.solve(short, newMatrix(3, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), "gonum: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
