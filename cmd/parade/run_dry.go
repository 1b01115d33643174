package main

import (
	"bufio"
	"context"
	"errors"
	"syscall"

	"github.com/parade-go/parade/command"
)

// print prints the commands that would run.
func (o *runOptions) print(ctx context.Context, p runPlan) error {
	quit := make(chan struct{})
	defer close(quit)
	items := reader(p.inputs, nil, quit)
	out := bufio.NewWriterSize(o.stdout, 64<<10)
	for {
		var it item
		select {
		case it = <-items:
		default:
			if err := out.Flush(); err != nil { // the inputs come slowly: show what there is
				return o.printed(err)
			}
			select {
			case it = <-items:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		switch {
		case it.end:
			return o.printed(out.Flush())
		case it.err != nil:
			if err := out.Flush(); err != nil {
				return o.printed(err)
			}
			return listError(it.err)
		}
		if it.input.Fault != "" {
			newTerminal(o.stderr).printf("parade: task %d would fail: %s\n", it.input.Seq, shown(it.input.Fault, 1000))
		}
		argv, err := expandForShow(p.spec, it.input)
		if err != nil {
			return &inputError{err}
		}
		out.WriteString(command.Line(argv))
		if err := out.WriteByte('\n'); err != nil {
			return o.printed(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (o *runOptions) printed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return errClosedPipe
	}
	return outputError("standard output", err)
}

// expandForShow gives the command of an input as a user would write it: with the
// outputs' own names.
func expandForShow(spec command.Spec, in command.Input) ([]string, error) {
	v := command.Values{Slot: 1, Scratch: "{scratch}"}
	for _, o := range spec.Outputs {
		name, err := o.Text(in, command.Values{Slot: 1})
		if err != nil {
			return nil, err
		}
		v.Outputs = append(v.Outputs, name)
	}
	return spec.Template.Expand(in, v)
}
