package command

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// withoutName says that the system has files that never had a name. Some
// network file systems lack them.
var withoutName atomic.Bool

func init() { withoutName.Store(true) }

// temporaryFile makes a file in a folder that goes away when it is closed. Commands
// append to it, so that two that share it do not overwrite each other's words.
func temporaryFile(dir string) (*os.File, error) {
	if withoutName.Load() {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), dir), nil
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EISDIR):
			withoutName.Store(false)
		default:
			return nil, &os.PathError{Op: "open", Path: dir, Err: err}
		}
	}
	return namelessFile(dir)
}

// keepFile gives a temporary file a name in its folder, or copies it there.
func keepFile(f *os.File, name string) error {
	fd := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if unix.Linkat(unix.AT_FDCWD, fd, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW) == nil {
		return nil
	}
	return copyFile(f, name)
}
