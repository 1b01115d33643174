package parade_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/parade-go/parade"
)

// three numbers of the stream that the documentation of Rand promises.
func documented(seed uint64, index int) [3]uint64 {
	b := []byte("parade.Rand")
	b = binary.LittleEndian.AppendUint64(b, seed)
	b = binary.LittleEndian.AppendUint64(b, uint64(index))
	r := rand.New(rand.NewChaCha8(sha256.Sum256(b)))
	return [3]uint64{r.Uint64(), r.Uint64(), r.Uint64()}
}

var three = parade.PureContext("test.three", func(ctx context.Context, _ int) [3]uint64 {
	r := parade.Rand(ctx)
	return [3]uint64{r.Uint64(), r.Uint64(), parade.Rand(ctx).Uint64()}
})

// threeWithin draws in a task of a job within a task, after both have begun.
var threeWithin = parade.FuncContext("test.threeWithin", func(ctx context.Context, i int) ([2][3]uint64, error) {
	outer := parade.Rand(ctx)
	first := outer.Uint64()
	inner, err := parade.Map(ctx, parade.Serial(), three, []int{0, 0}, parade.Seed(99))
	if err != nil {
		return [2][3]uint64{}, err
	}
	return [2][3]uint64{{first, outer.Uint64(), outer.Uint64()}, inner[1]}, nil
})

func TestRandIsDocumented(t *testing.T) {
	t.Parallel()
	ex := parade.Threads(3)
	defer ex.Close()
	for _, seed := range []uint64{0, 1, 1 << 63} {
		out, err := parade.Map(t.Context(), ex, three, make([]int, 300), parade.Seed(seed))
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range out {
			if want := documented(seed, i); got != want {
				t.Fatalf("seed %d, input %d: %v, want %v", seed, i, got, want)
			}
		}
	}
}

func TestRandOutsideATask(t *testing.T) {
	t.Parallel()
	for range 2 {
		if got, want := three.Name(), "test.three"; got != want {
			t.Errorf("name %q, want %q", got, want)
		}
		got, err := three.Call(t.Context(), 0)
		r := documented(0, 0)
		// Every call of Rand begins a new stream there.
		if want := [3]uint64{r[0], r[1], r[0]}; err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
}

func TestRandNested(t *testing.T) {
	t.Parallel()
	ex := parade.Threads(2)
	defer ex.Close()
	out, err := parade.Map(t.Context(), ex, threeWithin, make([]int, 20), parade.Seed(5))
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range out {
		if want := [2][3]uint64{documented(5, i), documented(99, 1)}; got != want {
			t.Fatalf("input %d: %v, want %v", i, got, want)
		}
	}
}
