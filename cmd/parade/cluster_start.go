package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/controller"
	"github.com/parade-go/parade/cluster/launch"
)

// startPatience is how long a controller, or the next of several engines, may take to come up.
const startPatience = 30 * time.Second

// engines are the settings that the flags make.
func (o clusterStart) settings() (engines, error) {
	e := engines{Launcher: o.launcher, Slots: o.slots, Options: o.options, Hosts: o.hosts, Min: o.min, Max: o.max, Idle: o.idle, Labels: o.labels, Resources: o.resources}
	if o.idle > 0 && o.max == 0 { // with a maximum the controller sees to it
		e.Arguments = append(e.Arguments, "--idle-timeout", o.idle.String())
	}
	if o.template != "" {
		data, err := os.ReadFile(o.template)
		if err != nil {
			return e, &inputError{err}
		}
		e.Template = string(data)
	}
	e.Divided = e.Launcher == localLauncher && e.Slots == 0
	e.share(max(1, o.engines, o.max))
	return e, nil
}

// watcher looks at a cluster of this user again and again.
type watcher struct {
	folder   string
	observer *cluster.Observer
}

func (w *watcher) look(ctx context.Context) (cluster.Status, error) {
	if w.observer == nil {
		conn, err := cluster.Load(filepath.Join(w.folder, cluster.RoleObserver+".json"))
		if err != nil {
			return cluster.Status{}, err
		}
		if w.observer, err = cluster.Observe(conn); err != nil {
			return cluster.Status{}, err
		}
	}
	return w.observer.Look(ctx)
}

func (w *watcher) close() {
	if w.observer != nil {
		_ = w.observer.Close()
		w.observer = nil
	}
}

// undo is what a command has begun and must end if it fails or is interrupted.
type undo struct {
	controller *detached
	engines    []started
	folder     string // that it has made
	notes      string // the cluster's folder
}

// undoPatience bounds how long the end of what was begun may take.
const undoPatience = 30 * time.Second

func (u *undo) all() error {
	ctx, cancel := context.WithTimeout(context.Background(), undoPatience)
	defer cancel()
	var errs []error
	for _, s := range u.engines {
		if s.process != nil {
			errs = append(errs, s.process.end())
		} else {
			errs = append(errs, s.cancel(ctx))
		}
	}
	if u.controller != nil {
		errs = append(errs, u.controller.end())
	}
	if u.folder != "" {
		return errors.Join(append(errs, os.RemoveAll(u.folder))...)
	}
	if len(u.engines) > 0 && errors.Join(errs...) == nil {
		errs = append(errs, changeLaunched(u.notes, func(all []launched) []launched {
			return slices.DeleteFunc(all, func(l launched) bool {
				return slices.ContainsFunc(u.engines, func(s started) bool { return s.System == l.System && s.ID == l.ID })
			})
		}))
	}
	return errors.Join(errs...)
}

func runClusterStart(ctx context.Context, name string, opts *clusterStart, stdout, stderr io.Writer) (err error) {
	folder, err := cluster.Folder(name)
	if err != nil {
		return err
	}
	settings, err := opts.settings()
	if err != nil {
		return err
	}
	s, err := newStarter(name, folder, settings)
	if err != nil {
		return err // before anything is started
	}
	if opts.print {
		plan, err := s.plan(opts.engines * max(1, len(opts.hosts)))
		if err == nil {
			_, err = io.WriteString(stdout, plan)
		}
		return err
	}
	begun := undo{notes: folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, begun.all())
		}
	}()
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		begun.folder = folder
		opts.made = true
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if opts.foreground {
		// Nobody writes: it ends with this process, however that ends.
		if s.input, opts.held, err = os.Pipe(); err != nil {
			return err
		}
		defer s.input.Close() // of the children's side this process needs none
	}
	w := &watcher{folder: folder}
	defer w.close()
	now, err := w.controller(ctx, name, *opts, s.input, &begun)
	if err != nil {
		return err
	}
	if _, ok := siteOf(folder); !ok && s.elsewhere() && !slices.ContainsFunc(now.URLs, outward) {
		if begun.controller != nil { // it ends with this command
			return usagef("engines of --launcher %s come from other machines: add --listen 0.0.0.0:0", s.Launcher)
		}
		return usagef("cluster %s listens on the loopback interface only, where engines on other machines cannot reach it: stop it, and start it with --listen 0.0.0.0:0", name)
	}
	before, err := loadEngines(folder)
	if err != nil {
		return err
	}
	if opts.max > 0 || opts.maxSet || before.Max == 0 && opts.engines > 0 {
		if err := settings.save(folder); err != nil {
			return err
		}
	}
	n := opts.engines * max(1, len(opts.hosts))
	if now, err = s.bring(ctx, n, now, w, &begun, stderr); err != nil {
		return err
	}
	out := newTerminal(stdout)
	if s.Launcher == localLauncher || n == 0 {
		out.printf("cluster %s: %s, %s, at %s\n", name, plural(len(now.Engines), "engine"), plural(now.Slots(), "slot"), strings.Join(now.URLs, " "))
	} else {
		out.printf("cluster %s: %s\n", name, s.said(begun.engines))
	}
	if opts.max > 0 {
		out.printf("cluster %s: between %d and %d engines follow what there is to do\n", name, opts.min, opts.max)
	}
	return out.err
}

// elsewhere reports whether engines may come to run on other machines.
func (s *starter) elsewhere() bool { return s.batch() || s.Launcher == launch.SSHName }

// said tells what has been started, and by what.
func (s *starter) said(all []started) string {
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.ID
	}
	switch s.Launcher {
	case mpiLauncher:
		return plural(all[0].Engines, "engine") + " started by mpiexec: " + strings.Join(ids, ", ")
	case launch.SSHName:
		return plural(len(ids), "job") + " started by ssh: " + strings.Join(ids, ", ")
	}
	return plural(len(ids), "job") + " submitted to " + s.Launcher + ": " + strings.Join(ids, ", ")
}

// controller sees to it that the cluster's controller runs, and returns what there is.
func (w *watcher) controller(ctx context.Context, name string, opts clusterStart, input *os.File, begun *undo) (cluster.Status, error) {
	_, atSite := siteOf(w.folder)
	runs := false
	var now cluster.Status
	var err error
	if len(opts.site.urls) > 0 { // before anything is started
		atSite = true
		if _, err := opts.site.connection(name); err != nil {
			return now, err
		}
	}
	if atSite { // its servers answer without a controller
		if runs, err = controller.Running(w.folder); err != nil {
			return now, err
		}
	}
	if !atSite || runs {
		looking, cancel := context.WithTimeout(ctx, startPatience)
		now, err = w.look(looking)
		cancel()
		runs = err == nil
	}
	if runs {
		said := func(flag string, given bool) bool { return given && !opts.profiled[flag] }
		if said("listen", opts.listen != "") || said("sync", opts.sync) || said("nats", len(opts.site.urls) > 0) {
			return now, usagef("cluster %s is running; --listen, --sync and --nats are for its start: stop it first", name)
		}
		return now, nil
	}
	w.close()
	args := []string{"cluster", "controller", name}
	more, err := opts.site.arguments()
	if err != nil {
		return now, err
	}
	args = append(args, more...)
	if opts.listen != "" {
		args = append(args, "--listen", opts.listen)
	}
	if opts.sync {
		args = append(args, "--sync")
	}
	if input != nil {
		life := endStop
		if opts.made {
			life = endRemove
		}
		args = append(args, "--when-input-ends", life)
	}
	d, err := detach(filepath.Join(w.folder, "controller.log"), args, input)
	if err != nil {
		return now, err
	}
	begun.controller = d
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it did not come up within %v", startPatience))
	defer cancel()
	err = d.until(ctx, func() bool {
		if controllerPID(w.folder) != d.pid { // the last that it writes
			return false
		}
		now, err = w.look(ctx)
		return err == nil
	})
	if other, running := controller.Running(w.folder); err != nil && running == nil && other && controllerPID(w.folder) != d.pid && ctx.Err() == nil {
		// Another start was first.
		begun.controller, begun.folder = nil, ""
		now, err = w.another(ctx)
	}
	if err != nil {
		return now, fmt.Errorf("the controller of cluster %s did not start: %w", name, err)
	}
	return now, nil
}

// another waits for a controller that another command has started.
func (w *watcher) another(ctx context.Context) (now cluster.Status, err error) {
	for {
		if now, err = w.look(ctx); err == nil {
			return now, nil
		}
		w.close() // its connection file may not have been whole
		if running, gone := controller.Running(w.folder); gone != nil || !running {
			return now, errors.Join(err, gone)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return now, err
		}
	}
}

// bring starts n engines. Those that are processes of this machine are waited for.
func (s *starter) bring(ctx context.Context, n int, now cluster.Status, w *watcher, begun *undo, stderr io.Writer) (cluster.Status, error) {
	bar := newProgress(newTerminal(stderr))
	defer bar.clear()
	first := len(begun.engines)
	err := s.start(ctx, n, func(one started) {
		begun.engines = append(begun.engines, one)
		bar.show("starting engines", len(begun.engines)-first, n)
	})
	here := begun.engines[first:]
	if err != nil {
		if len(here) > 0 && !isInterrupt(ctx) && s.Launcher != localLauncher {
			err = fmt.Errorf("%w; started before it: %s", err, s.said(here))
			begun.engines, begun.controller, begun.folder = nil, nil, "" // these stay, and stop ends them
		}
		return now, err
	}
	for i, one := range here {
		if one.process == nil {
			continue
		}
		// Each has its time: on a busy machine a hundred take longer than one.
		waiting, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it did not come within %v", startPatience))
		there := func() bool {
			n := 0
			for _, e := range now.Engines {
				if one.has(e) {
					n++
				}
			}
			return n >= one.Engines
		}
		err := one.process.until(waiting, func() bool {
			var err error
			if !there() {
				now, err = w.look(waiting)
			}
			return err == nil && there()
		})
		cancel()
		if err != nil {
			return now, fmt.Errorf("an engine of cluster %s did not start: %w", s.name, err)
		}
		bar.show("engines", i+1, n)
	}
	return now, nil
}

// clusterStatus is what "parade cluster status --json" prints.
type clusterStatus struct {
	cluster.Status
	Jobs []batchJob `json:"jobs,omitempty"`
}

// batchJob is what was started by way of another program.
type batchJob struct {
	System  string    `json:"system"` // ssh, mpi, or the batch system
	ID      string    `json:"id"`
	State   string    `json:"state"` // queued, running, vanished or unknown
	Engines []string  `json:"engines,omitempty"`
	At      time.Time `json:"at"`

	coming int // engines that it may still bring
}

// batchJobs says what has become of what was started for a cluster.
func batchJobs(ctx context.Context, name string, s cluster.Status) (jobs []batchJob, remarks []string, err error) {
	folder, err := cluster.Folder(name)
	if err != nil {
		return nil, nil, err
	}
	all, err := readLaunched(folder)
	if err != nil {
		return nil, nil, err
	}
	known, remarks := states(ctx, all)
	for _, l := range all {
		j := batchJob{System: l.System, ID: l.ID, State: "unknown", At: l.At}
		if state, ok := known[l.key()]; ok {
			j.State = string(state)
		}
		for _, e := range s.Engines {
			if l.has(e) {
				j.Engines = append(j.Engines, e.ID)
			}
		}
		if j.State != string(launch.Vanished) && len(j.Engines) == 0 {
			j.coming = max(1, l.Engines)
		}
		jobs = append(jobs, j)
	}
	return jobs, remarks, nil
}

// isInterrupt reports whether the user, and not a time limit, has ended ctx.
func isInterrupt(ctx context.Context) bool { return ctx.Err() != nil }
