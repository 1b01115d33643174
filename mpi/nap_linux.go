package mpi

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// napper sleeps for microseconds, for which timers of Go take a millisecond: an idle
// program waits in epoll, whose unit that is. A timer of the kernel's wakes it in time.
type napper struct {
	fd   int
	file *os.File
	buf  [8]byte
}

func newNapper() (*napper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &napper{fd: fd, file: os.NewFile(uintptr(fd), "timer")}, nil
}

// nap returns after d, or soon after wake was called, now or before.
func (n *napper) nap(d time.Duration) {
	n.set(d)
	_, _ = n.file.Read(n.buf[:])
}

// wake may be called at any time.
func (n *napper) wake() { n.set(1) }

func (n *napper) set(d time.Duration) {
	_ = unix.TimerfdSettime(n.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, d.Nanoseconds()))}, nil)
}

func (n *napper) close() { _ = n.file.Close() }

// sleepShort holds up the thread, which for so short a time is cheaper than to leave it.
func sleepShort(d time.Duration) {
	at := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&at, nil)
}
