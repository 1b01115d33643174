package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
)

// echo is the Spec of most tests: words of a command, not a shell's.
func echo(t testing.TB, words ...string) command.Spec {
	t.Helper()
	template, err := command.ParseTemplate(append([]string{"echo"}, words...), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return command.Spec{Template: template}
}

// inputs numbers arguments.
func inputs(args ...string) []command.Input {
	var all []command.Input
	for i, a := range args {
		all = append(all, command.Input{Seq: i + 1, Args: []string{a}})
	}
	return all
}

// ended is what became of a task, without running it.
func ended(t testing.TB, spec command.Spec, in command.Input, exit int) command.Result {
	t.Helper()
	argv, err := spec.Template.Expand(in, command.Values{Slot: 1})
	if err != nil {
		t.Fatal(err)
	}
	return command.Result{
		Seq: in.Seq, Args: in.Args, Argv: argv, Command: command.Line(argv), Slot: 1, Attempts: 1,
		Start: time.UnixMilli(1795524470000 + 7*int64(in.Seq)), Duration: 12 * time.Millisecond, Exit: exit,
	}
}

func open(t testing.TB, path string, spec command.Spec, opts command.JournalOptions) *command.Journal {
	t.Helper()
	j, err := command.OpenJournal(path, spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func add(t testing.TB, j *command.Journal, results ...command.Result) {
	t.Helper()
	if err := j.Add(results...); err != nil {
		t.Fatal(err)
	}
}

func closeJournal(t testing.TB, j *command.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// earlier makes the log of a run of which the inputs ended, those that begin with "bad"
// with exit status 1. It returns the joblog's path.
func earlier(t testing.TB, spec command.Spec, all []command.Input) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.log")
	j := open(t, path, spec, command.JournalOptions{})
	for _, in := range all {
		exit := 0
		if strings.HasPrefix(in.Args[0], "bad") {
			exit = 1
		}
		add(t, j, ended(t, spec, in, exit))
	}
	closeJournal(t, j)
	return path
}

// todo gives the inputs that a resumed run has to do, as "1:a 2:b"; with a "?" those that
// are done, if their outputs are whole.
func todo(t testing.TB, j *command.Journal, all []command.Input) (string, error) {
	t.Helper()
	var left []string
	for in, err := range j.Todo(func(yield func(command.Input, error) bool) {
		for _, in := range all {
			if !yield(in, nil) {
				return
			}
		}
	}) {
		if err != nil {
			return strings.Join(left, " "), err
		}
		done := ""
		if in.Done {
			done = "?"
		}
		left = append(left, fmt.Sprintf("%d:%s%s", in.Seq, strings.Join(in.Args, ","), done))
	}
	return strings.Join(left, " "), nil
}

func failed(t testing.TB, j *command.Journal) (all []command.Input) {
	t.Helper()
	for in, err := range j.Failed() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, in)
	}
	return all
}

var (
	skipEnded = command.JournalOptions{Resume: command.SkipEnded}
	skipDone  = command.JournalOptions{Resume: command.SkipDone}
)

// What a run is resumed from may be any of the two files, whole or torn.
func TestResume(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	list := inputs("a", "bad b", "c d", "bad\ne", "f", "g")
	for _, from := range []struct {
		name   string
		harm   func(t *testing.T, path string)
		missed string // what is to be done besides
	}{
		{"both files", func(*testing.T, string) {}, ""},
		{"the journal alone", func(t *testing.T, path string) { remove(t, path) }, ""},
		{"the joblog alone", func(t *testing.T, path string) { remove(t, path+command.JournalSuffix) }, ""},
		{"the journal, and a joblog without its last line", func(t *testing.T, path string) { cut(t, path, 1+len(lastLine(t, path))) }, ""},
		{"the journal, and a torn joblog", func(t *testing.T, path string) { cut(t, path, 3) }, ""},
		{"the journal, and a joblog torn in its header", func(t *testing.T, path string) { cut(t, path, len(readFile(t, path))-20) }, ""},
		{"a torn journal, and the joblog", func(t *testing.T, path string) { cut(t, path+command.JournalSuffix, 3) }, ""},
		{"a torn joblog alone", func(t *testing.T, path string) { remove(t, path+command.JournalSuffix); cut(t, path, 3) }, "5:f"},
	} {
		for _, mode := range []struct {
			opts         command.JournalOptions
			todo         string
			done, failed int
		}{
			{skipEnded, "6:g", 5, 2},
			{skipDone, "2:bad b 4:bad\ne 6:g", 3, 0},
		} {
			t.Run(from.name+" "+mode.opts.Resume.String(), func(t *testing.T) {
				t.Parallel()
				path := earlier(t, spec, list[:5])
				whole := readFile(t, path)
				from.harm(t, path)
				j := open(t, path, spec, mode.opts)
				got, err := todo(t, j, list)
				if err != nil {
					t.Fatal(err)
				}
				want, done := mode.todo, mode.done
				if from.missed != "" {
					want, done = strings.Replace(want, "6:g", from.missed+" 6:g", 1), done-1
				}
				if got != want {
					t.Errorf("to do: %q, want %q", got, want)
				}
				if d, f := j.Left(); d != done || f != mode.failed {
					t.Errorf("left out: %d, of which %d failed; want %d and %d", d, f, done, mode.failed)
				}
				if j.Moved() {
					t.Error("nothing has moved")
				}
				if from.missed != "" {
					add(t, j, ended(t, spec, list[4], 0))
				}
				if got := readFile(t, path); got != whole {
					t.Errorf("the joblog is not what it was:\n%s", cmp.Diff(whole, got))
				}
				add(t, j, ended(t, spec, list[5], 0))
				closeJournal(t, j)

				// And once more, from what there is then.
				j = open(t, path, spec, skipEnded)
				if got, err := todo(t, j, list); got != "" || err != nil {
					t.Errorf("at last there is to do: %q, error %v", got, err)
				}
				if n := len(readJoblog(t, path)); n != 6 {
					t.Errorf("the joblog has %d entries, want 6", n)
				}
			})
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// cut takes n bytes off the end.
func cut(t *testing.T, path string, n int) {
	t.Helper()
	if err := os.Truncate(path, int64(len(readFile(t, path))-n)); err != nil {
		t.Fatal(err)
	}
}

func lastLine(t *testing.T, path string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(readFile(t, path), "\n"), "\n")
	return lines[len(lines)-1]
}

func TestResumeWithOtherInputs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		command  string
		was, now []string
		todo     string // with --resume-failed
		moved    bool
	}{
		{"the same", "{}", []string{"a", "b"}, []string{"a", "b"}, "", false},
		{"more at the end", "{}", []string{"a", "b"}, []string{"a", "b", "c"}, "3:c", false},
		{"fewer", "{}", []string{"a", "b", "c"}, []string{"a"}, "", false},
		{"one at the beginning", "{}", []string{"a", "b", "c"}, []string{"new", "a", "b", "c"}, "1:new", true},
		{"one in the middle removed", "{}", []string{"a", "b", "c"}, []string{"a", "c"}, "", true},
		{"turned round", "{}", []string{"a", "b", "c"}, []string{"c", "b", "a"}, "", true},
		{"all others", "{}", []string{"a", "b"}, []string{"x", "y"}, "1:x 2:y", true},
		{"a failed one moved", "{}", []string{"a", "bad"}, []string{"bad", "a"}, "1:bad", true},
		{"one that depends on its number", "{} {#}", []string{"a", "b", "c"}, []string{"a", "c", "d"}, "2:c 3:d", true},
		{"equal ones", "{}", []string{"a", "a", "a"}, []string{"a", "a", "a", "a"}, "4:a", false},
		{"equal ones and another one before them", "{}", []string{"a", "a"}, []string{"b", "a", "a", "a"}, "1:b 4:a", true},
		{"an empty one", "{}", []string{"", "a"}, []string{"a", ""}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spec := echo(t, strings.Fields(test.command)...)
			path := earlier(t, spec, inputs(test.was...))
			j := open(t, path, spec, skipDone)
			got, err := todo(t, j, inputs(test.now...))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.todo || j.Moved() != test.moved {
				t.Errorf("to do: %q, moved %t; want %q, %t", got, j.Moved(), test.todo, test.moved)
			}
		})
	}
}

// A run whose list was changed is killed in between: what the first one has done is
// still known afterwards.
func TestResumeWithOtherInputsTwice(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	path := earlier(t, spec, inputs("a", "b", "bad", "d"))
	longer := inputs("new", "a", "b", "bad", "d")
	j := open(t, path, spec, skipDone)
	if got, err := todo(t, j, longer); got != "1:new 4:bad" || err != nil {
		t.Fatalf("to do: %q, error %v", got, err)
	}
	add(t, j, ended(t, spec, longer[0], 0)) // has the number of a, now
	closeJournal(t, j)

	j = open(t, path, spec, skipDone)
	if got, err := todo(t, j, longer); got != "4:bad" || err != nil {
		t.Errorf("to do: %q, error %v; want the failed one", got, err)
	}
	closeJournal(t, j)
	j, _, err := command.OpenFailed(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := failed(t, j); len(got) != 1 || got[0].Args[0] != "bad" {
		t.Errorf("failed are %v, want bad", got)
	}
	closeJournal(t, j)

	// When it has been done under its new number, it has not failed any more.
	j = open(t, path, spec, skipDone)
	if _, err := todo(t, j, longer); err != nil {
		t.Fatal(err)
	}
	add(t, j, ended(t, spec, command.Input{Seq: 3, Args: []string{"other"}}, 0), ended(t, spec, longer[3], 0))
	closeJournal(t, j)
	if j, _, err = command.OpenFailed(path, false); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if got := failed(t, j); len(got) != 0 {
		t.Errorf("failed are %v, want none", got)
	}
}

func TestResumeWithAnotherCommand(t *testing.T) {
	t.Parallel()
	was := echo(t, "-n", "{}")
	was.Outputs = []command.Template{parsed(t, "{}.out")}
	was.Stdin = parsed(t, "{}.in")
	list := inputs("a", "b")
	path := earlier(t, was, list[:1])
	for _, test := range []struct {
		name   string
		change func(*command.Spec)
		says   string // "" if it is no change
	}{
		{"another option", func(s *command.Spec) { s.Template = echo(t, "-e", "{}").Template }, `it was "echo -n '{}'" and is "echo -e '{}'"`},
		{"a shell", func(s *command.Spec) { s.Template.Shell = true }, "it was"},
		{"another output", func(s *command.Spec) { s.Outputs = []command.Template{parsed(t, "{}.txt")} }, "other outputs"},
		{"another folder", func(s *command.Spec) { s.Dir = parsed(t, "/") }, "another folder"},
		{"another standard input", func(s *command.Spec) { s.Stdin = parsed(t, "{}") }, "standard input"},
		{"another timeout", func(s *command.Spec) { s.Timeout, s.Retries, s.Nice = time.Hour, 3, 2 }, ""},
	} {
		t.Run(test.name, func(t *testing.T) { // one after another: they share a journal
			now := was
			test.change(&now)
			j, err := command.OpenJournal(path, now, skipEnded)
			if test.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				closeJournal(t, j)
				return
			}
			if !errors.Is(err, command.ErrChanged) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
				t.Fatalf("error %v, want %q", err, test.says)
			}
			dry := open(t, path, now, command.JournalOptions{Resume: command.SkipEnded, Changed: true, DryRun: true})
			if got, err := todo(t, dry, list); got != "1:a? 2:b" || err != nil {
				t.Errorf("if it may have changed, there is to do: %q, error %v", got, err)
			}
			closeJournal(t, dry)
		})
	}
	// What was allowed to change once is the command from then on.
	now := echo(t, "-e", "{}")
	closeJournal(t, open(t, path, now, command.JournalOptions{Resume: command.SkipEnded, Changed: true}))
	closeJournal(t, open(t, path, now, skipEnded))
	if _, err := command.OpenJournal(path, was, skipEnded); !errors.Is(err, command.ErrChanged) {
		t.Errorf("back again: error %v", err)
	}
}

// A joblog alone has numbers and commands.
func TestResumeFromJoblogWithAnotherCommand(t *testing.T) {
	t.Parallel()
	log := command.JoblogHeader + "\n" +
		"1\t:\t1.000\t     0.001\t0\t0\t0\t0\techo -n a\\ b\n" + // other quotes, as older versions write
		"2\t:\t1.000\t     0.001\t0\t0\t1\t0\techo -n c\n"
	for _, test := range []struct {
		name   string
		inputs []string
		spec   command.Spec
		opts   command.JournalOptions
		todo   string
		seq    int // of the one that has changed
	}{
		{"the same", []string{"a b", "c", "d"}, echo(t, "-n", "{}"), skipEnded, "3:d", 0},
		{"one that failed has changed", []string{"a b", "x", "d"}, echo(t, "-n", "{}"), skipDone, "2:x 3:d", 0},
		{"one that ended has changed", []string{"a b", "x", "d"}, echo(t, "-n", "{}"), skipEnded, "", 2},
		{"another option", []string{"a b", "c", "d"}, echo(t, "-e", "{}"), skipEnded, "", 1},
		{"another option that is allowed", []string{"a b", "c", "d"}, echo(t, "-e", "{}"), command.JournalOptions{Resume: command.SkipEnded, Changed: true}, "3:d", 0},
		{"a command that differs each time", []string{"a b", "c", "d"}, echo(t, "-e", "{}", "{%}"), skipEnded, "3:d", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			list := inputs(test.inputs...)
			j := open(t, writeFile(t, log), test.spec, test.opts)
			got, err := todo(t, j, list)
			changed := (*command.ChangedError)(nil)
			switch {
			case test.seq == 0 && (err != nil || got != test.todo):
				t.Errorf("to do: %q, error %v; want %q", got, err, test.todo)
			case test.seq > 0 && (!errors.As(err, &changed) || changed.Seq != test.seq || !strings.Contains(err.Error(), "of task")):
				t.Errorf("error %v, want that task %d has changed", err, test.seq)
			}
		})
	}
}

func TestRetryFailed(t *testing.T) {
	t.Parallel()
	spec := echo(t, "-n", "{}")
	spec.Timeout = time.Minute
	spec.Outputs = []command.Template{parsed(t, "{}.out")}
	list := inputs("a", "bad 1", "bad\xff2", "d", "bad\n3")
	for _, test := range []struct {
		name string
		harm func(t *testing.T, path string)
		gnu  bool
	}{
		{"from the journal", func(*testing.T, string) {}, false},
		{"from the journal alone", func(t *testing.T, path string) { remove(t, path) }, false},
		{"from the joblog alone", func(t *testing.T, path string) { remove(t, path+command.JournalSuffix) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := earlier(t, spec, list)
			test.harm(t, path)
			j, got, err := command.OpenFailed(path, false)
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			wantSpec, want := spec, []command.Input{list[1], list[2], list[4]}
			if test.gnu {
				wantSpec = command.Spec{Template: command.Template{Shell: true}}
				want = []command.Input{
					{Seq: 2, Args: []string{"echo -n 'bad 1'"}}, {Seq: 3, Args: []string{"echo -n 'bad\xff2'"}}, {Seq: 5, Args: []string{"echo -n 'bad\n3'"}},
				}
			}
			if diff := cmp.Diff(wantSpec, got); diff != "" {
				t.Errorf("the command:\n%s", diff)
			}
			inputs := failed(t, j)
			if diff := cmp.Diff(want, inputs); diff != "" {
				t.Errorf("the inputs:\n%s", diff)
			}
			add(t, j, ended(t, got, inputs[0], 0), ended(t, got, inputs[2], 1))
			closeJournal(t, j)

			// What is done then is done, by any way to go on.
			j, _, err = command.OpenFailed(path, false)
			if err != nil {
				t.Fatal(err)
			}
			if again := failed(t, j); len(again) != 2 || again[0].Seq != 3 || again[1].Seq != 5 {
				t.Errorf("again: %v, want 3 and 5", again)
			}
			closeJournal(t, j)
			j = open(t, path, spec, skipDone)
			if left, err := todo(t, j, list); err != nil || left != "1:a? 2:bad 1? 3:bad\xff2 4:d? 5:bad\n3" {
				t.Errorf("resumed: %q, error %v", left, err)
			}
		})
	}
}

func TestRetryFailedRefuses(t *testing.T) {
	t.Parallel()
	if _, _, err := command.OpenFailed(filepath.Join(t.TempDir(), "none"), false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a joblog that does not exist: %v", err)
	}
	spec := echo(t, "\xff{}") // no JSON
	path := earlier(t, spec, inputs("bad"))
	if _, _, err := command.OpenFailed(path, false); err == nil || !strings.Contains(err.Error(), "--resume-failed") {
		t.Errorf("a command that is not UTF-8: %v", err)
	}
	j := open(t, path, spec, skipDone)
	if got, err := todo(t, j, inputs("bad")); got != "1:bad" || err != nil {
		t.Errorf("resumed: %q, error %v", got, err)
	}
}

func TestJournalIsHeld(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	path := earlier(t, spec, inputs("a"))
	before := readFile(t, path)
	j := open(t, path, spec, skipEnded)
	for _, opts := range []command.JournalOptions{{}, skipEnded, skipDone} {
		if _, err := command.OpenJournal(path, spec, opts); !errors.Is(err, parade.ErrJournalHeld) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Errorf("%v: error %v, want one that says who has it", opts.Resume, err)
		}
	}
	if _, _, err := command.OpenFailed(path, false); !errors.Is(err, parade.ErrJournalHeld) {
		t.Errorf("--retry-failed: error %v", err)
	}
	if got := readFile(t, path); got != before {
		t.Errorf("the joblog was changed to %q", got)
	}
	closeJournal(t, j)
	closeJournal(t, open(t, path, spec, skipEnded))
}

// A wrong name on the command line must not cost a file.
func TestJournalLeavesOtherFiles(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	all := []command.JournalOptions{{}, skipEnded, skipDone, {DryRun: true, Resume: command.SkipEnded}}
	for _, opts := range all {
		path := writeFile(t, "sub-01\nsub-02\n")
		if _, err := command.OpenJournal(path, spec, opts); !errors.Is(err, command.ErrJoblog) {
			t.Errorf("%+v: error %v, want ErrJoblog", opts, err)
		}
		if got := readFile(t, path); got != "sub-01\nsub-02\n" {
			t.Errorf("%+v: the file is now %q", opts, got)
		}
		if _, err := os.Stat(path + command.JournalSuffix); err == nil {
			t.Errorf("%+v: it has a journal now", opts)
		}

		path = writeFile(t, "")
		if err := os.WriteFile(path+command.JournalSuffix, []byte("my diary\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := command.OpenJournal(path, spec, opts); err == nil || !strings.Contains(err.Error(), command.JournalSuffix) {
			t.Errorf("%+v: error %v, want one about the journal", opts, err)
		}
		if got := readFile(t, path+command.JournalSuffix); got != "my diary\n" {
			t.Errorf("%+v: the diary is now %q", opts, got)
		}
		if _, err := command.OpenJournal(t.TempDir(), spec, opts); err == nil || errors.Is(err, command.ErrJoblog) || !strings.Contains(err.Error(), "it is a folder") {
			t.Errorf("%+v: a folder is %v", opts, err)
		}
	}
	if _, err := command.OpenJournal(filepath.Join(t.TempDir(), "no", "folder"), spec, skipEnded); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that does not exist: %v", err)
	}
	damaged := writeFile(t, command.JoblogHeader+"\nnot a line\n1\t:\t1.000\t0.1\t0\t0\t0\t0\techo\n")
	if _, err := command.OpenJournal(damaged, spec, skipEnded); !errors.Is(err, command.ErrJoblog) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a damaged joblog: %v, want its line", err)
	}
}

func TestJoblogThatIsNoFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no /dev/null")
	}
	spec := echo(t, "{}")
	j := open(t, os.DevNull, spec, command.JournalOptions{})
	add(t, j, ended(t, spec, inputs("a")[0], 0))
	closeJournal(t, j)
	if _, err := os.Stat(os.DevNull + command.JournalSuffix); err == nil {
		t.Error("it has a journal")
	}
	for _, opts := range []command.JournalOptions{skipEnded, skipDone} {
		if _, err := command.OpenJournal(os.DevNull, spec, opts); !errors.Is(err, command.ErrJoblog) {
			t.Errorf("%v: error %v", opts.Resume, err)
		}
	}
}

func TestJournalAnew(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	list := inputs("a", "b", "c")
	path := earlier(t, spec, list[:2])

	// Killed between the two files, it has not begun.
	if err := os.WriteFile(path, []byte(command.JoblogHeader+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	j := open(t, path, spec, skipEnded)
	if got, err := todo(t, j, list); got != "3:c" || err != nil {
		t.Errorf("to do: %q, error %v", got, err)
	}
	if n := len(readJoblog(t, path)); n != 2 {
		t.Errorf("the joblog has %d entries, want 2", n)
	}
	closeJournal(t, j)

	other := echo(t, "-n", "{}")
	j = open(t, path, other, command.JournalOptions{})
	if got, err := todo(t, j, list); got != "1:a 2:b 3:c" || err != nil {
		t.Errorf("anew there is to do: %q, error %v", got, err)
	}
	add(t, j, ended(t, other, list[2], 1))
	closeJournal(t, j)
	if n := len(readJoblog(t, path)); n != 1 {
		t.Errorf("the joblog has %d entries, want 1", n)
	}
	j = open(t, path, other, skipEnded)
	if got, err := todo(t, j, list); got != "1:a 2:b" || err != nil {
		t.Errorf("then there is to do: %q, error %v", got, err)
	}
}

func TestJournalDryRun(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	list := inputs("a", "bad", "c")
	for _, alone := range []bool{false, true} {
		path := earlier(t, spec, list[:2])
		if alone {
			remove(t, path+command.JournalSuffix)
		}
		before := readFile(t, path)
		for _, test := range []struct {
			resume command.Resume
			todo   string
		}{{command.Anew, "1:a 2:bad 3:c"}, {command.SkipEnded, "3:c"}, {command.SkipDone, "2:bad 3:c"}} {
			j := open(t, path, spec, command.JournalOptions{Resume: test.resume, DryRun: true})
			if got, err := todo(t, j, list); got != test.todo || err != nil {
				t.Errorf("alone %t, %v: to do: %q, error %v", alone, test.resume, got, err)
			}
			if err := j.Add(ended(t, spec, list[2], 0)); err == nil {
				t.Error("a result was taken")
			}
			closeJournal(t, j)
		}
		j, _, err := command.OpenFailed(path, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := failed(t, j); len(got) != 1 || got[0].Seq != 2 {
			t.Errorf("alone %t, failed are %v", alone, got)
		}
		closeJournal(t, j)
		if got := readFile(t, path); got != before {
			t.Errorf("alone %t, the joblog is now %q", alone, got)
		}
		if _, err := os.Stat(path + command.JournalSuffix); alone && err == nil {
			t.Error("there is a journal now")
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	for _, resume := range []command.Resume{command.Anew, command.SkipEnded} {
		j := open(t, none, spec, command.JournalOptions{Resume: resume, DryRun: true})
		if got, err := todo(t, j, list[:1]); got != "1:a" || err != nil {
			t.Errorf("without an earlier run there is to do: %q, error %v", got, err)
		}
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("there is a joblog now")
	}
}

// The journal has all that became of a task, in any bytes.
func TestJournalRecord(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	path := filepath.Join(t.TempDir(), "run.log")
	j := open(t, path, spec, command.JournalOptions{})
	r := ended(t, spec, command.Input{Seq: 7, Args: []string{"<a&b>", "\xff\n"}}, 125)
	r.Attempts, r.Fault, r.Outputs, r.Stdout.Size = 3, "the output is empty", []string{"x/y"}, 99
	if err := j.Add(r, command.Result{}); !errors.Is(err, command.ErrInput) {
		t.Errorf("a result without a number: %v", err)
	}
	add(t, j, r)
	closeJournal(t, j)
	var got map[string]any
	if err := json.Unmarshal([]byte(lastLine(t, path+command.JournalSuffix)), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "crc")
	delete(got, "key")
	want := map[string]any{
		"seq": 7.0, "ok": false, "start": 1795524470049.0, "runtime": 0.012, "host": ":", "exit": 125.0, "attempts": 3.0, "received": 99.0,
		"fault": "the output is empty", "args": []any{"<a&b>", map[string]any{"base64": "/wo="}}, "outputs": []any{"x/y"},
		"command": map[string]any{"base64": "ZWNobyAnPGEmYj4nICf/Cic="},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := readFile(t, path+command.JournalSuffix); !strings.Contains(text, `"<a&b>"`) {
		t.Error("< and & are not readable")
	}
	if err := j.Add(r); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// With NameHosts the host of this machine has its name, in both files.
func TestNameHosts(t *testing.T) {
	t.Parallel()
	spec := echo(t, "{}")
	path := filepath.Join(t.TempDir(), "run.log")
	j := open(t, path, spec, command.JournalOptions{})
	j.NameHosts()
	r := ended(t, spec, command.Input{Seq: 1, Args: []string{"a"}}, 0)
	var err error
	if r.Host, err = os.Hostname(); err != nil {
		t.Fatal(err)
	}
	add(t, j, r)
	closeJournal(t, j)
	if line := lastLine(t, path); !strings.HasPrefix(line, "1\t"+r.Host+"\t") {
		t.Errorf("the joblog has %q", line)
	}
	if line := lastLine(t, path+command.JournalSuffix); !strings.Contains(line, `"host":"`+r.Host+`"`) {
		t.Errorf("the journal has %q", line)
	}
}

// A resumed run holds 16 bytes for each task, as the documentation says, and numbers
// that make no sense do no harm.
func TestJournalMemory(t *testing.T) {
	const tasks = 20_000
	spec := echo(t, "{}")
	path := filepath.Join(t.TempDir(), "run.log")
	j := open(t, path, spec, command.JournalOptions{})
	var batch []command.Result
	for seq := 1; seq <= tasks; seq++ {
		batch = append(batch, ended(t, spec, command.Input{Seq: seq, Args: []string{fmt.Sprintf("subject-%07d", seq)}}, 0))
		if len(batch) == 1000 {
			add(t, j, batch...)
			batch = batch[:0]
		}
	}
	far := ended(t, spec, inputs("far")[0], 0)
	far.Seq = 1 << 50
	add(t, j, far)
	closeJournal(t, j)
	batch = nil

	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the first leaves what was in pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, alone := range []bool{false, true} {
		if alone {
			remove(t, path+command.JournalSuffix)
		}
		before := heap()
		j = open(t, path, spec, skipEnded)
		skip, err := j.Skip(&command.Input{Seq: tasks, Args: []string{fmt.Sprintf("subject-%07d", tasks)}})
		if err != nil || !skip {
			t.Fatalf("alone %t: the last is left out: %t, error %v", alone, skip, err)
		}
		if perTask := float64(heap()-before) / tasks; perTask > 26 { // buffers take 8
			t.Errorf("alone %t: %.1f bytes are held for each task", alone, perTask)
		}
		closeJournal(t, j)
		runtime.KeepAlive(j)
	}
}

// GNU parallel goes on with a log of ours, and we with its.
func TestResumeWithGNUParallel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parallel := func(args ...string) string {
		return gnuParallel(t, append([]string{"-j1", "--joblog", filepath.Join(dir, "log")}, args...)...)
	}
	script := `echo {}; test {} != bad`
	if got := parallel("--version"); !strings.HasPrefix(got, "GNU") {
		t.Fatalf("it says %q", got)
	}
	template, err := command.ParseTemplate([]string{script}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := command.Spec{Template: template}
	list := inputs("a", "bad", "it's", "d")
	path := filepath.Join(dir, "log")

	j := open(t, path, spec, command.JournalOptions{})
	add(t, j, ended(t, spec, list[0], 0), ended(t, spec, list[1], 1))
	closeJournal(t, j)

	if got, want := parallel("--resume", script, ":::", "a", "bad", "it's"), "it's\n"; got != want {
		t.Errorf("GNU parallel resumes our run with %q, want %q", got, want)
	}
	j = open(t, path, spec, skipEnded)
	if got, err := todo(t, j, list); got != "4:d" || err != nil {
		t.Errorf("we resume its run with %q, error %v", got, err)
	}
	add(t, j, ended(t, spec, list[3], 0))
	closeJournal(t, j)

	if got, want := parallel("--retry-failed"), "bad\n"; got != want {
		t.Errorf("GNU parallel retries %q, want %q", got, want)
	}
	j = open(t, path, spec, skipDone)
	if got, err := todo(t, j, list); got != "2:bad" || err != nil {
		t.Errorf("what is left is %q, error %v", got, err)
	}
	closeJournal(t, j)
	j, retry, err := command.OpenFailed(path, false)
	if err != nil {
		t.Fatal(err)
	}
	again := failed(t, j)
	if len(again) != 1 || again[0].Seq != 2 || again[0].Args[0] != "echo bad; test bad != bad" {
		t.Fatalf("failed are %v", again)
	}
	add(t, j, ended(t, retry, again[0], 0))
	closeJournal(t, j)
	if got := parallel("--resume-failed", script, ":::", "a", "bad", "it's", "d"); got != "" {
		t.Errorf("at last GNU parallel still runs %q", got)
	}
}

// gnuParallel runs the real one where there is one.
func gnuParallel(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("parallel")
	if err == nil {
		var version []byte
		if version, err = exec.CommandContext(t.Context(), path, "--version").Output(); err == nil && !strings.HasPrefix(string(version), "GNU parallel") {
			err = errors.New("this parallel is not GNU's")
		}
	}
	if err != nil {
		t.Skipf("GNU parallel is not installed: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PARALLEL") }), "PARALLEL_HOME="+t.TempDir())
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 101) {
		t.Fatalf("parallel %q: %v", args, err)
	}
	return string(out)
}

func ExampleJournal() {
	if runtime.GOOS == "windows" {
		fmt.Print("subject a\nsubject b\nsubject c\n")
		return
	}
	dir, err := os.MkdirTemp("", "journal-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	template, err := command.ParseTemplate([]string{"echo", "subject", "{}"}, false, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	spec := command.Spec{Template: template}

	// The second run has one more subject, and does only that one.
	for _, subjects := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		journal, err := command.OpenJournal(filepath.Join(dir, "run.log"), spec, command.JournalOptions{Resume: command.SkipDone})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer journal.Close()
		source, err := command.Words(subjects, command.Format{})
		if err != nil {
			fmt.Println(err)
			return
		}
		var inputs []command.Input
		for in, err := range journal.Todo(source.Inputs()) {
			if err != nil {
				fmt.Println(err)
				return
			}
			inputs = append(inputs, in)
		}
		for r := range parade.Stream(context.Background(), parade.Threads(2), parade.Bind(command.Run, spec), slices.Values(inputs), parade.CollectErrors()) {
			result, err := command.ResultOf(r)
			if err != nil {
				fmt.Println(err)
				continue
			}
			if _, err := result.Stdout.WriteTo(os.Stdout); err != nil {
				fmt.Println(err)
			}
			if err := journal.Add(result); err != nil {
				fmt.Println(err)
				return
			}
		}
		journal.Close() // so that the next run can have it
	}
	// Output:
	// subject a
	// subject b
	// subject c
}
