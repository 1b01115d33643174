package parade

import (
	"context"
	"errors"
	"fmt"

	"github.com/parade-go/parade/internal/wire"
)

// Kept says where a result is that stayed where an executor keeps it; see [Keep].
type Kept struct {
	Hash [32]byte // SHA-256 of the encoded result
	Size int64    // in bytes
}

// Keep makes of f a function for executors that can keep results with them, such as a
// view of a cluster: what comes back says where they are. The second value is what is known
// of every result: its type, and the shape of its encoding. Other executors refuse it.
func Keep[A, R any](f *Function[A, R]) (*Function[A, Kept], ValueData) {
	k := &Function[A, Kept]{
		name: f.name, context: f.context, in: f.in, unsent: f.unsent, declared: f.declared, bound: f.bound, keeps: true,
		call: func(context.Context, A) (Kept, error) { return Kept{}, errKeeps },
	}
	k.out, _ = wire.For[Kept]() // a plain type
	var of ValueData
	if f.unsent == nil {
		of.Type, of.Shape = typeName[R](), f.out.Fingerprint()
	}
	return k, of
}

var errKeeps = errors.New("this executor cannot keep results; a view of a cluster can")

// Keeps says whether results are to stay where they were computed; see [Answer.Keep].
func (p *Post) Keeps() bool { return p.job.keeps }

// Keep puts a [Kept] in the place of each result, which store has stored.
func (a Answer) Keep(store func(result []byte) (Kept, error)) error {
	codec, err := wire.For[Kept]()
	if err != nil {
		return err
	}
	failed := map[int]bool{}
	for _, f := range a.chunk.failures {
		failed[f.offset] = true
	}
	for i, result := range a.chunk.results {
		if failed[i] {
			continue
		}
		kept, err := store(result)
		if err != nil {
			return fmt.Errorf("keeping the result of task %d: %w", a.chunk.First+i, err)
		}
		var b wire.Buffer
		if err := codec.Append(&b, []Kept{kept}); err != nil {
			return err
		}
		a.chunk.results[i] = b.AppendTo(nil)
	}
	return nil
}
