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

	"github.com/parade-go/parade/cluster/launch"
)

func Example() {
	system, err := launch.Find("slurm")
	if err != nil {
		fmt.Println(err)
		return
	}
	script, err := system.Script(launch.Job{
		Cluster: "lab", Slots: 8, Log: "/home/ada/lab.log", Options: []string{"--partition=short"},
		Command: []string{"/opt/parade", "cluster", "engine", "--connection", "/home/ada/it's mine/engine.json", "--slots", "8"},
	}, "")
	fmt.Print(script, err)
	// Output:
	// #!/bin/sh
	// #SBATCH --job-name=parade-lab
	// #SBATCH --ntasks=1
	// #SBATCH --cpus-per-task=8
	// #SBATCH --output=/home/ada/lab.log
	// #SBATCH --partition=short
	// exec '/opt/parade' 'cluster' 'engine' '--connection' '/home/ada/it'\''s mine/engine.json' '--slots' '8'
	// <nil>
}

var job = launch.Job{
	Cluster: "lab", Slots: 3, Log: "/tmp/lab.log", Options: []string{"OPTION one"}, Command: []string{"/bin/parade", "a b", `say "it's"`},
}

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, name := range launch.Names() {
		system, err := launch.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		script, err := system.Script(job, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"parade-lab", "3", "/tmp/lab.log", "OPTION one", "/bin/parade", "a b"} {
			if !strings.Contains(script, want) {
				t.Errorf("%s: the script has no %q:\n%s", name, want, script)
			}
		}
		if strings.Contains(script, "{{") || strings.Contains(script, "<no value>") {
			t.Errorf("%s: the script is not filled in:\n%s", name, script)
		}
		mine, err := system.Script(job, "# {{.Cluster}} mine\n{{.Shell}}\n")
		if want := "# lab mine\n'/bin/parade' 'a b' 'say \"it'\\''s\"'\n"; mine != want || err != nil {
			t.Errorf("%s: another template gives %q, %v; want %q", name, mine, err, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	if _, err := launch.Find("moab"); err == nil || !strings.Contains(err.Error(), "slurm") {
		t.Errorf("another system: %v", err)
	}
	system, err := launch.Find("slurm")
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]func() (string, error){
		"no command": func() (string, error) { return system.Script(launch.Job{Slots: 1}, "") },
		"an option of two lines": func() (string, error) {
			return system.Script(launch.Job{Slots: 1, Command: []string{"x"}, Options: []string{"a\nrm -rf x"}}, "")
		},
		"a template that does not parse": func() (string, error) { return system.Script(job, "{{") },
		"an unknown field":               func() (string, error) { return system.Script(job, "{{.Queue}}") },
	} {
		if text, err := script(); err == nil {
			t.Errorf("%s is accepted: %q", name, text)
		}
	}
}

// TestSubmit has commands in place of the batch systems', which say what those say.
func TestSubmit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are shell scripts, and windows has no batch system of these")
	}
	for _, tc := range []struct{ system, submit, cancel, says, id string }{
		{"slurm", "sbatch", "scancel", "Submitted batch job 4711", "4711"},
		{"slurm", "sbatch", "scancel", "sbatch: note\nSubmitted batch job 7 on cluster big", "7"},
		{"pbs", "qsub", "qdel", "1234.pbs-server.site", "1234.pbs-server.site"},
		{"sge", "qsub", "qdel", `Your job 55 ("parade-lab") has been submitted`, "55"},
		{"lsf", "bsub", "bkill", "Job <77> is submitted to queue <normal>.", "77"},
		{"htcondor", "condor_submit", "condor_rm", "Submitting job(s).\n1 job(s) submitted to cluster 12.", "12"},
	} {
		t.Run(tc.system+" "+tc.id, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, tc.submit), fmt.Sprintf("#!/bin/sh\ncat ${1:--} > %s/script\necho '%s'\n", dir, tc.says))
			write(t, filepath.Join(dir, tc.cancel), fmt.Sprintf("#!/bin/sh\necho \"$@\" > %s/cancelled\n", dir))
			t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			system, err := launch.Find(tc.system)
			if err != nil {
				t.Fatal(err)
			}
			id, err := system.Submit(ctx, "the script\n")
			if err != nil || id != tc.id {
				t.Errorf("the job is %q, %v; want %q", id, err, tc.id)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "script")); string(got) != "the script\n" {
				t.Errorf("it got %q", got)
			}
			if err := system.Cancel(ctx, id); err != nil {
				t.Error(err)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "cancelled")); strings.TrimSpace(string(got)) != tc.id {
				t.Errorf("cancelled %q", got)
			}
			write(t, filepath.Join(dir, tc.submit), "#!/bin/sh\necho 'no such partition' >&2\nexit 1\n")
			if _, err := system.Submit(ctx, "x"); err == nil || !strings.Contains(err.Error(), "no such partition") {
				t.Errorf("a refusal becomes %v", err)
			}
			write(t, filepath.Join(dir, tc.submit), "#!/bin/sh\necho 'welcome'\n")
			if _, err := system.Submit(ctx, "x"); err == nil || !strings.Contains(err.Error(), "welcome") {
				t.Errorf("an answer without an id becomes %v", err)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
