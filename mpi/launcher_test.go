package mpi

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLaunchOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		env  map[string]string
		want launch
	}{
		{"nothing", nil, launch{}},
		{"Open MPI", map[string]string{"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "5", "PMIX_RANK": "2"},
			launch{by: "mpiexec of Open MPI", suits: openMPI, rank: 2, size: 5}},
		{"spawned by Open MPI", map[string]string{"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_PARENT_PORT": "1.0"},
			launch{by: "mpiexec of Open MPI", suits: openMPI, size: 2, spawned: true}},
		{"MPICH", map[string]string{"PMI_RANK": "1", "PMI_SIZE": "3", "PMI_FD": "6", "HYDI_CONTROL_FD": "7"},
			launch{by: "mpiexec of MPICH", suits: mpich, rank: 1, size: 3}},
		{"MPICH within Slurm", map[string]string{"PMI_RANK": "0", "PMI_SIZE": "3", "HYDI_CONTROL_FD": "7", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3"},
			launch{by: "mpiexec of MPICH", suits: mpich, size: 3}},
		{"MVAPICH", map[string]string{"MV2_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_SIZE": "3"},
			launch{by: "mpirun_rsh of MVAPICH", suits: mpich, rank: 1, size: 3}},
		{"srun with PMI 2", map[string]string{"PMI_RANK": "3", "PMI_SIZE": "4", "SLURM_PROCID": "3", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},
			launch{by: "srun --mpi=pmi2", suits: mpich, rank: 3, size: 4}},
		{"srun with PMIx", map[string]string{"PMIX_RANK": "3", "PMIX_NAMESPACE": "s", "SLURM_PROCID": "3", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},
			launch{by: "srun --mpi=pmix", rank: 3, size: 4}},
		{"another launcher with PMIx", map[string]string{"PMIX_RANK": "1", "PMIX_NAMESPACE": "s"},
			launch{by: "a launcher with PMIx", rank: 1}},
		{"srun without MPI", map[string]string{"SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},
			launch{alone: "srun started 4 tasks without connecting them: say srun --mpi=pmix for Open MPI or srun --mpi=pmi2 for MPICH"}},
		{"one task of srun", map[string]string{"SLURM_PROCID": "0", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}, launch{}},
		{"a batch script", map[string]string{"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, launch{}},
		{"switched off", map[string]string{"PMI_RANK": "1", "PMI_SIZE": "3", EnvSwitch: "off"}, launch{alone: EnvSwitch + "=off says that it is none"}},
		{"no number", map[string]string{"PMI_RANK": "one"}, launch{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := launchOf(func(name string) (string, bool) { value, ok := tc.env[name]; return value, ok })
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(launch{})); diff != "" {
				t.Errorf("launch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfig(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		arg  string
		want Config
		bad  bool
	}{
		{"", Config{}, false},
		{"4", Config{Workers: 4}, false},
		{"all", Config{RootWorks: true}, false},
		{"children", Config{Children: true}, false},
		{"3,all,children", Config{Workers: 3, RootWorks: true, Children: true}, false},
		{"children,2", Config{Workers: 2, Children: true}, false},
		{"0", Config{}, true},
		{"-1", Config{}, true},
		{"two", Config{}, true},
		{"2,3", Config{}, true},
		{"all,all", Config{}, true},
		{"2,", Config{}, true},
	} {
		got, err := ParseConfig(tc.arg)
		if (err != nil) != tc.bad {
			t.Errorf("%q: error %v", tc.arg, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got); !tc.bad && diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.arg, diff)
		}
	}
}

// The library that suits the launcher is tried first, wherever there are several.
func TestCandidates(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"linux", "darwin"} {
		for _, suits := range []family{0, openMPI, mpich} {
			files := candidates(suits, goos)
			if first := files[0]; strings.Contains(first, "12") != (suits == mpich) {
				t.Errorf("%s, for %v: %v", goos, suits, files)
			}
			if n := len(candidates(0, goos)); len(files) != n {
				t.Errorf("%s, for %v: %d files, %d for nobody", goos, suits, len(files), n)
			}
		}
	}
}

func TestFamilyOfVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]family{
		"Open MPI v4.1.4, package: Debian OpenMPI":  openMPI,
		"MPICH Version:\t4.0.2":                     mpich,
		"Intel(R) MPI Library 2021.9 for Linux* OS": mpich,
		"MVAPICH2 Version      :\t2.3.7":            mpich,
		"something else":                            0,
	} {
		if got := familyOfVersion(version); got != want {
			t.Errorf("%q is %v, want %v", version, got, want)
		}
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	for _, a := range []abi{mpichABI, standardABI} {
		for level, constant := range a.threads {
			if got := a.level(constant); got != level {
				t.Errorf("constant %d is level %d, want %d", constant, got, level)
			}
		}
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	large := make([]byte, 3<<20)
	half := make([]byte, 1<<19+1)
	pieces := piecesOf([][]byte{{1, 2}, {3}, large, nil, {4}, large[:1<<20], half, half, half, half}, 2<<20)
	var sizes []int
	for _, p := range pieces {
		sizes = append(sizes, len(p))
	}
	if diff := cmp.Diff([]int{3, 2 << 20, 1 << 20, 1, 1 << 20, 3<<19 + 3, 1<<19 + 1}, sizes); diff != "" {
		t.Errorf("sizes of pieces (-want +got):\n%s", diff)
	}
	if &pieces[1][0] != &large[0] {
		t.Error("a large chunk was copied")
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	missing := &LibraryError{Launcher: "mpiexec of MPICH", Tried: []string{"libmpi.so.12: not there"}}
	if !errors.Is(missing, errors.ErrUnsupported) {
		t.Error("a missing library is not ErrUnsupported")
	}
	for err, words := range map[error][]string{
		missing: {"mpiexec of MPICH", "libmpi.so.12: not there", EnvLibrary},
		&MismatchError{Launcher: "srun --mpi=pmi2", Size: 4, Library: "Open MPI v4\nmore", File: "libmpi.so.40"}: {"srun --mpi=pmi2 started 4", "Open MPI v4 ", "--mpi=pmix"},
		&SpawnError{Workers: 3, Library: "MPICH", Err: errors.New("no")}:                                         {"mpiexec -n 4 "},
		&RankError{Rank: 3, Host: "lab7", Err: errors.New("gone")}:                                               {"rank 3 on lab7: gone"},
	} {
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
}
