//go:build unix

package cluster_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slurm is a Slurm of a test's own: one controller and some nodes, all on this machine,
// with ports, keys and state that no other has.
type slurm struct {
	t      *testing.T
	env    []string
	folder string
}

// slurmNodes of two cores each.
const slurmNodes = 2

func startSlurm(t *testing.T) *slurm {
	t.Helper()
	munged, ctld, slurmd := tool(t, "munged"), tool(t, "slurmctld"), tool(t, "slurmd")
	tool(t, "sbatch")
	if os.Getuid() != 0 {
		missing(t, "Slurm's daemons need root to run jobs")
	}
	// Not t.TempDir: the path of a socket must be short.
	dir, err := os.MkdirTemp("", "slurm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	in := func(name string) string { return filepath.Join(dir, name) }
	key := make([]byte, 1024)
	_, _ = rand.Read(key) // never fails
	write(t, in("munge.key"), string(key), 0o600)
	ports := freePorts(t, 1+slurmNodes)
	conf := fmt.Sprintf(`
ClusterName=test
SlurmctldHost=%[2]s(127.0.0.1)
SlurmctldPort=%[3]d
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=%[1]s/munge.socket
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool.%%n
SlurmctldPidFile=%[1]s/slurmctld.pid
SlurmdPidFile=%[1]s/slurmd.%%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
ReturnToService=2
KillWait=5
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`, dir, host, ports[0])
	for i := range slurmNodes {
		conf += fmt.Sprintf("NodeName=n%d NodeHostname=%s NodeAddr=127.0.0.1 Port=%d CPUs=2 State=UNKNOWN\n", i, host, ports[1+i])
		if err := os.Mkdir(in(fmt.Sprintf("spool.n%d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(in("state"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &slurm{t: t, env: []string{"SLURM_CONF=" + write(t, in("slurm.conf"), conf, 0o644)}, folder: dir}
	// Its daemons mind who else may write to the folders above; this test does not.
	daemon(t, munged, "--foreground", "--force", "--key-file="+in("munge.key"), "--socket="+in("munge.socket"),
		"--pid-file="+in("munge.pid"), "--log-file="+in("munge.log"), "--seed-file="+in("munge.seed"))
	daemon(t, ctld, "-D", "-c", "-f", in("slurm.conf"))
	for i := range slurmNodes {
		daemon(t, slurmd, "-D", "-N", fmt.Sprintf("n%d", i), "-f", in("slurm.conf"))
	}
	t.Cleanup(func() { // before the daemons go, or their jobs stay
		_, _ = s.try("scancel", "--user=root")
		s.until("no jobs", func() bool { out, err := s.try("squeue", "-h"); return err == nil && out == "" })
	})
	s.until("idle nodes", func() bool {
		out, err := s.try("sinfo", "-h", "-N", "-t", "idle", "-o", "%N")
		return err == nil && len(strings.Fields(out)) == slurmNodes
	})
	return s
}

// try runs one of Slurm's commands.
func (s *slurm) try(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *slurm) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			nodes, _ := s.try("sinfo", "-N", "-l")
			jobs, _ := s.try("squeue")
			s.t.Fatalf("still waiting for %s\n%s%s", what, nodes, jobs)
		}
	}
}

// states are those of the jobs that are not over, such as RUNNING, by job id.
func (s *slurm) states() map[string]string {
	s.t.Helper()
	out, err := s.try("squeue", "-h", "-o", "%i %T")
	if err != nil {
		s.t.Fatalf("squeue: %v: %s", err, out)
	}
	states := map[string]string{}
	for line := range strings.Lines(out) {
		id, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		states[id] = state
	}
	return states
}

// TestSlurm: engines that a real Slurm starts, when it has room.
func TestSlurm(t *testing.T) {
	t.Parallel()
	slurm := startSlurm(t)
	s := newPlace(t, slurm.env...)
	// Two at a time, and one that waits.
	said := s.start("--listen", "0.0.0.0:0", "--launcher", "slurm", "-n", "3", "--slots", "2", "--option=--time=10")
	s.wait(2)
	states := slurm.states()
	count := map[string]int{}
	for id, state := range states {
		count[state]++
		if !strings.Contains(said, id) {
			t.Errorf("start does not say the job %s: %s", id, said)
		}
	}
	if len(states) != 3 || count["RUNNING"] != 2 || count["PENDING"] != 1 {
		t.Errorf("the jobs are %v, want two that run and one that waits", states)
	}
	s.conform()
	// A job that ends makes room for the next.
	for id, state := range slurm.states() {
		if state == "RUNNING" {
			if out, err := slurm.try("scancel", id); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			break
		}
	}
	slurm.until("the job that waited", func() bool {
		states := slurm.states()
		return len(states) == 2 && !strings.Contains(fmt.Sprint(states), "PENDING")
	})
	s.wait(2)
	if said := s.start("--launcher", "slurm", "-n", "2", "--slots", "2"); !strings.Contains(said, "2 jobs") {
		t.Errorf("two more: %s", said)
	}
	s.stop() // cancels those that run and those that wait
	slurm.until("cancelled jobs", func() bool { return len(slurm.states()) == 0 })
}
