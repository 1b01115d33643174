package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/launch"
	"github.com/parade-go/parade/internal/program"
)

// localLauncher starts engines on this machine.
const localLauncher = "local"

// launched is a batch job that this command has submitted.
type launched struct {
	System string    `json:"system"`
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
}

func launchedFile(folder string) string { return filepath.Join(folder, "launched.jsonl") }

// scripted fills the template for the engines of a cluster.
func (o clusterStart) scripted(name, folder string) (launch.System, string, error) {
	system, err := launch.Find(o.launcher)
	if err != nil {
		return system, "", &usageError{err}
	}
	program, err := os.Executable()
	if err != nil {
		return system, "", err
	}
	text := ""
	if o.template != "" {
		data, err := os.ReadFile(o.template)
		if err != nil {
			return system, "", &inputError{err}
		}
		text = string(data)
	}
	slots := max(1, o.slots)
	script, err := system.Script(launch.Job{
		Cluster: name, Slots: slots, Log: filepath.Join(folder, "engine-"+o.launcher+".log"), Options: o.options,
		Command: append([]string{
			program, "cluster", "engine", "--connection", filepath.Join(folder, cluster.RoleEngine+".json"), "--slots", strconv.Itoa(slots),
		}, o.offer()...),
	}, text)
	return system, script, err
}

// launchEngines submits a job for each engine, and keeps their ids.
func launchEngines(ctx context.Context, name, folder string, o clusterStart, s cluster.Status, stdout io.Writer) error {
	if _, ok := siteOf(folder); !ok && !slices.ContainsFunc(s.URLs, outward) {
		return usagef("cluster %s listens on the loopback interface only, where engines on other machines cannot reach it: stop it, and start it with --listen 0.0.0.0:0", name)
	}
	submit, where, err := o.submitter(name, folder)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(launchedFile(folder), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var ids []string
	for i := range o.engines * max(1, len(o.hosts)) {
		id, err := submit(ctx, i)
		if err != nil {
			return fmt.Errorf("%w; started before it: %s", err, strings.Join(ids, ", "))
		}
		ids = append(ids, id)
		if err := json.NewEncoder(f).Encode(launched{o.launcher, id, time.Now()}); err != nil {
			return fmt.Errorf("%s of %s runs, but could not be noted: %w", id, o.launcher, err)
		}
	}
	out := newTerminal(stdout)
	out.printf("cluster %s: %s %s: %s\n", name, plural(len(ids), "job"), where, strings.Join(ids, ", "))
	return out.err
}

// submitter returns what starts engine number i, and returns its id.
func (o clusterStart) submitter(name, folder string) (submit func(ctx context.Context, i int) (string, error), where string, err error) {
	if o.launcher != launch.SSHName {
		system, script, err := o.scripted(name, folder)
		return func(ctx context.Context, _ int) (string, error) { return system.Submit(ctx, script) }, "submitted to " + o.launcher, err
	}
	connection, err := os.ReadFile(filepath.Join(folder, cluster.RoleEngine+".json"))
	if err != nil {
		return nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	hash, err := program.Sum()
	if err != nil {
		return nil, "", err
	}
	engine := launch.SSH{Program: self, Hash: hash, Connection: connection, Cluster: name}
	if o.slots > 0 {
		engine.Arguments = []string{"--slots", strconv.Itoa(o.slots)}
	}
	engine.Arguments = append(engine.Arguments, o.offer()...)
	return func(ctx context.Context, i int) (string, error) {
		engine := engine
		engine.Host = o.hosts[i/o.engines]
		return engine.Start(ctx)
	}, "started by ssh", nil
}

// outward reports whether a URL can be reached from other machines.
func outward(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// cancelLaunched cancels what batch systems still have of a cluster. Jobs that have
// ended are none of its business, and batch systems say so in many ways.
func cancelLaunched(ctx context.Context, folder string) (remarks []string, err error) {
	f, err := os.Open(launchedFile(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l launched
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			remarks = append(remarks, fmt.Sprintf("%s has a line that is none: %q", f.Name(), lines.Text()))
			continue
		}
		if err := l.cancel(ctx); err != nil {
			remarks = append(remarks, fmt.Sprintf("job %s: %v", l.ID, err))
		}
	}
	return remarks, os.Remove(f.Name())
}

func (l launched) cancel(ctx context.Context) error {
	if l.System == launch.SSHName {
		return launch.StopSSH(ctx, l.ID)
	}
	system, err := launch.Find(l.System)
	if err != nil {
		return err
	}
	return system.Cancel(ctx, l.ID)
}
