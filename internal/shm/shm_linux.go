package shm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const reserveFlags = unix.MAP_NORESERVE

func create(name string, size int) (*os.File, error) {
	if free, ok := availableMemory(); ok && uint64(size) > free {
		return nil, fmt.Errorf("%d bytes of memory are available: %w", free, unix.ENOSPC)
	}
	fd, err := memfd(name)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// A kernel before 3.17, or a sandbox that forbids the call.
		return createFile(sharedDir(), name, size)
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "memfd:"+name), nil
}

func memfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	name = name[:min(len(name), 249)] // the kernel's limit
	// Newer kernels want to be told that nobody will execute it, older ones do
	// not know the flag.
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, err
}

// sharedDir is a folder in memory if there is one.
func sharedDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// availableMemory reads what the kernel could still give. A memfd takes its
// memory when it is touched, and then a lack of it kills a process: better to
// refuse a size that can't be met.
func availableMemory() (uint64, bool) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var total uint64
	var known bool
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // "MemAvailable: 123 kB"
		if len(fields) < 2 || fields[0] != "MemAvailable:" && fields[0] != "SwapFree:" {
			continue
		}
		kib, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return 0, false
		}
		total += kib << 10
		known = known || fields[0] == "MemAvailable:"
	}
	return total, known
}

func seal(f *os.File) error {
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	err := withDescriptor(f, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		return err
	})
	if errors.Is(err, unix.EINVAL) {
		return nil // the file in place of a memfd has no seals
	}
	return err
}
