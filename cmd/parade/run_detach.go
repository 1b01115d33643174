package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/command"
	"github.com/spf13/pflag"
)

// jobNote is what a detached run leaves with its job: how its results are to be written.
type jobNote struct {
	Dir              string // where it was started; paths are absolute
	Spec             command.Spec
	KeepOrder        bool
	JSON             bool
	Verbose          bool
	NoProgress       bool
	Tagstring        string
	Results          string
	Joblog           string
	Left, LeftFailed int // tasks that an earlier run had done, or failed at
}

// attended are the flags for which the command has to be there while tasks run.
var attended = []string{"halt", "delay", "load", "memfree", "bar"}

// checkDetached refuses flags that make no sense with --detach, or without it.
func (o *runOptions) checkDetached(f *pflag.FlagSet) error {
	kind, _, _ := strings.Cut(o.on, ":")
	if !o.detach {
		for _, flag := range []string{"job", "priority", "max-running"} {
			if f.Changed(flag) {
				return usagef("--%s is for --detach", flag)
			}
		}
		return nil
	}
	if kind != clusterKind {
		return usagef("--detach is for a cluster, which goes on without this command: --on cluster:NAME")
	}
	for _, flag := range attended {
		if f.Changed(flag) {
			return usagef("--%s needs this command while tasks run; leave it out, or --detach", flag)
		}
	}
	if o.job != "" {
		if err := cluster.ValidJob(o.job); err != nil {
			return usagef("--job: %w", err)
		}
	}
	if o.maxRunning < 0 {
		return usagef("--max-running %d: give 1 or more, or 0 for no bound", o.maxRunning)
	}
	return nil
}

// submit hands the run to the cluster as a job, and prints the job's name.
func (o *runOptions) submit(ctx context.Context, p runPlan) error {
	p.spec.Inline = inlineAway // also where the joblog has the rest
	var inputs []command.Input
	for in, err := range p.inputs {
		if err != nil {
			return listError(err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		inputs = append(inputs, in)
	}
	meta, err := o.leave(p)
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(o.on, ":")
	conn, err := clientOf(cmp.Or(name, defaultCluster))
	if err != nil {
		return fmt.Errorf("executor %s: %w", o.on, err)
	}
	forgetArguments()
	client, err := cluster.Connect(ctx, conn)
	if err != nil {
		return fmt.Errorf("executor %s: %w", o.on, unanswered(cmp.Or(name, defaultCluster), err))
	}
	defer client.Close()
	for tries := 0; ; tries++ {
		name := cmp.Or(o.job, madeUpName())
		err := cluster.Submit(ctx, client, name, parade.Bind(command.Run, p.spec), inputs, []parade.Option{parade.BatchSize(1)},
			cluster.Meta(meta), cluster.Priority(o.priority), cluster.MaxRunning(o.maxRunning), cluster.Require(o.requires...))
		if errors.Is(err, cluster.ErrJobExists) && o.job == "" && tries < 10 {
			continue
		}
		if stopped := (*parade.JobError)(nil); errors.As(err, &stopped) && stopped.Err != nil {
			err = stopped.Err // how many tasks were done is not the point
		}
		if err != nil {
			return err
		}
		out := newTerminal(o.stdout)
		out.printf("%s\n", name)
		hintAtWaiting(o.stderr, client.Engines(), cluster.Job{Name: name, Tasks: len(inputs), Complete: true, Requires: o.requires})
		return out.err
	}
}

// leave makes what the job has for those who attach to it.
func (o *runOptions) leave(p runPlan) ([]byte, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	absolute := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return dir + string(filepath.Separator) + path // not cleaned: it may have {//}
	}
	d := jobNote{
		Dir: dir, Spec: p.spec, KeepOrder: o.keepOrder, JSON: o.json, Verbose: o.verbose, NoProgress: o.noProgress,
		Tagstring: o.tagstring, Results: absolute(o.results), Joblog: absolute(o.joblog),
	}
	if p.journal != nil {
		d.Left, d.LeftFailed = p.journal.Left()
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(d); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// madeUpName is a name for a job that people can remember and say.
func madeUpName() string {
	first := []string{"amber", "bold", "brisk", "calm", "clear", "early", "fair", "fresh", "gentle", "green", "keen", "light", "lucid", "quick", "quiet", "silver", "sunny", "swift", "tidy", "warm"}
	second := []string{"alder", "birch", "brook", "cedar", "cove", "dune", "falcon", "fern", "fjord", "heron", "lark", "maple", "meadow", "otter", "pine", "reef", "ridge", "robin", "willow", "wren"}
	return fmt.Sprintf("%s-%s-%03d", first[rand.IntN(len(first))], second[rand.IntN(len(second))], rand.IntN(1000))
}
