package command_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/command"
)

// collect gives the arguments of all inputs and the error that ended them.
func collect(s *command.Source) (all [][]string, err error) {
	for in, err := range s.Inputs() {
		if err != nil {
			return all, err
		}
		all = append(all, in.Args)
		if in.Seq != len(all) {
			return all, fmt.Errorf("input %d has number %d", len(all), in.Seq)
		}
	}
	return all, nil
}

// joined is collect with the arguments between bars.
func joined(t *testing.T, s *command.Source, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	all, err := collect(s)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(all))
	for i, args := range all {
		out[i] = strings.Join(args, "|")
	}
	return out
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func words(t *testing.T, list ...string) *command.Source {
	t.Helper()
	s, err := command.Words(list, command.Format{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stream(t *testing.T, text string) *command.Source {
	t.Helper()
	s, err := command.Read(strings.NewReader(text), "stream", command.Format{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRead has what GNU parallel does not say: see TestGNUParallel for the rest.
func TestRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70_000)
	for _, tc := range []struct {
		name    string
		text    string
		format  command.Format
		columns []string
		want    []string
	}{
		{"empty", "", command.Format{}, nil, []string{}},
		{"one line feed", "\n", command.Format{}, nil, []string{""}},
		{"Windows", "a\r\n\r\nb\rc\r\nd\r", command.Format{}, nil, []string{"a", "", "b\rc", "d\r"}},
		{"byte order mark", "\ufeffa\nb\n\ufeffc", command.Format{}, nil, []string{"a", "b", "\ufeffc"}},
		{"byte order mark and NUL", "\ufeffa\x00", command.Format{Null: true}, nil, []string{"\ufeffa"}},
		{"invalid UTF-8", "\xff\xfe\n\x80", command.Format{}, nil, []string{"\xff\xfe", "\x80"}},
		{"longer than a buffer", long + "\n" + long + "\r\nb", command.Format{}, nil, []string{long, long, "b"}},
		{"as long as allowed", "abcd\nabcd\r\nabcd", command.Format{MaxItem: 4}, nil, []string{"abcd", "abcd", "abcd"}},
		{"columns and header", "a;b\n1;2\n", command.Format{Colsep: ";", Header: true}, []string{"a", "b"}, []string{"1|2"}},
		{"header alone", "a\n", command.Format{Header: true}, []string{"a"}, []string{}},
		{"CSV", "a,\"b,1\"\n\n\"c \"\"q\"\"\",\"two\nlines\"\n' d ' , e\n\"\",\n", command.Format{CSV: true}, nil, []string{"a|b,1", "c \"q\"|two\nlines", "' d ' | e", "|"}},
		{"CSV of Windows", "\ufeffa,b\r\n\"1\",\"2\"\r\n", command.Format{CSV: true, Header: true}, []string{"a", "b"}, []string{"1|2"}},
		{"CSV, ragged", "a,b\nc\n", command.Format{CSV: true}, nil, []string{"a|b", "c"}},
		{"CSV of semicolons", "a;\"b;c\"\n", command.Format{CSV: true, Colsep: ";"}, nil, []string{"a|b;c"}},
		{"CSV of tabs", "a\t\"b\tc\"\n", command.Format{CSV: true, Colsep: `\t`}, nil, []string{"a|b\tc"}},
		{"CSV without empty rows", "a,b\n,\n \nc,d\n", command.Format{CSV: true, SkipEmpty: true}, nil, []string{"a|b", "c|d"}},
		{"columns, empty lines left out", "a b\n\n \t\nc d", command.Format{Colsep: " ", Header: true, SkipEmpty: true}, []string{"a", "b"}, []string{"c|d"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := command.Read(iotest.HalfReader(strings.NewReader(tc.text)), "stream", tc.format)
			if diff := cmp.Diff(tc.want, joined(t, s, err)); diff != "" {
				t.Errorf("stream: %s", diff)
			}
			if diff := cmp.Diff(tc.columns, s.Columns()); diff != "" {
				t.Errorf("columns: %s", diff)
			}
			s, err = command.Open(write(t, tc.text), tc.format)
			for range 2 {
				if diff := cmp.Diff(tc.want, joined(t, s, err)); diff != "" {
					t.Errorf("file: %s", diff)
				}
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	for _, tc := range []struct {
		name   string
		text   string
		format command.Format
		good   int // items before the error; -1 is refused before the first
		line   int
		says   string
	}{
		{"NUL", "a\nb\x00c\nd", command.Format{}, 1, 2, "-0"},
		{"UTF-16", "\xff\xfea\x00\n\x00", command.Format{}, 0, 1, "UTF-16"},
		{"NUL in CSV", "a,b\nc,\"d\x00\"", command.Format{CSV: true}, 1, 2, "NUL"},
		{"long line", "a\nabcde\nf", command.Format{MaxItem: 4}, 1, 2, "longer than 4 bytes"},
		{"very long line", "a\n" + strings.Repeat("x", 300_000), command.Format{MaxItem: 100_000}, 1, 2, "longer than 100000 bytes"},
		{"long line without end", "a\nabcde", command.Format{MaxItem: 4}, 1, 2, "longer than"},
		{"long line before NUL", "a\x00abcde\x00", command.Format{MaxItem: 4, Null: true}, 1, 2, "longer than"},
		{"long header", "abcde\n", command.Format{MaxItem: 4, Header: true}, -1, 1, "longer than"},
		{"CSV that does not end", "a\n\"" + strings.Repeat("x\n", 30_000), command.Format{CSV: true, MaxItem: 10_000}, 1, 2, "longer than"},
		{"CSV with a long line", "a\nb,c\n" + strings.Repeat("x", 30_000), command.Format{CSV: true, MaxItem: 10_000}, 2, 3, "longer than"},
		{"CSV, open quote", "a,b\n\"c,\nd\n", command.Format{CSV: true}, 1, 2, `extraneous or missing " in quoted-field`},
		{"CSV, bare quote", "a,b\nc d\"e,f\n", command.Format{CSV: true}, 1, 2, `bare "`},
		{"fewer columns than the header", "a,b\n1,2\n3\n", command.Format{CSV: true, Header: true}, 1, 3, "it has 1 columns, the header has 2"},
		{"more columns than the header", "a,b\n1,2\n\"3\n\",4\n5,6,7\n", command.Format{CSV: true, Header: true}, 2, 5, "it has 3 columns, the header has 2"},
		{"a German CSV", "a;b\n1,5;2\n", command.Format{CSV: true, Header: true}, 0, 2, "it has 2 columns, the header has 1; its columns seem to be divided by ;, which -C ';' says"},
		{"a German CSV with quotes", "a;b\n1;\"2\"\n", command.Format{CSV: true, Header: true}, 0, 2, "byte 3: bare \" in non-quoted-field; its columns seem to be divided by ;"},
		{"tabs as CSV", "a\tb\n1\t\"2\"\n", command.Format{CSV: true, Header: true}, 0, 2, "-C '\\t' says"},
		{"an empty line under a header", "a;b\n1;2\n\n", command.Format{Colsep: ";", Header: true}, 1, 3, "it has 1 columns"},
		{"no header", "", command.Format{Header: true}, -1, 0, "it is empty"},
		{"no header in CSV", "\n\n", command.Format{Header: true, CSV: true}, -1, 0, "it is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, tc.text)
			for name, open := range map[string]func() (*command.Source, error){
				path: func() (*command.Source, error) { return command.Open(path, tc.format) },
				"st": func() (*command.Source, error) { return command.Read(strings.NewReader(tc.text), "st", tc.format) },
			} {
				s, err := open()
				if tc.good < 0 != (err != nil) {
					t.Fatalf("got %v before the first item", err)
				}
				if err == nil {
					var all [][]string
					if all, err = collect(s); len(all) != tc.good {
						t.Errorf("got %q, want %d items", all, tc.good)
					}
				}
				var input *command.InputError
				if !errors.As(err, &input) || !errors.Is(err, command.ErrInput) || input.Source != name || input.Line != tc.line || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("got %v, want line %d and %q", err, tc.line, tc.says)
				}
			}
		})
	}
	t.Run("a reader's error", func(t *testing.T) {
		t.Parallel()
		for _, f := range []command.Format{{}, {CSV: true}} {
			s, err := command.Read(io.MultiReader(strings.NewReader("a\nhalf"), iotest.ErrReader(broken)), "st", f)
			if err != nil {
				t.Fatal(err)
			}
			all, err := collect(s)
			var input *command.InputError
			if len(all) != 1 || !errors.Is(err, broken) || !errors.As(err, &input) || input.Line != 2 {
				t.Errorf("got %q, %v: half an item must not be one", all, err)
			}
		}
	})
	t.Run("a stream twice", func(t *testing.T) {
		t.Parallel()
		s := stream(t, "a\n")
		joined(t, s, nil)
		if all, err := collect(s); len(all) > 0 || !errors.Is(err, command.ErrInput) {
			t.Errorf("got %q, %v", all, err)
		}
	})
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		if _, err := command.Open(filepath.Join(t.TempDir(), "none"), command.Format{}); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "none") != 1 {
			t.Errorf("missing: %v", err)
		}
		if _, err := command.Open(t.TempDir(), command.Format{}); !errors.Is(err, command.ErrInput) {
			t.Errorf("folder: %v", err)
		}
		path := write(t, "a\nb\n")
		s, err := command.Open(path, command.Format{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("a\nb\nc\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := collect(s); len(all) > 0 || !errors.Is(err, command.ErrInput) || !strings.Contains(err.Error(), "changed") {
			t.Errorf("changed: %q, %v", all, err)
		}
	})
}

func TestFormatErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		format command.Format
		says   string
	}{
		{"no regular expression", command.Format{Colsep: "("}, "no regular expression"},
		{"matches nothing", command.Format{Colsep: "|"}, `write "\\|"`},
		{"CSV of two characters", command.Format{CSV: true, Colsep: "::"}, "one character"},
		{"CSV of quotes", command.Format{CSV: true, Colsep: `"`}, "one character"},
		{"CSV of NUL bytes", command.Format{CSV: true, Colsep: "\x00"}, "one character"},
		{"CSV of NUL", command.Format{CSV: true, Null: true}, "both"},
	} {
		if _, err := command.Words(nil, tc.format); !errors.Is(err, command.ErrInput) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.says)
		}
	}
	for _, tc := range []struct {
		name   string
		words  []string
		format command.Format
		says   string
	}{
		{"no header", nil, command.Format{Header: true}, "no first word"},
		{"columns unlike the header", []string{"a,b", "1"}, command.Format{Header: true, Colsep: ","}, "line 2: bad input: it has 1 columns"},
		{"bad CSV", []string{`a"b`}, command.Format{CSV: true}, `line 1: bad input: bare "`},
		{"two lines of CSV", []string{"a\nb"}, command.Format{CSV: true}, "more than one line"},
		{"NUL", []string{"a\x00"}, command.Format{}, "NUL"},
	} {
		s, err := command.Words(tc.words, tc.format)
		if err == nil {
			_, err = collect(s)
		}
		if !errors.Is(err, command.ErrInput) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.says)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	s, err := command.Words([]string{"x,y", `"a,1",b`, "", "c,d"}, command.Format{CSV: true, Header: true, SkipEmpty: true})
	if diff := cmp.Diff([]string{"a,1|b", "c|d"}, joined(t, s, err)); diff != "" {
		t.Error(diff)
	}
}

func TestCombinations(t *testing.T) {
	t.Parallel()
	file := func(text string) *command.Source {
		s, err := command.Open(write(t, text), command.Format{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tc := range []struct {
		name string
		s    *command.Source
		want []string
	}{
		{"no source", command.Product(), []string{}},
		{"no linked source", command.Link(), []string{}},
		{"an empty source", command.Product(words(t, "a"), words(t)), []string{}},
		{"a stream first", command.Product(stream(t, "a\nb\n"), words(t, "1", "2")), []string{"a|1", "a|2", "b|1", "b|2"}},
		{"a stream last", command.Product(words(t, "1", "2"), stream(t, "a\nb\n")), []string{"1|a", "1|b", "2|a", "2|b"}},
		{"a file last", command.Product(stream(t, "1\n2"), file("a\nb\n")), []string{"1|a", "1|b", "2|a", "2|b"}},
		{"linked with a stream, last", command.Product(words(t, "1", "2"), command.Link(stream(t, "a\nb\n"), words(t, "x", "y"))), []string{"1|a|x", "1|b|y", "2|a|x", "2|b|y"}},
		{"product in a product", command.Product(words(t, "1", "2"), command.Product(words(t, "a"), stream(t, "x\ny"))), []string{"1|a|x", "1|a|y", "2|a|x", "2|a|y"}},
		{"packed product", command.Product(words(t, "1", "2", "3"), words(t, "a")).Pack(2), []string{"1|a|2|a", "3|a"}},
		{"product of packs", command.Product(words(t, "x"), words(t, "1", "2", "3").Pack(2)), []string{"x|1|2", "x|3"}},
		{"no arguments", command.Product(words(t, "1", "2"), words(t, "a")).Pack(0), []string{"", ""}},
		{"packs of one", words(t, "a", "b").Pack(1), []string{"a", "b"}},
	} {
		if diff := cmp.Diff(tc.want, joined(t, tc.s, nil)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// TestCombinationsShareNothing: what one input's receiver appends or changes is
// not seen in another.
func TestCombinationsShareNothing(t *testing.T) {
	t.Parallel()
	var held [][]string
	for in := range command.Product(words(t, "a", "b"), words(t, "1", "2"), words(t, "x", "y")).Inputs() {
		held = append(held, in.Args)
		_ = append(in.Args, "z")
	}
	if diff := cmp.Diff([]string{"b", "1", "y"}, held[5]); diff != "" {
		t.Error(diff)
	}
}

func TestLinkErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		s    *command.Source
		good int
		says string
	}{
		{"words", command.Link(words(t, "a", "b", "c", "d"), words(t, "1", "2")), 0, "source 1 (arguments) has 4, source 2 (arguments) has 2"},
		{"words, the other way", command.Link(words(t, "a"), words(t, "1", "2", "3")), 0, "source 1 (arguments) has 1, source 2 (arguments) has 3"},
		{"a stream is longer", command.Link(stream(t, "a\nb\nc\nd\n"), words(t, "1", "2")), 2, "has at least 3, source 2 (arguments) has 2"},
		{"a stream is shorter", command.Link(stream(t, "a\n"), words(t, "1", "2", "3")), 1, "has 1, source 2 (arguments) has 3"},
		{"three", command.Link(words(t, "a", "b"), words(t, "1"), words(t, "x", "y", "z")), 0, "has 2, source 2 (arguments) has 1, source 3 (arguments) has 3"},
		{"nothing", command.Link(words(t), words(t, "1", "2")), 0, "has 0, source 2 (arguments) has 2"},
	} {
		all, err := collect(tc.s)
		if len(all) != tc.good || !errors.Is(err, command.ErrInput) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: got %q, %v", tc.name, all, err)
		}
	}
	bad, err := command.Read(strings.NewReader("a\n\x00\n"), "bad", command.Format{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := collect(command.Product(words(t, "a"), bad).Pack(2)); !errors.Is(err, command.ErrInput) || !strings.Contains(err.Error(), "bad: line 2") {
		t.Errorf("got %v", err)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	named := func(list ...string) *command.Source {
		s, err := command.Words(list, command.Format{Header: true, Colsep: ","})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	divided, err := command.Words([]string{"a,b"}, command.Format{Colsep: ","})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		s    *command.Source
		want []string
	}{
		{"none", words(t, "a"), nil},
		{"product", command.Product(named("x,y"), named("z")), []string{"x", "y", "z"}},
		{"link", command.Link(named("x"), named("z")), []string{"x", "z"}},
		{"after one without", command.Product(words(t, "a"), named("z")), []string{"", "z"}},
		{"before one without", command.Product(named("z"), words(t, "a"), named("y")), []string{"z", "", "y"}},
		{"after an unknown number", command.Product(named("z"), divided, named("y")), []string{"z"}},
		{"shuffled and packed", named("x", "1", "2").Shuffle(1).Pack(2), []string{"x"}},
	} {
		if diff := cmp.Diff(tc.want, tc.s.Columns()); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b.x", "a.x", "A.x", ".h.x", "c d.x", "sub/z.x", "sub/.h.x", ".sub/y.x", "-r.x", "ü.x"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		patterns []string
		want     []string
	}{
		{[]string{"*.x"}, []string{"-r.x", "A.x", "a.x", "b.x", "c d.x", "ü.x"}},
		{[]string{"*/*.x"}, []string{"sub/z.x"}},
		{[]string{".*.x", "*/.*.x"}, []string{".h.x", "sub/.h.x"}},
		{[]string{".s*/*", "[ab].x"}, []string{".sub/y.x", "a.x", "b.x"}},
		{[]string{"b.x", "a.x", ".h.x"}, []string{"b.x", "a.x", ".h.x"}},
	} {
		patterns := make([]string, len(tc.patterns))
		for i, p := range tc.patterns {
			patterns[i] = dir + "/" + p
		}
		s, err := command.Glob(patterns...)
		got := joined(t, s, err)
		for i := range got {
			got[i] = strings.TrimPrefix(filepath.ToSlash(got[i]), filepath.ToSlash(dir)+"/")
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q: %s", tc.patterns, diff)
		}
	}
	if _, err := command.Glob(dir+"/*.x", dir+"/*.none"); !errors.Is(err, command.ErrInput) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "*.none") {
		t.Errorf("no match: %v", err)
	}
	if _, err := command.Glob("["); !errors.Is(err, command.ErrInput) {
		t.Errorf("bad pattern: %v", err)
	}
}

func TestShuffle(t *testing.T) {
	t.Parallel()
	list := make([]string, 100)
	for i := range list {
		list[i] = fmt.Sprint(i)
	}
	s := words(t, list...)
	first, again, other := joined(t, s.Shuffle(1), nil), joined(t, s.Shuffle(1), nil), joined(t, s.Shuffle(2), nil)
	if !slices.Equal(first, again) || slices.Equal(first, other) || slices.Equal(first, list) {
		t.Errorf("got %q, then %q, with another seed %q", first, again, other)
	}
	slices.SortFunc(first, func(a, b string) int { return slices.Index(list, a) - slices.Index(list, b) })
	if diff := cmp.Diff(list, first); diff != "" {
		t.Error(diff)
	}
}

// TestFilesAreClosed: leaving the loop early leaves no file open.
func TestFilesAreClosed(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("there is no /proc/self/fd here")
	}
	path := write(t, "a\nb\n")
	a, err := command.Open(path, command.Format{Header: true})
	if err != nil {
		t.Fatal(err)
	}
	open := func() (n int) {
		files, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if to, err := os.Readlink(f); err == nil && to == path {
				n++
			}
		}
		return n
	}
	for _, err := range command.Product(a, command.Link(a, a)).Inputs() {
		if err != nil {
			t.Fatal(err)
		}
		if open() != 3 {
			t.Errorf("%d open files meanwhile, want 3", open())
		}
		break
	}
	if open() != 0 {
		t.Errorf("%d open files at the end", open())
	}
}

// repeated is a stream of the same lines again and again, that nothing holds.
type repeated struct {
	text string
	left int // bytes
	at   int
}

func repeat(text string, times int) *repeated { return &repeated{text: text, left: times * len(text)} }

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.left)], r.text[r.at:])
	r.left -= n
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// TestMillionLines expands a million lines, alone and with other sources, and
// looks at what is held meanwhile. It is not parallel: others would use memory.
func TestMillionLines(t *testing.T) {
	count := 1_000_000
	if testing.Short() {
		count = 100_000
	}
	template, err := command.ParseTemplate([]string{"smooth", "-in", "{1}", "-out", "{1/.}", "{#}"}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		format command.Format
		of     func(s *command.Source) *command.Source
		lines  int
	}{
		{"lines", command.Format{}, func(s *command.Source) *command.Source { return s }, count},
		{"CSV", command.Format{CSV: true}, func(s *command.Source) *command.Source { return s }, count / 10},
		{"product, linked, packed", command.Format{Colsep: " "}, func(s *command.Source) *command.Source {
			return command.Product(s, words(t, "1", "2")).Pack(2)
		}, count / 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := command.Read(repeat("sub-01/func/bold run.nii.gz\nsub-02/func/rest run.nii.gz\n", tc.lines/2), "stream", tc.format)
			if err != nil {
				t.Fatal(err)
			}
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			n, most := 0, uint64(0)
			for in, err := range tc.of(s).Inputs() {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := template.Expand(in, command.Values{Slot: 1}); err != nil {
					t.Fatal(err)
				}
				if n++; n%(tc.lines/8) == 0 {
					runtime.GC()
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapAlloc)
				}
			}
			if n != tc.lines {
				t.Errorf("%d inputs, want %d", n, tc.lines)
			}
			if most > before.HeapAlloc+(1<<20) {
				t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, most)
			}
		})
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\n\nb\r\n c"), ",", byte(0))
	f.Add([]byte("a,b\n\"c\n\",d\n"), "", byte(2))
	f.Add([]byte("\ufeffx;y\n1;2"), ";", byte(4))
	f.Add([]byte("a\x00b\n\x00"), `\s+`, byte(1))
	f.Fuzz(func(t *testing.T, data []byte, colsep string, bits byte) {
		format := command.Format{Null: bits&1 != 0, CSV: bits&2 != 0, Header: bits&4 != 0, SkipEmpty: bits&8 != 0, Colsep: colsep, MaxItem: 1000}
		read := func(r io.Reader) ([][]string, string) {
			s, err := command.Read(r, "fuzz", format)
			if err == nil {
				var all [][]string
				if all, err = collect(s); err == nil {
					return all, ""
				}
			}
			if !errors.Is(err, command.ErrInput) {
				t.Fatalf("%v is no ErrInput", err)
			}
			return nil, err.Error()
		}
		// However a stream comes in pieces, it has the same items.
		all, failed := read(bytes.NewReader(data))
		again, failedAgain := read(iotest.OneByteReader(bytes.NewReader(data)))
		if diff := cmp.Diff(all, again); diff != "" || failed != failedAgain {
			t.Fatalf("in pieces: %s, %q, %q", diff, failed, failedAgain)
		}
		size := 0
		for _, args := range all {
			for _, a := range args {
				size += len(a)
				if strings.IndexByte(a, 0) >= 0 {
					t.Fatalf("%q has a NUL byte", a)
				}
			}
		}
		if size > len(data) {
			t.Fatalf("%d bytes of %d", size, len(data))
		}
		if bits == 0 && colsep == "" && failed == "" {
			text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
			want := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if text == "" {
				want = nil
			}
			if got := slices.Concat(all...); !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

// TestCSVRoundTrip reads back what encoding/csv writes.
func TestCSVRoundTrip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 1))
	rows := make([][]string, 500)
	for i := range rows {
		rows[i] = []string{fmt.Sprint("row", i), strings.ReplaceAll(nastyWord(rng), "\r", ""), strings.ReplaceAll(nastyWord(rng), "\r", "")}
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	s, err := command.Read(&b, "csv", command.Format{CSV: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkLines(b *testing.B) {
	for _, tc := range []struct {
		name   string
		format command.Format
	}{{"lines", command.Format{}}, {"colsep", command.Format{Colsep: " "}}, {"regexp", command.Format{Colsep: " +"}}, {"CSV", command.Format{CSV: true}}} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			s, err := command.Read(repeat("sub-01/func/bold run.nii.gz\n", b.N), "stream", tc.format)
			if err != nil {
				b.Fatal(err)
			}
			for _, err := range s.Inputs() {
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
