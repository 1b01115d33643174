//go:build unix

package shm

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int, mode Mode) ([]byte, error) {
	flags := unix.MAP_PRIVATE
	if mode == Shared {
		flags = unix.MAP_SHARED
	}
	var data []byte
	err := withDescriptor(f, func(fd int) (err error) {
		data, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
		return err
	})
	if mode == Shared && errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("the segment is sealed, map it copy-on-write: %w", err)
	}
	return data, err
}

func unmap(data []byte) error { return unix.Munmap(data) }

// reserve puts an inaccessible mapping in place of data, in one step: no other
// thread can be given the addresses in between.
func reserve(data []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(data)), uintptr(len(data)),
		unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED|reserveFlags)
	return err
}

// createFile makes a segment of a temporary file that is deleted at once. Its
// blocks are written, so that a full disk is an error here and not a fatal signal
// when the memory is touched.
func createFile(dir, name string, size int) (*os.File, error) {
	f, err := os.CreateTemp(dir, "parade-*")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), fill(f, size)); err != nil {
		f.Close()
		return nil, fmt.Errorf("segment %q: %w", name, err)
	}
	return f, nil
}

func fill(f *os.File, size int) error {
	zeros := make([]byte, min(size, 1<<20))
	for done := 0; done < size; {
		n, err := f.Write(zeros[:min(len(zeros), size-done)])
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// withDescriptor runs a system call on a file without putting it into blocking
// mode, as File.Fd would.
func withDescriptor(f *os.File, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = call(int(fd)) }); err != nil {
		return err
	}
	return callErr
}

// explain adds what to do to the errors that a user can do something about.
func explain(err error) error {
	for _, e := range []struct {
		errno  unix.Errno
		advice string
	}{
		{unix.ENOSPC, "not enough memory or space left; use fewer workers or smaller inputs"},
		{unix.ENOMEM, "not enough memory left; use fewer workers or smaller inputs"},
		{unix.EFBIG, "above the file size limit; raise it with ulimit -f"},
		{unix.EMFILE, "too many open files in this process; raise the limit with ulimit -n"},
		{unix.ENFILE, "too many open files on this machine; close other programs or raise fs.file-max"},
		{unix.EBUSY, "another process still has it mapped for writing"},
	} {
		if errors.Is(err, e.errno) {
			return fmt.Errorf("%s: %w", e.advice, err)
		}
	}
	return err
}
