//go:build unix

package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// startTries is how often a start is tried that fails for want of something that
	// may come back.
	startTries = 8
	// lastTries is how often SIGKILL is sent until it is given up that everything is
	// gone: a process in the middle of input or output may take long to die.
	lastTries = 20
)

func (s *Spec) supported() error { return supportsLimits(s) }

// leadsGroup says whether this process leads a process group, so that ending the group
// ends nothing but what it has started, and can end one command of it without the others.
func leadsGroup() bool { return seesProcesses && syscall.Getpgrp() == syscall.Getpid() }

func signalName(n int) string {
	if name := unix.SignalName(syscall.Signal(n)); name != "" {
		return name
	}
	return syscall.Signal(n).String()
}

// found are the programs that lookup has found.
var found sync.Map // of wanted to string

type wanted struct{ name, path, dir string }

// lookup finds a program as a shell in the folder dir would.
func lookup(name, path, dir string) (string, *ended) {
	if name == "" {
		return "", notFound("the program's name is empty")
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	key := wanted{name, path, dir}
	if file, ok := found.Load(key); ok {
		return file.(string), nil
	}
	other := ""
	for _, folder := range filepath.SplitList(path) {
		file := filepath.Join(folder, name)
		if folder == "" || folder == "." {
			file = "./" + name
		}
		seen := file
		if dir != "" && !filepath.IsAbs(file) {
			seen = filepath.Join(dir, file)
		}
		if info, err := os.Stat(seen); err != nil || info.IsDir() {
			continue
		}
		if unix.Access(seen, unix.X_OK) != nil {
			other = file
			continue
		}
		found.Store(key, file)
		return file, nil
	}
	if other != "" {
		return "", notExecutable("%s: permission denied; make it executable with chmod +x", other)
	}
	return "", notFound("%s: command not found in PATH", name)
}

// forget forgets what lookup has found: a program that is gone.
func (s *start) forget() {
	found.Range(func(key, value any) bool {
		if value == s.path {
			found.Delete(key)
		}
		return true
	})
}

// process is a started process, and with it those that it starts.
type process struct {
	pid   int
	group bool // it leads a process group
	token string

	mu     sync.Mutex
	reaped bool
	fault  string
}

var watchMemoryOnce = sync.OnceFunc(watchMemory)

// begin starts the process.
func (s *start) begin() (*process, *ended) {
	watchMemoryOnce()
	attr := &syscall.ProcAttr{
		Dir: s.dir, Env: s.env,
		Files: []uintptr{s.files[0].Fd(), s.files[1].Fd(), s.files[2].Fd()},
		Sys:   processAttributes(!s.inside),
	}
	if s.maxMemory > 0 {
		s.limitMemory()
	}
	var pid int
	var err error
	for try := range startTries {
		if pid, err = syscall.ForkExec(s.path, s.argv, attr); !passing(err) {
			break
		}
		time.Sleep(time.Millisecond << (2 * min(try, 4)))
	}
	if errors.Is(err, syscall.ENOEXEC) {
		// A script without a #! line.
		pid, err = syscall.ForkExec(shellPath, append([]string{"sh", s.path}, s.argv[1:]...), attr)
	}
	if err != nil {
		s.forget()
		return nil, s.failed(err)
	}
	p := &process{pid: pid, group: !s.inside, token: s.token}
	if s.nice > 0 {
		if p.group { // which may have more than one process by now
			err = unix.Setpriority(unix.PRIO_PGRP, pid, niceness()+s.nice)
		} else {
			err = unix.Setpriority(unix.PRIO_PROCESS, pid, niceness()+s.nice)
		}
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) { // which means that it has ended
		p.fault = "cannot lower the command's priority: " + err.Error()
		p.signal(syscall.SIGKILL)
	}
	return p, nil
}

// niceness is the priority of this process, as Setpriority takes it.
var niceness = sync.OnceValue(func() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return priority(n)
})

// passing says whether an error may be over in a moment: too many processes or files,
// too little memory, or a program that somebody is still writing, as one that this
// process has written itself can seem to be while it forks.
func passing(err error) bool {
	for _, e := range []syscall.Errno{syscall.EAGAIN, syscall.ENOMEM, syscall.ENFILE, syscall.EMFILE, syscall.ETXTBSY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// failed says why a process could not be started.
func (s *start) failed(err error) *ended {
	name := s.argv[0]
	if s.dir != "" {
		if info, e := os.Stat(s.dir); e != nil {
			return notStarted("working directory: %v", e)
		} else if !info.IsDir() {
			return notStarted("working directory: %s is not a folder", s.dir)
		}
	}
	file := s.path
	if s.dir != "" && !filepath.IsAbs(file) {
		file = filepath.Join(s.dir, file)
	}
	info, e := os.Stat(file)
	switch {
	case e != nil && errors.Is(err, syscall.ENOENT):
		return notFound("%s: no such file", name)
	case errors.Is(err, syscall.ENOENT):
		return notExecutable("%s: its interpreter, named in the #! line or the ELF header, does not exist", name)
	case e == nil && info.IsDir():
		return notExecutable("%s: is a folder", name)
	case errors.Is(err, syscall.EACCES):
		return notExecutable("%s: permission denied; make it executable with chmod +x", name)
	case errors.Is(err, syscall.ENOEXEC):
		return notExecutable("%s: not a program of this system", name)
	case errors.Is(err, syscall.E2BIG):
		n := 0
		for _, list := range [][]string{s.argv, s.env} {
			for _, text := range list {
				n += len(text) + 1
			}
		}
		return notExecutable("%s: arguments and environment of %d bytes are too long for this system", name, n)
	case errors.Is(err, syscall.ENOTDIR):
		return notFound("%s: %v", name, err)
	case passing(err):
		return notStarted("%s: cannot start: %v", name, err)
	}
	return notExecutable("%s: %v", name, err)
}

// wait waits for the process and reaps it.
func (p *process) wait() ended {
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		status, usage = p.reap()
		if !status.Stopped() {
			break
		}
		// In the background of a terminal it would wait for ever.
		if sig := status.StopSignal(); sig == syscall.SIGTTIN || sig == syscall.SIGTTOU {
			p.mu.Lock()
			p.fault = "it wants the terminal, which is not for commands that run beside others"
			p.mu.Unlock()
			p.signal(syscall.SIGKILL)
		}
	}
	e := ended{
		exit: status.ExitStatus(),
		cpu:  time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
	}
	var own syscall.Rusage // which a child counts as its own from before its exec
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) == nil && usage.Maxrss > own.Maxrss {
		e.peak = int64(usage.Maxrss) * rssUnit
	}
	if status.Signaled() {
		e.signal = int(status.Signal())
		e.exit = 128 + e.signal
		if e.signal == int(syscall.SIGKILL) && killedForMemory() {
			e.fault = "killed by SIGKILL, probably for want of memory"
		}
	}
	if p.fault != "" {
		e.fault = p.fault
	}
	return e
}

// signal sends a signal to the process and all that it has started.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A group exists, and its number is not given to another, until the last of its
	// processes has ended and been reaped.
	switch {
	case p.group:
		_ = syscall.Kill(-p.pid, sig)
	case !p.reaped:
		_ = syscall.Kill(p.pid, sig)
	}
	for _, pid := range p.others(true) {
		_ = syscall.Kill(pid, sig)
	}
}

// alive says whether the process or something that it has started is left.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		return true
	}
	if p.group && !seesProcesses && syscall.Kill(-p.pid, 0) == nil {
		return true
	}
	return len(p.others(false)) > 0
}

// end ends the process and what it has started: SIGTERM, then after the grace, or when
// hurry says so, SIGKILL. It returns when they are gone; false means that the process was
// before.
func (p *process) end(grace time.Duration, hurry func() bool) bool {
	p.mu.Lock()
	reaped := p.reaped
	p.mu.Unlock()
	if reaped {
		return false
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // else what is stopped would not notice
	const shortest, longest = time.Millisecond, 50 * time.Millisecond
	deadline := time.Now().Add(grace)
	for pause := shortest; p.alive(); pause = min(2*pause, longest) {
		left := time.Until(deadline)
		if left <= 0 || hurry() {
			break
		}
		time.Sleep(min(pause, left))
	}
	for range lastTries {
		if !p.alive() {
			break
		}
		p.signal(syscall.SIGKILL)
		time.Sleep(shortest)
	}
	return true
}
