// Command tally reads the output of go test -json, prints what go test would have
// printed without it, and ends with a line that counts the tests:
//
//	go test -json ./... | go run ./scripts/tally
//	ok  	github.com/parade-go/parade	1.203s
//	214 passed, 0 failed, 0 skipped
//
// It fails when a test failed, a package could not be built or nothing was tested,
// and, with CI=true in the environment, when a test was skipped: what the CI skips,
// nobody runs.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is what go test -json prints per line; see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// name identifies a test, or with an empty test a package.
type name struct{ pkg, test string }

// count is the state of one run.
type count struct {
	passed, failed, skipped int
	broken                  bool            // a package failed
	running                 map[name]bool   // tests that have started and not ended
	output                  map[name]string // what tests have printed
}

func main() {
	ok, err := tally(os.Stdin, os.Stdout, os.Getenv("CI") == "true")
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// tally copies the output that matters from in to out and tells whether the run
// was a success.
func tally(in io.Reader, out io.Writer, ci bool) (bool, error) {
	c := count{running: map[name]bool{}, output: map[name]string{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				// The go command's own errors are plain text.
				fmt.Fprintf(out, "%s", line)
			} else {
				c.add(e, out, ci)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("reading the test output: %w", err)
		}
	}
	if ci && c.skipped > 0 {
		fmt.Fprintln(out, "skipped tests are failures here, since CI=true: install what they need in scripts/setup.sh")
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped)
	return c.passed > 0 && c.failed == 0 && !c.broken && !(ci && c.skipped > 0), nil
}

func (c *count) add(e event, out io.Writer, ci bool) {
	n := name{e.Package, e.Test}
	if e.Test != "" {
		c.addTest(n, e, out, ci)
		return
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		if e.Output != "PASS\n" {
			fmt.Fprint(out, e.Output)
		}
	case "fail":
		c.broken = true
		// A test that was under way when its process died.
		for r := range c.running {
			if r.pkg == e.Package {
				c.failed++
				fmt.Fprintf(out, "%s--- FAIL: %s (did not end)\n", c.output[r], r.test)
				c.forget(r)
			}
		}
	}
}

func (c *count) addTest(n name, e event, out io.Writer, ci bool) {
	switch e.Action {
	case "run":
		c.running[n] = true
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT
			c.output[n] += e.Output
		}
	case "pass":
		c.passed++
		c.forget(n)
	case "fail":
		c.failed++
		fmt.Fprint(out, c.output[n])
		c.forget(n)
	case "skip":
		c.skipped++
		if ci {
			fmt.Fprint(out, c.output[n])
		}
		c.forget(n)
	}
}

func (c *count) forget(n name) {
	delete(c.running, n)
	delete(c.output, n)
}
