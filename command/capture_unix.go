//go:build unix

package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeSpace is how many bytes this user may still write into a folder.
func freeSpace(dir string) (int64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Blocks == 0 {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}

// namelessFile makes a file in a folder that goes away when it is closed.
func namelessFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "parade-output-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
