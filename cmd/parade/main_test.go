package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/internal/natstest"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	parade.Serve() // the scripts' workers are this test's binary
	natstest.Serve()
	own()
	testscript.Main(m, map[string]func(){"parade": main})
}

// ownerVariable has this binary start a cluster of its own and stay.
const ownerVariable = "PARADE_TEST_OWNER"

// own plays a program that starts a cluster, says where its engines are, and goes on for ever.
func own() {
	if os.Getenv(ownerVariable) == "" {
		return
	}
	_ = os.Unsetenv(ownerVariable) // the command that it starts is this binary, too
	client, err := cluster.Start(context.Background(), cluster.StartConfig{Engines: 1, Slots: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(client.Engines()[0].PID)
	select {}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// The race detector lets each process sleep a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Defer(func() { stopClusters(filepath.Join(env.WorkDir, "state")) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"nats":        func(ts *testscript.TestScript, neg bool, args []string) { startNATS(t, ts, neg, args) },
			"engines":     awaitEngines,
			"exits":       exits,
			"firstjob":    firstJob,
			"interrupted": interrupted,
			"until":       until,
			"jsonlines":   jsonLines,
			"phantom":     phantom,
		},
	})
}

// stopClusters ends what a script that failed has left running.
func stopClusters(state string) {
	files, _ := filepath.Glob(filepath.Join(state, "clusters", "*", "client.json"))
	for _, file := range files {
		conn, err := cluster.Load(file)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if s, err := cluster.Look(ctx, conn); err == nil {
			for _, e := range s.Engines {
				_ = cluster.StopEngines(ctx, conn, e.ID)
			}
			_ = cluster.StopController(ctx, conn)
		}
		cancel()
	}
}

// exits runs a command and compares its exit code: exits 2 parade --nope.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [arguments]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// awaitEngines waits until a cluster has so many engines: engines lab 2.
func awaitEngines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: engines cluster number")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	conn, err := cluster.Load(filepath.Join(ts.Getenv("PARADE_STATE"), "clusters", args[0], "observer.json"))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		s, err := cluster.Look(ctx, conn)
		if err == nil && len(s.Engines) == want {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("cluster %s has %d engines, want %d; %v", args[0], len(s.Engines), want, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// startNATS starts servers of NATS, and puts their URLs into $NATS and what lets one in into a file:
// nats 3 file.
func startNATS(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nats servers file")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Setenv("NATS", strings.Join(natstest.Start(t, n).URLs(), ","))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(natstest.User+":"+natstest.Password+"\n"), 0o600))
}

// firstJob is exits for a command about the job whose name is in the file name:
// firstjob attach exits 3 --cluster lab.
func firstJob(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != "exits" {
		ts.Fatalf("usage: firstjob verb exits code [flags]")
	}
	name := strings.TrimSpace(ts.ReadFile("name"))
	exits(ts, false, append([]string{args[2], "parade", args[0], name}, args[3:]...))
}

// interrupted is exits for a command that gets a Ctrl-C after half a second.
func interrupted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupted code command [arguments]")
	}
	exits(ts, false, append([]string{args[0], "sh", "-c", `"$@" & p=$!; sleep 0.5; kill -INT $p; wait $p`, "sh"}, args[1:]...))
}

// until runs a command until it prints something.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until command [arguments]")
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ts.Check(ts.Exec(args[0], args[1:]...))
		if ts.ReadFile("stdout") != "" {
			return
		}
	}
	ts.Fatalf("%s prints nothing", strings.Join(args, " "))
}

// jsonLines sees to it that each line of a file, or of stdout, is an object with
// the fields named: jsonlines stdout metric value.
func jsonLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: jsonlines file [fields]")
	}
	lines := 0
	for s := bufio.NewScanner(strings.NewReader(ts.ReadFile(args[0]))); s.Scan(); lines++ {
		var object map[string]any
		if err := json.Unmarshal(s.Bytes(), &object); err != nil {
			ts.Fatalf("%q is not JSON: %v", s.Text(), err)
		}
		for _, field := range args[1:] {
			if _, ok := object[field]; !ok {
				ts.Fatalf("%s has no %q", s.Text(), field)
			}
		}
	}
	if lines == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
}

// The report must not leave goroutines, and so no workers, behind. Not parallel:
// another test's goroutines would count.
func TestDemoLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	opts := demoOptions{out: dir, on: usualExecutors(), quick: true, seed: 1}
	if err := runDemo(t.Context(), opts, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&signalError{os.Interrupt})
	if err := runDemo(ctx, opts, io.Discard, io.Discard); err == nil {
		t.Error("a demo that was interrupted has no error")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 5 {
		t.Errorf("the folder has %q, want two figures in two formats and a picture", files)
	}
}

// The table of exit codes in docs is the one in the code.
func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range exitCodes {
		if row := "| " + strconv.Itoa(c.code) + " | " + c.meaning + " |"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/exit-codes.md has no row %q", row)
		}
	}
}
