//go:build unix

package command_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

// tree lists all files and folders below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && path != dir {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func content(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func TestCheckedOutputs(t *testing.T) {
	t.Parallel()
	// In each text, {1} is an input file, and out/x.nii.gz the output.
	for _, tc := range []struct {
		name, text string
		check      string
		old        string // of the output before
		exit       int
		fault      string
		want       string // of the output after; "" is none
	}{
		{"made", "cp {1} {out}", "", "", 0, "", "input"},
		{"not made", ": {1} {out}", "", "", 125, "has not made its output out/x.nii.gz", ""},
		{"empty", ": {1} > {out}", "", "", 125, "output out/x.nii.gz is empty", ""},
		{"failed", "cp {1} {out}; exit 3", "", "", 3, "", ""},
		{"killed", "cp {1} {out}; kill -9 $$", "", "", 137, "", ""},
		{"replaced", "cp {1} {out}", "", "old", 0, "", "input"},
		{"failed, old one stays", "cp {1} {out}; exit 3", "", "old", 3, "", "old"},
		{"not made, old one stays", ": {1} {out}", "", "old", 125, "has not made", "old"},
		{"check passed", "cp {1} {out}", "grep -q input {out}", "", 0, "", "input"},
		{"check failed", "cp {1} {out}", "grep -q other {out}", "", 125, "the check grep -q other out/x.nii.gz: exit 1", ""},
		{"check missing", "cp {1} {out}", "no-such-checker {out}", "", 125, "no-such-checker", ""},
		{"check killed", "cp {1} {out}", "kill -9 $$; : {out}", "", 125, "killed by SIGKILL", ""},
		{"check writes", "cp {1} {out}", "echo checked >&2; echo too; : {out}", "", 0, "", "input"},
		{"ending kept", `case {out} in *x.nii.gz) cp {1} {out};; esac; test "$(dirname {out})" = out`, "", "", 0, "", "input"},
		{"folder", "mkdir {out} && cp {1} {out}/part", "", "", 0, "", "folder"},
		{"empty folder", "mkdir {out}; : {1}", "", "", 125, "is empty", ""},
		{"folder for a file", "mkdir {out} && cp {1} {out}/part", "", "old", 0, "", "folder"},
		{"no permission kept", "cp {1} {out}; chmod 600 {out}", "", "", 0, "", "input"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			in := writeMode(t, filepath.Join(dir, "in.nii.gz"), "input", 0o600)
			out := filepath.Join(dir, "out", "x.nii.gz")
			if tc.old != "" {
				if err := os.Mkdir(filepath.Dir(out), 0o700); err != nil {
					t.Fatal(err)
				}
				writeMode(t, out, tc.old, 0o600)
				long := time.Now().Add(-time.Hour)
				if err := os.Chtimes(out, long, long); err != nil {
					t.Fatal(err)
				}
			}
			spec := command.Spec{
				Template: shell(t, strings.ReplaceAll(tc.text, "= out", "= "+dir+"/out")),
				Outputs:  []command.Template{parsed(t, "{1//}/out/x.nii.gz")},
			}
			if tc.check != "" {
				spec.Check = checkTemplate(tc.check)
			}
			r := call(t, spec, input(in))
			fault := strings.ReplaceAll(r.Fault, dir+"/", "")
			if r.Exit != tc.exit || !strings.Contains(fault, tc.fault) || tc.fault == "" && fault != "" {
				t.Errorf("exit %d, fault %q; want %d and %q; %s", r.Exit, fault, tc.exit, tc.fault, r.Stderr.Data)
			}
			want := []string{"in.nii.gz", "out", "out/x.nii.gz"}
			switch tc.want {
			case "":
				want = want[:2]
			case "folder":
				want = append(want, "out/x.nii.gz/part")
			default:
				if got := content(t, out); got != tc.want {
					t.Errorf("the output is %q, want %q", got, tc.want)
				}
			}
			if got := tree(t, dir); !slices.Equal(got, want) {
				t.Errorf("there are %q, want %q", got, want)
			}
			if tc.exit == 0 && !slices.Equal(r.Outputs, []string{out}) || tc.exit != 0 && r.Outputs != nil {
				t.Errorf("the result's outputs are %q", r.Outputs)
			}
			if strings.Contains(r.Command, ".parade") || !strings.Contains(r.Command, out) {
				t.Errorf("the command is %q, want the output's own name", r.Command)
			}
			if tc.name == "check writes" && printed(t, r.Stderr) != "checked\ntoo\n" {
				t.Errorf("the standard error is %q, want what the check has printed", r.Stderr.Data)
			}
		})
	}
}

// checkTemplate is a command of the shell to which no input is appended.
func checkTemplate(text string) command.Template {
	return command.Template{Words: []string{text}, Shell: true}
}

// The three traps of a program that ends with 0 whatever happens: it does not
// overwrite, does not make folders, and is killed half-way.
func TestOutputTraps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := writeMode(t, filepath.Join(dir, "blur"), `#!/bin/sh
# blur IN OUT
test -e "$2" && { echo "file exists: NOT written" >&2; exit 0; }
printf half > "$2" 2>/dev/null || { echo "no folder" >&2; exit 0; }
test -e "$1.slow" && sleep 100
printf 'half and half' > "$2"
`, 0o700)
	in := writeMode(t, filepath.Join(dir, "s 1.nii.gz"), "x", 0o600)
	spec := command.Spec{
		Template: direct(t, program, "{}", "{out}"), Outputs: []command.Template{parsed(t, "{//}/new/folder/{/}")},
		Timeout: 200 * time.Millisecond, Grace: time.Millisecond, Force: true,
	}
	slow := writeMode(t, in+".slow", "", 0o600)
	if r := call(t, spec, input(in)); !r.TimedOut {
		t.Errorf("not timed out: %v", r.Outcome())
	}
	if got := tree(t, dir); slices.ContainsFunc(got, func(n string) bool { return strings.HasPrefix(n, "new/folder/") }) {
		t.Errorf("a half output is left: %q", got)
	}
	if err := os.Remove(slow); err != nil {
		t.Fatal(err)
	}
	spec.Timeout = time.Minute
	for range 2 {
		r := call(t, spec, input(in))
		if got := content(t, filepath.Join(dir, "new/folder/s 1.nii.gz")); r.Exit != 0 || got != "half and half" {
			t.Errorf("%v, the output is %q", r.Outcome(), got)
		}
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tc := range []struct {
		name   string
		change func(s *command.Spec)
		in     time.Duration // time of the input against the output's
		out    string        // before
		runs   bool
	}{
		{"none", nil, -time.Hour, "", true},
		{"newer", nil, -time.Hour, "old", false},
		{"as old", nil, 0, "old", false},
		{"older", nil, time.Hour, "old", true},
		{"forced", func(s *command.Spec) { s.Force = true }, -time.Hour, "old", true},
		{"check passes", func(s *command.Spec) { s.Check = checkTemplate("grep -q . {out}") }, -time.Hour, "old", false},
		{"check fails", func(s *command.Spec) { s.Check = checkTemplate("grep -q fresh {out}") }, -time.Hour, "old", true},
		{"check in scratch", func(s *command.Spec) { s.Check = checkTemplate("test -d {scratch} && grep -q fresh {out}") }, -time.Hour, "old", true},
		{"older than Stdin", func(s *command.Spec) {
			s.Template, s.Stdin = shell(t, ": {}; echo fresh > {out}"), s.Inputs[0]
			s.Inputs = nil
		}, time.Hour, "old", true},
		{"older than Inputs", func(s *command.Spec) { s.Template = shell(t, "echo fresh > {out}; : {}") }, time.Hour, "old", true},
		{"older than a word", func(s *command.Spec) {
			s.Template, s.Inputs = direct(t, "sh", "-c", `echo fresh > "$0"`, "{out}", "{}.in"), nil
		}, time.Hour, "old", true},
		{"one of two missing", func(s *command.Spec) {
			s.Template = shell(t, ": {}; echo fresh > {out}; echo fresh > {out2}")
			s.Outputs = append(s.Outputs, parsed(t, "{}.second"))
		}, -time.Hour, "old", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			base := filepath.Join(dir, "sub 1")
			in := writeMode(t, base+".in", "input", 0o600)
			if err := os.Chtimes(in, now.Add(tc.in), now.Add(tc.in)); err != nil {
				t.Fatal(err)
			}
			if tc.out != "" {
				writeMode(t, base+".out", tc.out, 0o600)
				if err := os.Chtimes(base+".out", now, now); err != nil {
					t.Fatal(err)
				}
			}
			spec := command.Spec{
				Template: shell(t, "echo fresh > {out}; : {}"),
				Outputs:  []command.Template{parsed(t, "{}.out")}, Inputs: []command.Template{parsed(t, "{}.in")},
			}
			if tc.change != nil {
				tc.change(&spec)
			}
			r := call(t, spec, input(base))
			want := "fresh\n"
			if !tc.runs {
				want = tc.out
			}
			if got := content(t, base+".out"); r.Skipped == tc.runs || r.Exit != 0 || got != want {
				t.Errorf("skipped %v, exit %d, output %q; want %q", r.Skipped, r.Exit, got, want)
			}
			if r.Skipped && (r.Attempts != 0 || r.Outcome() != "skipped" || r.Outputs[0] != base+".out") {
				t.Errorf("the result of a skipped task is %+v", r)
			}
			if again := call(t, spec, input(base)); !again.Skipped && !spec.Force && tc.in <= 0 {
				t.Errorf("run again: %s", again.Outcome())
			}
		})
	}
}

// What would always be taken for whole, or written over, is refused before the start.
func TestOutputRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := writeMode(t, filepath.Join(dir, "in.txt"), "input", 0o600)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(wd, in)
	if err != nil {
		t.Skip(err)
	}
	for _, tc := range []struct {
		name   string
		spec   command.Spec
		in     command.Input
		refuse string
	}{
		{"argument", command.Spec{Outputs: []command.Template{parsed(t, "{}")}}, input(in), "its output is its input, " + in},
		{"argument, not clean", command.Spec{Outputs: []command.Template{parsed(t, "{1//}/{1/}")}}, input(dir + "//./in.txt"), "its output is its input"},
		{"second argument, relative", command.Spec{Outputs: []command.Template{parsed(t, in)}}, input("x", relative), "its output is its input"},
		{"argument in Dir", command.Spec{Outputs: []command.Template{parsed(t, in)}, Dir: parsed(t, dir)}, input("in.txt"), "its output is its input"},
		{"Stdin", command.Spec{Outputs: []command.Template{parsed(t, in)}, Stdin: parsed(t, in)}, input("x"), "its output is its input"},
		{"an Input", command.Spec{Outputs: []command.Template{parsed(t, in)}, Inputs: []command.Template{parsed(t, "{}.txt")}}, input(strings.TrimSuffix(in, ".txt")), "its output is its input"},
		{"forced", command.Spec{Outputs: []command.Template{parsed(t, "{}")}, Force: true}, input(in), "its output is its input"},
		{"a Fault", command.Spec{Outputs: []command.Template{parsed(t, in+".out")}}, command.Input{Seq: 1, Args: []string{in}, Fault: "no"}, "no"},
		{"an argument that is none of the Inputs", command.Spec{Outputs: []command.Template{parsed(t, "{}.new")}, Inputs: []command.Template{parsed(t, in)}}, input(filepath.Join(dir, "target")), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.Template = shell(t, ": {}; touch "+dir+"/ran; echo x > {out}")
			r := call(t, tc.spec, tc.in)
			if r.Refused != (tc.refuse != "") || !strings.HasPrefix(r.Fault, tc.refuse) || r.Refused && (r.Exit != command.ExitFault || r.Attempts != 0) {
				t.Errorf("refused %v, exit %d, %d attempts, fault %q; want %q", r.Refused, r.Exit, r.Attempts, r.Fault, tc.refuse)
			}
			if got := content(t, in); got != "input" {
				t.Errorf("the input is %q now", got)
			}
			ran := filepath.Join(dir, "ran")
			if _, err := os.Stat(ran); (err == nil) == r.Refused {
				t.Errorf("refused %v, but it has run: %v", r.Refused, err)
			}
			_ = os.Remove(ran)
		})
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		outputs []string
		args    []string
		faults  []string // what they begin with
	}{
		{"no outputs", nil, []string{"a", "a"}, []string{"", ""}},
		{"different", []string{"{}.res"}, []string{"a", "b"}, []string{"", ""}},
		{"the same", []string{"{/.}.res"}, []string{"s1/x.txt", "s2/y.txt", "s3/x.txt", "s4/x.txt"}, []string{"", "", "its output x.res is made for input 1 already", "its output x.res is made for input 1"}},
		{"not clean", []string{"{}"}, []string{"d/x", "d//./x", "e/../d/x", wd + "/d/x"}, []string{"", "its output d/x is made for input 1", "its output", "its output"}},
		{"the second of two", []string{"{}.1", "{.}.2"}, []string{"a.x", "a.y"}, []string{"", "its output a.2 is made for input 1"}},
		{"one that fails makes nothing", []string{"{}.1", "{.}.2"}, []string{"a.x", "a.y", "a.y"}, []string{"", "its output a.2", "its output a.2"}},
		{"its own", []string{"{}", "{}"}, []string{"a"}, []string{"two of its outputs are the same file a"}},
		{"slots", []string{"{%}"}, []string{"a", "b"}, []string{"", "its output 1 is made for input 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var spec command.Spec
			for _, text := range tc.outputs {
				spec.Outputs = append(spec.Outputs, parsed(t, text))
			}
			i := 0
			for in, err := range command.Distinct(spec, sequence(inputs(tc.args...))) {
				if err != nil {
					t.Fatal(err)
				}
				if want := tc.faults[i]; !strings.HasPrefix(in.Fault, want) || want == "" && in.Fault != "" || in.Args[0] != tc.args[i] {
					t.Errorf("input %d: %+v, want the fault %q", i+1, in, want)
				}
				i++
			}
			if i != len(tc.args) {
				t.Errorf("%d inputs, want %d", i, len(tc.args))
			}
		})
	}
}

// sequence gives inputs as a Source does.
func sequence(all []command.Input) iter.Seq2[command.Input, error] {
	return func(yield func(command.Input, error) bool) {
		for _, in := range all {
			if !yield(in, nil) {
				return
			}
		}
	}
}

// A journal does not answer for the files: what is missing is made again, once, and
// what is whole gets no second record.
func TestJournalLooksAtOutputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := command.Spec{Template: shell(t, "echo {} >> "+dir+"/effects; echo x > {out}"), Outputs: []command.Template{parsed(t, dir+"/{}.out")}, Force: true}
	log := filepath.Join(dir, "log")
	all := inputs("a", "b", "c")
	round := func(opts command.JournalOptions) (outcomes string) {
		j := open(t, log, spec, opts)
		for in, err := range j.Todo(command.Distinct(spec, sequence(all))) {
			if err != nil {
				t.Fatal(err)
			}
			r := call(t, spec, in)
			outcomes += fmt.Sprintf("%d%v%v ", r.Seq, r.Skipped, r.Before)
			add(t, j, r)
		}
		closeJournal(t, j)
		return outcomes
	}
	round(command.JournalOptions{})
	if err := errors.Join(os.Remove(dir+"/b.out"), os.Truncate(dir+"/c.out", 0)); err != nil {
		t.Fatal(err)
	}
	for _, resume := range []command.Resume{command.SkipEnded, command.SkipDone} {
		want := "1truetrue 2truetrue 3truetrue "
		if resume == command.SkipEnded { // the first
			want = "1truetrue 2falsefalse 3falsefalse "
			j := open(t, log, spec, command.JournalOptions{Resume: resume, DryRun: true})
			if got, err := todo(t, j, all); err != nil || got != "2:b? 3:c?" {
				t.Errorf("a dry run shows %q (%v), want the two that are not whole", got, err)
			}
			closeJournal(t, j)
		}
		if got := round(command.JournalOptions{Resume: resume}); got != want {
			t.Errorf("%v: %s, want %s", resume, got, want)
		}
	}
	if got := content(t, dir+"/effects"); got != "a\nb\nc\nb\nc\n" {
		t.Errorf("the effects are %q", got)
	}
	seqs := ""
	for e, err := range command.ReadJoblog(log) {
		if err != nil {
			t.Fatal(err)
		}
		seqs += fmt.Sprint(e.Seq)
	}
	if seqs != "12323" {
		t.Errorf("the joblog has tasks %s, want 12323", seqs)
	}
}

// A task that was refused for the sake of one that was done is refused when it is
// taken from the journal, too.
func TestRetryOfRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := command.Spec{Template: shell(t, "cat {} > {out}"), Outputs: []command.Template{parsed(t, dir+"/{/}.out")}}
	for _, s := range []string{"s1", "s2"} {
		if err := os.Mkdir(filepath.Join(dir, s), 0o700); err != nil {
			t.Fatal(err)
		}
		writeMode(t, filepath.Join(dir, s, "x"), s, 0o600)
	}
	log := filepath.Join(dir, "log")
	j := open(t, log, spec, command.JournalOptions{})
	for in := range command.Distinct(spec, sequence(inputs(dir+"/s1/x", dir+"/s2/x"))) {
		add(t, j, call(t, spec, in))
	}
	closeJournal(t, j)
	j, spec, err := command.OpenFailed(log, false)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	again := failed(t, j)
	if len(again) != 1 || again[0].Seq != 2 {
		t.Fatalf("failed: %+v, want the second", again)
	}
	if r := call(t, spec, again[0]); !r.Refused || r.Skipped || !strings.Contains(r.Fault, "made for input 1 already") {
		t.Errorf("it is %+v, want a refusal", r)
	}
}

// With a working directory, outputs are still relative to this process's own.
func TestOutputWithDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name, err := filepath.Rel(wd, filepath.Join(dir, "x"))
	if err != nil {
		t.Skip(err)
	}
	r := call(t, command.Spec{Template: shell(t, ": {}; echo x > {out}"), Dir: parsed(t, "/"), Outputs: []command.Template{parsed(t, name)}}, input("1"))
	if got := content(t, filepath.Join(dir, "x")); r.Exit != 0 || got != "x\n" {
		t.Errorf("%v, output %q", r.Err(), got)
	}
}

// A task that cannot have its output fails before it runs or when it ends, and
// leaves nothing.
func TestOutputImpossible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeMode(t, filepath.Join(dir, "file"), "", 0o600)
	if err := os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	spec := command.Spec{Template: shell(t, ": {}; echo x > {out}"), Outputs: []command.Template{parsed(t, "{1}{2}")}, Force: true}
	for _, name := range []string{file + "/below", filepath.Join(dir, "full")} {
		r := call(t, spec, input(name[:3], name[3:]))
		if r.Exit != command.ExitFault || !strings.Contains(r.Fault, name) {
			t.Errorf("%s: exit %d, fault %q", name, r.Exit, r.Fault)
		}
	}
	long := strings.Repeat("ä", 120) + ".nii.gz" // 247 bytes
	if r := call(t, spec, input(dir, "/"+long)); r.Exit != 0 {
		t.Errorf("a long name: %v", r.Err())
	}
	if got, want := tree(t, dir), []string{"file", "full", "full/x", long}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	if _, err := parade.Bind(command.Run, spec).Call(t.Context(), input("")); !errors.Is(err, command.ErrInput) {
		t.Errorf("an empty name: %v, want ErrInput", err)
	}
}

func init() {
	roles["half output"] = func() error {
		spec := command.Spec{
			Template: command.Template{Shell: true, Words: []string{"echo half > {out}; echo > {1}/ready; exec sleep 100"}},
			Outputs:  []command.Template{{Words: []string{"{1}/[out]/x"}}},
		}
		_, err := parade.Bind(command.Run, spec).Call(context.Background(), command.Input{Args: []string{os.Getenv("PARADE_TEST_DIR")}})
		return err
	}
}

// What a killed process has left half-made is removed by the next that makes
// something in the same folder, and what a living one is making is not.
func TestSweep(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVariable+"=half output", "PARADE_TEST_DIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(20 * time.Second); content(t, filepath.Join(dir, "ready")) != "\n"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the command did not start")
		}
	}
	half := func() []string {
		return slices.DeleteFunc(tree(t, dir), func(n string) bool { return !strings.Contains(n, "/.parade-") })
	}
	// Each in a process of its own, as each looks once.
	sweep := func(n int) {
		other := exec.CommandContext(t.Context(), program)
		other.Env = append(os.Environ(), roleVariable+"=other output", "PARADE_TEST_DIR="+dir, fmt.Sprint("PARADE_TEST_NAME=", n))
		if out, err := other.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	sweep(1)
	if left := half(); len(left) != 1 {
		t.Errorf("while it is being made there are %q, want one temporary output", left)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	sweep(2)
	if left := half(); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

func init() {
	roles["other output"] = func() error {
		spec := command.Spec{
			Template: command.Template{Shell: true, Words: []string{"echo x > {out}; : {}"}},
			Outputs:  []command.Template{{Words: []string{"{1}/[out]/{2}"}}},
		}
		args := []string{os.Getenv("PARADE_TEST_DIR"), os.Getenv("PARADE_TEST_NAME")}
		_, err := parade.Bind(command.Run, spec).Call(context.Background(), command.Input{Args: args})
		return err
	}
}
