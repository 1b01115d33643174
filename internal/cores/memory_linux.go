package cores

import "syscall"

func physicalMemory() uint64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0
	}
	// Totalram is 32 bits wide on 32-bit machines, and counts in Unit bytes.
	return uint64(info.Totalram) * uint64(info.Unit)
}
