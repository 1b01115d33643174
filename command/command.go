// Package command runs one command over many inputs, as GNU parallel does: a
// template with placeholders, sources of inputs, and a task that can be given to
// any executor. It is what "parade run" is made of, without flags and terminal.
//
//	template, err := command.ParseTemplate([]string{"gzip", "-k", "{}"}, false, nil)
//	spec := command.Spec{Template: template}
//	for r := range parade.Stream(ctx, ex, parade.Bind(command.Run, spec), inputs) { ... }
//
// # Templates
//
// A Template is a command whose words hold placeholders: {} {.} {/} {//} {/.}
// {#} {%} {1} {2.} {name} and so on; ParseTemplate has the table. Words go to the
// program as they are, whatever characters an input has. A shell runs a command
// only when asked for, or when the command is one string that needs one, and then
// every input is quoted for it.
//
// # Inputs
//
// A Source is a list of inputs that is read as it is needed: Words, the items of a
// file or of standard input (Open, Read), the rows of a CSV file, the files that
// match a pattern (Glob). Product gives all combinations of several, Link goes
// through them side by side. However long a list is, it takes constant memory,
// but for the few cases that the functions name.
//
// # Running
//
// A Spec says how to run: where, with which environment, limits and retries. Run
// is the function to give to Map or Stream; its Result has the exit status and the
// output, of which only a little is ever held in memory.
//
// # Checked outputs
//
// An exit status of 0 does not prove that a command did its work. A Spec can name
// the files that each task must make: the command writes to a temporary name, {out},
// and only what is there, is not empty and passes a check gets its final name.
//
// # Joblog and journal
//
// A joblog is GNU parallel's table of the tasks that ended. The journal is what a
// run is resumed from: it is right whenever the run was killed.
package command

import "errors"

// Errors that callers branch on.
var (
	// ErrTemplate says that a template cannot be used.
	ErrTemplate = errors.New("bad template")
	// ErrInput says that an input cannot be used. An *InputError says where it is.
	ErrInput = errors.New("bad input")
)
