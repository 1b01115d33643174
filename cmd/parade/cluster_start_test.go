//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/launch"
	"github.com/parade-go/parade/internal/cores"
)

var cube = parade.Pure("main.cube", func(x int) int { return x * x * x })

// TestStartFromGo starts a cluster by way of the command, which testscript has put into the PATH.
func TestStartFromGo(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	client, err := cluster.Start(ctx, cluster.StartConfig{Engines: 2, Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	got, err := parade.Map(ctx, client.LoadBalanced(), cube, []int{1, 2, 3})
	if diff := cmp.Diff([]int{1, 8, 27}, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	engines := client.Engines()
	if len(engines) != 2 {
		t.Errorf("%d engines, want 2", len(engines))
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	for _, e := range engines {
		gone(t, e.PID)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "parade-own-*")); left != nil {
		t.Errorf("it has left %q", left)
	}
}

// gone waits for the end of a process that is not a child of this one.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		if stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(stat), ") Z ") {
			return // nobody reaps it where this test runs
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d goes on", pid)
		}
	}
}

// TestStartNamed: a cluster with a name stays, and gets the engines that are missing.
func TestStartNamed(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PARADE_STATE", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	t.Cleanup(func() { stopClusters(os.Getenv("PARADE_STATE")) })
	for _, cfg := range []cluster.StartConfig{
		{Name: "lab", Slots: 1},
		{Name: "lab", Engines: 2, Slots: 1},
		{Name: "lab", Engines: 2, Slots: 1, Stop: true},
	} {
		client, err := cluster.Start(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(client.Engines()); n != max(1, cfg.Engines) {
			t.Errorf("%d engines, want %d", n, cfg.Engines)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		conn, err := cluster.Find("lab")
		if err != nil {
			t.Fatal(err)
		}
		if s, err := cluster.Look(ctx, conn); (err == nil) == cfg.Stop {
			t.Errorf("with Stop %v the cluster is %v, %v after Close", cfg.Stop, s, err)
		}
	}
}

// TestStartOfADeadProgram: a cluster of one program ends with it, however that ends.
func TestStartOfADeadProgram(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), ownerVariable+"=1", "XDG_CACHE_HOME="+t.TempDir(), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	pid := 0
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		rest, _ := io.ReadAll(out)
		t.Fatalf("%v: %s", err, rest)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("its engine, process %d: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if c, err := cluster.Start(t.Context(), cluster.StartConfig{}); !errors.Is(err, cluster.ErrNoCommand) || !strings.Contains(err.Error(), "go install") {
		t.Errorf("without a command: %v, %v", c, err)
	}
	if _, err := cluster.Start(t.Context(), cluster.StartConfig{Command: filepath.Join(dir, "none")}); !errors.Is(err, cluster.ErrNoCommand) {
		t.Errorf("with one that is not there: %v", err)
	}
	if _, err := cluster.Start(t.Context(), cluster.StartConfig{Engines: -1}); err == nil {
		t.Error("-1 engines are accepted")
	}
	if err := os.WriteFile(filepath.Join(dir, "parade"), []byte("#!/bin/sh\necho 'the disk is full' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context(), cluster.StartConfig{}); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("a command that fails: %v", err)
	}
}

// TestShare: all engines that one command starts on this machine use the cores once.
func TestShare(t *testing.T) {
	t.Parallel()
	granted := cores.Granted()
	for name, tc := range map[string]struct {
		e     engines
		n     int
		slots int
		used  int // threads of all of them
	}{
		"one engine":           {engines{Launcher: localLauncher, Divided: true}, 1, granted, granted},
		"an engine for a core": {engines{Launcher: localLauncher, Divided: true}, granted, 1, granted},
		"after another start":  {engines{Launcher: localLauncher, Divided: true, Slots: granted, Threads: 1}, granted, 1, granted},
		"slots that were said": {engines{Launcher: localLauncher, Slots: 1}, granted, 1, granted},
		"more than cores":      {engines{Launcher: localLauncher, Slots: 2}, granted, 2, 2 * granted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.e.share(tc.n)
			if used := tc.e.Slots * tc.e.Threads * tc.n; tc.e.Slots != tc.slots || used != tc.used {
				t.Errorf("%d slots of %d threads in %d engines, want %d slots and %d threads in all", tc.e.Slots, tc.e.Threads, tc.n, tc.slots, tc.used)
			}
			s := starter{name: "lab", engines: tc.e}
			if args := strings.Join(s.arguments(), " "); !strings.Contains(args, fmt.Sprintf("--slots %d --threads %d", tc.slots, tc.e.Threads)) {
				t.Errorf("an engine is told %q", args)
			}
		})
	}
	other := engines{Launcher: launch.SSHName, Slots: 3}
	if other.share(2); other.Slots != 3 || other.Threads != 0 {
		t.Errorf("an engine of another machine: %+v", other)
	}
}
