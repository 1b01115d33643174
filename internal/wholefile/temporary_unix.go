//go:build unix

package wholefile

import (
	"errors"
	"syscall"
)

// running says whether there is a process of that number.
func running(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
