package paradetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// resources is what a process can forget to give back.
type resources struct {
	descriptors []string
	children    []string
}

func resourcesNow() resources {
	var r resources
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return r
	}
	for _, e := range entries {
		// The entry of the directory being read is gone by now.
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			r.descriptors = append(r.descriptors, e.Name()+" "+target)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return r
	}
	for _, task := range tasks {
		children, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue // the thread has ended
		}
		for pid := range strings.FieldsSeq(string(children)) {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			if err == nil {
				r.children = append(r.children, strings.TrimSpace(string(stat)))
			}
		}
	}
	return r
}

// compare fails the test when there is more than before. The garbage
// collector's own descriptors and those of the test framework come and go, so
// it looks more than once.
func (r resources) compare(t *testing.T) {
	t.Helper()
	var excess string
	for range 100 {
		now := resourcesNow()
		switch {
		case len(now.children) > len(r.children):
			excess = fmt.Sprintf("child processes are left:\n%s", strings.Join(now.children, "\n"))
		case len(now.descriptors) > len(r.descriptors)+polling(now.descriptors)-polling(r.descriptors):
			excess = fmt.Sprintf("descriptors are left: %d before, %d now:\n%s", len(r.descriptors), len(now.descriptors),
				strings.Join(now.descriptors, "\n"))
		default:
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error(excess)
}

// polling counts the descriptors that the runtime opens for good when a
// program first waits for one.
func polling(descriptors []string) int {
	n := 0
	for _, d := range descriptors {
		if strings.Contains(d, "anon_inode:[eventpoll]") || strings.Contains(d, "anon_inode:[eventfd]") {
			n++
		}
	}
	return n
}
