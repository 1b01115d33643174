package mpi

import (
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
)

// launch is what the environment says about how this process was started.
type launch struct {
	by      string // "mpiexec of Open MPI"; "" when no launcher of MPI started it
	suits   family // whose ranks the launcher can connect; 0 where that is open
	rank    int
	size    int // 0 when the launcher does not tell
	spawned bool
	// alone says why this process is no rank though the launcher's variables
	// are there, or that a launcher started many without connecting them.
	alone string
}

func (l launch) launched() bool { return l.by != "" }

// guardVariable keeps what a rank starts, which inherits the launcher's
// variables, from taking itself for that rank. Its value is the rank's process
// id and a sum of those variables.
const guardVariable = "PARADE_MPI_RANK"

// identities are the variables that tell one rank of one job from all others.
var identities = []string{
	"OMPI_MCA_ess_base_jobid", "OMPI_MCA_ess_base_vpid", "OMPI_PARENT_PORT", "PMIX_NAMESPACE", "PMIX_RANK",
	"PMI_FD", "PMI_PORT", "PMI_ID", "PMI_JOBID", "PMI_RANK", "PMI_SPAWNED", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID",
}

// here is how this process was started. It is read before anything else can
// start processes.
var here = func() launch {
	l := launchOf(os.LookupEnv)
	if !l.launched() {
		return l
	}
	id, pid := identity(os.LookupEnv), strconv.Itoa(os.Getpid())
	if owner, sum, ok := strings.Cut(os.Getenv(guardVariable), "/"); ok && sum == id && owner != pid {
		return launch{alone: fmt.Sprintf("it was started by process %s, which is rank %d, and is no rank of its own", owner, l.rank)}
	}
	_ = os.Setenv(guardVariable, pid+"/"+id)
	return l
}()

func identity(lookup func(string) (string, bool)) string {
	sum := fnv.New64a()
	for _, name := range identities {
		value, _ := lookup(name)
		fmt.Fprintf(sum, "%s\n", value)
	}
	return strconv.FormatUint(sum.Sum64(), 16)
}

// launchOf reads the variables of mpiexec and srun.
func launchOf(lookup func(string) (string, bool)) launch {
	number := func(name string) (int, bool) {
		text, _ := lookup(name)
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= 0
	}
	is := func(name string) bool { _, ok := lookup(name); return ok }
	if value, _ := lookup(EnvSwitch); value == "off" {
		return launch{alone: EnvSwitch + "=off says that it is none"}
	}
	slurmRank, slurm := number("SLURM_PROCID")
	slurm = slurm && is("SLURM_STEP_ID")
	slurmSize, _ := number("SLURM_STEP_NUM_TASKS")

	if rank, ok := number("OMPI_COMM_WORLD_RANK"); ok {
		size, _ := number("OMPI_COMM_WORLD_SIZE")
		return launch{by: "mpiexec of Open MPI", suits: openMPI, rank: rank, size: size, spawned: is("OMPI_PARENT_PORT")}
	}
	if rank, ok := number("PMI_RANK"); ok {
		size, _ := number("PMI_SIZE")
		by := "mpiexec of MPICH"
		if slurm && slurmRank == rank && !is("HYDI_CONTROL_FD") {
			by = "srun --mpi=pmi2"
		}
		return launch{by: by, suits: mpich, rank: rank, size: size, spawned: is("PMI_SPAWNED")}
	}
	if rank, ok := number("MV2_COMM_WORLD_RANK"); ok {
		size, _ := number("MV2_COMM_WORLD_SIZE")
		return launch{by: "mpirun_rsh of MVAPICH", suits: mpich, rank: rank, size: size}
	}
	if rank, ok := number("PMIX_RANK"); ok {
		l := launch{by: "a launcher with PMIx", rank: rank}
		if slurm {
			l.by, l.size = "srun --mpi=pmix", slurmSize
		}
		return l
	}
	if slurm && slurmSize > 1 {
		return launch{alone: fmt.Sprintf("srun started %d tasks without connecting them: say srun --mpi=pmix for Open MPI or srun --mpi=pmi2 for MPICH", slurmSize)}
	}
	return launch{}
}
