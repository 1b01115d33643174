package cores

import (
	"strconv"
	"strings"
)

// threadVariables are the variables that libraries read for their number of
// threads. The libraries marked true fall back on OMP_NUM_THREADS.
var threadVariables = []struct {
	name       string
	followsOMP bool
}{
	{"GOMAXPROCS", false},
	{"OMP_NUM_THREADS", false},
	{"OPENBLAS_NUM_THREADS", true},
	{"MKL_NUM_THREADS", true},
	{"BLIS_NUM_THREADS", true},
	{"VECLIB_MAXIMUM_THREADS", false},
	{"NUMEXPR_NUM_THREADS", true},
}

// ThreadEnv returns the environment ("NAME=value") that holds a child process,
// and the numeric libraries in it, to n threads. A lower value that the user has
// set is kept. Append it to the child's environment, so that it comes last.
func ThreadEnv(n int) []string { return host().threadEnv(n) }

// ThreadsFor returns how many of n threads a library gets that reads the given
// variable, one of those that ThreadEnv sets: n, or a lower value that the user has set.
func ThreadsFor(variable string, n int) int { return host().threadsFor(variable, n) }

func (s system) threadEnv(n int) []string {
	n = max(1, n)
	env := make([]string, 0, len(threadVariables))
	for _, v := range threadVariables {
		value, ok := s.lowerThreads(v.name, n)
		if _, set := s.lookup(v.name); !set && v.followsOMP {
			// Else our value would override the lower OMP_NUM_THREADS,
			// which the library would have followed.
			value, ok = s.lowerThreads("OMP_NUM_THREADS", n)
			value, _, _ = strings.Cut(value, ",")
		}
		if !ok {
			value = strconv.Itoa(n)
		}
		env = append(env, v.name+"="+value)
	}
	return env
}

func (s system) threadsFor(variable string, n int) int {
	for _, setting := range s.threadEnv(n) {
		if text, ok := strings.CutPrefix(setting, variable+"="); ok {
			text, _, _ = strings.Cut(text, ",")
			if own, err := strconv.Atoi(text); err == nil {
				return own
			}
		}
	}
	return max(1, n)
}

// lowerThreads returns the user's own value of a variable if it asks for no more
// than n threads. OMP_NUM_THREADS may be a list, one number per nesting level;
// its first number counts.
func (s system) lowerThreads(name string, n int) (string, bool) {
	text, ok := s.lookup(name)
	if !ok {
		return "", false
	}
	first, _, _ := strings.Cut(text, ",")
	own, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || own < 1 || own > n {
		return "", false
	}
	return strings.TrimSpace(text), true
}
