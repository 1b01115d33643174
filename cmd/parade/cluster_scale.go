package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/spf13/cobra"
)

func newClusterScale() *cobra.Command {
	return &cobra.Command{
		Use:   "scale [NAME] N",
		Short: "Start or stop engines until there are N",
		Long: `Scale starts engines, in the way of the last start, or ends some. Jobs that a batch system
still has in its queue are cancelled first, then engines with nothing to do end, the newest first, and
then others, when they have finished what they run.

It counts engines that are there and those that are to come. Of a cluster with --max it says how many
there are for the moment.`,
		Example: `  parade cluster scale 8
  parade cluster scale lab 0`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return usagef("write how many engines there are to be, such as \"parade cluster scale lab 8\"")
			}
			n, err := strconv.Atoi(args[len(args)-1])
			if err != nil || n < 0 {
				return usagef("%q is not a number of engines", args[len(args)-1])
			}
			name, err := clusterName(args[:len(args)-1])
			if err != nil {
				return err
			}
			return runClusterScale(cmd.Context(), name, n, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func runClusterScale(ctx context.Context, name string, n int, stdout, stderr io.Writer) (err error) {
	folder, err := cluster.Folder(name)
	if err != nil {
		return err
	}
	w := &watcher{folder: folder}
	defer w.close()
	looking, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	now, err := w.look(looking)
	if err != nil {
		return notRunning(name, err)
	}
	jobs, remarks, err := batchJobs(looking, name, now)
	if err != nil {
		return err
	}
	for _, r := range remarks {
		newTerminal(stderr).note(r)
	}
	coming := 0
	for _, j := range jobs {
		coming += j.coming
	}
	stay := staying(now.Engines)
	out := newTerminal(stdout)
	switch more := n - len(stay) - coming; {
	case more > 0:
		settings, err := loadEngines(folder)
		if err != nil {
			return err
		}
		settings.share(n)
		s, err := newStarter(name, folder, settings)
		if err != nil {
			return err
		}
		begun := undo{notes: folder}
		if _, err := s.bring(ctx, more, now, w, &begun, stderr); err != nil {
			return fmt.Errorf("%w%s", err, sayEnd(begun.all()))
		}
		out.printf("cluster %s: %s more, %d in all\n", name, plural(more, "engine"), n)
	case more < 0:
		cancelled, retired, err := reduce(ctx, name, folder, -more, stay, jobs)
		if err != nil {
			return err
		}
		var parts []string
		if cancelled > 0 {
			parts = append(parts, plural(cancelled, "job")+" cancelled")
		}
		if retired > 0 {
			parts = append(parts, plural(retired, "engine")+" to end after what runs")
		}
		out.printf("cluster %s: %s, %d stay\n", name, strings.Join(parts, ", "), n)
	default:
		out.printf("cluster %s: there are %d engines\n", name, n)
	}
	return out.err
}

func sayEnd(err error) string {
	if err == nil {
		return ""
	}
	return "; and what had been started could not be ended: " + err.Error()
}

// reduce ends n engines: those that have not come, by cancelling their jobs, and then others.
func reduce(ctx context.Context, name, folder string, n int, engines []cluster.Engine, jobs []batchJob) (cancelled, retired int, err error) {
	all, err := readLaunched(folder)
	if err != nil {
		return 0, 0, err
	}
	var queued []launched
	for i := len(jobs) - 1; i >= 0 && n > 0; i-- { // the newest first
		if jobs[i].coming == 0 || jobs[i].coming > n {
			continue
		}
		for _, l := range all {
			if l.System == jobs[i].System && l.ID == jobs[i].ID {
				queued = append(queued, l)
				n -= jobs[i].coming
			}
		}
	}
	if err := cancel(ctx, folder, queued); err != nil {
		return 0, 0, err
	}
	ids := leaving(engines, n)
	if len(ids) == 0 {
		return len(queued), 0, nil
	}
	conn, err := cluster.Find(name)
	if err != nil {
		return len(queued), 0, err
	}
	asked, done := context.WithTimeout(ctx, stopPatience)
	defer done()
	if err := cluster.RetireEngines(asked, conn, ids...); err != nil {
		return len(queued), 0, err
	}
	return len(queued), len(ids), nil
}

// staying are the engines that do not end already.
func staying(all []cluster.Engine) []cluster.Engine {
	return slices.DeleteFunc(slices.Clone(all), func(e cluster.Engine) bool { return e.Slots == 0 })
}

// leaving chooses n engines to end: those with nothing to do, and then those with the least; of them
// the newest.
func leaving(all []cluster.Engine, n int) []string {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b cluster.Engine) int {
		return cmp.Or(cmp.Compare(a.Running, b.Running), b.Started.Compare(a.Started), strings.Compare(a.ID, b.ID))
	})
	var ids []string
	for _, e := range all[:min(n, len(all))] {
		ids = append(ids, e.ID)
	}
	return ids
}

// defaultIdle is how long an engine that came on demand may have nothing to do.
const defaultIdle = 5 * time.Minute
