package command

import (
	"bytes"
	"io"
	"os"
	"strings"
)

// InlineLimit is the largest output, in bytes, that is held in memory unless Spec.Inline
// says otherwise.
const InlineLimit = 64 << 10

// Output is what a command printed. What is larger than that is in a file of
// the Spec's Spill folder, which the receiver removes when it is done with it.
type Output struct {
	Data []byte // all of it, unless File is set
	File string
	Size int64 // in bytes
}

// Open returns a reader of all of the output.
func (o Output) Open() (io.ReadCloser, error) {
	if o.File == "" {
		return io.NopCloser(bytes.NewReader(o.Data)), nil
	}
	return os.Open(o.File)
}

// WriteTo writes all of the output to w.
func (o Output) WriteTo(w io.Writer) (int64, error) {
	if o.File == "" {
		n, err := w.Write(o.Data)
		return int64(n), err
	}
	f, err := os.Open(o.File)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(w, f)
}

// tailBytes is how far from its end an output is searched for its last lines.
const tailBytes = 8 << 10

// Tail returns the last lines, at most n of them and of 8 KiB in all, without the
// newlines. Blank lines at the end are left out.
func (o Output) Tail(n int) ([]string, error) {
	data := o.Data
	if o.File != "" {
		f, err := os.Open(o.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data = make([]byte, min(o.Size, tailBytes))
		if _, err := f.ReadAt(data, o.Size-int64(len(data))); err != nil && err != io.EOF {
			return nil, err
		}
	}
	data = data[max(0, len(data)-tailBytes):]
	text := strings.TrimRight(strings.ToValidUTF8(string(data), "\uFFFD"), "\r\n\t ")
	if text == "" {
		return nil, nil
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines, nil
}

// Remove removes the output's file, if it has one.
func (o Output) Remove() error {
	if o.File == "" {
		return nil
	}
	return os.Remove(o.File)
}
