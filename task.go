package parade

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// Task is what a running function can know of itself.
type Task struct {
	Func    string // declared name, "" for a closure
	Index   int    // position of its input
	Attempt int    // 1 for the first try
	Worker  string // where it runs
	Seed    uint64 // the job's seed
}

// TaskOf returns the task that ctx belongs to; ok is false outside a task.
func TaskOf(ctx context.Context) (t Task, ok bool) {
	if tc, found := ctx.Value(taskKey{}).(*taskContext); found {
		return tc.task(), true
	}
	return Task{}, false
}

// Rand returns the random stream of the task that ctx belongs to. Its numbers
// depend on the job's [Seed] and the input's index alone: they are the same on
// every executor, with any number of workers, and when a task is tried again.
// Calls within one task continue one stream, which is not safe for concurrent
// use. Tasks with the same seed and index in two jobs have the same stream;
// give jobs that must be independent different seeds.
//
// Outside a task it is a new stream of seed 0 and index 0, so that a function
// can be called directly in a test.
//
// The generator is ChaCha8 keyed with SHA-256("parade.Rand", seed, index), the
// two numbers as little-endian 64-bit words.
func Rand(ctx context.Context) *rand.Rand {
	if tc, ok := ctx.Value(taskKey{}).(*taskContext); ok {
		tc.once.Do(func() { tc.rand = stream(tc.run.seed, tc.index) })
		return tc.rand
	}
	return stream(0, 0)
}

func stream(seed uint64, index int) *rand.Rand {
	const label = "parade.Rand"
	var b [len(label) + 16]byte
	copy(b[:], label)
	binary.LittleEndian.PutUint64(b[len(label):], seed)
	binary.LittleEndian.PutUint64(b[len(label)+8:], uint64(index))
	return rand.New(rand.NewChaCha8(sha256.Sum256(b[:])))
}

// taskKey finds the innermost task in a context, so a nested job sees its own.
type taskKey struct{}

// taskContext is the context of one task. Unlike context.WithValue it needs
// one allocation for everything that a task may ask for.
type taskContext struct {
	context.Context
	run     *run
	index   int
	attempt int
	worker  string
	once    sync.Once
	rand    *rand.Rand
}

// Value returns the task itself under its key.
func (c *taskContext) Value(key any) any {
	if key == (taskKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func (c *taskContext) task() Task {
	return Task{Func: c.run.name, Index: c.index, Attempt: c.attempt, Worker: c.worker, Seed: c.run.seed}
}
