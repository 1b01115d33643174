package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/engine"
	"github.com/parade-go/parade/cluster/launch"
	"github.com/spf13/cobra"
)

// defaultCluster is the cluster that is meant when none is named.
const defaultCluster = "default"

func newClusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Engines on any number of machines behind one connection",
		Long: `A cluster is a controller and any number of engines. Programs hand it their tasks
with parade.Open(ctx, "cluster:NAME"), or parade run --on cluster:NAME; engines run them in
child processes of that program, which need not be installed on their machines.

Everything about a cluster is in its folder, ~/.local/state/parade/clusters/NAME (or
below $PARADE_STATE): connection files with their secrets, queues, logs.`,
		Example: `  parade cluster start -n 4          a controller and four engines on this machine
  parade cluster status              its engines and queues
  parade cluster stop`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newClusterStart(), newClusterList(), newClusterStatus(), newClusterScale(), newClusterStop(), newClusterEngine(), newClusterController())
	return cmd
}

// clusterName is the one argument of most commands.
func clusterName(args []string) (string, error) {
	switch len(args) {
	case 0:
		return defaultCluster, nil
	case 1:
		if _, err := cluster.Folder(args[0]); err != nil {
			return "", &usageError{err}
		}
		return args[0], nil
	}
	return "", usagef("one cluster at a time, got %q", args)
}

type clusterStart struct {
	engines, slots    int
	labels, resources []string // of the engines
	listen            string
	sync              bool

	launcher, template string
	options, hosts     []string
	print              bool

	min, max int
	maxSet   bool
	idle     time.Duration

	foreground bool
	made       bool     // the cluster is new
	held       *os.File // what its processes live by in the foreground

	site site

	profile, profiles string          // its name, and its file
	profiled          map[string]bool // the flags that came from it
}

func newClusterStart() *cobra.Command {
	var opts clusterStart
	cmd := &cobra.Command{
		Use:   "start [NAME]",
		Short: "Start a controller and engines on this machine",
		Long: `Start starts a controller and engines, which go on when the command has ended.
Of a cluster that is running it starts more engines. A controller that was stopped,
or died, goes on where it was.

It listens on the loopback interface only, at a port of its own, with TLS and a key for
each role. With --listen other machines can reach it; copy the file engine.json of its
folder to them and run "parade cluster engine --connection engine.json" there.

With --launcher a batch system starts the engines, one job for each, when it has room.
The cluster's folder must be there on its nodes, as home folders mostly are. The ids of the
jobs are kept, and stop cancels them. --print shows the script, which --template replaces.
With --launcher ssh engines start on hosts that ssh can log in to without a question; where
one has no parade, this one is copied.

With --max engines come when tasks wait and go when they had nothing to do for a while; the
controller starts them, in the way that this command says.

With --launcher mpi one mpiexec starts all engines, as its ranks; --option is a word for it, such as
--option=--hostfile --option=hosts.

A profile has flags of this command as keys, such as in ~/.config/parade/clusters.toml

  [lab]
  listen = "0.0.0.0:0"
  launcher = "slurm"
  engines = 16
  slots = 8
  option = ["--partition=short", "--time=2:00:00"]

so that "parade cluster start lab" has them all; flags on the command line come before it.

With --nats the cluster is at a NATS of your site's, which must have JetStream and give this
cluster an account for itself. With --replicas 3 it outlives any one of the servers.`,
		Example: `  parade cluster start -n 4
  parade cluster start lab --listen 0.0.0.0:0 --launcher slurm -n 16 --slots 8 --option=--time=2:00:00
  parade cluster start lab --listen 0.0.0.0:4222 -n 0`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := clusterName(args)
			if err != nil {
				return err
			}
			which := opts.profile
			if which == "" {
				which = name
			}
			p, err := loadProfile(opts.profiles, which, opts.profile != "")
			if err != nil {
				return err
			}
			if opts.profiled, err = p.apply(cmd.Flags()); err != nil {
				return err
			}
			if opts.engines < 0 || opts.slots < 0 {
				return usagef("--engines and --slots must not be negative")
			}
			if err := opts.check(); err != nil {
				return err
			}
			opts.maxSet = cmd.Flags().Changed("max")
			switch {
			case opts.min < 0 || opts.max < 0 || opts.idle < 0:
				return usagef("--min, --max and --idle-timeout must not be negative")
			case opts.min > opts.max:
				return usagef("--min %d with --max %d: name the largest number of engines with --max", opts.min, opts.max)
			case opts.max > 0 && (!cmd.Flags().Changed("engines") || opts.engines == 0):
				opts.engines = opts.min
			case opts.max > 0 && (opts.engines < opts.min || opts.engines > opts.max):
				return usagef("--engines %d is not between --min %d and --max %d", opts.engines, opts.min, opts.max)
			}
			if opts.max > 0 && opts.idle == 0 {
				opts.idle = defaultIdle
			}
			if len(opts.hosts) > 0 && opts.max > 0 && opts.engines == opts.min {
				opts.engines = (opts.min + len(opts.hosts) - 1) / len(opts.hosts)
			}
			if there, err := opts.site.check(); err != nil {
				return err
			} else if there && (opts.listen != "" || opts.sync) {
				return usagef("--listen and --sync are for a server of the cluster's own, not for --nats")
			}
			err = runClusterStart(cmd.Context(), name, &opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil || !opts.foreground {
				return err
			}
			return stayAndStop(cmd, name, opts.made)
		},
	}
	cmd.Flags().IntVarP(&opts.engines, "engines", "n", 1, "how many engines to start, with ssh on each host")
	cmd.Flags().IntVar(&opts.slots, "slots", 0, "tasks at a time in each engine (default the cores, divided among the engines)")
	offerFlags(cmd, &opts.labels, &opts.resources)
	cmd.Flags().StringVar(&opts.listen, "listen", "", "address and port for other machines, such as 0.0.0.0:4222")
	cmd.Flags().BoolVar(&opts.sync, "sync", false, "write each parcel of tasks to disk before it counts as stored")
	cmd.Flags().StringVar(&opts.launcher, "launcher", localLauncher, "where engines start: local, ssh, mpi, "+strings.Join(launch.Names(), ", "))
	cmd.Flags().StringArrayVar(&opts.hosts, "host", nil, "a host for --launcher ssh, as ssh knows it; any number")
	cmd.Flags().StringVar(&opts.template, "template", "", "`file` to make batch scripts from, in place of the launcher's own")
	cmd.Flags().StringArrayVar(&opts.options, "option", nil, "a line for the batch system, such as --partition=short, or a word for mpiexec; any number")
	cmd.Flags().BoolVar(&opts.print, "print", false, "print the batch script, or the command lines of ssh or mpiexec, and do nothing")
	cmd.Flags().IntVar(&opts.min, "min", 0, "with --max: how many engines there are with nothing to do")
	cmd.Flags().IntVar(&opts.max, "max", 0, "start engines when tasks wait, up to so many; 0 is not")
	cmd.Flags().DurationVar(&opts.idle, "idle-timeout", 0, "how long an engine may have nothing to do before it ends (default for ever, with --max 5m)")
	cmd.Flags().BoolVar(&opts.foreground, "foreground", false, "stay until standard input ends, or Ctrl-C, and stop the cluster then; a new one is removed")
	opts.site.add(cmd.Flags())
	cmd.Flags().StringVar(&opts.profile, "profile", "", "take flags from this table of the profiles (default the one with the cluster's name, if there is one)")
	cmd.Flags().StringVar(&opts.profiles, "profiles", "", "`file` with profiles (default ~/.config/parade/clusters.toml)")
	return cmd
}

// check finds mistakes in the flags for engines, before anything is started.
func (o *clusterStart) check() error {
	batch := strings.Join(launch.Names(), ", ")
	known := slices.Contains(launch.Names(), o.launcher)
	switch {
	case !known && o.launcher != localLauncher && o.launcher != launch.SSHName && o.launcher != mpiLauncher:
		return usagef("there is no launcher %q; there are local, ssh, mpi, %s", o.launcher, batch)
	case o.template != "" && !known:
		return usagef("--template is for a batch system; name it with --launcher: %s", batch)
	case o.options != nil && !known && o.launcher != mpiLauncher:
		return usagef("--option is for a batch system or mpiexec; name it with --launcher: mpi, %s", batch)
	case o.print && o.launcher == localLauncher:
		return usagef("--print shows how another program is to start the engines; name it with --launcher: ssh, mpi, %s", batch)
	case o.launcher == launch.SSHName && len(o.hosts) == 0:
		return usagef("--launcher ssh needs --host, for each host one")
	case o.launcher != launch.SSHName && len(o.hosts) > 0:
		return usagef("--host is for --launcher ssh; with --launcher %s say where engines run with what that has for it, as an --option", o.launcher)
	}
	if _, err := cluster.Offer(1, o.labels, o.resources); err != nil {
		return &usageError{err}
	}
	if o.listen != "" {
		_, port, err := net.SplitHostPort(o.listen)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
			return usagef("--listen %q is no address and port; write for example 0.0.0.0:4222, or 0.0.0.0:0 for any port", o.listen)
		}
	}
	return nil
}

// stayAndStop stops the cluster when standard input, or the command's context, ends.
func stayAndStop(cmd *cobra.Command, name string, remove bool) error {
	ended := make(chan struct{})
	go func() { // until the end of the process, if that comes first
		_, _ = io.Copy(io.Discard, cmd.InOrStdin())
		close(ended)
	}()
	select {
	case <-ended:
	case <-cmd.Context().Done():
	}
	err := runClusterStop(context.WithoutCancel(cmd.Context()), name, remove, io.Discard, cmd.ErrOrStderr())
	return errors.Join(err, context.Cause(cmd.Context()))
}

// lookAt says what there is in a cluster of this user.
func lookAt(ctx context.Context, name string) (cluster.Status, error) {
	folder, err := cluster.Folder(name)
	if err != nil {
		return cluster.Status{}, err
	}
	conn, err := cluster.Load(filepath.Join(folder, cluster.RoleObserver+".json"))
	if err != nil {
		return cluster.Status{}, err
	}
	return cluster.Look(ctx, conn)
}

func controllerPID(folder string) int {
	data, err := os.ReadFile(filepath.Join(folder, "controller.json"))
	if err != nil {
		return 0
	}
	var state struct {
		PID int `json:"pid"`
	}
	_ = json.Unmarshal(data, &state) // 0 is nobody's
	return state.PID
}

// detached is a process that outlives this one.
type detached struct {
	pid  int
	log  string
	done chan error // once, when it has ended
}

// detach starts this program again, with its output in a file. Its input is nil for none.
func detach(log string, args []string, in *os.File) (*detached, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return detachProgram(log, append([]string{program}, args...), in)
}

// detachProgram starts a program that goes on when this one has ended.
func detachProgram(log string, argv []string, in *os.File) (*detached, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = f, f, detachedAttributes()
	if in != nil {
		cmd.Stdin = in
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &detached{pid: cmd.Process.Pid, log: log, done: make(chan error, 1)}
	go func() { d.done <- cmd.Wait() }()
	return d, nil
}

// end ends the process, at once if it must be.
func (d *detached) end() error {
	p, err := os.FindProcess(d.pid)
	if err != nil {
		return nil
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Kill} {
		if err := p.Signal(signal); errors.Is(err, os.ErrProcessDone) {
			return nil
		} else if err != nil { // there is no such signal on windows
			continue
		}
		select {
		case <-d.done:
			return nil
		case <-time.After(10 * time.Second):
		}
	}
	return fmt.Errorf("process %d does not end", d.pid)
}

// until waits for something that the process brings about.
func (d *detached) until(ctx context.Context, holds func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case err := <-d.done:
			d.done <- err // for those who wait for its end
			return fmt.Errorf("it ended (%v); the end of %s:\n%s", err, d.log, lastLines(d.log, 15))
		case <-ctx.Done():
			return fmt.Errorf("%w; see %s", context.Cause(ctx), d.log)
		case <-tick.C:
		}
	}
	return nil
}

func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// clusterLine is one line of "parade cluster list --json".
type clusterLine struct {
	Name    string   `json:"name"`
	State   string   `json:"state"` // running, stopped, or unreachable: some of its processes run, and cannot be asked
	Engines int      `json:"engines"`
	Slots   int      `json:"slots"`
	Queues  int      `json:"queues"`
	URLs    []string `json:"urls,omitempty"`
	Folder  string   `json:"folder"`
	Remark  string   `json:"remark,omitempty"`
}

func newClusterList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the clusters of this user",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, err := cluster.Names()
			if err != nil {
				return err
			}
			var lines []clusterLine
			for _, name := range names {
				lines = append(lines, listed(cmd.Context(), name))
			}
			if asJSON {
				return writeJSONLines(cmd.OutOrStdout(), lines)
			}
			out := newTerminal(cmd.OutOrStdout())
			if len(lines) == 0 {
				out.printf("no clusters; start one with \"parade cluster start\"\n")
				return out.err
			}
			rows := [][]string{{"cluster", "state", "engines", "slots", "queues", "at"}}
			for _, l := range lines {
				rows = append(rows, []string{l.Name, l.State, count(l.Engines), count(l.Slots), count(l.Queues), strings.Join(l.URLs, " ")})
			}
			out.table("llrrrl", rows)
			return out.err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per cluster")
	return cmd
}

func listed(ctx context.Context, name string) clusterLine {
	folder, _ := cluster.Folder(name) // its name is valid: it was listed
	l := clusterLine{Name: name, State: "stopped", Folder: folder}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := lookAt(ctx, name)
	if err != nil {
		l.Remark = err.Error()
		l.Engines = len(localEngines(folder))
		if running, err := controller.Running(folder); l.Engines > 0 || running && err == nil {
			l.State = "unreachable"
		}
		return l
	}
	l.State, l.Engines, l.Slots, l.Queues, l.URLs = "running", len(s.Engines), s.Slots(), len(s.Queues), s.URLs
	return l
}

func writeJSONLines[T any](w io.Writer, lines []T) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

func newClusterStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the engines and queues of a cluster",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := clusterName(args)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			s, err := lookAt(ctx, name)
			if err != nil {
				return notRunning(name, err)
			}
			jobs, remarks, err := batchJobs(ctx, name, s)
			if err != nil {
				return err
			}
			for _, r := range remarks {
				newTerminal(cmd.ErrOrStderr()).note(r)
			}
			if asJSON {
				// An empty list is one, too.
				s.Engines, s.Queues = append([]cluster.Engine{}, s.Engines...), append([]cluster.Queue{}, s.Queues...)
				return writeJSONLines(cmd.OutOrStdout(), []clusterStatus{{s, jobs}})
			}
			out := newTerminal(cmd.OutOrStdout())
			out.printf("cluster %s: %s, %s, at %s\n", name, plural(len(s.Engines), "engine"), plural(s.Slots(), "slot"), strings.Join(s.URLs, " "))
			if len(s.Engines) > 0 {
				rows := [][]string{{"engine", "host", "pid", "slots", "running", "done", "failed", "up", "has"}}
				for _, e := range s.Engines {
					rows = append(rows, []string{e.ID, e.Host, strconv.Itoa(e.PID), count(e.Slots), count(e.Running),
						count(int(e.Done)), count(int(e.Failed)), time.Since(e.Started).Round(time.Second).String(), strings.Join(e.Has(), " ")})
				}
				out.table("llrrrrrrl", rows)
			}
			if len(s.Queues) > 0 {
				rows := [][]string{{"queue", "kind", "owner", "program", "waiting", "running", "requires"}}
				for _, q := range s.Queues {
					rows = append(rows, []string{q.Name, q.Kind, q.Owner, filepath.Base(q.Program), count(q.Waiting), count(q.Running), strings.Join(q.Requires, " ")})
				}
				out.table("llllrrl", rows)
			}
			if len(jobs) > 0 {
				rows := [][]string{{"job", "of", "state", "engine", "since"}}
				for _, j := range jobs {
					rows = append(rows, []string{j.ID, j.System, j.State, strings.Join(j.Engines, " "), time.Since(j.At).Round(time.Second).String()})
				}
				out.table("llllr", rows)
			}
			return out.err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

var errNotRunning = errors.New("it is not running")

func notRunning(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		folder, _ := cluster.Folder(name) // "" does not exist either
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return fmt.Errorf("connection files of cluster %s are missing in %s: \"parade cluster stop %s\" ends what runs of it, and \"parade cluster start %s -n 0\" makes them anew", name, folder, name, name)
		}
		return fmt.Errorf("there is no cluster %q of yours on this machine; \"parade cluster list\" names those that are", name)
	}
	return fmt.Errorf("cluster %s does not answer: %w: %w; if its controller has died, \"parade cluster start %s -n 0\" has it go on", name, errNotRunning, err, name)
}

func newClusterStop() *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use:   "stop [NAME]",
		Short: "Stop the engines and the controller of a cluster",
		Long: `Stop has every engine finish or hand back what it runs, and then the controller end.
Queues stay in the cluster's folder, for the next start.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := clusterName(args)
			if err != nil {
				return err
			}
			return runClusterStop(cmd.Context(), name, remove, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&remove, "remove", false, "delete the cluster's folder, with its keys, queues and logs")
	return cmd
}

func runClusterStop(ctx context.Context, name string, remove bool, stdout, stderr io.Writer) error {
	folder, err := cluster.Folder(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return notRunning(name, err)
	}
	// The controller starts no more engines.
	if err := os.WriteFile(stoppingFile(folder), nil, 0o600); err != nil {
		return err
	}
	n, err := cancelLaunched(ctx, folder, false)
	ended := stopRunning(ctx, name, folder, remove, stderr)
	if n > 0 && errors.Is(ended, errNotRunning) {
		ended = nil // there were jobs to cancel all the same
	}
	err = errors.Join(err, ended)
	if err == nil {
		_, err = cancelLaunched(ctx, folder, true) // and what was being started meanwhile
	}
	if err == nil { // engines leave the cluster before they and their tasks have ended
		err = remain(awaitEnd(ctx, folder, enginePatience))
	}
	if err == nil {
		err = os.RemoveAll(noteFolder(folder)) // what those that were killed have left
	}
	if err == nil && remove {
		if conn, ok := siteOf(folder); ok {
			err = controller.Clear(ctx, conn)
		}
		if err == nil {
			err = os.RemoveAll(folder)
		}
	}
	if err != nil {
		return err
	}
	out := newTerminal(stdout)
	out.printf("cluster %s: stopped\n", name)
	return out.err
}

// stopRunning stops the engines that are there, and the controller.
func stopRunning(ctx context.Context, name, folder string, remove bool, stderr io.Writer) error {
	looking, cancel := context.WithTimeout(ctx, startPatience)
	s, err := lookAt(looking, name)
	cancel()
	if err == nil {
		if _, err = cluster.Find(name); err == nil {
			return stopCluster(ctx, name, s)
		}
	}
	if ctx.Err() != nil {
		return err
	}
	return stopBySignals(ctx, name, folder, remove, err, stderr)
}

// stopBySignals ends the processes of this machine of a cluster that could not be asked. The folder of
// one with a controller elsewhere must stay.
func stopBySignals(ctx context.Context, name, folder string, remove bool, asked error, stderr io.Writer) error {
	running, err := controller.Running(folder)
	if err != nil {
		return err
	}
	if !running && len(localEngines(folder)) == 0 {
		if remove && !errors.Is(asked, cluster.ErrRefused) { // then somebody answers, from elsewhere
			return nil
		}
		return notRunning(name, asked)
	}
	out := newTerminal(stderr)
	if running {
		pid := controllerPID(folder)
		cannot := fmt.Errorf("the controller of cluster %s, process %d, is running but cannot be asked: %w; end it first", name, pid, asked)
		if pid == 0 || !strings.Contains(commandLine(pid), " controller ") {
			return cannot // it is of another machine
		}
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Signal(syscall.SIGTERM)
		}
		for deadline := time.Now().Add(startPatience); err == nil && running; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) || ctx.Err() != nil {
				return cannot
			}
			running, err = controller.Running(folder)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", cannot, err)
		}
		out.note(fmt.Sprintf("the controller could not be asked (%v); it has got SIGTERM", asked))
	}
	n, err := endEngines(ctx, folder)
	out.note(fmt.Sprintf("without a controller %s of this machine got SIGTERM; others end when they have waited for one for --grace", plural(n, "engine")))
	return err
}

// stopPatience is how long an engine may take to say that it will end.
const stopPatience = 2 * time.Second

func stopCluster(ctx context.Context, name string, s cluster.Status) error {
	conn, err := cluster.Find(name)
	if err != nil {
		return err
	}
	engines, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	// One that is frozen, or has gone meanwhile, does not answer; one that stays is found below.
	ids := make([]string, len(s.Engines))
	for i, e := range s.Engines {
		ids[i] = e.ID
	}
	asked, done := context.WithTimeout(engines, stopPatience)
	_ = cluster.StopEngines(asked, conn, ids...)
	done()
	folder, err := cluster.Folder(name)
	if err != nil {
		return err
	}
	w := &watcher{folder: folder}
	defer w.close()
	var stays error
	for stays == nil {
		if s, err = w.look(engines); err != nil || len(s.Engines) == 0 {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-engines.Done():
			stays = fmt.Errorf("%s of cluster %s did not end: %w", plural(len(s.Engines), "engine"), name, context.Cause(engines))
		}
	}
	// The controller ends whatever the engines did: without it they end, too.
	ctx, cancel = context.WithTimeout(ctx, startPatience)
	defer cancel()
	here, err := controller.Running(folder)
	if err != nil {
		return errors.Join(stays, err)
	}
	here = here || conn.Site()
	if err := cluster.StopController(ctx, conn); err != nil && !(conn.Site() && errors.Is(err, cluster.ErrNobody)) {
		return errors.Join(stays, err)
	}
	w.close()
	for {
		if here { // it has the folder locked until its end; servers of a site stay
			if running, err := controller.Running(folder); err != nil || !running {
				return errors.Join(stays, err)
			}
		} else if _, err := lookAt(ctx, name); err != nil {
			return stays
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the controller of cluster %s did not end: %w", name, context.Cause(ctx))
		}
	}
}

func newClusterEngine() *cobra.Command {
	var (
		cfg        engine.Config
		file, life string
	)
	cmd := &cobra.Command{
		Use:   "engine [NAME]",
		Short: "Be an engine of a cluster, until it is stopped",
		Long: `Engine takes tasks from a cluster and runs them in child processes. The command goes on
until it gets SIGTERM or Ctrl-C, the cluster is stopped, or the controller stays away for
longer than --grace. It hands back what it has not begun and delivers what it has finished.

On another machine it needs nothing but this program and a copy of the file engine.json of the
cluster's folder.`,
		Example: `  parade cluster engine lab --slots 8
  parade cluster engine --connection engine.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" && len(args) > 0 {
				return usagef("--connection already says which cluster; leave out %q", args[0])
			}
			if cfg.Slots < 0 || cfg.Threads < 0 {
				return usagef("--slots and --threads must not be negative")
			}
			folder := ""
			if file == "" {
				name, err := clusterName(args)
				if err != nil {
					return err
				}
				if folder, err = cluster.Folder(name); err != nil {
					return err
				}
				file = filepath.Join(folder, cluster.RoleEngine+".json")
			}
			if cfg.Batch == "" {
				cfg.Batch = launch.Here(os.Getenv)
			}
			var err error
			if cfg.Connection, err = cluster.Load(file); err != nil {
				return &inputError{err}
			}
			if role := cfg.Connection.Role; role != cluster.RoleEngine {
				return usagef("%s is a connection for the role %s; take %s.json, of the same folder", file, role, cluster.RoleEngine)
			}
			ctx := cmd.Context()
			if life != "" {
				var done context.CancelFunc
				ctx, done = whileInput(ctx, cmd.InOrStdin())
				defer done()
			}
			if folder != "" { // stop finds it there
				release, err := noteEngine(folder)
				if err != nil {
					return err
				}
				defer release()
			}
			return engine.Run(ctx, cfg)
		},
	}
	cmd.Flags().StringVar(&file, "connection", "", "connection file, if the cluster is not of this machine")
	cmd.Flags().IntVar(&cfg.Slots, "slots", 0, "tasks at a time (default the cores granted)")
	cmd.Flags().IntVar(&cfg.Threads, "threads", 0, "threads of each task (default the cores divided by the slots)")
	offerFlags(cmd, &cfg.Labels, &cfg.Resources)
	cmd.Flags().DurationVar(&cfg.Idle, "idle-timeout", 0, "end after having had nothing to do for so long (default never)")
	cmd.Flags().StringVar(&cfg.Batch, "batch", "", "what has started it")
	_ = cmd.Flags().MarkHidden("batch") // it is there: defined above
	lifeFlag(cmd, &life)
	cmd.Flags().DurationVar(&cfg.Grace, "grace", 10*time.Minute, "how long to wait for a controller that is gone")
	return cmd
}

// offerFlags are the flags for what jobs may require of an engine.
func offerFlags(cmd *cobra.Command, labels, resources *[]string) {
	cmd.Flags().StringSliceVar(labels, "label", nil, "what jobs may require of the engine, such as gpu; any number")
	cmd.Flags().StringSliceVar(resources, "resource", nil, "`NAME=AMOUNT` of what the tasks of jobs that require it share, such as mem=64G or license=2; any number")
}

func newClusterController() *cobra.Command {
	var (
		cfg        controller.Config
		at         site
		file, life string
	)
	cmd := &cobra.Command{
		Use:   "controller [NAME]",
		Short: "Be the controller of a cluster, until it is stopped",
		Long: `Controller is what "parade cluster start" starts in the background: the place where clients
and engines of a cluster meet. Run it yourself to have it under a supervisor.

With a NATS of your site's it only keeps house, has no state, and may run on several machines:
--connection is a copy of the file client.json from the cluster's folder.`,
		Example: `  parade cluster controller lab --listen 0.0.0.0:4222
  parade cluster controller lab --nats tls://nats1:4222,tls://nats2:4222 --nats-creds lab.creds --replicas 3
  parade cluster controller --connection client.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			there, err := at.check()
			if err != nil {
				return err
			}
			if there && (cfg.Listen != "" || cfg.Sync) {
				return usagef("--listen and --sync are for a server of the cluster's own, not for --nats")
			}
			if file != "" {
				if there || cfg.Listen != "" || len(args) > 0 {
					return usagef("--connection already says which cluster, and where it is")
				}
				conn, err := cluster.Load(file)
				if err != nil {
					return &inputError{err}
				}
				return keepHouse(cmd, controller.KeepConfig{Connection: conn}, life)
			}
			if cfg.Name, err = clusterName(args); err != nil {
				return err
			}
			folder, err := cluster.Folder(cfg.Name)
			if err != nil {
				return err
			}
			conn, known := siteOf(folder)
			if there {
				if conn, err = at.connection(cfg.Name); err != nil {
					return err
				}
			}
			if there || known {
				return keepHouse(cmd, controller.KeepConfig{Connection: conn, Folder: folder}, life)
			}
			c, err := controller.Start(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "cluster %s listens at %s\n", cfg.Name, strings.Join(c.URLs(), " "))
			return untilAsked(cmd, c, cfg.Name, folder, life)
		},
	}
	cmd.Flags().StringVar(&cfg.Listen, "listen", "", "address and port to listen at (default a port of the loopback interface)")
	cmd.Flags().BoolVar(&cfg.Sync, "sync", false, "write each parcel of tasks to disk before it counts as stored")
	cmd.Flags().StringVar(&file, "connection", "", "connection file of a client, to keep house in a cluster at a site's NATS")
	at.add(cmd.Flags())
	lifeFlag(cmd, &life)
	return cmd
}

// keepHouse is the controller of a cluster whose servers are a site's.
func keepHouse(cmd *cobra.Command, cfg controller.KeepConfig, life string) error {
	k, err := controller.Keep(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "cluster %s is kept at %s\n", cfg.Connection.Cluster, strings.Join(cfg.Connection.URLs, " "))
	return untilAsked(cmd, k, cfg.Connection.Cluster, cfg.Folder, life)
}

// untilAsked waits for the end of the command's context, until a client asks for it, or for the end of
// the input if life says what to do then. Meanwhile engines follow the demand, if they are to, in a
// cluster that has a folder here.
func untilAsked(cmd *cobra.Command, c interface {
	Asked() <-chan struct{}
	Close() error
}, name, folder, life string) error {
	input := cmd.InOrStdin()
	if life == "" {
		input = nil
	}
	running, end := whileInput(cmd.Context(), input)
	var following sync.WaitGroup
	if folder != "" {
		if err := os.Remove(stoppingFile(folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			end()
			return errors.Join(err, c.Close())
		}
		g := newGrounds(name, folder)
		if life != "" {
			g.starter.input = os.Stdin // its engines end with it, too
		}
		following.Go(func() {
			follow(running, g, slog.Default())
			g.watcher.close()
		})
	}
	orphaned := false
	select {
	case <-running.Done():
		orphaned = cmd.Context().Err() == nil
	case <-c.Asked():
	}
	end()
	following.Wait()
	if folder == "" || !orphaned && life != endRemove { // the command that was to remove it may be killed yet
		return c.Close()
	}
	err := errors.Join(endAll(folder), c.Close())
	if err == nil && life == endRemove {
		err = os.RemoveAll(folder)
	}
	return err
}
