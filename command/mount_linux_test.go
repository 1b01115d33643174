package command_test

import "golang.org/x/sys/unix"

// mountSmall mounts a file system of 256 KiB.
func mountSmall(dir string) error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k") }

// unmount does not mind that a process that is about to start has the files open.
func unmount(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }
