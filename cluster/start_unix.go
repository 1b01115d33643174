//go:build unix

package cluster

import "syscall"

// apart has a process not get the signals of this one's terminal.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
