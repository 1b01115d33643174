package queue_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/cluster/internal/queue"
)

func Example() {
	sent := queue.Message{Head: []byte("head"), Parcel: []byte("parcel")}.AppendTo(nil)
	m, err := queue.ParseMessage(sent)
	fmt.Println(queue.Work("q7", "3"), string(m.Head), string(m.Parcel), err)
	// Output: parade.work.q7.3 head parcel <nil>
}

func TestMessage(t *testing.T) {
	t.Parallel()
	h := queue.HashOf([]byte("large"))
	for _, tc := range []struct {
		name string
		m    queue.Message
	}{
		{"plain", queue.Message{Head: []byte("head"), Parcel: []byte("parcel")}},
		{"the only one", queue.Message{Only: true, Head: []byte("head"), Parcel: []byte{0}}},
		{"bound", queue.Message{Head: []byte("head"), Bound: []byte("bound"), Parcel: []byte("parcel")}},
		{"bound to nothing", queue.Message{Head: []byte("head"), Bound: []byte{}, Parcel: []byte("parcel")}},
		{"bound elsewhere", queue.Message{Head: []byte("head"), BoundHash: &h, Parcel: []byte("parcel")}},
		{"all elsewhere", queue.Message{Head: make([]byte, 5000), BoundHash: &h, ParcelHash: &h}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			data := tc.m.AppendTo(nil)
			got, err := queue.ParseMessage(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.m, got); diff != "" {
				t.Error(diff)
			}
			for n := range min(len(data), 60) { // shorter ones are refused, or have less of a parcel
				if m, err := queue.ParseMessage(data[:n]); err == nil && cmp.Equal(m, tc.m) {
					t.Errorf("%d of %d bytes give the same", n, len(data))
				}
			}
		})
	}
	if _, err := queue.ParseMessage([]byte{9, 0, 0}); err == nil {
		t.Error("a message of version 9 is taken")
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	h := queue.HashOf([]byte("large"))
	if a, at, err := queue.ParseAnswer(queue.AppendAnswer(nil, []byte("yes"))); string(a) != "yes" || at != nil || err != nil {
		t.Errorf("%q, %v, %v", a, at, err)
	}
	if a, at, err := queue.ParseAnswer(queue.AppendAnswerHash(nil, h)); a != nil || at == nil || *at != h || err != nil {
		t.Errorf("%q, %v, %v", a, at, err)
	}
	for _, bad := range [][]byte{nil, {2}, {1, 2, 3}} {
		if _, _, err := queue.ParseAnswer(bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{"lab": true, "a-b_C9": true, "": false, "a.b": false, "a b": false, "x*": false, "../x": false} {
		if err := queue.Valid(name); (err == nil) != valid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(queue.Message{Head: []byte("head"), Bound: []byte("b"), Parcel: []byte("parcel")}.AppendTo(nil))
	f.Add([]byte{1, 7, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := queue.ParseMessage(data)
		if err != nil {
			return
		}
		again, err := queue.ParseMessage(m.AppendTo(nil))
		if err != nil || !cmp.Equal(m, again) {
			t.Errorf("%v: %s", err, cmp.Diff(m, again))
		}
	})
}
