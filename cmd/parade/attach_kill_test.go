//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade/cluster"
)

// jobLab is a folder in which commands use a cluster of two engines.
type jobLab struct{ dir string }

func newJobLab(t *testing.T) *jobLab {
	t.Helper()
	l := &jobLab{t.TempDir()}
	t.Cleanup(func() { stopClusters(filepath.Join(l.dir, "state")) })
	l.run(t, 0, "cluster", "start", "lab", "-n", "2", "--slots", "1")
	return l
}

// command makes a command of the lab. TestMain has put parade into the path.
func (l *jobLab) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "parade", args...)
	cmd.Dir, cmd.Env = l.dir, append(os.Environ(), "PARADE_STATE="+filepath.Join(l.dir, "state"), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// run runs a command to its end and returns what it prints.
func (l *jobLab) run(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := l.command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("parade %s: exit code %d, want %d: %s", strings.Join(args, " "), got, code, errs.String())
	}
	return out.String(), errs.String()
}

// list writes a list of n inputs.
func (l *jobLab) list(t *testing.T, n int) (all string) {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "list"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// job returns a job's line of "parade jobs --json", nil if there is none.
func (l *jobLab) job(t *testing.T, name string) *jobLine {
	t.Helper()
	out, _ := l.run(t, 0, "jobs", "--cluster", "lab", "--json")
	for text := range strings.Lines(out) {
		var line jobLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Name == name {
			return &line
		}
	}
	return nil
}

// succeeded counts how often a joblog has each task with the exit code 0.
func (l *jobLab) succeeded(t *testing.T) map[int]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[int]int{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		fields := strings.Split(line, "\t")
		if i == 0 || len(fields) < 9 {
			continue
		}
		seq, err := strconv.Atoi(fields[0])
		if err != nil || fields[6] != "0" {
			t.Errorf("line %d of the joblog is %q", i+1, line)
		}
		times[seq]++
	}
	return times
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid < 2 {
		t.Fatalf("process %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing process %d: %v", pid, err)
	}
}

// TestAttachKilled: whoever waits for a job can be killed as often as one likes, and so can
// the controller and an engine; in the end every result is there once, and so is every line of the joblog.
func TestAttachKilled(t *testing.T) {
	l := newJobLab(t)
	const n = 300
	want := l.list(t, n)
	// The client is killed as soon as it has said the name, which is when all is stored.
	client := l.command(t, "run", "--on", "cluster:lab", "--detach", "--job", "study", "-k", "--joblog", "log", "echo {} >> effects; sleep 0.01; echo {}", "::::", "list")
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = client.Process.Kill()
	_ = client.Wait()
	killed := 0
	for round := range 6 {
		cmd := l.command(t, "attach", "study", "--cluster", "lab")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		switch folder := filepath.Join(l.dir, "state", "clusters", "lab"); round {
		case 1:
			kill(t, controllerPID(folder))
			l.run(t, 0, "cluster", "start", "lab", "-n", "0")
		case 3:
			conn, err := cluster.Load(filepath.Join(folder, "client.json"))
			if err != nil {
				t.Fatal(err)
			}
			var s cluster.Status
			for deadline := time.Now().Add(20 * time.Second); len(s.Engines) == 0; time.Sleep(20 * time.Millisecond) {
				if s, err = cluster.Look(t.Context(), conn); err != nil || time.Now().After(deadline) {
					t.Fatalf("no engine is back: %v", err)
				}
			}
			kill(t, s.Engines[0].PID)
			l.run(t, 0, "cluster", "start", "lab", "-n", "1", "--slots", "1")
		}
		time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if !cmd.ProcessState.Exited() {
			killed++
		}
	}
	if killed == 0 {
		t.Error("nobody was killed")
	}
	for range 2 {
		got, said := l.run(t, 0, "attach", "study", "--cluster", "lab")
		if got != want {
			t.Errorf("attach prints %d bytes, want %d: %s", len(got), len(want), said)
		}
	}
	times := l.succeeded(t)
	for i := range n {
		if times[i+1] != 1 {
			t.Errorf("the joblog has task %d %d times", i+1, times[i+1])
		}
	}
	effects, err := os.ReadFile(filepath.Join(l.dir, "effects"))
	if lines := bytes.Count(effects, []byte("\n")); err != nil || lines < n || lines > n+n/10 { // few ran twice
		t.Errorf("%d tasks ran, want %d: %v", lines, n, err)
	}
	if j := l.job(t, "study"); j == nil || j.State != "done" || j.Done != n {
		t.Errorf("the job is %+v", j)
	}
}

// TestSubmissionKilled: a job that was handed over by half is said to be that, and can be
// removed.
func TestSubmissionKilled(t *testing.T) {
	l := newJobLab(t)
	l.list(t, 100_000)
	submit := []string{"run", "--on", "cluster:lab", "--detach", "--job", "half", "sleep 0.2; : {}", "::::", "list"}
	cmd := l.command(t, submit...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if j := l.job(t, "half"); j != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no job")
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if cmd.ProcessState.Exited() {
		t.Fatal("it had handed over all before it was killed")
	}
	if j := l.job(t, "half"); j == nil || j.State != "submitting" || j.Tasks != 100_000 {
		t.Fatalf("the job is %+v", j)
	}
	for _, verb := range []string{"attach", "retry"} {
		if _, said := l.run(t, 1, verb, "half", "--cluster", "lab"); !strings.Contains(said, "has not been submitted wholly") {
			t.Errorf("%s says %q", verb, said)
		}
	}
	l.run(t, 1, submit...) // the name is taken
	l.run(t, 0, "jobs", "remove", "half", "--cluster", "lab")
	l.list(t, 3)
	l.run(t, 0, submit...)
	l.run(t, 0, "attach", "half", "--cluster", "lab")
}

// TestClusterRunKilled: a run on a cluster that stays, and is killed, loses nothing when it
// is resumed from its joblog.
func TestClusterRunKilled(t *testing.T) {
	l := newJobLab(t)
	const n = 200
	l.list(t, n)
	run := []string{"run", "--on", "cluster:lab", "--no-progress", "--joblog", "log", "--resume", "--output", "out/{}",
		"echo {} >> effects; sleep 0.005; { echo begin {}; echo end {}; } > {out}", "::::", "list"}
	if err := os.Mkdir(filepath.Join(l.dir, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for range 6 {
		cmd := l.command(t, run...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+rand.IntN(200)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if !cmd.ProcessState.Exited() {
			killed++
		}
	}
	if killed < 2 {
		t.Errorf("%d runs were killed", killed)
	}
	l.run(t, 0, run...)
	times := l.succeeded(t)
	for i := range n {
		if times[i+1] != 1 {
			t.Errorf("the joblog has task %d %d times", i+1, times[i+1])
		}
		name := strconv.Itoa(i + 1)
		text, err := os.ReadFile(filepath.Join(l.dir, "out", name))
		if want := fmt.Sprintf("begin %s\nend %[1]s\n", name); err != nil || string(text) != want {
			t.Errorf("output %s is %q: %v", name, text, err)
		}
	}
	// Its queue does not outlive it for long, nor do its tasks.
	if _, said := l.run(t, 0, "jobs", "--cluster", "lab"); said != "" {
		t.Error(said)
	}
}
