package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind is what a placeholder stands for.
type kind uint8

const (
	none     kind = iota // no placeholder: the end of the text
	literal              // text that an escape stands for
	argument             // arguments of the input
	sequence             // its number
	slot
	output
	scratch
)

// placeholder is one of a template, and how to edit and quote what it stands for.
type placeholder struct {
	kind  kind
	n     int    // which argument, from 1 or from -1 at the end, 0 all of them; which output
	base  bool   // without the folder
	dir   bool   // the folder alone
	dots  int    // how many extensions to cut
	text  string // of a literal
	place place
	glued bool // it follows a shell's variable, whose name would go on in it
}

// parsePlaceholder reads what stands between braces.
func parsePlaceholder(body string, columns []string) (p placeholder, ok bool, err error) {
	switch body {
	case "#":
		return placeholder{kind: sequence}, true, nil
	case "%":
		return placeholder{kind: slot}, true, nil
	}
	if strings.HasPrefix(body, `\`) {
		// One of several backslashes goes, so that all of them can be written.
		_, ok, err := parsePlaceholder(strings.TrimLeft(body, `\`), columns)
		return placeholder{kind: literal, text: "{" + body[1:] + "}"}, ok || err != nil, nil
	}
	if p, ok, err = named(body, columns); ok || err != nil {
		return p, ok, err
	}
	// Edits stand at the end: a folder's slashes, then dots.
	name := strings.TrimRight(body, ".")
	dots := len(body) - len(name)
	stem := strings.TrimRight(name, "/")
	slashes := len(name) - len(stem)
	if dots > 3 || slashes > 2 || slashes == 2 && dots > 0 {
		return placeholder{}, false, nil
	}
	p, ok, err = placeholder{kind: argument}, true, nil
	if stem != "" {
		if p, ok, err = named(stem, columns); !ok || err != nil {
			return placeholder{}, false, err
		}
	}
	p.base, p.dir, p.dots = slashes == 1, slashes == 2, dots
	return p, true, nil
}

// named finds the argument or output of a number or name.
func named(name string, columns []string) (p placeholder, ok bool, err error) {
	if name == "" {
		return placeholder{}, false, nil
	}
	if n, ok := number(strings.TrimPrefix(name, "-")); ok {
		if name[0] == '-' {
			n = -n
		}
		return placeholder{kind: argument, n: n}, true, nil
	}
	switch rest, out := strings.CutPrefix(name, "out"); {
	case name == "scratch":
		p, ok = placeholder{kind: scratch}, true
	case out && rest == "":
		p, ok = placeholder{kind: output, n: 1}, true
	case out:
		var n int
		if n, ok = number(rest); ok {
			p = placeholder{kind: output, n: n}
		}
	}
	i := slices.Index(columns, name)
	if i < 0 {
		return p, ok, nil
	}
	if ok {
		return p, false, fmt.Errorf("command: %w: {%s} is a placeholder, and a column's name: rename the column, or write {%d} for it", ErrTemplate, name, i+1)
	}
	if j := slices.Index(columns[i+1:], name); j >= 0 {
		return p, false, fmt.Errorf("command: %w: {%s} is the name of two columns: write {%d} or {%d}", ErrTemplate, name, i+1, i+j+2)
	}
	return placeholder{kind: argument, n: i + 1}, true, nil
}

// number reads a number from 1 as people write it.
func number(s string) (int, bool) {
	if len(s) == 0 || len(s) > 6 || s[0] == '0' {
		return 0, false
	}
	for i := range len(s) {
		if !digit(s[i]) {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// edit cuts folder and extensions as the placeholder says.
func (p *placeholder) edit(s string) string {
	switch {
	case p.dir:
		return folder(s)
	case p.base:
		s = s[strings.LastIndexByte(s, '/')+1:]
	}
	// All of the extensions, or none.
	cut := len(s)
	for range p.dots {
		i := cut - 1
		for i >= 0 && s[i] != '.' && s[i] != '/' {
			i--
		}
		if i < 0 || s[i] == '/' {
			return s
		}
		cut = i
	}
	return s[:cut]
}

// folder is dirname(1), which path.Dir is not: it does not clean what remains.
func folder(s string) string {
	trimmed := strings.TrimRight(s, "/")
	if trimmed == "" && s != "" {
		return "/"
	}
	i := strings.LastIndexByte(trimmed, '/')
	if i < 0 {
		return "."
	}
	if dir := strings.TrimRight(trimmed[:i], "/"); dir != "" {
		return dir
	}
	return "/"
}
