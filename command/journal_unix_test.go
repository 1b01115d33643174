//go:build linux || darwin

package command_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/command"
)

// Files may not grow beyond a number of bytes, as on a disk that is full then.
func init() {
	roles["fill"] = func() error {
		limit, err := strconv.ParseUint(os.Getenv("PARADE_TEST_LIMIT"), 10, 64)
		if err != nil {
			return err
		}
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
		template, err := command.ParseTemplate([]string{"echo", "{}"}, false, nil)
		if err != nil {
			return err
		}
		spec := command.Spec{Template: template}
		j, err := command.OpenJournal(os.Getenv("PARADE_TEST_LOG"), spec, command.JournalOptions{Resume: command.SkipEnded})
		if err != nil {
			return err
		}
		for seq := 1000; ; seq++ {
			args := []string{strings.Repeat("x", seq%17)}
			err := j.Add(command.Result{Seq: seq, Args: args, Command: command.Line(append([]string{"echo"}, args...))})
			if err == nil {
				fmt.Println(seq)
				continue
			}
			if !errors.Is(err, syscall.EFBIG) {
				return fmt.Errorf("task %d: %w, want the system's error", seq, err)
			}
			if again := j.Add(command.Result{Seq: seq + 1}); !errors.Is(again, syscall.EFBIG) {
				return fmt.Errorf("afterwards: %w, want the same error", again)
			}
			return nil
		}
	}
}

func TestJournalOnFullDisk(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := echo(t, "{}")
	for _, test := range []struct {
		name  string
		past  int // bytes of an earlier task's command, by which the joblog becomes full first
		limit int
	}{
		{"the journal is full", 0, 5000},
		{"the journal is full at another byte", 0, 5093},
		{"the joblog is full", 20000, 21000},
		{"the joblog is full at another byte", 20000, 21037},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, "")
			if test.past > 0 {
				entry := command.JoblogEntry{Seq: 1, Host: ":", Command: "echo " + strings.Repeat("x", test.past)}
				text, err := entry.AppendText([]byte(command.JoblogHeader + "\n"))
				if err != nil {
					t.Fatal(err)
				}
				path = writeFile(t, string(text))
			}
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), roleVariable+"=fill", "PARADE_TEST_LOG="+path, fmt.Sprintf("PARADE_TEST_LIMIT=%d", test.limit))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var want []int
			for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
				seq, err := strconv.Atoi(s.Text())
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, seq)
			}
			if len(want) < 3 {
				t.Fatalf("only %d results were taken", len(want))
			}
			for _, file := range []string{path, path + command.JournalSuffix} {
				if text := readFile(t, file); !strings.HasSuffix(text, "\n") {
					t.Errorf("%s ends in the middle of a line", file)
				}
			}
			if test.past > 0 { // this one is in the journal, and Add could not say so
				want = append(want, want[len(want)-1]+1)
			}

			// With room again, the run goes on from there, and both files have the same.
			j := open(t, path, spec, skipEnded)
			for seq := 1000; seq <= want[len(want)-1]+1; seq++ {
				skip, err := j.Skip(&command.Input{Seq: seq, Args: []string{strings.Repeat("x", seq%17)}})
				if err != nil || skip != (seq <= want[len(want)-1]) {
					t.Errorf("task %d is left out: %t, error %v", seq, skip, err)
				}
			}
			var got []int
			for _, e := range readJoblog(t, path) {
				if e.Seq >= 1000 {
					got = append(got, e.Seq)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the joblog has other tasks:\n%s", diff)
			}
		})
	}
}
