package command

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/parade-go/parade/internal/journal"
)

// key is a digest of a task's arguments or, from a joblog, of its command.
type key [15]byte

func keyOf(args []string) (k key) {
	var b []byte
	for _, a := range args {
		b = binary.AppendUvarint(b, uint64(len(a)))
		b = append(b, a...)
	}
	sum := sha256.Sum256(b)
	copy(k[:], sum[:])
	return k
}

// commandKey leaves out quotes and blanks, in which programs differ.
func commandKey(command string) (k key) {
	sum := sha256.Sum256([]byte(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n'\"\\", r) {
			return -1
		}
		return r
	}, command)))
	copy(k[:], sum[:])
	return k
}

// state is what became of a task.
type state uint8

const (
	okay      state = 1 << iota
	notOkay         // it failed
	byCommand       // the key is that of the command
	spent           // a task of this run was found to be this one
)

// left tells whether the task is left out.
func (s state) left(r Resume) bool {
	return s&okay != 0 || r == SkipEnded && s&notOkay != 0
}

// known is what is known of one task; the zero value is nothing.
type known struct {
	key   key
	state state
}

// page has the tasks of pageSize successive numbers, so that a number that makes no
// sense costs no more than a page.
type page [pageSize]known

const pageSize = 256

// past is what earlier runs have left.
type past struct {
	pages  map[int]*page
	failed map[int]int64 // where the line of a failed task is in the journal or, if adopt, in the joblog
	// displaced are tasks whose number another one has got since.
	displaced []displaced
	lastRun   *runRecord
	adopt     bool // the joblog counts

	lastLine  JoblogEntry
	lastFound bool    // in the journal
	unlogged  []int64 // the records behind it

	moved  bool
	byKey  []int       // numbers and, negative, ^index of displaced, by key
	cursor map[key]int // of keys that several have: where in byKey to go on
}

type displaced struct {
	known
	failure
}

type failure struct {
	seq    int
	offset int64
}

// at gives what is known of a number, to be read or set.
func (p *past) at(seq int) *known {
	if pg := p.pages[seq/pageSize]; pg != nil {
		return &pg[seq%pageSize]
	}
	if p.pages == nil {
		p.pages = make(map[int]*page)
	}
	pg := new(page)
	p.pages[seq/pageSize] = pg
	return &pg[seq%pageSize]
}

// replay learns from a record of the journal.
func (p *past) replay(r journal.Record) error {
	if bytes.HasPrefix(r.Data, []byte(`{"run":`)) {
		var s startRecord
		if err := json.Unmarshal(r.Data, &s); err != nil {
			return err
		}
		if s.Run == nil {
			return errors.New("a run without anything about it")
		}
		if s.Run.Anew {
			*p = past{lastLine: p.lastLine}
		}
		p.adopt = p.adopt || s.Run.Adopt
		if s.Run.Plan != "" || p.lastRun == nil {
			p.lastRun = s.Run
		}
		return nil
	}
	var t struct {
		Seq   int
		Key   string
		OK    bool
		Start int64
	}
	head := r.Data
	if i := bytes.Index(head, []byte(`,"runtime":`)); i > 0 { // the rest takes most of the time, and is not needed
		head = append(head[:i:i], '}')
	}
	if err := json.Unmarshal(head, &t); err != nil {
		return err
	}
	if t.Seq < 1 {
		return fmt.Errorf("a task has the number %d", t.Seq)
	}
	var now known
	k, err := hex.DecodeString(t.Key)
	if err != nil || len(k) != len(now.key) && len(k) != 0 {
		return fmt.Errorf("task %d has the key %q", t.Seq, t.Key)
	}
	copy(now.key[:], k)
	now.state = notOkay
	if t.OK {
		now.state = okay
	}
	p.set(t.Seq, now, r.Offset)
	if l := p.lastLine; l.Seq == t.Seq && unixMilli(l.Start) == t.Start {
		p.lastFound, p.unlogged = true, p.unlogged[:0]
	} else {
		p.unlogged = append(p.unlogged, r.Offset)
	}
	return nil
}

func (p *past) set(seq int, now known, offset int64) {
	was := p.at(seq)
	if was.state != 0 && was.key != now.key && now.key != (key{}) {
		p.displaced = append(p.displaced, displaced{*was, failure{seq, p.failed[seq]}})
	}
	*was = now
	if now.state&notOkay == 0 {
		delete(p.failed, seq)
		return
	}
	if p.failed == nil {
		p.failed = make(map[int]int64)
	}
	p.failed[seq] = offset
}

// readJoblog learns from a joblog, which has the last word.
func (p *past) readJoblog(f *os.File, path string) error {
	clear(p.failed) // it has all lines, and its own offsets
	number := 1
	for line, err := range joblogLines(io.NewSectionReader(f, 0, 1<<62), path) {
		if err != nil {
			return err
		}
		number++
		e, err := parseJoblogEntry(line.text)
		if err != nil {
			return fmt.Errorf("command: joblog %s: %w: line %d: %w", path, ErrJoblog, number, err)
		}
		now := *p.at(e.Seq)
		if now.key == (key{}) || now.state&byCommand != 0 {
			now = known{commandKey(e.Command), byCommand}
		}
		now.state &^= okay | notOkay
		if e.OK() {
			now.state |= okay
		} else {
			now.state |= notOkay
		}
		*p.at(e.Seq) = known{} // not displaced
		p.set(e.Seq, now, line.offset)
	}
	return nil
}

// find says what became of a task of this run, also if it may have moved.
func (p *past) find(in Input, movable bool) state {
	k := keyOf(in.Args)
	if pg := p.pages[in.Seq/pageSize]; pg != nil && in.Seq > 0 {
		at := &pg[in.Seq%pageSize]
		switch {
		case at.state == 0:
		case at.state&byCommand != 0, at.key == key{}:
			return at.state
		case at.key != k:
			p.moved = true
		case at.state&spent == 0:
			at.state |= spent
			return at.state
		}
	}
	if !p.moved || !movable {
		return 0
	}
	if at := p.elsewhere(k); at != nil {
		at.state |= spent
		return at.state
	}
	return 0
}

// knownAt gives the task that an element of byKey stands for.
func (p *past) knownAt(ref int) *known {
	if ref < 0 {
		return &p.displaced[^ref].known
	}
	return p.at(ref)
}

// elsewhere finds a task that has had another number, the successful ones first.
func (p *past) elsewhere(k key) *known {
	if p.byKey == nil {
		p.index()
	}
	i, ok := p.cursor[k]
	if !ok {
		i, _ = slices.BinarySearchFunc(p.byKey, k, func(ref int, k key) int {
			other := p.knownAt(ref).key
			return bytes.Compare(other[:], k[:])
		})
	}
	first := i
	for ; i < len(p.byKey); i++ {
		at := p.knownAt(p.byKey[i])
		if at.key != k {
			break
		}
		if at.state&spent == 0 {
			if i > first {
				p.cursor[k] = i
			}
			return at
		}
	}
	if i > first+1 {
		p.cursor[k] = i
	}
	return nil
}

func (p *past) index() {
	p.byKey, p.cursor = []int{}, make(map[key]int)
	add := func(ref int, k *known) {
		if k.state&(okay|notOkay) != 0 && k.state&byCommand == 0 && k.key != (key{}) {
			p.byKey = append(p.byKey, ref)
		}
	}
	for number, pg := range p.pages {
		for i := range pg {
			add(number*pageSize+i, &pg[i])
		}
	}
	for i := range p.displaced {
		add(^i, &p.displaced[i].known)
	}
	slices.SortFunc(p.byKey, func(a, b int) int {
		x, y := p.knownAt(a), p.knownAt(b)
		if c := bytes.Compare(x.key[:], y.key[:]); c != 0 {
			return c
		}
		if c := int(y.state&okay) - int(x.state&okay); c != 0 {
			return c
		}
		return cmp.Compare(uint(a), uint(b)) // displaced ones last
	})
}

// failures gives the tasks that failed and have not been done since, by number.
func (p *past) failures() []failure {
	var all []failure
	for _, seq := range slices.Sorted(maps.Keys(p.failed)) {
		all = append(all, failure{seq, p.failed[seq]})
	}
	if p.adopt {
		return all // by number only
	}
	for i := range p.displaced {
		d := &p.displaced[i]
		if at := p.elsewhere(d.key); d.state&notOkay != 0 && at == &d.known {
			all = append(all, d.failure) // neither done nor failed at another number
		}
	}
	slices.SortStableFunc(all, func(a, b failure) int { return a.seq - b.seq })
	return all
}
