package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/parade-go/parade/command"
	"golang.org/x/term"
)

// separators begin a source of inputs on the command line, as for GNU parallel.
const (
	words       = ":::"
	wordsLinked = ":::+"
	lists       = "::::"
	listsLinked = "::::+"
)

// argSource is what stands behind a separator.
type argSource struct {
	separator string
	args      []string
}

// splitArgs divides a command line into the command and its sources.
func splitArgs(args []string) (cmd []string, sources []argSource) {
	for _, a := range args {
		switch {
		case a == words || a == wordsLinked || a == lists || a == listsLinked:
			sources = append(sources, argSource{separator: a})
		case len(sources) == 0:
			cmd = append(cmd, a)
		default:
			last := &sources[len(sources)-1]
			last.args = append(last.args, a)
		}
	}
	return cmd, sources
}

// source makes one source of inputs of all that the user named: -a, --glob and
// what follows the separators, or standard input where there is none of these.
func (o *runOptions) source(given []argSource) (*command.Source, error) {
	format := command.Format{Null: o.null, Colsep: o.colsep, CSV: o.csv, Header: o.header != "", SkipEmpty: o.skipEmpty}
	var groups [][]*command.Source // linked within, all combinations between
	stdin := 0
	add := func(s *command.Source, err error, linked bool) error {
		if err != nil {
			return sourceError(err)
		}
		if linked && len(groups) > 0 {
			groups[len(groups)-1] = append(groups[len(groups)-1], s)
		} else {
			groups = append(groups, []*command.Source{s})
		}
		return nil
	}
	open := func(path string, linked bool) error {
		if path == "-" {
			if stdin++; stdin > 1 {
				return usagef("standard input is named twice as a list of inputs")
			}
		}
		s, err := command.Open(path, format)
		return add(s, err, linked)
	}
	for _, path := range o.files {
		if err := open(path, o.link); err != nil {
			return nil, err
		}
	}
	if len(o.globs) > 0 {
		s, err := command.Glob(o.globs...)
		if err := add(s, err, o.link); err != nil {
			return nil, err
		}
	}
	for i, g := range given {
		linked := o.link || g.separator == wordsLinked || g.separator == listsLinked
		if linked && !o.link && len(groups) == 0 {
			return nil, usagef("%s links inputs to those of a source before it, and there is none; begin with %s", g.separator, given[i].separator[:len(g.separator)-1])
		}
		if g.separator == words || g.separator == wordsLinked {
			s, err := command.Words(g.args, format)
			if err := add(s, err, linked); err != nil {
				return nil, err
			}
			continue
		}
		if len(g.args) == 0 {
			return nil, usagef("%s needs a file of inputs, or - for standard input", g.separator)
		}
		for _, path := range g.args {
			if err := open(path, linked); err != nil {
				return nil, err
			}
		}
	}
	if len(groups) == 0 {
		if term.IsTerminal(int(os.Stdin.Fd())) {
			fmt.Fprintln(o.stderr, "parade: reading inputs from the terminal, one a line; Ctrl-D ends them")
		}
		if err := open("-", false); err != nil {
			return nil, err
		}
	}
	linked := make([]*command.Source, len(groups))
	for i, g := range groups {
		linked[i] = command.Link(g...)
	}
	all := command.Product(linked...)
	if o.shuf {
		all = all.Shuffle(o.seed)
	}
	return all.Pack(o.maxArgs), nil
}

// sourceError tells a list that cannot be used from a flag that makes no sense.
func sourceError(err error) error {
	var in *command.InputError
	if errors.As(err, &in) || errors.Is(err, os.ErrNotExist) {
		return &inputError{err}
	}
	return &usageError{err}
}
