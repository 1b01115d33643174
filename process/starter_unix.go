//go:build unix

package process

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter starts processes from one thread that lives as long as they do: the
// kernel sends a death signal when the thread that started a process ends, not
// the whole program.
type starter struct {
	requests chan func()
	once     sync.Once
	ended    chan struct{}
}

func newStarter() *starter {
	s := &starter{requests: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for request := range s.requests {
			request()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	result := make(chan error)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

func (s *starter) close() {
	s.once.Do(func() { close(s.requests) })
	<-s.ended
}

// peakMemory is in bytes.
func peakMemory(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss * rssUnit
	}
	return 0
}
