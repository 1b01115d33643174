package cores

// Memory returns the bytes of memory that this process may use and the source of
// that number: a cgroup file, Slurm, or "physical memory". It is 0 where the
// system does not tell.
func Memory() (bytes uint64, source string) { return host().memoryLimit() }

// OOMKills returns how many processes of this cgroup the kernel has killed for
// want of memory, and whether that can be read. A number that has grown since a
// worker was started says why the worker is gone.
func OOMKills() (uint64, bool) { return host().oomKills() }

func (s system) memoryLimit() (bytes uint64, source string) {
	lower := func(n uint64, from string) {
		if n > 0 && (bytes == 0 || n < bytes) {
			bytes, source = n, from
		}
	}
	lower(s.memory(), "physical memory")
	lower(s.cgroupMemory())
	// Slurm counts in MiB; its 0 means all of the node.
	if mib, ok := s.number("SLURM_MEM_PER_NODE"); ok {
		lower(uint64(mib)<<20, "SLURM_MEM_PER_NODE")
	}
	if mib, ok := s.number("SLURM_MEM_PER_CPU"); ok {
		cpus, known := s.number("SLURM_CPUS_ON_NODE")
		if !known {
			cpus = s.granted()
		}
		lower(uint64(mib)<<20*uint64(cpus), "SLURM_MEM_PER_CPU")
	}
	return bytes, source
}
