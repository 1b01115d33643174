//go:build linux

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parade-go/parade/cluster"
)

// usage is what a process has taken.
type usage struct {
	cpu       time.Duration
	now, most int64 // bytes of memory
}

func usageOf(t testing.TB, pid int) (u usage) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name, in parentheses, may have spaces. Ticks are hundredths of a second.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		u.cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			u.now = n << 10
		case "VmHWM":
			u.most = n << 10
		}
	}
	return u
}

const megabyte = 1e6

// BenchmarkIdle measures engines that have nothing to do, and what 10,000 would take of the
// controller's machine: PARADE_BENCH_ENGINES of one slot, each a process, and one client.
func BenchmarkIdle(b *testing.B) {
	n := 50
	if text := os.Getenv("PARADE_BENCH_ENGINES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := newPlace(b)
	s.start("-n", "0")
	for left := n; left > 0; left -= 25 { // at a time: each takes 50 ms of a core to start
		s.run("cluster", "start", "lab", "-n", strconv.Itoa(min(left, 25)), "--slots", "1")
	}
	conn, err := cluster.Load(filepath.Join(s.folder(), "client.json"))
	if err != nil {
		b.Fatal(err)
	}
	client, err := cluster.Connect(b.Context(), conn)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	engines := client.Engines()
	if len(engines) != n {
		b.Fatalf("there are %d engines, want %d", len(engines), n)
	}
	var state struct {
		PID int `json:"pid"`
	}
	if text, err := os.ReadFile(filepath.Join(s.folder(), "controller.json")); err != nil || json.Unmarshal(text, &state) != nil {
		b.Fatal("the controller's file cannot be read")
	}
	time.Sleep(5 * time.Second) // for what the start has left to do
	take := func() (controller, all, own usage) {
		for _, e := range engines {
			u := usageOf(b, e.PID)
			all.cpu += u.cpu
			all.now += u.now
		}
		return usageOf(b, state.PID), all, usageOf(b, os.Getpid())
	}
	for b.Loop() {
		start := time.Now()
		before, theirs, mine := take()
		time.Sleep(30 * time.Second)
		after, all, own := take()
		share := func(d time.Duration) float64 { return 100 * d.Seconds() / time.Since(start).Seconds() }
		controller := share(after.cpu - before.cpu)
		b.ReportMetric(float64(n), "engines")
		b.ReportMetric(controller, "controller-%core")
		b.ReportMetric(float64(after.now)/megabyte, "controller-MB")
		b.ReportMetric(share(all.cpu-theirs.cpu)/float64(n), "engine-%core")
		b.ReportMetric(float64(all.now)/megabyte/float64(n), "engine-MB")
		b.ReportMetric(share(own.cpu-mine.cpu), "client-%core")
		b.ReportMetric(controller/100*10_000/float64(n), "cores/10000engines")
		b.ReportMetric(float64(after.now)/1e9*10_000/float64(n), "GB/10000engines")
	}
}

// BenchmarkMillion is one job of 1,000,000 tasks that do nothing, submitted and attached to.
func BenchmarkMillion(b *testing.B) {
	ctl, _, client := stage(b, 2)
	in := make([]int, 1_000_000)
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprint("million-", i)
		if err := cluster.Submit(b.Context(), client, name, square, in, nil); err != nil {
			b.Fatal(err)
		}
		if out, err := cluster.Attach(b.Context(), client, name, square); err != nil || len(out) != len(in) {
			b.Fatalf("%d results, %v", len(out), err)
		}
	}
	b.ReportMetric(float64(usageOf(b, ctl.cmd.Process.Pid).most)/megabyte, "controller-MB")
}

// BenchmarkHundredJobs is 100 jobs of 1,000 tasks at once.
func BenchmarkHundredJobs(b *testing.B) {
	ctl, _, client := stage(b, 2)
	for i := 0; b.Loop(); i++ {
		var jobs sync.WaitGroup
		for k := range 100 {
			jobs.Go(func() {
				ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
				defer cancel()
				name := fmt.Sprintf("job-%d-%d", i, k)
				err := cluster.Submit(ctx, client, name, square, make([]int, 1000), nil)
				if err == nil {
					_, err = cluster.Attach(ctx, client, name, square)
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
		jobs.Wait()
	}
	b.ReportMetric(float64(usageOf(b, ctl.cmd.Process.Pid).most)/megabyte, "controller-MB")
}
