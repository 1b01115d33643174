package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Template is a command with placeholders. Make one with ParseTemplate or
// ParseText; it is plain data and can be sent to another process.
type Template struct {
	// Words are the program and its arguments or, with Shell, one text; with Shell
	// and none, every input is a command line itself.
	Words []string
	// Shell says that /bin/sh runs the text.
	Shell bool
	// Columns are the names of the arguments of an input, in their order, for
	// {name}; "" has no name.
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

	variable bool // {scratch} is a shell's variable: see Spec.Again
}

// Needs is what a template wants from the input and from Values.
type Needs struct {
	Args    int  // the highest argument that it names, counted from either end
	Outputs int  // the highest output that it names
	Scratch bool // whether it has {scratch}
}

// optionGuard stands before a text that a shell would take for an option.
const optionGuard = " "

// ParseTemplate checks a command and makes it ready for Expand. columns are the
// names of the arguments, as Source.Columns gives them, and may be nil. The error
// wraps ErrTemplate.
//
// # Placeholders
//
// With the input sub-01/bold.nii.gz:
//
//	{}     sub-01/bold.nii.gz   the input
//	{.}    sub-01/bold.nii      without its extension
//	{..}   sub-01/bold          without two; {...} without three
//	{/}    bold.nii.gz          without its folder
//	{//}   sub-01               its folder, . for a bare name
//	{/.}   bold.nii             without folder and extension; also {/..} {/...}
//	{2}    the second argument, {-1} the last; {2.} {2/} {2//} {2/.} and so on as above
//	{name} the argument of a column's name; {name.} {name/} {name//} {name/.} as above
//	{#}    the number of the input, from 1
//	{%}    the slot: the place among those that run at the same time, from 1
//	{out}  the temporary name of a checked output; {out2}, {out3} of more
//	{scratch}  the task's own empty folder
//
// They give what GNU parallel gives (the two and three dots: with its --plus). An
// extension begins at the last dot of the last component: d.x/e has none, and
// {/.} of .profile is empty. {2} is empty where an input has but one argument. A
// brace that begins no placeholder is text, so awk '{print $1}' needs no care; a
// backslash after the brace makes text of a placeholder: {\} is {} and {\1} is {1}.
//
// A command without a placeholder of the input, which all are but {out} and
// {scratch}, gets {} appended, unless a shell would take it for the name of a program
// there, as after > {out} or a semicolon: that is an error. A lone {}, or no words at
// all, makes every input a command line of its own for the shell, not quoted.
//
// An input of several arguments, of several sources or columns or from Pack, is all
// of them in {}: as words of their own where {} is a word by itself, else in one
// word with blanks between.
//
// # Shell
//
// Several words go to the program as they are. With shell set, or when one word
// has blanks or other characters that a shell knows, /bin/sh -c runs the words as a
// text, and every argument is quoted for the place where it stands: bare, or within
// '...' or "...", also within $(...). Where that cannot be done for every input the
// template is refused: within or after `...`, <<, ((...)), $'...', in a comment,
// in ${...}, and in or after what is too involved to judge. A backslash before the
// brace, and a $ before it outside of '...', leave it to the shell: ${name} is its
// variable. Quoting holds for this shell, not for a text that is read once more,
// as by ssh, eval or sh -c; there "$1" helps: sh -c 'cat "$1" | tee x' sh {}.
//
// Unlike here, GNU parallel gives several words to the shell, too, and quotes
// without regard to the place: "{}" becomes "'a b'".
func ParseTemplate(words []string, shell bool, columns []string) (Template, error) {
	if len(words) == 0 || len(words) == 1 && words[0] == "{}" {
		return Template{Shell: true, Columns: slices.Clone(columns)}, nil
	}
	return parse(words, shell, columns, "{}", func(_ Needs, input bool) bool { return input })
}

// ParseCheck is ParseTemplate for a Spec's Check, a command about what a task has
// made: one that names no output gets {out} appended, and nothing else.
func ParseCheck(words []string, shell bool, columns []string) (Template, error) {
	if len(words) == 0 {
		return Template{}, fmt.Errorf("command: %w: the check has no words", ErrTemplate)
	}
	return parse(words, shell, columns, "{out}", func(needs Needs, _ bool) bool { return needs.Outputs > 0 })
}

// parse appends a placeholder to a command that has none that it is about.
func parse(words []string, shell bool, columns []string, placeholder string, about func(needs Needs, input bool) bool) (Template, error) {
	t := Template{Words: slices.Clone(words), Shell: shell, Columns: slices.Clone(columns)}
	if i := slices.IndexFunc(words, hasNUL); i >= 0 {
		return Template{}, fmt.Errorf("command: %w: word %d has a NUL byte, which no command can get", ErrTemplate, i+1)
	}
	if !shell && len(words) == 1 {
		t.Shell = t.needsShell(words[0])
	}
	if t.Shell {
		t.Words = []string{strings.Join(words, " ")}
	}
	if strings.TrimSpace(t.Words[0]) == "" {
		return Template{}, fmt.Errorf("command: %w: the program's name is empty", ErrTemplate)
	}
	needs, input, err := t.survey()
	if err == nil && !about(needs, input) {
		if t.Shell && wantsCommand(t.Words[0]) {
			return Template{}, fmt.Errorf("command: %w: %q has no %s, and at its end the shell would run the input itself: write %[3]s where it belongs", ErrTemplate, t.Words[0], placeholder)
		}
		if t.Shell {
			t.Words[0] += " " + placeholder
		} else {
			t.Words = append(t.Words, placeholder)
		}
		needs, input, err = t.survey()
	}
	if err == nil && !about(needs, input) { // it became part of what was the end
		err = fmt.Errorf("command: %w: %q: write %s where it belongs", ErrTemplate, words[0], placeholder)
	}
	if err != nil {
		return Template{}, err
	}
	return t, nil
}

// ParseText is ParseTemplate for a text that is no command, such as the name of an
// output file or a tag: nothing is quoted or appended, and Text expands it.
func ParseText(text string, columns []string) (Template, error) {
	t := Template{Words: []string{text}, Columns: slices.Clone(columns)}
	if hasNUL(text) {
		return Template{}, fmt.Errorf("command: %w: %q has a NUL byte", ErrTemplate, text)
	}
	if _, _, err := t.survey(); err != nil {
		return Template{}, err
	}
	return t, nil
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// needsShell tells whether the text of a single word has what only a shell
// understands.
func (t *Template) needsShell(word string) bool {
	s := scanner{columns: t.Columns, text: word}
	for {
		text, p, err := s.next()
		if err != nil {
			return false // which survey says again
		}
		for i := range len(text) {
			if c := text[i]; c < 0x80 && !plain(text[i:i+1]) && strings.IndexByte("@%:,^", c) < 0 {
				return true
			}
		}
		if p.kind == none {
			return false
		}
	}
}

// survey finds what the template needs, whether it uses its input, and whether it
// can be expanded.
func (t *Template) survey() (needs Needs, input bool, err error) {
	for _, w := range t.Words {
		s := scanner{columns: t.Columns, text: w, shell: t.Shell}
		for {
			_, p, err := s.next()
			if err != nil {
				return Needs{}, false, err
			}
			switch p.kind {
			case argument:
				needs.Args = max(needs.Args, p.n, -p.n)
			case output:
				needs.Outputs = max(needs.Outputs, p.n)
			case scratch:
				needs.Scratch = true
			}
			input = input || p.kind == argument || p.kind == sequence || p.kind == slot
			if p.kind == none {
				break
			}
		}
		if open := s.top(); s.trouble == "" && (open == '\'' || open == '"') {
			return Needs{}, false, fmt.Errorf("command: %w: %q: a %c is never closed", ErrTemplate, w, open)
		}
	}
	return needs, input, nil
}

// Needs gives what the template wants, so that a caller can refuse before the
// first task what Expand would refuse, or leave empty, in each.
func (t Template) Needs() Needs {
	needs, _, _ := t.survey()
	return needs
}

// Expand gives the program and its arguments for one input: ready for exec, with
// Shell as /bin/sh, -c and a text. The error wraps ErrTemplate where Values lack
// what the template needs, or ErrInput.
func (t Template) Expand(in Input, v Values) ([]string, error) {
	if i := slices.IndexFunc(in.Args, hasNUL); i >= 0 {
		return nil, fmt.Errorf("command: %w: argument %d, %q, has a NUL byte, which no command can get", ErrInput, i+1, in.Args[i])
	}
	if t.Shell {
		text := strings.Join(in.Args, " ")
		if len(t.Words) > 0 {
			b, err := t.appendWord(nil, t.Words[0], in, v)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
			text = optionGuard + text
		}
		return []string{shellPath, "-c", text}, nil
	}
	argv := make([]string, 0, len(t.Words)+len(in.Args))
	var b []byte
	for _, w := range t.Words {
		if strings.IndexByte(w, '{') < 0 {
			argv = append(argv, w)
			continue
		}
		if p, ok := t.alone(w); ok {
			for _, a := range in.Args {
				argv = append(argv, p.edit(a))
			}
			continue
		}
		var err error
		if b, err = t.appendWord(b[:0], w, in, v); err != nil {
			return nil, err
		}
		argv = append(argv, string(b))
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, fmt.Errorf("command: %w: %q leave the program's name empty", ErrInput, in.Args)
	}
	return argv, nil
}

// alone tells whether a word is nothing but a placeholder of all arguments.
func (t *Template) alone(word string) (placeholder, bool) {
	s := scanner{columns: t.Columns, text: word}
	text, p, err := s.next()
	return p, err == nil && text == "" && p.kind == argument && p.n == 0 && s.at == len(word)
}

// Text expands a template of ParseText.
func (t Template) Text(in Input, v Values) (string, error) {
	var b []byte
	for i, w := range t.Words {
		if i > 0 {
			b = append(b, ' ')
		}
		var err error
		if b, err = t.appendWord(b, w, in, v); err != nil {
			return "", err
		}
	}
	return string(b), nil
}

// String gives the template as a line of a shell, with its placeholders.
func (t Template) String() string {
	if !t.Shell {
		return Line(t.Words)
	}
	if len(t.Words) == 0 {
		return "{}"
	}
	return t.Words[0]
}

// appendWord appends a word with its placeholders replaced.
func (t *Template) appendWord(b []byte, word string, in Input, v Values) ([]byte, error) {
	s := scanner{columns: t.Columns, text: word, shell: t.Shell}
	bare := false // the placeholder before was not within quotes
	for {
		text, p, err := s.next()
		if err != nil {
			return nil, err
		}
		if bare && len(b) > 0 && text != "" && (text[0] == '<' || text[0] == '>') && digit(b[len(b)-1]) {
			b = append(b, "''"...) // else the digits would be the number of a file
		}
		b = append(b, text...)
		bare = p.place == unquoted && s.shell
		if p.glued {
			b = append(b, p.place.pair()...)
		}
		switch p.kind {
		case none:
			return b, nil
		case literal:
			b = append(b, p.text...)
			bare = false
		case sequence:
			b = strconv.AppendInt(b, int64(in.Seq), 10)
		case slot:
			b = strconv.AppendInt(b, int64(v.Slot), 10)
		case output:
			if p.n > len(v.Outputs) {
				return nil, fmt.Errorf("command: %w: it has {out%d}, and the task has %d outputs", ErrTemplate, p.n, len(v.Outputs))
			}
			b = p.place.append(b, p.edit(v.Outputs[p.n-1]))
		case scratch:
			if v.variable {
				b = p.place.appendVariable(b)
				continue
			}
			if v.Scratch == "" {
				return nil, fmt.Errorf("command: %w: it has {scratch}, and the task has no such folder", ErrTemplate)
			}
			b = p.place.append(b, p.edit(v.Scratch))
		case argument:
			args := in.Args
			if p.n != 0 {
				i := p.n - 1
				if p.n < 0 {
					i = len(args) + p.n
				}
				if i < 0 || i >= len(args) {
					continue
				}
				args = args[i : i+1]
			}
			for i, a := range args {
				if i > 0 {
					b = append(b, ' ')
				}
				b = p.place.append(b, p.edit(a))
			}
		}
	}
}
