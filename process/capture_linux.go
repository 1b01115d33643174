package process

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// captureFile is where a task's output goes while it is captured, in memory.
func captureFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // an older kernel does not know the flag
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return temporaryFile()
	}
	return appending(os.NewFile(uintptr(fd), "memfd:"+name))
}

// free gives back the memory of a part of a file, whose size stays.
func free(fd int, from, n int64) {
	_ = unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, n)
}
