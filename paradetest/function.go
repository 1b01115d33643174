package paradetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parade-go/parade"
)

// The functions that the tests run are declared here, once for every process.

// errRefused is what a user would declare with Sentinel, and errUnknown what
// he forgot to declare.
var (
	errRefused = parade.Sentinel("paradetest.errRefused", errors.New("refused"))
	errUnknown = errors.New("not known elsewhere")
)

// rangeError is what a user would declare with Type.
type rangeError struct {
	Value, Min, Max int
}

func (e *rangeError) Error() string {
	return fmt.Sprintf("%d is not in [%d, %d]", e.Value, e.Min, e.Max)
}

func init() { parade.Type[*rangeError]("paradetest.rangeError") }

// step is what one task is to do before it returns result(Value).
type step struct {
	Value int
	Act   string // "" for nothing special; see play
	Until int    // the last attempt that does it; 0: all do
	Sleep time.Duration
	Dir   string // of files by which tasks and test know of each other
	Gate  int    // see gateOf
}

// result is never 0, so that a missing result shows.
func result(value int) int { return 3*value + 1 }

var play = parade.FuncContext("paradetest.play", func(ctx context.Context, s step) (int, error) {
	task, _ := parade.TaskOf(ctx)
	if s.Sleep > 0 {
		select {
		case <-time.After(s.Sleep):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if s.Act == "" || s.Until > 0 && task.Attempt > s.Until {
		return result(s.Value), nil
	}
	return result(s.Value), act(ctx, s)
})

// refuse refuses what is not 0.
var refuse = parade.Func("paradetest.refuse", func(v int) (int, error) {
	if v != 0 {
		return 0, errRefused
	}
	return result(v), nil
})

func act(ctx context.Context, s step) error {
	switch s.Act {
	case "fail":
		return fmt.Errorf("no such value: %d", s.Value)
	case "sentinel":
		return fmt.Errorf("value %d: %w", s.Value, errRefused)
	case "unknown":
		return fmt.Errorf("value %d: %w", s.Value, errUnknown)
	case "typed":
		return fmt.Errorf("reading: %w", &rangeError{s.Value, 0, 5})
	case "joined":
		return errors.Join(io.ErrUnexpectedEOF, &rangeError{s.Value, 0, 5}, fmt.Errorf("and %w", errRefused))
	case "file":
		_, err := os.Open(filepath.Join(s.Dir, "missing"))
		return err
	case "nested":
		_, err := parade.Map(ctx, parade.Serial(), refuse, []int{0, 1})
		return err
	case "panic":
		panic(fmt.Sprintf("value %d went too far", s.Value))
	case "panic error":
		panic(errRefused)
	case "panic runtime":
		var none []int
		_ = none[s.Value]
	case "goexit":
		runtime.Goexit() // as FailNow does
	case "exit":
		os.Exit(3)
	case "kill":
		return killSelf()
	case "wait": // for the end of the task's context
		touch(s.Dir, "started-"+strconv.Itoa(s.Value))
		<-ctx.Done()
		touch(s.Dir, "ended-"+strconv.Itoa(s.Value))
		return ctx.Err()
	case "ignore": // the context, for ever or until the test ends
		touch(s.Dir, "started-"+strconv.Itoa(s.Value))
		<-gateOf(s.Gate)
	case "meet": // all tasks of the job, which takes as many workers
		touch(s.Dir, "here-"+strconv.Itoa(s.Value))
		for count(s.Dir, "here-*") < s.Gate {
			if err := pause(ctx); err != nil {
				return err
			}
		}
	case "await": // a file
		for count(s.Dir, "go") == 0 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("paradetest: unknown act %q", s.Act)
	}
	return nil
}

// steps returns n steps with the values from 0, changed by the given function.
func steps(n int, change func(s *step)) []step {
	all := make([]step, n)
	for i := range all {
		all[i].Value = i
		if change != nil {
			change(&all[i])
		}
	}
	return all
}

func killSelf() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {}
}

func touch(dir, name string) {
	if dir != "" {
		_ = os.WriteFile(filepath.Join(dir, name), nil, 0o600)
	}
}

func count(dir, pattern string) int {
	names, _ := filepath.Glob(filepath.Join(dir, pattern))
	return len(names)
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Millisecond):
		return nil
	}
}

// A gate holds up tasks that ignore their context. In the test's own process
// the test opens it in the end; in another one it stays shut.
var gates struct {
	sync.Mutex
	last int
	byID map[int]chan struct{}
}

func gateOf(id int) chan struct{} {
	gates.Lock()
	defer gates.Unlock()
	if gates.byID == nil {
		gates.byID = map[int]chan struct{}{}
	}
	g := gates.byID[id]
	if g == nil {
		g = make(chan struct{})
		gates.byID[id] = g
	}
	return g
}

// gate returns a new gate, which opens when the test ends.
func (s *suite) gate() int {
	gates.Lock()
	gates.last++
	id := gates.last
	gates.Unlock()
	g := gateOf(id)
	s.atEnd(func() { close(g) })
	return id
}

var triple = parade.Pure("paradetest.triple", result)

var pid = parade.Pure("paradetest.pid", func(step) int { return os.Getpid() })

// span is when and where a task ran, by the clock that all processes of a
// machine share.
type span struct {
	From, To int64
	PID      int
}

var spanOf = parade.Pure("paradetest.span", func(d time.Duration) span {
	from := time.Now().UnixNano()
	time.Sleep(d)
	return span{from, time.Now().UnixNano(), os.Getpid()}
})

// block makes results of a size that inputs do not tell.
var block = parade.Pure("paradetest.block", func(n int) []byte { return make([]byte, n) })

// scale returns its input with every number doubled.
var scale = parade.Pure("paradetest.scale", func(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = 2 * x
	}
	return out
})

// ring can hold itself, and then cannot be encoded.
type ring struct {
	Value int
	Next  *ring
}

func closed(value int) ring {
	r := &ring{Value: value}
	r.Next = r
	return *r
}

var makeRing = parade.Pure("paradetest.makeRing", func(s step) ring {
	if s.Act == "ring" {
		return closed(s.Value)
	}
	return ring{Value: s.Value}
})

var openRing = parade.Pure("paradetest.openRing", func(r ring) int { return result(r.Value) })

var addRing = parade.Pure2("paradetest.addRing", func(r ring, v int) int { return r.Value + v })

// table counts in each process how often it has been decoded, by ID.
type table struct {
	ID      int
	Numbers []float64
}

var (
	lastTable atomic.Int64
	decoded   sync.Map // ID to *atomic.Int64
)

// MarshalBinary implements [encoding.BinaryMarshaler].
func (t table) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.ID))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(t.Numbers)))
	return binary.Append(b, binary.LittleEndian, t.Numbers)
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (t *table) UnmarshalBinary(b []byte) error {
	if len(b) < 16 {
		return io.ErrUnexpectedEOF
	}
	t.ID = int(binary.LittleEndian.Uint64(b))
	t.Numbers = make([]float64, binary.LittleEndian.Uint64(b[8:]))
	n, _ := decoded.LoadOrStore(t.ID, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	_, err := binary.Decode(b[16:], binary.LittleEndian, t.Numbers)
	return err
}

// reading is one number of a bound argument, with where it was read.
type reading struct {
	Number  float64
	PID     int
	Decoded int64
}

var readTable = parade.Pure2("paradetest.readTable", func(t table, i int) reading {
	r := reading{Number: t.Numbers[i%len(t.Numbers)], PID: os.Getpid()}
	if n, ok := decoded.Load(t.ID); ok {
		r.Decoded = n.(*atomic.Int64).Load()
	}
	return r
})

var readNumbers = parade.Pure2("paradetest.readNumbers", func(v []float64, i int) reading {
	return reading{Number: v[i%len(v)], PID: os.Getpid()}
})

// draw gives numbers of the task's random stream, and fails when it is told
// to, after having drawn some.
var draw = parade.FuncContext("paradetest.draw", func(ctx context.Context, s step) ([4]uint64, error) {
	r := parade.Rand(ctx)
	first := [4]uint64{r.Uint64(), r.Uint64()}
	first[2], first[3] = parade.Rand(ctx).Uint64(), uint64(r.IntN(1000))
	if task, _ := parade.TaskOf(ctx); s.Act != "" && task.Attempt <= s.Until {
		return first, act(ctx, s)
	}
	return first, nil
})

// inner runs a job of its own inside a task, on the executor of that string.
var inner = parade.Func2Context("paradetest.inner", func(ctx context.Context, spec string, n int) (int, error) {
	ex, err := parade.Open(ctx, spec)
	if err != nil {
		return 0, err
	}
	defer ex.Close()
	all, err := parade.Map(ctx, ex, triple, numbers(n))
	sum := 0
	for _, v := range all {
		sum += v
	}
	return sum, err
})

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// whoami tells a task what it is.
var whoami = parade.FuncContext("paradetest.whoami", func(ctx context.Context, _ int) (parade.Task, error) {
	task, ok := parade.TaskOf(ctx)
	if !ok {
		return task, errors.New("no task")
	}
	return task, nil
})
