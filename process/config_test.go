//go:build unix

package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/process"
)

func TestMaxTasks(t *testing.T) {
	t.Parallel()
	const most = 10
	for _, size := range []int{0, 1, 3, 10, 1000} {
		t.Run(fmt.Sprint("batch size ", size), func(t *testing.T) {
			t.Parallel()
			ctx, ex := open(t, process.Config{Workers: 2, MaxTasks: most})
			var report parade.Report
			opts := []parade.Option{parade.WithReport(&report)}
			if size > 0 {
				opts = append(opts, parade.BatchSize(size))
			}
			tasks := map[int]int{} // by process
			for range 2 {
				pids, err := parade.Map(ctx, ex, identify, make([]int, 95), opts...)
				if err != nil {
					t.Fatal(err)
				}
				for _, pid := range pids {
					tasks[pid]++
				}
			}
			for pid, n := range tasks {
				if n > most {
					t.Errorf("process %d ran %d tasks, %d are allowed", pid, n, most)
				}
			}
			if report.Lost != 0 {
				t.Errorf("%d retired workers are reported as lost", report.Lost)
			}
		})
	}
}

// What the initializer of this process has done.
var (
	initialized atomic.Int64
	number      atomic.Int64
)

var prepare = parade.Func("process.prepare", func(n int) (struct{}, error) {
	initialized.Add(1)
	number.Store(int64(n))
	return struct{}{}, nil
})

// state is what a task finds in its process.
type state struct{ PID, Number, Initialized int }

var observe = parade.FuncContext("process.observe", func(ctx context.Context, v int) (state, error) {
	if task, _ := parade.TaskOf(ctx); v == 1 && task.Attempt == 1 {
		os.Exit(1)
	}
	return state{os.Getpid(), int(number.Load()), int(initialized.Load())}, nil
})

func TestInitializer(t *testing.T) {
	t.Parallel()
	ctx, ex := open(t, process.Config{Workers: 3, Initializer: prepare})
	for _, lossy := range []bool{false, true} {
		in := make([]int, 60)
		if lossy {
			in[20], in[40] = 1, 1
		}
		states, err := parade.Map(ctx, ex, observe, in, parade.BatchSize(1))
		if err != nil {
			t.Fatal(err)
		}
		numbers := map[int]int{}
		for i, s := range states {
			if s.Initialized != 1 || s.Number < 0 || s.Number > 2 {
				t.Fatalf("task %d found %+v, want one run of the initializer, number 0 to 2", i, s)
			}
			if n, seen := numbers[s.PID]; seen && n != s.Number {
				t.Fatalf("process %d has numbers %d and %d", s.PID, n, s.Number)
			}
			numbers[s.PID] = s.Number
		}
	}
}

// initializers that do not work, and leave a file for each try.
var (
	starts    = "PARADE_TEST_STARTS"
	initError = parade.Func("process.initError", func(int) (struct{}, error) {
		noteStart()
		return struct{}{}, fmt.Errorf("no atlas: %w", errNoAtlas)
	})
	initPanic = parade.Func("process.initPanic", func(int) (struct{}, error) {
		noteStart()
		panic("atlas is torn")
	})
	initExit = parade.Func("process.initExit", func(int) (struct{}, error) {
		noteStart()
		fmt.Fprintln(os.Stderr, "atlas licence expired")
		os.Exit(4)
		return struct{}{}, nil
	})
	errNoAtlas = parade.Sentinel("process.errNoAtlas", errors.New("not installed"))
)

func noteStart() {
	f, err := os.CreateTemp(os.Getenv(starts), "start-")
	if err == nil {
		_ = f.Close()
	}
}

// Not parallel: Setenv.
func TestInitializerFails(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    *parade.Function[int, struct{}]
		says string
	}{
		{"error", initError, "no atlas"},
		{"panic", initPanic, "atlas is torn"},
		{"exit", initExit, "atlas licence expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv(starts, dir)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ex, err := process.Open(ctx, process.Config{Workers: 2, Initializer: tc.f, Stderr: new(output)})
			if err != nil {
				t.Fatal(err)
			}
			defer ex.Close()
			for range 2 { // and later calls say the same
				_, err = parade.Map(ctx, ex, identify, make([]int, 10))
				if err == nil || !strings.Contains(err.Error(), "initializer") || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("the error is %v, want one about the initializer with %q", err, tc.says)
				}
			}
			if tc.name == "error" && !errors.Is(err, errNoAtlas) {
				t.Errorf("%v is not the initializer's error", err)
			}
			if err := ex.Close(); err != nil {
				t.Error(err)
			}
			tries, err := filepath.Glob(filepath.Join(dir, "start-*"))
			if err != nil || len(tries) == 0 || len(tries) > 20 {
				t.Errorf("the initializer was run %d times, error %v", len(tries), err)
			}
		})
	}
}

// output is a writer that the test may read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSuffix(o.b.String(), "\n"), "\n")
}

var speak = parade.Func("process.speak", func(v int) (int, error) {
	fmt.Printf("result %d\nis on its way\n", v)
	fmt.Print("half ")
	fmt.Println("lines", v)
	fmt.Fprintln(os.Stderr, "warning", v)
	return v, nil
})

var workerLine = regexp.MustCompile(`^\[processes/\d+\] `)

func TestOutput(t *testing.T) {
	t.Parallel()
	var stdout, stderr output
	ctx, ex := open(t, process.Config{Workers: 3, Stdout: &stdout, Stderr: &stderr})
	const n = 300
	if _, err := parade.Map(ctx, ex, speak, numbers(n)); err != nil {
		t.Fatal(err)
	}
	// All of it is there when Map returns, in whole lines, each with its worker.
	count := map[string]int{}
	for _, line := range append(stdout.lines(), stderr.lines()...) {
		if !workerLine.MatchString(line) {
			t.Fatalf("line without its worker: %q", line)
		}
		count[workerLine.ReplaceAllString(line, "")]++
	}
	for i := range n {
		for _, want := range []string{fmt.Sprint("result ", i), fmt.Sprint("half lines ", i), fmt.Sprint("warning ", i)} {
			if count[want] != 1 {
				t.Fatalf("line %q came %d times", want, count[want])
			}
		}
	}
	if count["is on its way"] != n || len(count) != 3*n+1 {
		t.Errorf("%d different lines and %d times %q, want %d and %d", len(count), count["is on its way"], "is on its way", 3*n+1, n)
	}
	if got := len(stderr.lines()); got != n {
		t.Errorf("%d lines on stderr, want %d", got, n)
	}
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

var mutter = parade.Func("process.mutter", func(v int) (int, error) {
	switch v {
	case 0:
		fmt.Print("no end of line")
	case 1:
		fmt.Println(strings.Repeat("x", 200_000))
	case 2:
		cmd := exec.Command("sh", "-c", "echo from a program")
		cmd.Stdout = os.Stdout
		return 0, cmd.Run()
	case 3:
		fmt.Println("last words")
		os.Exit(1)
	}
	return v, nil
})

func TestOutputOddities(t *testing.T) {
	t.Parallel()
	var stdout output
	ctx, ex := open(t, process.Config{Workers: 1, Stdout: &stdout})
	_, err := parade.Map(ctx, ex, mutter, []int{1, 2, 3, 0}, parade.CollectErrors(), parade.Crashes(1))
	if !errors.Is(err, parade.ErrWorkerLost) {
		t.Errorf("the error is %v, want ErrWorkerLost", err)
	}
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	for _, line := range stdout.lines() {
		text.WriteString(workerLine.ReplaceAllString(line, "") + "\n")
	}
	for _, want := range []string{"from a program", "last words", "no end of line"} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("%q is missing", want)
		}
	}
	if n := strings.Count(text.String(), "x"); n != 200_000 {
		t.Errorf("%d bytes of a long line arrived, want 200000", n)
	}
}

var report = parade.FuncContext("process.report", func(ctx context.Context, v int) (int, error) {
	slog.With("subject", v).WithGroup("fit").InfoContext(ctx, "converged", "steps", 10*v)
	slog.DebugContext(ctx, "detail")
	return v, nil
})

// Not parallel: it replaces the program's logger.
func TestLog(t *testing.T) {
	var log output
	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	ctx, ex := open(t, process.Config{Workers: 2})
	if _, err := parade.Map(ctx, ex, report, numbers(50)); err != nil {
		t.Fatal(err)
	}
	lines := log.lines()
	for i := range 50 {
		part := fmt.Sprintf(`msg=converged subject=%d fit.steps=%d `, i, 10*i)
		k := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line+" ", part) })
		if k < 0 || !strings.Contains(lines[k], "worker=") || !strings.Contains(lines[k], "processes/") {
			t.Fatalf("no record with %q and a worker in:\n%s", part, strings.Join(lines, "\n"))
		}
	}
	if len(lines) != 50 {
		t.Errorf("%d records, want 50 and none below the handler's level", len(lines))
	}
}

// Not parallel: Setenv.
func TestMainBeforeOpen(t *testing.T) {
	t.Run("its output is not repeated", func(t *testing.T) {
		t.Setenv(mainVariable, "talks")
		var out output
		ctx, ex := open(t, process.Config{Workers: 2, Stdout: &out, Stderr: &out})
		if _, err := parade.Map(ctx, ex, speak, numbers(10)); err != nil {
			t.Fatal(err)
		}
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
		for _, line := range out.lines() {
			if strings.Contains(line, "main starts") {
				t.Errorf("the child's main is heard: %q", line)
			}
		}
	})
	t.Run("it exits", func(t *testing.T) {
		t.Setenv(mainVariable, "exits")
		ctx, ex := open(t, process.Config{Workers: 2, Stderr: new(output)})
		_, err := parade.Map(ctx, ex, identify, make([]int, 10))
		for _, part := range []string{"parade.Open", "parade.Serve", "exit status 7", "no licence found"} {
			if !errors.Is(err, parade.ErrWorkerLost) || !strings.Contains(err.Error(), part) {
				t.Errorf("the error is %v, want ErrWorkerLost with %q", err, part)
			}
		}
		var exit *process.ExitError
		if !errors.As(err, &exit) || exit.PID == 0 {
			t.Errorf("%v has no ExitError", err)
		}
	})
	t.Run("it hangs", func(t *testing.T) {
		t.Setenv(mainVariable, "hangs")
		ctx, ex := open(t, process.Config{Workers: 2, StartTimeout: 100 * time.Millisecond})
		_, err := parade.Map(ctx, ex, identify, make([]int, 10))
		if !errors.Is(err, parade.ErrWorkerLost) || !strings.Contains(err.Error(), "within 100ms") {
			t.Errorf("the error is %v, want ErrWorkerLost and the time", err)
		}
	})
}

var environ = parade.Func("process.environ", func(int) ([]string, error) {
	vars := []string{fmt.Sprint(runtime.GOMAXPROCS(0))}
	for _, name := range []string{"GOMAXPROCS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} {
		vars = append(vars, os.Getenv(name))
	}
	return append(vars, os.Getenv("PARADE_WORKER")), nil
})

func TestThreads(t *testing.T) {
	t.Parallel()
	ctx, ex := open(t, process.Config{Workers: 2, Threads: 1})
	vars, err := parade.Go(ctx, ex, environ, 0).Wait(ctx)
	if want := []string{"1", "1", "1", "1", "1", ""}; err != nil || !slices.Equal(vars, want) {
		t.Errorf("a child has %q, error %v; want %q: a worker's own children must not take themselves for workers", vars, err, want)
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	_, ex := open(t, process.Config{Workers: 2, Threads: 1})
	want := regexp.MustCompile(`^processes\(workers=2, cores=\d+, threads per worker=1, host=.+\)$`)
	if s := fmt.Sprint(ex); !want.MatchString(s) {
		t.Errorf("the executor prints as %q", s)
	}
}

var deaf = parade.Func("process.deaf", func(dir string) (int, error) {
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(os.Getpid())), nil, 0o600); err != nil {
		return 0, err
	}
	select {}
})

// Close does not wait for a task that does not listen.
func TestCloseDeaf(t *testing.T) {
	t.Parallel()
	ctx, ex := open(t, process.Config{Workers: 2})
	dir := t.TempDir()
	f := parade.Go(ctx, ex, deaf, dir)
	for names := []string(nil); len(names) == 0 && ctx.Err() == nil; names, _ = filepath.Glob(filepath.Join(dir, "*")) {
		time.Sleep(time.Millisecond)
	}
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Wait(ctx); !errors.Is(err, parade.ErrClosed) {
		t.Errorf("the error is %v, want ErrClosed", err)
	}
}
