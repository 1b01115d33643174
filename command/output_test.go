//go:build unix

package command_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

func TestOutputSizes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, size := range []int{0, 1, command.InlineLimit - 1, command.InlineLimit, command.InlineLimit + 1, 5 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			data := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
			file := filepath.Join(t.TempDir(), "data")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			spec := command.Spec{Template: shell(t, "cat {}; cat {} >&2"), Spill: dir}
			r := call(t, spec, input(file))
			for _, o := range []command.Output{r.Stdout, r.Stderr} {
				if o.Size != int64(size) || len(o.Data) > command.InlineLimit || (o.File != "") != (size > command.InlineLimit) {
					t.Errorf("size %d, %d bytes held, file %q", o.Size, len(o.Data), o.File)
				}
				if o.File != "" && (len(o.Data) > 0 || filepath.Dir(o.File) != dir) {
					t.Errorf("file %q, and %d bytes held; want a file in %s", o.File, len(o.Data), dir)
				}
				rc, err := o.Open()
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(rc)
				if err != nil || !bytes.Equal(got, data) || printed(t, o) != string(data) {
					t.Errorf("read %d other bytes, error %v", len(got), err)
				}
				if err := rc.Close(); err != nil {
					t.Error(err)
				}
				tail, err := o.Tail(2)
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
				if want := lines[max(0, len(lines)-2):]; size > 0 && !slices.Equal(tail, want) {
					t.Errorf("the last lines are %q, want %q", tail, want)
				}
				if err := o.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Cleanup(func() {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s is left in the folder for outputs, and %d more", left[0].Name(), len(left)-1)
		}
	})
}

func TestTail(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, data string
		n          int
		want       []string
	}{
		{"nothing", "", 3, nil},
		{"blank", "\n \n\r\n", 3, nil},
		{"one", "a", 3, []string{"a"}},
		{"last", "a\nb\nc\n\n", 2, []string{"b", "c"}},
		{"DOS", "a\r\nb\r\n", 2, []string{"a", "b"}},
		{"blank between", "a\n\nb", 3, []string{"a", "", "b"}},
		{"no text", "a\xff\n", 1, []string{"a\uFFFD"}},
		{"very long", strings.Repeat("x", 100_000), 1, []string{strings.Repeat("x", 8<<10)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := inline(tc.data).Tail(tc.n)
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("got %.100q, %v; want %.100q", got, err, tc.want)
			}
		})
	}
}

// What a command has left running cannot write into another's output.
func TestLeftRunning(t *testing.T) {
	t.Parallel()
	ex := executors(t, "threads:1")[0]
	dir := t.TempDir()
	in := []command.Input{{Seq: 1, Args: []string{`(while test ! -e ` + dir + `/go; do sleep 0.01; done; echo late; : > ` + dir + `/gone) & echo early`}}}
	for i := range 5 {
		in = append(in, command.Input{Seq: i + 2, Args: []string{"echo second; : > " + dir + "/go; while test ! -e " + dir + "/gone; do sleep 0.01; done"}})
	}
	start := time.Now()
	results, err := parade.Map(t.Context(), ex, parade.Bind(command.Run, command.Spec{Template: command.Template{Shell: true}}), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		want := "second\n"
		if i == 0 {
			want = "early\n"
		}
		if got := printed(t, r.Stdout); got != want {
			t.Errorf("task %d printed %q, want %q", r.Seq, got, want)
		}
	}
	if results[0].Start.Before(start) {
		t.Errorf("started at %v, before %v", results[0].Start, start)
	}
}

// lineLog is a Watch that keeps lines.
type lineLog struct {
	mu    sync.Mutex
	lines map[string][]string // by task and stream
}

func (l *lineLog) add(o command.OutputLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = map[string][]string{}
	}
	key := fmt.Sprint(o.Seq, " out")
	if o.Stderr {
		key = fmt.Sprint(o.Seq, " err")
	}
	l.lines[key] = append(l.lines[key], string(o.Text))
}

func TestByLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65<<10)
	file := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(file, []byte(long+"\nshort\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, text string
		want       map[string][]string
		stderr     string
	}{
		{"nothing", ":", nil, ""},
		{"lines", `printf 'a\nb\n\nc'; printf 'd\n' >&2`, map[string][]string{"1 out": {"a\n", "b\n", "\n", "c"}, "1 err": {"d\n"}}, "d\n"},
		{"bit by bit", `printf a; sleep 0.05; printf 'b\nc'; sleep 0.05; echo`, map[string][]string{"1 out": {"ab\n", "c\n"}}, ""},
		{"long line", "cat " + file, map[string][]string{"1 out": {long[:64<<10], long[64<<10:] + "\n", "short\n"}}, ""},
		{"left running", "sleep 100 & echo $! >&2; echo done", map[string][]string{"1 out": {"done\n"}}, "-"},
		{"failure", "echo no >&2; exit 1", map[string][]string{"1 err": {"no\n"}}, "no\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var log lineLog
			ctx := command.WithWatch(t.Context(), command.Watch{Line: log.add})
			spec := command.Spec{Template: command.Template{Shell: true}, Capture: command.ByLine}
			r, err := parade.Bind(command.Run, spec).Call(ctx, input(tc.text))
			r = result(t, r, err)
			if tc.stderr == "-" { // the number of what it left running
				var pid int
				if _, err := fmt.Sscan(printed(t, r.Stderr), &pid); err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Errorf("what was left running: %v", err)
				}
				delete(log.lines, "1 err")
			} else if got := printed(t, r.Stderr); got != tc.stderr || r.Stdout.Size != 0 {
				t.Errorf("the result has %q and %q, want the standard error %q", r.Stdout.Data, got, tc.stderr)
			}
			if d := cmp.Diff(tc.want, log.lines); d != "" {
				t.Errorf("want -, got +:\n%.2000s", d)
			}
		})
	}
}

// The roles of TestOwnOutput: commands that print to this process's own output.
func init() {
	for name, capture := range map[string]command.Capture{"lines": command.ByLine, "ungroup": command.Ungrouped} {
		for _, executor := range []string{"threads:4", "processes:4"} {
			roles[name+" "+executor] = func() error { return printAll(executor, capture) }
		}
	}
}

func printAll(executor string, capture command.Capture) error {
	ex, err := parade.Open(context.Background(), executor)
	if err != nil {
		return err
	}
	defer ex.Close()
	template, err := command.ParseTemplate([]string{"printf '%s-' {}; sleep 0.01; echo {}; echo {}! >&2"}, true, nil)
	if err != nil {
		return err
	}
	var in []command.Input
	for i := range 40 {
		in = append(in, command.Input{Seq: i, Args: []string{fmt.Sprint(i)}})
	}
	_, err = parade.Map(context.Background(), ex, parade.Bind(command.Run, command.Spec{Template: template, Capture: capture}), in)
	return err
}

func TestOwnOutput(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for role := range roles {
		mode, executor, _ := strings.Cut(role, " ")
		if mode != "lines" && mode != "ungroup" {
			continue
		}
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = append(os.Environ(), roleVariable+"="+role)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			var out, errs []string
			for i := range 40 {
				out = append(out, fmt.Sprintf("%d-%d", i, i))
				errs = append(errs, fmt.Sprintf("%d!", i))
			}
			// The relay of worker processes may mark lines with the worker's name.
			for _, line := range append(strings.Split(stdout.String(), "\n"), strings.Split(stderr.String(), "\n")...) {
				out = slices.DeleteFunc(out, func(want string) bool { return strings.HasSuffix(line, want) && whole(line, want) })
				errs = slices.DeleteFunc(errs, func(want string) bool { return whole(line, want) })
			}
			if mode == "ungroup" {
				out = nil // its lines may be mixed
			}
			if len(out) > 0 || len(errs) > 0 {
				t.Errorf("%s: missing whole lines %q and %q of\n%s\n%s", executor, out, errs, stdout.String(), stderr.String())
			}
		})
	}
}

func whole(line, want string) bool {
	before, ok := strings.CutSuffix(line, want)
	return ok && (before == "" || strings.HasSuffix(before, " "))
}

// A command whose output is cut because the disk is full has failed, even where it
// does not notice.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := mountSmall(dir); err != nil {
		t.Skipf("no small file system for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	spec := command.Spec{Template: shell(t, "head -c {} /dev/zero 2>/dev/null; true"), Spill: dir}
	r := call(t, spec, input("1000000"))
	if r.Exit != command.ExitFault || !strings.Contains(r.Fault, "no space left") || !strings.Contains(r.Fault, dir) {
		t.Errorf("exit %d, fault %q; want that %s is full", r.Exit, r.Fault, dir)
	}
	for _, o := range []command.Output{r.Stdout, r.Stderr} {
		if err := o.Remove(); err != nil {
			t.Error(err)
		}
	}
	if r := call(t, spec, input("100000")); r.Exit != 0 || r.Stdout.Size != 100000 {
		t.Errorf("with room for it: %v, %d bytes", r.Err(), r.Stdout.Size)
	} else if err := r.Stdout.Remove(); err != nil {
		t.Error(err)
	}
	spec.Spill = filepath.Join(dir, "gone")
	if r := call(t, spec, input("1")); r.Exit != command.ExitFault || !strings.Contains(r.Fault, "no such file or directory") {
		t.Errorf("exit %d, fault %q; want that %s does not exist", r.Exit, r.Fault, spec.Spill)
	}
}
