// Package launch starts the engines of a cluster by way of a batch system.
//
//	system, err := launch.Find("slurm")
//	script, err := system.Script(launch.Job{Cluster: "lab", Slots: 8, Command: command}, "")
//	id, err := system.Submit(ctx, script)
//	err = system.Cancel(ctx, id)
//	names := launch.Names()
//
// One batch job is one engine, so that engines come and go one by one, as the
// batch system has room. Scripts are made from templates, which can be replaced.
package launch

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Job is what a template is filled with.
type Job struct {
	Cluster string   // the cluster's name
	Slots   int      // cores to ask for
	Log     string   // file for the output
	Options []string // lines of the user's for the batch system, without its prefix
	Command []string // starts the engine, the first word is the program
}

// Shell is the command quoted for a POSIX shell.
func (j Job) Shell() string {
	quoted := make([]string, len(j.Command))
	for i, word := range j.Command {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// Program is the first word of the command.
func (j Job) Program() string { return j.Command[0] }

// Arguments are the others, as HTCondor reads them.
func (j Job) Arguments() string {
	quoted := make([]string, len(j.Command)-1)
	for i, word := range j.Command[1:] {
		quoted[i] = "'" + strings.ReplaceAll(strings.ReplaceAll(word, "'", "''"), `"`, `""`) + "'"
	}
	return strings.Join(quoted, " ")
}

// System is a batch system.
type System struct {
	Name   string
	submit []string       // reads the script from its standard input
	file   bool           // or from a file that is its last argument
	id     *regexp.Regexp // finds the job's id in what submit prints
	cancel []string       // with the id behind it
}

var systems = []System{
	{Name: "slurm", submit: []string{"sbatch"}, id: regexp.MustCompile(`Submitted batch job (\d+)`), cancel: []string{"scancel"}},
	{Name: "pbs", submit: []string{"qsub"}, id: regexp.MustCompile(`(?m)^(\d+(?:\[\])?(?:\.[\w.-]+)?)\s*$`), cancel: []string{"qdel"}},
	{Name: "sge", submit: []string{"qsub"}, id: regexp.MustCompile(`Your job (\d+)`), cancel: []string{"qdel"}},
	{Name: "lsf", submit: []string{"bsub"}, id: regexp.MustCompile(`Job <(\d+)>`), cancel: []string{"bkill"}},
	{Name: "htcondor", submit: []string{"condor_submit"}, file: true, id: regexp.MustCompile(`submitted to cluster (\d+)`), cancel: []string{"condor_rm"}},
}

// Names are the batch systems that there are launchers for. Besides them "parade cluster start" has ssh,
// which is [SSH], and mpi and local, which are its own.
func Names() []string {
	names := make([]string, len(systems))
	for i, s := range systems {
		names[i] = s.Name
	}
	return names
}

// Find returns a batch system by its name.
func Find(name string) (System, error) {
	i := slices.IndexFunc(systems, func(s System) bool { return s.Name == name })
	if i < 0 {
		return System{}, fmt.Errorf("there is no launcher %q; there are local, ssh, mpi, %s", name, strings.Join(Names(), ", "))
	}
	return systems[i], nil
}

//go:embed templates
var templates embed.FS

// Template returns the text that the scripts of the system are made from.
func (s System) Template() string {
	text, err := templates.ReadFile("templates/" + s.Name)
	if err != nil {
		panic(err) // it is part of this program
	}
	return string(text)
}

// Script fills a template, "" for the system's own.
func (s System) Script(j Job, text string) (string, error) {
	if len(j.Command) == 0 || j.Slots < 1 {
		return "", errors.New("launch: a job needs a command and at least one slot")
	}
	for _, o := range j.Options {
		if strings.ContainsAny(o, "\r\n") {
			return "", fmt.Errorf("launch: the option %q has several lines", o)
		}
	}
	if text == "" {
		text = s.Template()
	}
	t, err := template.New(s.Name).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("launch: the template for %s: %w", s.Name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, j); err != nil {
		return "", fmt.Errorf("launch: the template for %s: %w", s.Name, err)
	}
	return b.String(), nil
}

// Submit hands a script to the batch system and returns the job's id.
func (s System) Submit(ctx context.Context, script string) (id string, err error) {
	argv := s.submit
	var stdin strings.Reader
	if s.file {
		f, err := os.CreateTemp("", "parade-*.sub")
		if err != nil {
			return "", err
		}
		defer os.Remove(f.Name())
		_, err = f.WriteString(script)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		argv = append(argv[:len(argv):len(argv)], f.Name())
	} else {
		stdin.Reset(script)
	}
	out, err := run(ctx, argv, &stdin)
	if err != nil {
		return "", err
	}
	m := s.id.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s: what it says names no job, so that nobody could cancel it: %q", argv[0], out)
	}
	return m[1], nil
}

// Cancel ends a job, queued or running. One that has ended already is an error of
// the batch system's.
func (s System) Cancel(ctx context.Context, id string) error {
	_, err := run(ctx, append(s.cancel[:len(s.cancel):len(s.cancel)], id), nil)
	return err
}

func run(ctx context.Context, argv []string, stdin *strings.Reader) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.WaitDelay = time.Second // what it has left running may hold its output
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(errs.String()+out.String()))
	}
	return out.String(), nil
}
