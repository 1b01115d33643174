//go:build !static && ((linux && !android) || darwin) && (amd64 || arm64)

package linalg

import (
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/parade-go/parade/internal/cores"
	"gonum.org/v1/gonum/mat"
)

// TestGate lets many calls through while workers come and go, and watches what a library
// would see.
func TestGate(t *testing.T) {
	// Not parallel: the number of workers is the process's.
	defer wish.Store(wish.Swap(allCores))
	for _, own := range []func(int){nil, func(int) {}} {
		var running, set, changes atomic.Int64
		g := newGate("OMP_NUM_THREADS", func(n int) {
			if r := running.Load(); r != 0 {
				t.Errorf("the threads are set while %d calls run", r)
			}
			set.Store(int64(n))
			changes.Add(1)
		}, own)
		g.limit = granted()
		var calls sync.WaitGroup
		for range 16 {
			calls.Go(func() {
				for range 200 {
					g.enter()
					r := running.Add(1)
					if n := set.Load(); r*n > int64(granted()) {
						t.Errorf("%d calls with %d threads each on %d cores", r, n, granted())
					}
					running.Add(-1)
					g.leave()
				}
			})
		}
		stop := make(chan struct{})
		var flips sync.WaitGroup
		flips.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					cores.AddWorkers(granted())
					cores.AddWorkers(-granted())
				}
			}
		})
		calls.Wait()
		close(stop)
		flips.Wait()
		if changes.Load() == 0 || g.running != 0 {
			t.Errorf("the threads were set %d times, %d calls are left", changes.Load(), g.running)
		}
	}
}

func TestGateShares(t *testing.T) {
	defer wish.Store(wish.Swap(0))
	g := newGate("OMP_NUM_THREADS", nil, nil)
	g.limit = granted()
	if n := g.allowed(); n != 1 {
		t.Errorf("nothing asked: %d threads, want 1", n)
	}
	SetThreads(0)
	if n := g.allowed(); n != granted() {
		t.Errorf("all asked: %d threads, want %d", n, granted())
	}
	cores.AddWorkers(granted())
	if n := g.allowed(); n != 1 {
		t.Errorf("as many workers as cores: %d threads, want 1", n)
	}
	cores.AddWorkers(-granted())
	g.limit = 1
	if n := g.allowed(); n != 1 {
		t.Errorf("the user's limit: %d threads, want 1", n)
	}
	t.Setenv("OPENBLAS_NUM_THREADS", "1")
	if g := newGate("OPENBLAS_NUM_THREADS", nil, nil); g.limit != 1 {
		t.Errorf("OPENBLAS_NUM_THREADS=1: limit %d", g.limit)
	}
}

// TestThreadsOfOpenBLAS asks the library itself.
func TestThreadsOfOpenBLAS(t *testing.T) {
	b, err := Backend()
	if err != nil {
		t.Fatal(err)
	}
	if b.Name != "OpenBLAS" {
		return
	}
	handle, err := purego.Dlopen(b.Library, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	var get func() int32
	if !(handles{handle}).function(&get, "openblas_get_num_threads", "openblas_get_num_threads64_", "scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads") {
		t.Fatal("no openblas_get_num_threads")
	}
	defer wish.Store(wish.Load())
	a := mat.NewDense(2, 2, []float64{1, 2, 3, 4})
	for _, tc := range []struct{ ask, workers, want int }{
		{1, 0, 1}, {0, 0, choice().engine.(*native).gate.limit}, {0, granted(), 1}, {1, 0, 1},
	} {
		SetThreads(tc.ask)
		cores.AddWorkers(tc.workers)
		_, err := SVD(a)
		cores.AddWorkers(-tc.workers)
		if err != nil {
			t.Fatal(err)
		}
		if n := int(get()); n != tc.want {
			t.Errorf("%d asked, %d workers: OpenBLAS has %d threads, want %d", tc.ask, tc.workers, n, tc.want)
		}
	}
}

// TestOutcomes gives what a library can answer to routines that are not at fault.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	answer := func(info, size int64, max int64) *native {
		l := &native{max: max, gate: newGate("", nil, nil)}
		l.gesdd = func(_ *byte, _, _ *int64, _ *float64, _ *int64, _, _ *float64, _ *int64, _ *float64, _ *int64, work *float64, lwork, _, result *int64, _ uintptr) {
			if *lwork < 0 {
				*work = float64(size)
				return
			}
			*result = info
		}
		return l
	}
	for _, tc := range []struct {
		name string
		l    *native
		want error
		text string
	}{
		{"success", answer(0, 1, math.MaxInt32), nil, ""},
		{"not converged", answer(1, 1, math.MaxInt32), ErrNotConverged, ""},
		{"not converged, 64 bits", answer(7, 1, math.MaxInt64), ErrNotConverged, ""},
		// A library with 32-bit integers leaves the upper half alone.
		{"refused, 32 bits", answer(0xfffffffc, 1, math.MaxInt32), nil, "dgesdd of  refused its argument 4"},
		{"refused, 64 bits", answer(-4, 1, math.MaxInt64), nil, "refused its argument 4"},
		{"too much work space", answer(0, 1<<40, math.MaxInt32), ErrShape, "32-bit integers"},
	} {
		err := tc.l.svd(full, newMatrix(2, 2), newMatrix(2, 2), make([]float64, 2), newMatrix(2, 2))
		switch {
		case tc.want == nil && tc.text == "" && err != nil,
			tc.want != nil && !errors.Is(err, tc.want),
			tc.text != "" && (err == nil || !strings.Contains(err.Error(), tc.text)):
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	// What the routine would compute in 32 bits: 4·23200² is beyond.
	l := answer(0, 1, math.MaxInt32)
	if err := l.svd(full, matrix{rows: 23200, cols: 23200}, matrix{}, nil, matrix{}); !errors.Is(err, ErrShape) {
		t.Errorf("work space that overflows: %v", err)
	}
	if err := l.svd(full, matrix{rows: 1 << 31, cols: 1}, matrix{}, nil, matrix{}); !errors.Is(err, ErrShape) {
		t.Errorf("a side that overflows: %v", err)
	}
}
