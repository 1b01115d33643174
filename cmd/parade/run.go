package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/command"
	"github.com/parade-go/parade/internal/cores"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runOptions are the flags of "parade run".
type runOptions struct {
	// Inputs.
	files     []string
	null      bool
	colsep    string
	csv       bool
	header    string
	globs     []string
	link      bool
	maxArgs   int
	skipEmpty bool
	shuf      bool
	seed      uint64

	// Where and when.
	on       string
	requires []string // of a cluster's engines
	jobs     jobsValue
	delay    secondsValue
	load     loadValue
	memfree  bytesValue
	halt     string

	// On a cluster, without this command.
	detach     bool
	job        string
	priority   int
	maxRunning int

	// Each command.
	shell     bool
	cwd       string
	env       []string
	stdin     string
	timeout   secondsValue
	retries   int
	backoff   secondsValue
	nice      int
	maxMemory bytesValue
	threads   int
	scratch   bool

	// Files that it makes.
	outputs []string
	inputs  []string
	check   string
	force   bool

	// What it prints.
	keepOrder  bool
	tag        bool
	tagstring  string
	lineBuffer bool
	ungroup    bool
	results    string
	json       bool
	verbose    bool

	// What is remembered.
	joblog       string
	changed      bool
	resume       bool
	resumeFailed bool
	retryFailed  bool

	dryRun     bool
	bar        bool
	noProgress bool

	// Made of them.
	tags       command.Template
	haltWhen   command.Halt
	resultsDir *resultsDir

	stdout, stderr io.Writer
}

// flagGroup is some flags under a heading of the help.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

// flags makes the flags. Names and letters are those of GNU parallel where it has the
// like.
func (o *runOptions) flags(f *pflag.FlagSet) {
	group := func(title string) { groupFlags(f, title) }
	f.StringArrayVarP(&o.files, "arg-file", "a", nil, "`file` of inputs, one a line; - is standard input; as :::: does")
	f.BoolVarP(&o.null, "null", "0", false, "inputs end with a NUL byte, as those of find -print0")
	f.StringVarP(&o.colsep, "colsep", "C", "", "`regexp` that divides an input into columns {1} {2}")
	f.BoolVar(&o.csv, "csv", false, "inputs are comma-separated values, with quotes")
	f.StringVar(&o.header, "header", "", "the first input names the columns, for {name}: --header `:`")
	f.StringArrayVar(&o.globs, "glob", nil, "`pattern` of file names that are inputs")
	f.BoolVar(&o.link, "link", false, "take all sources side by side, as :::+ does")
	f.IntVarP(&o.maxArgs, "max-args", "n", 1, "give each command up to so `many` inputs; with 0 it runs once per input, without it")
	f.BoolVarP(&o.skipEmpty, "no-run-if-empty", "r", false, "leave out inputs that are empty or blank")
	f.BoolVar(&o.shuf, "shuf", false, "take the inputs in random order")
	f.Uint64Var(&o.seed, "seed", 0, "`number` that makes the order of --shuf the same again")
	group("Inputs")

	f.VarP(&o.jobs, "jobs", "j", "how many run at the same time: `N`, N% of the cores, +N, -N, or 0 for as many as possible (default: one per core)")
	f.StringVar(&o.on, "on", "threads", "`executor`: "+strings.Join(executorKinds, ", ")+", or with a number of workers such as processes:4; cluster:NAME for the engines of a cluster")
	f.StringArrayVar(&o.requires, "require", nil, "`label` that an engine of --on cluster:NAME must have, or an amount of a resource for each command, such as mem=8G; any number")
	f.Var(&o.delay, "delay", "`time` between two starts, such as 0.5 or 2s")
	f.Var(&o.load, "load", "start nothing while so `many` processes compute, or N% of the cores")
	f.Var(&o.memfree, "memfree", "start nothing while less than this `size` of memory is free, such as 4G")
	f.StringVar(&o.halt, "halt", "never", "when to end early: `soon|now,fail|success|done=N|N%`")
	f.BoolVar(&o.detach, "detach", false, "with --on cluster:NAME: hand the run over as a job, print the job's name, and leave; parade attach gets the results")
	f.StringVar(&o.job, "job", "", "the `name` of the job that --detach makes (default: one is made up)")
	f.IntVar(&o.priority, "priority", 0, "`number`: of jobs made by --detach, those with a higher one come first")
	f.IntVar(&o.maxRunning, "max-running", 0, "let so `many` tasks of the job that --detach makes run at a time")
	group("Where and when")

	f.BoolVar(&o.shell, "shell", false, "let a shell run the command; inputs are quoted for it")
	f.StringVar(&o.cwd, "cwd", "", "`folder` to run in, made if missing; may have placeholders")
	f.StringArrayVar(&o.env, "env", nil, "`NAME=value` in its environment")
	f.StringVar(&o.stdin, "stdin", "", "`file` that it reads; may have placeholders (default: nothing)")
	f.Var(&o.timeout, "timeout", "`time` after which it is ended, such as 30 or 1h30m")
	f.IntVar(&o.retries, "retries", 0, "`times` to run it again when it fails")
	f.Var(&o.backoff, "backoff", "`time` before the first retry; doubles with each (default 1s)")
	f.IntVar(&o.nice, "nice", 0, "lower its priority by `N`, 0 to 19")
	f.Var(&o.maxMemory, "max-memory", "`size` of memory that each of its processes may take")
	f.IntVar(&o.threads, "threads", 0, "`number` of inner threads (OpenMP, BLAS) that it is told to use (default: its share of the cores)")
	f.BoolVar(&o.scratch, "scratch", false, "give it an empty folder {scratch}, removed afterwards")
	group("Each command")

	f.StringArrayVar(&o.outputs, "output", nil, "`file` that it must make; it is told a temporary name, {out}")
	f.StringVar(&o.check, "check", "", "`command` that must accept an output, such as \"gzip -t\"; {out} may stand anywhere in it")
	f.StringArrayVar(&o.inputs, "input", nil, "`file` that it reads: an output that is newer is not made again (default: files among its arguments)")
	f.BoolVar(&o.force, "force", false, "make again also what is there")
	group("Files that it makes")

	f.BoolVarP(&o.keepOrder, "keep-order", "k", false, "print in the order of the inputs")
	f.BoolVar(&o.tag, "tag", false, "begin each line with the input and a tab")
	f.StringVar(&o.tagstring, "tagstring", "", "begin each line with this `text`, which may have placeholders, and a tab")
	f.BoolVar(&o.lineBuffer, "line-buffer", false, "print each line as it comes, not each task when it ends")
	f.BoolVarP(&o.ungroup, "ungroup", "u", false, "let commands print as they like, mixed")
	f.StringVar(&o.results, "results", "", "print nothing, save it in this `folder`, or in files of a name with placeholders")
	f.BoolVar(&o.json, "json", false, "print one JSON object per task")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print each command before its output")
	group("What it prints")

	f.Var(onceValue{&o.joblog, "--joblog and --journal are one flag, which names two files: FILE and FILE.journal"}, "joblog", "`file` with a line per task that ended, as GNU parallel writes it, and beside it FILE.journal, which survives everything (or --journal FILE: the same flag)")
	f.BoolVar(&o.resume, "resume", false, "leave out what the --joblog has, also what failed; files of --output are looked at")
	f.BoolVar(&o.resumeFailed, "resume-failed", false, "leave out what the --joblog has, unless it failed")
	f.BoolVar(&o.retryFailed, "retry-failed", false, "run what failed by the --joblog, which knows command and inputs")
	f.BoolVar(&o.changed, "changed", false, "resume also with another command than that of the --joblog")
	group("What is remembered")

	f.BoolVar(&o.dryRun, "dry-run", false, "print the commands and run nothing")
	f.BoolVar(&o.bar, "bar", false, "show progress where it would not be, as with --ungroup")
	f.BoolVar(&o.noProgress, "no-progress", false, "show neither progress nor a summary; failures are shown")
	group("Other")

	// What GNU parallel has twice, or does by itself here.
	f.VarP(&o.jobs, "max-procs", "P", "--jobs")
	f.IntVarP(&o.maxArgs, "max-replace-args", "N", 1, "--max-args")
	f.BoolP("quote", "q", false, "inputs are always quoted")
	f.Bool("plus", false, "its placeholders always work")
	f.Bool("group", false, "the default")
	for _, name := range []string{"will-cite", "citation", "no-notice", "silent"} {
		f.Bool(name, false, "nothing of the kind is printed")
	}
	f.VarP(placeholderValue{}, "replace-string", "I", "the placeholder is {}")
	group("")
}

// flagAliases are further names of flags.
var flagAliases = map[string]string{
	"dryrun": "dry-run", "keeporder": "keep-order", "lb": "line-buffer", "linebuffer": "line-buffer",
	"line-buffered": "line-buffer", "wd": "cwd", "workdir": "cwd", "res": "results", "halt-on-error": "halt",
	"progress": "bar", "journal": "joblog", "eta": "bar", "xapply": "link", "jl": "joblog",
}

func newRunCommand() *cobra.Command {
	o := new(runOptions)
	cmd := &cobra.Command{
		Use:   "run [flags] [--] COMMAND... [::: INPUT...] [:::: FILE...]",
		Short: "One command over many inputs",
		Long: `Run runs a command once for each input, several at a time, as GNU parallel does.

The command's words go to the program as they are, whatever characters an input
has. One word that a shell has to read, such as 'gzip -c {} > {.}.gz', is given to
/bin/sh, and then every input in it is quoted. Without a command each input is one.

Inputs follow ":::", one a word, or stand in files after "::::", one a line; without
either they come from standard input. Several sources give all combinations;
":::+" and "::::+" link a source to the one before.

Placeholders, here for the input sub-01/bold.nii.gz:
  {}   sub-01/bold.nii.gz   {.}  sub-01/bold.nii   {..}   sub-01/bold
  {/}  bold.nii.gz          {//} sub-01            {/.}   bold.nii
  {#}  number of the input  {%}  slot              {1} {2.} {name/}  a column
  {out} {out2}  temporary name of an --output      {scratch}  see --scratch
A command without any placeholder of the input gets the input at its end, also if it
has {out}: write {} where it belongs. A text that is read twice, as by bash -c 'echo {}'
or ssh, is no place for {}: bash -c 'echo "$1"' bash {}.

An exit status is not all: what --output names is written under another name in the
same folder, must exist, not be empty and pass --check, and only then gets its name.
Where it is there already and newer than its input, the command is not run. A task
whose output is its input, or is made by an earlier task, fails and is not run.

Ctrl-C lets the running commands end and starts no more, nor retries; a second one ends
them, within 2 s, and a third at once. When something failed, in this run or before a
--resume, the exit code is 3, and the summary says how to run it again.`,
		Example: `  parade run gzip -k {} ::: *.txt
  parade run -j 4 'sort {} > {.}.sorted' :::: list.txt
  parade run --output '{..}_6mm.nii.gz' -- 3dBlurToFWHM -quiet -input {} -FWHM 6 -prefix {out} :::: subjects.txt
  parade run --csv --header : -- ./fit --rate {rate} --seed {seed} :::: table.csv
  parade run --joblog run.log --resume --retries 2 --timeout 1h ./analyse.sh ::: sub-*
  find . -name '*.wav' -print0 | parade run -0 --dry-run lame {} {.}.mp3`,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // flags behind the command are the command's
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if real, ok := flagAliases[name]; ok {
			name = real
		}
		return pflag.NormalizedName(name)
	})
	o.flags(f)
	cmd.SetFlagErrorFunc(runFlagError)
	cmd.InitDefaultHelpFlag()
	f.Lookup("help").Annotations = map[string][]string{groupKey: {"Other"}}
	setGroupedUsage(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return o.run(cmd.Context(), f, args)
	}
	return cmd
}

// groupKey is the annotation of a flag with the heading that it stands under.
const groupKey = "group"

// groupFlags puts the flags made since the last call under a heading of the help.
// Without one they are not shown.
func groupFlags(f *pflag.FlagSet, title string) {
	f.VisitAll(func(flag *pflag.Flag) {
		switch {
		case flag.Hidden || flag.Annotations != nil:
		case title == "":
			flag.Hidden = true
		default:
			flag.Annotations = map[string][]string{groupKey: {title}}
		}
	})
}

// flagGroups gives the flags of a command by their headings, without hidden ones.
func flagGroups(cmd *cobra.Command) []flagGroup {
	var groups []flagGroup
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		title := "Options"
		if a := f.Annotations[groupKey]; len(a) > 0 {
			title = a[0]
		}
		i := slices.IndexFunc(groups, func(g flagGroup) bool { return g.title == title })
		if i < 0 {
			i = len(groups)
			groups = append(groups, flagGroup{title, pflag.NewFlagSet(title, pflag.ContinueOnError)})
			groups[i].flags.SortFlags = false
		}
		groups[i].flags.AddFlag(f)
	})
	return groups
}

// setGroupedUsage shows a command's flags under their headings.
func setGroupedUsage(cmd *cobra.Command) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range flagGroups(cmd) {
			fmt.Fprintf(out, "\n%s:\n%s", g.title, g.flags.FlagUsages())
		}
		return nil
	})
}

// run runs the command line.
func (o *runOptions) run(ctx context.Context, f *pflag.FlagSet, args []string) error {
	words, given := splitArgs(args)
	if err := o.settle(f); err != nil {
		return err
	}
	p, err := o.plan(f, words, given)
	if err != nil {
		return err
	}
	switch {
	case o.dryRun:
		err = o.print(ctx, p)
	case o.detach:
		err = o.submit(ctx, p)
	default:
		err = o.runAll(ctx, p)
	}
	if p.journal != nil {
		if failed := p.journal.Close(); err == nil {
			err = failed
		}
	}
	return err
}

// runPlan is what is to be run.
type runPlan struct {
	spec    command.Spec
	inputs  iter.Seq2[command.Input, error]
	count   func() (*command.Source, error) // all inputs once more, nil if they can be read once only
	journal *command.Journal                // nil without a --joblog
}

func (o *runOptions) plan(f *pflag.FlagSet, words []string, given []argSource) (p runPlan, err error) {
	if o.retryFailed {
		if p.journal, p.spec, err = o.openFailed(f, words, given); err != nil {
			return p, err
		}
		p.inputs = command.Distinct(p.spec, p.journal.Failed())
	} else {
		source, err := o.source(given)
		if err != nil {
			return p, err
		}
		if p.spec, err = o.spec(words, source.Columns()); err != nil {
			return p, err
		}
		if !o.dryRun {
			if err := o.checkProgram(p.spec.Template); err != nil {
				return p, err
			}
		}
		if word, ok := ofShell(p.spec.Template); ok {
			newTerminal(o.stderr).printf("parade: the program gets %s as it is; for a shell write the command as one string: '... %[1]s ...'\n", word)
		}
		if p.journal, err = o.openJournal(p.spec); err != nil {
			return p, err
		}
		p.count = o.countable(given)
		if p.inputs = command.Distinct(p.spec, source.Inputs()); p.journal != nil {
			p.inputs = p.journal.Todo(p.inputs)
		}
	}
	if kind, _, _ := strings.Cut(o.on, ":"); kind == clusterKind && p.journal != nil {
		p.journal.NameHosts()
	}
	if o.results != "" && !o.dryRun {
		if o.resultsDir, err = newResultsDir(o.results, p.spec.Template.Columns); err != nil && p.journal != nil {
			err = errors.Join(err, p.journal.Close())
		}
	}
	return p, err
}

// settle refuses flags that contradict each other, and fills in what they leave open.
func (o *runOptions) settle(f *pflag.FlagSet) error {
	if err := refuseEmpty(f); err != nil {
		return err
	}
	if o.header != "" && o.header != ":" {
		return usagef("--header %s: write --header : (the columns are divided by --colsep or --csv)", o.header)
	}
	if o.maxArgs < 0 {
		return usagef("--max-args %d: give 1 or more, or 0 to run the command once per input, without it", o.maxArgs)
	}
	if o.cwd == "..." {
		return usagef("--cwd ...: for an empty folder per task give --scratch, and write cd {scratch}")
	}
	if f.Changed("seed") && !o.shuf {
		return usagef("--seed is for --shuf")
	}
	if o.shuf && !f.Changed("seed") {
		o.seed = rand.Uint64()
	}
	if o.retries < 0 {
		return usagef("--retries %d: give 0 or more", o.retries)
	}
	if o.nice < 0 || o.nice > 19 {
		return usagef("--nice %d: give 0 to 19", o.nice)
	}
	if o.threads < 0 {
		return usagef("--threads %d: give 1 or more", o.threads)
	}
	if !f.Changed("backoff") {
		o.backoff.Set("1")
	}
	if o.backoff.text != "1" && o.retries == 0 {
		return usagef("--backoff is for --retries")
	}
	if len(o.outputs) == 0 && (o.check != "" || o.force || len(o.inputs) > 0) {
		return usagef("--check, --input and --force are about the files that --output names")
	}
	printing, err := o.checkPrinting()
	if err != nil {
		return err
	}
	if o.haltWhen, err = command.ParseHalt(o.halt); err != nil {
		return &usageError{err}
	}
	if err := checkExecutors([]string{o.on}); err != nil {
		return err
	}
	if err := o.checkDetached(f); err != nil {
		return err
	}
	kind, number, counted := strings.Cut(o.on, ":")
	if len(o.requires) > 0 && kind != clusterKind {
		return usagef("--require is about the engines of a cluster; name it with --on cluster:NAME")
	}
	if err := cluster.CheckRequire(o.requires...); err != nil {
		return &usageError{err}
	}
	if o.jobs.text != "" {
		if err := checkJobs(o.on, o.jobs.n); err != nil {
			return err
		}
	}
	switch {
	case kind == "serial":
		o.jobs.n = 1
	case kind == "mpi":
		o.jobs.n = mpiWorkers(number)
	case kind == clusterKind:
		// As many as its engines take, unless -j says less: see runAll.
	case counted:
		o.jobs.n = 0
		fmt.Sscan(number, &o.jobs.n) // checkExecutors has seen it
	case o.jobs.text == "":
		o.jobs.n = cores.Granted()
	case o.jobs.n == 0:
		o.jobs.n = mostJobs(kind)
	}
	if (kind == "threads" || kind == "processes") && !counted {
		o.on = fmt.Sprintf("%s:%d", kind, o.jobs.n)
	}
	if kind != "serial" && kind != "threads" && (o.lineBuffer || o.ungroup) {
		return usagef("%s is for commands that this process starts; take --on threads", printing[0])
	}
	if o.bar && o.noProgress {
		return usagef("--bar and --no-progress contradict each other")
	}
	return o.checkRemembered()
}

// checkPrinting refuses flags about what is printed that contradict each other, and returns
// those that say in which form it is.
func (o *runOptions) checkPrinting() ([]string, error) {
	printing := []string{}
	for _, p := range []struct {
		name string
		set  bool
	}{{"--line-buffer", o.lineBuffer}, {"--ungroup", o.ungroup}, {"--results", o.results != ""}, {"--json", o.json}} {
		if p.set {
			printing = append(printing, p.name)
		}
	}
	if len(printing) > 1 {
		return nil, usagef("%s do not go together", strings.Join(printing, " and "))
	}
	if o.keepOrder && (o.lineBuffer || o.ungroup) {
		return nil, usagef("--keep-order needs the output of each task in one piece; leave out %s", printing[0])
	}
	tagged := o.tag || o.tagstring != ""
	if tagged && (o.ungroup || o.json || o.results != "") {
		return nil, usagef("--tag and --tagstring do not go with %s", printing[0])
	}
	if o.verbose && (o.json || o.results != "") {
		return nil, usagef("--verbose does not go with %s, which has the command", printing[0])
	}
	if o.results != "" {
		o.keepOrder = false // each has its own files
	}
	if o.tag && o.tagstring == "" {
		o.tagstring = "{}"
	}
	return printing, nil
}

// mostJobs is the number of -j 0: as many as this process may have files open for.
func mostJobs(kind string) int {
	if kind == "processes" {
		return 2 * cores.Granted() // each is a whole process, besides the commands
	}
	const most = 1000
	limit, ok := openFileLimit()
	if !ok {
		return most
	}
	return int(min(most, max(1, (limit-min(limit, 64))/6)))
}

// spec makes the options those of package command.
func (o *runOptions) spec(words, columns []string) (command.Spec, error) {
	spec := command.Spec{
		Timeout: o.timeout.d, Retries: o.retries, Backoff: o.backoff.d,
		Nice: o.nice, MaxMemory: o.maxMemory.n, Threads: o.threads, Scratch: o.scratch, Force: o.force,
	}
	var err error
	if spec.Template, err = command.ParseTemplate(words, o.shell, columns); err != nil {
		return spec, &usageError{err}
	}
	if o.maxArgs == 0 && len(words) == 0 {
		return spec, usagef("--max-args 0 leaves the inputs out, and there is no command")
	}
	text := func(flag, text string) (t command.Template) {
		if err == nil && text != "" {
			t, err = command.ParseText(text, columns)
		}
		if needs := t.Needs(); err == nil && (needs.Outputs > 0 || needs.Scratch) {
			err = fmt.Errorf("%s %s: {out} and {scratch} are known to the command and to --check only; name the input, with {} and its kin", flag, command.Quote(text))
		}
		return t
	}
	spec.Dir, spec.Stdin, o.tags = text("--cwd", o.cwd), text("--stdin", o.stdin), text("--tagstring", o.tagstring)
	for _, name := range o.outputs {
		spec.Outputs = append(spec.Outputs, text("--output", name))
	}
	for _, name := range o.inputs {
		spec.Inputs = append(spec.Inputs, text("--input", name))
	}
	if err == nil && o.check != "" {
		spec.Check, err = command.ParseCheck([]string{o.check}, true, columns)
	}
	if err != nil {
		return spec, &usageError{err}
	}
	told := spec.Template.Needs().Outputs
	needs := max(told, spec.Check.Needs().Outputs)
	switch {
	case needs > len(o.outputs) && len(o.outputs) == 0:
		return spec, usagef("{out} is the temporary name of an output: say its own with --output")
	case needs > len(o.outputs):
		return spec, usagef("{out%d} needs %d times --output, there are %d", needs, needs, len(o.outputs))
	case len(o.outputs) > 0 && told == 0:
		return spec, usagef("put {out} where the command is told the file that it makes; it gets the name of --output when it is whole")
	}
	for _, e := range o.env {
		name, _, set := strings.Cut(e, "=")
		if name == "" || strings.ContainsRune(e, 0) {
			return spec, usagef("--env %q: write NAME=value", e)
		}
		if !set { // as for GNU parallel, this process's own
			if _, there := os.LookupEnv(name); !there {
				return spec, usagef("--env %s: there is no such variable; write %s=value", name, name)
			}
			continue
		}
		spec.Env = append(spec.Env, e)
	}
	if o.maxMemory.n > 0 && runtime.GOOS != "linux" {
		return spec, usagef("--max-memory works on Linux only")
	}
	if kind, _, _ := strings.Cut(o.on, ":"); kind == clusterKind {
		spec.Inline = inlineAway
	}
	spec.Capture = o.capture()
	return spec, nil
}

// inlineAway is up to which size what a command prints comes from a cluster's engines, in
// bytes; more stays in a file there.
const inlineAway = 64 << 20

func (o *runOptions) capture() command.Capture {
	switch {
	case o.lineBuffer:
		return command.ByLine
	case o.ungroup:
		return command.Ungrouped
	}
	return command.Grouped
}

// checkProgram refuses a program that is nowhere, once instead of for each input.
func (o *runOptions) checkProgram(t command.Template) error {
	if t.Shell || len(t.Words) == 0 || strings.ContainsAny(t.Words[0], "{}") {
		return nil
	}
	if kind, _, _ := strings.Cut(o.on, ":"); kind == clusterKind {
		return nil // other machines may have other programs
	}
	for _, e := range o.env {
		if strings.HasPrefix(e, "PATH=") {
			return nil
		}
	}
	program := t.Words[0]
	if strings.ContainsRune(program, '/') && !filepath.IsAbs(program) && o.cwd != "" {
		return nil
	}
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return noProgram(program)
	case errors.Is(err, os.ErrPermission):
		return usagef("the command %s is not executable", command.Quote(program))
	}
	return usagef("the command %s cannot be run: %w", command.Quote(program), err)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
