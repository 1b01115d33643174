package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parade-go/parade/cluster"
	"github.com/parade-go/parade/cluster/launch"
	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/host"
	"github.com/parade-go/parade/internal/journal"
	"github.com/parade-go/parade/internal/program"
	"github.com/parade-go/parade/mpi"
)

// engines says how engines of a cluster are started. It is noted in the cluster's folder, for
// those that are started later.
type engines struct {
	Launcher  string   `json:"launcher"`
	Slots     int      `json:"slots"`             // of each; 0 for what its machine grants
	Divided   bool     `json:"divided,omitempty"` // the slots are the cores, divided among the engines
	Threads   int      `json:"threads,omitempty"` // of each task; 0 divides what its machine grants
	Labels    []string `json:"labels,omitempty"`
	Resources []string `json:"resources,omitempty"`
	Arguments []string `json:"arguments,omitempty"` // of "parade cluster engine", besides
	Options   []string `json:"options,omitempty"`
	Template  string   `json:"template,omitempty"` // its text
	Hosts     []string `json:"hosts,omitempty"`

	// On demand: between Min and Max of them, if Max is not 0.
	Min  int           `json:"min,omitempty"`
	Max  int           `json:"max,omitempty"`
	Idle time.Duration `json:"idle,omitempty"` // after which one may go
}

func enginesFile(folder string) string { return filepath.Join(folder, "engines.json") }

// loadEngines is how engines of a cluster were started last; without that it is on this machine.
func loadEngines(folder string) (engines, error) {
	e := engines{Launcher: localLauncher}
	data, err := os.ReadFile(enginesFile(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		return e, fmt.Errorf("%s: %w", enginesFile(folder), err)
	}
	return e, nil
}

func (e engines) save(folder string) error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	path := enginesFile(folder)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// batch reports whether a batch system starts the engines.
func (e engines) batch() bool {
	return e.Launcher != localLauncher && e.Launcher != launch.SSHName && e.Launcher != mpiLauncher
}

// share divides the cores granted among n engines of this machine.
func (e *engines) share(n int) {
	if e.Launcher != localLauncher {
		return
	}
	if e.Divided {
		e.Slots = max(1, cores.Granted()/n)
	}
	e.Threads = cores.InnerThreads(max(1, e.Slots) * n)
}

// besides are the arguments of an engine but for its slots.
func (e engines) besides() []string {
	args := slices.Clone(e.Arguments)
	for _, l := range e.Labels {
		args = append(args, "--label", l)
	}
	for _, r := range e.Resources {
		args = append(args, "--resource", r)
	}
	return args
}

// starter starts engines of one cluster.
type starter struct {
	name, folder string
	engines
	ssh   launch.SSH
	turns int      // of the hosts
	input *os.File // with whose end local engines end; nil is never
}

// newStarter sees to it that what is asked for can be done at all.
func newStarter(name, folder string, e engines) (*starter, error) {
	s := &starter{name: name, folder: folder, engines: e}
	switch {
	case e.batch():
		_, _, err := s.script()
		return s, err
	case e.Launcher == mpiLauncher:
		_, err := exec.LookPath("mpiexec")
		if err != nil {
			return nil, fmt.Errorf("--launcher mpi: %w; load your site's MPI module, or install Open MPI or MPICH", err)
		}
	}
	return s, nil
}

// script fills the template of a batch system.
func (s *starter) script() (launch.System, string, error) {
	system, err := launch.Find(s.Launcher)
	if err != nil {
		return system, "", &usageError{err}
	}
	self, err := os.Executable()
	if err != nil {
		return system, "", err
	}
	slots := max(1, s.Slots)
	script, err := system.Script(launch.Job{
		Cluster: s.name, Slots: slots, Log: filepath.Join(s.folder, "engine-"+s.Launcher+".log"), Options: s.Options,
		Command: append([]string{
			self, "cluster", "engine", "--connection", filepath.Join(s.folder, cluster.RoleEngine+".json"), "--slots", strconv.Itoa(slots),
		}, s.besides()...),
	}, s.Template)
	return system, script, err
}

// arguments are those of an engine that finds the cluster's folder here.
func (s *starter) arguments() []string {
	args := []string{"cluster", "engine", s.name}
	if s.Slots > 0 {
		args = append(args, "--slots", strconv.Itoa(s.Slots))
	}
	if s.Threads > 0 {
		args = append(args, "--threads", strconv.Itoa(s.Threads))
	}
	return append(args, s.besides()...)
}

// started is what has been started: a process of this machine, or a job.
type started struct {
	launched
	process *detached // nil of a job
}

// start starts n engines, one by one but for MPI, and tells note of each.
func (s *starter) start(ctx context.Context, n int, note func(started)) error {
	if s.Launcher == mpiLauncher {
		if n == 0 {
			return nil
		}
		one, err := s.ranks(n)
		if err == nil {
			note(one)
		}
		return err
	}
	for range n {
		one, err := s.one(ctx)
		if err != nil {
			return err
		}
		note(one)
	}
	return nil
}

// submitPatience is how long a batch system or a host may take for one engine.
const submitPatience = 30 * time.Second

func (s *starter) one(ctx context.Context) (started, error) {
	if s.Launcher == localLauncher {
		args := s.arguments()
		if s.input != nil {
			args = append(args, "--when-input-ends", endStop)
		}
		d, err := detach(s.log(), args, s.input)
		if err != nil {
			return started{}, err
		}
		return started{launched{System: localLauncher, ID: strconv.Itoa(d.pid), Engines: 1, At: time.Now()}, d}, nil
	}
	one, cancel := context.WithTimeout(ctx, submitPatience)
	defer cancel()
	id, err := s.submit(one)
	if err != nil {
		return started{}, err
	}
	l := launched{System: s.Launcher, ID: id, Engines: 1, At: time.Now()}
	if err := noteLaunched(s.folder, l); err != nil {
		return started{}, errors.Join(fmt.Errorf("%s of %s could not be noted: %w", id, s.Launcher, err), l.cancel(one))
	}
	return started{l, nil}, nil
}

func (s *starter) log() string {
	return filepath.Join(s.folder, "engine-"+strconv.FormatInt(time.Now().UnixNano(), 36)+".log")
}

func (s *starter) submit(ctx context.Context) (id string, err error) {
	if s.batch() {
		system, script, err := s.script()
		if err != nil {
			return "", err
		}
		return system.Submit(ctx, script)
	}
	if s.ssh.Program == "" {
		if err := s.prepareSSH(); err != nil {
			return "", err
		}
	}
	return s.next().Start(ctx)
}

// next is the engine of the next host.
func (s *starter) next() launch.SSH {
	e := launch.SSH{
		Host: s.Hosts[s.turns%len(s.Hosts)], Program: s.ssh.Program, Hash: s.ssh.Hash, Connection: s.ssh.Connection, Cluster: s.name,
	}
	e.Arguments = append([]string{"--batch", launch.SSHName + " " + e.Host}, s.arguments()[3:]...)
	s.turns++
	return e
}

// plan is the script, or the command lines, by which n engines would be started.
func (s *starter) plan(n int) (string, error) {
	if s.batch() {
		_, script, err := s.script()
		return script, err
	}
	if s.Launcher == mpiLauncher {
		self, err := os.Executable()
		return launch.Job{Command: s.mpiexec(self, "ID", n)}.Shell() + "\n", err
	}
	var b strings.Builder
	for range n {
		b.WriteString(s.next().Line() + "\n")
	}
	return b.String(), nil
}

func (s *starter) prepareSSH() error {
	connection, err := os.ReadFile(filepath.Join(s.folder, cluster.RoleEngine+".json"))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	hash, err := program.Sum()
	if err != nil {
		return err
	}
	s.ssh = launch.SSH{Program: self, Hash: hash, Connection: connection}
	return nil
}

// mpiLauncher starts engines as the ranks of an MPI program, which they are not.
const mpiLauncher = "mpi"

// ranks starts n engines by one mpiexec.
func (s *starter) ranks(n int) (started, error) {
	self, err := os.Executable()
	if err != nil {
		return started{}, err
	}
	id := strconv.FormatInt(time.Now().UnixNano(), 36)
	d, err := detachProgram(filepath.Join(s.folder, "engine-mpi-"+id+".log"), s.mpiexec(self, id, n), nil)
	if err != nil {
		return started{}, err
	}
	l := launched{System: mpiLauncher, ID: id, Engines: n, PID: d.pid, Host: host.Name(), At: time.Now()}
	if err := noteLaunched(s.folder, l); err != nil {
		return started{}, errors.Join(err, d.end())
	}
	return started{l, d}, nil
}

// mpiexec is the command line that starts n engines.
func (s *starter) mpiexec(self, id string, n int) []string {
	argv := []string{"mpiexec", "-n", strconv.Itoa(n)}
	argv = append(argv, s.Options...)
	// On other nodes, too, neither engines nor their children are to take themselves for ranks.
	argv = append(argv, "env", mpi.EnvSwitch+"=off", self, "cluster", "engine", "--connection", filepath.Join(s.folder, cluster.RoleEngine+".json"),
		"--batch", mpiLauncher+" "+id, "--slots", strconv.Itoa(max(1, s.Slots)))
	return append(argv, s.besides()...)
}

// launched is what has been started and is to be ended by stop.
type launched struct {
	System  string    `json:"system"`
	ID      string    `json:"id"`
	Engines int       `json:"engines,omitempty"` // none is one
	PID     int       `json:"pid,omitempty"`     // of mpiexec
	Host    string    `json:"host,omitempty"`    // where that runs
	At      time.Time `json:"at"`
}

func launchedFile(folder string) string { return filepath.Join(folder, "launched.jsonl") }

// changeLaunched changes what is noted. The controller and commands do so at the same time.
func changeLaunched(folder string, change func([]launched) []launched) error {
	lock, err := os.OpenFile(launchedFile(folder)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		held, err := journal.Lock(lock)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if !held {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is locked by another parade", lock.Name())
		}
	}
	all, err := readLaunched(folder)
	if err != nil {
		return err
	}
	path := launchedFile(folder)
	all = change(all)
	if len(all) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for _, l := range all {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func noteLaunched(folder string, l launched) error {
	return changeLaunched(folder, func(all []launched) []launched { return append(all, l) })
}

func readLaunched(folder string) ([]launched, error) {
	f, err := os.Open(launchedFile(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []launched
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var l launched
		err := json.Unmarshal(lines.Bytes(), &l)
		if err == nil && l.ID == "" {
			err = errors.New("it has no id")
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %q is not a job that was started: %w; correct it or delete the line", f.Name(), n, lines.Text(), err)
		}
		all = append(all, l)
	}
	return all, lines.Err()
}

// key is its name among all.
func (l launched) key() string { return l.System + " " + l.ID }

// has reports whether an engine is one of this job's.
func (l launched) has(e cluster.Engine) bool {
	if l.System == localLauncher {
		return e.Batch == "" && strconv.Itoa(e.PID) == l.ID && e.Host == host.Name()
	}
	if l.System == launch.SSHName { // its id is a host, as ssh knows it, and a process
		return e.Batch+" "+strconv.Itoa(e.PID) == l.key()
	}
	return e.Batch == l.key()
}

// cancel ends it, if it is still there.
func (l launched) cancel(ctx context.Context) error {
	switch l.System {
	case launch.SSHName:
		return launch.StopSSH(ctx, l.ID)
	case mpiLauncher:
		if l.Host != host.Name() {
			return fmt.Errorf("its mpiexec is process %d of host %s: stop the cluster there", l.PID, l.Host)
		}
		return endMPI(ctx, l)
	}
	system, err := launch.Find(l.System)
	if err != nil {
		return err
	}
	return system.Cancel(ctx, l.ID)
}

// states says what has become of what was started, by system and id. What cannot be asked is
// missing, and a remark says why.
func states(ctx context.Context, all []launched) (map[string]launch.State, []string) {
	bySystem := map[string][]string{}
	known := map[string]launch.State{}
	for _, l := range all {
		if l.System == mpiLauncher {
			if l.Host == host.Name() {
				known[l.key()] = launch.Vanished
				if runsMPI(l) {
					known[l.key()] = launch.Running
				}
			}
			continue
		}
		bySystem[l.System] = append(bySystem[l.System], l.ID)
	}
	var remarks []string
	for name, ids := range bySystem {
		var got map[string]launch.State
		var err error
		if name == launch.SSHName {
			got, err = launch.StatesSSH(ctx, ids)
		} else {
			var system launch.System
			if system, err = launch.Find(name); err == nil {
				got, err = system.States(ctx, ids)
			}
		}
		if err != nil {
			remarks = append(remarks, fmt.Sprintf("the states of jobs of %s are not known: %v", name, err))
		}
		for id, state := range got {
			known[name+" "+id] = state
		}
	}
	return known, remarks
}
