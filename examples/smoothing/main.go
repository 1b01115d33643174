// Command smoothing smooths the fMRI recordings of a list with AFNI's 3dBlurToFWHM,
// several at a time: the second example of the tutorial on running programs in
// parallel. README.md says what there is to mind, and how to do the same without Go.
//
//	go run ./examples/smoothing subjects.txt                 to 6 mm, one per core
//	go run ./examples/smoothing subjects.txt 8 threads:2     to 8 mm; or serial, processes:4
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/command"
	_ "github.com/parade-go/parade/process"
)

func main() {
	log.SetFlags(0)
	args := append(os.Args[1:], make([]string, 3)...)
	list, fwhm, executor := args[0], args[1], args[2]
	if list == "" {
		log.Fatal("usage: smoothing list [fwhm [executor]]")
	}
	if fwhm == "" {
		fwhm = "6"
	}
	if executor == "" {
		executor = "threads" // which is enough: each command is a process of its own
	}
	// A command is in a process group of its own, which Ctrl-C does not reach.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, executor, list, fwhm, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// smoothing is the command. Its output gets its own name only when it is whole.
func smoothing(fwhm string) (spec command.Spec, err error) {
	// The program itself would take 2abc for 2.
	if _, err := strconv.ParseFloat(fwhm, 64); err != nil {
		return spec, fmt.Errorf("FWHM in mm: %w", err)
	}
	words := []string{"3dBlurToFWHM", "-quiet", "-input", "{}", "-FWHM", fwhm, "-prefix", "{out}"}
	if spec.Template, err = command.ParseTemplate(words, false, nil); err != nil {
		return spec, err
	}
	// With the FWHM in the name, what is there is never taken for that of another one.
	output, err := command.ParseText("{..}_"+fwhm+"mm.nii.gz", nil)
	if err != nil {
		return spec, err
	}
	spec.Outputs = []command.Template{output}
	spec.Check, err = command.ParseCheck([]string{"gzip", "-t"}, false, nil)
	// OMP_NUM_THREADS needs no line: each command gets its share of the cores.
	spec.Env = []string{"AFNI_LOGFILE=NO"}
	return spec, err
}

func run(ctx context.Context, executor, list, fwhm string, w io.Writer) error {
	spec, err := smoothing(fwhm)
	if err != nil {
		return err
	}
	source, err := command.Open(list, command.Format{SkipEmpty: true})
	if err != nil {
		return err
	}
	var subjects []command.Input
	for subject, err := range command.Distinct(spec, source.Inputs()) {
		if err != nil {
			return err
		}
		subjects = append(subjects, subject)
	}
	ex, err := parade.Open(ctx, executor)
	if err != nil {
		return err
	}
	defer command.Wait() // after Ctrl-C, for the commands to be gone
	defer ex.Close()

	failed := 0
	for r := range parade.Stream(ctx, ex, parade.Bind(command.Run, spec), slices.Values(subjects), parade.CollectErrors()) {
		if r.Index < 0 {
			return r.Err // cancelled
		}
		message, err := "done", error(nil)
		switch result, e := command.ResultOf(r); {
		case e != nil:
			err = e
		case result.Exit != 0:
			err = reason(result)
		case result.Skipped:
			message = "done before"
		}
		if err != nil {
			failed++
			message = err.Error()
		}
		fmt.Fprintf(w, "subject %s: %s\n", subjects[r.Index].Args[0], message)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d subjects failed", failed, len(subjects))
	}
	return nil
}

// reason says why a command failed, with what it said about that itself: the last line
// of its standard error that has the word ERROR, as AFNI's very last one is a date.
func reason(result command.Result) error {
	text := result.Outcome()
	lines, err := result.Stderr.Tail(20)
	if err != nil {
		return errors.Join(errors.New(text), err)
	}
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, "ERROR") {
			return errors.New(text + ": " + line)
		}
	}
	if len(lines) > 0 {
		text += ": " + lines[len(lines)-1]
	}
	return errors.New(text)
}
