package parade

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/parade-go/parade/internal/journal"
)

// Any line, with a checksum that is right, is an entry, a head or refused.
func FuzzEntry(f *testing.F) {
	e := entry{job: 1, index: 1 << 30, before: 512, input: [16]byte{1, 15: 255}}
	f.Add(appendEntry(nil, e, []byte("result")))
	f.Add(appendEntry(nil, entry{}, nil))
	f.Add([]byte(`{"job":1,"func":"square","build":"ab","seed":18446744073709551615,"call":0}`))
	f.Add([]byte(`{"job":99999999999999999999,"index":-1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		l := &ledger{kept: pages{}}
		want := ledgerHead{Func: "square", Build: "ab"}
		head := []byte(`{"job":1,"func":"square","build":"ab","seed":0,"call":0}`)
		if err := l.replay(want, journal.Record{Offset: 512, Data: head}); err != nil || l.head.Job != 1 {
			t.Fatal(err, l.head)
		}
		err := l.replay(want, journal.Record{Offset: 600, Data: line})
		e, ok := parseEntry(line)
		switch {
		case !ok && len(l.kept) > 0, ok && err != nil:
			t.Fatalf("entry %v, error %v, pages %v", ok, err, l.kept)
		case !ok:
			return
		case e.job < 0 || e.index < 0 || e.before < 0:
			t.Fatalf("%+v has negative numbers", e)
		case e.job == 1 && l.kept.at(e.index) != 600:
			t.Fatalf("%+v was not found", e)
		}
		result, err := base64.StdEncoding.AppendDecode(nil, e.result)
		if err != nil {
			return
		}
		again, ok := parseEntry(appendEntry(nil, e, result))
		if !ok || again.job != e.job || again.index != e.index || again.before != e.before || again.input != e.input {
			t.Fatalf("%+v became %+v", e, again)
		}
		if got, err := base64.StdEncoding.AppendDecode(nil, again.result); err != nil || !bytes.Equal(got, result) {
			t.Fatalf("result %q became %q, error %v", result, got, err)
		}
	})
}
