//go:build !unix

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

func (s *Spec) supported() error {
	if s.Nice > 0 || s.MaxMemory > 0 {
		return fmt.Errorf("command: %w: Nice and MaxMemory: %w on %s", ErrSpec, errors.ErrUnsupported, runtime.GOOS)
	}
	return nil
}

func leadsGroup() bool { return false }

func signalName(n int) string { return fmt.Sprintf("signal %d", n) }

func holdThread() func() { return func() {} }

// lookup finds a program as this system does.
func lookup(name, _, dir string) (string, *ended) {
	if dir != "" && !filepath.IsAbs(name) && strings.ContainsAny(name, `/\`) {
		name = filepath.Join(dir, name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", notFound("%v", err)
	}
	return path, nil
}

// process is a started process.
type process struct {
	*os.Process
	ended atomic.Bool
}

func (s *start) begin() (*process, *ended) {
	p, err := os.StartProcess(s.path, s.argv, &os.ProcAttr{Dir: s.dir, Env: s.env, Files: s.files[:]})
	if err != nil {
		return nil, notExecutable("%s: %v", s.argv[0], err)
	}
	return &process{Process: p}, nil
}

func (p *process) wait() ended {
	state, err := p.Wait()
	p.ended.Store(true)
	if err != nil {
		return ended{exit: ExitFault, fault: err.Error()}
	}
	return ended{exit: state.ExitCode(), cpu: state.UserTime() + state.SystemTime()}
}

// end ends the process at once, without those that it has started: this system has
// no signals and no process groups.
func (p *process) end(time.Duration, func() bool) bool {
	if p.ended.Load() {
		return false
	}
	return p.Kill() == nil
}
