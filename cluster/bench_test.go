//go:build unix

package cluster_test

import (
	"testing"

	"github.com/parade-go/parade"
)

// openBench opens a cluster of two engines with one slot each, whose children are there.
func openBench(b *testing.B) *lab {
	b.Helper()
	l, err := openLab(b.Context(), b.TempDir(), b.TempDir(), 2, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := parade.Map(b.Context(), l, square, make([]int, 100), parade.BatchSize(1)); err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkRoundTrip(b *testing.B) {
	l := openBench(b)
	for b.Loop() {
		if _, err := parade.Go(b.Context(), l, square, 3).Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchOfOne(b *testing.B) {
	l := openBench(b)
	b.ResetTimer()
	if _, err := parade.Map(b.Context(), l, square, make([]int, b.N), parade.BatchSize(1)); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkAutomatic(b *testing.B) {
	l := openBench(b)
	b.ResetTimer()
	if _, err := parade.Map(b.Context(), l, square, make([]int, b.N)); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkFirstResult(b *testing.B) {
	cache := b.TempDir()
	for b.Loop() {
		l, err := openLab(b.Context(), b.TempDir(), cache, 2, 1)
		if err == nil {
			_, err = parade.Go(b.Context(), l, square, 3).Wait(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := l.Close(); err != nil {
			b.Error(err)
		}
		b.StartTimer()
	}
}
