package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

// marked are the living processes that have a setting in their environment, but for
// this one and its workers, which have it from the test.
func marked(t *testing.T, setting string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+setting+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// alive says whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// gone waits until no marked process is left. A busy machine gets its time.
func gone(t *testing.T, setting string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		pids := marked(t, setting)
		if len(pids) == 0 {
			return
		}
		if time.Now().After(end) {
			for _, pid := range pids {
				name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				t.Errorf("still running: %d %q", pid, name)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
	}
}

// began waits until a command has made a file.
func began(t *testing.T, file string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no command has made %s", file)
		}
	}
}

// families are commands that start processes of their own, write a file when these
// run, and do not end by themselves.
var families = map[string]string{
	"itself":             `: > {}; exec sleep 100`,
	"child":              `sleep 100 & : > {}; wait`,
	"pipeline":           `sleep 100 | sleep 101 | (: > {}; sleep 102)`,
	"grandchildren":      `sh -c 'sleep 100 & sh -c "sleep 101; :" & wait' & : > {}; wait`,
	"another session":    `setsid sh -c 'sleep 100; :' & : > {}; wait`,
	"deaf":               `trap "" TERM; : > {}; while :; do sleep 0.01; done`,
	"deaf child":         `sh -c 'trap "" TERM; : > "$1"; while :; do sleep 0.01; done' sh {} & wait`,
	"stopped":            `: > {}; kill -STOP $$; :`,
	"stopped grandchild": `sh -c ': > "$1"; kill -STOP $$; :' sh {} & wait`,
}

// A timeout and a cancel reach all that a command has started, on every executor.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, ex := range executors(t, "serial", "threads:9", "processes:9") {
		for name, text := range families {
			for _, how := range []string{"timeout", "cancel"} {
				if ex.Info().Kind == "serial" && name != "child" {
					continue
				}
				t.Run(ex.Info().Kind+"/"+how+"/"+name, func(t *testing.T) {
					t.Parallel()
					mark := fmt.Sprintf("PARADE_TEST_MARK=%d %s", os.Getpid(), t.Name())
					ready := filepath.Join(t.TempDir(), "ready")
					spec := command.Spec{Template: shell(t, text), Env: []string{mark}, Grace: 300 * time.Millisecond}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					switch how {
					case "timeout":
						spec.Timeout = 300 * time.Millisecond
					case "cancel":
						go func() {
							for {
								if _, err := os.Stat(ready); err == nil || ctx.Err() != nil {
									cancel()
									return
								}
								time.Sleep(time.Millisecond)
							}
						}()
					}
					_, err := parade.Go(ctx, ex, parade.Bind(command.Run, spec), input(ready)).Wait(context.Background())
					var exit *command.ExitError
					switch {
					case how == "cancel" && !errors.Is(err, context.Canceled):
						t.Errorf("the error is %v, want context.Canceled", err)
					case how == "timeout" && (!errors.As(err, &exit) || exit.Result.Exit != command.ExitTimeout || !errors.Is(err, parade.ErrTimeout)):
						t.Errorf("the error is %v, want a timeout", err)
					}
					if _, err := os.Stat(ready); err != nil && how == "cancel" {
						t.Errorf("cancelled before it began: %v", err)
					}
					if how == "timeout" && ex.Info().Kind != "processes" {
						if pids := marked(t, mark); len(pids) > 0 {
							t.Errorf("processes %v are left when Run returns", pids)
						}
					}
					gone(t, mark)
				})
			}
		}
	}
}

// A command has the grace period to end in order.
func TestGrace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cleaned")
	spec := command.Spec{
		// The shell dies at once; its child takes its time.
		Template: shell(t, `sh -c 'trap "sleep 0.2; echo ended > \"\$1\"; exit" TERM; while :; do sleep 0.01; done' sh {} & wait`),
		Timeout:  200 * time.Millisecond, Grace: 20 * time.Second,
	}
	start := time.Now()
	r := call(t, spec, input(file))
	if _, err := os.Stat(file); err != nil || !r.TimedOut {
		t.Errorf("timed out %v after %v, and the child was not let end in order: %v", r.TimedOut, time.Since(start), err)
	}
}

// Wait waits for what a job that was cancelled has left behind.
func TestWait(t *testing.T) {
	t.Parallel()
	mark := fmt.Sprintf("PARADE_TEST_MARK=%d %s", os.Getpid(), t.Name())
	ready := filepath.Join(t.TempDir(), "ready")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	spec := command.Spec{Template: shell(t, families["deaf"]), Env: []string{mark}, Grace: 2500 * time.Millisecond}
	ex := parade.Threads(1)
	f := parade.Go(ctx, ex, parade.Bind(command.Run, spec), input(ready))
	began(t, ready)
	cancel()
	if _, err := f.Wait(context.Background()); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want context.Canceled", err)
	}
	command.Wait()
	if pids := marked(t, mark); len(pids) > 0 {
		t.Errorf("processes %v are left after Wait", pids)
	}
	if err := ex.Close(); err != nil {
		t.Error(err)
	}
}

// The role of TestParentKilled.
func init() {
	for _, executor := range []string{"threads:1", "processes:1"} {
		roles["parent "+executor] = func() error {
			ex, err := parade.Open(context.Background(), executor)
			if err != nil {
				return err
			}
			spec := command.Spec{Template: command.Template{Shell: true}}
			_, err = parade.Map(context.Background(), ex, parade.Bind(command.Run, spec), []command.Input{{Args: []string{os.Getenv("PARADE_TEST_TEXT")}}})
			return err
		}
	}
}

// When this process is killed, commands end: on threads the process that was started,
// in worker processes all that it has started, too.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ executor, text string }{
		{"threads:1", "echo ready >&2; exec sleep 100"},
		{"threads:1", "trap 'kill $!' TERM; sleep 100 & echo ready >&2; wait"},
		{"processes:1", "echo ready >&2; exec sleep 100"},
		{"processes:1", "sleep 100 | sleep 101 & echo ready >&2; wait"},
		{"processes:1", "trap '' TERM; echo ready >&2; while :; do sleep 0.01; done"},
	} {
		t.Run(tc.executor+"/"+tc.text, func(t *testing.T) {
			t.Parallel()
			mark := fmt.Sprintf("PARADE_TEST_MARK=%d %s", os.Getpid(), t.Name())
			ready := filepath.Join(t.TempDir(), "ready")
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = append(os.Environ(), roleVariable+"=parent "+tc.executor, mark,
				"PARADE_TEST_TEXT="+strings.Replace(tc.text, "echo ready >&2", "echo > "+command.Quote(ready), 1))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			began(t, ready)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			gone(t, mark)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		// A shell variable of 2^n bytes.
		spec := command.Spec{Template: shell(t, `x=x; i=0; while [ $i -lt {} ]; do x=$x$x; i=$((i+1)); done; echo ${#x}`), MaxMemory: 40 << 20}
		if r := call(t, spec, input("16")); r.Exit != 0 || printed(t, r.Stdout) != "65536\n" {
			t.Errorf("little memory: %v, printed %q", r.Err(), r.Stdout.Data)
		}
		if r := call(t, spec, input("27")); r.Exit == 0 || r.Stdout.Size > 0 {
			t.Errorf("much memory: %v, printed %q", r.Err(), r.Stdout.Data)
		}
	})
	t.Run("priority", func(t *testing.T) {
		t.Parallel()
		own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := call(t, command.Spec{Template: shell(t, ": {}; sleep 0.1; nice"), Nice: 5}, input("x"))
		if want := fmt.Sprintln(min(19, 20-own+5)); printed(t, r.Stdout) != want {
			t.Errorf("the priority is %q, want %q", r.Stdout.Data, want)
		}
	})
	t.Run("peak", func(t *testing.T) {
		t.Parallel()
		r := call(t, command.Spec{Template: shell(t, `head -c {} /dev/zero | tail -c {} | wc -c`)}, input("500000000"))
		if r.Exit != 0 || r.PeakMemory < 450<<20 {
			t.Errorf("%v, at most %d MiB; want about 477", r.Err(), r.PeakMemory>>20)
		}
	})
}

// Nothing is left open by commands, whatever becomes of them.
func TestDescriptors(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVariable+"=descriptors")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func init() {
	roles["descriptors"] = func() error {
		dir, err := os.MkdirTemp("", "descriptors")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		count := func() int {
			names, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				return -1
			}
			return len(names)
		}
		plain := command.Template{Shell: true}
		out := command.Template{Shell: true, Words: []string{"{1} {out}"}}
		specs := []command.Spec{
			{Template: plain}, {Template: plain, Capture: command.ByLine}, {Template: plain, Timeout: time.Millisecond},
			{Template: plain, Scratch: true, Stdin: command.Template{Words: []string{"/dev/zero"}}}, {Template: plain, Dir: command.Template{Words: []string{"/gone"}}},
			{Template: plain, Stdin: command.Template{Words: []string{"/gone"}}}, {Template: plain, Spill: "/gone"},
			{Template: out, Outputs: []command.Template{{Words: []string{dir + "/{#}"}}}, Check: plain},
		}
		before := -1
		for round := range 5 {
			for i, spec := range specs {
				for _, text := range []string{":", "exit 1", "kill -9 $$", "nosuch", "head -c 100000 /dev/zero", "sleep 0.01", "touch", "echo x >"} {
					r, err := parade.Bind(command.Run, spec).Call(context.Background(), command.Input{Seq: i, Args: []string{text}})
					var exit *command.ExitError
					if errors.As(err, &exit) {
						r = exit.Result
					} else if err != nil {
						return err
					}
					if err := errors.Join(r.Stdout.Remove(), r.Stderr.Remove()); err != nil {
						return err
					}
				}
			}
			if round == 1 {
				before = count()
			}
		}
		if after := count(); after != before {
			return fmt.Errorf("%d files were open, and now %d", before, after)
		}
		left, err := filepath.Glob(filepath.Join(os.TempDir(), "parade-*"))
		if err == nil && len(left) > 0 {
			for _, name := range left {
				if strings.Contains(name, strconv.FormatInt(int64(os.Getpid()), 36)+"-") {
					err = errors.Join(err, fmt.Errorf("%s is left", name))
				}
			}
		}
		return err
	}
}
