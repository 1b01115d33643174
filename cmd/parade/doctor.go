package main

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/shm"
	"github.com/parade-go/parade/linalg"
	"github.com/parade-go/parade/mpi"
	"github.com/spf13/cobra"
)

type doctorOptions struct {
	json bool
}

func newDoctorCommand() *cobra.Command {
	var opts doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine offers",
		Long: `Doctor says what this machine offers to Parade: the cores and the memory that
are granted and who limits them, the variables that set the threads of numeric
libraries, which library computes linear algebra, which executors work, and which MPI
there is. Each executor is really tried: opened, given one task, and closed.

  ✓ works    ! works, but look at it    ✗ does not work here

With --json each check is one line: section, check, status (ok, warn or missing),
value and remark. The exit code is 1 when something does not work that should
on this system.`,
		Example: `  parade doctor
  parade doctor --json | jq -r 'select(.status != "ok") | .check + ": " + .remark'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDoctor(cmd.Context(), opts, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object per check")
	return cmd
}

// status is the outcome of a check.
type status string

const (
	statusOK      status = "ok"
	statusWarn    status = "warn"
	statusMissing status = "missing"
)

// check is one line of "parade doctor --json".
type check struct {
	Section string `json:"section"`
	Check   string `json:"check"`
	Status  status `json:"status"`
	Value   string `json:"value"`
	Remark  string `json:"remark,omitempty"` // where it comes from, or what to do

	broken bool // missing, though this system should have it
}

func runDoctor(ctx context.Context, opts doctorOptions, stdout io.Writer) error {
	checks := slices.Concat(checkMachine(), checkCores(), checkMemory(), checkThreads(), checkLinearAlgebra(), tryExecutors(ctx), checkMPI(ctx), checkSystem(stdout))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := newTerminal(stdout)
	if opts.json {
		lines := json.NewEncoder(stdout)
		lines.SetEscapeHTML(false)
		for _, c := range checks {
			if err := lines.Encode(c); err != nil {
				return err
			}
		}
	} else {
		printChecks(out, checks)
	}
	var broken []string
	for _, c := range checks {
		if c.broken {
			broken = append(broken, c.Check)
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("not working: %s", strings.Join(broken, ", "))
	}
	return out.err
}

func printChecks(t *terminal, checks []check) {
	for i := 0; i < len(checks); {
		section := checks[i].Section
		t.heading(section, "")
		var rows [][]string
		for ; i < len(checks) && checks[i].Section == section; i++ {
			c := checks[i]
			rows = append(rows, []string{t.mark(c.Status), c.Check, c.Value, t.dim(c.Remark)})
		}
		t.table("llll", rows)
	}
	t.printf("\n")
}

func (t *terminal) mark(s status) string {
	switch s {
	case statusOK:
		return t.green("✓")
	case statusWarn:
		return t.yellow("!")
	}
	return t.red("✗")
}

func checkMachine() []check {
	b := thisBuild()
	host, err := os.Hostname()
	name := check{Section: "Machine", Check: "host", Status: statusOK, Value: host}
	if err != nil {
		name.Status, name.Value, name.Remark = statusWarn, "unknown", err.Error()
	}
	return []check{
		name,
		{Section: "Machine", Check: "system", Status: statusOK, Value: b.OS + "/" + b.Arch},
		{Section: "Machine", Check: "parade", Status: statusOK, Value: b.Version, Remark: b.Go},
	}
}

func checkCores() []check {
	granted := cores.Granted()
	limits := cores.Explain()
	var by []string
	for _, l := range limits {
		if l.Cores == granted {
			by = append(by, l.Source)
		}
	}
	all := []check{{
		Section: "Cores", Check: "granted", Status: statusOK, Value: fmt.Sprint(granted),
		Remark: "the smallest limit: " + strings.Join(by, ", "),
	}}
	for _, l := range limits {
		all = append(all, check{Section: "Cores", Check: l.Source, Status: statusOK, Value: fmt.Sprint(l.Cores), Remark: l.Detail})
	}
	return all
}

func checkMemory() []check {
	const little = 1 << 30
	bytes, source := cores.Memory()
	c := check{Section: "Memory", Check: "granted", Status: statusOK, Value: binarySize(bytes), Remark: source}
	switch {
	case bytes == 0:
		c.Status, c.Value, c.Remark = statusWarn, "unknown", "the system does not tell"
	case bytes/uint64(cores.Granted()) < little:
		c.Status = statusWarn
		c.Remark += fmt.Sprintf("; %s for each of %d workers is little: use fewer workers for large inputs",
			binarySize(bytes/uint64(cores.Granted())), cores.Granted())
	}
	return []check{c}
}

func binarySize(bytes uint64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

// checkThreads shows the variables that numeric libraries read. In workers
// Parade sets all of them, so that workers and threads fit the cores.
func checkThreads() []check {
	var all []check
	for _, setting := range cores.ThreadEnv(1) {
		name, _, _ := strings.Cut(setting, "=")
		if value, set := os.LookupEnv(name); set {
			all = append(all, check{Section: "Threads of numeric libraries", Check: name, Status: statusOK, Value: value, Remark: "set by you; a worker gets this or less"})
		}
	}
	if len(all) == 0 {
		all = append(all, check{
			Section: "Threads of numeric libraries", Check: "variables", Status: statusOK, Value: "none set",
			Remark: fmt.Sprintf("with %s each gets %s", plural(cores.Granted(), "worker"), plural(cores.InnerThreads(cores.Granted()), "thread")),
		})
	}
	return all
}

// checkLinearAlgebra says which LAPACK package linalg has found, and what it has not.
func checkLinearAlgebra() []check {
	const section = "Linear algebra"
	b, err := linalg.Backend()
	c := check{Section: section, Check: "back end", Status: statusOK, Value: strings.TrimSpace(b.Name + " " + b.Version), Remark: b.Reason}
	var all []check
	switch {
	case err != nil:
		c.Status, c.Value, c.Remark, c.broken = statusMissing, "none", err.Error(), true
		all = []check{c}
	case b.Library == "":
		if len(b.Tried) > 0 {
			c.Status = statusWarn
			c.Remark += "; several times slower than OpenBLAS (Debian, Ubuntu: apt-get install libopenblas0-pthread)"
		}
		all = []check{c}
	default:
		all = []check{c, {
			Section: section, Check: "library", Status: statusOK, Value: filepath.Base(b.Library),
			Remark: strings.TrimSuffix(fmt.Sprintf("%s; %d-bit integers; %s", b.Library, b.IntegerBits, b.Build), "; "),
		}}
	}
	if err == nil {
		threads := check{Section: section, Check: "threads", Status: statusOK, Value: fmt.Sprint(b.Threads), Remark: "goroutines of Go's own, as many as GOMAXPROCS"}
		if b.Library != "" {
			threads.Remark = linalg.EnvThreads + "=n asks for more, with which the last bits of results are others"
			if asked := os.Getenv(linalg.EnvThreads); asked != "" {
				threads.Remark = linalg.EnvThreads + "=" + asked + "; workers share them"
			}
		}
		all = append(all, threads)
		for i, t := range b.Tried {
			if i == 0 || b.Tried[i-1].Name != t.Name {
				all = append(all, check{Section: section, Check: t.Name, Status: statusMissing, Value: "not found", Remark: t.Error})
			}
		}
	}
	return all
}

// answer is what the executors are tried with.
var answer = parade.Pure("doctor.answer", func(x int) int { return x + 1 })

func tryExecutors(ctx context.Context) []check {
	var all []check
	for _, kind := range executorKinds {
		spec := kind
		if ranks, ok := mpi.Launched(); kind == "mpi" && (!ok || ranks == 1) {
			spec = "mpi:all" // which has this process work, as it would alone
		}
		all = append(all, tryExecutor(ctx, kind, func(ctx context.Context) (parade.Executor, error) { return parade.Open(ctx, spec) }))
	}
	all = append(all, tryExecutor(ctx, clusterKind, openTrial))
	return all
}

func tryExecutor(ctx context.Context, kind string, open func(context.Context) (parade.Executor, error)) check {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := check{Section: "Executors", Check: kind, Status: statusOK}
	fail := func(err error) check {
		c.Status, c.Value, c.Remark, c.broken = statusMissing, "does not work", err.Error(), true
		if errors.Is(err, errors.ErrUnsupported) {
			c.Value, c.broken = "not on "+runtime.GOOS, false
		}
		var missing *mpi.LibraryError
		if errors.As(err, &missing) {
			c.Value, c.Remark, c.broken = "no library found", "see below", missing.Named
		}
		return c
	}
	start := time.Now()
	ex, err := open(ctx)
	if err != nil {
		return fail(err)
	}
	got, err := parade.Go(ctx, ex, answer, 41).Wait(ctx)
	first := time.Since(start)
	info := ex.Info()
	if closed := ex.Close(); err == nil {
		err = closed
	}
	if err == nil && got != 42 {
		err = fmt.Errorf("a task returned %d instead of 42", got)
	}
	if err != nil {
		return fail(err)
	}
	c.Value = plural(info.Workers, "worker")
	c.Remark = fmt.Sprintf("first result after %s, %s each", took(first), plural(info.Threads, "thread"))
	return c
}

// checkMPI says which MPI there is, and how this process was started.
func checkMPI(ctx context.Context) []check {
	const section = "MPI"
	s, err := mpi.Describe(ctx)
	var missing *mpi.LibraryError
	switch {
	case errors.As(err, &missing):
		all := []check{{
			Section: section, Check: "MPI library", Status: statusMissing, Value: "not found",
			Remark: mpi.EnvLibrary + "=file names one; Debian, Ubuntu: apt-get install openmpi-bin, or mpich",
		}}
		if missing.Named {
			all[0].Remark = mpi.EnvLibrary + " names a file that does not load"
		}
		for _, tried := range missing.Tried {
			file, why, _ := strings.Cut(tried, ": ")
			all = append(all, check{Section: section, Check: file, Status: statusMissing, Value: "not loaded", Remark: why})
		}
		return all
	case errors.Is(err, errors.ErrUnsupported):
		return nil // the executor's line says so
	case err != nil:
		_, launched := mpi.Launched()
		return []check{{Section: section, Check: "MPI library", Status: statusMissing, Value: "does not work", Remark: err.Error(), broken: launched}}
	}
	launcher := check{Section: section, Check: "launcher", Status: statusOK, Value: s.Launcher}
	if s.Launcher == "" {
		launcher.Value, launcher.Remark = "none", "mpiexec -n 4 parade doctor tries three workers"
	}
	return []check{
		{Section: section, Check: "MPI library", Status: statusOK, Value: s.Library, Remark: s.Version},
		{Section: section, Check: "binary interface", Status: statusOK, Value: s.ABI},
		{Section: section, Check: "thread level", Status: statusOK, Value: s.Threads},
		launcher,
		{Section: section, Check: "ranks", Status: statusOK, Value: fmt.Sprint(s.Ranks), Remark: "on " + strings.Join(s.Hosts, ", ")},
	}
}

func checkSystem(stdout io.Writer) []check {
	all := []check{sharedMemory(), openFiles(), ownProgram()}
	if runtime.GOOS == "linux" {
		all = append(all, linking())
	}
	return append(all, isTerminal(stdout))
}

// sharedMemory does with a segment what a large bound argument does.
func sharedMemory() check {
	c := check{Section: "System", Check: "shared memory", Status: statusOK, Value: "works", Remark: "large bound arguments are mapped, not copied"}
	err := func() error {
		const length = 1 << 16
		segment, err := shm.Create("parade-doctor", length)
		if err != nil {
			return err
		}
		defer segment.Close()
		segment.Bytes()[length-1] = 42
		if err := segment.Seal(); err != nil {
			return err
		}
		mapping, err := shm.Map(segment.File(), length, shm.CopyOnWrite)
		if err != nil {
			return err
		}
		defer mapping.Unmap()
		if mapping.Bytes()[length-1] != 42 {
			return errors.New("a mapped segment does not show what was written")
		}
		return nil
	}()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		c.Status, c.Value, c.Remark = statusMissing, "not on "+runtime.GOOS, "only the processes executor would use it"
	case err != nil:
		c.Status, c.Value, c.Remark = statusWarn, "does not work", err.Error()+"; bound arguments are copied to each worker"
	case runtime.GOOS == "linux":
		c.Value = "memfd works"
	}
	return c
}

func openFiles() check {
	const perWorker, few = 8, 256
	c := check{Section: "System", Check: "open files", Status: statusOK}
	limit, ok := openFileLimit()
	if !ok {
		c.Value, c.Remark = "no limit", "this system has none per process"
		return c
	}
	c.Value = fmt.Sprintf("%d", limit)
	c.Remark = fmt.Sprintf("a worker process takes about %d", perWorker)
	if need := uint64(perWorker*cores.Granted() + few); limit < need {
		c.Status = statusWarn
		c.Remark = fmt.Sprintf("little for %s: raise it with \"ulimit -n %d\"", plural(cores.Granted(), "worker"), need)
	}
	return c
}

// ownProgram says whether a worker process can be started from this program's
// file.
func ownProgram() check {
	c := check{Section: "System", Check: "own program", Status: statusOK}
	path, err := os.Executable()
	if err == nil {
		_, err = os.Stat(path)
	}
	switch {
	case err != nil && runtime.GOOS == "linux":
		// The kernel's own link works even when the file is gone.
		if _, linked := os.Stat("/proc/self/exe"); linked == nil {
			c.Status, c.Value, c.Remark = statusOK, "/proc/self/exe", "the file itself is gone: "+err.Error()
			return c
		}
		fallthrough
	case err != nil:
		c.Status, c.Value, c.Remark = statusWarn, "not found", err.Error()+"; worker processes start from it"
	case runtime.GOOS == "linux":
		c.Value, c.Remark = "/proc/self/exe", "worker processes start from it"
		if _, err := os.Stat("/proc/self/exe"); err != nil {
			c.Status, c.Value, c.Remark = statusWarn, path, "/proc is not mounted"
		}
	default:
		c.Value, c.Remark = path, "worker processes start from it"
	}
	return c
}

// linking says whether the program needs the system's loader, as it does to find
// LAPACK, or can run where there is none or another.
func linking() check {
	c := check{Section: "System", Check: "linking", Status: statusOK, Value: "static", Remark: "without the LAPACK of the machine"}
	program, err := elf.Open("/proc/self/exe")
	if err != nil {
		c.Status, c.Value, c.Remark = statusWarn, "unknown", err.Error()
		return c
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			c.Value, c.Remark = "dynamic", "LAPACK is loaded by the C library; a program built with -tags static needs none"
		}
	}
	return c
}

func isTerminal(stdout io.Writer) check {
	t := newTerminal(stdout)
	c := check{Section: "System", Check: "output", Status: statusOK, Value: "no terminal", Remark: "plain lines, no colours"}
	switch {
	case t.colour:
		c.Value, c.Remark = "terminal", fmt.Sprintf("colours, %d columns; NO_COLOR switches colours off", t.columns())
	case t.live:
		c.Value, c.Remark = "terminal", fmt.Sprintf("no colours because of NO_COLOR, %d columns", t.columns())
	}
	return c
}
