package command_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/command"
)

// goldenCase is a template and its inputs, and what GNU parallel makes of them.
type goldenCase struct {
	Name      string
	Template  []string
	Shell     bool
	Sources   []goldenSource
	Header    bool
	Colsep    string
	Null      bool
	SkipEmpty bool `json:"skip_empty"`
	Pack      int
	Lines     []string   // of --dry-run; none where they cannot be told apart
	Argv      [][]string // what the programs really got, without their names
}

type goldenSource struct {
	Words []string
	Text  *string
	Link  bool
}

// source builds the sources as the command line describes them.
func (g goldenCase) source(t *testing.T) *command.Source {
	t.Helper()
	f := command.Format{Header: g.Header, Colsep: g.Colsep, Null: g.Null, SkipEmpty: g.SkipEmpty}
	var groups [][]*command.Source
	for i, from := range g.Sources {
		var s *command.Source
		var err error
		if from.Text != nil {
			path := filepath.Join(t.TempDir(), fmt.Sprint("list", i))
			if err := os.WriteFile(path, []byte(*from.Text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err = command.Open(path, f)
		} else {
			s, err = command.Words(from.Words, f)
		}
		if err != nil {
			t.Fatal(err)
		}
		if from.Link {
			groups[len(groups)-1] = append(groups[len(groups)-1], s)
		} else {
			groups = append(groups, []*command.Source{s})
		}
	}
	var sources []*command.Source
	for _, g := range groups {
		sources = append(sources, command.Link(g...))
	}
	return command.Product(sources...).Pack(max(1, g.Pack))
}

// TestGNUParallel compares lines and arguments with GNU parallel's own. Exact.
func TestGNUParallel(t *testing.T) {
	t.Parallel()
	var golden struct {
		Version string
		Cases   []goldenCase
	}
	data, err := os.ReadFile("testdata/parallel.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 60 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, g := range golden.Cases {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			s := g.source(t)
			template, err := command.ParseTemplate(g.Template, g.Shell, s.Columns())
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			var argvs [][]string
			for in, err := range s.Inputs() {
				if err != nil {
					t.Fatal(err)
				}
				argv, err := template.Expand(in, command.Values{Slot: 1})
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, command.Line(argv))
				argvs = append(argvs, argv[1:])
				if want := g.Template[0]; !g.Shell && argv[0] != want {
					t.Errorf("program %q, want %q", argv[0], want)
				}
			}
			// A line of a program's output has a line feed, so has one of a dry run.
			if diff := cmp.Diff(g.Lines, lines); diff != "" && g.Lines != nil {
				t.Errorf("lines (-GNU +ours):\n%s", diff)
			}
			if diff := cmp.Diff(g.Argv, argvs); diff != "" && !g.Shell {
				t.Errorf("arguments (-GNU +ours):\n%s", diff)
			}
		})
	}
}

// expandOne expands one template for one input.
func expandOne(words []string, shell bool, columns []string, v command.Values, args ...string) ([]string, error) {
	template, err := command.ParseTemplate(words, shell, columns)
	if err != nil {
		return nil, err
	}
	return template.Expand(command.Input{Seq: 7, Args: args}, v)
}

// TestExpand has what GNU parallel has not, or has otherwise.
func TestExpand(t *testing.T) {
	t.Parallel()
	values := command.Values{Slot: 3, Outputs: []string{"o/.tmp 1.nii.gz", "o2"}, Scratch: "/s/x y"}
	for _, tc := range []struct {
		name    string
		words   []string
		shell   bool
		columns []string
		args    []string
		want    []string
	}{
		{"one plain word is no shell's", []string{"./run.sh"}, false, nil, []string{"a b"}, []string{"./run.sh", "a b"}},
		{"one plain word with placeholders", []string{"bin/{1}"}, false, nil, []string{"a b"}, []string{"bin/a b"}},
		{"one word with blanks is a shell's", []string{"echo {}"}, false, nil, []string{"a b"}, []string{"/bin/sh", "-c", "echo 'a b'"}},
		{"words joined for the shell", []string{"echo", "$HOME", "{}"}, true, nil, []string{"a b"}, []string{"/bin/sh", "-c", "echo $HOME 'a b'"}},
		{"no words", nil, false, nil, []string{"echo a; b", "c"}, []string{"/bin/sh", "-c", "echo a; b c"}},
		{"a lone placeholder", []string{"{}"}, false, nil, []string{"echo a; b"}, []string{"/bin/sh", "-c", "echo a; b"}},
		{"no option for the shell", nil, false, nil, []string{"-x"}, []string{"/bin/sh", "-c", " -x"}},
		{"program from the input", []string{"{1}", "{2}"}, false, nil, []string{"prog x", "-x"}, []string{"prog x", "-x"}},
		{"several arguments within a word", []string{"f", "pre-{}-post", "{}"}, false, nil, []string{"a", "b c"}, []string{"f", "pre-a b c-post", "a", "b c"}},
		{"two and three extensions", []string{"f", "{..}", "{...}", "{/..}", "{1..}", "{x..}", "{x/..}"}, false, []string{"x"}, []string{"d.e/f.nii.gz"},
			[]string{"f", "d.e/f", "d.e/f.nii.gz", "f", "d.e/f", "d.e/f", "f"}},
		{"no line feed is special", []string{"f", "{/}", "{//}", "{.}"}, false, nil, []string{"a\nb/c\nd.x\n"}, []string{"f", "c\nd.x\n", "a\nb", "a\nb/c\nd"}},
		{"invalid UTF-8", []string{"f", "{.}"}, false, nil, []string{"\xff/\xfe.\x80"}, []string{"f", "\xff/\xfe"}},
		{"outputs and scratch", []string{"f", "{}", "{out}", "{out1}", "{out2}", "{out/}", "{scratch}/t"}, false, nil, []string{"i"},
			[]string{"f", "i", "o/.tmp 1.nii.gz", "o/.tmp 1.nii.gz", "o2", ".tmp 1.nii.gz", "/s/x y/t"}},
		{"outputs are no inputs", []string{"f", "-o", "{out}"}, false, nil, []string{"i"}, []string{"f", "-o", "o/.tmp 1.nii.gz", "i"}},
		{"outputs in a shell", []string{"f <{} >{out}"}, false, nil, []string{"i"}, []string{"/bin/sh", "-c", "f <i >'o/.tmp 1.nii.gz'"}},
		{"escapes", []string{"f", `{\}`, `{\1}`, `{\\}`, `{\x}`, `{\d+}`, `{\#}`, "{}"}, false, []string{"x"}, []string{"i"}, []string{"f", "{}", "{1}", `{\}`, "{x}", `{\d+}`, "{#}", "i"}},
		{"escapes count as no placeholder", []string{"find", `{\}`}, false, nil, []string{"i"}, []string{"find", "{}", "i"}},
		{"column names", []string{"f", "{a b}", "{x.y}", "{ü/}", "{2.}"}, false, []string{"a b", "x.y", "ü"}, []string{"1", "2.2", "3/3"}, []string{"f", "1", "2.2", "3", "2"}},
		{"a column without a value", []string{"f", "{x}", "{y}"}, false, []string{"x", "y"}, []string{"1"}, []string{"f", "1", ""}},
		{"unknown names are text", []string{"f", "{z}", "{}"}, false, []string{"x"}, []string{"1"}, []string{"f", "{z}", "1"}},
		{"slot and number", []string{"f", "{%}/{#}"}, false, nil, []string{"1"}, []string{"f", "3/7"}},
		{"no argument at all", []string{"f", "{}", "x{}"}, false, nil, nil, []string{"f", "x"}},

		{"double quotes", []string{`f "{}" "x{}y"`}, false, nil, []string{"a'b\"c$(d)`e`\\"}, []string{"/bin/sh", "-c", "f \"a'b\\\"c\\$(d)\\`e\\`\\\\\" \"xa'b\\\"c\\$(d)\\`e\\`\\\\y\""}},
		{"single quotes", []string{`f '{}'`}, false, nil, []string{"a'b\"c"}, []string{"/bin/sh", "-c", `f 'a'"'"'b"c'`}},
		{"awk's own braces", []string{`awk '{print $1} {x}' {}`}, false, nil, []string{"a b"}, []string{"/bin/sh", "-c", `awk '{print $1} {x}' 'a b'`}},
		{"the shell's variables", []string{`echo ${x} "${1}" $x{} {x}`}, false, []string{"x"}, []string{"v"}, []string{"/bin/sh", "-c", `echo ${x} "${1}" $x''v v`}},
		{"a variable's name ends in quotes", []string{`echo "$x{}"`}, false, nil, []string{"v"}, []string{"/bin/sh", "-c", `echo "$x""v"`}},
		{"the shell's braces", []string{`echo \{} "\{}" {}`}, false, nil, []string{"v"}, []string{"/bin/sh", "-c", `echo \{} "\{}" v`}},
		{"digits before a redirection", []string{"echo {}>f 2{3}<g"}, false, nil, []string{"2"}, []string{"/bin/sh", "-c", "echo 2''>f 2''<g"}},
		{"nothing before a redirection", []string{"{3}>f"}, false, nil, []string{"2"}, []string{"/bin/sh", "-c", ">f"}},
		{"a home folder", []string{"echo ~{}"}, false, nil, []string{"root"}, []string{"/bin/sh", "-c", "echo ~''root"}},
		{"words of the shell", []string{"{} x; {2}"}, false, nil, []string{"if", "A=b"}, []string{"/bin/sh", "-c", "'if' 'A=b' x; 'A=b'"}},
		{"numbers in a comment", []string{"f {} # {#}"}, false, nil, []string{"x"}, []string{"/bin/sh", "-c", "f x # 7"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := expandOne(tc.words, tc.shell, tc.columns, values, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		words   []string
		columns []string
		args    []string
		want    error
		says    string
	}{
		{"empty program", []string{""}, nil, nil, command.ErrTemplate, "program's name is empty"},
		{"blank program", []string{" ", "{}"}, nil, nil, command.ErrTemplate, "program's name is empty"},
		{"NUL in a word", []string{"f", "a\x00b"}, nil, nil, command.ErrTemplate, "word 2"},
		{"NUL in an argument", []string{"f"}, nil, []string{"a", "b\x00"}, command.ErrInput, "argument 2"},
		{"two columns of a name", []string{"f", "{x}"}, []string{"x", "y", "x"}, nil, command.ErrTemplate, "write {1} or {3}"},
		{"a column named as an output", []string{"f", "{out}"}, []string{"x", "out"}, nil, command.ErrTemplate, "write {2} for it"},
		{"no such output", []string{"f", "{out2}"}, nil, []string{"a"}, command.ErrTemplate, "{out2}"},
		{"no scratch", []string{"f", "{scratch}"}, nil, []string{"a"}, command.ErrTemplate, "{scratch}"},
		{"no program from the input", []string{"{1}", "x"}, nil, []string{""}, command.ErrInput, "name empty"},
		{"a missing program", []string{"{2}"}, nil, []string{"a"}, command.ErrInput, "name empty"},
		{"open single quote", []string{"echo 'a {}"}, nil, nil, command.ErrTemplate, "never closed"},
		{"open double quote", []string{`echo "$(a "b) {}`}, nil, nil, command.ErrTemplate, "never closed"},
		{"backquotes", []string{"echo `ls {}`"}, nil, nil, command.ErrTemplate, "write $(...)"},
		{"after backquotes", []string{"echo `ls` {}"}, nil, nil, command.ErrTemplate, "`...`"},
		{"here document", []string{"cat <<E\n{}\nE"}, nil, nil, command.ErrTemplate, "<<"},
		{"arithmetic", []string{"echo $(({} + 1))"}, nil, nil, command.ErrTemplate, "$((...))"},
		{"bash's arithmetic", []string{"echo $[{} + 1]"}, nil, nil, command.ErrTemplate, "$[...]"},
		{"bash's arithmetic command", []string{"(( {} ))"}, nil, nil, command.ErrTemplate, "((...))"},
		{"bash's quotes", []string{`echo $'\'' {}`}, nil, nil, command.ErrTemplate, "$'...'"},
		{"comment", []string{"echo # {}"}, nil, nil, command.ErrTemplate, "a comment"},
		{"appended to a comment", []string{"echo # so"}, nil, nil, command.ErrTemplate, "a comment"},
		{"parameter", []string{"echo ${x#{}}"}, nil, nil, command.ErrTemplate, "${...}"},
		{"case in a substitution", []string{`echo "$(case x in x) echo '{}';; esac)"`}, nil, nil, command.ErrTemplate, "case"},
		{"continued word", []string{"ec\\\nho {}"}, nil, nil, command.ErrTemplate, "continued"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := expandOne(tc.words, false, tc.columns, command.Values{}, tc.args...)
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.says) || !strings.HasPrefix(fmt.Sprint(err), "command: ") {
				t.Errorf("got %v, want %v that says %q", err, tc.want, tc.says)
			}
		})
	}
}

func TestParseCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		words []string
		shell bool
		want  []string // nil: refused
	}{
		{"words", []string{"gzip", "-t"}, false, []string{"gzip", "-t", "{out}"}},
		{"it names the output", []string{"cmp", "{out}", "{}"}, false, []string{"cmp", "{out}", "{}"}},
		{"it names the input alone", []string{"newer", "{}"}, false, []string{"newer", "{}", "{out}"}},
		{"the second output", []string{"gzip -t {out2}"}, true, []string{"gzip -t {out2}"}},
		{"one string", []string{"gzip -t"}, true, []string{"gzip -t {out}"}},
		{"one string that a shell need not read", []string{"whole"}, false, []string{"whole", "{out}"}},
		{"a comment at the end", []string{"gzip -t # sound?"}, true, nil},
		{"an open quote", []string{"grep 'x"}, true, nil},
		{"no words", nil, false, nil},
		{"no program", []string{" "}, true, nil},
		{"a NUL byte", []string{"gzip", "\x00"}, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := command.ParseCheck(tc.words, tc.shell, nil)
			if tc.want == nil {
				if !errors.Is(err, command.ErrTemplate) {
					t.Errorf("got %q and %v, want ErrTemplate", got.Words, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Words); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		words []string
		want  command.Needs
	}{
		{[]string{"f"}, command.Needs{}},
		{[]string{"f", "{3.}", "{-4}", "{2}", "{y}"}, command.Needs{Args: 4}},
		{[]string{"f", "{out}", "{out12/}"}, command.Needs{Outputs: 12}},
		{[]string{"f '{scratch}' {y}"}, command.Needs{Args: 2, Scratch: true}},
	} {
		template, err := command.ParseTemplate(tc.words, false, []string{"x", "y"})
		if err != nil {
			t.Fatal(err)
		}
		if got := template.Needs(); got != tc.want {
			t.Errorf("%q: got %+v, want %+v", tc.words, got, tc.want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"out/{1/.}.nii", "out/b c.nii"},
		{"{} {2}", "a/b c.x d d"},
		{"plain", "plain"},
		{"", ""},
		{"$x {x} '{#}'", "$x a/b c.x '7'"},
	} {
		template, err := command.ParseText(tc.text, []string{"x"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := template.Text(command.Input{Seq: 7, Args: []string{"a/b c.x", "d"}}, command.Values{})
		if err != nil || got != tc.want {
			t.Errorf("%q: got %q, %v, want %q", tc.text, got, err, tc.want)
		}
	}
}

func TestTemplateString(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		words []string
		want  string
	}{
		{[]string{"f", "{}", "a b"}, "f '{}' 'a b'"},
		{[]string{"f; g {}"}, "f; g {}"},
		{nil, "{}"},
	} {
		template, err := command.ParseTemplate(tc.words, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := template.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// shells are the shells that a /bin/sh may be.
func shells(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no /bin/sh here")
	}
	found := []string{"/bin/sh"}
	if bash, err := exec.LookPath("bash"); err == nil {
		found = append(found, bash)
	}
	return found
}

// nasty are pieces of inputs that a shell could misread.
var nasty = []string{"", "a", " ", "  ", "'", "''", "\"", "\\", "$", "$x", "$(echo PWN''ED)", "`echo PWN''ED`", ";echo PWN''ED;", "\necho PWN''ED\n", "'; echo PWN''ED; '", "\"; echo PWN''ED; \"",
	"#", "~", "*", "?", "[a-z]", "{a,b}", "{}", "!", "-n", "--", "=", "\t", "\r", "&", "|", "<", ">", "(", ")", "\xff", "\x01", "ü", "2", "if", "|| echo PWN''ED #", ")", "))", "}"}

func nastyWord(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(5) {
		if rng.IntN(4) == 0 {
			b.WriteByte(byte(1 + rng.IntN(255)))
		} else {
			b.WriteString(nasty[rng.IntN(len(nasty))])
		}
	}
	return b.String()
}

// TestQuoteRoundTrip: a shell gives back what was quoted, whatever it is.
func TestQuoteRoundTrip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	words := slices.Clone(nasty)
	for c := 1; c < 256; c++ {
		words = append(words, string([]byte{byte(c)}), string([]byte{'a', byte(c), 'b'}))
	}
	for range 2000 {
		words = append(words, nastyWord(rng))
	}
	for _, shell := range shells(t) {
		for part := range slices.Chunk(words, 500) {
			quoted := make([]string, len(part))
			for i, w := range part {
				quoted[i] = command.Quote(w)
			}
			got, err := exec.Command(shell, "-c", `printf '%s\0' `+strings.Join(quoted, " ")).Output()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(part, strings.Split(strings.TrimSuffix(string(got), "\x00"), "\x00")); diff != "" {
				t.Errorf("%s: %s", shell, diff)
			}
		}
	}
}

// TestQuoteAnywhere: a quoted word is no part of the shell's language, also where
// a command begins.
func TestQuoteAnywhere(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"if", "then", "[[", "{", "}", "!", "A=b", "case", "function", "in", "#", "2>x", "~"} {
		for _, shell := range shells(t) {
			out, err := exec.Command(shell, "-c", command.Quote(word)+" x").CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 127 {
				t.Errorf("%s: %q: got %v, %s, want a command that is not found", shell, word, err, out)
			}
		}
	}
}

// TestShellPlaces: placeholders in all places give the program the input itself.
func TestShellPlaces(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{ // X is the input
		{`p {}`, "X|"},
		{`p a{}b "{}" '{}'`, "aXb|X|X|"},
		{`p "a b{}c"'{}'{}`, "a bXcXX|"},
		{`x=1; p $x{} "$x{}" "${x}{}" $x'{}'`, "1X|1X|1X|1X|"},
		{`p "$(printf '%s.' {})" "$(printf '%s.' "{}")" "$(printf '%s.' '{}')"`, "X.|X.|X.|"},
		{`(p {}; (p "{}")) | cat; p '{}'`, "X|X|X|"},
		{"p a # don't\np {} 'b' # \"\np \"{}\"", "a|X|b|X|"},
		{"p a \\\n  {} \\\n  '{}'", "a|X|X|"},
		{`p \"{}\' \\{} "\\{}" "\"{}"`, `"X'|\X|\X|"X|`},
		{`p a#'{}' $# $$# >/dev/null; p {}`, "X|"},
		{`for i in 1 2; do p {}; done`, "X|X|"},
		{`case {} in "{}") p yes;; *) p no;; esac; p '{}'`, "yes|X|"},
		{`y={}; p "$y"; z="{}" ; p "$z"`, "X|X|"},
		{`if test {} = '{}'; then p "{}"; fi`, "X|"},
		{`p "$(p "$(printf %s. "{}")" '{}')"`, "X.|X||"},
		{`f() { p "$@" {}; }; f '{}'`, "X|X|"},
		{`p "it's" {} 'say "' "{}"`, `it's|X|say "|X|`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			template, err := command.ParseTemplate([]string{tc.text}, true, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, shell := range shells(t) {
				for _, word := range nasty {
					check(t, shell, template, word, tc.want)
				}
			}
		})
	}
}

func check(t *testing.T, shell string, template command.Template, word, want string) {
	t.Helper()
	argv, err := template.Expand(command.Input{Seq: 1, Args: []string{word}}, command.Values{Slot: 1})
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command(shell, "-c", `p() { printf '%s|' "$@"; }; `+"\n"+argv[2]).CombinedOutput()
	if want := strings.ReplaceAll(want, "X", word); err != nil || string(got) != want {
		t.Errorf("%s: %q for %q: got %q, %v, want %q", shell, argv[2], word, got, err, want)
	}
}

// script makes up commands of a shell that are mostly right, with placeholders and
// lone quotes where they may be.
type script struct {
	*rand.Rand
	strings.Builder
}

// one writes one of the pieces.
func (s *script) one(pieces ...string) { s.WriteString(pieces[s.IntN(len(pieces))]) }

func (s *script) commands(depth int) {
	for range 1 + s.IntN(3) {
		switch n := s.IntN(12); {
		case depth > 3 || n < 5:
			s.WriteString("echo ")
			s.word(depth + 1)
			s.one("", " {}", " >/dev/null", " 2>&1", " <<<'x'")
		case n == 5:
			s.WriteString("(")
			s.commands(depth + 1)
			s.WriteString(")")
		case n == 6:
			s.one("case x in x) ", "case x in (x) ", "case {} in *) ")
			s.commands(depth + 1)
			s.WriteString(";; esac")
		case n == 7:
			s.one("cat <<E", "cat <<'E'", "cat <\\\n<E", "cat <<-E")
			s.one("\n", "\ndon't\n", "\n'\n", "\n\"\n")
			s.WriteString("E")
		case n == 8:
			s.one("# don't", "# {}", "true # \"", "true #'{}'", "echo x#'", "echo $(:)#'", "echo \\\n# don't", "(:)# don't")
			s.WriteString("\n")
		case n == 9:
			s.one("(( 1 + {} ))", "(( {} ))", "[[ {} == x ]]", "x={}", "y=\"{}\"", "for i in {}; do echo \"$i\"; done", "if true; then echo {}; fi")
		default:
			s.one("true", ":", "echo {}", "{ echo {}; }")
		}
		s.one("\n", ";", " && ", " | cat\n", " ; ")
	}
	s.WriteString(":")
}

func (s *script) word(depth int) {
	for range 1 + s.IntN(3) {
		switch s.IntN(12) {
		case 0:
			s.WriteString("'")
			s.one("{}", "{}", "\"", "$(", "`", "#", "\\", "x {} y", "")
			s.WriteString("'")
		case 1, 2:
			s.WriteString("\"")
			for range s.IntN(4) {
				s.one("{}", "{}", "'", "#", "\\\"", "\\\\", "\\$", "$x", "${x}", "${x:-'}", "${x#\"'\"}", " ", "\\{}", "$")
				s.substitution(depth)
			}
			s.WriteString("\"")
		case 3, 4:
			s.substitution(depth)
		case 5:
			s.one("\\'", "\\\"", "\\#", "\\\\", "\\$", "\\ ")
		case 6:
			s.one("$'x\\'y'", "$'\\'' '{}' $'\\''", "$\"x\"", "${x:-{}}", "${x:-'{}'}", "${x:-\"'\"}", "$((1 + 1))", "$(( {} ))", "$[ {} ]", "$x", "$$", "$#", "~", "$", "$\\\n(:)")
		case 7:
			s.one(" ", " #", "x#", "[", "=", "2>&1 ", "a\\\n")
		default:
			s.one("{}", "{1}", "x{}", "{}{}")
		}
	}
}

func (s *script) substitution(depth int) {
	if depth > 3 || s.IntN(3) > 0 {
		return
	}
	if s.IntN(4) == 0 {
		s.one("`echo {}`", "`echo '{}'`", "`echo \\'`", "`echo \"{}\"`")
		return
	}
	s.WriteString("$(")
	s.commands(depth + 1)
	s.one("", "\n")
	s.WriteString(")")
}

// TestNoInjection makes up scripts. Whatever ParseTemplate takes, no input may be
// run.
func TestNoInjection(t *testing.T) {
	t.Parallel()
	attacks := []string{"'; echo PWN\\ED; '", "\"; echo PWN\\ED; \"", "; echo PWN\\ED;", "\necho PWN\\ED\n", "$(echo PWN\\ED >&2)", "`echo PWN\\ED >&2`", "')\necho PWN\\ED #", "\")\necho PWN\\ED #",
		"\nE\necho PWN\\ED\n", "\\'; echo PWN\\ED; #", "a[$(echo PWN\\ED >&2)]", "}; echo PWN\\ED; {", ";; esac; echo PWN\\ED", "'\"; echo PWN\\ED; \"'", "x'\necho PWN\\ED\n'", "x\"\necho PWN\\ED\n\""}
	rng := rand.New(rand.NewPCG(3, 1))
	found := shells(t)
	taken := 0
	for range 2000 {
		s := script{Rand: rng}
		s.commands(0)
		template, err := command.ParseTemplate([]string{s.String()}, true, nil)
		if err != nil {
			continue
		}
		for range 2 {
			taken++
			attack := attacks[rng.IntN(len(attacks))]
			argv, err := template.Expand(command.Input{Seq: 1, Args: []string{attack}}, command.Values{Slot: 1})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(found[taken%len(found)], argv[1:]...)
			cmd.Dir = t.TempDir() // for redirections
			if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "PWNED") {
				t.Errorf("%q ran the input %q: %q", s.String(), attack, argv[2])
			}
		}
	}
	if taken < 300 {
		t.Errorf("%d scripts were taken, too few", taken)
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := unquote(t, command.Quote(s)); got != s {
			t.Errorf("%q: %q is read back as %q", s, command.Quote(s), got)
		}
	})
}

// unquote reads one word of a POSIX shell that has no expansions.
func unquote(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 || c == '"' && strings.ContainsAny(s[i+1:i+1+end], "$`\\") {
				t.Fatalf("%q: bad quotes", s)
			}
			b.WriteString(s[i+1 : i+1+end])
			i += end + 1
		default:
			if c >= 0x80 || strings.IndexByte("\t\n !#$%&()*,:;<=>?@[\\]^`{|}~", c) >= 0 || c < ' ' {
				t.Fatalf("%q: %q is not quoted", s, c)
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{}", "f {1.} {x/} '{out}' \"{scratch}\"", "{\\}", "a\\\n{}", "$x{}", "${x}{-1}", "$(({#}))", "# {}", "{{}}", "{...}"} {
		f.Add(s, "a b/c.d", true)
		f.Add(s, "'", false)
	}
	f.Fuzz(func(t *testing.T, text, arg string, shell bool) {
		template, err := command.ParseTemplate([]string{text, text}, shell, []string{"x", "", "out"})
		if err != nil {
			if !errors.Is(err, command.ErrTemplate) {
				t.Fatal(err)
			}
			return
		}
		in := command.Input{Seq: 1, Args: []string{arg, "b"}}
		v := command.Values{Slot: 1, Outputs: make([]string, template.Needs().Outputs%1000), Scratch: "s"}
		argv, err := template.Expand(in, v)
		if err != nil {
			if !errors.Is(err, command.ErrInput) && !errors.Is(err, command.ErrTemplate) {
				t.Fatal(err)
			}
			return
		}
		if again, err := template.Expand(in, v); err != nil || !slices.Equal(argv, again) {
			t.Fatalf("%q then %q, %v", argv, again, err)
		}
		if shell && (len(argv) != 3 || argv[0] != "/bin/sh") {
			t.Fatalf("%q", argv)
		}
	})
}

func BenchmarkExpand(b *testing.B) {
	for _, tc := range []struct {
		name  string
		words []string
	}{
		{"words", []string{"3dBlurToFWHM", "-input", "{}.nii.gz", "-FWHM", "6", "-prefix", "out/{/}"}},
		{"shell", []string{"3dBlurToFWHM -input {}.nii.gz -FWHM 6 -prefix \"out/{/}\" 2>&1"}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			template, err := command.ParseTemplate(tc.words, false, nil)
			if err != nil {
				b.Fatal(err)
			}
			in := command.Input{Seq: 1, Args: []string{"sub-0001/func/sub-0001_bold"}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := template.Expand(in, command.Values{Slot: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// An input that is appended to a shell's text must not become what is run.
func TestAppendedIsNoCommand(t *testing.T) {
	t.Parallel()
	for text, refused := range map[string]bool{
		"> {out}":                       true,
		">{out}":                        true,
		"2>{out}":                       true,
		"> {out} 2>&1":                  true,
		"> '{out}'":                     true,
		"cat x > {out};":                true,
		"cat x &":                       true,
		"cat x &&":                      true,
		"cat x |":                       true,
		"cat x\n":                       true,
		"A=1":                           true,
		"A=1 B='c d'":                   true,
		"A=$(date +%s)":                 true,
		"if true; then":                 true,
		"while read x; do":              true,
		"{ ":                            true,
		"! ":                            true,
		"cat x; > {out}":                true,
		"cat > {out}":                   false,
		"> {out} cat":                   false,
		"A=1 cat > {out}":               false,
		"sort -k2 | uniq > {out}":       false,
		"2> log cat":                    false,
		"cat 2":                         false,
		"cat <":                         false,
		"cat x; wc -l":                  false,
		"cat 'x;'":                      false,
		"cat \"x;\"":                    false,
		"cat x\\;":                      false,
		"cat $(echo a; echo b)":         false,
		"cat ${x}":                      false,
		"if true; then cat":             false,
		"sh -c 'cat \"$1\" > {out}' sh": false,
		"f() { cat; }; f":               false,
		"'my program' -x > {out}":       false,
		"$PROGRAM > {out}":              false,
		"echo a#b;":                     true,
	} {
		got, err := command.ParseTemplate([]string{text}, false, nil)
		if (err != nil) != refused || err != nil && (!errors.Is(err, command.ErrTemplate) || !strings.Contains(err.Error(), "the shell would run the input itself")) {
			t.Errorf("%q: %+v, %v; refused should be %v", text, got, err, refused)
		}
	}
	if got, err := command.ParseTemplate([]string{"A=1 > {out} {}"}, false, nil); err != nil {
		t.Errorf("with a placeholder: %+v, %v", got, err)
	}
}
