package main

import "syscall"

// detachedAttributes has a process go on when the console is closed.
func detachedAttributes() *syscall.SysProcAttr {
	const newGroup, noConsole = 0x200, 0x8
	return &syscall.SysProcAttr{CreationFlags: newGroup | noConsole}
}
