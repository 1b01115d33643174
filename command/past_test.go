package command

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/parade-go/parade/internal/journal"
)

// is found again.
func FuzzReplay(f *testing.F) {
	key := func(arg string) string { return fmt.Sprintf("%x", keyOf([]string{arg})) }
	run := `{"run":{"start":"2026-11-24T12:00:00Z","anew":true,"command":"echo {}","plan":"00","spec":{}}}` + "\n"
	task := func(seq int, arg string, ok bool) string {
		return fmt.Sprintf(`{"seq":%d,"key":"%s","ok":%t,"start":7,"args":["%s"]}`+"\n", seq, key(arg), ok, arg)
	}
	f.Add([]byte(run + task(1, "a", true) + task(2, "b", false) + task(2, "b", true)))
	f.Add([]byte(run + task(1, "a", false) + task(1, "b", true) + task(300, "a", true) + task(2, "a", false)))
	f.Add([]byte(run + run + `{"run":{"adopt":true}}` + "\n" + `{"seq":9000000000000000000,"key":"","ok":false}`))
	f.Add([]byte(`{"run":null}` + "\n" + `{"seq":-1}` + "\n" + `{"seq":1,"key":"` + key("a") + key("b") + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p past
		offset := int64(0)
		for line := range bytes.Lines(data) {
			r := journal.Record{Data: bytes.TrimSuffix(line, []byte("\n")), Offset: offset}
			if err := p.replay(r); err != nil {
				return
			}
			offset += int64(len(line))
		}
		for _, failure := range p.failures() {
			if failure.seq < 1 || failure.offset < 0 || failure.offset >= offset {
				t.Errorf("a task that failed is %+v", failure)
			}
			if at := p.at(failure.seq); !p.adopt && at.state&notOkay == 0 && len(p.displaced) == 0 {
				t.Errorf("task %d is in the list of those that failed, and is %+v", failure.seq, *at)
			}
		}
		for seq := range 5 {
			for _, arg := range []string{"a", "b", "c"} {
				p.find(Input{Seq: seq, Args: []string{arg}}, true)
			}
		}
	})
}
