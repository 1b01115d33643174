// Package cores finds out what this process has been granted: the cores and
// the memory that it may use, which in a container or a batch job is less than
// what the machine has.
//
//	workers := cores.Granted()
//	cmd.Env = append(os.Environ(), cores.ThreadEnv(cores.InnerThreads(workers))...)
//	for _, l := range cores.Explain() {
//		fmt.Println(l.Source, l.Cores, l.Detail)
//	}
//
// Every source that sets a limit is asked (affinity mask, cgroup, batch system,
// GOMAXPROCS) and the smallest wins, since each of them can only take away.
package cores

import (
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Limit is one source that says how many cores this process may use.
type Limit struct {
	Source string // "affinity mask", "cgroup quota", or the name of a variable
	Cores  int    // at least 1
	Detail string // the text that the source gave, to be shown to a user
}

// batchVariables are the variables by which batch systems tell a job its cores.
var batchVariables = []string{
	"SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", // Slurm
	"NCPUS", "PBS_NUM_PPN", // PBS Pro, Torque
	"NSLOTS",           // Grid Engine
	"LSB_DJOB_NUMPROC", // LSF
}

// system is where the answers come from: the running machine, or a test.
type system struct {
	root   fs.FS // the file system from "/"
	lookup func(string) (string, bool)
	cpus   int
	memory func() uint64 // physical memory, 0 if the system does not tell
}

func host() system {
	return system{root: os.DirFS("/"), lookup: os.LookupEnv, cpus: runtime.NumCPU(), memory: physicalMemory}
}

// Granted returns the number of cores that this process may use, at least 1.
func Granted() int { return host().granted() }

// Explain returns every source that sets a limit, in the order in which they
// were asked. The smallest of them is what Granted returns.
func Explain() []Limit { return host().explain() }

// InnerThreads returns how many threads each of the given number of workers may
// run, so that all of them together stay within the cores granted. It is at
// least 1.
func InnerThreads(workers int) int { return host().innerThreads(workers) }

func (s system) granted() int {
	n := max(1, s.cpus)
	for _, l := range s.explain() {
		n = min(n, l.Cores)
	}
	return n
}

func (s system) explain() []Limit {
	limits := []Limit{{
		Source: "affinity mask",
		Cores:  max(1, s.cpus),
		Detail: strconv.Itoa(s.cpus) + " CPUs usable by this process",
	}}
	if quota, ok := s.cgroupQuota(); ok {
		limits = append(limits, quota)
	}
	for _, name := range append(batchVariables, "GOMAXPROCS") {
		if n, ok := s.number(name); ok {
			limits = append(limits, Limit{Source: name, Cores: n, Detail: name + "=" + strconv.Itoa(n)})
		}
	}
	return limits
}

func (s system) innerThreads(workers int) int {
	return max(1, s.granted()/max(1, workers))
}

// number reads a variable that holds a positive whole number. Anything else is
// taken as not set: a strange variable must not stop a job.
func (s system) number(name string) (int, bool) {
	text, ok := s.lookup(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	return n, err == nil && n > 0
}
