//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade/command"
)

// killedRun is a run of many tasks that is killed again and again. Each task appends a
// line to the file effects, and makes an output in two steps.
type killedRun struct {
	dir, mark string
	tasks     int
	more      []string // flags
}

const killedCommand = `echo {} >> effects; { echo begin {}; echo end {}; } > {out}`

// start starts the run, or goes on with it, in a process group of its own.
func (k *killedRun) start(t *testing.T) (*exec.Cmd, *said) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"parade", "run", "--no-progress", "--joblog", "log", "--resume", "--output", "out/{}"}, k.more...)
	cmd.Args = append(cmd.Args, killedCommand, "::::", "list")
	cmd.Dir, cmd.Env = k.dir, append(os.Environ(), k.mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := new(said)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, said
}

// lines gives the whole lines of a file that may not be there yet.
func (k *killedRun) lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	return lines[:len(lines)-1]
}

// effects counts the effects of each task.
func (k *killedRun) effects(t *testing.T) map[string]int {
	t.Helper()
	times := map[string]int{}
	for _, line := range k.lines(t, "effects") {
		times[line]++
	}
	return times
}

// journaled counts how often the journal has each task as done, without a torn last line.
func (k *killedRun) journaled(t *testing.T) map[string]int {
	t.Helper()
	times := map[string]int{}
	for i, line := range k.lines(t, "log"+command.JournalSuffix) {
		var record struct {
			Seq  int
			OK   bool
			Args []string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("line %d of the journal is %q: %v", i+1, line, err)
		}
		if record.Seq == 0 { // of a run, not of a task
			continue
		}
		if !record.OK || len(record.Args) != 1 || record.Args[0] != strconv.Itoa(record.Seq) {
			t.Errorf("line %d of the journal is %q", i+1, line)
			continue
		}
		times[record.Args[0]]++
	}
	return times
}

// checkOutputs sees to it that each output is whole, and gives their number.
func (k *killedRun) checkOutputs(t *testing.T) int {
	t.Helper()
	dir := filepath.Join(k.dir, "out")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".parade-") {
			continue // a temporary name says that it is not whole
		}
		n++
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if want := fmt.Sprintf("begin %s\nend %[1]s\n", e.Name()); err != nil || string(text) != want {
			t.Errorf("output %s is %q, want %q (%v)", e.Name(), text, want, err)
		}
	}
	return n
}

// A run that is killed at any moment, with all that it has started, goes on as if
// nothing had been: what the journal has as done is not done again, all is done in
// the end, and no output is ever half there.
func TestRunKilled(t *testing.T) {
	t.Parallel()
	const kills = 20
	for _, tc := range []struct {
		name  string
		tasks int
		more  []string
	}{
		{"threads", 1000, []string{"--on", "threads:2"}},
		{"threads, in order", 300, []string{"--on", "threads:4", "-k"}},
		{"processes", 300, []string{"--on", "processes:2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			k := &killedRun{dir: t.TempDir(), tasks: tc.tasks, more: tc.more}
			k.mark = "PARADE_TEST_MARK=" + k.dir
			var list bytes.Buffer
			for i := range tc.tasks {
				fmt.Fprintln(&list, i+1)
			}
			if err := os.WriteFile(filepath.Join(k.dir, "list"), list.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(k.dir, "out"), 0o700); err != nil {
				t.Fatal(err)
			}

			done := map[string]int{} // effects of a task when the journal first had it
			midst := 0
			for range kills {
				cmd, said := k.start(t)
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				// Some are killed while they start, others after a part of their share.
				moment := time.NewTimer(time.Duration(rng.IntN(int(20 * time.Millisecond))))
				if more := rng.IntN(tc.tasks / kills); more >= tc.tasks/kills/4 {
					moment.Stop()
					want := min(len(k.journaled(t))+more, tc.tasks)
					for len(k.lines(t, "log"))-1 < want && len(ended) == 0 {
						time.Sleep(time.Millisecond)
					}
					moment.Reset(time.Duration(rng.IntN(int(3 * time.Millisecond))))
				}
				<-moment.C
				if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
					t.Fatal(err)
				}
				switch err := <-ended; {
				case err == nil:
				case cmd.ProcessState.Exited():
					t.Errorf("it was not killed but ended with %v: %s", err, said)
				default:
					midst++
				}
				if left := marked(k.mark); len(left) > 0 {
					t.Fatalf("left running: %q", left)
				}
				k.checkOutputs(t)
				effects := k.effects(t)
				for task := range k.journaled(t) {
					if _, known := done[task]; !known {
						done[task] = effects[task]
					}
				}
			}
			if len(done) < tc.tasks && midst < kills {
				t.Errorf("%d of %d runs were killed, though they had tasks left", midst, kills)
			}
			if midst < kills/2 {
				t.Errorf("only %d of %d runs were killed before they ended", midst, kills)
			}

			cmd, said := k.start(t)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("the last run ended with %v: %s", err, said)
			}
			effects, journaled := k.effects(t), k.journaled(t)
			t.Logf("%d runs were killed, %d of %d tasks were done before the last one", midst, len(done), tc.tasks)
			again := 0
			for i := range tc.tasks {
				task := strconv.Itoa(i + 1)
				if n := journaled[task]; n != 1 {
					t.Errorf("the journal has task %s as done %d times", task, n)
				}
				if n, known := done[task]; known && effects[task] != n {
					t.Errorf("task %s was done, having run %d times, and then run again: %d times", task, n, effects[task])
				}
				if effects[task] < 1 {
					t.Errorf("task %s has never run", task)
				}
				again += effects[task] - 1
			}
			if most := kills * 4; again > most {
				t.Errorf("%d tasks were begun once more, and at most %d can have been under way", again, most)
			}
			if n := k.checkOutputs(t); n != tc.tasks {
				t.Errorf("there are %d outputs, want %d", n, tc.tasks)
			}
			seen := map[int]bool{}
			for entry, err := range command.ReadJoblog(filepath.Join(k.dir, "log")) {
				if err != nil {
					t.Fatal(err)
				}
				if seen[entry.Seq] || !entry.OK() {
					t.Errorf("the joblog has %+v, after the same or as no success", entry)
				}
				seen[entry.Seq] = true
			}
			if len(seen) != tc.tasks {
				t.Errorf("the joblog has %d tasks, want %d", len(seen), tc.tasks)
			}
		})
	}
}
