//go:build unix

package main

import "syscall"

// detachedAttributes has a process go on when the terminal is closed.
func detachedAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
