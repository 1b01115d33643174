package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/command"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// attachOptions are the flags of "parade attach".
type attachOptions struct {
	cluster *string
	run     runOptions // of these, what is printed and where
}

func newAttachCommand(clusterFlag *string) *cobra.Command {
	a := &attachOptions{cluster: clusterFlag}
	cmd := &cobra.Command{
		Use:   "attach JOB",
		Short: "Wait for a job, and take its results as if it had never been left",
		Long: `Attach waits for a job of a cluster and does what the command that handed it over would
have done had it stayed: for one of "parade run --detach" it prints what the tasks print,
writes the files of --results and the joblog, shows progress, sums up, and ends with the same
exit codes. It begins with the first task, whatever was printed before, and works while the
job runs and afterwards, any number of times, from any machine that has the cluster's
connection file. A joblog gets each task once.

The flags that say what is printed are those of the job, unless they are given here.

Ctrl-C lets go of the job, which goes on, and ends with 130. "parade cancel" stops it.

Of a job that a program has submitted, attach shows the progress until its end. Its results
are values of that program, which gets them with cluster.Attach; "parade results" shows those
that can be printed.`,
		Example: `  parade attach swift-heron-042 --cluster lab
  job=$(parade run --on cluster:lab --detach ./analyse.sh ::: sub-*); parade attach "$job" --cluster lab
  parade attach study --json | jq -r 'select(.exit != 0).args[0]'`,
		Args: oneJob,
	}
	f := cmd.Flags()
	f.SortFlags = false
	o := &a.run
	f.BoolVarP(&o.keepOrder, "keep-order", "k", false, "print in the order of the inputs")
	f.BoolVar(&o.tag, "tag", false, "begin each line with the input and a tab")
	f.StringVar(&o.tagstring, "tagstring", "", "begin each line with this `text`, which may have placeholders, and a tab")
	f.StringVar(&o.results, "results", "", "print nothing, save it in this `folder`, or in files of a name with placeholders")
	f.BoolVar(&o.json, "json", false, "print one JSON object per task")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print each command before its output")
	f.StringVar(&o.joblog, "joblog", "", "`file` with a line per task that ended, and beside it FILE.journal")
	f.BoolVar(&o.noProgress, "no-progress", false, "show neither progress nor a summary; failures are shown")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return unanswered(*a.cluster, a.attach(cmd.Context(), f, args[0]))
	}
	return cmd
}

// oneJob wants the name of a job.
func oneJob(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s needs the name of one job", cmd.CommandPath())
	}
	return someJobs(cmd, args)
}

// leftError is why an attached command ends before its job.
type leftError struct {
	cause     error
	job, from string
}

func (e *leftError) Error() string {
	return fmt.Sprintf("%v; job %s goes on, and \"parade attach %[2]s --cluster %s\" waits for it again", e.cause, e.job, e.from)
}
func (e *leftError) Unwrap() error { return e.cause }

func (a *attachOptions) attach(ctx context.Context, f *pflag.FlagSet, name string) error {
	if err := refuseEmpty(f); err != nil {
		return err
	}
	if _, err := a.run.checkPrinting(); err != nil {
		return err
	}
	conn, err := clientOf(*a.cluster)
	if err != nil {
		return err
	}
	look, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	j, err := cluster.FindJob(look, conn, name)
	if err != nil {
		return err
	}
	if !isRun(j) {
		return a.watch(ctx, f, conn, j)
	}
	note, err := noteOf(j)
	if err != nil {
		return err
	}
	if err := a.settle(f, note); err != nil {
		return err
	}
	client, err := cluster.Connect(ctx, conn)
	if err != nil {
		return err
	}
	err = a.take(ctx, client, j, note)
	if failed := client.Close(); err == nil {
		err = failed
	}
	return err
}

// isRun tells whether a job is one of "parade run --detach".
func isRun(j cluster.Job) bool { return j.Func == command.Run.Name() && len(j.Meta) > 0 }

// noteOf reads what a run has left with its job.
func noteOf(j cluster.Job) (note jobNote, err error) {
	if err := gob.NewDecoder(bytes.NewReader(j.Meta)).Decode(&note); err != nil {
		return note, fmt.Errorf("job %s was submitted by another version of parade, which has to attach to it: %w", j.Name, err)
	}
	return note, nil
}

// settle fills in what the flags leave to the run that was detached.
func (a *attachOptions) settle(f *pflag.FlagSet, note jobNote) (err error) {
	o := &a.run
	form := f.Changed("json") || f.Changed("results")
	tagged := f.Changed("tag") || f.Changed("tagstring")
	for _, s := range []struct {
		flag string
		keep bool // what was said here goes before it
		take func()
	}{
		{"keep-order", false, func() { o.keepOrder = note.KeepOrder }},
		{"json", form, func() { o.json = note.JSON }},
		{"results", form, func() { o.results = note.Results }},
		{"tagstring", form || tagged, func() { o.tagstring = note.Tagstring }},
		{"verbose", form, func() { o.verbose = note.Verbose }},
		{"joblog", false, func() { o.joblog = note.Joblog }},
		{"no-progress", false, func() { o.noProgress = note.NoProgress }},
	} {
		if !f.Changed(s.flag) && !s.keep {
			s.take()
		}
	}
	if tagged && !form {
		o.json, o.results = false, ""
	}
	if _, err := o.checkPrinting(); err != nil {
		return err
	}
	columns := note.Spec.Template.Columns
	if o.tagstring != "" {
		if o.tags, err = command.ParseText(o.tagstring, columns); err != nil {
			return &usageError{err}
		}
	}
	if o.results != "" {
		if o.resultsDir, err = newResultsDir(o.results, columns); err != nil {
			return err
		}
		o.resultsDir.keeps = true
	}
	return nil
}

// take takes the results of a job of commands.
func (a *attachOptions) take(ctx context.Context, client *cluster.Client, j cluster.Job, note jobNote) (err error) {
	o := &a.run
	if !o.noProgress {
		hintAtWaiting(o.stderr, client.Engines(), j)
	}
	var journal *command.Journal
	if o.joblog != "" {
		if _, err := os.Stat(filepath.Dir(o.joblog)); err != nil {
			return &inputError{fmt.Errorf("the joblog of job %s, %s: its folder is not on this machine; say with --joblog where it shall be: %w", j.Name, o.joblog, reason(err))}
		}
		if journal, err = command.OpenJournal(o.joblog, note.Spec, command.JournalOptions{Resume: command.SkipEnded}); err != nil {
			return journalError(err)
		}
		journal.NameHosts()
		defer func() {
			if failed := journal.Close(); err == nil {
				err = failed
			}
		}()
	}
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	l := &loop{
		o: o, spec: note.Spec, journal: journal, begun: j.Created, attached: true, ended: true,
		retry:   fmt.Sprintf("parade retry %s --cluster %s", j.Name, *a.cluster),
		running: map[int]*runningTask{}, left: note.Left, leftFailed: note.LeftFailed, read: j.Tasks,
	}
	l.stop = func(why error) {
		l.mu.Lock()
		if l.why == nil {
			l.why = why
		}
		l.mu.Unlock()
		leave(why)
	}
	l.kill = l.stop
	l.total.Store(int64(j.Tasks + note.Left))
	bar := newRunProgress(o, l, nil)
	l.out = newPrinter(o, bar)
	l.out.keeps = true
	release := takeSignals(ctx, func(s os.Signal) {
		l.stop(&leftError{&signalError{s}, j.Name, *a.cluster})
	})
	defer release()
	bar.start()
	streamed := l.follow(ctx, client, j.Name)
	bar.end()
	if err := l.out.flush(); err != nil && l.why == nil {
		l.why = err
	}
	return l.summary(streamed)
}

// follow takes the results of a job as they come. The error is why it has not got all.
func (l *loop) follow(ctx context.Context, client *cluster.Client, name string) error {
	var held heldResults
	var streamed error
	for r := range cluster.Follow(ctx, client, name, parade.Bind(command.Run, command.Spec{})) {
		if r.Index < 0 {
			if streamed = r.Err; errors.Is(streamed, cluster.ErrCancelled) {
				streamed = fmt.Errorf("job %s: %w; %q goes on with it", name, streamed, l.retry)
			}
			if errors.Is(streamed, cluster.ErrNoJob) {
				l.retry = "" // there is nothing to run again
			}
			break
		}
		res, err := command.ResultOf(r.Result)
		if err != nil {
			in := command.Input{Seq: r.Index + 1}
			if r.Input != nil {
				in = *r.Input
			}
			res = l.faulted(in, err)
		} else if end := res.Start.Add(res.Duration); end.After(l.until) {
			l.until = end
		}
		l.settle(&res)
		l.write(&held, r.Index, &res)
	}
	for _, res := range held.rest() { // behind a task that was not run
		l.turn(res)
	}
	return streamed
}

// watch shows how a job of another program comes to its end.
func (a *attachOptions) watch(ctx context.Context, f *pflag.FlagSet, conn cluster.Connection, j cluster.Job) error {
	for _, flag := range []string{"keep-order", "tag", "tagstring", "results", "json", "verbose", "joblog"} {
		if f.Changed(flag) {
			return usagef("--%s is for jobs of parade run; %s is one of a program, and runs %q", flag, j.Name, j.Func)
		}
	}
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	var signals sync.Once
	release := takeSignals(ctx, func(s os.Signal) {
		signals.Do(func() { leave(&leftError{&signalError{s}, j.Name, *a.cluster}) })
	})
	defer release()
	out := newTerminal(a.run.stderr)
	if !a.run.noProgress && isIdle(j) {
		s, err := cluster.Look(ctx, conn)
		if err != nil {
			return err
		}
		hintAtWaiting(a.run.stderr, s.Engines, j)
	}
	show := newProgress(out)
	for now, err := range cluster.WatchJob(ctx, conn, j.Name) {
		if err != nil {
			show.clear()
			return err
		}
		j = now
		if !a.run.noProgress {
			show.show(fmt.Sprintf("job %s: %s of %s", j.Name, count(j.Done+j.Failed), count(j.Tasks)), j.Done+j.Failed, j.Tasks)
		}
	}
	show.clear()
	if !a.run.noProgress {
		out.printf("%s job %s: %s; a program gets the results with cluster.Attach(ctx, client, %q, f), f being its function %q, and \"parade results %s --cluster %s\" shows what can be printed\n",
			out.bold("parade:"), j.Name, jobCounts(j), j.Name, j.Func, j.Name, *a.cluster)
	}
	switch j.State() {
	case "cancelled":
		return fmt.Errorf("job %s: %w", j.Name, cluster.ErrCancelled)
	case "failed":
		if j.Err != nil {
			return fmt.Errorf("job %s: %w", j.Name, j.Err)
		}
		return &failedError{fmt.Sprintf("job %s: %s of %s failed; \"parade retry %s --cluster %s\" runs %s again", j.Name, count(j.Failed), plural(j.Tasks, "task"), j.Name, *a.cluster, them(j.Failed))}
	}
	return nil
}

// jobCounts says how far a job has come.
func jobCounts(j cluster.Job) string {
	text := fmt.Sprintf("%s of %s done", count(j.Done), plural(j.Tasks, "task"))
	if j.Failed > 0 {
		text += ", " + count(j.Failed) + " failed"
	}
	if left := j.Tasks - j.Done - j.Failed; left > 0 {
		text += ", " + count(left) + " without a result yet"
	}
	return text
}

// ago is how old something is.
func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() }
