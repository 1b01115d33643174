//go:build linux && !static && (amd64 || arm64)

package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
)

// actVariable says what happens to the worker that runs input actAt.
const (
	actVariable   = "PARADE_TEST_ACT"
	specVariable  = "PARADE_TEST_SPEC"
	dirVariable   = "PARADE_TEST_DIR"
	actAt, inputs = 150, 200
)

// fragile notes each call in a file of its own, and does what the variable says.
var fragile = parade.Func("mpi.fragile", func(v int) (int, error) {
	name := filepath.Join(os.Getenv(dirVariable), fmt.Sprintf("call-%d-%d", v, time.Now().UnixNano()))
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return 0, err
	}
	time.Sleep(time.Millisecond)
	if v != actAt {
		return 7*v + 3, nil
	}
	switch os.Getenv(actVariable) {
	case "error":
		return 0, errors.New("no such value")
	case "panic":
		panic("went too far")
	case "exit 0":
		os.Exit(0)
	case "exit 1":
		os.Exit(1)
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "freeze":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	return 7*v + 3, nil
})

func init() {
	roles["fragile"] = func() error {
		parade.Serve()
		ctx := context.Background()
		ex, err := parade.Open(ctx, os.Getenv(specVariable))
		if err != nil {
			return err
		}
		in := make([]int, inputs)
		for i := range in {
			in[i] = i
		}
		out, err := parade.Map(ctx, ex, fragile, in, parade.BatchSize(1), parade.CollectErrors(), parade.Crashes(2),
			parade.Journal(filepath.Join(os.Getenv(dirVariable), "results.journal")))
		good := 0
		for i, v := range out {
			if v == 7*i+3 {
				good++
			}
		}
		fmt.Printf("%d good results, error: %v\n", good, err)
		return ex.Close()
	}
}

// calls is how many calls of fragile there have been.
func calls(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "call-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// What happens to a rank ends the job, and the next run computes what is missing; what
// happens to a task, or to a child of a rank, does not.
func TestFailures(t *testing.T) {
	if os.Getenv(suiteVariable) != "" {
		return
	}
	each(t, func(t *testing.T, f flavour) {
		for _, tc := range []struct {
			act, spec string
			fatal     bool
			shows     string // in what the program prints
		}{
			{"error", "mpi", false, "199 good results"},
			{"panic", "mpi", false, "199 good results"},
			{"exit 1", "mpi", true, ""},
			{"exit 0", "mpi", true, ""},
			{"kill", "mpi", true, ""},
			{"exit 0", "mpi:children", false, "input set aside after it cost 2 workers"},
			{"kill", "mpi:children", false, "input set aside after it cost 2 workers"},
		} {
			t.Run(tc.act+" on "+tc.spec, func(t *testing.T) {
				dir := t.TempDir()
				env := []string{specVariable + "=" + tc.spec, dirVariable + "=" + dir, actVariable + "=" + tc.act}
				o := f.role(t, 3, "fragile", env...)
				t.Logf("%v", o)
				if !tc.fatal {
					if o.code != 0 || !strings.Contains(o.stdout, tc.shows) || !strings.Contains(o.stdout, "199 good results") {
						t.Errorf("the program should go on and say %q", tc.shows)
					}
					return
				}
				if strings.Contains(o.stdout, "good results") {
					t.Error("the job went on without one of its ranks")
				}
				first := calls(t, dir)
				again := f.role(t, 3, "fragile", append(env[:2:2], actVariable+"=none")...)
				if again.code != 0 || !strings.Contains(again.stdout, "200 good results, error: <nil>") {
					t.Errorf("the next run:\n%v", again)
				}
				// What was in the ranks' hands when it happened is computed again.
				second := calls(t, dir) - first
				t.Logf("%d calls in the first run, %d in the second", first, second)
				if first < 100 || second > inputs-100 {
					t.Errorf("the first run made %d calls and the second %d", first, second)
				}
			})
		}
	})
}
