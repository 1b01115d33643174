//go:build unix

package process_test

import (
	"context"
	"fmt"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/process"
)

var square = parade.Pure("process.square", func(x float64) float64 { return x * x })

func ExampleOpen() {
	ctx := context.Background()
	ex, err := process.Open(ctx, process.Config{Workers: 2, MaxTasks: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ex.Close()
	squares, err := parade.Map(ctx, ex, square, []float64{1, 2, 3})
	fmt.Println(squares, err)
	// Output: [1 4 9] <nil>
}
