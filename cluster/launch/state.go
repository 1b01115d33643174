package launch

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"regexp"
	"strings"
)

// State is what a batch system says of a job.
type State string

// The states. A job that the system does not know any more has ended, however that was.
const (
	Queued   State = "queued"
	Running  State = "running"
	Vanished State = "vanished"
)

// asking is how a batch system is asked for the states of jobs.
type asking struct {
	command func(ids []string) []string
	unknown *regexp.Regexp // what it says when it fails only because it knows a job no more
	parse   func(out string) map[string]string
	states  map[string]State // what it says; what is missing here has ended
	prefix  bool             // the first letters say it
}

var asked = map[string]asking{
	"slurm": {
		// squeue and not sacct, which sites without a database do not have.
		command: func(ids []string) []string {
			return []string{"squeue", "--noheader", "--all", "--format=%i %T", "--jobs=" + strings.Join(ids, ",")}
		},
		unknown: regexp.MustCompile(`Invalid job id`),
		parse:   columns(0, 1),
		states: map[string]State{
			"PENDING": Queued, "CONFIGURING": Queued, "REQUEUED": Queued, "REQUEUE_HOLD": Queued, "REQUEUE_FED": Queued, "SPECIAL_EXIT": Queued, "RESV_DEL_HOLD": Queued,
			"RUNNING": Running, "COMPLETING": Running, "SUSPENDED": Running, "STOPPED": Running, "SIGNALING": Running, "RESIZING": Running, "STAGE_OUT": Running,
		},
	},
	"pbs": {
		command: func(ids []string) []string { return append([]string{"qstat", "-f"}, ids...) },
		unknown: regexp.MustCompile(`(?i)unknown job id|has finished`),
		parse:   attributes,
		states: map[string]State{
			"Q": Queued, "H": Queued, "W": Queued, "T": Queued, "M": Queued,
			"R": Running, "E": Running, "S": Running, "U": Running, "B": Running,
		},
	},
	"sge": {
		// Asked for one job it says other things.
		command: func([]string) []string { return []string{"qstat", "-u", userName()} },
		parse:   columns(0, 4),
		states: map[string]State{
			"qw": Queued, "hqw": Queued, "hRwq": Queued, "Eqw": Queued, "Rq": Queued, "hRq": Queued, "w": Queued, "T": Queued,
			"r": Running, "t": Running, "R": Running, "s": Running, "S": Running, "d": Running, "E": Running,
		},
		prefix: true,
	},
	"lsf": {
		command: func(ids []string) []string {
			return append([]string{"bjobs", "-noheader", "-o", "jobid stat"}, ids...)
		},
		unknown: regexp.MustCompile(`is not found|No (unfinished )?job found`),
		parse:   columns(0, 1),
		states: map[string]State{
			"PEND": Queued, "PSUSP": Queued, "WAIT": Queued, "PROV": Queued,
			"RUN": Running, "USUSP": Running, "SSUSP": Running, "UNKWN": Running,
		},
	},
	"htcondor": {
		command: func(ids []string) []string {
			return append(append([]string{"condor_q"}, ids...), "-autoformat", "ClusterId", "JobStatus")
		},
		parse: columns(0, 1),
		// Idle and held; running, transferring its output, suspended. 3 is removed, 4 completed.
		states: map[string]State{"1": Queued, "5": Queued, "2": Running, "6": Running, "7": Running},
	},
}

// columns reads lines in which two columns are a job's id and its state.
func columns(id, state int) func(string) map[string]string {
	return func(out string) map[string]string {
		all := map[string]string{}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > max(id, state) {
				all[f[id]] = f[state]
			}
		}
		return all
	}
}

// attributes reads what "qstat -f" of the PBS family says: it has jobs whole, where the table
// cuts off their ids.
func attributes(out string) map[string]string {
	all := map[string]string{}
	id := ""
	for line := range strings.Lines(out) {
		if after, ok := strings.CutPrefix(strings.TrimSpace(line), "Job Id:"); ok {
			id = strings.TrimSpace(after)
		}
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && key == "job_state" {
			all[id] = value
		}
	}
	return all
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "*"
}

// States says what has become of jobs. One that the system does not know is [Vanished].
func (s System) States(ctx context.Context, ids []string) (map[string]State, error) {
	states := map[string]State{}
	if len(ids) == 0 {
		return states, nil
	}
	how := asked[s.Name]
	argv := how.command(ids)
	out, err := run(ctx, argv, nil)
	if err != nil {
		// The commands say of some what they know, and fail because of the others.
		var exit *exec.ExitError
		if how.unknown == nil || !errors.As(err, &exit) || !how.unknown.MatchString(err.Error()) {
			return nil, err
		}
	}
	known := how.parse(out)
	for _, id := range ids {
		states[id] = Vanished
		said, ok := known[id]
		if !ok {
			said, ok = known[number(id)] // PBS names its server now and then
		}
		if !ok {
			continue
		}
		if state, ok := how.states[said]; ok {
			states[id] = state
		} else if how.prefix && said != "" {
			if state, ok := how.states[said[:1]]; ok {
				states[id] = state
			}
		}
	}
	return states, nil
}

// number is a job's id without the server's name.
func number(id string) string {
	id, _, _ = strings.Cut(id, ".")
	return id
}

// StatesSSH says which engines that [SSH.Start] has started still run: Running or Vanished.
func StatesSSH(ctx context.Context, ids []string) (map[string]State, error) {
	byHost := map[string][]string{}
	for _, id := range ids {
		host, pid, ok := strings.Cut(id, " ")
		if err := validHost(host); !ok || err != nil || strings.Trim(pid, "0123456789") != "" {
			return nil, fmt.Errorf("launch: %q is not the id of an engine on a host", id)
		}
		byHost[host] = append(byHost[host], pid)
	}
	states := map[string]State{}
	for host, pids := range byHost {
		// Another process may have the number of one by now.
		out, err := ssh(ctx, host, "ps -o pid= -o args= -p "+strings.Join(pids, ",")+" | grep 'cluster engine' || true", nil)
		if err != nil {
			return nil, err
		}
		here := columns(0, 1)(out)
		for _, pid := range pids {
			states[host+" "+pid] = Vanished
			if _, ok := here[pid]; ok {
				states[host+" "+pid] = Running
			}
		}
	}
	return states, nil
}

// HereVariable may say in an engine's environment in which job it runs. HTCondor has no variable
// of its own for that.
const HereVariable = "PARADE_BATCH_JOB"

// Here is the batch system and the job that this process runs in, as "slurm 4711", by its
// environment, which getenv gives; "" is none.
func Here(getenv func(string) string) string {
	if here := getenv(HereVariable); here != "" {
		return here
	}
	for _, s := range []struct{ name, variable, also string }{
		{"slurm", "SLURM_JOB_ID", ""},
		{"pbs", "PBS_JOBID", ""},
		{"lsf", "LSB_JOBID", ""},
		{"sge", "JOB_ID", "SGE_TASK_ID"}, // a name that others use, too
	} {
		if id := getenv(s.variable); id != "" && (s.also == "" || getenv(s.also) != "") {
			return s.name + " " + id
		}
	}
	return ""
}
