//go:build unix && !linux

package command

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// rssUnit is the unit of Rusage.Maxrss.
var rssUnit = func() int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return 1
	}
	return 1 << 10
}()

// seesProcesses says whether others finds them all.
const seesProcesses = false

func processAttributes(group bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: group} }

func holdThread() func() { return func() {} }

func supportsLimits(s *Spec) error {
	if s.MaxMemory > 0 {
		return fmt.Errorf("command: %w: MaxMemory: %w on %s", ErrSpec, errors.ErrUnsupported, runtime.GOOS)
	}
	return nil
}

func (s *start) limitMemory() {}

func priority(n int) int { return n }

// reap waits until the process has ended or was stopped.
func (p *process) reap() (status syscall.WaitStatus, usage syscall.Rusage) {
	for {
		_, err := syscall.Wait4(p.pid, &status, syscall.WUNTRACED, &usage)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = !status.Stopped()
	return status, usage
}

// others is for systems that tell one process of another.
func (p *process) others(bool) []int { return nil }
