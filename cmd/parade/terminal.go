package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// terminal writes for people: in colour on a terminal, in plain lines elsewhere.
type terminal struct {
	io.Writer
	live   bool // a terminal, on which a line can be drawn again
	colour bool
	fd     int
	err    error // the first that printf met; a report that nobody got is a failure
}

// newTerminal looks at what w is. NO_COLOR (https://no-color.org) switches
// colours off.
func newTerminal(w io.Writer) *terminal {
	t := &terminal{Writer: w}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return t
	}
	// The old Windows console would show the escape sequences themselves.
	if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" {
		return t
	}
	t.live, t.fd = true, int(f.Fd())
	t.colour = os.Getenv("NO_COLOR") == ""
	return t
}

// columns is the width of the terminal, or a good width for a file.
func (t *terminal) columns() int {
	if t.live {
		if width, _, err := term.GetSize(t.fd); err == nil && width > 0 {
			return width
		}
	}
	return 100
}

func (t *terminal) paint(code, text string) string {
	if !t.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t *terminal) bold(text string) string   { return t.paint("1", text) }
func (t *terminal) dim(text string) string    { return t.paint("2", text) }
func (t *terminal) red(text string) string    { return t.paint("31", text) }
func (t *terminal) green(text string) string  { return t.paint("32", text) }
func (t *terminal) yellow(text string) string { return t.paint("33", text) }
func (t *terminal) cyan(text string) string   { return t.paint("36", text) }

func (t *terminal) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(t, format, args...); err != nil && t.err == nil {
		t.err = err
	}
}

// heading begins a part of a report.
func (t *terminal) heading(text, remark string) {
	t.printf("\n%s", t.bold(t.cyan(text)))
	if remark != "" {
		t.printf("  %s", t.dim(remark))
	}
	t.printf("\n")
}

// note writes text in lines that fit, indented, for the remarks of a report.
func (t *terminal) note(text string) {
	for _, line := range wrap(text, min(t.columns(), 88)-2) {
		t.printf("  %s\n", t.dim(line))
	}
}

// complain writes the error that ends a command.
func (t *terminal) complain(err error) {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "parade: "), "command: ")
	t.printf("%s %s\n", t.bold(t.red("parade:")), text)
}

// table writes rows of cells in columns. align has a letter per column: l or r.
func (t *terminal) table(align string, rows [][]string) {
	widths := make([]int, len(align))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], visible(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString("  ")
			pad := strings.Repeat(" ", widths[i]-visible(cell))
			if align[i] == 'r' {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
		}
		t.printf("%s\n", strings.TrimRight(line.String(), " "))
	}
}

// visible is how many columns a text takes, without its colours.
func visible(text string) int {
	n := 0
	for {
		escape := strings.Index(text, "\x1b[")
		if escape < 0 {
			return n + utf8.RuneCountInString(text)
		}
		n += utf8.RuneCountInString(text[:escape])
		end := strings.IndexByte(text[escape:], 'm')
		if end < 0 {
			return n
		}
		text = text[escape+end+1:]
	}
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
