package command_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/command"
)

func readJoblog(t *testing.T, path string) []command.JoblogEntry {
	t.Helper()
	var all []command.JoblogEntry
	for e, err := range command.ReadJoblog(path) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.log")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// joblog.log was written by GNU parallel.
func TestJoblogOfGNUParallel(t *testing.T) {
	t.Parallel()
	entries := readJoblog(t, "testdata/joblog.log")

	again := []byte(command.JoblogHeader + "\n")
	type brief struct {
		Exit, Signal int
		Received     int64
		Command      string
	}
	var got []brief
	for _, e := range entries {
		got = append(got, brief{e.Exit, e.Signal, e.Received, e.Command})
		if e.Host != ":" || e.Sent != 0 || e.Start.Year() < 2020 || e.Runtime < 0 || e.Runtime > time.Minute {
			t.Errorf("bad entry %+v", e)
		}
		if e.OK() != (e.Exit == 0 && e.Signal == 0) {
			t.Errorf("OK of %+v is %t", e, e.OK())
		}
		var err error
		if again, err = e.AppendText(again); err != nil {
			t.Fatal(err)
		}
	}
	want := []brief{
		{1, 0, 3, "printf one; exit 1"}, {2, 0, 3, "printf two; exit 2"},
		{0, 0, 3, "printf 'x y'"}, {0, 0, 4, `printf 'it'"'"'s'`}, {0, 0, 1, `printf '"'`}, {0, 0, 10, `printf 'back\slash'`},
		{0, 0, 5, `printf '$HOME'`}, {0, 0, 0, "printf ''"}, {0, 0, 5, "printf 'ünï'"}, {0, 0, 8, "printf 'tab\there'"},
		{0, 0, 9, "printf %s 'two\nlines'"}, {0, 0, 2, "printf %s '\xff\xfe'"},
		{-1, 15, 0, "sleep 5"}, {0, 9, 0, "kill -9 $$"}, {0, 15, 0, "kill -15 $$"}, {127, 0, 0, "no-such-command x"}, {1, 0, 0, "false x"},
		{0, 0, 3893, "seq 1000"}, {0, 0, 15, "echo first\necho\tsecond x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if data := readFile(t, "testdata/joblog.log"); data != string(again) {
		t.Errorf("written again, the log differs:\n%s", cmp.Diff(data, string(again)))
	}
}

func TestJoblogEntryOfResult(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1795524470788).UTC()
	for _, test := range []struct {
		name   string
		result command.Result
		want   string
	}{
		{"success", command.Result{Seq: 3, Start: at, Duration: 1500 * time.Millisecond, Stdout: command.Output{Size: 12}, Command: "a 'b\nc'"},
			"3\t:\t1795524470.788\t     1.500\t0\t12\t0\t0\ta 'b\x00c'\n"},
		{"signal", command.Result{Seq: 1, Host: "far.example", Start: at, Exit: 137, Signal: 9, Command: "a"},
			"1\tfar.example\t1795524470.788\t     0.000\t0\t0\t0\t9\ta\n"},
		{"exit status of a shell's child", command.Result{Seq: 1, Start: at, Exit: 137, Command: "a"}, "1\t:\t1795524470.788\t     0.000\t0\t0\t137\t0\ta\n"},
		{"timeout", command.Result{Seq: 1, Start: at, Exit: command.ExitTimeout, Signal: 9, TimedOut: true, Command: "a"}, "1\t:\t1795524470.788\t     0.000\t0\t0\t-1\t15\ta\n"},
		{"skipped", command.Result{Seq: 7, Skipped: true, Command: "a"}, "7\t:\t0.000\t     0.000\t0\t0\t0\t0\ta\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := test.result.JoblogEntry().AppendText(nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadJoblogStopsAtTornLine(t *testing.T) {
	t.Parallel()
	whole := command.JoblogHeader + "\n" + "1\t:\t1.000\t     0.001\t0\t0\t0\t0\techo 1\n" + "2\t:\t1.000\t     0.001\t0\t0\t0\t0\techo 22222\n"
	path := filepath.Join(t.TempDir(), "log")
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, []byte(whole[:n]), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, want := len(readJoblog(t, path)), max(0, strings.Count(whole[:n], "\n")-1); got != want {
			t.Errorf("of the first %d bytes %d entries are read, want %d", n, got, want)
		}
	}
}

func TestReadJoblogRefuses(t *testing.T) {
	t.Parallel()
	line := "1\t:\t1.000\t     0.001\t0\t0\t0\t0\techo 1\n"
	for _, test := range []struct{ name, text, says string }{
		{"another file", "sub-01\nsub-02\n", "does not begin as one"},
		{"another file without a newline", "sub-01", "does not begin as one"},
		{"too few columns", "1\t:\t1.0\t0.1\t0\t0\t0\t0\n", "line 3: it has 8 columns"},
		{"blanks for tabs", "1 : 1.0 0.1 0 0 0 0 echo\n", "line 3: it has 1 columns"},
		{"no number", strings.Replace(line, "1", "one", 1), `line 3: Seq "one" is not a whole number`},
		{"zeros after a power cut", "\x00\x00\x00\n", "line 3"},
		{"number zero", strings.Replace(line, "1", "0", 1), "line 3"},
		{"no time", strings.Replace(line, "1.000", "NaN", 1), `line 3: Starttime "NaN"`},
		{"endless time", strings.Replace(line, "0.001", "1e300", 1), `line 3: JobRuntime`},
		{"exit value that is none", strings.Replace(line, "\t0\te", "\t99999999999\te", 1), "line 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(test.says, "begin") {
				test.text = command.JoblogHeader + "\n" + line + test.text + line
			}
			path := writeFile(t, test.text)
			var last error
			for _, err := range command.ReadJoblog(path) {
				last = err
			}
			if !errors.Is(last, command.ErrJoblog) || !strings.Contains(last.Error(), test.says) || !strings.Contains(last.Error(), path) {
				t.Errorf("error %v, want %q", last, test.says)
			}
		})
	}
	var last error
	for _, err := range command.ReadJoblog(filepath.Join(t.TempDir(), "none")) {
		last = err
	}
	if !errors.Is(last, os.ErrNotExist) {
		t.Errorf("a missing file is %v", last)
	}
}

func TestJoblogLongLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	text, err := command.JoblogEntry{Seq: 1, Host: ":", Command: long}.AppendText([]byte(command.JoblogHeader + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ = command.JoblogEntry{Seq: 2, Host: ":", Command: "short"}.AppendText(text)
	got := readJoblog(t, writeFile(t, string(text)))
	if len(got) != 2 || got[0].Command != long || got[1].Command != "short" {
		t.Errorf("%d entries are read, not the two that were written", len(got))
	}
}

func FuzzReadJoblog(f *testing.F) {
	data, err := os.ReadFile("testdata/joblog.log")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for line := range bytes.Lines(data) {
		f.Add(append([]byte(command.JoblogHeader+"\n"), line...))
	}
	path := filepath.Join(f.TempDir(), "log")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		text := []byte(command.JoblogHeader + "\n")
		var entries []command.JoblogEntry
		for e, err := range command.ReadJoblog(path) {
			if err != nil {
				break
			}
			if text, err = e.AppendText(text); err != nil {
				return // a host that we would not write
			}
			if e.Start.Before(time.UnixMilli(0)) {
				return
			}
			entries = append(entries, e)
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, readJoblog(t, path)); diff != "" {
			t.Error(diff)
		}
	})
}
