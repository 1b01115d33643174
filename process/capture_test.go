//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/process"
)

// speech is what a task is to print.
type speech struct {
	Text  string
	Times int
	By    string // "go", "program", "crash", "fail"
}

var recite = parade.FuncContext("process.recite", func(ctx context.Context, s speech) (int, error) {
	switch s.By {
	case "program":
		cmd := exec.CommandContext(ctx, "sh", "-c", "echo \"$0\"; echo \"error $0\" >&2", s.Text)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return 0, cmd.Run()
	case "crash":
		fmt.Fprintln(os.Stderr, s.Text)
		return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	for range s.Times {
		if _, err := io.WriteString(os.Stdout, s.Text); err != nil {
			return 0, err
		}
	}
	if s.By == "fail" {
		return 0, errors.New("it failed")
	}
	return s.Times, nil
})

// sink is where what children print comes.
type sink struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestCapture: what a task prints comes with it, and nothing else does; a call that does
// not ask gets it as ever.
func TestCapture(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var out, errs sink
	ex, err := process.Open(ctx, process.Config{Workers: 2, Stdout: &out, Stderr: &errs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ex.Close(); err != nil {
			t.Error(err)
		}
	})
	in := []speech{{"a", 3, "go"}, {}, {"child", 0, "program"}, {"b\n", 1, "fail"}, {strings.Repeat("x", 1<<16-1) + "y", 200, "go"}, {"c", 1, "go"}}
	want := []parade.Output{{Text: "aaa"}, {}, {Text: "child\n"}, {Text: "b\n"}, {Text: strings.Repeat("x", 1<<16-1) + "y", Cut: 199 << 16}, {Text: "c"}}
	for _, size := range []int{1, 6} {
		infos := make([]parade.TaskInfo, len(in))
		_, err = parade.Map(ctx, ex, recite, in, parade.BatchSize(size), parade.CollectErrors(), parade.CaptureOutput(),
			parade.OnTask(func(i parade.TaskInfo) { infos[i.Index] = i }))
		if err == nil {
			t.Error("no error of the task that failed")
		}
		for i, info := range infos {
			if info.Stdout != want[i] {
				t.Errorf("batches of %d: task %d printed %.20q of %d bytes, %d cut; want %.20q, %d", size, i, info.Stdout.Text, len(info.Stdout.Text), info.Stdout.Cut, want[i].Text, want[i].Cut)
			}
			wantErr := ""
			if in[i].By == "program" {
				wantErr = "error child\n"
			}
			if info.Stderr.Text != wantErr {
				t.Errorf("task %d printed %q to standard error, want %q", i, info.Stderr.Text, wantErr)
			}
		}
		if infos[3].Err == nil || infos[0].Err != nil {
			t.Errorf("the errors are %v, %v", infos[3].Err, infos[0].Err)
		}
	}
	if got := out.String() + errs.String(); got != "" {
		t.Errorf("captured output was passed on: %.100q", got)
	}
	if _, err := parade.Map(ctx, ex, recite, []speech{{"heard\n", 1, "go"}}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), "heard"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("without capture there is %q", out.String())
		}
	}
	// The last words of a captured task are in its error.
	_, err = parade.Map(ctx, ex, recite, []speech{{Text: "farewell", By: "crash"}}, parade.Crashes(1), parade.CaptureOutput(), parade.OnTask(func(parade.TaskInfo) {}))
	var exit *process.ExitError
	if !errors.As(err, &exit) || !slices.Contains(exit.Stderr, "farewell") {
		t.Errorf("the error of a crash is %v, with %+v", err, exit)
	}
	if _, err := parade.Map(ctx, ex, recite, in, parade.CaptureOutput()); err == nil {
		t.Error("CaptureOutput without OnTask is accepted")
	}
}

// TestCaptureBounded: a task that prints without end does not fill the memory.
func TestCaptureBounded(t *testing.T) {
	t.Parallel()
	ex, err := process.Open(t.Context(), process.Config{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	const times = 8000 // of 64 KiB: 524 MB
	var info parade.TaskInfo
	_, err = parade.Map(t.Context(), ex, reciteAndMeasure, []speech{{strings.Repeat("z", 1<<16), times, "go"}}, parade.CaptureOutput(), parade.OnTask(func(i parade.TaskInfo) { info = i }))
	if err != nil {
		t.Fatal(err)
	}
	if info.Stdout.Cut != (times-1)<<16 {
		t.Errorf("%d bytes were cut, want %d", info.Stdout.Cut, (times-1)<<16)
	}
}

// reciteAndMeasure fails when its output takes much memory.
var reciteAndMeasure = parade.FuncContext("process.reciteAndMeasure", func(ctx context.Context, s speech) (int, error) {
	for i := range s.Times {
		if _, err := io.WriteString(os.Stdout, s.Text); err != nil {
			return 0, err
		}
		var st syscall.Stat_t
		if err := syscall.Fstat(1, &st); err != nil {
			return 0, err
		}
		if used := st.Blocks * 512; used > 256<<20 {
			return 0, fmt.Errorf("after %d bytes of output they take %d", i<<16, used)
		}
		if i%16 == 15 {
			time.Sleep(time.Millisecond)
		}
	}
	return s.Times, nil
})
