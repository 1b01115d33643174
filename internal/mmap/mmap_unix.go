//go:build unix

package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int) ([]byte, error) {
	raw, err := f.SyscallConn() // File.Fd would put the file into blocking mode
	if err != nil {
		return nil, err
	}
	var data []byte
	var mapErr error
	if err := raw.Control(func(fd uintptr) {
		data, mapErr = unix.Mmap(int(fd), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	}); err != nil {
		return nil, err
	}
	return data, mapErr
}

func unmap(data []byte) error { return unix.Munmap(data) }
