package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// StartConfig describes a cluster of this machine.
type StartConfig struct {
	// Name is the cluster's. "" is one of this program alone, which ends with it, however that ends.
	// One with a name stays when the program ends.
	Name string
	// Engines is how many there are to be; 0 is 1. Of a named cluster that has some, the missing are
	// started.
	Engines int
	// Slots is how many tasks each runs at a time; 0 divides the granted cores.
	Slots int
	// Stop has Close stop a named cluster, too. Its queues stay.
	Stop bool
	// Command is the file of the command parade. "" is $PARADE, or the one beside this program, or
	// the one in the PATH.
	Command string
	// Flags are more of "parade cluster start", such as "--label=gpu".
	Flags []string
}

// ErrNoCommand says that [Start] has not found the command parade.
var ErrNoCommand = errors.New("there is no command parade")

// Start starts a cluster of this machine by way of the command parade, and connects. Close of the
// client stops what Start has started, unless it has a name.
func Start(ctx context.Context, cfg StartConfig) (*Client, error) {
	if err := runnable(); err != nil { // in an engine's child, too: it must not start more
		return nil, err
	}
	if cfg.Engines < 0 || cfg.Slots < 0 {
		return nil, errors.New("cluster: Engines and Slots must not be negative")
	}
	if cfg.Engines == 0 {
		cfg.Engines = 1
	}
	command, err := findCommand(cfg.Command)
	if err != nil {
		return nil, err
	}
	if cfg.Name != "" {
		return startNamed(ctx, command, cfg)
	}
	return startOwn(ctx, command, cfg)
}

func findCommand(command string) (string, error) {
	name := "parade"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	candidates := []string{command}
	if command == "" {
		candidates = []string{os.Getenv("PARADE")}
		if self, err := os.Executable(); err == nil {
			candidates = append(candidates, filepath.Join(filepath.Dir(self), name))
		}
		candidates = append(candidates, name)
	}
	for i, c := range candidates {
		if c == "" {
			continue
		}
		path, err := exec.LookPath(c)
		if err == nil {
			return path, nil
		}
		if i == 0 { // it was named
			return "", fmt.Errorf("cluster: %w: %w", ErrNoCommand, err)
		}
	}
	return "", fmt.Errorf("cluster: %w beside this program, in $PARADE or in the PATH: go install github.com/parade-go/parade/cmd/parade@latest", ErrNoCommand)
}

// startArguments are those of "parade cluster start".
func (cfg StartConfig) startArguments(name string, engines int) []string {
	args := []string{"cluster", "start", name, "--engines", strconv.Itoa(engines)}
	if cfg.Slots > 0 {
		args = append(args, "--slots", strconv.Itoa(cfg.Slots))
	}
	return append(args, cfg.Flags...)
}

func startNamed(ctx context.Context, command string, cfg StartConfig) (*Client, error) {
	missing := cfg.Engines
	if conn, err := Find(cfg.Name); err == nil {
		if s, err := Look(ctx, conn); err == nil {
			missing = max(0, missing-len(s.Engines))
		}
	}
	if err := runCommand(ctx, command, cfg.startArguments(cfg.Name, missing)...); err != nil {
		return nil, err
	}
	stop := func() error {
		ending, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return runCommand(ending, command, "cluster", "stop", cfg.Name)
	}
	conn, err := Find(cfg.Name)
	if err == nil {
		var c *Client
		if c, err = Connect(ctx, conn); err == nil {
			if cfg.Stop {
				c.after = stop
			}
			return c, c.closeUnless(c.WaitForEngines(ctx, cfg.Engines))
		}
	}
	if cfg.Stop {
		err = errors.Join(err, stop())
	}
	return nil, err
}

// closeUnless closes the client if there is an error.
func (c *Client) closeUnless(err error) error {
	if err != nil {
		err = errors.Join(err, c.Close())
	}
	return err
}

func runCommand(ctx context.Context, command string, args ...string) error {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it has begun
	cmd.WaitDelay = time.Minute
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cluster: %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

// own is the name of a cluster of one program, in a folder of its own.
const own = "own"

// startOwn starts a cluster that lasts as long as the standard input of the command: the system
// closes that when this program ends.
func startOwn(ctx context.Context, command string, cfg StartConfig) (_ *Client, err error) {
	state, err := os.MkdirTemp("", "parade-own-")
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	cmd := exec.Command(command, append(cfg.startArguments(own, cfg.Engines), "--foreground")...)
	cmd.Env = append(os.Environ(), "PARADE_STATE="+state)
	cmd.SysProcAttr = apart() // Ctrl-C is for this program
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(state))
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cluster: %w", err), os.RemoveAll(state))
	}
	end := sync.OnceValue(func() error {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("cluster: %s: %w: %s", filepath.Base(command), err, strings.TrimSpace(complaint.String()))
		}
		return errors.Join(err, os.RemoveAll(state))
	})
	started := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(out).ReadString('\n') // it says so when all are there
		started <- err
	}()
	select {
	case err = <-started:
	case <-ctx.Done():
		err = context.Cause(ctx)
		_ = in.Close()
		<-started
	}
	if err != nil {
		if ended := end(); ctx.Err() == nil && ended != nil {
			err = ended
		}
		return nil, err
	}
	conn, err := Load(filepath.Join(state, "clusters", own, RoleClient+".json"))
	if err != nil {
		return nil, errors.Join(err, end())
	}
	c, err := Connect(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	c.after = end
	return c, c.closeUnless(c.WaitForEngines(ctx, cfg.Engines))
}
