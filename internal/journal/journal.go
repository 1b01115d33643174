// Package journal keeps an append-only file of JSON lines in which nothing that was
// written is lost: not to kill -9, not to a full disk, and but for the last tenth of a
// second not to a power cut. One program writes at a time.
//
//	j, err := journal.Open("run.journal", "smooth 1", func(r journal.Record) error {
//		return json.Unmarshal(r.Data, &...) // what earlier programs wrote, in order
//	})
//	defer j.Close()
//	err = j.Append([]byte(`{"subject":"sub-01","exit":0}`)) // written when it returns
//	err = j.Sync()                                          // on the disk when it returns
//
// # Format
//
// Each line is a JSON object. Its first field is "crc", eight hexadecimal digits: the
// CRC-32C of everything on the line after the comma that follows them, without the
// newline. The other fields are the caller's.
//
// The first line is the header, always 512 bytes, so that it lies in one sector: the
// format's version, the kind of journal, and process, host and start of the last
// program that opened the file to write, which is why it is rewritten in place.
//
// A program that dies while it writes leaves a torn last line; the next [Open] cuts it
// off. Damaged lines that are followed by a sound one are no such accident: they are a
// [DamageError].
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade/internal/host"
)

const (
	// SyncDelay is how long a record that was written may wait to be on the disk. One
	// fsync then serves all that came meanwhile.
	SyncDelay = 100 * time.Millisecond
	// MaxRecord bounds the bytes of a record.
	MaxRecord = 1 << 30

	version    = 1
	headerSize = 512 // with its newline
	maxText    = 100 // of kind and host in the header, where every byte may take six
)

// Conditions that callers branch on.
var (
	// ErrHeld: another program, or another part of this one, has the journal open. The
	// error is a *HeldError.
	ErrHeld = errors.New("journal is in use")
	// ErrForeign: the file is not a journal, or one of another kind or version. It is
	// left as it is.
	ErrForeign = errors.New("not a journal of this kind")
	// ErrDamaged: a line before the last is not what was written. The error is a
	// *DamageError.
	ErrDamaged = errors.New("journal is damaged")
	// ErrClosed: the journal was closed.
	ErrClosed = errors.New("journal is closed")
)

// HeldError says who has the journal open, as far as it is known.
type HeldError struct {
	Path  string
	PID   int    // 0 when unknown
	Host  string // "" when unknown
	Since time.Time
}

func (e *HeldError) Error() string {
	var by strings.Builder
	if e.PID != 0 {
		fmt.Fprintf(&by, " by process %d on %s since %s", e.PID, e.Host, e.Since.Local().Format("2 Jan 15:04:05"))
		if e.PID == os.Getpid() && e.Host == host.Name() {
			by.WriteString(", which is this very program")
		}
	}
	return fmt.Sprintf("journal %s is in use%s; wait for that to end, or choose another file", e.Path, by.String())
}

// Is says that it is [ErrHeld].
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// DamageError says which line is not what was written. What stands before it is sound.
type DamageError struct {
	Path string
	Line int // from 1
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("journal %s: line %d is damaged, and sound lines follow it; to go on with the lines before it: head -n %d %s > NEW", e.Path, e.Line, e.Line-1, e.Path)
}

// Is says that it is [ErrDamaged].
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// Record is one line of a journal.
type Record struct {
	Line   int    // from 1, which is the header; 0 from [File.Record]
	Offset int64  // of the line, for [File.Record]
	Data   []byte // the object that was appended, byte by byte; valid until the next record
}

// header is the first line.
type header struct {
	Journal int       `json:"journal"` // version
	Kind    string    `json:"kind"`
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
}

// file is what a journal needs of an *os.File.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// File is a journal that is open to be written, by this program alone. It is safe for
// concurrent use.
type File struct {
	path string
	file file
	cut  int64

	reading sync.Mutex
	window  window

	syncing sync.Mutex // held during fsync

	mu     sync.Mutex
	size   int64 // of the sound lines
	synced int64 // of them, how much is on the disk
	buf    []byte
	timer  *time.Timer // set while a sync is due
	err    error       // why nothing can be written any more
}

// Open opens the journal at path, or makes one, and gives every record in it to
// replay, in order; the memory needed is that of the longest. kind says what the records
// mean and in which version, such as "smooth 1": a journal of another kind is refused.
// An error of replay ends it, and comes back with the line's number.
//
// The errors are *[HeldError], *[DamageError], [ErrForeign] and those of the system. After
// any of them the file is as it was. On systems that cannot lock a file it is
// errors.ErrUnsupported.
func Open(path, kind string, replay func(Record) error) (*File, error) {
	if len(kind) > maxText {
		return nil, fmt.Errorf("journal %s: kind %q has more than %d bytes", path, kind, maxText)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j, err := open(locked{f}, path, kind, replay)
	if err != nil {
		locked{f}.Close()
		return nil, err
	}
	return j, nil
}

// locked is a file that this program has locked.
type locked struct{ *os.File }

// Close unlocks the file, which closing it alone may not do at once: a child process
// that is just being started can have a copy of the descriptor.
func (f locked) Close() error { return errors.Join(unlock(f.File), f.File.Close()) }

// Lock takes a file that is open for writing for this program until it is closed, which the
// system does when the program dies. It says whether another has it, and fails with
// [errors.ErrUnsupported] where there are no locks.
func Lock(f *os.File) (taken bool, err error) { return lock(f) }

func open(f locked, path, kind string, replay func(Record) error) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("journal %s: %w: it is no regular file", path, ErrForeign)
	}
	held, err := lock(f.File)
	if err != nil {
		return nil, fmt.Errorf("journal %s cannot be locked: %w", path, err)
	}
	if held {
		e := &HeldError{Path: path}
		// It may be about to be written, so what it says counts only when sound.
		if h, err := readHeader(f); err == nil {
			e.PID, e.Host, e.Since = h.PID, h.Host, h.Since
		}
		return nil, e
	}
	j := &File{path: path, file: f}
	if err := j.start(kind, replay); err != nil {
		return nil, err
	}
	return j, nil
}

// start reads what there is, and makes the journal ready to be written.
func (j *File) start(kind string, replay func(Record) error) error {
	j.window.file = j.file
	h, err := readHeader(j.file)
	fresh := errors.Is(err, errNoHeader)
	switch {
	case fresh:
		j.size = headerSize
	case err == nil && h.Journal != version:
		return fmt.Errorf("journal %s: %w: it has version %d of the format, and this program knows %d", j.path, ErrForeign, h.Journal, version)
	case err == nil && h.Kind != kind:
		return fmt.Errorf("journal %s: %w: it is one of %q, and this program writes %q; choose another file", j.path, ErrForeign, h.Kind, kind)
	case err != nil:
		return fmt.Errorf("journal %s: %w", j.path, err)
	default:
		if err := j.replay(replay); err != nil {
			return err
		}
	}
	if j.cut > 0 {
		if err := j.file.Truncate(j.size); err != nil {
			return fmt.Errorf("journal %s: cutting off its torn end: %w", j.path, err)
		}
	}
	if err := j.writeHeader(kind, fresh); err != nil {
		return fmt.Errorf("journal %s: writing its header: %w", j.path, err)
	}
	j.synced = j.size
	return nil
}

func (j *File) writeHeader(kind string, fresh bool) error {
	name := host.Name()
	object, err := json.Marshal(header{Journal: version, Kind: kind, PID: os.Getpid(), Host: name[:min(len(name), maxText)], Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	object = append(object[:len(object)-1], bytes.Repeat([]byte(" "), headerSize-framing-len(object))...)
	line := appendLine(nil, append(object, '}'))
	if _, err := j.file.WriteAt(line, 0); err != nil {
		if fresh {
			err = errors.Join(err, j.file.Truncate(0))
		}
		return err
	}
	if !fresh {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(j.path))
}

// errNoHeader: there is nothing in the file, or what is left of a header that was never
// whole.
var errNoHeader = errors.New("no header")

// headerStart is how a header begins, but for its checksum.
const headerStart = `{"crc":"........","journal":`

func readHeader(f io.ReaderAt) (h header, err error) {
	var line [headerSize]byte
	n, err := f.ReadAt(line[:], 0)
	if err != nil && err != io.EOF { //nolint:errorlint // ReadAt gives io.EOF itself
		return h, err
	}
	for i := range min(n, len(headerStart)) {
		if c := headerStart[i]; c != '.' && c != line[i] {
			return h, fmt.Errorf("%w: it does not begin as one; choose another file", ErrForeign)
		}
	}
	if n < headerSize {
		if bytes.IndexByte(line[:n], '\n') >= 0 {
			return h, fmt.Errorf("%w: its header is too short", ErrForeign)
		}
		return h, errNoHeader
	}
	object, ok := unframe(line[:headerSize-1])
	if !ok || line[headerSize-1] != '\n' {
		return h, fmt.Errorf("%w: line 1, its header, is not what was written", ErrDamaged)
	}
	if err := json.Unmarshal(object, &h); err != nil {
		return h, fmt.Errorf("%w: line 1, its header: %w", ErrDamaged, err)
	}
	return h, nil
}

// replay sets size to the end of the sound lines, and cut to what lies behind it.
func (j *File) replay(each func(Record) error) error {
	offset, line, bad := int64(headerSize), 1, 0
	j.size = offset
	for {
		text, whole, err := j.window.line(offset)
		if err != nil {
			return fmt.Errorf("journal %s: %w", j.path, err)
		}
		if len(text) == 0 && !whole {
			break
		}
		line++
		r := Record{Line: line, Offset: offset}
		sound := whole
		if sound {
			r.Data, sound = unframe(text)
		}
		switch {
		case !sound:
			if bad == 0 {
				bad = line
			}
		case bad > 0:
			return &DamageError{Path: j.path, Line: bad}
		default:
			if err := each(r); err != nil {
				return fmt.Errorf("journal %s: line %d: %w", j.path, line, err)
			}
		}
		offset += int64(len(text))
		if whole {
			offset++
		}
		if bad == 0 {
			j.size = offset
		}
	}
	j.cut = offset - j.size
	return nil
}

// Cut returns how many bytes [Open] cut off the end of the file, because the program that
// wrote them did not live to finish.
func (j *File) Cut() int64 { return j.cut }

// Append writes records, each one JSON object with at least one field on a single line,
// and none of them named "crc". They are in the file when it returns, where the end of
// this program cannot hurt them, and on the disk after [SyncDelay] or the next [File.Sync],
// where a power cut cannot either. Many records in one call cost little more than one.
//
// When a record cannot be written, because the disk is full, say, the file is cut back to
// its last whole record, and this and every later call return the error.
func (j *File) Append(objects ...[]byte) error {
	for _, o := range objects {
		if len(o) > MaxRecord {
			return fmt.Errorf("journal %s: a record of %d bytes; it may have %d", j.path, len(o), MaxRecord)
		}
		if len(o) < len(`{"":0}`) || o[0] != '{' || o[len(o)-1] != '}' || bytes.IndexByte(o, '\n') >= 0 {
			return fmt.Errorf("journal %s: record %.40q is not one JSON object on one line", j.path, o)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil || len(objects) == 0 {
		return j.err
	}
	j.buf = j.buf[:0]
	for _, o := range objects {
		j.buf = appendLine(j.buf, o)
	}
	if _, err := j.file.WriteAt(j.buf, j.size); err != nil {
		j.fail(errors.Join(err, j.file.Truncate(j.size)))
		return j.err
	}
	j.size += int64(len(j.buf))
	if cap(j.buf) > keepUpTo {
		j.buf = nil
	}
	if j.timer == nil {
		j.timer = time.AfterFunc(SyncDelay, func() { _ = j.Sync() }) // an error stays in j
	}
	return nil
}

// fail is called with the journal locked.
func (j *File) fail(err error) {
	if j.err == nil {
		j.err = fmt.Errorf("journal %s cannot be written: %w; what was written before stays, and a later run can go on from it", j.path, err)
	}
}

// Sync returns when all records appended before are on the disk. Calls at the same time
// share one fsync.
func (j *File) Sync() error {
	j.mu.Lock()
	want := j.size
	j.mu.Unlock()
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	size, err, done := j.size, j.err, j.synced >= want
	if j.timer != nil { // what comes from now on needs another
		j.timer.Stop()
		j.timer = nil
	}
	j.mu.Unlock()
	if err != nil || done {
		return err
	}
	err = j.file.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.fail(err)
		return j.err
	}
	j.synced = size
	return nil
}

// Record reads the record at an offset that [Open] gave.
func (j *File) Record(offset int64) (Record, error) {
	j.reading.Lock()
	defer j.reading.Unlock()
	text, whole, err := j.window.line(offset)
	if err != nil {
		return Record{}, fmt.Errorf("journal %s: %w", j.path, err)
	}
	data, ok := unframe(text)
	if !whole || !ok {
		return Record{}, fmt.Errorf("journal %s: %w: the record at byte %d has changed since the file was opened", j.path, ErrDamaged, offset)
	}
	return Record{Offset: offset, Data: data}, nil
}

// Close syncs the journal and lets other programs have it. What was appended is in the
// file even when Close returns an error; it may just not be on the disk.
func (j *File) Close() error {
	err := j.Sync()
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if errors.Is(j.err, ErrClosed) {
		return nil
	}
	if j.timer != nil {
		j.timer.Stop()
	}
	j.err = fmt.Errorf("journal %s: %w", j.path, ErrClosed)
	j.reading.Lock()
	defer j.reading.Unlock()
	return errors.Join(err, j.file.Close())
}

// castagnoli is made when it is needed: every worker process has this package.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

const (
	crcStart = `{"crc":"`
	crcEnd   = len(crcStart) + 8
	// framing is what a line is longer than its object, newline included.
	framing = len(`"crc":"........",`) + 1
)

// appendLine appends the line of an object.
func appendLine(b, object []byte) []byte {
	fields := object[1:]
	b = slices.Grow(b, framing+len(object))
	b = append(b, crcStart...)
	sum := crc32.Checksum(fields, castagnoli())
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[sum>>shift&15])
	}
	b = append(b, `",`...)
	b = append(b, fields...)
	return append(b, '\n')
}

// unframe returns the object of a line, if that is sound. The object lies in the line, of
// which it overwrites a comma; unframe can read the line again all the same.
func unframe(line []byte) (object []byte, ok bool) {
	const comma = crcEnd + 1
	if len(line) < comma+1 || string(line[:len(crcStart)]) != crcStart || line[crcEnd] != '"' {
		return nil, false
	}
	if c := line[comma]; c != ',' && c != '{' || line[len(line)-1] != '}' {
		return nil, false
	}
	sum, err := strconv.ParseUint(string(line[len(crcStart):crcEnd]), 16, 32)
	if err != nil || crc32.Checksum(line[comma+1:], castagnoli()) != uint32(sum) {
		return nil, false
	}
	line[comma] = '{'
	return line[comma:], true
}

const (
	// readAhead is how much is read at a time. Records are mostly read in order.
	readAhead = 64 << 10
	// keepUpTo bounds the memory that is kept for later.
	keepUpTo = 4 << 20
)

// window is a part of a file, in memory.
type window struct {
	file  io.ReaderAt
	start int64
	data  []byte
}

// line returns the line at offset without its newline; whole is false when it has none,
// and then text is empty at the end of the file. It is valid until the next call. A line
// longer than any record comes in parts, which are not whole.
func (w *window) line(offset int64) (text []byte, whole bool, err error) {
	if offset < w.start || offset > w.start+int64(len(w.data)) {
		w.start, w.data = offset, w.data[:0]
	}
	for searched := 0; ; {
		have := w.data[offset-w.start:]
		if i := bytes.IndexByte(have[searched:], '\n'); i >= 0 {
			return have[:searched+i], true, nil
		}
		searched = len(have)
		if searched > MaxRecord+framing {
			return have, false, nil
		}
		if cap(w.data) > keepUpTo && len(have) < readAhead {
			w.data = make([]byte, 0, 2*readAhead)
		}
		w.start, w.data = offset, append(w.data[:0], have...)
		w.data = slices.Grow(w.data, max(readAhead, len(have)))
		n, err := w.file.ReadAt(w.data[len(w.data):cap(w.data)], offset+int64(len(w.data)))
		w.data = w.data[:len(w.data)+n]
		switch {
		case n > 0:
		case err == io.EOF: //nolint:errorlint // ReadAt gives io.EOF itself
			return w.data, false, nil
		default:
			return nil, false, err
		}
	}
}
