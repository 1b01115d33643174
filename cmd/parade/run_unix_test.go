//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runProcess is a "parade run" in a process of its own.
type runProcess struct {
	*exec.Cmd
	dir    string
	mark   string
	stderr *said
}

// said is what a process has said so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func startRun(t *testing.T, args ...string) *runProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &runProcess{Cmd: exec.CommandContext(t.Context(), self), dir: dir, mark: "PARADE_TEST_MARK=" + dir, stderr: new(said)}
	p.Args = append([]string{"parade", "run"}, args...)
	p.Dir = dir
	p.Env = append(os.Environ(), p.mark)
	p.Stderr = p.stderr
	p.Stdout = io.Discard
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func (p *runProcess) made(pattern string) int {
	found, _ := filepath.Glob(filepath.Join(p.dir, pattern)) // the pattern is good
	return len(found)
}

func (p *runProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the process to end with a code, and sees that it leaves nothing.
func (p *runProcess) ends(t *testing.T, code int) {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		t.Errorf("ended with %v, want code %d; it said %q", err, code, p.stderr)
	}
	if left := marked(p.mark); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
}

// The first Ctrl-C lets the running tasks end, and no more are started.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"serial", "threads:2", "processes:2"} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			// A task runs until "go" is there.
			p := startRun(t, "--on", on, "touch started-{}; while ! test -e go; do sleep 0.01; done; touch done-{}", ":::", "1", "2", "3", "4", "5", "6")
			jobs := 2
			if on == "serial" {
				jobs = 1
			}
			eventually(t, "tasks start", func() bool { return p.made("started-*") == jobs })
			p.signal(t, syscall.SIGINT)
			eventually(t, "it says what it waits for", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C again ends") })
			if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			p.ends(t, exitInterrupted)
			if n, m := p.made("started-*"), p.made("done-*"); n != jobs || m != jobs {
				t.Errorf("%d tasks were started and %d done, want %d", n, m, jobs)
			}
			if said := p.stderr.String(); !strings.HasSuffix(said, "parade: interrupted\n") || !strings.Contains(said, "done in ") || !strings.Contains(said, fmt.Sprintf("%d not started", 6-jobs)) {
				t.Errorf("it said %q", said)
			}
		})
	}
}

// The second ends them, with all that they have started; so does SIGTERM.
func TestRunTerminated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		signals []syscall.Signal
		code    int
	}{
		"twice Ctrl-C":         {[]syscall.Signal{syscall.SIGINT, syscall.SIGINT}, exitInterrupted},
		"SIGTERM":              {[]syscall.Signal{syscall.SIGTERM}, exitTerminated},
		"SIGHUP, then SIGTERM": {[]syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}, exitHangup},
	} {
		for _, on := range []string{"serial", "threads:2", "processes:2"} {
			t.Run(name+" "+on, func(t *testing.T) {
				t.Parallel()
				p := startRun(t, "--on", on, "sleep 300 & touch started-{}; sleep 300", ":::", "1", "2", "3")
				eventually(t, "tasks start", func() bool { return p.made("started-*") > 0 })
				for i, s := range tc.signals {
					if i > 0 {
						eventually(t, "it has the first signal", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C again") })
					}
					p.signal(t, s)
				}
				p.ends(t, tc.code)
			})
		}
	}
}

// The first Ctrl-C makes the running attempt the last, and what it printed is kept.
func TestRunInterruptedRetries(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"serial", "threads:2", "processes:2"} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			p := startRun(t, "--on", on, "--retries", "5", "--backoff", "0", "--joblog", "log",
				"touch started-{}-$PARADE_ATTEMPT; while ! test -e go; do sleep 0.01; done; echo attempt $PARADE_ATTEMPT >&2; false", ":::", "1")
			eventually(t, "the task starts", func() bool { return p.made("started-*") == 1 })
			p.signal(t, syscall.SIGINT)
			eventually(t, "it says what it waits for", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C again ends") })
			if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			p.ends(t, exitInterrupted)
			if n := p.made("started-*"); n != 1 {
				t.Errorf("%d attempts were started", n)
			}
			if said := p.stderr.String(); !strings.Contains(said, "task 1: exit 1\n  attempt 1\n") {
				t.Errorf("it said %q", said)
			}
			if log, err := os.ReadFile(filepath.Join(p.dir, "log")); err != nil || strings.Count(string(log), "\n") != 2 {
				t.Errorf("the joblog is %q (%v)", log, err)
			}
		})
	}
}

// The third does not wait for the grace of what does not mind SIGTERM. Worker processes
// give none anyway.
func TestRunKilledAtOnce(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"serial", "threads:2"} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			p := startRun(t, "--on", on, "trap ': > termed; sleep 1.7; : > survived' TERM; touch started-{}; while true; do sleep 0.01; done", ":::", "1", "2")
			eventually(t, "a task starts", func() bool { return p.made("started-*") > 0 })
			p.signal(t, syscall.SIGINT)
			eventually(t, "it has the first signal", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C again") })
			p.signal(t, syscall.SIGINT)
			eventually(t, "it has the second signal", func() bool { return strings.Contains(p.stderr.String(), "once more") && p.made("termed") == 1 })
			p.signal(t, syscall.SIGINT)
			p.ends(t, exitInterrupted)
			if p.made("survived") > 0 {
				t.Error("a task lived on into the grace of 2 s")
			}
		})
	}
}

// Without a terminal it is said, too, why nothing is started.
func TestRunSaysWhyItWaits(t *testing.T) {
	t.Parallel()
	if _, err := freeMemory(); err != nil {
		t.Skip(err)
	}
	p := startRun(t, "--memfree", "1000P", "echo", ":::", "1", "2")
	eventually(t, "it says so", func() bool { return strings.Contains(p.stderr.String(), "parade: waiting for memory: ") })
	p.signal(t, syscall.SIGINT)
	p.ends(t, exitInterrupted)
	if said := p.stderr.String(); strings.Count(said, "waiting for memory") != 1 || !strings.Contains(said, "2 not started") {
		t.Errorf("it said %q", said)
	}
}

// A list that is slow to come, such as a person's typing, does not hold a run back
// from ending.
func TestRunInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	for _, dry := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Args = []string{"parade", "run", "echo"}
		if dry {
			cmd.Args = []string{"parade", "run", "--dry-run", "echo"}
		}
		cmd.Stdin = r
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString("first\n"); err != nil {
			t.Fatal(err)
		}
		// What is there is done, and shown, at once.
		buffer := make([]byte, 100)
		n, err := out.Read(buffer)
		if err != nil || !strings.Contains(string(buffer[:n]), "first") {
			t.Errorf("printed %q (%v)", buffer[:n], err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
			t.Errorf("ended with %v, want code %d", err, exitInterrupted)
		}
	}
}
