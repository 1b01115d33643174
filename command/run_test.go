//go:build unix

package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

// call runs one task here, without an executor. It wants a Result.
func call(t *testing.T, spec command.Spec, in command.Input) command.Result {
	t.Helper()
	r, err := parade.Bind(command.Run, spec).Call(t.Context(), in)
	return result(t, r, err)
}

func result(t *testing.T, r command.Result, err error) command.Result {
	t.Helper()
	var exit *command.ExitError
	switch {
	case err == nil && r.Exit != 0:
		t.Fatalf("exit %d without an error: %+v", r.Exit, r)
	case err == nil:
		return r
	case !errors.As(err, &exit):
		t.Fatal(err)
	}
	if exit.Result.Exit == 0 {
		t.Fatalf("an error with exit 0: %v", err)
	}
	return exit.Result
}

func printed(t *testing.T, o command.Output) string {
	t.Helper()
	var b bytes.Buffer
	n, err := o.WriteTo(&b)
	if err != nil || n != o.Size {
		t.Fatalf("wrote %d bytes of an output of %d: %v", n, o.Size, err)
	}
	return b.String()
}

func writeMode(t *testing.T, name, data string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func executors(t *testing.T, names ...string) []parade.Executor {
	t.Helper()
	var all []parade.Executor
	for _, name := range names {
		ex, err := parade.Open(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := ex.Close(); err != nil {
				t.Errorf("close %s: %v", name, err)
			}
		})
		all = append(all, ex)
	}
	return all
}

// varying are the fields of a Result that differ from run to run.
var varying = cmp.Options{
	cmpopts.IgnoreFields(command.Result{}, "Start", "Duration", "CPU", "PeakMemory", "Slot"),
	cmpopts.EquateEmpty(),
}

// The same command gives the same Result on every executor.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := writeMode(t, filepath.Join(dir, "plain"), "no program", 0o600)
	noLine := writeMode(t, filepath.Join(dir, "no-line"), "echo from \"$0\" \"$1\"\n", 0o700)
	badLine := writeMode(t, filepath.Join(dir, "bad-line"), "#!/no/such/interpreter\n", 0o700)
	writeMode(t, filepath.Join(dir, "input.txt"), "from a file\n", 0o600)
	writeMode(t, filepath.Join(dir, "here"), "#!/bin/sh\necho here\n", 0o700)
	tests := []struct {
		name string
		spec command.Spec
		args []string
		want command.Result // Command, Argv and Host are filled in
		has  string         // in Fault
	}{
		{"success", command.Spec{Template: direct(t, "printf", "%s|", "{}")}, []string{"a b", "", "*'\"$x\n"},
			command.Result{Stdout: inline("a b||*'\"$x\n|")}, ""},
		{"both outputs", command.Spec{Template: shell(t, "echo out {}; echo err >&2")}, []string{"x y"},
			command.Result{Stdout: inline("out x y\n"), Stderr: inline("err\n")}, ""},
		{"exit status", command.Spec{Template: shell(t, ": {}; echo bad >&2; exit 3")}, nil, command.Result{Exit: 3, Stderr: inline("bad\n")}, ""},
		{"highest exit status", command.Spec{Template: direct(t, "sh", "-c", "exit $0", "{}")}, []string{"255"}, command.Result{Exit: 255}, ""},
		{"killed", command.Spec{Template: direct(t, "sh", "-c", "kill -$0 $$", "{}")}, []string{"KILL"},
			command.Result{Exit: 137, Signal: 9}, ""},
		{"crashed", command.Spec{Template: direct(t, "sh", "-c", "ulimit -c 0; kill -$0 $$", "{}")}, []string{"SEGV"},
			command.Result{Exit: 139, Signal: 11}, ""},
		{"no such command", command.Spec{Template: direct(t, "no-such-command-here", "{}")}, []string{"1"},
			command.Result{Exit: 127}, "command not found in PATH"},
		{"no such file", command.Spec{Template: direct(t, dir+"/nothing", "{}")}, []string{"1"}, command.Result{Exit: 127}, "no such file"},
		{"no such command in its PATH", command.Spec{Template: direct(t, "ls", "{}"), Env: []string{"PATH=" + dir}}, []string{"/"},
			command.Result{Exit: 127}, "ls: command not found in PATH"},
		{"not executable", command.Spec{Template: direct(t, plain, "{}")}, []string{"1"}, command.Result{Exit: 126}, "permission denied"},
		{"not executable in PATH", command.Spec{Template: direct(t, "plain", "{}"), Env: []string{"PATH=" + dir}}, []string{"1"},
			command.Result{Exit: 126}, "permission denied"},
		{"folder", command.Spec{Template: direct(t, dir, "{}")}, []string{"1"}, command.Result{Exit: 126}, "is a folder"},
		{"below a file", command.Spec{Template: direct(t, plain+"/x", "{}")}, []string{"1"}, command.Result{Exit: 127}, "not a directory"},
		{"bad interpreter", command.Spec{Template: direct(t, badLine, "{}")}, []string{"1"}, command.Result{Exit: 126}, "interpreter"},
		{"script without #!", command.Spec{Template: direct(t, noLine, "{}")}, []string{"1"},
			command.Result{Stdout: inline("from " + noLine + " 1\n")}, ""},
		{"too long", command.Spec{Template: direct(t, "true", "{}")}, []string{strings.Repeat("x", 3<<20)}, command.Result{Exit: 126}, "too long"},
		{"in PATH", command.Spec{Template: direct(t, "here", "{}"), Env: []string{"PATH=" + dir + ":/bin:/usr/bin"}}, []string{"1"},
			command.Result{Stdout: inline("here\n")}, ""},
		{"in a relative PATH", command.Spec{Template: direct(t, "here", "{}"), Dir: parsed(t, dir), Env: []string{"PATH=.:/bin:/usr/bin"}}, []string{"1"},
			command.Result{Stdout: inline("here\n")}, ""},
		{"relative to Dir", command.Spec{Template: direct(t, "./here", "{}"), Dir: parsed(t, dir)}, []string{"1"},
			command.Result{Stdout: inline("here\n")}, ""},
		{"Dir", command.Spec{Template: shell(t, ": {}; pwd; echo $PWD"), Dir: parsed(t, "{1}")}, []string{"/usr"},
			command.Result{Stdout: inline("/usr\n/usr\n")}, ""},
		{"new Dir", command.Spec{Template: shell(t, `: {}; test "$(pwd)" = "$PWD" && basename "$PWD"`), Dir: parsed(t, dir+"/new/{}")}, []string{"a b"},
			command.Result{Stdout: inline("a b\n")}, ""},
		{"file as Dir", command.Spec{Template: direct(t, "true", "{}"), Dir: parsed(t, plain)}, []string{"gone"},
			command.Result{Exit: 125}, "working directory: mkdir"},
		{"Stdin", command.Spec{Template: shell(t, ": {}; cat"), Stdin: parsed(t, dir+"/{}.txt")}, []string{"input"},
			command.Result{Stdout: inline("from a file\n")}, ""},
		{"no Stdin", command.Spec{Template: shell(t, ": {}; cat")}, []string{"input"}, command.Result{}, ""},
		{"missing Stdin", command.Spec{Template: shell(t, ": {}; cat"), Stdin: parsed(t, dir+"/{}")}, []string{"gone"},
			command.Result{Exit: 125}, "standard input: open"},
		{"Env", command.Spec{
			Template: shell(t, `: {}; echo "$LC_ALL,$A,$B,$PARADE_SEQ,$PARADE_ATTEMPT,$OMP_NUM_THREADS"`),
			Env:      []string{"LC_ALL=xyz", "A=1", "A=2", "B=x=y z", "PARADE_SEQ=no"}, Threads: 1,
		}, nil, command.Result{Stdout: inline("xyz,2,x=y z,1,1,1\n")}, ""},
		{"stopped for the terminal", command.Spec{Template: shell(t, ": {}; kill -TTIN $$")}, nil,
			command.Result{Exit: 137, Signal: 9}, "wants the terminal"},
		{"stopped and continued", command.Spec{Template: shell(t, ": {}; (sleep 0.1; kill -CONT $$) & kill -STOP $$; echo on")}, nil,
			command.Result{Stdout: inline("on\n")}, ""},
		{"timeout", command.Spec{Template: direct(t, "sleep", "{}"), Timeout: 20 * time.Millisecond}, []string{"1000"},
			command.Result{Exit: 124, Signal: 15, TimedOut: true}, ""},
		{"in time", command.Spec{Template: direct(t, "sleep", "{}"), Timeout: time.Hour}, []string{"0"}, command.Result{}, ""},
		{"bytes", command.Spec{Template: direct(t, "printf", `\000\377\n%s`, "{}")}, []string{"\xff\xfe"},
			command.Result{Stdout: inline("\x00\xff\n\xff\xfe")}, ""},
	}
	for _, ex := range executors(t, "serial", "threads:2", "processes:2") {
		for _, tc := range tests {
			t.Run(ex.Info().Kind+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				in := command.Input{Seq: 1, Args: tc.args}
				f := parade.Bind(command.Run, tc.spec)
				for r := range parade.Stream(t.Context(), ex, f, slices.Values([]command.Input{in}), parade.CollectErrors()) {
					got, err := command.ResultOf(r)
					if err != nil || (r.Err == nil) != (got.Exit == 0) {
						t.Fatalf("errors %.200v, %.200v with exit %d", r.Err, err, got.Exit)
					}
					want := tc.want
					argv, err := tc.spec.Template.Expand(in, command.Values{Slot: got.Slot})
					if err != nil {
						t.Fatal(err)
					}
					host, _ := os.Hostname()
					want.Seq, want.Args, want.Argv, want.Command, want.Attempts, want.Host = 1, tc.args, argv, command.Line(argv), 1, host
					if tc.has != "" && strings.Contains(got.Fault, tc.has) {
						want.Fault = got.Fault
					}
					if d := cmp.Diff(want, got, varying); d != "" {
						t.Errorf("want -, got +, fault with %q:\n%.2000s", tc.has, d)
					}
				}
			})
		}
	}
}

func inline(s string) command.Output { return command.Output{Data: []byte(s), Size: int64(len(s))} }

func TestMap(t *testing.T) {
	t.Parallel()
	var in []command.Input
	for i := range 50 {
		in = append(in, command.Input{Seq: i + 1, Args: []string{strconv.Itoa(i)}})
	}
	f := parade.Bind(command.Run, command.Spec{Template: shell(t, `test {} != 17 || { echo unlucky >&2; exit 4; }; echo {#}`)})
	for _, ex := range executors(t, "serial", "threads:4", "processes:2") {
		t.Run(ex.Info().Kind, func(t *testing.T) {
			t.Parallel()
			results, err := parade.Map(t.Context(), ex, f, in, parade.CollectErrors())
			var job *parade.JobError
			var exit *command.ExitError
			if !errors.As(err, &job) || len(job.Failed) != 1 || job.Failed[0].Index != 17 || !errors.As(err, &exit) {
				t.Fatalf("the error is %v, want that of input 17 alone", err)
			}
			if exit.Result.Exit != 4 || exit.Result.Seq != 18 || !strings.Contains(err.Error(), "exit 4; its last words:\n\tunlucky") {
				t.Errorf("the error is %v, want the exit status and the last words", err)
			}
			for i, r := range results {
				if want := fmt.Sprintln(i + 1); i != 17 && printed(t, r.Stdout) != want {
					t.Errorf("result %d is %q, want %q", i, r.Stdout.Data, want)
				}
			}
		})
	}
}

func TestBadSpec(t *testing.T) {
	t.Parallel()
	good := direct(t, "true", "{}")
	out := direct(t, "touch", "{out}", "{}")
	for _, tc := range []struct {
		name string
		spec command.Spec
	}{
		{"nothing", command.Spec{}},
		{"negative Timeout", command.Spec{Template: good, Timeout: -1}},
		{"negative Grace", command.Spec{Template: good, Grace: -1}},
		{"negative Backoff", command.Spec{Template: good, Backoff: -1}},
		{"negative Retries", command.Spec{Template: good, Retries: -1}},
		{"negative Threads", command.Spec{Template: good, Threads: -1}},
		{"negative MaxMemory", command.Spec{Template: good, MaxMemory: -1}},
		{"negative Nice", command.Spec{Template: good, Nice: -1}},
		{"too nice", command.Spec{Template: good, Nice: 20}},
		{"Capture", command.Spec{Template: good, Capture: 3}},
		{"Env without =", command.Spec{Template: good, Env: []string{"A"}}},
		{"Env without name", command.Spec{Template: good, Env: []string{"=A"}}},
		{"Env with NUL", command.Spec{Template: good, Env: []string{"A=\x00"}}},
		{"{out} in the name of an output", command.Spec{Template: out, Outputs: []command.Template{parsed(t, "{out}")}}},
		{"{scratch} in Dir", command.Spec{Template: good, Dir: parsed(t, "{scratch}")}},
		{"{out} in Stdin", command.Spec{Template: out, Outputs: []command.Template{parsed(t, "x")}, Stdin: parsed(t, "{out}")}},
		{"{out} in an Input", command.Spec{Template: out, Outputs: []command.Template{parsed(t, "x")}, Inputs: []command.Template{parsed(t, "{out2}")}}},
		{"{out} without Outputs", command.Spec{Template: out}},
		{"Outputs without {out}", command.Spec{Template: good, Outputs: []command.Template{parsed(t, "x")}}},
		{"Check without Outputs", command.Spec{Template: good, Check: good}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := parade.Bind(command.Run, tc.spec).Call(t.Context(), input("x"))
			if !errors.Is(err, command.ErrSpec) || !strings.HasPrefix(err.Error(), "command: bad command specification: ") {
				t.Errorf("the error is %v, want ErrSpec", err)
			}
		})
	}
	t.Run("NUL in an input", func(t *testing.T) {
		t.Parallel()
		_, err := parade.Bind(command.Run, command.Spec{Template: good}).Call(t.Context(), input("a\x00"))
		if !errors.Is(err, command.ErrInput) {
			t.Errorf("the error is %v, want ErrInput", err)
		}
	})
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		retries  int
		exit     int
		attempts int
		out      string
	}{
		{"none", 0, 1, 1, "1\n"},
		{"too few", 1, 1, 2, "2\n"},
		{"enough", 2, 0, 3, "3\n"},
		{"more than enough", 9, 0, 3, "3\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spec := command.Spec{
				Template: shell(t, "echo $PARADE_ATTEMPT; echo x >> {}; test $(wc -l < {}) -eq 3"),
				Retries:  tc.retries, Backoff: time.Millisecond,
			}
			r := call(t, spec, input(filepath.Join(t.TempDir(), "a file")))
			if r.Exit != tc.exit || r.Attempts != tc.attempts || printed(t, r.Stdout) != tc.out {
				t.Errorf("exit %d after %d attempts, printed %q; want %d, %d, %q", r.Exit, r.Attempts, r.Stdout.Data, tc.exit, tc.attempts, tc.out)
			}
		})
	}
	t.Run("cancelled between", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		ctx = command.WithWatch(ctx, command.Watch{Started: func(command.Started) { time.AfterFunc(100*time.Millisecond, func() { cancel(why) }) }})
		_, err := parade.Bind(command.Run, command.Spec{Template: direct(t, "false", "{}"), Retries: 1, Backoff: time.Hour}).Call(ctx, input("x"))
		if !errors.Is(err, why) {
			t.Errorf("the error is %v, want the reason for the end", err)
		}
	})
}

// The file of Control lets no further attempt start, in worker processes too.
func TestControlEndsRetries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		text    string
		backoff time.Duration
	}{
		{"while it runs", "echo said; touch {}/control; false", 0},
		{"in the pause", "echo said; (sleep 0.2; touch {}/control) & false", time.Hour},
	} {
		for _, ex := range executors(t, "serial", "threads:1", "processes:1") {
			t.Run(tc.name+" "+ex.Info().Kind, func(t *testing.T) {
				dir := t.TempDir()
				spec := command.Spec{Template: shell(t, tc.text), Retries: 5, Backoff: tc.backoff, Control: filepath.Join(dir, "control")}
				for r := range parade.Stream(t.Context(), ex, parade.Bind(command.Run, spec), slices.Values([]command.Input{input(dir)}), parade.CollectErrors()) {
					res, err := command.ResultOf(r)
					if err != nil {
						t.Fatal(err)
					}
					if res.Exit != 1 || res.Attempts != 1 || printed(t, res.Stdout) != "said\n" {
						t.Errorf("exit %d after %d attempts, printed %q; want one attempt and what it printed", res.Exit, res.Attempts, res.Stdout.Data)
					}
				}
			})
		}
	}
}

// What it holds takes the rest of the grace from what is being ended.
func TestControlEndsGrace(t *testing.T) {
	t.Parallel()
	control := filepath.Join(t.TempDir(), "control")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := filepath.Join(filepath.Dir(control), "ready")
	spec := command.Spec{Template: shell(t, "trap : TERM; : {}; touch "+ready+"; while true; do sleep 0.01; done"), Grace: time.Hour, Control: control}
	ended := make(chan error, 1)
	go func() {
		_, err := parade.Bind(command.Run, spec).Call(ctx, input("x"))
		ended <- err
	}()
	for start := time.Now(); content(t, ready) != ""; time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("the command did not start")
		}
	}
	cancel()
	writeMode(t, control, "", 0o600)
	select {
	case err := <-ended:
		t.Fatalf("it ended within the grace: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	writeMode(t, control, "now", 0o600)
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on")
	}
}

// No two commands that run at the same time have the same slot, and none is higher than
// there are workers.
func TestSlots(t *testing.T) {
	// Not parallel: slots are shared by all that this process runs.
	const workers, n = 3, 60
	lock := t.TempDir()
	spec := command.Spec{Template: shell(t, "mkdir "+lock+"/{%} && sleep 0.0{} && rmdir "+lock+"/{%} && echo $PARADE_SLOT")}
	var in []command.Input
	for i := range n {
		in = append(in, command.Input{Seq: i + 1, Args: []string{strconv.Itoa(i % 3)}})
	}
	for _, ex := range executors(t, "serial", "threads:3", "processes:3") {
		t.Run(ex.Info().Kind, func(t *testing.T) {
			results, err := parade.Map(t.Context(), ex, parade.Bind(command.Run, spec), in)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range results {
				if r.Slot < 1 || r.Slot > workers || printed(t, r.Stdout) != fmt.Sprintln(r.Slot) {
					t.Errorf("result %d has slot %d and printed %q", i, r.Slot, r.Stdout.Data)
				}
			}
		})
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var started []command.Started
	ctx := command.WithWatch(t.Context(), command.Watch{Started: func(s command.Started) {
		mu.Lock()
		defer mu.Unlock()
		started = append(started, s)
	}})
	spec := command.Spec{Template: direct(t, "false", "{}"), Retries: 1}
	ex := executors(t, "threads:1")[0]
	_, err := parade.Map(ctx, ex, parade.Bind(command.Run, spec), []command.Input{{Seq: 7, Args: []string{"a b"}}})
	if err == nil {
		t.Error("false has succeeded")
	}
	for i := range started {
		started[i].Time, started[i].Slot = time.Time{}, 0
	}
	want := []command.Started{{Seq: 7, Attempt: 1, Command: "false 'a b'"}, {Seq: 7, Attempt: 2, Command: "false 'a b'"}}
	if d := cmp.Diff(want, started); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

func TestScratch(t *testing.T) {
	t.Parallel()
	spec := command.Spec{
		// What is left in it cannot be removed without more permission.
		Template: shell(t, `echo {scratch} "$PARADE_SCRATCH" "$TMPDIR"; ls -A {scratch}; mkdir {scratch}/d; touch {scratch}/d/{}; chmod 0 {scratch}/d`),
	}
	r := call(t, spec, input("x"))
	names := strings.Fields(printed(t, r.Stdout))
	if r.Exit != 0 || len(names) != 3 || names[0] != names[1] || names[0] != names[2] || !filepath.IsAbs(names[0]) {
		t.Fatalf("exit %d, printed %q; want one absolute name three times", r.Exit, names)
	}
	if _, err := os.Lstat(names[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", names[0], err)
	}
	if r := call(t, command.Spec{Template: shell(t, `: {}; test -d "$PARADE_SCRATCH"`), Scratch: true}, input("x")); r.Exit != 0 {
		t.Errorf("no scratch folder: %v", r.Err())
	}
}

func TestExitErrorTail(t *testing.T) {
	t.Parallel()
	r := call(t, command.Spec{Template: shell(t, "seq {} >&2; echo >&2; exit 9"), Retries: 1}, input("100000"))
	if r.Stderr.File == "" {
		t.Fatal("the output is not in a file")
	}
	defer func() {
		if err := r.Stderr.Remove(); err != nil {
			t.Error(err)
		}
	}()
	want := "command: seq 100000 >&2; echo >&2; exit 9: exit 9, after 2 attempts; its last words:\n\t99996\n\t99997\n\t99998\n\t99999\n\t100000"
	if got := r.Err().Error(); got != want {
		t.Errorf("the error is %q, want %q", got, want)
	}
}
