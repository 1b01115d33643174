//go:build unix

package command_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parade-go/parade/command"
)

// The line does what the command did, and leaves the output's own name alone.
func TestAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		spec command.Spec
		args []string
		want string // of the line; "" is not compared
		out  string // what it prints, with DIR for the test's folder
	}{
		{"words", command.Spec{Template: direct(t, "printf", "<%s>", "{}")}, []string{"a b"}, "printf '<%s>' 'a b'", "<a b>"},
		{"a shell's text", command.Spec{Template: shell(t, "printf '<%s>' {}; echo")}, []string{"it's"}, `printf '<%s>' 'it'"'"'s'; echo`, "<it's>\n"},
		{"scratch in words", command.Spec{Template: direct(t, "sh", "-c", `test -d "$1" && echo "${2%/*} $3" | sed "s|$1|S|"`, "sh", "{scratch}", "{scratch}/a b'c", "{}")}, []string{"x"}, "", "S x\n"},
		{"scratch in a text", command.Spec{Template: shell(t, `test -d {scratch} && echo {scratch}/a '{scratch}'"{scratch}_ $PARADE_SCRATCH" {} | sed "s|$TMPDIR|S|g" # {\}`)}, []string{"x y"}, "", "S/a SS_ S x y\n"},
		{"scratch by its variable", command.Spec{Template: shell(t, `test -d "$PARADE_SCRATCH" && echo {}`), Scratch: true}, []string{"x"}, "", "x\n"},
		{"folder and environment", command.Spec{Template: shell(t, `echo "$(basename "$PWD") $A" {} # note`), Dir: parsed(t, "DIR/sub d"), Env: []string{"A=b c"}}, []string{"x"}, "", "sub d b c x\n"},
		{"standard input", command.Spec{Template: direct(t, "cat", "{}"), Stdin: parsed(t, "DIR/in")}, []string{"-"}, "", "input\n"},
		{"all of them", command.Spec{Template: shell(t, `cat; test -d {scratch} && echo "$A {}"`), Dir: parsed(t, "DIR"), Stdin: parsed(t, "DIR/in"), Env: []string{"A=b c"}}, []string{"x"}, "", "input\nb c x\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeMode(t, filepath.Join(dir, "in"), "input\n", 0o600)
			if err := os.Mkdir(filepath.Join(dir, "sub d"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, of := range []*command.Template{&tc.spec.Dir, &tc.spec.Stdin} {
				for i, w := range of.Words {
					of.Words[i] = strings.ReplaceAll(w, "DIR", dir)
				}
			}
			r := call(t, tc.spec, command.Input{Seq: 1, Args: tc.args})
			line := tc.spec.Again(r)
			if tc.want != "" && line != tc.want {
				t.Errorf("the line is %s, want %s", line, tc.want)
			}
			if got := printed(t, r.Stdout); got != tc.out {
				t.Errorf("the command printed %q, want %q", got, tc.out)
			}
			if got := ofShell(t, line); got != tc.out {
				t.Errorf("%s\nprinted %q, want %q", line, got, tc.out)
			}
		})
	}
	t.Run("outputs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		spec := command.Spec{
			Template: shell(t, `test {out} != '{out2}' && echo new | tee {out} > '{out2}'; : {}`),
			Outputs:  []command.Template{parsed(t, dir+"/o 1/{}.nii.gz"), parsed(t, dir+"/{}.b")}, Dir: parsed(t, "/"),
		}
		r := call(t, spec, input("it's"))
		one, two := filepath.Join(dir, "o 1", "it's.nii.gz"), filepath.Join(dir, "it's.b")
		writeMode(t, one, "old", 0o600)
		writeMode(t, two, "old", 0o600)
		ofShell(t, spec.Again(r))
		again := filepath.Join(dir, "o 1", ".parade-again-it's.nii.gz")
		if a, b, c := content(t, one), content(t, two), content(t, again); a != "old" || b != "old" || c != "new\n" {
			t.Errorf("the outputs are %q, %q and beside it %q", a, b, c)
		}
		if again := call(t, spec, input("it's")); !again.Skipped {
			t.Errorf("run again: %s", again.Outcome())
		}
	})
}

// ofShell gives what a shell prints that a person pastes a line into.
func ofShell(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh")
	cmd.Stdin = strings.NewReader(line + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s\n%v", line, err)
	}
	return string(out)
}
