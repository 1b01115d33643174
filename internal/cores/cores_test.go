package cores

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The hybrid files were captured on a real machine; the others have the lines that
// the systems named write, with long identifiers cut.
const (
	// Ubuntu 24.04, cgroup v2 only, a shell in a user session.
	ubuntuCgroup = "0::/user.slice/user-1000.slice/session-3.scope\n"
	ubuntuMounts = `23 29 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
34 23 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`
	// Docker with cgroup v2 and a cgroup namespace, --cpus=1.5 --memory=2g.
	dockerMounts = `631 630 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot
`
	// Docker with cgroup v1: no namespace, so that both paths are the host's.
	dockerV1Cgroup = `12:memory:/docker/6f3c
11:cpu,cpuacct:/docker/6f3c
10:cpuset:/docker/6f3c
1:name=systemd:/docker/6f3c
`
	dockerV1Mounts = `1201 1200 0:27 /docker/6f3c /sys/fs/cgroup/systemd ro,nosuid,nodev,noexec,relatime master:9 - cgroup cgroup rw,xattr,name=systemd
1205 1200 0:32 /docker/6f3c /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:16 - cgroup cgroup rw,cpu,cpuacct
1207 1200 0:34 /docker/6f3c /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,memory
`
	// Slurm 23.02 on Rocky Linux 8, cgroup v1, a step of a job.
	slurmV1Cgroup = `9:cpu,cpuacct:/slurm/uid_1000/job_77/step_0
5:memory:/slurm/uid_1000/job_77/step_0/task_0
1:name=systemd:/system.slice/slurmd.service
`
	slurmV1Mounts = `33 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct
37 24 0:32 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:19 - cgroup cgroup rw,memory
`
	// A micro virtual machine with every controller in v1 and an empty v2 tree.
	hybridCgroup = `4:memory:/process_api/a7b2
2:cpuacct:/
1:cpu:/
0::/
`
	hybridMounts = `32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
)

// machine builds a system of 16 CPUs and 64 GiB from files and variables.
func machine(files, env map[string]string) system {
	root := fstest.MapFS{}
	for name, text := range files {
		root[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text), Mode: fs.FileMode(0o444)}
	}
	return system{
		root:   root,
		lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		cpus:   16,
		memory: func() uint64 { return 64 << 30 },
	}
}

func TestGranted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		files  map[string]string
		env    map[string]string
		want   int
		source string // of the smallest limit
	}{
		{name: "no cgroup, no batch system", want: 16, source: "affinity mask"},
		{name: "v2 without a quota", want: 16, source: "affinity mask", files: map[string]string{
			"/proc/self/cgroup": ubuntuCgroup, "/proc/self/mountinfo": ubuntuMounts,
			"/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/cpu.max": "max 100000\n",
			"/sys/fs/cgroup/user.slice/cpu.max":                                 "max 100000\n",
		}},
		{name: "v2 quota on a group above", want: 4, source: "cgroup quota", files: map[string]string{
			"/proc/self/cgroup": ubuntuCgroup, "/proc/self/mountinfo": ubuntuMounts,
			"/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/cpu.max": "max 100000\n",
			"/sys/fs/cgroup/user.slice/user-1000.slice/cpu.max":                 "400000 100000\n",
			"/sys/fs/cgroup/user.slice/cpu.max":                                 "800000 100000\n",
		}},
		{name: "v2 in Docker, 1.5 rounds down", want: 1, source: "cgroup quota", files: map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": dockerMounts,
			"/sys/fs/cgroup/cpu.max": "150000 100000\n",
		}},
		{name: "v2 half a core is one", want: 1, source: "cgroup quota", files: map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": dockerMounts,
			"/sys/fs/cgroup/cpu.max": "50000 100000\n",
		}},
		{name: "v2 process outside its namespace", want: 2, source: "cgroup quota", files: map[string]string{
			"/proc/self/cgroup": "0::/../other.scope\n", "/proc/self/mountinfo": dockerMounts,
			"/sys/fs/cgroup/cpu.max": "200000 100000\n",
		}},
		{name: "v1 in Docker", want: 3, source: "cgroup quota", files: map[string]string{
			"/proc/self/cgroup": dockerV1Cgroup, "/proc/self/mountinfo": dockerV1Mounts,
			"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "350000\n",
			"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		}},
		{name: "v1 nested, quota on the job", want: 8, source: "cgroup quota", files: map[string]string{
			"/proc/self/cgroup": slurmV1Cgroup, "/proc/self/mountinfo": slurmV1Mounts,
			"/sys/fs/cgroup/cpu,cpuacct/slurm/uid_1000/job_77/step_0/cpu.cfs_quota_us":  "-1\n",
			"/sys/fs/cgroup/cpu,cpuacct/slurm/uid_1000/job_77/step_0/cpu.cfs_period_us": "100000\n",
			"/sys/fs/cgroup/cpu,cpuacct/slurm/uid_1000/job_77/cpu.cfs_quota_us":         "800000\n",
			"/sys/fs/cgroup/cpu,cpuacct/slurm/uid_1000/job_77/cpu.cfs_period_us":        "100000\n",
		}},
		{name: "hybrid without a quota", want: 16, source: "affinity mask", files: map[string]string{
			"/proc/self/cgroup": hybridCgroup, "/proc/self/mountinfo": hybridMounts,
			"/sys/fs/cgroup/cpu/cpu.cfs_quota_us":  "-1\n",
			"/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
		}},
		{name: "quota above the affinity mask", want: 16, source: "affinity mask", files: map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": dockerMounts,
			"/sys/fs/cgroup/cpu.max": "6400000 100000\n",
		}},
		{name: "garbled files", want: 16, source: "affinity mask", files: map[string]string{
			"/proc/self/cgroup": "0:\nnonsense\n0::/\n", "/proc/self/mountinfo": "1 2\n" + dockerMounts,
			"/sys/fs/cgroup/cpu.max": "lots\n",
		}},
		{
			name: "Slurm, per task below per node", want: 4, source: "SLURM_CPUS_PER_TASK",
			env: map[string]string{"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "12"},
		},
		{name: "Slurm, node only", want: 12, source: "SLURM_CPUS_ON_NODE", env: map[string]string{"SLURM_CPUS_ON_NODE": "12"}},
		{name: "PBS Pro", want: 6, source: "NCPUS", env: map[string]string{"NCPUS": "6"}},
		{name: "Torque", want: 5, source: "PBS_NUM_PPN", env: map[string]string{"PBS_NUM_PPN": "5"}},
		{name: "Grid Engine", want: 2, source: "NSLOTS", env: map[string]string{"NSLOTS": "2"}},
		{name: "LSF", want: 3, source: "LSB_DJOB_NUMPROC", env: map[string]string{"LSB_DJOB_NUMPROC": "3"}},
		{
			name: "GOMAXPROCS below the batch system", want: 1, source: "GOMAXPROCS",
			env: map[string]string{"GOMAXPROCS": "1", "NSLOTS": "2"},
		},
		{name: "GOMAXPROCS above all", want: 16, source: "affinity mask", env: map[string]string{"GOMAXPROCS": "99"}},
		{
			name: "unreadable variables", want: 16, source: "affinity mask",
			env: map[string]string{"GOMAXPROCS": "all", "NSLOTS": "0", "NCPUS": "-3", "PBS_NUM_PPN": ""},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := machine(tc.files, tc.env)
			if got := s.granted(); got != tc.want {
				t.Errorf("granted %d, want %d: %+v", got, tc.want, s.explain())
			}
			least := slices.MinFunc(s.explain(), func(a, b Limit) int { return a.Cores - b.Cores })
			if least.Source != tc.source || least.Detail == "" {
				t.Errorf("smallest limit is %+v, want it from %q", least, tc.source)
			}
		})
	}
}

func TestInnerThreads(t *testing.T) {
	t.Parallel()
	for workers, want := range map[int]int{-1: 16, 0: 16, 1: 16, 3: 5, 16: 1, 40: 1} {
		if got := machine(nil, nil).innerThreads(workers); got != want {
			t.Errorf("%d workers: %d threads, want %d", workers, got, want)
		}
	}
}

func TestThreadEnv(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		n    int
		env  map[string]string
		want string
	}{
		{name: "nothing set", n: 3, want: "GOMAXPROCS=3 OMP_NUM_THREADS=3 OPENBLAS_NUM_THREADS=3 MKL_NUM_THREADS=3 BLIS_NUM_THREADS=3 VECLIB_MAXIMUM_THREADS=3 NUMEXPR_NUM_THREADS=3"},
		{name: "never below one", n: 0, want: "GOMAXPROCS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 BLIS_NUM_THREADS=1 VECLIB_MAXIMUM_THREADS=1 NUMEXPR_NUM_THREADS=1"},
		{
			name: "one library lower", n: 3, env: map[string]string{"MKL_NUM_THREADS": "2"},
			want: "GOMAXPROCS=3 OMP_NUM_THREADS=3 OPENBLAS_NUM_THREADS=3 MKL_NUM_THREADS=2 BLIS_NUM_THREADS=3 VECLIB_MAXIMUM_THREADS=3 NUMEXPR_NUM_THREADS=3",
		},
		{
			name: "one library higher", n: 3, env: map[string]string{"MKL_NUM_THREADS": "8", "GOMAXPROCS": "8"},
			want: "GOMAXPROCS=3 OMP_NUM_THREADS=3 OPENBLAS_NUM_THREADS=3 MKL_NUM_THREADS=3 BLIS_NUM_THREADS=3 VECLIB_MAXIMUM_THREADS=3 NUMEXPR_NUM_THREADS=3",
		},
		{
			name: "OpenMP lower, and those that follow it", n: 3, env: map[string]string{"OMP_NUM_THREADS": "2,1", "BLIS_NUM_THREADS": "3"},
			want: "GOMAXPROCS=3 OMP_NUM_THREADS=2,1 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2 BLIS_NUM_THREADS=3 VECLIB_MAXIMUM_THREADS=3 NUMEXPR_NUM_THREADS=2",
		},
		{
			name: "unreadable", n: 2, env: map[string]string{"OMP_NUM_THREADS": "many", "NUMEXPR_NUM_THREADS": "-1"},
			want: "GOMAXPROCS=2 OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2 BLIS_NUM_THREADS=2 VECLIB_MAXIMUM_THREADS=2 NUMEXPR_NUM_THREADS=2",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(machine(nil, tc.env).threadEnv(tc.n), " "); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestThreadsFor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, variable string
		n              int
		env            map[string]string
		want           int
	}{
		{name: "nothing set", variable: "OPENBLAS_NUM_THREADS", n: 3, want: 3},
		{name: "never below one", variable: "OPENBLAS_NUM_THREADS", n: 0, want: 1},
		{name: "lower", variable: "OPENBLAS_NUM_THREADS", n: 3, env: map[string]string{"OPENBLAS_NUM_THREADS": "2"}, want: 2},
		{name: "higher", variable: "OPENBLAS_NUM_THREADS", n: 3, env: map[string]string{"OPENBLAS_NUM_THREADS": "8"}, want: 3},
		{name: "another library's", variable: "OPENBLAS_NUM_THREADS", n: 3, env: map[string]string{"MKL_NUM_THREADS": "1"}, want: 3},
		{name: "followed", variable: "MKL_NUM_THREADS", n: 4, env: map[string]string{"OMP_NUM_THREADS": "2,1"}, want: 2},
		{name: "a list", variable: "OMP_NUM_THREADS", n: 4, env: map[string]string{"OMP_NUM_THREADS": "2,1"}, want: 2},
		{name: "not one of ours", variable: "OTHER_NUM_THREADS", n: 4, env: map[string]string{"OTHER_NUM_THREADS": "2"}, want: 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := machine(nil, tc.env).threadsFor(tc.variable, tc.n); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	if n := Workers(); n != 1 {
		t.Errorf("nobody has said a word: %d workers", n)
	}
	AddWorkers(3)
	AddWorkers(2)
	AddWorkers(-3)
	if n := Workers(); n != 2 {
		t.Errorf("3 + 2 - 3 are %d workers", n)
	}
	AddWorkers(-2)
	if n := Workers(); n != 1 {
		t.Errorf("all are gone: %d workers", n)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		files  map[string]string
		env    map[string]string
		want   uint64
		source string
	}{
		{name: "physical", want: 64 << 30, source: "physical memory"},
		{name: "v2 in Docker", want: 2 << 30, source: "/sys/fs/cgroup/memory.max", files: map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": dockerMounts,
			"/sys/fs/cgroup/memory.max": "2147483648\n",
		}},
		{name: "v2 limit above", want: 8 << 30, source: "/sys/fs/cgroup/user.slice/memory.max", files: map[string]string{
			"/proc/self/cgroup": ubuntuCgroup, "/proc/self/mountinfo": ubuntuMounts,
			"/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/memory.max": "max\n",
			"/sys/fs/cgroup/user.slice/memory.max":                                 "8589934592\n",
		}},
		{name: "v1 without a limit", want: 64 << 30, source: "physical memory", files: map[string]string{
			"/proc/self/cgroup": hybridCgroup, "/proc/self/mountinfo": hybridMounts,
			"/sys/fs/cgroup/memory/process_api/a7b2/memory.limit_in_bytes": "9223372036854771712\n",
		}},
		{name: "v1 limit on the job", want: 4 << 30, source: "/sys/fs/cgroup/memory/slurm/uid_1000/job_77/memory.limit_in_bytes", files: map[string]string{
			"/proc/self/cgroup": slurmV1Cgroup, "/proc/self/mountinfo": slurmV1Mounts,
			"/sys/fs/cgroup/memory/slurm/uid_1000/job_77/step_0/task_0/memory.limit_in_bytes": "9223372036854771712\n",
			"/sys/fs/cgroup/memory/slurm/uid_1000/job_77/memory.limit_in_bytes":               "4294967296\n",
		}},
		{name: "Slurm per node", want: 4000 << 20, source: "SLURM_MEM_PER_NODE", env: map[string]string{"SLURM_MEM_PER_NODE": "4000"}},
		{name: "Slurm, all of the node", want: 64 << 30, source: "physical memory", env: map[string]string{"SLURM_MEM_PER_NODE": "0"}},
		{
			name: "Slurm per core", want: 4 * 1000 << 20, source: "SLURM_MEM_PER_CPU",
			env: map[string]string{"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_ON_NODE": "4"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, source := machine(tc.files, tc.env).memoryLimit()
			if got != tc.want || source != tc.source {
				t.Errorf("got %d from %q, want %d from %q", got, source, tc.want, tc.source)
			}
		})
	}
}

func TestOOMKills(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  uint64
		ok    bool
	}{
		{name: "no cgroup"},
		{name: "v2", want: 3, ok: true, files: map[string]string{
			"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": dockerMounts,
			"/sys/fs/cgroup/memory.events": "low 0\nhigh 0\nmax 41\noom 3\noom_kill 3\noom_group_kill 0\n",
		}},
		{name: "v1", want: 1, ok: true, files: map[string]string{
			"/proc/self/cgroup": hybridCgroup, "/proc/self/mountinfo": hybridMounts,
			"/sys/fs/cgroup/memory/process_api/a7b2/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		}},
		{name: "v1 of an old kernel", files: map[string]string{
			"/proc/self/cgroup": hybridCgroup, "/proc/self/mountinfo": hybridMounts,
			"/sys/fs/cgroup/memory/process_api/a7b2/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, ok := machine(tc.files, nil).oomKills()
			if got != tc.want || ok != tc.ok {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	t.Parallel()
	if got := unescape(`/mnt/a\040b\134c`); got != `/mnt/a b\c` {
		t.Errorf("got %q", got)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	bytes, source := Memory()
	if bytes < 64<<20 || source == "" {
		t.Errorf("memory is %d from %q", bytes, source)
	}
	if n := Granted(); n < 1 || n > Explain()[0].Cores {
		t.Errorf("granted %d of %+v", n, Explain())
	}
	if kills, ok := OOMKills(); ok && kills > 1<<32 {
		t.Errorf("OOM kills: %d", kills)
	}
}
