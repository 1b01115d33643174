package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/command"
	"github.com/spf13/cobra"
)

func newResultsCommand(clusterFlag *string) *cobra.Command {
	var asJSON, failedOnly bool
	cmd := &cobra.Command{
		Use:   "results JOB",
		Short: "What there is of a job's results now, without waiting",
		Long: `Results shows what has become of a job's tasks so far, in the order of the inputs, and does
not wait for the others: "parade attach" does.

Of a job of "parade run" that is the outcome of each command and what it printed; --json gives
the objects of "parade run --json". Of a job of a program it is each task's state with its
result, if that is a bool, a number, a text, or a list of these, and otherwise its type and
size; or its error. --json has index, state, type, bytes, value, error, kind, attempt and
worker; a value is itself JSON, but NaN, infinite and complex numbers are texts.`,
		Example: `  parade results study --cluster lab
  parade results study --failed
  parade results study --json | jq .value`,
		Args: oneJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := clientOf(*clusterFlag)
			if err != nil {
				return err
			}
			return unanswered(*clusterFlag, showResults(cmd.Context(), conn, args[0], asJSON, failedOnly, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().BoolVar(&failedOnly, "failed", false, "only of tasks that failed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per task")
	return cmd
}

func showResults(ctx context.Context, conn cluster.Connection, name string, asJSON, failedOnly bool, stdout, stderr io.Writer) error {
	look, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	j, err := cluster.FindJob(look, conn, name)
	if err != nil {
		return err
	}
	show := showValues
	if isRun(j) {
		show = showCommands
	}
	out := bufio.NewWriterSize(stdout, 64<<10)
	err = show(ctx, conn, j, asJSON, failedOnly, out)
	if failed := out.Flush(); err == nil {
		err = failed
	}
	if err == nil && j.Err != nil {
		err = fmt.Errorf("job %s: %w", name, j.Err)
	}
	if err == nil && !asJSON {
		newTerminal(stderr).printf("parade: job %s (%s): %s\n", name, j.State(), jobCounts(j))
	}
	return err
}

// showCommands shows the results of a job of parade run.
func showCommands(ctx context.Context, conn cluster.Connection, j cluster.Job, asJSON, failedOnly bool, out *bufio.Writer) error {
	note, err := noteOf(j)
	if err != nil {
		return err
	}
	client, err := cluster.Connect(ctx, conn)
	if err != nil {
		return err
	}
	defer client.Close()
	l := &loop{spec: note.Spec}
	show := func(res *command.Result) error {
		if asJSON {
			return writeJSON(out, res)
		}
		fmt.Fprintf(out, "task %d: %s: %s\n", res.Seq, shown(res.Outcome(), 1000), shown(res.Command, 1000))
		if err := copyOutput(out, res.Stdout, "  "); err != nil {
			return err
		}
		return copyOutput(out, res.Stderr, "  stderr: ")
	}
	var held heldResults
	for r := range cluster.Results(ctx, client, j.Name, parade.Bind(command.Run, command.Spec{})) {
		if r.Index < 0 {
			return r.Err
		}
		res, err := command.ResultOf(r.Result)
		if err != nil {
			in := command.Input{Seq: r.Index + 1}
			if r.Input != nil {
				in = *r.Input
			}
			res = l.faulted(in, err)
		}
		kept := &res
		if failedOnly && res.Exit == 0 {
			kept = nil
		}
		held.put(r.Index, kept)
		for res, ok := held.next(); ok; res, ok = held.next() {
			if res == nil {
				continue
			}
			if err := show(res); err != nil {
				return err
			}
		}
	}
	for _, res := range held.rest() {
		if res == nil {
			continue
		}
		if err := show(res); err != nil {
			return err
		}
	}
	return nil
}

// valueLine is a task in "parade results --json" of a job of a program.
type valueLine struct {
	Index   int             `json:"index"`
	State   string          `json:"state"`
	Type    string          `json:"type,omitempty"`
	Bytes   int             `json:"bytes"` // of the encoded result
	Value   json.RawMessage `json:"value,omitempty"`
	Error   string          `json:"error,omitempty"`
	Kind    string          `json:"kind,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	Worker  string          `json:"worker,omitempty"`

	text string // the value for people
}

// longestValue is how much of a value is shown to people, in characters.
const longestValue = 200

// showValues shows the results of a job of a program.
func showValues(ctx context.Context, conn cluster.Connection, j cluster.Job, asJSON, failedOnly bool, out *bufio.Writer) error {
	var lines []valueLine
	for t, err := range cluster.Tasks(ctx, conn, j.Name) {
		if err != nil {
			return err
		}
		l := valueLine{Index: t.Index, State: "done", Type: j.Result, Bytes: t.Size}
		switch {
		case t.Err != nil:
			l = valueLine{Index: t.Index, State: "failed", Kind: t.Err.Kind.String(), Attempt: t.Err.Attempt, Worker: t.Err.Worker, Error: faultText(t.Err)}
		case failedOnly:
			continue
		case t.Printable:
			l.Value, l.text = t.JSON, t.Value
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b valueLine) int { return cmp.Compare(a.Index, b.Index) })
	if asJSON {
		return writeJSONLines(out, lines)
	}
	for _, l := range lines {
		text := ""
		switch {
		case l.State == "failed":
			text = shown(l.Error, 1000)
		case l.Value != nil:
			text = shown(l.text, longestValue)
		default:
			text = fmt.Sprintf("%s of %s", size(float64(l.Bytes)), l.Type)
		}
		fmt.Fprintf(out, "task %d: %s: %s\n", l.Index, l.State, text)
	}
	return nil
}

func newRetryCommand(clusterFlag *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry JOB...",
		Short: "Run a job's failed tasks again, or go on with one that was cancelled",
		Long: `Retry runs again the tasks of a job that have failed so far, and goes on with a job that was
cancelled. Tasks that have a result are not run again, with --failed or without, which is
the same. The cluster has the inputs: the program that submitted the job is not needed,
nor are its lists. Retry returns at once; "parade attach" gets the results.`,
		Example: `  parade retry study --cluster lab
  parade retry swift-heron-042 --failed && parade attach swift-heron-042`,
		Args: someJobs,
	}
	cmd.Flags().Bool("failed", true, "what it does anyway: only those that failed, or were never run")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if failed, _ := cmd.Flags().GetBool("failed"); !failed {
			return usagef("the inputs of tasks that have a result are not kept; to run all again, submit the job again")
		}
		conn, err := clientOf(*clusterFlag)
		if err != nil {
			return err
		}
		client, err := cluster.Connect(cmd.Context(), conn)
		if err != nil {
			return unanswered(*clusterFlag, err)
		}
		out := newTerminal(cmd.OutOrStdout())
		var errs []error
		for _, name := range args {
			switch n, err := cluster.Retry(cmd.Context(), client, name); {
			case err != nil:
				errs = append(errs, err)
			case n == 0:
				out.printf("job %s: no task has failed\n", name)
			default:
				out.printf("job %s: %s to run again\n", name, plural(n, "task"))
			}
		}
		errs = append(errs, client.Close(), out.err)
		return errors.Join(errs...)
	}
	return cmd
}
