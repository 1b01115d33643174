//go:build unix

package cluster_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// freePorts are ports of the loopback interface that nobody listens at.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // once all are known, or two would be the same
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// TestSSH: engines that are started by ssh, through a server of this test's own, on a
// host that has no parade.
func TestSSH(t *testing.T) {
	t.Parallel()
	sshd, ssh, keygen := tool(t, "sshd"), tool(t, "ssh"), tool(t, "ssh-keygen")
	if os.Getuid() == 0 { // what a server that root runs insists on
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	home, bin := in("home"), in("bin")
	for _, d := range []string{home, bin} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"host_key", "user_key"} {
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", in(key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	public, err := os.ReadFile(in("user_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("authorized_keys"), string(public), 0o600)
	port := freePorts(t, 1)[0]
	// The host's user has another home, and nothing but the system in the PATH.
	daemon(t, sshd, "-D", "-e", "-f", write(t, in("sshd_config"), fmt.Sprintf(`
ListenAddress 127.0.0.1:%d
HostKey %[2]s/host_key
AuthorizedKeysFile %[2]s/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME=%[2]s/home PATH=/usr/bin:/bin XDG_CACHE_HOME=%[2]s/home/.cache
`, port, dir), 0o600))
	host, err := os.ReadFile(in("host_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("known_hosts"), fmt.Sprintf("[127.0.0.1]:%d %s", port, host), 0o600)
	write(t, in("ssh_config"), fmt.Sprintf(`
Host node1 node2
	HostName 127.0.0.1
	Port %d
	IdentityFile %[2]s/user_key
	IdentitiesOnly yes
	UserKnownHostsFile %[2]s/known_hosts
	GlobalKnownHostsFile none
	StrictHostKeyChecking yes
`, port, dir), 0o600)
	// In the place of the user's own configuration, whose file ssh finds without $HOME.
	write(t, filepath.Join(bin, "ssh"), fmt.Sprintf("#!/bin/sh\nexec '%s' -F '%s' \"$@\"\n", ssh, in("ssh_config")), 0o700)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command(filepath.Join(bin, "ssh"), "-o", "BatchMode=yes", "node1", "echo $HOME").CombinedOutput()
		if err == nil && strings.TrimSpace(string(out)) == home {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the server lets nobody in: %v, %s", err, out)
		}
	}

	s := newPlace(t, "PATH="+bin+":"+os.Getenv("PATH"))
	s.start("--listen", "0.0.0.0:0", "--launcher", "ssh", "--host", "node1", "--host", "node2", "--slots", "1")
	s.wait(2)
	copied, err := filepath.Glob(filepath.Join(home, ".cache/parade/bin/*"))
	if err != nil || len(copied) != 1 {
		t.Errorf("the host has the programs %q, %v; want one", copied, err)
	}
	for _, e := range s.status().Engines {
		if program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", e.PID)); program != "" && program != copied[0] {
			t.Errorf("engine %s runs %s, want the one that was copied", e.ID, program)
		}
	}
	s.conform()
	s.stop()
}
