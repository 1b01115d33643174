//go:build unix

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A signal ends the command with its own code, and its workers with it.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		signal syscall.Signal
		code   int
		said   string
	}{
		{syscall.SIGINT, exitInterrupted, "parade: interrupted\n"},
		{syscall.SIGTERM, exitTerminated, "parade: ended by signal: terminated\n"},
	} {
		t.Run(tc.signal.String(), func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			mark := "PARADE_TEST_MARK=" + filepath.Base(t.TempDir()) + tc.signal.String()
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Args = []string{"parade", "demo", "--out", t.TempDir(), "--on", "processes:2"}
			cmd.Env = append(os.Environ(), mark)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				if strings.Contains(lines.Text(), "A recording of today") {
					if err := cmd.Process.Signal(tc.signal); err != nil {
						t.Error(err)
					}
				}
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != tc.code {
				t.Errorf("ended with %v, want code %d; it said %q", err, tc.code, stderr.String())
			}
			if !strings.HasSuffix(stderr.String(), tc.said) {
				t.Errorf("it said %q, want %q", stderr.String(), tc.said)
			}
			if left := marked(mark); len(left) > 0 {
				t.Errorf("left running: %q", left)
			}
		})
	}
}

// So it is where a job of many small tasks is running, and nobody has a file left
// that is not whole.
func TestSignalDuringSurrogates(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("without /proc this test can't tell when workers run")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.csv"), []byte("time_s\n0\n1\n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mark := "PARADE_TEST_MARK=" + filepath.Base(dir) + "surrogates"
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = strings.Fields("parade spikes surrogates a.csv --statistic peak --bin 1us -n 1000000 --on processes:2 -o out.csv")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), mark)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); len(running(mark)) < 3 && time.Since(start) < 30*time.Second; {
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("ended with %v, want code %d; it said %q", err, exitInterrupted, stderr.String())
	}
	if !strings.HasSuffix(stderr.String(), "parade: interrupted\n") {
		t.Errorf("it said %q", stderr.String())
	}
	if left := marked(mark); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("the folder has %v, want the recording only (%v)", files, err)
	}
}

// marked finds the processes that have a variable in their environment; it gives
// those that are on their way out a second.
func marked(variable string) (left []string) {
	for range 20 {
		if left = running(variable); len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// running finds, where there is a /proc, the processes that have a variable in
// their environment.
func running(variable string) (found []string) {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is good
	for _, path := range environments {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), variable) {
			found = append(found, filepath.Dir(path))
		}
	}
	return found
}

// However the command of a foreground cluster ends, nothing of the cluster is left.
func TestForeground(t *testing.T) {
	t.Parallel()
	for name, signals := range map[string][]syscall.Signal{
		"interrupted":       {syscall.SIGINT},
		"interrupted twice": {syscall.SIGINT, syscall.SIGINT},
		"killed":            {syscall.SIGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			cmd := exec.CommandContext(t.Context(), "parade", "cluster", "start", "lab", "-n", "1", "--slots", "1", "--foreground")
			cmd.Env = append(os.Environ(), "PARADE_STATE="+state, "XDG_CACHE_HOME="+t.TempDir())
			cmd.Stderr = os.Stderr
			if _, err := cmd.StdinPipe(); err != nil { // stays open
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(stdout).ReadString('\n'); !strings.Contains(line, "1 engine") {
				t.Fatalf("it said %q, %v", line, err)
			}
			folder := filepath.Join(state, "clusters", "lab")
			pids := append(localEngines(folder), controllerPID(folder))
			if len(pids) != 2 {
				t.Fatalf("its processes are %v", pids)
			}
			for _, s := range signals {
				_ = cmd.Process.Signal(s) // the first may have ended it
				time.Sleep(10 * time.Millisecond)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("it ended without an error")
			}
			for _, pid := range pids {
				gone(t, pid)
			}
			if _, err := os.Stat(folder); err == nil {
				t.Error("its folder is left")
			}
		})
	}
}
