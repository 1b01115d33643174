//go:build !linux

package mpi

// affinity is the same for all ranks where processes are not bound to cores.
func affinity() string { return "" }
