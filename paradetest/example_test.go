package paradetest_test

import (
	"context"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/paradetest"
)

// A test function of the executor's package; Shared says that its tasks run in
// the test's own process.
func ExampleRun() {
	_ = func(t *testing.T) {
		open := func(context.Context) (parade.Executor, error) { return parade.Threads(4), nil }
		paradetest.Run(t, open, paradetest.Features{Shared: true})
	}
}
