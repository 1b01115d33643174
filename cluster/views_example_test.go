//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// above counts the volumes of this engine's part that are above the mean.
var above = parade.FuncContext("example.above", func(ctx context.Context, mean float64) (int, error) {
	volumes, err := parade.Value[[]float64](ctx, "volumes")
	n := 0
	for _, v := range volumes {
		if v > mean {
			n++
		}
	}
	return n, err
})

// Values stay with the engines of a view, under names.
func ExampleScatter() {
	if err := scatter(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [2 1]
	// [[1 5 6] [2 7]]
	// [1 5 6 2 7]
}

func scatter(ctx context.Context) (err error) {
	client, end, err := twoEngines(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()

	view := client.Direct()
	if err := cluster.Scatter(ctx, view, "volumes", []float64{1, 5, 6, 2, 7}); err != nil {
		return err
	}
	counts, err := cluster.Apply(ctx, view, above, 4)
	if err != nil {
		return err
	}
	fmt.Println(counts)
	parts, err := cluster.Pull[[]float64](ctx, view, "volumes")
	if err != nil {
		return err
	}
	fmt.Println(parts)
	all, err := cluster.Gather[float64](ctx, view, "volumes")
	fmt.Println(all)
	return err
}

// twoEngines is a client of a cluster of two engines in this process.
func twoEngines(ctx context.Context) (*cluster.Client, func() error, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, nil, err
	}
	l, err := openLab(ctx, dir, dir, 2, 1)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l.client, func() error { return errors.Join(l.Close(), os.RemoveAll(dir)) }, nil
}
