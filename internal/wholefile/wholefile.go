// Package wholefile writes files that are there completely or not at all.
//
//	err := wholefile.Write("rates.csv", func(w io.Writer) error { ... })
//
//	f, err := wholefile.Create("image.nii") // the same in steps
//	defer f.Close()
//	n, err := f.Write(data)
//	err = f.Commit()
package wholefile

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrFolder says that the path is one of a folder.
var ErrFolder = errors.New("it is a folder")

// Write makes a file of what write writes, which is buffered, as Create and Commit
// do. The error is that of write or of those.
func Write(path string, write func(w io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Close() // also where write panics
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Commit()
}

// File is a file that has its name only after Commit. Its writes are not buffered.
type File struct {
	file   *os.File
	name   string // while it is written, "" where there is no other name
	target string
}

// Create begins a file, beside path. Where Commit is not called, or has an error, an
// older file stays as it was, and nothing else is left after Close. What processes that
// were killed have left in the folder is removed.
//
// An older file's permissions are kept, a new one has those of the umask. A link to
// a file stays a link. What is no regular file, such as /dev/stdout, is written to
// as it is. The error is one of package os, or ErrFolder.
func Create(path string) (*File, error) {
	target := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	}
	old, err := os.Stat(target)
	switch {
	case err == nil && old.IsDir():
		return nil, ErrFolder
	case err == nil && !old.Mode().IsRegular():
		f, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &File{file: f}, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	// Not os.CreateTemp, whose files are for secrets whatever the umask says.
	Sweep(filepath.Dir(target))
	name := Temporary(target)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	w := &File{file: f, name: name, target: target}
	if old != nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			_ = w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Write writes b, without a buffer.
func (f *File) Write(b []byte) (int, error) { return f.file.Write(b) }

// Commit closes the file and gives it its name, in place of an older one, when all
// of it is on disk. The error is one of package os.
func (f *File) Commit() error { return f.commit(os.Rename) }

// CommitNew does what Commit does, but with an error that wraps fs.ErrExist where
// there is a file of that name. Only on file systems without links another
// program's file may still be replaced, if it comes at the very same time.
func (f *File) CommitNew() error {
	return f.commit(func(name, target string) error {
		err := os.Link(name, target)
		if err == nil {
			return os.Remove(name)
		}
		if _, there := os.Lstat(target); errors.Is(err, fs.ErrExist) || there == nil {
			return &os.PathError{Op: "create", Path: target, Err: fs.ErrExist}
		}
		return os.Rename(name, target)
	})
}

func (f *File) commit(rename func(name, target string) error) error {
	if f.name == "" {
		return f.file.Close()
	}
	if err := errors.Join(f.file.Sync(), f.file.Close()); err != nil {
		return err
	}
	if err := rename(f.name, f.target); err != nil {
		return err
	}
	f.name = ""
	return nil
}

// Close gives up a file that is not committed. After Commit, and a second time, it
// does nothing.
func (f *File) Close() error {
	err := f.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	if f.name != "" {
		err = errors.Join(err, os.Remove(f.name))
		f.name = ""
	}
	return err
}
