package smooth

import (
	"math"
	"testing"
)

func TestMinusLog(t *testing.T) {
	t.Parallel()
	for _, r := range []float64{1, 1 - 1e-16, 1 - 1e-9, 0.999, 0.75, 2.0 / 3, 0.66, 0.5, 1.0 / 3, 0.1, 1e-3, 1e-12, 1e-300} {
		got, want := minusLog(r), -math.Log(r)
		if !(math.Abs(got-want) <= 1e-9*want) {
			t.Errorf("-ln %v is %v, want %v", r, got, want)
		}
	}
	for r := 1e-4; r < 1; r += 1e-4 {
		got, want := minusLog(r), -math.Log(r)
		if !(math.Abs(got-want) <= 1e-9*want) {
			t.Fatalf("-ln %v is %v, want %v", r, got, want)
		}
	}
}
