//go:build unix

package cluster_test

import (
	"testing"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/cluster"
)

// BenchmarkJobs is what listing costs beside one large job that is done.
func BenchmarkJobs(b *testing.B) {
	for _, size := range []struct {
		name  string
		tasks int
		opts  []parade.Option
	}{
		{"MillionAutomatic", 1_000_000, nil},
		{"100000OneAtATime", 100_000, []parade.Option{parade.BatchSize(1)}},
	} {
		b.Run(size.name, func(b *testing.B) {
			l := openBench(b)
			conn, err := cluster.Load(l.controller.File(cluster.RoleClient))
			if err != nil {
				b.Fatal(err)
			}
			if err := cluster.Submit(b.Context(), l.client, "large", square, make([]int, size.tasks), size.opts); err != nil {
				b.Fatal(err)
			}
			if _, err := cluster.Attach(b.Context(), l.client, "large", square); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				jobs, err := cluster.Jobs(b.Context(), conn)
				if err != nil || len(jobs) != 1 || jobs[0].Done != size.tasks {
					b.Fatalf("%+v, %v", jobs, err)
				}
			}
		})
	}
}
