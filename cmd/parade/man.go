package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManCommand writes the manual pages. It is for those who package Parade, so the
// help does not list it.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write a manual page of each command",
		Hidden: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%s needs the folder for the pages", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return outputError(args[0], err)
			}
			return writeManuals(cmd.Root(), args[0])
		},
	}
}

// writeManuals writes the pages of a command and of those below it. Help texts are
// plain text and not Markdown, which is what cobra's own generator takes them for: it
// would lose every * and {}.
func writeManuals(cmd *cobra.Command, folder string) error {
	path := filepath.Join(folder, manualName(cmd)+".1")
	f, err := os.Create(path)
	if err != nil {
		return outputError(path, err)
	}
	w := bufio.NewWriter(f)
	writeManual(w, cmd)
	err = w.Flush()
	if failed := f.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return outputError(path, err)
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			if err := writeManuals(c, folder); err != nil {
				return err
			}
		}
	}
	return nil
}

func manualName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// writeManual writes a page in the macros of man(7). Errors are Flush's to give.
func writeManual(w *bufio.Writer, cmd *cobra.Command) {
	name := manualName(cmd)
	fmt.Fprintf(w, ".TH %s 1\n.SH NAME\n%s \\- %s\n", roff(strings.ToUpper(name)), roff(name), roff(cmd.Short))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	w.WriteString(".SH DESCRIPTION\n")
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	paragraphs(w, text)
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(w, ".SH %s\n", roff(strings.ToUpper(g.title)))
		g.flags.VisitAll(func(f *pflag.Flag) { manualOption(w, f) })
	}
	if cmd.Example != "" {
		w.WriteString(".SH EXAMPLES\n")
		verbatim(w, cmd.Example)
	}
	var see []string
	if cmd.HasParent() {
		see = append(see, manualName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			see = append(see, manualName(c))
		}
	}
	for i, name := range see {
		if i == 0 {
			w.WriteString(".SH SEE ALSO\n")
		}
		comma := ","
		if i == len(see)-1 {
			comma = ""
		}
		fmt.Fprintf(w, ".BR %s (1)%s\n", roff(name), comma)
	}
}

func manualOption(w *bufio.Writer, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	value, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	fmt.Fprintf(w, ".TP\n\\fB%s\\fR", roff(name))
	if value != "" {
		fmt.Fprintf(w, " \\fI%s\\fR", roff(value))
	}
	w.WriteString("\n" + roff(usage))
	if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "[]" {
		w.WriteString(" (default " + roff(d) + ")")
	}
	w.WriteString("\n")
}

// paragraphs writes text as it is: paragraphs are filled, and those with indented
// lines, such as tables, are not.
func paragraphs(w *bufio.Writer, text string) {
	for i, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			w.WriteString(".PP\n")
		}
		if strings.HasPrefix(p, "  ") || strings.Contains(p, "\n  ") {
			verbatim(w, p)
			continue
		}
		w.WriteString(roff(p) + "\n")
	}
}

func verbatim(w *bufio.Writer, text string) {
	w.WriteString(".nf\n" + roff(text) + "\n.fi\n")
}

// roff writes text so that it comes out as it is.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
