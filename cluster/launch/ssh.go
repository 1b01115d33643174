package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// SSHName is the name of the launcher that starts engines by ssh.
const SSHName = "ssh"

// SSH starts an engine on a host that the system's ssh can log in to without being
// asked anything, with the user's own configuration and agent.
type SSH struct {
	Host string // as ssh knows it
	// Program is the file of this parade and Hash names it: where the host has none in
	// its PATH, it is copied.
	Program, Hash string
	// Connection is the content of the engine's connection file. It travels on standard
	// input and never on a command line.
	Connection []byte
	Cluster    string
	Arguments  []string // of "parade cluster engine", besides the connection
}

// remoteBin and remoteState are folders in the home folder of the host's user.
const (
	remoteBin   = `"$HOME/.cache/parade/bin"`
	remoteState = `"$HOME/.local/state/parade/engines"`
)

// Start starts the engine and returns an id for [StopSSH].
func (s SSH) Start(ctx context.Context) (id string, err error) {
	if err := validHost(s.Host); err != nil {
		return "", err
	}
	program, err := s.program(ctx)
	if err != nil {
		return "", err
	}
	file := remoteState + "/" + quote(s.Cluster+".json")
	if _, err := ssh(ctx, s.Host, "umask 077 && mkdir -p "+remoteState+" && cat > "+file, bytes.NewReader(s.Connection)); err != nil {
		return "", fmt.Errorf("copying the connection file: %w", err)
	}
	out, err := ssh(ctx, s.Host, s.remote(program), nil)
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^pid (\d+)$`).FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("ssh %s: the engine's process is not known, it says %q", s.Host, out)
	}
	return s.Host + " " + m[1], nil
}

// remote is what the host's shell runs, with the host's parade as that shell reads it.
func (s SSH) remote(program string) string {
	command := program + " cluster engine --connection " + remoteState + "/" + quote(s.Cluster+".json")
	for _, a := range s.Arguments {
		command += " " + quote(a)
	}
	log := remoteState + "/" + quote(s.Cluster+".log")
	return "umask 077; nohup " + command + " >>" + log + " 2>&1 </dev/null & echo pid $!"
}

// Line is the command line, for a shell, that starts the engine on a host that has a parade and the
// connection file.
func (s SSH) Line() string {
	return Job{Command: append(sshCommand(s.Host), s.remote("parade"))}.Shell()
}

func sshCommand(host string) []string { return []string{"ssh", "-o", "BatchMode=yes", host} }

// program is the host's parade, as its shell reads it. Where there is none, this one is
// copied.
func (s SSH) program(ctx context.Context) (string, error) {
	copied := remoteBin + "/" + quote(s.Hash)
	out, err := ssh(ctx, s.Host, "if command -v parade >/dev/null; then echo here; elif test -x "+copied+"; then echo copied; else echo none; uname -sm; fi", nil)
	if err != nil {
		return "", err
	}
	// What a login prints may stand before it.
	switch lines := strings.Split(strings.TrimSpace(out), "\n"); {
	case lines[len(lines)-1] == "here":
		return "parade", nil
	case lines[len(lines)-1] == "copied":
		return copied, nil
	case !runsHere(lines[len(lines)-1]):
		return "", fmt.Errorf("host %s is a %s, and this parade is for %s/%s: put one for it into the PATH there", s.Host, lines[len(lines)-1], runtime.GOOS, runtime.GOARCH)
	}
	f, err := os.Open(s.Program)
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = ssh(ctx, s.Host, "umask 077 && mkdir -p "+remoteBin+" && cat > "+copied+".new && chmod 700 "+copied+".new && mv "+copied+".new "+copied, f)
	if err != nil {
		return "", fmt.Errorf("copying parade: %w", err)
	}
	return copied, nil
}

// runsHere compares what "uname -sm" says with this program.
func runsHere(uname string) bool {
	system, machine, _ := strings.Cut(strings.ToLower(uname), " ")
	switch machine {
	case "x86_64":
		machine = "amd64"
	case "aarch64":
		machine = "arm64"
	}
	return system == runtime.GOOS && machine == runtime.GOARCH
}

// StopSSH ends an engine that Start has started, if it still runs.
func StopSSH(ctx context.Context, id string) error {
	host, pid, ok := strings.Cut(id, " ")
	if _, err := strconv.Atoi(pid); !ok || err != nil {
		return fmt.Errorf("launch: %q is not the id of an engine on a host", id)
	}
	if err := validHost(host); err != nil {
		return err
	}
	// Another process may have its number by now.
	_, err := ssh(ctx, host, "if ps -o args= -p "+pid+" | grep -q 'cluster engine'; then kill "+pid+"; fi", nil)
	return err
}

func validHost(host string) error {
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(host, " \t\r\n") {
		return fmt.Errorf("launch: %q is not a host for ssh", host)
	}
	return nil
}

func quote(word string) string { return Job{Command: []string{word}}.Shell() }

func ssh(ctx context.Context, host, command string, stdin io.Reader) (string, error) {
	argv := append(sshCommand(host), command)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = stdin
	cmd.WaitDelay = time.Second // what it has left running may hold its output
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("there is no ssh on this machine: %w", err)
		}
		return "", fmt.Errorf("ssh %s: %w: %s", host, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
