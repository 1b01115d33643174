package main

import (
	"bufio"
	"context"
	"errors"
	"syscall"

	"github.com/parade-go/parade/command"
)

// print prints the commands that would run.
func (o *runOptions) print(ctx context.Context, spec command.Spec, source *command.Source) error {
	memory, err := o.remember(spec)
	if err != nil {
		return err
	}
	defer memory.close()
	quit := make(chan struct{})
	defer close(quit)
	items := reader(source, quit)
	out := bufio.NewWriterSize(o.stdout, 64<<10)
	for {
		var it item
		var ok bool
		select {
		case it, ok = <-items:
		default:
			if err := out.Flush(); err != nil { // the inputs come slowly: show what there is
				return o.printed(err)
			}
			select {
			case it, ok = <-items:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		switch {
		case !ok:
			return o.printed(out.Flush())
		case it.err != nil:
			if err := out.Flush(); err != nil {
				return o.printed(err)
			}
			return &inputError{it.err}
		case memory.skip(it.input):
			continue
		}
		argv, err := expandForShow(spec, it.input)
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
