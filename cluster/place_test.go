//go:build unix

package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade/cluster"
)

// programs are what the tests of whole clusters start. Both need no shared library, so that they
// run where there is nothing else.
type programs struct {
	parade string // the command
	suite  string // these tests, as a client of a cluster
}

// programsFolder is where they are, once they are needed. TestMain removes it.
var programsFolder string

var builtPrograms = sync.OnceValues(func() (p programs, err error) {
	if programsFolder, err = os.MkdirTemp("", "parade-programs-"); err != nil {
		return p, err
	}
	p.parade, p.suite = filepath.Join(programsFolder, "parade"), filepath.Join(programsFolder, "suite")
	for _, args := range [][]string{
		{"build", "-tags", "static", "-o", p.parade, "../cmd/parade"},
		{"test", "-tags", "static", "-c", "-o", p.suite, "."},
	} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return p, nil
})

// suiteVariable has TestConformance run on a cluster of this user that is there: its name.
const suiteVariable = "PARADE_TEST_CLUSTER"

// place has a cluster named lab that the command starts.
type place struct {
	programs
	t     testing.TB
	state string   // its folder is below
	env   []string // besides this process's own
	under []string // what the client's commands run under
}

func newPlace(t testing.TB, env ...string) *place {
	t.Helper()
	p, err := builtPrograms()
	if err != nil {
		t.Fatal(err)
	}
	s := &place{programs: p, t: t, state: t.TempDir()}
	s.env = append([]string{"PARADE_STATE=" + s.state, "XDG_CACHE_HOME=" + t.TempDir()}, env...)
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs()
		}
	})
	return s
}

// with is the place in a part of the test.
func (s *place) with(t testing.TB) *place {
	part := *s
	part.t = t
	return &part
}

// folder is the cluster's.
func (s *place) folder() string { return filepath.Join(s.state, "clusters", "lab") }

func (s *place) showLogs() {
	files, _ := filepath.Glob(filepath.Join(s.folder(), "*.log"))
	for _, file := range files {
		if text, _ := os.ReadFile(file); len(text) > 0 {
			s.t.Logf("%s:\n%s", filepath.Base(file), text[max(0, len(text)-4000):])
		}
	}
}

// command makes a command of the place's.
func (s *place) command(ctx context.Context, argv ...string) *exec.Cmd {
	argv = append(s.under[:len(s.under):len(s.under)], argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	return cmd
}

// run runs parade and returns what it prints.
func (s *place) run(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, append([]string{s.parade}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("parade %q: %v\n%s%s", args, err, &out, &errs)
	}
	return out.String()
}

func (s *place) status() (status cluster.Status) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.run("cluster", "status", "lab", "--json")), &status); err != nil {
		s.t.Fatal(err)
	}
	return status
}

// wait returns when the cluster has n engines.
func (s *place) wait(n int) []cluster.Engine {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		engines := s.status().Engines
		if len(engines) == n {
			return engines
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("there are the engines %+v, want %d", engines, n)
		}
	}
}

// conform runs the conformance suite as a client of the cluster.
func (s *place) conform() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := s.command(ctx, s.suite, "-test.run=^TestConformance$", "-test.v", "-test.timeout=4m")
	cmd.Env = append(cmd.Env, suiteVariable+"=lab")
	out, err := cmd.CombinedOutput()
	if passed := bytes.Count(out, []byte("--- PASS: ")); err != nil || passed < 80 {
		s.t.Fatalf("the suite ends with %v after %d tests:\n%s", err, passed, failures(out))
	} else {
		s.t.Logf("%d tests of the suite pass", passed)
	}
}

// failures leaves out of a test's output what passed.
func failures(out []byte) []byte {
	var left [][]byte
	for line := range bytes.Lines(out) {
		trimmed := bytes.TrimSpace(line)
		if !bytes.HasPrefix(trimmed, []byte("=== ")) && !bytes.HasPrefix(trimmed, []byte("--- PASS")) {
			left = append(left, line)
		}
	}
	return bytes.Join(left, nil)
}

// start starts the cluster by the command, or more engines of it; the end of the test stops it.
func (s *place) start(args ...string) string {
	s.t.Helper()
	s.t.Cleanup(func() {
		if _, err := os.Stat(s.folder()); err != nil {
			return // it was stopped, and removed
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := s.command(ctx, s.parade, "cluster", "stop", "lab", "--remove").CombinedOutput(); err != nil {
			s.t.Errorf("stop: %v\n%s", err, out)
		}
	})
	return s.run(append([]string{"cluster", "start", "lab"}, args...)...)
}

// client makes a client of the cluster, which does the work that playClient knows.
func (s *place) client(ctx context.Context, work string) *exec.Cmd {
	cmd := s.command(ctx, s.suite)
	cmd.Env = append(cmd.Env, roleVariable+"=client", "PARADE_TEST_WORK="+work)
	return cmd
}

// stop stops the cluster, and sees to it that its engines have ended.
func (s *place) stop() {
	s.t.Helper()
	engines := s.status().Engines
	s.run("cluster", "stop", "lab", "--remove")
	for _, e := range engines {
		for deadline := time.Now().Add(20 * time.Second); syscall.Kill(e.PID, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				s.t.Errorf("engine %s still runs", e.ID)
				break
			}
		}
	}
}

// missing ends a test that needs what is not here. In the CI that is a failure.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if text := fmt.Sprintf(format, args...); os.Getenv("CI") == "true" {
		t.Fatal(text)
	} else {
		t.Skip(text)
	}
}

// tool finds a program, also where only root usually looks.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, try := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(try); err == nil {
			return path
		}
	}
	missing(t, "there is no %s here; scripts/setup.sh test installs it", name)
	return ""
}

// daemon runs a program until the end of the test.
func daemon(t testing.TB, argv ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		select {
		case err := <-ended:
			cancel()
			t.Errorf("%s ended by itself: %v\n%s", argv[0], err, &out)
		default:
			cancel()
			if err := <-ended; errors.Is(err, exec.ErrWaitDelay) || t.Failed() {
				t.Logf("%s: %v\n%s", argv[0], err, &out)
			}
		}
	})
}

// write writes a file of a test's.
func write(t testing.TB, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
