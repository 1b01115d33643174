package parade_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parade-go/parade"
)

// Functions are declared once, at package level.
var (
	root = parade.Func("example.root", func(x float64) (float64, error) {
		if x < 0 {
			return 0, fmt.Errorf("%v: %w", x, errNegative)
		}
		return math.Sqrt(x), nil
	})
	power = parade.Pure2("example.power", func(exponent, x float64) float64 { return math.Pow(x, exponent) })
	throw = parade.PureContext("example.throw", func(ctx context.Context, sides int) int {
		return 1 + parade.Rand(ctx).IntN(sides)
	})
	flaky = parade.FuncContext("example.flaky", func(ctx context.Context, x int) (int, error) {
		if task, _ := parade.TaskOf(ctx); task.Attempt == 1 {
			return 0, errors.New("the network is down")
		}
		return 10 * x, nil
	})
	scaled = parade.FuncContext("example.scaled", func(ctx context.Context, x float64) (float64, error) {
		scale, err := parade.Value[float64](ctx, "scale")
		return scale * x, err
	})
	errNegative = parade.Sentinel("example.errNegative", errors.New("is negative"))
)

func ExampleMap() {
	ctx := context.Background()
	ex, err := parade.Open(ctx, "threads:4")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ex.Close()
	roots, err := parade.Map(ctx, ex, root, []float64{1, 4, 9})
	fmt.Println(roots, err)
	// Output: [1 2 3] <nil>
}

func ExampleBind() {
	ctx := context.Background()
	ex := parade.Threads(4)
	defer ex.Close()
	cubes, err := parade.Map(ctx, ex, parade.Bind(power, 3), []float64{1, 2, 3})
	fmt.Println(cubes, err)
	// Output: [1 8 27] <nil>
}

func ExampleJournal() {
	dir, err := os.MkdirTemp("", "parade")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	keep := parade.Journal(filepath.Join(dir, "roots.journal"))
	ctx, ex := context.Background(), parade.Serial()
	// The first run ends at an input that fails. What was computed is kept.
	_, err = parade.Map(ctx, ex, root, []float64{1, 4, -9, 16}, keep)
	fmt.Println(err)
	var report parade.Report
	roots, err := parade.Map(ctx, ex, root, []float64{1, 4, 9, 16}, keep, parade.WithReport(&report))
	fmt.Println(roots, err)
	fmt.Println(report.Journaled, "of", report.Tasks, "came from the journal")
	// Output:
	// example.root: input 2 failed (serial): -9: is negative; stopped, 2 of 4 inputs have no result
	// [1 2 3 4] <nil>
	// 2 of 4 came from the journal
}

func ExampleStream() {
	ctx := context.Background()
	ex := parade.Threads(4)
	defer ex.Close()
	squares := func(yield func(float64) bool) { // without end
		for x := 0.0; yield(x * x); x++ {
		}
	}
	for r := range parade.Stream(ctx, ex, root, squares) {
		fmt.Println(r.Index, r.Value, r.Err)
		if r.Index == 2 {
			break
		}
	}
	// Output:
	// 0 0 <nil>
	// 1 1 <nil>
	// 2 2 <nil>
}

func ExampleGo() {
	ctx := context.Background()
	ex := parade.Threads(4)
	defer ex.Close()
	future := parade.Go(ctx, ex, root, 2.25)
	// Do something else meanwhile.
	fmt.Println(future.Wait(ctx))
	// Output: 1.5 <nil>
}

// The same seed gives the same numbers on every executor.
func ExampleRand() {
	ctx := context.Background()
	dice := slices.Repeat([]int{6}, 8)
	for _, spec := range []string{"serial", "threads:3"} {
		ex, err := parade.Open(ctx, spec)
		if err != nil {
			fmt.Println(err)
			return
		}
		thrown, err := parade.Map(ctx, ex, throw, dice, parade.Seed(2026))
		fmt.Println(thrown, err)
		ex.Close()
	}
	// Output:
	// [4 1 3 6 1 1 6 3] <nil>
	// [4 1 3 6 1 1 6 3] <nil>
}

func ExampleCollectErrors() {
	ctx := context.Background()
	ex := parade.Threads(4)
	defer ex.Close()
	roots, err := parade.Map(ctx, ex, root, []float64{1, -1, 4, -4}, parade.CollectErrors())
	fmt.Println(roots, errors.Is(err, errNegative))
	var job *parade.JobError
	if errors.As(err, &job) {
		for _, task := range job.Failed {
			fmt.Println(task.Func, task.Index, task.Err)
		}
	}
	// Output:
	// [1 0 2 0] true
	// example.root 1 -1: is negative
	// example.root 3 -4: is negative
}

func ExampleRetries() {
	ctx := context.Background()
	ex := parade.Threads(4)
	defer ex.Close()
	out, err := parade.Map(ctx, ex, flaky, []int{1, 2, 3}, parade.Retries(1))
	fmt.Println(out, err)
	// Output: [10 20 30] <nil>
}

// A value that every task needs goes to each worker once, and is found by its name.
func ExampleWith() {
	ctx := context.Background()
	ex := parade.Threads(4)
	defer ex.Close()
	out, err := parade.Map(ctx, ex, scaled, []float64{1, 2, 3}, parade.With("scale", 10.0))
	fmt.Println(out, err)
	_, err = parade.Map(ctx, ex, scaled, []float64{1}, parade.With("scale", 10))
	fmt.Println(errors.Is(err, parade.ErrNoValue), err)
	// Output:
	// [10 20 30] <nil>
	// true example.scaled: input 0 failed (threads/0): no such value: the value "scale" is of type int, not float64
}

// A call that runs on its own tells how far it is, and where each task ran.
func ExampleMapAsync() {
	ctx := context.Background()
	ex := parade.Threads(2)
	defer ex.Close()
	a := parade.MapAsync(ctx, ex, root, []float64{1, 4, -1, 9}, parade.CollectErrors())
	// Do something else meanwhile, and look at a.Progress().
	roots, _ := a.Wait(ctx)
	fmt.Println(roots)
	for _, t := range a.Tasks() {
		fmt.Println(t.Index, t.Attempt, t.Time() < time.Minute, errors.Is(t.Err, errNegative))
	}
	// Output:
	// [1 2 0 3]
	// 0 1 true false
	// 1 1 true false
	// 2 1 true true
	// 3 1 true false
}

func ExampleOnTask() {
	ctx := context.Background()
	out, err := parade.Map(ctx, parade.Serial(), flaky, []int{1, 2}, parade.Retries(1), parade.OnTask(func(t parade.TaskInfo) {
		fmt.Println("task", t.Index, "at attempt", t.Attempt, "on", t.Worker)
	}))
	fmt.Println(out, err)
	// Unordered output:
	// task 0 at attempt 2 on serial
	// task 1 at attempt 2 on serial
	// [10 20] <nil>
}
