package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock takes the file for this program until it is closed, which the system does when
// the program dies. The byte that is locked lies far behind any record, as nobody else
// could read one that is.
func lock(f *os.File) (held bool, err error) {
	at := lockedByte()
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return true, nil
	}
	return false, err
}

func unlock(f *os.File) error {
	at := lockedByte()
	err := windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_NOT_LOCKED) {
		return nil
	}
	return err
}

func lockedByte() windows.Overlapped { return windows.Overlapped{OffsetHigh: 1 << 30} }

func syncDir(string) error { return nil } // Windows has no such call
