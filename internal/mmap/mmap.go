// Package mmap maps files read-only, so that a file larger than the memory can be
// read, and only the pages that are touched are.
//
//	f, err := mmap.Open("recording.npy")
//	defer f.Close()
//	err = f.Guard(func() error { sum(f.Data); return nil })
//
// A mapped file that somebody truncates is a trap: touching a page beyond its new
// end is a SIGBUS, which ends a Go program. Inside Guard it is an error. On systems
// without mmap, and on file systems that refuse it, Open reads the file.
package mmap

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"unsafe"
)

// ErrChanged says that a file was truncated, or its disk failed, while it was
// being read.
var ErrChanged = errors.New("the file was cut or its disk failed while it was read")

// ErrNotRegular says that a path is a directory, a device or a pipe, not a file
// that can be mapped.
var ErrNotRegular = errors.New("not a regular file")

// File is a file in memory. Its Data must not be written to, nor used after Close.
type File struct {
	Data   []byte
	mapped bool
}

// Open maps all of a regular file. The error is that of package os, or
// ErrNotRegular. The file may be renamed or removed while it is mapped; what
// others write to it in place may or may not be seen.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "map", Path: path, Err: ErrNotRegular}
	}
	size := info.Size()
	if size > math.MaxInt {
		return nil, &os.PathError{Op: "map", Path: path, Err: fmt.Errorf("%d bytes are more than this system can address", size)}
	}
	if size > 0 {
		if data, err := mapFile(f, int(size)); err == nil {
			return &File{Data: data, mapped: true}, nil
		}
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return &File{Data: data}, nil
}

// Guard runs read, which touches f.Data on the calling goroutine only, and turns
// a fault on a page that the file has lost into ErrChanged. Other panics pass.
func (f *File) Guard(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok || len(f.Data) == 0 {
			panic(r)
		}
		if from := uintptr(unsafe.Pointer(unsafe.SliceData(f.Data))); fault.Addr()-from >= uintptr(len(f.Data)) {
			panic(r)
		}
		err = ErrChanged
	}()
	return read()
}

// Close gives the memory back. A second call does nothing.
func (f *File) Close() error {
	data := f.Data
	f.Data = nil
	if !f.mapped || data == nil {
		return nil
	}
	return unmap(data)
}
