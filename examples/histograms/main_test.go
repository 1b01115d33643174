package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/parade-go/parade"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	parade.Serve() // the workers are this test's binary
	goleak.VerifyTestMain(m)
}

func Example() {
	if err := run(context.Background(), "threads", os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 100.0 ms: 100 bins, at most 17 spikes in one
	// 200.0 ms: 50 bins, at most 26 spikes in one
	// 250.0 ms: 40 bins, at most 32 spikes in one
	// 500.0 ms: 20 bins, at most 48 spikes in one
	// 1000.0 ms: 10 bins, at most 91 spikes in one
	// 5 tasks, 0 failed
}

func TestEveryExecutorGivesTheSame(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := run(t.Context(), "serial", &want); err != nil {
		t.Fatal(err)
	}
	for _, executor := range []string{"threads:3", "processes:2"} {
		var got bytes.Buffer
		err := run(t.Context(), executor, &got)
		if errors.Is(err, errors.ErrUnsupported) {
			continue // processes on Windows
		}
		if err != nil || got.String() != want.String() {
			t.Errorf("%s: %v, wrote\n%s\nwant\n%s", executor, err, &got, &want)
		}
	}
}
