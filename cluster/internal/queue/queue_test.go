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
	values := []queue.Value{
		{Name: "mask", Type: "[]bool", Shape: 1 << 63, Job: queue.Pushed, Hash: queue.HashOf([]byte("a")), Size: 1 << 40},
		{Name: "", Type: "", Job: "17", Hash: queue.HashOf([]byte("b"))},
	}
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
		{"values", queue.Message{Head: []byte("head"), Home: "home", Values: values, Parcel: []byte("parcel")}},
		{"results that stay", queue.Message{Head: []byte("head"), Home: "home", Keep: true, Bound: []byte("b"), Values: values[:1], Parcel: []byte("parcel")}},
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

func TestJobAnswer(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]queue.JobAnswer{
		"no failures": {Data: []byte("answer")},
		"failures":    {Data: []byte("answer"), Inputs: [][]byte{[]byte("one"), make([]byte, 3000)}},
	} {
		for _, elsewhere := range []bool{false, true} {
			value, inputs := queue.JoinAnswer(a)
			travels, bucket := value, map[queue.Hash][]byte{}
			if elsewhere {
				h := queue.HashOf(value)
				bucket[h], travels = value, h[:]
			}
			sent := queue.AppendJobAnswer(nil, travels, inputs, elsewhere)
			got, err := queue.ParseJobAnswer(sent, func(h queue.Hash) ([]byte, error) { return bucket[h], nil })
			if diff := cmp.Diff(a, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", name, err, diff)
			}
		}
	}
	for _, bad := range [][]byte{nil, {4}, {1, 2, 3}, {2, 200, 1}, {2, 1, 9}} {
		if _, err := queue.ParseJobAnswer(bad, nil); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	many := queue.Summary{First: 0, Len: 10_000}
	for i := 0; i < many.Len; i += 2 {
		many.Failed = append(many.Failed, [2]int{i, i + 1})
	}
	for text, s := range map[string]queue.Summary{
		"0 0":                 {},
		"1200 40":             {First: 1200, Len: 40},
		"1200 40 1207-1209":   {First: 1200, Len: 40, Failed: [][2]int{{1207, 1210}}},
		"0 9 0,2-3,8":         {Len: 9, Failed: [][2]int{{0, 1}, {2, 4}, {8, 9}}},
		"5 1000000 5-1000004": {First: 5, Len: 1000000, Failed: [][2]int{{5, 1000005}}},
		"0 10000 *":           {Len: 10_000, Much: true},
	} {
		if got := s.String(); got != text {
			t.Errorf("%+v is %q, want %q", s, got, text)
		}
		got, err := queue.ParseSummary(text)
		if diff := cmp.Diff(s, got); err != nil || diff != "" {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
	if text := many.String(); text != "0 10000 *" {
		t.Errorf("many failures are %d bytes", len(text))
	}
	for _, bad := range []string{"", "1", "a b", "1 2 3", "1 2 0", "1 2 2-1", "0 9 3,2", "-1 2", "0 2 1-", "0 99999999999999999999"} {
		if s, err := queue.ParseSummary(bad); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

func FuzzSummary(f *testing.F) {
	f.Add("1200 40 1207-1209,1230")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := queue.ParseSummary(text)
		if err != nil {
			return
		}
		again, err := queue.ParseSummary(s.String())
		if err != nil || len(s.Failed) <= 1000 && !cmp.Equal(s, again) {
			t.Errorf("%q: %v: %s", text, err, cmp.Diff(s, again))
		}
	})
}

func FuzzJobAnswer(f *testing.F) {
	f.Add([]byte{2, 1, 1, 7, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = queue.ParseJobAnswer(data, func(queue.Hash) ([]byte, error) { return data, nil })
	})
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
	f.Add(queue.Message{Head: []byte("head"), Home: "home", Keep: true, Values: []queue.Value{{Name: "mask", Type: "[]bool", Job: "0"}}, Parcel: []byte("parcel")}.AppendTo(nil))
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
