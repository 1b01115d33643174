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
	if err := run(context.Background(), "threads", 60, os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// matrix 0: singular values from 15.7127 to 0.0301, U·S·VT is the matrix: true
	// matrix 1: singular values from 14.9458 to 0.0187, U·S·VT is the matrix: true
	// matrix 2: singular values from 15.3218 to 0.0224, U·S·VT is the matrix: true
	// asynchronous calls: 20 of 20 are equal to the last bit
	// matrix 0 without its first 10 singular values: from 11.2017
}

func TestEveryExecutorGivesTheSame(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := run(t.Context(), "serial", 60, &want); err != nil {
		t.Fatal(err)
	}
	for _, executor := range []string{"threads:3", "processes:2"} {
		var got bytes.Buffer
		err := run(t.Context(), executor, 60, &got)
		if errors.Is(err, errors.ErrUnsupported) {
			continue // processes on Windows
		}
		if err != nil || got.String() != want.String() {
			t.Errorf("%s: %v, wrote\n%s\nwant\n%s", executor, err, &got, &want)
		}
	}
}
