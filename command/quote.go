package command

import "strings"

// Quote gives a word as a POSIX shell reads it back, whatever bytes but NUL it has
// and wherever a word may stand. What needs no quotes gets none; the others are
// written as GNU parallel writes them.
func Quote(word string) string {
	if word == "" {
		return "''"
	}
	if plain(word) && !reserved(word) {
		return word
	}
	quoted := "'" + strings.ReplaceAll(word, "'", `'"'"'`) + "'"
	// A quote at an end would leave an empty pair there.
	return strings.TrimSuffix(strings.TrimPrefix(quoted, "''"), "''")
}

// plain tells whether no character of a word means anything to a shell. "=" does,
// in the first word of a command.
func plain(word string) bool {
	for i := range len(word) {
		switch c := word[i]; {
		case letter(c), digit(c), c == '-', c == '_', c == '.', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

// reserved tells whether a shell takes a plain word for a part of its language
// where a command may begin, those of bash included.
func reserved(word string) bool {
	switch word {
	case "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while",
		"coproc", "function", "select", "time":
		return true
	}
	return false
}

// The shell that runs commands.
const shellPath = "/bin/sh"

// Line gives a command as one line to paste into a shell, for dry runs, joblogs and
// messages: the words quoted, or the text of a shell's command as it is.
func Line(argv []string) string {
	if len(argv) == 3 && argv[0] == shellPath && argv[1] == "-c" {
		return strings.TrimPrefix(argv[2], optionGuard)
	}
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = Quote(w)
	}
	return strings.Join(words, " ")
}
