//go:build !static && ((linux && !android) || darwin) && (amd64 || arm64)

package linalg

import (
	"runtime"
	"sync"

	"github.com/parade-go/parade/internal/cores"
)

// gate lets calls into a library, as many at a time as fit the cores granted with the
// threads that each may run. Libraries have one number of threads for the whole
// process, which must not change while they compute: when it is to change, the gate
// first waits for the calls that run.
type gate struct {
	limit int       // most threads of a call: the cores granted, or what the user says
	set   func(int) // sets the threads of the library, nil if that is not possible
	own   func(int) // sets those of the calling thread, which OpenMP keeps apart, or nil

	mu      sync.Mutex
	change  sync.Cond // a call has left, or room for one more is seen
	threads int       // that the library is set to, 0 before the first call
	running int
}

// newGate makes the gate of a library. The variable is that by which a user sets its
// threads; "" is for a library that has one thread.
func newGate(variable string, set, own func(int)) *gate {
	g := &gate{limit: 1, set: set, own: own}
	if variable != "" {
		g.limit = cores.ThreadsFor(variable, granted())
	}
	g.change.L = &g.mu
	return g
}

// granted does not change while a process runs, and asking takes many files.
var granted = sync.OnceValue(cores.Granted)

// allowed returns the threads that a call may run now.
func (g *gate) allowed() int {
	return max(1, min(int(wish.Load()), g.limit, granted()/cores.Workers()))
}

// enter waits for room for one more call.
func (g *gate) enter() {
	g.mu.Lock()
	for {
		allowed := g.allowed()
		if g.running == 0 && allowed != g.threads {
			g.threads = allowed
			if g.set != nil {
				g.set(allowed)
			}
		}
		if allowed == g.threads && (g.running == 0 || (g.running+1)*g.threads <= granted()) {
			break
		}
		g.change.Wait()
	}
	g.running++
	threads := g.threads
	g.mu.Unlock()
	g.change.Signal() // there may be room for another
	if g.own != nil {
		runtime.LockOSThread()
		g.own(threads)
	}
}

// leave says that the call is over.
func (g *gate) leave() {
	if g.own != nil {
		runtime.UnlockOSThread()
	}
	g.mu.Lock()
	g.running--
	g.mu.Unlock()
	g.change.Signal()
}
