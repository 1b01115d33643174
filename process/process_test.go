//go:build unix

package process_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/paradetest"
	"github.com/parade-go/parade/process"
)

func TestMain(m *testing.M) {
	parade.Serve()
	os.Exit(m.Run())
}

func TestProcesses(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) {
				return process.Open(ctx, process.Config{Workers: n, Heartbeat: 300 * time.Millisecond, Missed: 4})
			}, paradetest.Features{
				Kill:   func(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) },
				Freeze: func(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) },
			})
		})
	}
}
