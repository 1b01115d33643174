package launch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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

// TestSSH has a command in place of ssh that runs here, in another home.
func TestSSH(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	dir := t.TempDir()
	home := filepath.Join(dir, "its home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ssh"), fmt.Sprintf("#!/bin/sh\necho \"$@\" >> %s/commands\ntest \"$3\" = node1 || { echo 'no route' >&2; exit 255; }\nHOME='%s' exec sh -c \"$4\"\n", dir, home))
	// In place of parade: it tells what it was given, and stays.
	program := filepath.Join(dir, "program")
	write(t, program, "#!/bin/sh\necho \"$@\" > \"$HOME/arguments\"\ncat \"$4\" > \"$HOME/connection\"\nexec sleep 60 # cluster engine\n")
	t.Setenv("PATH", dir+string(os.PathListSeparator)+"/usr/bin"+string(os.PathListSeparator)+"/bin")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := launch.SSH{Host: "node1", Program: program, Hash: "abc", Connection: []byte("a secret"), Cluster: "lab", Arguments: []string{"--slots", "2"}}
	var ids []string
	for range 2 { // the second time there is nothing to copy
		id, err := s.Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(id, "node1 ") {
			t.Errorf("the id is %q", id)
		}
		ids = append(ids, id)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got, _ := os.ReadFile(filepath.Join(home, "connection"))
		if string(got) == "a secret" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the engine read %q", got)
		}
	}
	arguments, _ := os.ReadFile(filepath.Join(home, "arguments"))
	if !strings.HasPrefix(string(arguments), "cluster engine --connection ") || !strings.HasSuffix(string(arguments), "/lab.json --slots 2\n") {
		t.Errorf("the engine was given %q", arguments)
	}
	info, err := os.Stat(filepath.Join(home, ".local/state/parade/engines/lab.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the connection file: %v, %v", info, err)
	}
	commands, _ := os.ReadFile(filepath.Join(dir, "commands"))
	if strings.Contains(string(commands), "secret") {
		t.Error("the secret is on a command line")
	}
	if n := strings.Count(string(commands), "chmod 700"); n != 1 {
		t.Errorf("the program was copied %d times", n)
	}
	for _, id := range ids {
		if err := launch.StopSSH(ctx, id); err != nil {
			t.Error(err)
		}
		// Its arguments say sleep: what is not an engine is left alone, and ended here.
		_, pid, _ := strings.Cut(id, " ")
		n, _ := strconv.Atoi(pid)
		p, err := os.FindProcess(n)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Errorf("process %d, which is no engine, was ended: %v", n, err)
		}
	}
	s.Host = "node2"
	if _, err := s.Start(ctx); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("a host that is not there: %v", err)
	}
	for _, host := range []string{"", "-oProxyCommand=x", "a b"} {
		s.Host = host
		if _, err := s.Start(ctx); err == nil {
			t.Errorf("host %q is accepted", host)
		}
		if err := launch.StopSSH(ctx, host+" 1"); err == nil {
			t.Errorf("host %q is accepted for the end", host)
		}
	}
}
