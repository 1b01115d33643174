package parade

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/parade-go/parade/internal/journal"
	"github.com/parade-go/parade/internal/program"
	"github.com/parade-go/parade/internal/wire"
)

// Journal keeps each result of a [Map] or [Stream] in a file as soon as its task has
// ended, and takes from that file what an earlier run of the program left there. Kill
// the program at any moment and run it again: only the missing inputs are computed.
//
//	out, err := parade.Map(ctx, ex, f, inputs, parade.Journal("smooth.journal"))
//
// A result from the file is what the function returned, bit by bit. It is used when all
// this is the same as when it was computed: the program's executable, the function's
// name, its bound argument, the values of [With], the [Seed], and the input with its place in
// the sequence.
// Otherwise the input is computed anew. What the function reads besides, files and
// libraries loaded at run time, is not looked at: choose another file, or remove the
// old one, when that has changed. Failures are not kept, so they are tried again.
//
// Calls of one program may share a file one after another; they find their own results
// again if they come in the same order for the same function. A call while another one,
// or another program, has the file is refused at once with [ErrJournalHeld]. A closure
// has no name to find its results by, and is refused with [ErrNotDeclared].
//
// When a result cannot be kept, because the disk is full, say, the call stops; what was
// kept until then stays good. A result may come to 700 MB. A call needs 8 bytes of memory
// for each of its results in the file; docs/journal.md has the format and figures.
func Journal(path string) Option {
	return option(func(s *settings) {
		if path == "" {
			s.refuse("Journal(\"\"): give the path of a file")
		}
		s.journal = path
	})
}

// journalKind is what the records of such a file mean, and in which version.
const journalKind = "parade.Journal 1"

// ledgerHead is the line that the results of a call refer to by its number. Two calls
// share results when all else in it is equal.
type ledgerHead struct {
	Job   int    `json:"job"`
	Func  string `json:"func"`
	Build string `json:"build"`           // SHA-256 of the executable
	Bound string `json:"bound,omitempty"` // SHA-256 of the encoded bound argument, and values
	Seed  uint64 `json:"seed"`
	Call  int    `json:"call"` // how many such calls of the program came to their end before
}

// ledger is the part of a journal that belongs to one call.
type ledger struct {
	file *journal.File
	head ledgerHead
	done counted
	kept pages // what the file had of this call when it was opened
}

// counted names a call among those of this process that ended with all results.
type counted struct {
	path string
	head ledgerHead // with neither Job nor Call
}

var endedCalls struct {
	sync.Mutex
	n map[counted]int
}

// openLedger opens the journal of a call, if it is to have one.
func openLedger[A, R any](f *Function[A, R], set settings) (*ledger, error) {
	if set.journal == "" {
		return nil, nil
	}
	if f.keeps {
		return nil, errors.New("parade: Journal: the results of this call stay with the executor")
	}
	if f.declared == nil {
		return nil, fmt.Errorf("parade: Journal: %w: a closure has no name to find its results by; "+
			"put the function in a package-level variable with parade.Func(\"name\", f)", ErrNotDeclared)
	}
	l, err := newLedger(&Job{run: run{name: f.name}, bound: f.bound, set: set})
	if err != nil {
		return nil, fmt.Errorf("parade: %w", err)
	}
	return l, nil
}

// newLedger needs of the job its function, settings, bound argument and values.
func newLedger(j *Job) (*ledger, error) {
	set := j.set
	path, err := filepath.Abs(set.journal)
	if err != nil {
		return nil, err
	}
	head := ledgerHead{Func: j.run.name, Seed: set.seed}
	if head.Build, err = executableSum(); err != nil {
		return nil, err
	}
	if j.binds() {
		var b wire.Buffer
		if err := j.appendBound(&b); err != nil {
			return nil, err
		}
		sum := sumOf(&b)
		head.Bound = hex.EncodeToString(sum[:])
	}
	l := &ledger{done: counted{path, head}, kept: pages{}}
	endedCalls.Lock()
	head.Call = endedCalls.n[l.done]
	endedCalls.Unlock()

	l.file, err = journal.Open(set.journal, journalKind, func(r journal.Record) error { return l.replay(head, r) })
	if err != nil {
		return nil, err
	}
	if l.head.Func == "" { // the first time
		head.Job = l.head.Job + 1
		l.head = head
		line, err := json.Marshal(head)
		if err == nil {
			err = l.file.Append(line)
		}
		if err != nil {
			return nil, errors.Join(err, l.file.Close())
		}
	}
	return l, nil
}

// replay finds the number of this call, and where its results are. Until then l.head has
// the last number that was taken.
func (l *ledger) replay(want ledgerHead, r journal.Record) error {
	if t, ok := parseEntry(r.Data); ok {
		if l.head.Func != "" && t.job == l.head.Job {
			l.kept.set(t.index, r.Offset)
		}
		return nil
	}
	var head ledgerHead
	if err := json.Unmarshal(r.Data, &head); err != nil || head.Func == "" {
		return fmt.Errorf("%.80q is no record of parade.Journal", r.Data)
	}
	want.Job = head.Job
	switch {
	case head == want:
		l.head = head
	case l.head.Func == "":
		l.head.Job = max(l.head.Job, head.Job)
	}
	return nil
}

// closeLedger lets others have the file.
func (j *Job) closeLedger() {
	if j.ledger == nil {
		return
	}
	err := j.ledger.file.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = err
	}
}

// ended counts a call whose caller has all its results. A call that comes short of that
// has the same number as the next, which continues it.
func (l *ledger) ended() {
	endedCalls.Lock()
	defer endedCalls.Unlock()
	if endedCalls.n == nil {
		endedCalls.n = map[counted]int{}
	}
	endedCalls.n[l.done]++
}

// inputSum stands for an input.
type inputSum struct {
	sum [16]byte // the first half of the SHA-256 of its encoding
	err error    // why it cannot be encoded
}

func sumOf(b *wire.Buffer) [32]byte {
	chunks := b.Chunks()
	if len(chunks) == 1 {
		return sha256.Sum256(chunks[0])
	}
	h := sha256.New()
	for _, c := range chunks {
		h.Write(c) // never fails
	}
	return [32]byte(h.Sum(nil))
}

func sumInput[A any](c wire.Codec[A], b *wire.Buffer, in []A) (s inputSum) {
	b.Reset()
	if s.err = c.Append(b, in); s.err == nil {
		sum := sumOf(b)
		s.sum = [16]byte(sum[:16])
	}
	return s
}

// scratch is the memory for encoding and decoding, used again and again.
type scratch struct {
	wire wire.Buffer
	raw  []byte // a result, encoded
	text []byte // lines
	ends []int
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) release() {
	s.wire.Reset()
	if max(cap(s.text), cap(s.raw)) <= 4*recordUpTo {
		scratches.Put(s)
	}
}

// recordUpTo is how many bytes of lines are written at a time, about.
const recordUpTo = 1 << 20

// record keeps the results of the tasks that did not fail. One that cannot be encoded
// has its task fail.
func (l *ledger) record(first int, w work, o *outcome) error {
	s := scratches.Get().(*scratch)
	defer s.release()
	s.text, s.ends = s.text[:0], s.ends[:0]
	var bad []failure
	for lo, hi := range o.sound() {
		for k := lo; k < hi; k++ {
			sum := w.inputSum(k)
			if sum.err == nil {
				s.wire.Reset()
				_, sum.err = w.encodeResults(&s.wire, k, k+1, false)
			}
			if sum.err != nil {
				bad = append(bad, failure{offset: k, kind: Unsendable, err: fmt.Errorf("%w to a journal: %w", ErrEncode, sum.err)})
				continue
			}
			s.raw = s.wire.AppendTo(s.raw[:0])
			s.text = appendEntry(s.text, entry{job: l.head.Job, index: first + k, before: l.kept.at(first + k), input: sum.sum}, s.raw)
			s.ends = append(s.ends, len(s.text))
			if len(s.text) >= recordUpTo {
				if err := l.write(s); err != nil {
					return err
				}
			}
		}
	}
	for _, f := range bad {
		o.addFailure(f)
	}
	return l.write(s)
}

func (l *ledger) write(s *scratch) error {
	lines := make([][]byte, len(s.ends))
	from := 0
	for i, to := range s.ends {
		lines[i] = s.text[from:to]
		from = to
	}
	err := l.file.Append(lines...)
	s.text, s.ends = s.text[:0], s.ends[:0]
	return err
}

// recall decodes the result for in[0], input number index of a call, into out[0], if the
// journal has it.
func recall[A, R any](l *ledger, f *Function[A, R], index int, in []A, out []R) (found bool, err error) {
	at := l.kept.at(index)
	if at == 0 {
		return false, nil
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	want := sumInput(f.in, &s.wire, in)
	if want.err != nil {
		return false, nil //nolint:nilerr // its task will fail
	}
	for at != 0 {
		r, err := l.file.Record(at)
		if err != nil {
			return false, err
		}
		e, ok := parseEntry(r.Data)
		if !ok || e.job != l.head.Job || e.index != index || e.before >= at {
			return false, fmt.Errorf("journal: the record at byte %d is not that of input %d: %w", at, index, journal.ErrDamaged)
		}
		if e.input != want.sum {
			at = e.before
			continue
		}
		if s.raw, err = base64.StdEncoding.AppendDecode(s.raw[:0], e.result); err == nil {
			rd := wire.NewReader(s.raw, false)
			if err = f.out.Decode(rd, out); err == nil && rd.Len() > 0 {
				err = errors.New("too long")
			}
		}
		if err != nil {
			return false, fmt.Errorf("journal: the result of input %d at byte %d: %w", index, at, err)
		}
		return true, nil
	}
	return false, nil
}

// entry is the line of one result.
type entry struct {
	job, index int
	before     int64 // offset of an earlier line with the same job and index; 0: none
	input      [16]byte
	result     []byte // base64
}

const (
	entryJob    = `{"job":`
	entryIndex  = `,"index":`
	entryBefore = `,"before":`
	entryInput  = `,"input":"`
	entryResult = `","result":"`
	entryEnd    = `"}`
)

// appendEntry appends the line of a result. The result, which may be long, comes last, so
// that nobody has to read it who looks for another.
func appendEntry(b []byte, e entry, result []byte) []byte {
	b = strconv.AppendInt(append(b, entryJob...), int64(e.job), 10)
	b = strconv.AppendInt(append(b, entryIndex...), int64(e.index), 10)
	if e.before != 0 {
		b = strconv.AppendInt(append(b, entryBefore...), e.before, 10)
	}
	b = hex.AppendEncode(append(b, entryInput...), e.input[:])
	b = base64.StdEncoding.AppendEncode(append(b, entryResult...), result)
	return append(b, entryEnd...)
}

// parseEntry reads what appendEntry wrote, and nothing else.
func parseEntry(line []byte) (e entry, ok bool) {
	p := entryParser{rest: line, ok: true}
	p.skip(entryJob)
	e.job = int(p.number())
	p.skip(entryIndex)
	e.index = int(p.number())
	if bytes.HasPrefix(p.rest, []byte(entryBefore)) {
		p.skip(entryBefore)
		e.before = p.number()
	}
	p.skip(entryInput)
	if p.ok = p.ok && len(p.rest) >= 32; !p.ok {
		return e, false
	}
	if _, err := hex.Decode(e.input[:], p.rest[:32]); err != nil {
		return e, false
	}
	p.rest = p.rest[32:]
	p.skip(entryResult)
	e.result, ok = bytes.CutSuffix(p.rest, []byte(entryEnd))
	return e, ok && p.ok
}

type entryParser struct {
	rest []byte
	ok   bool
}

func (p *entryParser) skip(text string) {
	rest, ok := bytes.CutPrefix(p.rest, []byte(text))
	p.rest, p.ok = rest, p.ok && ok
}

func (p *entryParser) number() int64 {
	n := 0
	for n < len(p.rest) && n < 20 && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(string(p.rest[:n]), 10, 64)
	p.rest, p.ok = p.rest[n:], p.ok && err == nil && int64(int(v)) == v
	return v
}

// pages finds the place of a result by its index: 8 bytes for each where indexes are
// dense.
type pages map[int]*[pageSize]int64

const pageSize = 512

func (p pages) at(index int) int64 {
	if page := p[index/pageSize]; page != nil {
		return page[index%pageSize]
	}
	return 0
}

func (p pages) set(index int, offset int64) {
	page := p[index/pageSize]
	if page == nil {
		page = new([pageSize]int64)
		p[index/pageSize] = page
	}
	page[index%pageSize] = offset
}

// executableSum is the SHA-256 of the running program. Nothing less tells of any change
// in a function: the build information knows of a modified source file, but not how it
// was modified.
var executableSum = program.Sum
