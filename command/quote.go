package command

import "strings"

// Quote gives a word as a POSIX shell reads it back, whatever bytes but NUL it has
// and wherever a word may stand. What needs no quotes gets none; the others are
// written as GNU parallel writes them.
func Quote(word string) string { return "" }

// Line gives a command as one line to paste into a shell, for dry runs, joblogs and
// messages: the words quoted, or the text of a shell's command as it is.
func Line(argv []string) string { return strings.Join(argv, " ") }
