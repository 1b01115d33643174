//go:build unix && !linux

package command

import "os"

// temporaryFile makes a file in a folder that goes away when it is closed.
func temporaryFile(dir string) (*os.File, error) { return namelessFile(dir) }

// keepFile copies a temporary file to one with a name.
func keepFile(f *os.File, name string) error { return copyFile(f, name) }
