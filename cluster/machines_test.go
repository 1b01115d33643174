//go:build linux

package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is a network namespace, with interfaces and addresses of its own, in which
// processes have another host's name.
type machine struct {
	t     *testing.T
	name  string // of the namespace
	ip    string // the tool
	links []string
}

// machines makes one machine that is linked to each of the others, and not they to one
// another. Machine i has the address 10.77.i.2, and the first 10.77.i.1 towards it.
func machines(t *testing.T, others int) []*machine {
	t.Helper()
	ip := tool(t, "ip")
	if os.Getuid() != 0 {
		missing(t, "network namespaces need root")
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(ip, args...).CombinedOutput(); err != nil {
			if strings.Contains(string(out), "not permitted") {
				missing(t, "network namespaces are not allowed here: ip %v: %s", args, out)
			}
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	var all []*machine
	for i := range 1 + others {
		m := &machine{t: t, ip: ip, name: fmt.Sprintf("parade-%d-%s-%d", os.Getpid(), t.Name(), i)}
		run("netns", "add", m.name)
		t.Cleanup(func() { _ = exec.Command(ip, "netns", "delete", m.name).Run() })
		run("-n", m.name, "link", "set", "lo", "up")
		all = append(all, m)
		if i == 0 {
			continue
		}
		here, there := fmt.Sprintf("to%d", i), "net"
		run("link", "add", here, "netns", all[0].name, "type", "veth", "peer", "name", there, "netns", m.name)
		for _, end := range []struct{ machine, link, address string }{
			{all[0].name, here, fmt.Sprintf("10.77.%d.1/24", i)}, {m.name, there, fmt.Sprintf("10.77.%d.2/24", i)},
		} {
			run("-n", end.machine, "address", "add", end.address, "dev", end.link)
			run("-n", end.machine, "link", "set", end.link, "up")
		}
		all[0].links = append(all[0].links, here)
	}
	return all
}

// under is what a process of the machine runs under.
func (m *machine) under(before string) []string {
	return []string{m.ip, "netns", "exec", m.name, "unshare", "--uts", "--mount", "sh", "-c",
		"echo " + filepath.Base(m.name) + " >/proc/sys/kernel/hostname && " + before + ` exec "$@"`, "sh"}
}

// cut parts the first machine from another for a while.
func (m *machine) cut(other int, d time.Duration) {
	m.t.Helper()
	for i, state := range []string{"down", "up"} {
		if i > 0 {
			time.Sleep(d)
		}
		if out, err := exec.Command(m.ip, "-n", m.name, "link", "set", m.links[other-1], state).CombinedOutput(); err != nil {
			m.t.Errorf("the link to machine %d goes not %s: %v: %s", other, state, err, out)
		}
	}
}

// bare starts an engine on a machine that has nothing but the command and the engine's
// connection file: no other program and no library, of devices only the null device, the
// kernel's /proc and an empty /tmp. Folders that are named are shared with this machine.
func (m *machine) bare(s *place, slots int, shared ...string) {
	t := s.t
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"dev", "proc", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("mknod", "-m", "666", filepath.Join(root, "dev/null"), "c", "1", "3").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := map[string]string{s.parade: "parade", filepath.Join(s.folder(), "engine.json"): "engine.json"}
	for from, to := range files {
		to = filepath.Join(root, to)
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o700)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "engine.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("mount -t proc proc '%s/proc' && ", root)
	for _, dir := range shared {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		before += fmt.Sprintf("mount --bind '%s' '%s%[1]s' && ", dir, root)
	}
	daemon(t, append(m.under(before), "env", "-i", "HOME=/", tool(t, "chroot"), root, "/parade", "cluster", "engine",
		"--connection", "/engine.json", "--slots", fmt.Sprint(slots))...)
}

// TestMachines: two machines, of which the second has nothing but the command.
func TestMachines(t *testing.T) {
	t.Parallel()
	all := machines(t, 1)
	s := newPlace(t)
	s.under = all[0].under("")
	s.start("-n", "0", "--listen", "10.77.1.1:0")
	t.Run("alone", func(t *testing.T) {
		s := s.with(t)
		all[1].bare(s, 2)
		engine := s.wait(1)[0]
		if engine.Host != all[1].name {
			t.Errorf("the engine is on %s, want %s", engine.Host, all[1].name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, work := range []string{"1000", "large"} {
			if out, err := s.client(ctx, work).CombinedOutput(); err != nil {
				t.Errorf("functions, %s: %v\n%s", work, err, out)
			}
		}
		// The only command that there is on the second machine is not on the first.
		var want strings.Builder
		args := []string{"run", "--on", "cluster:lab", "-k", "/parade", "cluster", "start", "x{}", "--launcher", "slurm", "--print", ":::"}
		for i := range 100 {
			args = append(args, fmt.Sprint(i))
			fmt.Fprintf(&want, "#SBATCH --job-name=parade-x%d\n", i)
		}
		said := s.run(args...)
		var got strings.Builder
		for line := range strings.Lines(said) {
			if strings.Contains(line, "job-name") {
				got.WriteString(line)
			}
		}
		if got.String() != want.String() {
			t.Errorf("commands print\n%s\nwant the lines\n%s", said, &want)
		}
	})
	t.Run("suite", func(t *testing.T) {
		s, dir := s.with(t), t.TempDir()
		all[1].bare(s, 2, dir)
		s.wait(1)
		s.env = append(s.env[:len(s.env):len(s.env)], "TMPDIR="+dir, "PARADE_TEST_HOST="+all[1].name)
		s.conform()
	})
}

// TestCut: the network is cut in the middle of jobs, between the controller and an engine,
// and between the controller and the client. PARADE_CHAOS_CUT is how long for, at most.
func TestCut(t *testing.T) {
	t.Parallel()
	longest := chaosTime(t, "PARADE_CHAOS_CUT", 4*time.Second)
	n := chaosTasks(t, 2000)
	all := machines(t, 2)
	s := newPlace(t)
	s.under = all[0].under("")
	s.start("-n", "1", "--slots", "2", "--listen", "0.0.0.0:0")
	all[1].bare(s, 2)
	s.wait(2)
	s.under = all[2].under("")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute+20*longest)
	defer cancel()
	var said bytes.Buffer
	client := s.client(ctx, fmt.Sprint(n))
	client.Stdout, client.Stderr = &said, &said
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	start := time.Now()
	under := *s
	under.under = all[0].under("")
	for done := int64(0); done == 0; { // in the middle of the job
		for _, e := range under.status().Engines {
			done += e.Done
		}
	}
	var cuts [3]int
	for round := 0; ; round++ {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the client: %v\n%s", err, &said)
			}
			t.Logf("%d tasks in %v, with %d cuts of an engine and %d of the client", n, time.Since(start), cuts[1], cuts[2])
			if cuts[1] == 0 || cuts[2] == 0 {
				t.Error("the job ended before all were cut off; give it more tasks")
			}
			return
		case <-time.After(time.Duration(300+rand.IntN(500)) * time.Millisecond):
		}
		d := max(longest/8, rand.N(longest))
		if round < 2 {
			d = longest
		}
		other := 2 - round%2 // the client first
		cuts[other]++
		all[0].cut(other, d)
	}
}
