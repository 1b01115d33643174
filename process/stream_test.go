//go:build unix

package process_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/process"
)

var mix = parade.Pure("process.mix", func(v uint64) uint64 { return v*0x9e3779b97f4a7c15 ^ v>>7 })

// Not parallel: it measures the heap. With PARADE_TEST_STREAM=10000000 it takes
// ten million inputs.
func TestStreamMemory(t *testing.T) {
	n := 1_000_000
	if s := os.Getenv("PARADE_TEST_STREAM"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	ex, err := process.Open(ctx, process.Config{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	inputs := func(yield func(uint64) bool) {
		for i := range uint64(n) {
			if !yield(i) {
				return
			}
		}
	}
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	peak := before.HeapAlloc
	next := uint64(0)
	for r := range parade.Stream(ctx, ex, mix, inputs) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if want := next*0x9e3779b97f4a7c15 ^ next>>7; uint64(r.Index) != next || r.Value != want {
			t.Fatalf("result %d is %+v, want %d", next, r, want)
		}
		if next++; next%10_000 == 0 {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
	}
	if next != uint64(n) {
		t.Errorf("%d results for %d inputs", next, n)
	}
	used := (peak - before.HeapAlloc) >> 20
	t.Logf("%d inputs, peak heap %d MiB above %d MiB", n, used, before.HeapAlloc>>20)
	if used > 64 {
		t.Errorf("the heap grew by %d MiB, want at most 64, whatever the number of inputs", used)
	}
}

// sample is an input and a result of the program that TestIdentical runs.
type sample struct {
	Gain  float64
	Trace []float64
	Tags  map[string]float64
}

var simulate = parade.Func2Context("process.simulate", func(ctx context.Context, gain []float64, s sample) (sample, error) {
	r := parade.Rand(ctx)
	out := sample{Gain: s.Gain * gain[r.IntN(len(gain))], Tags: map[string]float64{}}
	for _, x := range s.Trace {
		out.Trace = append(out.Trace, math.Exp(-x*x)+r.NormFloat64())
	}
	for k, v := range s.Tags {
		out.Tags[k] = v * out.Gain
	}
	task, _ := parade.TaskOf(ctx)
	if task.Index%17 == 3 && task.Attempt == 1 {
		return out, fmt.Errorf("unlucky")
	}
	return out, nil
})

// The same program gives the same bits everywhere.
func TestIdentical(t *testing.T) {
	t.Parallel()
	gain := make([]float64, 20_000) // above what travels with the job's header
	for i := range gain {
		gain[i] = math.Sqrt(float64(i))
	}
	in := make([]sample, 500)
	for i := range in {
		in[i] = sample{float64(i) / 7, make([]float64, i%40), map[string]float64{"a": float64(i), "b": math.Copysign(0, -1)}}
		for k := range in[i].Trace {
			in[i].Trace[k] = float64(k) / float64(i)
		}
	}
	specs := []string{"serial"}
	for n := range 8 {
		specs = append(specs, fmt.Sprintf("threads:%d", n+1), fmt.Sprintf("processes:%d", n+1))
	}
	var want [sha256.Size]byte
	for _, spec := range specs {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		ex, err := parade.Open(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		out, err := parade.Map(ctx, ex, parade.Bind(simulate, gain), in, parade.Seed(11), parade.Retries(1))
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		var streamed []sample
		for r := range parade.Stream(ctx, ex, parade.Bind(simulate, gain), slices.Values(in), parade.Seed(11), parade.Retries(1)) {
			if r.Err != nil {
				t.Fatalf("%s: %v", spec, r.Err)
			}
			streamed = append(streamed, r.Value)
		}
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		sum := digest(out)
		if digest(streamed) != sum {
			t.Errorf("%s: Stream differs from Map", spec)
		}
		if want == [sha256.Size]byte{} {
			want = sum
		}
		if sum != want {
			t.Errorf("%s differs from %s", spec, specs[0])
		}
	}
}

func digest(all []sample) [sha256.Size]byte {
	var b []byte
	for _, s := range all {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.Gain))
		for _, x := range s.Trace {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		for _, k := range []string{"a", "b"} {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.Tags[k]))
		}
		b = append(b, '\n')
	}
	return sha256.Sum256(b)
}
