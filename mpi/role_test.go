//go:build linux && !static && (amd64 || arm64)

package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mpi"
	"github.com/parade-go/parade/process"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

var (
	meanRate = parade.Func("mpi.mean-rate", spike.MeanFiringRate)

	speak = parade.Func("mpi.speak", func(v int) (int, error) {
		fmt.Printf("printed by task %d\n", v)
		slog.Info("logged", "task", v)
		return v, nil
	})

	whoami = parade.FuncContext("mpi.whoami", func(ctx context.Context, _ int) (string, error) {
		task, _ := parade.TaskOf(ctx)
		return task.Worker, nil
	})

	// freeze stops its own process, once: the file says that it was done.
	freeze = parade.Func2("mpi.freeze", func(file string, v int) (int, error) {
		if v == 3 {
			if f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				_ = f.Close()
				return v, syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			}
		}
		time.Sleep(time.Millisecond)
		return v, nil
	})

	inside = parade.Func("mpi.inside", func(int) (string, error) {
		ex, err := parade.Open(context.Background(), "mpi")
		if err == nil {
			return "", errors.Join(errors.New("a task has opened the executor that runs it"), ex.Close())
		}
		return err.Error(), nil
	})

	// dereference makes the system signal a fault for input 2, which Go makes a panic.
	dereference = parade.Func("mpi.dereference", func(v int) (int, error) {
		var p *int
		if v == 2 {
			return *p, nil
		}
		return v, nil
	})

	large = parade.Pure2("mpi.large", func(v []float64, i int) float64 { return v[i] })
)

// trains are those of Elephant's tutorial.
func trains() ([]spike.Train, error) {
	p := spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(10)}
	rng := parade.FuncContext("mpi.train", func(ctx context.Context, _ int) (spike.Train, error) { return p.Train(parade.Rand(ctx)) })
	return parade.Map(context.Background(), parade.Serial(), rng, make([]int, 8), parade.Seed(28))
}

func init() {
	ctx := context.Background()
	// The tutorial's first example on every executor, in one program.
	roles["tutorial"] = func() error {
		parade.Serve()
		all, err := trains()
		if err != nil {
			return err
		}
		want, err := parade.Map(ctx, parade.Serial(), meanRate, all)
		if err != nil {
			return err
		}
		mpi.Keep()
		defer mpi.Finalize()
		open := map[string]func() (parade.Executor, error){
			"communicator": func() (parade.Executor, error) {
				world, err := mpi.World()
				if err != nil {
					return nil, err
				}
				return world.Open(ctx, 0, mpi.Config{})
			},
		}
		for _, spec := range []string{"serial", "threads:2", "processes:2", "mpi", "mpi:1", "mpi:all", "mpi:children"} {
			open[spec] = func() (parade.Executor, error) { return parade.Open(ctx, spec) }
		}
		for spec, open := range open {
			ex, err := open()
			if err != nil {
				return fmt.Errorf("%s: %w", spec, err)
			}
			got, err := parade.Map(ctx, ex, meanRate, all)
			if err := errors.Join(err, ex.Close()); err != nil {
				return fmt.Errorf("%s: %w", spec, err)
			}
			if !reflect.DeepEqual(got, want) {
				return fmt.Errorf("%s: %v, want %v", spec, got, want)
			}
		}
		fmt.Printf("%d executors agree\n", len(open))
		return nil
	}
	roles["speak"] = func() error {
		fmt.Println("main starts")
		parade.Serve()
		fmt.Println("main goes on")
		slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, nil)))
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		_, err = parade.Map(ctx, ex, speak, []int{0, 1, 2, 3}, parade.BatchSize(1))
		return errors.Join(err, ex.Close())
	}
	roles["twice"] = func() error {
		parade.Serve()
		for range 2 {
			ex, err := parade.Open(ctx, "mpi")
			if err != nil {
				fmt.Println("refused:", err)
				return nil
			}
			if err := ex.Close(); err != nil {
				return err
			}
		}
		return errors.New("a second executor was opened after the ranks had left")
	}
	roles["unused"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "threads")
		if err != nil {
			return err
		}
		return errors.Join(ex.Close(), mpi.Finalize())
	}
	roles["fails"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		if _, err := parade.Map(ctx, ex, whoami, []int{1}); err != nil {
			return err
		}
		panic("the program fails, with an executor open")
	}
	roles["inside"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		said, err := parade.Map(ctx, ex, inside, []int{1, 2})
		fmt.Println(said)
		return errors.Join(err, ex.Close())
	}
	roles["freeze"] = func() error {
		parade.Serve()
		ex, err := mpi.Open(ctx, mpi.Config{Heartbeat: 100 * time.Millisecond, Missed: 5})
		if err != nil {
			return err
		}
		in := make([]int, 300)
		for i := range in {
			in[i] = i
		}
		out, err := parade.Map(ctx, ex, parade.Bind(freeze, os.Getenv(dirVariable)+"/frozen"), in, parade.BatchSize(1))
		if err != nil {
			return err
		}
		fmt.Printf("all right: %v; closing: %v\n", reflect.DeepEqual(in, out), ex.Close())
		return nil
	}
	// Half of the ranks each, with the last rank as root, and then all of them.
	roles["halves"] = func() error {
		world, err := mpi.World()
		if err != nil {
			return err
		}
		half, err := world.Split(ctx, world.Rank()%2, world.Rank())
		if err != nil {
			return err
		}
		for _, c := range []*mpi.Comm{half, world} {
			ex, err := c.Open(ctx, c.Size()-1, mpi.Config{})
			if err != nil {
				return err
			}
			who, err := parade.Map(ctx, ex, whoami, []int{1, 2, 3}, parade.BatchSize(1))
			if ex.Root() != (c.Rank() == c.Size()-1) {
				return fmt.Errorf("rank %d of %d: root is %v", c.Rank(), c.Size(), ex.Root())
			}
			switch {
			case ex.Root() && (err != nil || len(who) != 3):
				return fmt.Errorf("%v, %w", who, err)
			case !ex.Root() && !errors.Is(err, mpi.ErrNotRoot):
				return fmt.Errorf("a rank that is not the root gets %v, %w", who, err)
			}
			if err := ex.Close(); err != nil {
				return err
			}
		}
		fmt.Printf("rank %d goes on\n", world.Rank())
		return mpi.Finalize()
	}
	// A rank that gives up serving leaves the others their work.
	roles["leaves"] = func() error {
		world, err := mpi.World()
		if err != nil {
			return err
		}
		serving := ctx
		if world.Rank() == 1 {
			short, cancel := context.WithTimeoutCause(ctx, 300*time.Millisecond, errors.New("enough"))
			defer cancel()
			serving = short
		}
		ex, err := world.Open(serving, 0, mpi.Config{})
		switch {
		case world.Rank() == 1 && (err == nil || err.Error() != "enough"):
			return fmt.Errorf("the rank that leaves gets %w", err)
		case world.Rank() != 1 && err != nil:
			return err
		case ex != nil && ex.Root():
			in := make([]int, 1000)
			if _, err := parade.Map(ctx, ex, parade.Bind(freeze, "/nowhere"), in, parade.BatchSize(1)); err != nil {
				return err
			}
			fmt.Println("the work is done")
			if err := ex.Close(); err != nil {
				return err
			}
		}
		return mpi.Finalize()
	}
	roles["dereference"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		_, err = parade.Map(ctx, ex, dereference, []int{1, 2, 3}, parade.CollectErrors())
		fmt.Println(err)
		return ex.Close()
	}
	roles["large"] = func() error {
		parade.Serve()
		ex, err := parade.Open(ctx, "mpi")
		if err != nil {
			return err
		}
		v := make([]float64, 5_000_000)
		for i := range v {
			v[i] = float64(i)
		}
		in := make([]int, 200)
		for i := range in {
			in[i] = i * 20_000
		}
		var report parade.Report
		out, err := parade.Map(ctx, ex, parade.Bind(large, v), in, parade.BatchSize(1), parade.WithReport(&report))
		if err != nil {
			return err
		}
		for i := range in {
			if out[i] != float64(in[i]) {
				return fmt.Errorf("number %d is %v", in[i], out[i])
			}
		}
		fmt.Printf("sent %.1f times\n", float64(report.BytesOut)/float64(8*len(v)))
		return ex.Close()
	}
	roles["child"] = func() error {
		parade.Serve()
		ex, err := process.Open(ctx, process.Config{Workers: 1})
		if err != nil {
			return err
		}
		said, err := parade.Map(ctx, ex, inside, []int{1})
		fmt.Println(said)
		return errors.Join(err, ex.Close(), mpi.Finalize())
	}
}

// wants is what a run must look like.
type wants struct {
	role  string
	ranks int
	env   []string
	fails bool
	out   []string // in what was printed
}

func (w wants) check(t *testing.T, f flavour) {
	t.Helper()
	o := f.role(t, w.ranks, w.role, append(w.env, dirVariable+"="+t.TempDir())...)
	if (o.code != 0) != w.fails {
		t.Errorf("the exit code should not be %d", o.code)
	}
	for _, s := range w.out {
		if !strings.Contains(o.stdout+o.stderr, s) {
			t.Errorf("%q was not printed", s)
		}
	}
	if t.Failed() {
		t.Log(o)
	}
}

func TestRoles(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		for _, w := range []wants{
			{role: "tutorial", ranks: 3, out: []string{"8 executors agree"}},
			{role: "speak", ranks: 2, out: []string{"[rank 1] printed by task 3", "worker=\"rank 1 on "}},
			{role: "twice", ranks: 2, out: []string{"refused: mpi: the ranks were let go"}},
			{role: "unused", ranks: 3},
			{role: "fails", ranks: 3, fails: true, out: []string{"the program fails"}},
			{role: "inside", ranks: 2, out: []string{"a task cannot open the executor that runs it"}},
			{role: "child", ranks: 2, out: []string{"is rank 0, and is no rank of its own"}},
			{role: "halves", ranks: 4, out: []string{"rank 0 goes on", "rank 1 goes on", "rank 2 goes on", "rank 3 goes on"}},
			{role: "leaves", ranks: 3, out: []string{"the work is done"}},
			{role: "dereference", ranks: 2, out: []string{"invalid memory address or nil pointer dereference"}},
			{role: "large", ranks: 4, out: []string{"sent 1.0 times"}},
			{role: "tutorial", ranks: 2, env: []string{mpi.EnvThreads + "=funneled"}, out: []string{"8 executors agree"}},
			{role: "tutorial", ranks: 1, out: []string{"8 executors agree", "one rank, which computes by itself"}},
			{role: "large", ranks: 2, fails: true, env: []string{mpi.EnvLibrary + "=/nowhere/libmpi.so"}, out: []string{"names does not load: /nowhere/libmpi.so: ", "rank 1 cannot serve"}},
		} {
			t.Run(fmt.Sprintf("%s of %d", w.role, w.ranks), func(t *testing.T) { w.check(t, f) })
		}
		other := map[string]string{"Open MPI": "libmpich.so.12", "MPICH": "libmpi.so.40"}[f.name]
		t.Run("library of another launcher", func(t *testing.T) {
			wants{role: "large", ranks: 2, fails: true, env: []string{mpi.EnvLibrary + "=" + other},
				out: []string{"mpiexec of " + f.name + " started 2 processes", "do not belong together"}}.check(t, f)
		})
	})
}

// A frozen rank's tasks run elsewhere. Its process cannot be replaced, and the
// launcher ends it with the job. mpiexec of Open MPI 4.1.4 sometimes hangs after
// that, when all ranks are gone.
func TestFrozen(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		o := tryRun(t, 15*time.Second, environment(roleVariable+"=freeze", dirVariable+"="+t.TempDir()), f.mpiexec, "-n", "3", self)
		if !strings.Contains(o.stdout, "all right: true; closing: mpi: rank ") || !strings.Contains(o.stdout, "does not answer") {
			t.Error(o)
		}
	})
}

// Without mpiexec, Open MPI starts workers itself, and MPICH of Debian says what to do.
func TestSpawn(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		library := map[string]string{"Open MPI": "libmpi.so.40", "MPICH": "libmpich.so.12"}[f.name]
		env := []string{mpi.EnvLibrary + "=" + library, specVariable + "=mpi:2", dirVariable + "=" + t.TempDir()}
		o := f.role(t, 0, "fragile", env...)
		switch f.name {
		case "Open MPI":
			if o.code != 0 || !strings.Contains(o.stdout, "200 good results, error: <nil>") {
				t.Error(o)
			}
		default:
			if o.code == 0 || !strings.Contains(o.stderr, "mpiexec -n 3 ") {
				t.Error(o)
			}
		}
	})
}
