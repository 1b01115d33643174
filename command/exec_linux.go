package command

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// rssUnit is the unit of Rusage.Maxrss.
const rssUnit = 1 << 10

// seesProcesses says whether others finds them all.
var seesProcesses = func() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}()

// processAttributes has the kernel end the command should this process be killed. It
// sends the signal when the thread ends that started the command: see holdThread. SIGTERM
// rather than SIGKILL, so that a command with processes of its own can end them.
func processAttributes(group bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: group, Pdeathsig: syscall.SIGTERM}
}

// holdThread keeps the thread of the calling goroutine until the function that it
// returns is called.
func holdThread() func() {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

func supportsLimits(*Spec) error { return nil }

// limitMemory bounds the data (heap, stacks, private mappings) that each process of the
// command may have. Address space, which ulimit -v bounds, is no measure of memory: many
// programs reserve far more than they use. A shell sets the limit and then becomes the
// command: set from here, it would come too late for what the command starts at once.
func (s *start) limitMemory() {
	limit := uint64(s.maxMemory)
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_DATA, &own) == nil {
		limit = min(limit, own.Max) // more would be refused
	}
	set := []string{"sh", "-c", `ulimit -d "$0" && exec "$@"`, strconv.FormatUint(limit>>10, 10), s.path}
	s.path, s.argv = shellPath, append(set, s.argv[1:]...)
}

// priority makes of what the system call returns, 1 to 40, what it takes.
func priority(n int) int { return 20 - n }

// reap waits until the process has ended or was stopped. Until then it can be sent
// signals: its number is not given to another.
func (p *process) reap() (status syscall.WaitStatus, usage syscall.Rusage) {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		_, err := syscall.Wait4(p.pid, &status, syscall.WUNTRACED, &usage)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	p.reaped = !status.Stopped()
	return status, usage
}

// others finds the living processes, but for the first, that have inherited the
// process's mark, wherever they may have gone, or are in its group. With outside it
// leaves out the group.
func (p *process) others(outside bool) []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	self := os.Getpid()
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == self || pid == p.pid {
			continue
		}
		group, living := groupOf(name)
		if !living || outside && p.group && group == p.pid {
			continue
		}
		if p.group && group == p.pid || p.marks(name) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// groupOf reads the process group of a process, and whether that is more than a zombie.
func groupOf(pid string) (group int, living bool) {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, false
	}
	// The state follows the name, which is in parentheses and may have more.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 3 {
		return 0, false
	}
	group, err = strconv.Atoi(string(fields[2]))
	return group, err == nil && fields[0][0] != 'Z' && fields[0][0] != 'X'
}

// marks says whether a process has inherited the process's mark.
func (p *process) marks(pid string) bool {
	env, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		return false // another user's
	}
	for setting := range bytes.SplitSeq(env, []byte{0}) {
		if string(setting) == p.token {
			return true
		}
	}
	return false
}
