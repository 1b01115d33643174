package linalg_test

import (
	"fmt"

	"github.com/parade-go/parade/linalg"
	"gonum.org/v1/gonum/mat"
)

func Example() {
	a := mat.NewDense(3, 2, []float64{2, 0, 0, 3, 0, 0})
	f, err := linalg.SVD(a)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, _ := f.U.Dims()
	n, _ := f.VT.Dims()
	fmt.Printf("%.0f, U is %d×%d, VT %d×%d\n", f.S, m, m, n, n)
	// Output: [3 2], U is 3×3, VT 2×2
}

func ExampleSolve() {
	a := mat.NewDense(2, 2, []float64{3, 1, 1, 2})
	b := mat.NewVecDense(2, []float64{9, 8})
	x, err := linalg.Solve(a, b)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", mat.Formatted(x))
	// Output:
	// ⎡2.000⎤
	// ⎣3.000⎦
}
