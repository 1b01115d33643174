package mpi

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// affinity is the set of cores that this process may run on, as text.
func affinity() string {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return ""
	}
	return fmt.Sprintf("%x", set)
}
