package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/command"
	"github.com/parade-go/parade/internal/cores"
)

func TestSplitArgs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args    string
		cmd     []string
		sources []argSource
	}{
		"no source":  {"echo -n {}", []string{"echo", "-n", "{}"}, nil},
		"no command": {"::: a b", nil, []argSource{{":::", []string{"a", "b"}}}},
		"several": {"echo ::: a :::+ b :::: f ::::+ - g", []string{"echo"}, []argSource{
			{":::", []string{"a"}}, {":::+", []string{"b"}}, {"::::", []string{"f"}}, {"::::+", []string{"-", "g"}},
		}},
		"empty source":         {"echo :::", []string{"echo"}, []argSource{{separator: ":::"}}},
		"more colons are text": {"echo ::::: ::: a::: :::x", []string{"echo", ":::::"}, []argSource{{":::", []string{"a:::", ":::x"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, sources := splitArgs(strings.Fields(tc.args))
			if diff := cmp.Diff(tc.cmd, cmd); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tc.sources, sources, cmp.AllowUnexported(argSource{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRunValues(t *testing.T) {
	t.Parallel()
	all := cores.Granted()
	const bad = -1
	jobs := func(text string) int64 {
		var v jobsValue
		if v.Set(text) != nil {
			return bad
		}
		return int64(v.n)
	}
	seconds := func(text string) int64 {
		var v secondsValue
		if v.Set(text) != nil {
			return bad
		}
		return int64(v.d / time.Millisecond)
	}
	bytes := func(text string) int64 {
		var v bytesValue
		if v.Set(text) != nil {
			return bad
		}
		return v.n
	}
	load := func(text string) int64 {
		var v loadValue
		if v.Set(text) != nil {
			return bad
		}
		return int64(1000 * v.n)
	}
	for _, tc := range []struct {
		name string
		of   func(string) int64
		text string
		want int64
	}{
		{"jobs", jobs, "4", 4},
		{"jobs", jobs, "0", 0},
		{"jobs", jobs, "100%", int64(all)},
		{"jobs", jobs, "200%", int64(2 * all)},
		{"jobs", jobs, "1%", 1},
		{"jobs", jobs, "+2", int64(all + 2)},
		{"jobs", jobs, "-1000", 1},
		{"jobs", jobs, "1.5", bad},
		{"jobs", jobs, "+5%", bad},
		{"jobs", jobs, "", bad},
		{"jobs", jobs, "NaN", bad},
		{"jobs", jobs, "1e99", bad},
		{"time", seconds, "10", 10_000},
		{"time", seconds, "1.5", 1_500},
		{"time", seconds, ".5", 500},
		{"time", seconds, "90s", 90_000},
		{"time", seconds, "1h30m", 5_400_000},
		{"time", seconds, "2d", 172_800_000},
		{"time", seconds, "200ms", 200},
		{"time", seconds, "0", 0},
		{"time", seconds, "-1", bad},
		{"time", seconds, "NaN", bad},
		{"time", seconds, "NaNd", bad},
		{"time", seconds, "1e300", bad},
		{"time", seconds, "-1d", bad},
		{"time", seconds, "200%", bad},
		{"time", seconds, "", bad},
		{"size", bytes, "1000", 1000},
		{"size", bytes, "1k", 1000},
		{"size", bytes, "1K", 1024},
		{"size", bytes, "1KiB", 1024},
		{"size", bytes, "1.5G", 3 << 29},
		{"size", bytes, "2MB", 2 << 20},
		{"size", bytes, "1t", 1e12},
		{"size", bytes, "0", 0},
		{"size", bytes, "-1", bad},
		{"size", bytes, "G", bad},
		{"size", bytes, "", bad},
		{"size", bytes, "1e30", bad},
		{"size", bytes, "NaN", bad},
		{"load", load, "4", 4000},
		{"load", load, "0.5", 500},
		{"load", load, "50%", int64(500 * all)},
		{"load", load, "0", bad},
		{"load", load, "NaN", bad},
	} {
		t.Run(tc.name+" "+tc.text, func(t *testing.T) {
			t.Parallel()
			if got := tc.of(tc.text); got != tc.want {
				t.Errorf("%q is %d, want %d", tc.text, got, tc.want)
			}
		})
	}
}

// Different arguments have different folders, all of them directly in the one above.
func TestPathName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200)
	seen := map[string]string{}
	for _, arg := range []string{
		"", ".", "..", "...", `\`, `\\`, `\.`, `\..`, "a/b", `a\_b`, "a_b", "/", "//", `\_`, "\t", `\t`, "a b", "-x", "\xff",
		long, long + "x", long + "y", strings.Repeat("/", 128), strings.Repeat("/", 129),
	} {
		name := pathName(arg)
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q both are %q", arg, other, name)
		}
		seen[name] = arg
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || len(name) > longestName {
			t.Errorf("%q is %q", arg, name)
		}
	}
	for arg, want := range map[string]string{"a/b": `a\_b`, `e\f`: `e\\f`, "t\tb": `t\tb`, "c d": "c d"} {
		if got := pathName(arg); got != want {
			t.Errorf("%q is %q, want %q as of GNU parallel", arg, got, want)
		}
	}
}

// What is shown on a terminal is one line, and no escape sequence.
func TestShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "plain", "a\nb": "a?b", "\x1b[2J": "?[2J", "\xff": "?", "ü": "ü", "0123456789": "0123456…", "\u009b2J": "?2J",
	} {
		if got := shown(text, 8); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// The page for people who come from GNU parallel has each of its flags that it names
// once, and says of those that there are not what the program says.
func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/coming-from-gnu-parallel.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "## Flags of GNU parallel\n")
	text, _, _ = strings.Cut(text, "\n## ")
	text, _, ours := strings.Cut(text, "Only here: ")
	if !ours {
		t.Fatal("the page has no flags of our own")
	}
	flags := newRunCommand().Flags()
	documented := map[string]string{} // what is said of a flag
	cell := regexp.MustCompile(`^\| (.*?[^\\]) \| (.*) \|$`)
	flag := regexp.MustCompile("`(-[A-Za-z0]|--[a-z0-9-]+)[ =`{]")
	for line := range strings.Lines(text) {
		row := cell.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			continue
		}
		for _, m := range flag.FindAllStringSubmatch(row[1], -1) {
			documented[m[1]] = strings.ReplaceAll(strings.ReplaceAll(row[2], "`", ""), `\|`, "|")
			_, isNone := insteadOf(m[1])
			has := flags.Lookup(strings.TrimPrefix(m[1], "--")) != nil
			if name := m[1][1:]; len(name) == 1 {
				has = flags.ShorthandLookup(name) != nil
			}
			if has == isNone {
				t.Errorf("%s is documented as %q; there is such a flag: %v, one that is said to be none: %v", m[1], row[2], has, isNone)
			}
		}
	}
	for _, row := range instead {
		for i, name := range strings.Fields(row.flags) {
			said, there := documented[name]
			if there && !strings.Contains(said, row.text) || !there && i == 0 {
				t.Errorf("the page says %q of %s, the program %q", said, name, row.text)
			}
		}
	}
}

func TestHeldResults(t *testing.T) {
	t.Parallel()
	var h heldResults
	result := func(seq int) *command.Result { return &command.Result{Seq: seq} }
	take := func() (seqs []int) {
		for {
			res, ok := h.next()
			if !ok {
				return seqs
			}
			if res != nil {
				seqs = append(seqs, res.Seq)
			}
		}
	}
	h.put(2, result(30))
	h.put(1, result(20))
	if got := take(); got != nil {
		t.Errorf("before the first there is %d", got)
	}
	h.put(0, result(10))
	if diff := cmp.Diff([]int{10, 20, 30}, take()); diff != "" {
		t.Error(diff)
	}
	h.put(3, nil) // ended with the run
	h.put(6, result(70))
	h.put(5, result(60))
	if got := take(); got != nil {
		t.Errorf("with the fifth running there is %d", got)
	}
	var rest []int
	for _, res := range h.rest() {
		rest = append(rest, res.Seq)
	}
	if diff := cmp.Diff([]int{60, 70}, rest); diff != "" {
		t.Error(diff)
	}
}

// Where tasks run elsewhere, progress does not call them running that may wait there.
func TestProgressWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		state runState
		want  string
	}{
		{"here", runState{total: 3, done: 1, running: 2}, "1 of 3 done, 2 running"},
		{"on a cluster", runState{total: 3, done: 1, running: 2, away: true}, "1 of 3 done, 2 with the cluster"},
		{"attached", runState{total: 3, done: 1, attached: true}, "1 of 3 done"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(tc.state.parts(newTerminal(io.Discard)), ", "); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
