// Package mmap gives the bytes of a file without reading it: the system brings
// in the pages that are looked at. Where files cannot be mapped, they are read.
//
//	f, err := mmap.Open("recording.nwb")
//	defer f.Close()
//	err = f.Read(func(data []byte) error { ... })
package mmap

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"unsafe"
)

// ErrFault says that a page of a mapped file could not be read: the file was cut
// short meanwhile, or its disk fails.
var ErrFault = errors.New("a part of the file cannot be read; was it changed meanwhile, or does the disk fail?")

// File is an open file, all of it mapped for reading.
type File struct{ data []byte }

// Open maps a regular file. Its errors are those of package os.
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
	fail := func(err error) (*File, error) { return nil, &os.PathError{Op: "map", Path: path, Err: err} }
	size := info.Size()
	switch {
	case !info.Mode().IsRegular():
		return fail(errors.New("not a regular file"))
	case size == 0: // systems refuse to map nothing
		return &File{}, nil
	case int64(int(size)) != size:
		return fail(fmt.Errorf("its %d bytes are more than this machine can address", size))
	}
	data, err := mapFile(f, int(size))
	if err != nil {
		return fail(err)
	}
	return &File{data: data}, nil
}

// Bytes gives the whole file until Close. It is not to be written to. Code that
// reads it outside of Read dies with the process on a page that cannot be read.
func (f *File) Bytes() []byte { return f.data }

// Read calls use with the whole file. A page that cannot be read ends it with
// ErrFault, as long as use reads on the goroutine that it was called on.
func (f *File) Read(use func(data []byte) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if fault, ok := p.(interface{ Addr() uintptr }); ok && f.holds(fault.Addr()) {
			err = ErrFault
			return
		}
		panic(p)
	}()
	return use(f.data)
}

func (f *File) holds(address uintptr) bool {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(f.data)))
	return address >= start && address-start < uintptr(len(f.data))
}

// Close ends the mapping: what Bytes gave must not be touched any more.
func (f *File) Close() error {
	data := f.data
	f.data = nil
	if data == nil {
		return nil
	}
	return unmap(data)
}
