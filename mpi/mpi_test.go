//go:build linux && !static && (amd64 || arm64)

package mpi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/mpi"
	"github.com/parade-go/parade/paradetest"
	_ "github.com/parade-go/parade/process"
)

// A test starts this binary again under mpiexec, and says with roleVariable which of
// roles the ranks are to play.
const roleVariable = "PARADE_TEST_ROLE"

// roles run before parade.Serve, in every rank; those of the pool call it first.
var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" && os.Getenv("PARADE_WORKER") == "" {
		f := roles[role]
		if f == nil {
			fmt.Fprintf(os.Stderr, "no role %q\n", role)
			os.Exit(1)
		}
		if err := f(); err != nil {
			fmt.Fprintf(os.Stderr, "role %s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(suiteVariable) == "communicator" && os.Getenv("PARADE_WORKER") == "" {
		os.Exit(amongAll(m))
	}
	parade.Serve()
	code := m.Run()
	if err := mpi.Finalize(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// flavour is an MPI on this machine.
type flavour struct {
	name    string
	mpiexec string
}

var flavours = []flavour{{"Open MPI", "mpiexec.openmpi"}, {"MPICH", "mpiexec.mpich"}}

// each runs a test under every MPI, one after the other: ranks that share cores are
// slow.
func each(t *testing.T, test func(t *testing.T, f flavour)) {
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			if _, err := exec.LookPath(f.mpiexec); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s is missing: scripts/setup.sh test installs it", f.mpiexec)
				}
				t.Skipf("%s is not installed", f.mpiexec)
			}
			test(t, f)
		})
	}
}

// environment lets Open MPI run as root, and more ranks than cores.
func environment(extra ...string) []string {
	return append(append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		"OMPI_MCA_rmaps_base_oversubscribe=1"), extra...)
}

// output is what a run under mpiexec has left.
type output struct {
	code           int
	hangs          bool
	stdout, stderr string
}

func (o output) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", o.code, o.stdout, o.stderr)
}

// run runs a command to its end.
func run(t *testing.T, patience time.Duration, env []string, words ...string) output {
	t.Helper()
	o := tryRun(t, patience, env, words...)
	if o.hangs {
		t.Fatalf("%v hangs: not finished after %v\n%v", words, patience, o)
	}
	return o
}

func tryRun(t *testing.T, patience time.Duration, env []string, words ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &stdout, &stderr, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 20 * time.Second // a daemon of Open MPI may hold the output for a moment
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", words, err)
	}
	return output{cmd.ProcessState.ExitCode(), ctx.Err() != nil, stdout.String(), stderr.String()}
}

// ranks runs this binary under mpiexec, or with no ranks without it.
func (f flavour) ranks(t *testing.T, n int, env []string, args ...string) output {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := append([]string{f.mpiexec, "-n", fmt.Sprint(n), self}, args...)
	if n == 0 {
		words = words[3:] // without mpiexec
	}
	return run(t, 2*time.Minute, environment(env...), words...)
}

// role runs a role under mpiexec.
func (f flavour) role(t *testing.T, n int, role string, env ...string) output {
	t.Helper()
	return f.ranks(t, n, append(env, roleVariable+"="+role))
}

// suiteVariable has TestInside run, which is the conformance suite among ranks.
const suiteVariable = "PARADE_TEST_SUITE"

// TestInside is run by TestConformance, under mpiexec.
func TestInside(t *testing.T) {
	kind := os.Getenv(suiteVariable)
	if kind == "" {
		return // not a test of its own
	}
	mpi.Keep()
	cfg := mpi.Config{Heartbeat: 200 * time.Millisecond, Missed: 25, Grace: 500 * time.Millisecond}
	features := paradetest.Features{Fatal: true, Tasks: 20_000, Large: 8_000_000}
	open := func(ctx context.Context) (parade.Executor, error) { return mpi.Open(ctx, cfg) }
	switch kind {
	case "pool":
	case "all":
		cfg.RootWorks = true
	case "spawn":
		cfg.Workers = 2
	case "children":
		cfg.Children, cfg.Missed = true, 4
		features.Fatal = false
		features.Kill = func(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
		features.Freeze = func(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) }
	case "communicator":
		open = func(ctx context.Context) (parade.Executor, error) { return openWithAll(ctx, cfg) }
	default:
		t.Fatalf("no suite %q", kind)
	}
	// MPI and its ranks outlive the executors: they are there before the suite counts.
	first, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	paradetest.Run(t, open, features)
}

// everybody is the communicator of TestInside's suite "communicator": all ranks in
// reverse, so that its root, which is rank 0 of the world, is its last rank.
var everybody struct {
	sync.Mutex
	*mpi.Comm
}

const (
	callTag   = 5
	callOpen  = 1
	callLeave = 2
)

// amongAll runs the tests at rank 0. The others open executors when it does.
func amongAll(m *testing.M) int {
	ctx := context.Background()
	world, err := mpi.World()
	if err == nil {
		everybody.Comm, err = world.Split(ctx, 0, -world.Rank())
	}
	code := 0
	switch {
	case err != nil:
	case world.Rank() == 0:
		if code = m.Run(); code == 0 {
			err = tellAll(ctx, callLeave)
		}
	default:
		err = follow(ctx)
	}
	if err == nil {
		err = mpi.Finalize()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func tellAll(ctx context.Context, call byte) error {
	for rank := range everybody.Size() - 1 {
		if err := everybody.Send(ctx, []byte{call}, rank, callTag); err != nil {
			return err
		}
	}
	return nil
}

func openWithAll(ctx context.Context, cfg mpi.Config) (parade.Executor, error) {
	everybody.Lock()
	defer everybody.Unlock()
	if err := tellAll(ctx, callOpen); err != nil {
		return nil, err
	}
	return everybody.Open(ctx, everybody.Size()-1, cfg)
}

func follow(ctx context.Context) error {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		call := []byte{0}
		if err := everybody.Recv(ctx, call, everybody.Size()-1, callTag); err != nil {
			return err
		}
		if call[0] == callLeave {
			return nil
		}
		open.Go(func() {
			ex, err := everybody.Open(ctx, everybody.Size()-1, mpi.Config{})
			if err == nil && ex.Root() {
				err = errors.New("a rank that is not the root has the executor")
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	// Every kind and number of ranks under one of them, or with the variable under both.
	all := os.Getenv("PARADE_TEST_ALL") != ""
	suites := []struct {
		kind  string
		ranks int
		under string
	}{
		{"pool", 2, "Open MPI"},
		{"pool", 3, "MPICH"},
		{"pool", 5, "Open MPI"},
		{"communicator", 2, "MPICH"},
		{"communicator", 3, "Open MPI"},
		{"communicator", 5, "MPICH"},
		{"all", 1, "MPICH"},
		{"all", 2, "Open MPI"},
		{"children", 3, "Open MPI"},
		{"children", 3, "MPICH"},
		{"spawn", 0, "Open MPI"},
	}
	each(t, func(t *testing.T, f flavour) {
		for _, s := range suites {
			if s.under != f.name && (!all || s.kind == "spawn") {
				continue
			}
			t.Run(fmt.Sprintf("%s of %d", s.kind, s.ranks), func(t *testing.T) {
				o := f.ranks(t, s.ranks, []string{suiteVariable + "=" + s.kind}, "-test.run=^TestInside$", "-test.v")
				if o.code != 0 || !strings.Contains(o.stdout, "--- PASS: TestInside") {
					t.Error(o)
				}
			})
		}
	})
}
