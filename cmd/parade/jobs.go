package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/spf13/cobra"
)

// jobLine is one line of "parade jobs --json".
type jobLine struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Func    string    `json:"func"`
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
		Short: "The named jobs of a cluster: list, attach, results, cancel, retry, remove",
		Long: `Jobs lists the jobs that "parade run --detach", and programs with cluster.Submit, have
handed to a cluster by name, and that go on without them. "parade attach" waits for one and
takes its results, as cluster.Attach does in a program.

States are submitting, running, done, failed (some tasks have no result, or no engine can
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
				if err := act(ctx, conn, job); err != nil {
					errs = append(errs, err)
					continue
				}
				out.printf("job %s: %s\n", job, done)
			}
			return errors.Join(append(errs, out.err)...)
		},
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

func runJobs(ctx context.Context, name string, asJSON bool, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	conn, err := clientOf(name)
	if err != nil {
		return err
	}
	jobs, err := cluster.Jobs(ctx, conn)
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
	rows := [][]string{{"job", "state", "function", "owner", "tasks", "done", "failed", "age"}}
	for _, l := range lines {
		rows = append(rows, []string{l.Name, l.State, l.Func, l.Owner, count(l.Tasks), count(l.Done), count(l.Failed),
			ago(l.Created)})
	}
	out.table("llllrrrr", rows)
	return out.err
}
