package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/spf13/cobra"
)

// jobLine is one line of "parade jobs --json".
type jobLine struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Func    string    `json:"func"`
	Command string    `json:"command,omitempty"` // of parade run, with its placeholders
	Owner   string    `json:"owner"`
	Created time.Time `json:"created"`
	Tasks   int       `json:"tasks"`
	Done    int       `json:"done"`
	Failed  int       `json:"failed"`
	Round   int       `json:"round"`
	Error   string    `json:"error,omitempty"`
}

func newJobsCommand() *cobra.Command {
	var (
		name   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Show the named jobs of a cluster, or attach, results, cancel, retry, remove",
		Long: `Jobs lists the jobs that "parade run --detach", and programs with cluster.Submit, have
handed to a cluster by name, and that go on without them. "parade attach" waits for one and
takes its results, as cluster.Attach does in a program.

States are submitting, waiting (no engine could take any of it), running, done, failed (some tasks have no result, or no engine can
run it) and cancelled. Tasks that failed are counted after their retries; "parade retry" begins
another round.`,
		Example: `  parade jobs --cluster lab
  parade jobs --json | jq -r 'select(.state == "failed").name'
  parade jobs cancel study-1 study-2
  parade attach study-3`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runJobs(cmd.Context(), name, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.PersistentFlags().StringVar(&name, "cluster", defaultCluster, "the cluster's `name`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per job")
	cmd.AddCommand(jobCommands(&name)...)
	cmd.AddCommand(newJobAction(&name, "remove", "Stop jobs, and delete all there is of them", "removed", cluster.RemoveJob))
	return cmd
}

// jobCommands are the commands about jobs that have names of their own, too.
func jobCommands(clusterFlag *string) []*cobra.Command {
	return []*cobra.Command{
		newAttachCommand(clusterFlag),
		newResultsCommand(clusterFlag),
		newJobAction(clusterFlag, "cancel", "Stop jobs; their results stay, and retry goes on with them", "cancelled", cluster.CancelJob),
		newRetryCommand(clusterFlag),
	}
}

// newJobCommands makes "parade attach" and so on.
func newJobCommands() []*cobra.Command {
	name := new(string)
	all := jobCommands(name)
	for _, cmd := range all {
		cmd.Flags().StringVar(name, "cluster", defaultCluster, "the cluster's `name`")
	}
	return all
}

// someJobs wants names of jobs.
func someJobs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s needs the name of a job, or several", cmd.CommandPath())
	}
	for _, name := range args {
		if err := cluster.ValidJob(name); err != nil {
			return usagef("job: %w", err)
		}
	}
	return nil
}

func newJobAction(name *string, verb, short, done string, act func(context.Context, cluster.Connection, string) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " JOB...",
		Short:   short,
		Example: fmt.Sprintf("  parade jobs %s study-1 study-2 --cluster lab", verb),
		Args:    someJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), startPatience)
			defer cancel()
			conn, err := clientOf(*name)
			if err != nil {
				return err
			}
			out := newTerminal(cmd.OutOrStdout())
			var errs []error
			for _, job := range args {
				err := act(ctx, conn, job)
				if errors.Is(err, cluster.ErrAway) { // for the others, too
					return errors.Join(append(errs, unanswered(*name, err))...)
				}
				if err != nil {
					errs = append(errs, err)
					continue
				}
				out.printf("job %s: %s\n", job, done)
			}
			return errors.Join(append(errs, out.err)...)
		},
	}
}

// unanswered says of a cluster that does not answer how to have it go on.
func unanswered(name string, err error) error {
	if errors.Is(err, cluster.ErrAway) {
		return notRunning(name, err)
	}
	return err
}

// isIdle tells whether a job waits for its first result.
func isIdle(j cluster.Job) bool { return j.State() == "running" && j.Done+j.Failed == 0 }

// whyWaiting says why a job waits of which no engine has anything, "" if one could take it.
func whyWaiting(engines []cluster.Engine, j cluster.Job) string {
	q := cluster.Queue{Requires: j.Requires}
	switch {
	case !isIdle(j), slices.ContainsFunc(engines, func(e cluster.Engine) bool { return e.Takes(q) > 0 }):
		return ""
	case len(engines) == 0:
		return "the cluster has no engines; it waits for one"
	case len(j.Requires) == 0 && slices.ContainsFunc(engines, func(e cluster.Engine) bool { return e.Running > 0 }):
		return "" // one that ends may have it
	case len(j.Requires) == 0:
		return "no engine of the cluster takes tasks any more; it waits for another"
	}
	return fmt.Sprintf("no engine of the cluster has what the job requires, %s; it waits for one", strings.Join(j.Requires, " "))
}

// hintAtWaiting tells people why nothing happens with a job.
func hintAtWaiting(stderr io.Writer, engines []cluster.Engine, j cluster.Job) {
	if why := whyWaiting(engines, j); why != "" {
		newTerminal(stderr).printf("parade: job %s: %s\n", j.Name, why)
	}
}

// clientOf is the connection to a cluster of this user.
func clientOf(name string) (cluster.Connection, error) {
	if _, err := clusterName([]string{name}); err != nil {
		return cluster.Connection{}, err
	}
	conn, err := cluster.Find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return conn, notRunning(name, err)
	}
	return conn, err
}

// longestCommand is how much of a command the table of jobs shows, in characters.
const longestCommand = 40

// held tells whether engines have parcels of a job. Those of an engine that is gone count until
// another asks, so that an engine has to be there that runs something.
func held(now cluster.Status, j cluster.Job) bool {
	return slices.ContainsFunc(now.Queues, func(q cluster.Queue) bool { return q.Kind == "job" && q.Name == j.Name && q.Running > 0 }) &&
		slices.ContainsFunc(now.Engines, func(e cluster.Engine) bool { return e.Running > 0 })
}

func runJobs(ctx context.Context, name string, asJSON bool, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	conn, err := clientOf(name)
	if err != nil {
		return err
	}
	jobs, err := cluster.Jobs(ctx, conn)
	var now cluster.Status
	if err == nil && slices.ContainsFunc(jobs, isIdle) {
		now, err = cluster.Look(ctx, conn)
	}
	if errors.Is(err, cluster.ErrAway) {
		return notRunning(name, err)
	}
	if err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	lines := make([]jobLine, 0, len(jobs))
	for _, j := range jobs {
		l := jobLine{
			Name: j.Name, State: j.State(), Func: j.Func, Owner: j.Owner, Created: j.Created,
			Tasks: j.Tasks, Done: j.Done, Failed: j.Failed, Round: j.Round,
		}
		if j.Err != nil {
			l.Error = j.Err.Error()
		}
		if whyWaiting(now.Engines, j) != "" && !held(now, j) {
			l.State = "waiting"
		}
		if note, err := noteOf(j); isRun(j) && err == nil { // else another version has to say it
			l.Command = note.Spec.Template.String()
		}
		lines = append(lines, l)
	}
	if asJSON {
		return writeJSONLines(stdout, lines)
	}
	out := newTerminal(stdout)
	if len(lines) == 0 {
		out.printf("cluster %s has no jobs\n", name)
		return out.err
	}
	rows := [][]string{{"job", "state", "runs", "owner", "tasks", "done", "failed", "age"}}
	for _, l := range lines {
		rows = append(rows, []string{l.Name, l.State, shown(cmp.Or(l.Command, l.Func), longestCommand), l.Owner, count(l.Tasks), count(l.Done), count(l.Failed),
			ago(l.Created)})
	}
	out.table("llllrrrr", rows)
	return out.err
}
