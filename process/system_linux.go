package process

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// executable is this very program, even if its file has been replaced or
// deleted since.
func executable() (string, error) { return "/proc/self/exe", nil }

func childAttributes() *syscall.SysProcAttr {
	// A child whose parent dies sees its socket close, and ends with all that
	// its tasks have started, which a SIGKILL would leave behind. It only has
	// to be running for that.
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGCONT}
}

func socketPair(name string) (a, b *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

func residentMemory(pid int) (int64, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, false
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return 0, false
	}
	return resident * int64(os.Getpagesize()), true
}

// stopped says whether a signal has stopped a process.
func stopped(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the name, which is in parentheses and may have more.
	i := bytes.LastIndexByte(data, ')')
	return i >= 0 && i+2 < len(data) && data[i+2] == 'T'
}

// rssUnit is the unit of Rusage.Maxrss.
const rssUnit = 1 << 10
