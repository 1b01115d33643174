//go:build !unix

package command

import "os"

func freeSpace(string) (int64, bool) { return 0, false }

// temporaryFile makes a file in a folder. Systems that cannot remove open files
// leave it to the caller of Run to empty the folder.
func temporaryFile(dir string) (*os.File, error) { return os.CreateTemp(dir, "parade-output-") }

// keepFile copies a temporary file to one with a name.
func keepFile(f *os.File, name string) error { return copyFile(f, name) }
