package npy

import (
	"bytes"
	"errors"
	"io"

	"github.com/parade-go/parade/internal/mmap"
)

// File is a .npy file that is mapped into memory: its Array takes memory only
// where it is touched. The Data of the array must not be written to, nor used
// after Close.
type File struct {
	Array
	file *mmap.File
}

// Open maps a .npy file read-only, or reads it on a system that cannot map. The
// error is one of package os, or wraps ErrFormat or ErrType and names the path.
func Open(path string) (*File, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{file: m}
	err = m.Guard(func() (err error) {
		f.Array, err = Parse(m.Data)
		return err
	})
	if err != nil {
		m.Close()
		return nil, named(path, err)
	}
	return f, nil
}

// named says which file an error is about.
func named(path string, err error) error {
	if f := (*failure)(nil); errors.As(err, &f) {
		return &failure{f.kind, path + ": " + f.text}
	}
	return fail(err, "%s: %v", path, err)
}

// Guard runs read and gives its error, or ErrChanged where read touches a page
// that somebody has cut off the file meanwhile, which otherwise is a signal that
// ends the program. Only what read does on the calling goroutine is guarded.
func (f *File) Guard(read func() error) error { return f.file.Guard(read) }

// Close gives the memory back. A second call does nothing.
func (f *File) Close() error {
	f.Data = nil
	return f.file.Close()
}

// Read reads one array from a stream and leaves what follows it. Memory grows
// with what arrives, never with what the header claims. The error is that of r,
// or wraps ErrFormat or ErrType.
func Read(r io.Reader) (Array, error) {
	start := make([]byte, 12)
	if err := readFull(r, start[:10], "it is too short for a .npy file"); err != nil {
		return Array{}, err
	}
	if start[6] > 1 { // these have 12 bytes before the text
		if err := readFull(r, start[10:], "its header ends early"); err != nil {
			return Array{}, err
		}
	}
	_, length, err := headerSize(start)
	if err != nil {
		return Array{}, err
	}
	text := make([]byte, length)
	if err := readFull(r, text, "its header ends early"); err != nil {
		return Array{}, err
	}
	a, err := parseHeader(string(text))
	if err != nil {
		return Array{}, err
	}
	n, ok := product([]int{a.Len(), a.Type.Size})
	if !ok {
		return Array{}, fail(ErrFormat, "its shape %v has too many items", a.Shape)
	}
	var data bytes.Buffer
	if _, err := io.CopyN(&data, r, int64(n)); errors.Is(err, io.EOF) {
		return Array{}, fail(ErrFormat, "it has %d bytes of data, want %s", data.Len(), a.claim())
	} else if err != nil {
		return Array{}, err
	}
	a.Data = data.Bytes()
	return a, nil
}

func readFull(r io.Reader, b []byte, short string) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(ErrFormat, "%s", short)
	}
	return err
}

// Write writes an array as a .npy file, byte by byte what numpy.save writes. The
// error is that of w, or wraps ErrShape or ErrType.
func Write(w io.Writer, a Array) error {
	if err := a.check(); err != nil {
		return err
	}
	if _, err := w.Write(a.header()); err != nil {
		return err
	}
	_, err := w.Write(a.Data)
	return err
}
