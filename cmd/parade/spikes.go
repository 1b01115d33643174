package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newSpikesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spikes",
		Short: "Statistics and figures of spike trains in files",
		Long: `Spikes makes, describes and draws spike trains, with the statistics of Elephant.

Its commands take any number of files, each of which is a task of an executor:
one core (--on serial), all cores (--on threads, the default) or separate
processes (--on processes), with the same result everywhere. A file that cannot be
read is named with its row and the reason; the others are done.

Files are .csv and .tsv with a line of column names such as "train,time_ms", .npy,
.npz, .json, .nwb, and folders of Kilosort or phy. --unit is needed where a file
does not say it, and --sampling-rate where times are numbers of samples.

What is found is printed as a table, with --json as one JSON object per line.
With --out it goes to a file, in the format of its ending: .csv, .tsv, .json, .npz
or, for a figure, .png, .svg.`,
		Example: `  parade spikes generate --rate 20Hz --t-stop 60s --trains 100 -o trains.npz
  parade spikes info *.csv
  parade spikes raster trains.npz -o raster.png
  parade spikes rate --json -j 4 recordings/*.nwb | jq .rate_hz`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usagef("there is no command \"spikes %s\"; did you mean spikes %s?", args[0], strings.Join(near, " or spikes "))
			}
			return usagef("there is no command \"spikes %s\"; there are %s", args[0], strings.Join(commandNames(cmd), ", "))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(newGenerateCommand(), newInfoCommand(), newRateCommand(), newHistogramCommand(), newISICommand(), newPSTHCommand(), newRasterCommand(), newSurrogatesCommand())
	return cmd
}

// analysis is what the commands that read files share: which files, how, where
// the work is done and where the result goes.
type analysis struct {
	files  []string // as the user named them
	read   spike.ReadOptions
	worker workers
	json   bool
	out    string

	stdout, stderr io.Writer
}

// workers are the flags that say where the work is done.
type workers struct {
	on   string
	jobs int
}

func (w *workers) flags(f *pflag.FlagSet) {
	f.StringVar(&w.on, "on", "threads", "`executor`: "+strings.Join(executorKinds, ", ")+", or with a number of workers such as processes:4")
	f.IntVarP(&w.jobs, "jobs", "j", 0, "`number` of workers (default: one per core)")
}

// spec is the executor as parade.Open knows it.
func (w *workers) spec(f *pflag.FlagSet) (string, error) {
	spec := w.on
	if f.Changed("jobs") {
		if w.jobs < 1 {
			return "", usagef("--jobs %d: give 1 or more", w.jobs)
		}
		if err := checkJobs(spec, w.jobs); err != nil {
			return "", err
		}
		if spec != "serial" {
			spec = fmt.Sprintf("%s:%d", spec, w.jobs)
		}
	}
	return spec, checkExecutors([]string{spec})
}

// analysisCommand makes a command of its own flags, those that all analyses share
// and run, which is given what the latter say. endings are those of the files that
// it writes.
func analysisCommand(cmd *cobra.Command, endings []string, flags func(*pflag.FlagSet), run func(context.Context, analysis) error) *cobra.Command {
	a := new(analysis)
	f := cmd.Flags()
	f.SortFlags = false
	flags(f)
	readingFlags(f, &a.read)
	a.worker.flags(f)
	f.BoolVar(&a.json, "json", false, "print one JSON object per line")
	f.StringVarP(&a.out, "out", "o", "", "`file` to write instead of a table, ending in "+strings.Join(endings, ", "))
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s needs a file of spike trains, or several", cmd.CommandPath())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		a.files, a.stdout, a.stderr = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
		if a.worker.on, err = a.worker.spec(f); err != nil {
			return err
		}
		if err := checkOut(a.out, endings, args); err != nil {
			return err
		}
		return run(cmd.Context(), *a)
	}
	return cmd
}

// readingFlags are the flags that say how files of spike trains are read; it
// returns their names.
func readingFlags(f *pflag.FlagSet, read *spike.ReadOptions) []string {
	f.TextVar(&read.Unit, "unit", unit.Dimensionless, "`unit` of the times, such as ms, where a file does not say it")
	f.TextVar(&read.TStart, "t-start", unit.Time{}, "`time` at which the recordings begin (default: what the file says, or 0)")
	f.TextVar(&read.TStop, "t-stop", unit.Time{}, "`time` at which the recordings end (default: what the file says, or its last spike)")
	f.TextVar(&read.SamplingRate, "sampling-rate", unit.Rate{}, "`rate` of the recordings, such as 30kHz, where times are numbers of samples")
	f.StringVar(&read.TimeColumn, "time-column", "", "`name` of the column of times, where it is not the usual one")
	f.StringVar(&read.TrainColumn, "train-column", "", "`name` of the column that says the train of a spike")
	f.StringSliceVar(&read.Labels, "label", nil, "`labels` of the clusters or units wanted, such as good (default all)")
	unset(f, "unit", "t-start", "t-stop", "sampling-rate")
	return []string{"unit", "t-start", "t-stop", "sampling-rate", "time-column", "train-column", "label"}
}

// readingFlagNames puts flags in the place of the options that an error of
// spike.ReadFile names.
var readingFlagNames = strings.NewReplacer(
	": give it with ReadOptions.Unit", ": give it, for example with --unit ms, or --sampling-rate 30kHz for numbers of samples",
	"with ReadOptions.SamplingRate", "with --sampling-rate, for example --sampling-rate 30kHz",
	"ReadOptions.TStart", "--t-start", "ReadOptions.TStop", "--t-stop",
	"ReadOptions.TimeColumn", "--time-column", "ReadOptions.TrainColumn", "--train-column",
)

// unset takes quantities that are not set out of the help, where they would be
// shown as defaults.
func unset(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f.Lookup(name).DefValue = ""
	}
}

// window is a part of the recordings.
type window struct{ From, To unit.Time }

func (w *window) flags(f *pflag.FlagSet) {
	f.TextVar(&w.From, "from", unit.Time{}, "`time` at which the part to look at begins")
	f.TextVar(&w.To, "to", unit.Time{}, "`time` at which the part to look at ends")
	unset(f, "from", "to")
}

// of gives the window's bounds for a train, in its unit.
func (w window) of(t spike.Train) (from, to float64, err error) {
	from, to = t.TStart, t.TStop
	for _, bound := range []struct {
		given unit.Time
		value *float64
	}{{w.From, &from}, {w.To, &to}} {
		if bound.given.IsSet() {
			v, err := bound.given.In(t.Unit)
			if err != nil {
				return 0, 0, err
			}
			*bound.value = v.Value
		}
	}
	return from, to, nil
}

// check refuses a window that has no length for any train.
func (w window) check() error {
	if w.From.IsSet() && w.To.IsSet() {
		if to, err := w.To.In(w.From.Unit); err == nil && !(w.From.Value < to.Value) {
			return usagef("--from %v is not before --to %v", w.From, w.To)
		}
	}
	return nil
}

// reading is the bound argument of a function over files.
type reading[P any] struct {
	Read   spike.ReadOptions
	Params P
}

// overFile declares a function of a file's trains. It is given the path and
// reads the file where it runs, so that recordings do not travel.
func overFile[P, R any](name string, f func([]spike.Train, P) (R, error)) *parade.Function2[reading[P], string, R] {
	return parade.Func2(name, func(r reading[P], path string) (R, error) {
		trains, err := spike.ReadFile(path, r.Read)
		if err != nil {
			var none R
			return none, err
		}
		return f(trains, r.Params)
	})
}

func init() {
	// They tell a bad file from a task that failed.
	parade.Type[*spike.FileError]("spike.FileError")
	parade.Sentinel("unit.ErrDimension", unit.ErrDimension)
}

// fileResult is what a function made of a file.
type fileResult[R any] struct {
	file  string
	value R
}

// eachFile runs a function over the files and gives the results in their order,
// without those of files that failed, which are in the error.
func eachFile[P, R any](ctx context.Context, a analysis, f *parade.Function2[reading[P], string, R], params P) (done []fileResult[R], err error) {
	paths := make([]string, len(a.files))
	for i, file := range a.files {
		if paths[i], err = filepath.Abs(file); err != nil { // a worker may be elsewhere
			return nil, err
		}
	}
	ex, err := openExecutor(ctx, a.worker.on)
	if err != nil {
		return nil, err
	}
	defer func() { err = closing(ex, err) }()
	bar := newProgress(newTerminal(a.stderr))
	values, err := parade.Map(ctx, ex, parade.Bind(f, reading[P]{a.read, params}), paths,
		parade.CollectErrors(), parade.OnProgress(bar.job(plural(len(paths), "file"))))
	bar.clear()
	var job *parade.JobError
	if err != nil && (!errors.As(err, &job) || job.Err != nil) {
		return nil, err
	}
	failed := &filesError{files: len(paths)}
	next := 0
	for i, value := range values {
		if job != nil && next < len(job.Failed) && job.Failed[next].Index == i {
			failed.errs = append(failed.errs, a.failure(a.files[i], paths[i], job.Failed[next]))
			next++
			continue
		}
		done = append(done, fileResult[R]{a.files[i], value})
	}
	return done, failed.orNil()
}

// finish prints or writes what was found in files, unless nothing was, and gives
// the error of those that failed.
func (a analysis) finish(s *sheet, p func() picture, failed error) error {
	if len(s.rows) == 0 {
		return failed
	}
	if len(a.files) == 1 && s.columns[0].name == "file" {
		s.columns[0].head = "" // nobody has to be told
	}
	out := newTerminal(a.stdout)
	var err error
	switch {
	case a.out == "":
		return errors.Join(s.print(out, a.json), failed)
	case a.figure():
		err = p().write(a.out)
	default:
		err = s.write(a.out)
	}
	if err != nil {
		return errors.Join(outError(a.out, err), failed)
	}
	if a.json {
		err = s.print(out, true)
	} else {
		out.printf("%s\n", a.out)
		err = out.err
	}
	return errors.Join(err, failed)
}

// figure tells whether a figure is to be made.
func (a analysis) figure() bool {
	return slices.Contains(figureEndings, strings.ToLower(filepath.Ext(a.out)))
}

// mostPanels is how many files a figure shows.
const mostPanels = 24

// checkPanels refuses a figure of more files than can be seen.
func (a analysis) checkPanels() error {
	if a.figure() && len(a.files) > mostPanels {
		return usagef("--out %s: a figure shows at most %d files, these are %d; make several figures", a.out, mostPanels, len(a.files))
	}
	return nil
}

// closing closes an executor at the end of a function that gives err.
func closing(ex parade.Executor, err error) error {
	if failed := ex.Close(); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// filesError says which of several files failed, and why.
type filesError struct {
	files int
	errs  []error
}

func (e *filesError) Error() string {
	if e.files == 1 {
		return e.errs[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d files failed; the others were done", len(e.errs), e.files)
	if len(e.errs) == e.files {
		b.Reset()
		fmt.Fprintf(&b, "all %d files failed", e.files)
	}
	for _, err := range e.errs {
		b.WriteString("\n  " + err.Error())
	}
	return b.String()
}

func (e *filesError) Unwrap() []error { return e.errs }

// orNil is nil if no file failed.
func (e *filesError) orNil() error {
	if len(e.errs) == 0 {
		return nil
	}
	return e
}

// failure says why a file failed, under the name that the user gave it. A file
// that is not what it should be is the input's fault, all else the task's.
func (a analysis) failure(file, path string, failed *parade.TaskError) error {
	var bad *spike.FileError
	if errors.As(failed, &bad) {
		named := *bad
		named.Path = filepath.Clean(file) + strings.TrimPrefix(named.Path, path)
		return &inputError{errors.New(readingFlagNames.Replace(strings.TrimPrefix(named.Error(), "spike: ")))}
	}
	text := failed.Error()
	if failed.Kind == parade.Failed && failed.Err != nil {
		text = strings.TrimPrefix(failed.Err.Error(), "spike: ")
	}
	return &taskFailure{file + ": " + text, failed}
}

// taskFailure is a task's error in words for users.
type taskFailure struct {
	text string
	err  *parade.TaskError
}

func (e *taskFailure) Error() string { return e.text }
func (e *taskFailure) Unwrap() error { return e.err }

// checkOut refuses a file that the command cannot write: of another ending, in a
// place where it may not, or in the place of an input.
func checkOut(out string, endings, inputs []string) error {
	if out == "" {
		return nil
	}
	if !slices.Contains(endings, strings.ToLower(filepath.Ext(out))) {
		return usagef("--out %s: the ending says the format; there are %s", out, strings.Join(endings, ", "))
	}
	old, err := os.Stat(out)
	switch {
	case err == nil && !old.Mode().IsRegular():
		return usagef("--out %s: there is something of that name that is no file", out)
	case err == nil:
		for _, input := range inputs {
			info, err := os.Stat(input)
			if err != nil {
				continue // said when it is read
			}
			inside, err := filepath.Rel(input, out)
			if os.SameFile(old, info) || info.IsDir() && err == nil && filepath.IsLocal(inside) {
				return usagef("--out %s would overwrite an input", out)
			}
		}
	}
	return outError(out, tryFolder(filepath.Dir(out)))
}

func outError(out string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s cannot be written: %w; choose another place with --out", out, reason(err))
}
