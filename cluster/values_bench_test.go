//go:build unix

package cluster_test

import (
	"context"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// middle reads one number of a value.
var middle = parade.FuncContext("cluster.middle", func(ctx context.Context, name string) (float64, error) {
	numbers, err := parade.Value[[]float64](ctx, name)
	if err != nil {
		return 0, err
	}
	return numbers[len(numbers)/2], nil
})

// BenchmarkValue is one call that reads a number of a value of 8 MB: one that was pushed
// before, and one that comes with each call; and a call that does not look at what was pushed.
func BenchmarkValue(b *testing.B) {
	l := openBench(b)
	numbers := counted(1 << 20)
	view := l.client.LoadBalanced()
	if err := cluster.Push(b.Context(), view, "numbers", numbers); err != nil {
		b.Fatal(err)
	}
	b.Run("pushed", func(b *testing.B) {
		for b.Loop() {
			if _, err := parade.Go(b.Context(), view, middle, "numbers").Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unused", func(b *testing.B) {
		for b.Loop() {
			if _, err := parade.Go(b.Context(), view, square, 3).Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := cluster.Delete(b.Context(), view, "numbers"); err != nil {
		b.Fatal(err)
	}
	b.Run("with the call", func(b *testing.B) {
		for b.Loop() {
			if _, err := parade.Go(b.Context(), view, middle, "numbers", parade.With("numbers", numbers)).Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("none", func(b *testing.B) {
		for b.Loop() {
			if _, err := parade.Go(b.Context(), view, square, 3).Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
