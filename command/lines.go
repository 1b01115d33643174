package command

import (
	"bytes"
	"io"
)

// lineLength is the length of the first line of text with its newline.
func lineLength(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// splitLines reads to the end and gives out what it reads in whole lines, several at a
// time. A line longer than the buffer comes in pieces.
func splitLines(r io.Reader, emit func([]byte)) {
	buf := make([]byte, lineBuffer)
	held := 0
	for {
		n, err := r.Read(buf[held:])
		held += n
		if whole := bytes.LastIndexByte(buf[:held], '\n') + 1; whole > 0 {
			emit(buf[:whole])
			held = copy(buf, buf[whole:held])
		} else if held == len(buf) {
			emit(buf)
			held = 0
		}
		if err != nil {
			break
		}
	}
	if held > 0 {
		emit(buf[:held])
	}
}
