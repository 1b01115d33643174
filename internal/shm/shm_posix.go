//go:build unix && !linux

package shm

import "os"

const reserveFlags = 0

func create(name string, size int) (*os.File, error) {
	return createFile(os.TempDir(), name, size)
}

// seal has nothing to do: these systems have no seals, and the creator's view is
// gone already.
func seal(*os.File) error { return nil }
