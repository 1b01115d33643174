//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// halve fails for odd numbers unless its folder has a file "open".
var halve = parade.Func2("parade_test.halve", func(folder string, n int) (float64, error) {
	if _, err := os.Stat(filepath.Join(folder, "open")); err != nil && n%2 == 1 {
		return 0, errors.New("odd")
	}
	return float64(n) / 2, nil
})

type pair struct{ A, B string }

var twice = parade.Pure("parade_test.twice", func(s string) pair { return pair{s, s} })

// TestAttachToFunctions: of a job of a program attach shows the progress, results what can be
// printed, and retry runs it again.
func TestAttachToFunctions(t *testing.T) {
	l := newJobLab(t)
	conn, err := cluster.Load(filepath.Join(l.dir, "state", "clusters", "lab", "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := cluster.Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := cluster.Submit(t.Context(), client, "halves", parade.Bind(halve, l.dir), []int{4, 5, 6, 7}, nil); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Submit(t.Context(), client, "pairs", twice, []string{"a"}, nil, cluster.Meta([]byte("mine"))); err != nil {
		t.Fatal(err)
	}
	out, said := l.run(t, 3, "attach", "halves", "--cluster", "lab")
	if out != "" || !strings.Contains(said, `cluster.Attach(ctx, client, "halves", f), f being its function "parade_test.halve"`) ||
		!strings.Contains(said, `job halves: 2 of 4 tasks failed; "parade retry halves --cluster lab" runs them again`) {
		t.Errorf("attach prints %q and says %q", out, said)
	}
	if _, said := l.run(t, 2, "attach", "halves", "--cluster", "lab", "--json"); !strings.Contains(said, "--json is for jobs of parade run") {
		t.Errorf("attach --json says %q", said)
	}
	out, _ = l.run(t, 0, "results", "halves", "--cluster", "lab")
	if want := "task 0: done: 2\ntask 1: failed: odd\ntask 2: done: 3\ntask 3: failed: odd\n"; out != want {
		t.Errorf("results prints %q, want %q", out, want)
	}
	out, _ = l.run(t, 0, "results", "halves", "--cluster", "lab", "--failed", "--json")
	for text := range strings.Lines(out) {
		var line valueLine
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.State != "failed" || line.Error != "odd" || line.Kind != "failed" || line.Value != nil {
			t.Errorf("a line of results is %q, %v", text, err)
		}
	}
	if n := strings.Count(out, "\n"); n != 2 {
		t.Errorf("%d tasks failed", n)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := l.run(t, 0, "retry", "halves", "pairs", "--cluster", "lab"); out != "job halves: 2 tasks to run again\njob pairs: no task has failed\n" {
		t.Errorf("retry prints %q", out)
	}
	l.run(t, 0, "attach", "halves", "--cluster", "lab")
	out, _ = l.run(t, 0, "results", "halves", "--cluster", "lab")
	if want := "task 0: done: 2\ntask 1: done: 2.5\ntask 2: done: 3\ntask 3: done: 3.5\n"; out != want {
		t.Errorf("results prints %q, want %q", out, want)
	}
	out, _ = l.run(t, 0, "results", "halves", "--cluster", "lab", "--json")
	if want := `{"index":1,"state":"done","type":"float64","bytes":`; !strings.Contains(out, want) || !strings.Contains(out, `,"value":2.5}`+"\n") {
		t.Errorf("results --json prints %q", out)
	}
	l.run(t, 0, "attach", "pairs", "--cluster", "lab")
	if out, _ := l.run(t, 0, "results", "pairs", "--cluster", "lab"); !strings.HasPrefix(out, "task 0: done: ") || !strings.HasSuffix(out, " B of main.pair\n") {
		t.Errorf("results prints %q", out)
	}
}

// TestLongCommandLine: a cluster takes inputs that fill a command line.
func TestLongCommandLine(t *testing.T) {
	l := newJobLab(t)
	inputs := make([]string, 15_000)
	for i := range inputs {
		inputs[i] = strings.Repeat("x", 95) + strconv.Itoa(i)
	}
	run := append([]string{"run", "--on", "cluster:lab", "-k", "-n", "1000", "echo", ":::"}, inputs...)
	want, _ := l.run(t, 0, run...)
	if n := len(strings.Fields(want)); n != len(inputs) {
		t.Errorf("%d inputs came out, want %d", n, len(inputs))
	}
	l.run(t, 0, append([]string{"run", "--detach", "--job", "long"}, run[1:]...)...)
	if got, _ := l.run(t, 0, "attach", "long", "--cluster", "lab"); got != want {
		t.Errorf("attach prints %d bytes, want %d", len(got), len(want))
	}
}
