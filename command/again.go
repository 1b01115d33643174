package command

import (
	"path/filepath"
	"strings"

	"github.com/parade-go/parade/internal/wholefile"
)

// againPrefix begins the names that Again gives to outputs. They are hidden, as temporary
// ones are, and never taken for whole.
const againPrefix = wholefile.Prefix + "again-"

// scratchVariable is what {scratch} is in a line of Again.
const scratchVariable = "PARADE_SCRATCH"

// Again gives a line for a POSIX shell that runs the command of a task once more, with
// its environment, folder and standard input, and does no harm: an output gets a hidden
// name beside its own (.parade-again-NAME), and {scratch} is a new folder.
func (s Spec) Again(r Result) string {
	in := Input{Seq: r.Seq, Args: r.Args}
	text := func(t Template) string {
		if len(t.Words) == 0 {
			return ""
		}
		name, err := t.Text(in, Values{Slot: r.Slot})
		if err != nil {
			return ""
		}
		return name
	}
	dir := text(s.Dir)
	absolute := func(name string) string { // for a command in another folder
		if full, err := filepath.Abs(name); err == nil && dir != "" {
			return full
		}
		return name
	}
	values := Values{Slot: r.Slot, variable: true}
	for _, of := range s.Outputs {
		values.Outputs = append(values.Outputs, wholefile.Beside(filepath.Clean(absolute(text(of))), againPrefix))
	}
	argv, err := s.Template.Expand(in, values)
	if err != nil {
		return r.Command
	}
	line := Line(argv)
	stdin, scratch := text(s.Stdin), s.Scratch || s.Template.Needs().Scratch
	switch {
	case !s.Template.Shell:
		words := make([]string, len(argv))
		for i, w := range argv {
			words[i] = quoteMarked(w)
		}
		line = strings.Join(words, " ")
	case len(s.Env) > 0 || stdin != "" || dir != "" || scratch: // the line must be one command
		line = "sh -c " + Quote(line)
	}
	if len(s.Env) > 0 {
		env := make([]string, len(s.Env))
		for i, e := range s.Env {
			env[i] = Quote(e)
		}
		line = "env " + strings.Join(env, " ") + " " + line
	}
	if stdin != "" {
		line += " < " + Quote(absolute(stdin))
	}
	if scratch {
		line = `export ` + scratchVariable + `="$(mktemp -d)" && export TMPDIR="$` + scratchVariable + `" && ` + line
	}
	if dir != "" {
		line = "cd " + Quote(dir) + " && " + line
	}
	if dir != "" || scratch {
		line = "(" + line + ")"
	}
	return line
}

// appendVariable appends the scratch folder's variable to a shell's text, or for a word
// of its own a mark that no argument can have.
func (p place) appendVariable(b []byte) []byte {
	switch p {
	case unquoted:
		return append(b, `"$`+scratchVariable+`"`...)
	case singleQuoted:
		return append(b, `'"$`+scratchVariable+`"'`...)
	case doubleQuoted:
		return append(b, `${`+scratchVariable+`}`...)
	}
	return append(b, 0)
}

// quoteMarked is Quote for a word with marks of appendVariable.
func quoteMarked(word string) string {
	if !hasNUL(word) {
		return Quote(word)
	}
	parts := strings.Split(word, "\x00")
	for i, part := range parts {
		if part != "" {
			parts[i] = Quote(part)
		}
	}
	return strings.Join(parts, `"$`+scratchVariable+`"`)
}
