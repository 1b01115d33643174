package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parade-go/parade/internal/host"
	"github.com/parade-go/parade/internal/journal"
	"github.com/spf13/cobra"
)

// What the processes of a foreground cluster do when their standard input ends, which it does
// however the command ends that holds the other side.
const (
	endStop   = "stop"
	endRemove = "remove" // and delete the cluster's folder
)

// lifeFlag is the hidden flag for it.
func lifeFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "when-input-ends", "", "what to do then")
	_ = cmd.Flags().MarkHidden("when-input-ends") // it is there: defined above
}

// whileInput is a context that ends with the input, too, unless that is nil.
func whileInput(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if in == nil {
		return ctx, cancel
	}
	go func() { // until the end of the process, if that comes first
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return ctx, cancel
}

// endAll ends what there is of a foreground cluster but for its controller, which calls it.
func endAll(folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), undoPatience)
	defer cancel()
	err := os.WriteFile(stoppingFile(folder), nil, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the command has removed it
	}
	_, cancelled := cancelLaunched(ctx, folder, true)
	left := awaitEnd(ctx, folder, enginePatience) // they have the same input
	return errors.Join(err, cancelled, remain(left))
}

// enginePatience is how long an engine may take to end: for its tasks, and to hand back the rest.
const enginePatience = 15 * time.Second

// noteFolder has a locked file for each engine that found the cluster's folder by its name.
func noteFolder(folder string) string { return filepath.Join(folder, "engines") }

// noteEngine has this process be known as an engine until its end, or until release is called. The
// lock tells it from a later process with its number.
func noteEngine(folder string) (release func(), err error) {
	if err := os.Mkdir(noteFolder(folder), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	path := filepath.Join(noteFolder(folder), fmt.Sprintf("%s-%d", host.Name(), os.Getpid()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for range 100 { // one that looks holds it for a moment
		held, err := journal.Lock(f)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, errors.Join(err, f.Close())
		}
		if !held {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return func() {
		_ = os.Remove(path)
		_ = f.Close()
	}, nil
}

// localEngines are the processes of this machine that are engines of the cluster now.
func localEngines(folder string) (pids []int) {
	entries, _ := os.ReadDir(noteFolder(folder)) // none, if nobody has noted one
	for _, entry := range entries {
		text, ok := strings.CutPrefix(entry.Name(), host.Name()+"-")
		pid, err := strconv.Atoi(text)
		if !ok || err != nil {
			continue
		}
		f, err := os.OpenFile(filepath.Join(noteFolder(folder), entry.Name()), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if held, err := journal.Lock(f); err == nil && held {
			pids = append(pids, pid)
		}
		_ = f.Close()
	}
	return pids
}

// awaitEnd waits for the end of this machine's engines, and returns those that stay.
func awaitEnd(ctx context.Context, folder string, patience time.Duration) []int {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		left := localEngines(folder)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return left
		}
	}
}

// endEngines ends this machine's engines without a controller, and says how many there were.
func endEngines(ctx context.Context, folder string) (int, error) {
	all := localEngines(folder)
	left := all
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Kill} {
		for _, pid := range left {
			// One in another container that shares the folder has a number of its own.
			if !strings.Contains(commandLine(pid), " engine ") {
				continue
			}
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Signal(signal) // it may have ended just now; one that stays is found below
			}
		}
		if left = awaitEnd(ctx, folder, enginePatience); len(left) == 0 {
			break
		}
	}
	return len(all), remain(left)
}

// remain says which engines have not ended.
func remain(pids []int) error {
	if len(pids) == 0 {
		return nil
	}
	slices.Sort(pids)
	texts := make([]string, len(pids))
	for i, pid := range pids {
		texts[i] = strconv.Itoa(pid)
	}
	return fmt.Errorf("%s of this machine did not end: process %s", plural(len(pids), "engine"), strings.Join(texts, ", "))
}

// commandLine is that of a process of this machine, "" if it is not known.
func commandLine(pid int) string {
	if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		return strings.ReplaceAll(string(data), "\x00", " ")
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "linux" {
		return ""
	}
	out, _ := exec.Command("ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output() // "" if there is none
	return string(out)
}
