package parade

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/internal/wire"
)

// TestDetails: what is told of tasks comes out as it went in.
func TestDetails(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 5)
	want := []detail{
		{attempt: 1, worker: "a", host: "h", engine: "e", started: now, completed: now.Add(time.Second), stdout: Output{Text: "out", Cut: 1 << 40}},
		{attempt: 2, worker: "a", host: "h", engine: "e", stderr: Output{Text: "err"}},
		{attempt: 1, worker: "b", host: "h", engine: "e", started: now},
		{},
	}
	var b wire.Buffer
	appendDetails(&b, want)
	data := b.AppendTo(nil)
	r := wire.NewReader(data, false)
	got := decodeDetails(r, len(want))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(detail{})); diff != "" || r.Err() != nil || r.Len() != 0 {
		t.Errorf("%v, %d bytes left, differences: %s", r.Err(), r.Len(), diff)
	}
	for n := range data {
		r := wire.NewReader(data[:n], false)
		if decodeDetails(r, len(want)); r.Err() == nil {
			t.Errorf("the first %d bytes of %d are taken", n, len(data))
		}
	}
	if r := wire.NewReader(data, false); decodeDetails(r, len(want)-1) != nil || r.Err() == nil {
		t.Error("details of more tasks than ran are taken")
	}
}

// FuzzOutcome: whatever arrives is an outcome or an error, and takes memory in
// proportion to itself.
func FuzzOutcome(f *testing.F) {
	fn := &Function[int, string]{}
	fn.in, _ = wire.For[int]()
	fn.out, _ = wire.For[string]()
	w := fn.work([]int{1, 2, 3})
	w.out = []string{"a", "b", "c"}
	for _, o := range []outcome{
		{ran: 3}, {ran: 2, failures: []failure{{offset: 1, kind: Interrupted, err: errDeaf}}},
		{ran: 1, details: []detail{{attempt: 1, worker: "w", stdout: Output{Text: "out"}}}},
	} {
		var b wire.Buffer
		appendOutcome(&b, w, &o, false)
		f.Add(b.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := fn.work(make([]int, 3))
		o, err := decodeOutcome(wire.NewReader(data, false), w, false)
		if err == nil && (o.ran < 0 || o.ran > 3 || len(o.details) > o.ran || len(o.failures) > o.ran) {
			t.Errorf("outcome %+v of three tasks", o)
		}
	})
}

// FuzzNamed: whatever lies behind a bound argument is values or an error.
func FuzzNamed(f *testing.F) {
	s, err := settingsOf([]Option{With("mask", make([]bool, 2000)), With("scale", 2.5)})
	if err != nil {
		f.Fatal(err)
	}
	var b wire.Buffer
	if err := appendNamed(&b, s.values); err != nil {
		f.Fatal(err)
	}
	appendValueData(&b, ValueData{Name: "file", Type: "int", File: "/none", Size: 8})
	f.Add(b.AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseNamed(wire.NewReader(data, false))
		if err != nil {
			return
		}
		for _, v := range set {
			if v.file == "" {
				_, _ = valueAs[float64](v)
				_, _ = valueAs[[]bool](v)
			}
		}
	})
}
