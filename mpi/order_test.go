//go:build linux && !static && (amd64 || arm64)

package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mpi"
)

// nested opens an executor within a task.
var nested = parade.Func("mpi.nested", func(v int) (int, error) {
	ex, err := parade.Open(context.Background(), "threads:2")
	if err != nil {
		return 0, err
	}
	return v, ex.Close()
})

// lasting runs until its context ends, and leaves files that say so.
var lasting = parade.FuncContext("mpi.lasting", func(ctx context.Context, v int) (int, error) {
	file := filepath.Join(os.Getenv(dirVariable), strconv.Itoa(v))
	if err := os.WriteFile(file+".began", nil, 0o600); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, errors.Join(context.Cause(ctx), os.WriteFile(file+".ended", nil, 0o600))
})

// freezeSoon has ranks 1 and 2 stopped once they have answered, and the tasks take long
// enough for each rank to get one.
var freezeSoon = parade.FuncContext("mpi.freeze-soon", func(ctx context.Context, v int) (int, error) {
	task, _ := parade.TaskOf(ctx)
	if !strings.HasPrefix(task.Worker, "rank 3 ") {
		kill := exec.Command("sh", "-c", fmt.Sprintf("sleep 0.4; kill -STOP %d", os.Getpid()))
		if err := kill.Start(); err != nil {
			return 0, err
		}
	}
	time.Sleep(200 * time.Millisecond)
	return v, nil
})

func init() {
	ctx := context.Background()
	roles["broadcast given up"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		v := make([]float64, 24<<20)
		short, cancel := context.WithTimeoutCause(ctx, 60*time.Millisecond, errors.New("enough"))
		defer cancel()
		_, err = parade.Map(short, ex, parade.Bind(large, v), []int{1, 2, 3})
		fmt.Printf("map: %v, close: %v\n", err, ex.Close())
		return nil
	}
	roles["early Finalize"] = func() error {
		world, err := mpi.World()
		if err != nil {
			return err
		}
		ex, err := world.Open(ctx, 0, mpi.Config{})
		if err != nil {
			return err
		}
		if ex.Root() {
			fmt.Println("first:", mpi.Finalize())
		}
		if err := errors.Join(ex.Close(), mpi.Finalize()); err != nil {
			return err
		}
		fmt.Println("barrier:", world.Barrier(ctx))
		return nil
	}
	// The "mpi" of a program with World, and a task that opens another executor.
	roles["nested"] = func() error {
		if _, err := mpi.World(); err != nil {
			return err
		}
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		if ex.(*mpi.Executor).Root() {
			fmt.Println(parade.Map(ctx, ex, nested, []int{1, 2, 3}))
		}
		return errors.Join(ex.Close(), mpi.Finalize())
	}
	roles["late"] = func() error {
		if os.Getenv("OMPI_COMM_WORLD_RANK")+os.Getenv("PMI_RANK") == "1" {
			time.Sleep(2 * time.Second)
		}
		parade.Serve()
		short, cancel := context.WithTimeoutCause(ctx, 100*time.Millisecond, errors.New("enough"))
		defer cancel()
		for _, open := range []func() (*mpi.Executor, error){
			func() (*mpi.Executor, error) { return mpi.Open(short, mpi.Config{}) },
			func() (*mpi.Executor, error) { return mpi.Open(ctx, mpi.Config{StartTimeout: 100 * time.Millisecond}) },
			func() (*mpi.Executor, error) { return mpi.Open(ctx, mpi.Config{}) },
		} {
			ex, err := open()
			fmt.Printf("open: %v\n", err)
			if err == nil {
				return ex.Close()
			}
		}
		return nil
	}
	// A root that cannot open, and one that others keep waiting, let the others go on.
	roles["bad root"] = func() error {
		world, err := mpi.World()
		if err != nil {
			return err
		}
		cfgs := []mpi.Config{{Workers: -1}, {StartTimeout: 100 * time.Millisecond}}
		for i, cfg := range cfgs {
			if i == 1 && world.Rank() == 1 {
				time.Sleep(time.Second)
			}
			_, err := world.Open(ctx, 0, cfg)
			if (err != nil) != (world.Rank() == 0) {
				return fmt.Errorf("rank %d gets %w", world.Rank(), err)
			}
			if err != nil {
				fmt.Println(err)
			}
		}
		return mpi.Finalize()
	}
	roles["receive"] = func() error {
		world, err := mpi.World()
		if err != nil {
			return err
		}
		if world.Rank() == 0 {
			err = errors.Join(world.Barrier(ctx), world.Send(ctx, []byte("abc"), 1, 5), world.Send(ctx, []byte("defg"), 1, 5))
			return errors.Join(err, mpi.Finalize())
		}
		short, cancel := context.WithTimeoutCause(ctx, 50*time.Millisecond, errors.New("enough"))
		defer cancel()
		p := []byte("____")
		fmt.Println(world.Recv(short, p, 0, 5))
		if err := world.Barrier(ctx); err != nil {
			return err
		}
		fmt.Println(world.Recv(ctx, p, 0, 5))
		fmt.Println(world.Recv(ctx, p, 0, 5), string(p))
		return mpi.Finalize()
	}
	roles["lasting"] = func() error {
		parade.Serve()
		heeding, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		_, err = parade.Map(heeding, ex, lasting, []int{1, 2}, parade.BatchSize(1))
		return errors.Join(err, ex.Close())
	}
	// Ranks 1 and 2 freeze, unnoticed at first, and should pass on what rank 3 waits for.
	roles["frozen before a broadcast"] = func() error {
		parade.Serve()
		ex, err := mpi.Open(ctx, mpi.Config{Heartbeat: 100 * time.Millisecond, Missed: 10})
		if err != nil {
			return err
		}
		if _, err := parade.Map(ctx, ex, freezeSoon, make([]int, 3), parade.BatchSize(1)); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
		v := make([]float64, 4<<20)
		v[1] = 7
		out, err := parade.Map(ctx, ex, parade.Bind(large, v), []int{1, 1, 1, 1}, parade.BatchSize(1))
		fmt.Println(out, err)
		return ex.Close()
	}
	roles["all of two"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "mpi:2,all")
		if err != nil {
			return err
		}
		s, err := mpi.Describe(ctx)
		fmt.Printf("%d ranks\n", s.Ranks)
		return errors.Join(err, ex.Close())
	}
}

func TestOrder(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		for _, w := range []wants{
			{role: "broadcast given up", ranks: 4, out: []string{": enough, close: <nil>"}},
			{role: "early Finalize", ranks: 3, out: []string{"first: mpi: Finalize while 1 executors are open", "barrier: mpi: the ranks were let go"}},
			{role: "nested", ranks: 2, out: []string{"[1 2 3] <nil>"}},
			{role: "late", ranks: 3, out: []string{"open: enough", "did not get to serving within 100ms", "open: <nil>"}},
			{role: "bad root", ranks: 3, out: []string{"Workers must not be negative", "did not get to Open within 100ms"}},
			{role: "receive", ranks: 2, out: []string{"enough\n", "rank 0 sent 3 bytes under tag 5, and 4 were", "<nil> defg"}},
		} {
			t.Run(w.role, func(t *testing.T) { w.check(t, f) })
		}
	})
}

// A root that works is one of the workers, and is not started.
func TestSpawnForRoot(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		if f.name != "Open MPI" {
			return // MPICH of Debian starts nothing
		}
		if o := f.role(t, 0, "all of two", mpi.EnvLibrary+"=libmpi.so.40"); !strings.Contains(o.stdout, "2 ranks\n") {
			t.Error(o)
		}
	})
}

// What ends mpiexec ends the tasks, which end what they have started.
func TestSignals(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(sig.String(), func(t *testing.T) {
				dir := t.TempDir()
				self, err := os.Executable()
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), f.mpiexec, "-n", "3", self)
				cmd.Env = environment(roleVariable+"=lasting", dirVariable+"="+dir)
				cmd.WaitDelay = 20 * time.Second
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				awaitFiles(t, dir, "*.began")
				if err := cmd.Process.Signal(sig); err != nil {
					t.Error(err)
				}
				awaitFiles(t, dir, "*.ended")
				_ = cmd.Wait() // MPICH's has status 0 after Ctrl-C, whatever the ranks return
			})
		}
	})
}

// awaitFiles returns when both tasks have left a file.
func awaitFiles(t *testing.T, dir, pattern string) {
	t.Helper()
	var names []string
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if names, _ = filepath.Glob(filepath.Join(dir, pattern)); len(names) == 2 {
			return
		}
	}
	t.Errorf("%s: %v", pattern, names)
}

// A rank that should pass a bound argument on freezes: the others get it all the same.
func TestFrozenBeforeBroadcast(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// As in TestFrozen, mpiexec may hang in the end.
		o := tryRun(t, 15*time.Second, environment(roleVariable+"=frozen before a broadcast"), f.mpiexec, "-n", "4", self)
		if !strings.Contains(o.stdout, "[7 7 7 7] <nil>") {
			t.Error(o)
		}
	})
}
