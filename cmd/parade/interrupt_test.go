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

// marked finds, where there is a /proc, the processes that have a variable in
// their environment; it gives those that are on their way out a second.
func marked(variable string) (left []string) {
	for range 20 {
		left = nil
		environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is good
		for _, path := range environments {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), variable) {
				left = append(left, filepath.Dir(path))
			}
		}
		if len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}
