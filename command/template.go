package command

// Template is a command with placeholders. Make one with ParseTemplate or
// ParseText; it is plain data and can be sent to another process.
type Template struct {
	// Words are the program and its arguments or, with Shell, one text.
	Words []string
	// Shell says that /bin/sh runs the text.
	Shell bool
	// Columns are the names of the arguments of an input, in their order, for
	// {name}; none or "" where they have no names.
	Columns []string
}

// Values is what placeholders stand for that is not in the input.
type Values struct {
	// Slot is {%}, the place among those that run at the same time, from 1.
	Slot int
	// Outputs are {out} or {out1}, {out2} and so on.
	Outputs []string
	// Scratch is {scratch}, the task's own folder.
	Scratch string
}

// Needs is what a template wants from the input and from Values.
type Needs struct {
	Args    int  // the highest argument that it names, or -n for the nth from the end
	Outputs int  // the highest output that it names
	Scratch bool // whether it has {scratch}
}

// ParseTemplate checks a command and makes it ready for Expand. columns are the
// names of the arguments, as Source.Columns gives them, and may be nil.
func ParseTemplate(words []string, shell bool, columns []string) (Template, error) {
	return Template{}, ErrTemplate
}

// ParseText is ParseTemplate for a text that is no command, such as the name of an
// output file or a tag: nothing is appended to it and Text expands it.
func ParseText(text string, columns []string) (Template, error) { return Template{}, ErrTemplate }

// Needs gives what the template wants, so that a caller can refuse before the
// first task what Expand would refuse in each.
func (t Template) Needs() Needs { return Needs{} }

// Expand gives the program and its arguments for one input: ready for exec, with
// Shell as /bin/sh, -c and a text. The error wraps ErrTemplate or ErrInput.
func (t Template) Expand(in Input, v Values) ([]string, error) { return nil, ErrTemplate }

// Text expands a template of ParseText.
func (t Template) Text(in Input, v Values) (string, error) { return "", ErrTemplate }

// String gives the template as a line of a shell, with its placeholders.
func (t Template) String() string { return Line(t.Words) }
