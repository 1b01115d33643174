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
	// Output: 100 coincidences, 38.1 by chance, p = 0.001
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
