package command_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade/command"
)

// Network file systems often have no files without a name.
func TestNamedFiles(t *testing.T) {
	// Not parallel: the choice holds for all that this process runs.
	dir := t.TempDir()
	command.WithNamedFiles(func() {
		spec := command.Spec{Template: shell(t, "head -c {} /dev/zero; echo small >&2"), Spill: dir}
		r := call(t, spec, input("300000"))
		if r.Exit != 0 || printed(t, r.Stdout) != strings.Repeat("\x00", 300000) || printed(t, r.Stderr) != "small\n" {
			t.Errorf("%v, printed %d bytes and %q", r.Err(), r.Stdout.Size, r.Stderr.Data)
		}
		if err := r.Stdout.Remove(); err != nil {
			t.Error(err)
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		first    time.Duration
		attempts int
		want     time.Duration
	}{
		{0, 1, 0},
		{0, 1 << 20, 0},
		{time.Second, 1, time.Second},
		{time.Second, 2, 2 * time.Second},
		{time.Second, 6, 32 * time.Second},
		{time.Second, 7, time.Minute},
		{time.Second, 1 << 20, time.Minute},
		{time.Hour, 1, time.Hour},
		{time.Hour, 3, time.Hour},
	} {
		if got := command.Backoff(tc.first, tc.attempts); got != tc.want {
			t.Errorf("after %d attempts from %v: %v, want %v", tc.attempts, tc.first, got, tc.want)
		}
	}
}
