package parade_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/parade-go/parade"
)

var twice = parade.Pure("test.twice", func(v int) int { return 2 * v })

// counting is all integers from 0.
func counting(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// Not parallel: it measures the heap.
func TestStreamMemory(t *testing.T) {
	const n = 500_000
	for _, spec := range []string{"serial", "threads:2"} {
		t.Run(spec, func(t *testing.T) {
			ex, err := parade.Open(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			defer ex.Close()
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			peak := before.HeapAlloc
			for r := range parade.Stream(t.Context(), ex, twice, counting) {
				if r.Err != nil || r.Value != 2*r.Index {
					t.Fatalf("wrong result: %+v", r)
				}
				if r.Index%50_000 == 0 {
					runtime.GC() // what is garbage depends on the tests before
					runtime.ReadMemStats(&now)
					peak = max(peak, now.HeapAlloc)
				}
				if r.Index == n {
					break
				}
			}
			if grown := (peak - before.HeapAlloc) >> 20; grown > 32 {
				t.Errorf("the heap grew by %d MiB, want at most 32, whatever the number of inputs", grown)
			}
		})
	}
}

// On serial nothing is concurrent: an input is read when the result of the one
// before has been taken.
func TestStreamSerial(t *testing.T) {
	t.Parallel()
	ex := parade.Serial()
	defer ex.Close()
	var log []string
	inputs := func(yield func(int) bool) {
		for i := range 3 {
			log = append(log, "read")
			if !yield(i) {
				return
			}
		}
	}
	run := parade.Closure(func(_ context.Context, v int) (int, error) {
		log = append(log, "run")
		return v, nil
	})
	for range parade.Stream(t.Context(), ex, run, inputs) {
		log = append(log, "take")
	}
	if want := slices.Repeat([]string{"read", "run", "take"}, 3); !slices.Equal(log, want) {
		t.Errorf("the order is %v, want %v", log, want)
	}
}

// An input that comes late does not keep the results of earlier ones.
func TestStreamSlowSequence(t *testing.T) {
	t.Parallel()
	ex := parade.Threads(2)
	defer ex.Close()
	taken := make(chan struct{})
	inputs := func(yield func(int) bool) {
		for i := range 20 {
			if !yield(i) {
				return
			}
			select {
			case <-taken:
			case <-time.After(30 * time.Second):
				t.Errorf("result %d does not come before the next input", i)
				return
			}
		}
	}
	n := 0
	for r := range parade.Stream(t.Context(), ex, twice, inputs) {
		if r.Err != nil || r.Value != 2*n {
			t.Fatalf("result %d is %+v", n, r)
		}
		n++
		taken <- struct{}{}
	}
	if n != 20 {
		t.Errorf("%d results for 20 inputs", n)
	}
}

// A stream takes its time when the loop does, and a job within the loop runs.
func TestStreamNested(t *testing.T) {
	t.Parallel()
	ex := parade.Threads(1)
	defer ex.Close()
	n := 0
	for r := range parade.Stream(t.Context(), ex, twice, counting, parade.InFlight(4, 1<<10)) {
		out, err := parade.Map(t.Context(), ex, twice, []int{r.Value, r.Value})
		if err != nil || out[1] != 4*r.Index {
			t.Fatalf("the job at result %d gives %v, %v", r.Index, out, err)
		}
		if n++; n == 50 {
			break
		}
	}
}
