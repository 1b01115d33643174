package linalg_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/linalg"
)

// childVariable marks a run of this test binary that tests one back end.
const childVariable = "PARADE_TEST_BACKEND"

// exitMissing is how a child says that its back end is not on this machine.
const exitMissing = 3

func TestMain(m *testing.M) {
	parade.Serve() // the workers are this test's binary
	if os.Getenv(childVariable) != "" {
		if _, err := linalg.Backend(); err != nil {
			fmt.Println(err)
			os.Exit(exitMissing)
		}
	}
	os.Exit(m.Run())
}

// TestBackends runs the other tests with each back end. Those that the setup of a
// development machine installs must be there; others are tested where they are.
func TestBackends(t *testing.T) {
	t.Parallel()
	if os.Getenv(childVariable) != "" {
		return
	}
	for _, tc := range []struct {
		name    string
		goos    string // where the setup installs it, "" for everywhere
		threads string
	}{
		{name: "gonum"},
		{name: "openblas", goos: "linux"},
		{name: "openblas", goos: "linux", threads: "0"},
		{name: "blis", goos: "linux"},
		{name: "lapack", goos: "linux"},
		{name: "accelerate", goos: "darwin"},
		{name: "mkl", goos: "none"},
		// A library of the developer's own, such as the one in numpy.libs.
		{name: os.Getenv("PARADE_TEST_LINALG"), goos: "none"},
	} {
		if tc.name == "" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=2m")
		cmd.Env = append(os.Environ(), linalg.EnvBackend+"="+tc.name, linalg.EnvThreads+"="+tc.threads, childVariable+"="+tc.name)
		name := tc.name
		if tc.threads != "" {
			name += ", all cores"
		}
		if tc.goos != "" && tc.goos != runtime.GOOS {
			if probe := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$"); errors.As(runWith(probe, cmd.Env), new(*exec.ExitError)) {
				continue
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == exitMissing {
				t.Skipf("not on this machine, scripts/setup.sh test installs it: %s", out)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "no tests to run") {
				t.Error("nothing was tested")
			}
		})
	}
}

func runWith(cmd *exec.Cmd, env []string) error {
	cmd.Env = env
	return cmd.Run()
}

// TestChoice asks for back ends that cannot be had.
func TestChoice(t *testing.T) {
	t.Parallel()
	if os.Getenv(childVariable) != "" {
		return
	}
	for _, tc := range []struct {
		name, variable, value string
		want                  []string
	}{
		{"unknown name", linalg.EnvBackend, "openblass", []string{"PARADE_LINALG=openblass", "gonum", "unset PARADE_LINALG"}},
		{"no such file", linalg.EnvBackend, "/nowhere/libblas.so", []string{"PARADE_LINALG=/nowhere/libblas.so"}},
		{"no library", linalg.EnvBackend, "./linalg.go", []string{"PARADE_LINALG=./linalg.go"}},
		{"no number", linalg.EnvThreads, "many", []string{"PARADE_LINALG_THREADS=many", "number of threads"}},
		{"a negative number", linalg.EnvThreads, "-1", []string{"PARADE_LINALG_THREADS=-1", "number of threads"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// The child's TestMain prints the error of the first call.
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), tc.variable+"="+tc.value, childVariable+"=1")
			out, err := cmd.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitMissing {
				t.Fatalf("the first call did not fail: %v\n%s", err, out)
			}
			for _, part := range append(tc.want, "linalg: ", "bad choice of back end") {
				if !strings.Contains(string(out), part) {
					t.Errorf("%q is not in %s", part, out)
				}
			}
			if strings.Count(string(out), "\n") != 1 {
				t.Errorf("the error is not one line: %s", out)
			}
		})
	}
}

func TestBackend(t *testing.T) {
	t.Parallel()
	b, err := linalg.Backend()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %s, %s", b, b.Library, b.Reason)
	if b.Name == "" || b.Reason == "" || b.Threads < 1 || b.IntegerBits != 32 && b.IntegerBits != 64 {
		t.Errorf("incomplete: %+v", b)
	}
	if asked := os.Getenv(linalg.EnvBackend); asked != "" && !strings.Contains(b.Reason, asked) {
		t.Errorf("the reason is %q, want one with %q", b.Reason, asked)
	}
	if want := map[string]string{"gonum": "gonum", "openblas": "OpenBLAS", "blis": "BLIS", "lapack": "LAPACK", "mkl": "Intel MKL", "accelerate": "Accelerate"}[os.Getenv(linalg.EnvBackend)]; want != "" && b.Name != want {
		t.Errorf("it is %s, want %s", b.Name, want)
	}
	if b.Name != "gonum" {
		if _, err := os.Stat(b.Library); err != nil && runtime.GOOS != "darwin" {
			t.Errorf("library: %v", err)
		}
	}
	if !strings.HasPrefix(b.String(), b.Name) || !strings.Contains(b.String(), "thread") {
		t.Errorf("printed as %q", b)
	}
}
