package queue_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/cluster/internal/queue"
)

func TestNeeds(t *testing.T) {
	t.Parallel()
	has := map[string]int64{"mem": 64 << 30, "license": 2}
	for _, tc := range []struct {
		name     string
		requires []string
		want     queue.Needs
		tasks    int // of 16 slots
	}{
		{"nothing", nil, queue.Needs{}, 16},
		{"a label", []string{"gpu"}, queue.Needs{Labels: []string{"gpu"}}, 16},
		{"a label it lacks", []string{"tpu"}, queue.Needs{Labels: []string{"tpu"}}, 0},
		{"memory", []string{"mem=8G"}, queue.Needs{Amounts: map[string]int64{"mem": 8 << 30}}, 8},
		{"a part", []string{"mem=0.5G"}, queue.Needs{Amounts: map[string]int64{"mem": 1 << 29}}, 16},
		{"several", []string{"gpu", "mem=8G", "license=1"}, queue.Needs{Labels: []string{"gpu"}, Amounts: map[string]int64{"mem": 8 << 30, "license": 1}}, 2},
		{"too much", []string{"mem=65G"}, queue.Needs{Amounts: map[string]int64{"mem": 65 << 30}}, 0},
		{"what it lacks", []string{"disk=1"}, queue.Needs{Amounts: map[string]int64{"disk": 1}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n, err := queue.ParseNeeds(tc.requires)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, n); diff != "" {
				t.Error(diff)
			}
			if tasks := n.Tasks(16, []string{"gpu", "fast"}, has); tasks != tc.tasks {
				t.Errorf("%d tasks at a time, want %d", tasks, tc.tasks)
			}
		})
	}
	for _, bad := range []string{"", "a b", "mem=", "mem=G", "mem=0", "mem=-1", "mem=1.5", "mem=1X", "mem=NaN", "mem=9999999T", "=4"} {
		if n, err := queue.ParseNeeds([]string{bad}); err == nil {
			t.Errorf("%q is taken: %v", bad, n)
		}
	}
	if _, err := queue.ParseNeeds([]string{"mem=1", "mem=2"}); err == nil {
		t.Error("a resource that is named twice is taken")
	}
	if _, err := queue.ParseResources([]string{"gpu"}); err == nil {
		t.Error("a resource without an amount is taken")
	}
	for text, n := range map[string]int64{"0": 0, "7": 7, "1500": 1500, "1K": 1024, "1536M": 1536 << 20, "64G": 64 << 30, "5T": 5 << 40, "2048T": 2 << 50} {
		if got := queue.Amount(n); got != text {
			t.Errorf("%d is %q, want %q", n, got, text)
		}
	}
}
