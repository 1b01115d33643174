package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/process"
	"golang.org/x/sys/unix"
)

// children returns the processes that this one has started and not reaped.
func children(t *testing.T) []int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range tasks {
		data, _ := os.ReadFile(file) // the thread may have ended
		for field := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// workers returns the children that run their own program by now. Between fork
// and exec a child still is its parent, whose thread waits for it: stopping it
// then would stop this whole process.
func workers(t *testing.T) []int {
	t.Helper()
	return slices.DeleteFunc(children(t), func(pid int) bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err != nil || !bytes.Contains(env, []byte("PARADE_WORKER="))
	})
}

// strike sends a signal to one of the test's children every 20 ms.
func strike(t *testing.T, sig syscall.Signal) (stop func() int) {
	t.Helper()
	done := make(chan struct{})
	strikes := 0
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if pids := workers(t); len(pids) > 0 && syscall.Kill(pids[rand.IntN(len(pids))], sig) == nil {
				strikes++
			}
		}
	})
	return func() int {
		close(done)
		running.Wait()
		return strikes
	}
}

// Not parallel, as the strikes hit any child of this process.
func TestChaos(t *testing.T) {
	const n = 100_000
	for _, tc := range []struct {
		name string
		sig  syscall.Signal
		us   int // of each task
		cfg  process.Config
	}{
		{"killed", syscall.SIGKILL, 20, process.Config{Workers: 4}},
		{"frozen", syscall.SIGSTOP, 10, process.Config{Workers: 4, Heartbeat: 20 * time.Millisecond, Missed: 3}},
	} {
		// The task that is running when its worker is struck is a suspect. Here
		// none is guilty, so the limit must be out of reach.
		crashes := parade.Crashes(1000)
		t.Run(tc.name+" in a map", func(t *testing.T) {
			ctx, ex := openLong(t, tc.cfg)
			stop := strike(t, tc.sig)
			out, err := parade.Map(ctx, ex, parade.Bind(spin, tc.us), numbers(n), crashes)
			t.Logf("%d strikes", stop())
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range out {
				if v != 7*i+3 {
					t.Fatalf("result %d is %d, want %d", i, v, 7*i+3)
				}
			}
			closed(t, ex)
		})
		t.Run(tc.name+" in a stream", func(t *testing.T) {
			ctx, ex := openLong(t, tc.cfg)
			stop := strike(t, tc.sig)
			seen := make([]bool, n)
			for r := range parade.Stream(ctx, ex, parade.Bind(spin, tc.us), slices.Values(numbers(n)), crashes, parade.Unordered()) {
				if r.Err != nil {
					t.Error(r.Err)
					break
				}
				if r.Value != 7*r.Index+3 || seen[r.Index] {
					t.Errorf("result %d is %d, want %d; came before: %v", r.Index, r.Value, 7*r.Index+3, seen[r.Index])
					break
				}
				seen[r.Index] = true
			}
			t.Logf("%d strikes", stop())
			if i := slices.Index(seen, false); i >= 0 {
				t.Errorf("result %d is missing", i)
			}
			closed(t, ex)
		})
	}
}

func openLong(t *testing.T, cfg process.Config) (context.Context, *process.Executor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	ex, err := process.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return ctx, ex
}

// closed closes an executor and wants no child to be left, not even as a zombie.
func closed(t *testing.T, ex *process.Executor) {
	t.Helper()
	if err := ex.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if pids := children(t); len(pids) > 0 {
		t.Errorf("children are left: %v", pids)
	}
}

// alive says whether a process exists and is no zombie. A zombie here waits
// for an init that may never reap it.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// family has a worker start a process of its own.
type family struct{ Parent, Worker, Grandchild int }

var startFamily = parade.Func("process.startFamily", func(act string) (family, error) {
	// The output must not keep the pipe of this process open.
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		return family{}, err
	}
	return family{os.Getppid(), os.Getpid(), cmd.Process.Pid}, nil
})

// spun keeps the compiler and its checks from seeing a loop without a purpose.
var spun int

// behave makes a worker be in some state when its parent dies.
var behave = parade.FuncContext("process.behave", func(ctx context.Context, act string) (int, error) {
	fmt.Printf("ready %s\n", act)
	switch act {
	case "busy":
		for n := 0; ; n++ {
			spun = n
		}
	case "waiting":
		<-ctx.Done()
	}
	return 0, nil
})

// The roles of TestParentDies: each prints the processes that must end, and
// then either dies by itself or waits for that.
func init() {
	for _, act := range []string{"idle", "busy", "waiting", "frozen"} {
		roles["parent of "+act] = func() error { return parent(act) }
	}
}

func parent(act string) error {
	ctx := context.Background()
	ex, err := process.Open(ctx, process.Config{Workers: 1})
	if err != nil {
		return err
	}
	f, err := parade.Go(ctx, ex, startFamily, act).Wait(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("family %d %d %d\n", f.Parent, f.Worker, f.Grandchild)
	switch act {
	case "busy", "waiting":
		parade.Go(ctx, ex, behave, act)
	case "frozen":
		if err := syscall.Kill(f.Worker, syscall.SIGSTOP); err != nil {
			return err
		}
		fmt.Println("ready frozen")
	default:
		fmt.Println("ready idle")
	}
	if os.Getenv("PARADE_TEST_EXIT") != "" {
		time.Sleep(100 * time.Millisecond)
		os.Exit(0) // without Close
	}
	select {}
}

// container is the role of a process that inherits orphans, as the first process of
// a container does. It is in their session: the kernel then does not wake
// stopped processes with SIGHUP, as it does elsewhere when their parent dies.
func init() {
	roles["container"] = func() error {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return err
		}
		program, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), roleVariable+"="+os.Getenv("PARADE_TEST_INSIDE"))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		for {
			if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
				return nil
			}
		}
	}
}

// startRole runs this binary as something else and gives its output, a line at
// a time.
func startRole(t *testing.T, program, role string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

// When a parent dies, its children and what their tasks have started end within
// a second.
func TestParentDies(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range []string{"idle", "busy", "waiting", "frozen"} {
		for _, how := range []string{"killed", "exits", "killed in a container"} {
			t.Run(act+" "+how, func(t *testing.T) {
				t.Parallel()
				role := "parent of " + act
				var env []string
				switch how {
				case "exits":
					env = append(env, "PARADE_TEST_EXIT=1")
				case "killed in a container":
					env = append(env, "PARADE_TEST_INSIDE="+role)
					role = "container"
				}
				cmd, out := startRole(t, program, role, env...)
				var f family
				for out.Scan() {
					line := out.Text()
					if _, err := fmt.Sscanf(line, "family %d %d %d", &f.Parent, &f.Worker, &f.Grandchild); err == nil {
						continue
					}
					if strings.Contains(line, "ready") {
						break
					}
				}
				if f.Worker == 0 || !alive(f.Worker) || !alive(f.Grandchild) {
					t.Fatalf("the parent has not started a family: %+v, %v", f, out.Err())
				}
				t.Cleanup(func() {
					_ = syscall.Kill(f.Worker, syscall.SIGKILL)
					_ = syscall.Kill(f.Grandchild, syscall.SIGKILL)
				})
				if how != "exits" {
					if err := syscall.Kill(f.Parent, syscall.SIGKILL); err != nil {
						t.Fatal(err)
					}
				}
				if role != "container" {
					_ = cmd.Wait()
				}
				died := time.Now()
				// A second is the promise; a busy machine gets some more.
				for alive(f.Worker) || alive(f.Grandchild) {
					if time.Since(died) > 10*time.Second {
						t.Fatalf("10 s after the parent: worker alive %v, what its task started alive %v", alive(f.Worker), alive(f.Grandchild))
					}
					time.Sleep(5 * time.Millisecond)
				}
				t.Logf("all gone after %v", time.Since(died).Round(time.Millisecond))
			})
		}
	}
}

// What a task has started ends with its worker, however that ends.
func TestGroupEnds(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"close", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ctx, ex := open(t, process.Config{Workers: 1})
			f, err := parade.Go(ctx, ex, startFamily, "").Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if how == "close" {
				err = ex.Close()
			} else {
				err = syscall.Kill(f.Worker, syscall.SIGKILL)
			}
			if err != nil {
				t.Fatal(err)
			}
			for alive(f.Worker) || alive(f.Grandchild) {
				if ctx.Err() != nil {
					t.Fatalf("worker alive %v, what its task started alive %v", alive(f.Worker), alive(f.Grandchild))
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

// eat takes memory, a MiB at a time, up to that many.
var eat = parade.FuncContext("process.eat", func(ctx context.Context, mib int) (int, error) {
	var all [][]byte
	for range mib {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 512 {
			piece[i] = 1
		}
		all = append(all, piece)
		if len(all)%16 == 0 {
			time.Sleep(5 * time.Millisecond) // time to notice
		}
	}
	return len(all), nil
})

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	ctx, ex := open(t, process.Config{Workers: 2, MemoryLimit: 300 << 20})
	in := []int{1, 1, 1, 3000, 1, 1, 1}
	out, err := parade.Map(ctx, ex, eat, in, parade.CollectErrors(), parade.Crashes(2))
	var job *parade.JobError
	if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Index != 3 || job.Failed[0].Attempt != 2 {
		t.Fatalf("the error is %v, want the failure of input 3 after 2 attempts", err)
	}
	if !errors.Is(err, parade.ErrWorkerLost) || !strings.Contains(err.Error(), "limit of 300 MiB") {
		t.Errorf("the error is %v, want ErrWorkerLost and the limit", err)
	}
	var exit *process.ExitError
	if !errors.As(err, &exit) || exit.PeakRSS < 300<<20 {
		t.Errorf("%v has no ExitError with a peak above the limit", err)
	}
	for i, n := range in {
		if i != 3 && out[i] != n {
			t.Errorf("result %d is %d, want %d", i, out[i], n)
		}
	}
}

// The role of TestProgramReplaced: its file is deleted or overwritten while it
// runs, and its worker is killed.
func init() {
	for _, how := range []string{"deleted", "replaced"} {
		roles["program "+how] = func() error { return outlive(how) }
	}
}

func outlive(how string) error {
	ctx := context.Background()
	ex, err := process.Open(ctx, process.Config{Workers: 1})
	if err != nil {
		return err
	}
	if _, err := parade.Go(ctx, ex, identify, 0).Wait(ctx); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Remove(program); err != nil {
		return err
	}
	if how == "replaced" {
		if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
			return err
		}
	}
	v, err := parade.Go(ctx, ex, crash, 5).Wait(ctx)
	fmt.Printf("result %d\n", v)
	return errors.Join(err, ex.Close())
}

func TestProgramReplaced(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"deleted", "replaced"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			copied := filepath.Join(t.TempDir(), "program")
			// By another process: a descriptor for writing in this one could be
			// inherited by a fork meanwhile, and the file then not be run.
			if out, err := exec.CommandContext(t.Context(), "cp", program, copied).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			cmd, out := startRole(t, copied, "program "+how)
			var lines []string
			for out.Scan() {
				lines = append(lines, out.Text())
			}
			if err := cmd.Wait(); err != nil || !slices.Contains(lines, "result 5") {
				t.Errorf("error %v, output %q; want result 5", err, lines)
			}
		})
	}
}
