package cluster

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/parade-go/parade"
)

// TestServable: a program without package process gets no connection, since its
// children would run all of main.
func TestServable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kinds []string
		want  string
	}{
		"both imports":  {[]string{"cluster", "processes", "serial"}, ""},
		"cluster alone": {[]string{"cluster", "serial", "threads"}, "github.com/parade-go/parade/process"},
		"mpi":           {[]string{"cluster", "mpi"}, "github.com/parade-go/parade/process"},
	} {
		err := servable(test.kinds)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWorkerRefused: a child in which nobody served does not connect. The address is
// one that nothing listens at, so that another error says it tried.
func TestWorkerRefused(t *testing.T) {
	t.Setenv(workerVariable, "engine-1.0")
	nowhere := Connection{Cluster: "lab", Role: RoleClient, URLs: []string{"tls://127.0.0.1:1"}}
	if c, err := Connect(t.Context(), nowhere); err == nil || !strings.Contains(err.Error(), "worker engine-1.0") {
		t.Errorf("connected as %v, %v", c, err)
	}
	if ex, err := parade.Open(context.Background(), "cluster:lab"); err == nil || !strings.Contains(err.Error(), "worker engine-1.0") {
		t.Errorf("opened %v, %v", ex, err)
	}
	if err := os.Unsetenv(workerVariable); err != nil {
		t.Fatal(err)
	}
	if err := runnable(); err != nil { // this test has an engine, and so package process
		t.Error(err)
	}
}
