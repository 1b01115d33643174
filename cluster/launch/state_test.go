package launch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/cluster/launch"
)

// TestStates has commands in place of the batch systems', which say what those say.
func TestStates(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are shell scripts, and windows has no batch system of these")
	}
	for _, tc := range []struct {
		name, system, command string
		says, complains       string
		exit                  int
		want                  map[string]launch.State
	}{
		{"slurm", "slurm", "squeue", "11 PENDING\n12 RUNNING\n13 COMPLETING\n14 CONFIGURING\n15 COMPLETED\n", "", 0,
			map[string]launch.State{"11": launch.Queued, "12": launch.Running, "13": launch.Running, "14": launch.Queued, "15": launch.Vanished, "16": launch.Vanished}},
		{"slurm knows none", "slurm", "squeue", "", "slurm_load_jobs error: Invalid job id specified", 1,
			map[string]launch.State{"11": launch.Vanished}},
		{"pbs", "pbs", "qstat", `Job Id: 21.pbs-server.site
    Job_Name = parade-lab
    Job_Owner = ada@login.site
    job_state = Q
    queue = workq

Job Id: 22.pbs-server.site
    Job_Name = parade-lab
    resources_used.walltime = 00:00:04
    job_state = R
    Variable_List = PBS_O_HOME=/home/ada,
	PBS_O_WORKDIR=/home/ada

Job Id: 23.pbs-server.site
    job_state = C
`, "qstat: Unknown Job Id 24.pbs-server.site", 153,
			map[string]launch.State{"21.pbs-server.site": launch.Queued, "22.pbs-server.site": launch.Running, "23.pbs-server.site": launch.Vanished, "24.pbs-server.site": launch.Vanished}},
		{"pbs with a finished job", "pbs", "qstat", "", "qstat: 25.pbs Job has finished, use -x or -H to obtain historical job information", 35,
			map[string]launch.State{"25.pbs": launch.Vanished}},
		{"sge", "sge", "qstat", `job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID 
-----------------------------------------------------------------------------------------------------------------
     31 0.55500 parade-lab ada          r     11/27/2026 10:00:00 all.q@node1.site                   4        
     32 0.00000 parade-lab ada          qw    11/27/2026 10:00:01                                    4        
     33 0.00000 parade-lab ada          dr    11/27/2026 10:00:01 all.q@node1.site                   4        
     34 0.00000 parade-lab ada          Eqw   11/27/2026 10:00:01                                    4        
`, "", 0, map[string]launch.State{"31": launch.Running, "32": launch.Queued, "33": launch.Running, "34": launch.Queued, "35": launch.Vanished}},
		{"lsf", "lsf", "bjobs", "41 RUN\n42 PEND\n43 DONE\n44 SSUSP\n", "Job <45> is not found", 255,
			map[string]launch.State{"41": launch.Running, "42": launch.Queued, "43": launch.Vanished, "44": launch.Running, "45": launch.Vanished}},
		{"htcondor", "htcondor", "condor_q", "51 1\n52 2\n53 5\n54 4\n", "", 0,
			map[string]launch.State{"51": launch.Queued, "52": launch.Running, "53": launch.Queued, "54": launch.Vanished, "55": launch.Vanished}},
		{"a system that is away", "slurm", "squeue", "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "says"), tc.says)
			write(t, filepath.Join(dir, tc.command), fmt.Sprintf("#!/bin/sh\necho \"$@\" > %s/arguments\ncat %s/says\ntest -z '%s' || echo '%s' >&2\nexit %d\n", dir, dir, tc.complains, tc.complains, tc.exit))
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			system, err := launch.Find(tc.system)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for id := range tc.want {
				ids = append(ids, id)
			}
			if tc.want == nil {
				ids = []string{"1"}
			}
			got, err := system.States(ctx, ids)
			if tc.want == nil {
				if err == nil || !strings.Contains(err.Error(), "Unable to contact") {
					t.Errorf("states %v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if arguments, _ := os.ReadFile(filepath.Join(dir, "arguments")); len(arguments) == 0 {
				t.Error("it was not asked")
			}
		})
	}
}

func TestHere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		env        map[string]string
	}{
		{"none", "", nil},
		{"slurm", "slurm 4711", map[string]string{"SLURM_JOB_ID": "4711"}},
		{"pbs", "pbs 12.server", map[string]string{"PBS_JOBID": "12.server"}},
		{"sge", "sge 55", map[string]string{"JOB_ID": "55", "SGE_TASK_ID": "undefined"}},
		{"a variable of somebody else", "", map[string]string{"JOB_ID": "55"}},
		{"lsf", "lsf 77", map[string]string{"LSB_JOBID": "77"}},
		{"htcondor", "htcondor 12", map[string]string{"PARADE_BATCH_JOB": "htcondor 12"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := launch.Here(func(name string) string { return tc.env[name] }); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
