// Package wholefile writes files that are there completely or not at all.
//
//	err := wholefile.Write("rates.csv", func(w io.Writer) error { ... })
package wholefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// ErrFolder says that the path is one of a folder.
var ErrFolder = errors.New("it is a folder")

// Write makes a file of what write writes, which is buffered. It writes beside
// path and, when all of it is on disk, renames it to path: where there is an error,
// an older file stays as it was, and nothing else is left.
//
// An older file's permissions are kept, a new one has those of the umask. A link to
// a file stays a link. What is no regular file, such as /dev/stdout, is written to
// as it is. The error is that of write, of package os, or ErrFolder.
func Write(path string, write func(w io.Writer) error) error {
	target := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	}
	old, err := os.Stat(target)
	switch {
	case err == nil && old.IsDir():
		return ErrFolder
	case err == nil && !old.Mode().IsRegular():
		f, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(fill(f, write), f.Close())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Not os.CreateTemp, whose files are for secrets whatever the umask says.
	name := filepath.Join(filepath.Dir(target), fmt.Sprintf(".parade-%016x", rand.Uint64()))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	whole := false
	defer func() { // also where write panics
		if !whole {
			_ = f.Close() // a second time does nothing
			_ = os.Remove(name)
		}
	}()
	if old != nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if err := errors.Join(fill(f, write), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name, target); err != nil {
		return err
	}
	whole = true
	return nil
}

func fill(f io.Writer, write func(w io.Writer) error) error {
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}
