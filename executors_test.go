package parade_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/paradetest"
)

func TestSerial(t *testing.T) {
	paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) {
		return parade.Open(ctx, "serial")
	}, paradetest.Features{Shared: true, Holds: true})
}

func TestThreads(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			paradetest.Run(t, func(ctx context.Context) (parade.Executor, error) {
				return parade.Open(ctx, fmt.Sprintf("threads:%d", n))
			}, paradetest.Features{Shared: true})
		})
	}
}
