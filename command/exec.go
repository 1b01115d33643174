package command

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/parade-go/parade/internal/cores"
)

// start is how to start a process.
type start struct {
	path      string
	argv, env []string
	dir       string
	files     [3]*os.File
	inside    bool // stays in this process's group
	nice      int
	maxMemory int64
	token     string // setting in env that marks what the process starts
}

// Exit statuses and faults of what cannot be started.
func notFound(format string, args ...any) *ended {
	return &ended{exit: ExitNotFound, fault: fmt.Sprintf(format, args...)}
}

func notExecutable(format string, args ...any) *ended {
	return &ended{exit: ExitNotExecutable, fault: fmt.Sprintf(format, args...)}
}

func notStarted(format string, args ...any) *ended {
	return &ended{exit: ExitFault, fault: fmt.Sprintf(format, args...)}
}

// oomKills is how often the kernel is known to have killed for want of memory.
var oomKills atomic.Uint64

// watchMemory is called before something is started.
func watchMemory() {
	if n, ok := cores.OOMKills(); ok {
		oomKills.Store(n)
	}
}

// killedForMemory says whether the kernel has killed for want of memory since it, or
// watchMemory, was called last.
func killedForMemory() bool {
	n, ok := cores.OOMKills()
	return ok && n > oomKills.Swap(n)
}
