package command

import (
	"fmt"
	"strings"
)

// place is where in a shell's text a placeholder stands.
type place uint8

const (
	raw          place = iota // in no shell's text
	unquoted                  // bare
	singleQuoted              // within '...'
	doubleQuoted              // within "..."
)

// append appends a value so that a shell reads it back at this place.
func (p place) append(b []byte, value string) []byte {
	switch p {
	case unquoted:
		return append(b, Quote(value)...)
	case singleQuoted:
		return append(b, strings.ReplaceAll(value, "'", `'"'"'`)...)
	case doubleQuoted:
		for i := range len(value) {
			if strings.IndexByte("$`\"\\", value[i]) >= 0 {
				b = append(b, '\\')
			}
			b = append(b, value[i])
		}
		return b
	}
	return append(b, value...)
}

// pair is a pair of quotes that means nothing but ends a variable's name.
func (p place) pair() string {
	if p == doubleQuoted {
		return `""`
	}
	return "''"
}

// scanner finds the placeholders of a text and, where it is a shell's, how each
// one is quoted. What it does not know for certain it calls trouble, and then no
// argument may follow: a wrong guess would let an input be run.
type scanner struct {
	columns []string
	text    string
	shell   bool

	at      int    // the next byte to look at
	nest    []byte // what is open: ' " # and, of parentheses, $ for $( and (
	start   int    // where a word would begin; at the start of one if it is at
	glue    int    // the end of a variable's name, or of a ~
	trouble string // what makes quoting uncertain from here on
	store   [8]byte
}

// next gives the text up to the next placeholder, and that one; of kind none at
// the end.
func (s *scanner) next() (text string, p placeholder, err error) {
	from := s.at
	if from == 0 {
		s.nest, s.glue = s.store[:0], -1
	}
	for s.at < len(s.text) {
		if !s.shell {
			i := strings.IndexByte(s.text[s.at:], '{')
			if i < 0 {
				s.at = len(s.text)
				break
			}
			s.at += i
		} else if s.step() {
			continue
		}
		// A brace that may begin a placeholder.
		i := strings.IndexAny(s.text[s.at+1:], "{}")
		if i < 0 || s.text[s.at+1+i] == '{' {
			s.at++
			continue
		}
		p, ok, err := parsePlaceholder(s.text[s.at+1:s.at+1+i], s.columns)
		if err != nil {
			return "", p, err
		}
		if !ok {
			s.at++
			continue
		}
		whole := s.text[s.at : s.at+i+2]
		if s.shell {
			if p, err = s.quoting(p, whole); err != nil {
				return "", p, err
			}
		}
		text := s.text[from:s.at]
		if s.glue == s.at {
			s.glue += len(whole) // it may turn out to be empty
		}
		s.at += len(whole)
		return text, p, nil
	}
	return s.text[from:], placeholder{}, nil
}

// quoting adds to a placeholder how it is quoted where the scanner stands.
func (s *scanner) quoting(p placeholder, whole string) (placeholder, error) {
	p.glued = s.glue == s.at
	trouble := s.trouble
	switch s.top() {
	case '\'':
		p.place = singleQuoted
	case '"':
		p.place = doubleQuoted
	case '#':
		p.place, trouble = unquoted, "a comment"
	default:
		p.place = unquoted
	}
	if trouble != "" && (p.kind == argument || p.kind == output || p.kind == scratch) {
		return p, fmt.Errorf("command: %w: %s cannot be quoted for the shell in or after %s: put it before, or into a variable first (x=%s; ... \"$x\")", ErrTemplate, whole, trouble, whole)
	}
	return p, nil
}

// top is what was opened last, 0 outside of everything.
func (s *scanner) top() byte {
	if len(s.nest) == 0 {
		return 0
	}
	return s.nest[len(s.nest)-1]
}

func (s *scanner) push(c byte) { s.nest = append(s.nest, c) }
func (s *scanner) pop()        { s.nest = s.nest[:len(s.nest)-1] }

// step goes past what stands next in a shell's text, unless that is a brace of
// which the shell makes nothing special: then it returns false.
func (s *scanner) step() bool {
	c, following := s.text[s.at], byte(0)
	if s.at+1 < len(s.text) {
		following = s.text[s.at+1]
	}
	top := s.top()
	switch {
	case c == '{':
		return false
	case top == '\'':
		if c == '\'' {
			s.pop()
		}
	case top == '#':
		if c == '\n' {
			s.pop()
			s.start = s.at + 1
		}
	case c == '\\':
		s.escape(following)
		return true
	case c == '$':
		s.dollar(following)
		return true
	case c == '`':
		s.trouble = "`...` (write $(...))"
	case c == '"' && top == '"':
		s.pop()
	case c == '"':
		s.push('"')
	case top == '"':
	default:
		s.bare(c, following)
	}
	s.at++
	return true
}

// bare looks at a character outside of quotes.
func (s *scanner) bare(c, following byte) {
	switch c {
	case '\'':
		s.push('\'')
	case '#':
		if s.start == s.at {
			s.push('#')
		}
	case '~':
		s.glue = s.at + 1
	case '(':
		if following == '(' {
			s.trouble = "((...))"
		}
		s.push('(')
		s.start = s.at + 1
	case ')':
		if s.top() != '$' {
			s.start = s.at + 1
		}
		if len(s.nest) > 0 {
			s.pop()
		}
	case '<':
		if following == '<' {
			s.trouble = "<<"
		}
		s.start = s.at + 1
	case ' ', '\t', '\n', ';', '&', '|', '>':
		s.start = s.at + 1
	case 'c':
		// Its patterns have a ) of their own.
		if len(s.nest) > 0 && s.start == s.at && strings.HasPrefix(s.text[s.at:], "case") {
			s.trouble = "case within (...)"
		}
	}
}

// escape goes past a backslash and what it takes the meaning of.
func (s *scanner) escape(following byte) {
	if following == '\n' {
		// The shell takes both away, and could join what is around.
		if s.at > 0 && strings.IndexByte(" \t\n;", s.text[s.at-1]) < 0 {
			s.trouble = "a line that is continued within a word (put a blank before the \\)"
		} else if s.start == s.at {
			s.start += 2
		}
	}
	s.at = min(s.at+2, len(s.text))
}

// dollar goes past a $ and the name of what it expands.
func (s *scanner) dollar(following byte) {
	s.at++
	switch {
	case following == '(':
		if strings.HasPrefix(s.text[s.at:], "((") {
			s.trouble = "$((...))"
		}
		s.push('$')
		s.at++
		s.start = s.at
	case following == '{':
		end := strings.IndexByte(s.text[s.at:], '}')
		if end < 0 || strings.ContainsAny(s.text[s.at+1:s.at+end], "'\"\\`${") {
			s.trouble = "${...} with quotes or more braces in it"
			s.at++
			break
		}
		s.at += end + 1
	case following == '\'' && s.top() != '"':
		s.trouble = "$'...'"
	case following == '[':
		s.trouble = "$[...]"
	case letter(following) || following == '_':
		for s.at < len(s.text) && (letter(s.text[s.at]) || digit(s.text[s.at]) || s.text[s.at] == '_') {
			s.at++
		}
		s.glue = s.at
	case digit(following) || following != 0 && strings.IndexByte("@*#?$!-", following) >= 0:
		s.at++
	}
}

// wantsCommand tells whether a word at the end of a shell's text would be the name of
// what is run: after an operator, a redirection or an assignment alone. Quotes and
// substitutions are parts of a word.
func wantsCommand(text string) bool {
	s := scanner{text: text, shell: true}
	s.nest = s.store[:0]
	wants, target := true, false // the file of a redirection is due
	word := func(w string) {
		switch {
		case w == "":
		case target:
			target = false
		case wants:
			wants = assignment(w) || opensCommand(w)
		}
	}
	from := 0
	for s.at < len(text) {
		at, c := s.at, text[s.at]
		if len(s.nest) > 0 || strings.IndexByte(" \t\n;&|()<>#", c) < 0 || c == '#' && s.start != at {
			if !s.step() {
				s.at++ // a brace
			}
			continue
		}
		w := text[from:at]
		switch c {
		case '<', '>':
			if digits(w) {
				w = "" // the number of the file
			}
			word(w)
			target = true
			s.at++
			for s.at < len(text) && strings.IndexByte("<>&|", text[s.at]) >= 0 {
				s.at++
			}
			s.start = s.at
		case ' ', '\t':
			word(w)
			s.step()
		case '#':
			s.step()
		default:
			word(w)
			target = false
			wants = c != ')'
			s.at++
			s.start = s.at
		}
		from = s.at
	}
	word(text[from:])
	return wants && !target
}

// assignment tells whether a word sets a variable where a command may begin.
func assignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	if !ok || name == "" || digit(name[0]) {
		return false
	}
	for i := range len(name) {
		if !letter(name[i]) && !digit(name[i]) && name[i] != '_' {
			return false
		}
	}
	return true
}

// opensCommand tells whether a command follows a word of the shell's language.
func opensCommand(word string) bool {
	switch word {
	case "!", "{", "if", "then", "elif", "else", "while", "until", "do":
		return true
	}
	return false
}
