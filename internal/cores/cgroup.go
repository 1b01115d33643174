package cores

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// hierarchy is one mounted cgroup tree and this process's place in it.
type hierarchy struct {
	version int    // 1 or 2
	mount   string // mount point
	group   string // this process's group, below the mount point
}

// levels returns the directories from this process's group up to the top of the
// mount. A limit anywhere on the way counts.
func (h hierarchy) levels() []string {
	top := path.Clean(h.mount)
	var dirs []string
	for group := path.Clean("/" + h.group); ; group = path.Dir(group) {
		dirs = append(dirs, path.Join(top, group))
		if group == "/" {
			return dirs
		}
	}
}

// hierarchies returns the cgroup trees that can hold the controller: the v1 tree
// that carries it and the v2 tree. A hybrid system has both.
func (s system) hierarchies(controller string) []hierarchy {
	groups := map[string]string{} // controller, or "" for v2, to the group's path
	for line := range strings.Lines(s.read("/proc/self/cgroup")) {
		// "4:cpu,cpuacct:/path" (v1) or "0::/path" (v2); the path may hold colons.
		parts := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			groups[name] = parts[2]
		}
	}
	var found []hierarchy
	for line := range strings.Lines(s.read("/proc/self/mountinfo")) {
		// "36 35 98:0 /root /mount opts [optional...] - type source super-opts"
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		root, mount := unescape(left[3]), unescape(left[4])
		switch right[0] {
		case "cgroup":
			if group, in := groups[controller]; in && hasOption(right[2], controller) {
				found = append(found, hierarchy{1, mount, below(root, group)})
			}
		case "cgroup2":
			if group, in := groups[""]; in {
				found = append(found, hierarchy{2, mount, below(root, group)})
			}
		}
	}
	return found
}

// below gives a group's path relative to the mounted part of its tree. In a
// container both paths may start at the host's root.
func below(root, group string) string {
	if root == "/" {
		return group
	}
	if rest, ok := strings.CutPrefix(group, root); ok && (rest == "" || rest[0] == '/') {
		return rest
	}
	return group
}

func hasOption(options, name string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// unescape undoes the octal escapes of /proc/self/mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// cgroupQuota returns the smallest CPU quota on the way from this process's
// group to the top, rounded down to whole cores.
func (s system) cgroupQuota() (Limit, bool) {
	smallest, limit := math.Inf(1), Limit{}
	for _, h := range s.hierarchies("cpu") {
		for _, dir := range h.levels() {
			var quota, period, file string
			if h.version == 2 {
				file = path.Join(dir, "cpu.max")
				quota, period, _ = strings.Cut(s.line(file), " ")
			} else {
				file = path.Join(dir, "cpu.cfs_quota_us")
				quota, period = s.line(file), s.line(path.Join(dir, "cpu.cfs_period_us"))
			}
			// No quota is "max" (v2) or -1 (v1): neither passes here.
			q, errQ := strconv.ParseFloat(quota, 64)
			p, errP := strconv.ParseFloat(period, 64)
			if errQ != nil || errP != nil || q <= 0 || p <= 0 || q/p >= smallest {
				continue
			}
			smallest = q / p
			limit = Limit{
				Source: "cgroup quota",
				Cores:  max(1, int(min(smallest, math.MaxInt32))),
				Detail: fmt.Sprintf("%s: %s/%s us", file, quota, period),
			}
		}
	}
	return limit, limit.Cores > 0
}

// cgroupMemory returns the smallest memory limit on the way from this process's
// group to the top, and the file that says so.
func (s system) cgroupMemory() (limit uint64, file string) {
	for _, h := range s.hierarchies("memory") {
		name := "memory.max"
		if h.version == 1 {
			name = "memory.limit_in_bytes"
		}
		for _, dir := range h.levels() {
			// "max" does not parse; v1's huge number for "no limit" never
			// wins against the physical memory.
			n, err := strconv.ParseUint(s.line(path.Join(dir, name)), 10, 64)
			if err == nil && n > 0 && (limit == 0 || n < limit) {
				limit, file = n, path.Join(dir, name)
			}
		}
	}
	return limit, file
}

// oomKills returns how many processes of this group the kernel has killed for
// want of memory.
func (s system) oomKills() (uint64, bool) {
	for _, h := range s.hierarchies("memory") {
		name := "memory.events"
		if h.version == 1 {
			name = "memory.oom_control"
		}
		for line := range strings.Lines(s.read(path.Join(h.levels()[0], name))) {
			if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
				if n, err := strconv.ParseUint(count, 10, 64); err == nil {
					return n, true
				}
			}
		}
	}
	return 0, false
}

// read returns a file's text, or nothing if there is none: a system without
// cgroups has no limits from them.
func (s system) read(file string) string {
	b, err := fs.ReadFile(s.root, strings.TrimPrefix(file, "/"))
	if err != nil {
		return ""
	}
	return string(b)
}

func (s system) line(file string) string { return strings.TrimSpace(s.read(file)) }
