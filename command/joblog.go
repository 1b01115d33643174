package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/parade-go/parade/internal/host"
)

// JoblogHeader is the first line of a joblog, without its newline.
const JoblogHeader = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"

// maxJoblogLine bounds the line of a joblog. A command has a few megabytes at most.
const maxJoblogLine = 64 << 20

// ErrJoblog says that a file is not a joblog, or that a line of it is damaged.
var ErrJoblog = errors.New("bad joblog")

// JoblogEntry is one line of a joblog: a task that has ended.
type JoblogEntry struct {
	Seq      int    // from 1
	Host     string // ":" is this one, see [Journal.NameHosts]
	Start    time.Time
	Runtime  time.Duration
	Sent     int64  // bytes of files sent to the host
	Received int64  // bytes of standard output, or of files that came back
	Exit     int    // -1 for a task that ran out of time
	Signal   int    // that ended the task
	Command  string // for a shell
}

// OK tells whether the task did not fail.
func (e JoblogEntry) OK() bool { return e.Exit == 0 && e.Signal == 0 }

// JoblogEntry gives a result as GNU parallel logs it: a task that a signal ended has
// the exit value 0, and one that ran out of time has -1 and signal 15.
func (r Result) JoblogEntry() JoblogEntry {
	e := JoblogEntry{Seq: r.Seq, Host: r.Host, Start: r.Start, Runtime: r.Duration, Received: r.Stdout.Size, Exit: r.Exit, Signal: r.Signal, Command: r.Command}
	if e.Host == "" || e.Host == host.Name() {
		e.Host = ":"
	}
	switch {
	case r.TimedOut:
		e.Exit, e.Signal = -1, 15
	case r.Signal != 0 && r.Exit == 128+r.Signal:
		e.Exit = 0
	}
	return e
}

// AppendText appends the entry's line, newline included, byte by byte as GNU parallel
// writes it: seconds with three decimals and, so that it stays one line, NUL for a
// newline of the command. Tabs in the last column need no care.
func (e JoblogEntry) AppendText(b []byte) ([]byte, error) {
	if strings.ContainsAny(e.Host, "\t\n\x00") || e.Host == "" {
		return b, fmt.Errorf("command: %w: host %q cannot stand in one", ErrJoblog, e.Host)
	}
	start := max(0, unixMilli(e.Start))
	b = fmt.Appendf(b, "%d\t%s\t%d.%03d\t%10.3f\t%d\t%d\t%d\t%d\t", e.Seq, e.Host, start/1000, start%1000, e.Runtime.Seconds(), e.Sent, e.Received, e.Exit, e.Signal)
	command := len(b)
	b = append(b, e.Command...)
	for i, c := range b[command:] {
		if c == '\n' {
			b[command+i] = 0
		}
	}
	return append(b, '\n'), nil
}

// unixMilli is 0 for a time that is not set, as of a task that was skipped.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// parseJoblogEntry reads a line without its newline.
func parseJoblogEntry(line []byte) (e JoblogEntry, err error) {
	columns := strings.SplitN(string(line), "\t", 9)
	if len(columns) < 9 {
		return e, fmt.Errorf("it has %d columns, and a joblog has 9", len(columns))
	}
	number := func(name, text string, into *int64) {
		n, bad := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if bad != nil && err == nil {
			err = fmt.Errorf("%s %q is not a whole number", name, text)
		}
		*into = n
	}
	thousandths := func(name, text string) int64 {
		x, bad := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if !(math.Abs(x) < 1e12) { // beyond any time
			bad = strconv.ErrRange
		}
		if bad != nil && err == nil {
			err = fmt.Errorf("%s %q is not a number of seconds", name, text)
		}
		return int64(math.Round(x * 1000))
	}
	var seq, exit, signal int64
	number("Seq", columns[0], &seq)
	e.Host = columns[1]
	if start := thousandths("Starttime", columns[2]); start != 0 {
		e.Start = time.UnixMilli(start).UTC()
	}
	runtime := thousandths("JobRuntime", columns[3])
	number("Send", columns[4], &e.Sent)
	number("Receive", columns[5], &e.Received)
	number("Exitval", columns[6], &exit)
	number("Signal", columns[7], &signal)
	if err != nil {
		return e, err
	}
	if seq < 1 || seq > math.MaxInt || runtime > math.MaxInt64/int64(time.Millisecond) || int64(int32(exit)) != exit || int64(int32(signal)) != signal {
		return e, errors.New("a number is too large or too small")
	}
	e.Seq, e.Exit, e.Signal = int(seq), int(exit), int(signal)
	e.Runtime = time.Duration(runtime) * time.Millisecond
	e.Command = strings.ReplaceAll(columns[8], "\x00", "\n")
	return e, nil
}

// ReadJoblog gives the entries of a joblog, written by Parade or by GNU parallel, in
// the order in which the tasks ended, in constant memory. A last line without its
// newline was torn by the end of the program that wrote it, and is left out. The
// errors wrap [ErrJoblog], with the line, or are those of the system.
func ReadJoblog(path string) iter.Seq2[JoblogEntry, error] {
	return func(yield func(JoblogEntry, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(JoblogEntry{}, fmt.Errorf("command: joblog: %w", err))
			return
		}
		defer f.Close()
		number := 1
		for line, err := range joblogLines(f, path) {
			var e JoblogEntry
			number++
			if err == nil {
				if e, err = parseJoblogEntry(line.text); err != nil {
					err = fmt.Errorf("command: joblog %s: %w: line %d: %w", path, ErrJoblog, number, err)
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// joblogLine is a whole line after the header, without its newline.
type joblogLine struct {
	offset int64
	text   []byte // valid until the next
}

// joblogLines checks the header and gives the lines. A file that ends within the
// header has none.
func joblogLines(r io.Reader, path string) iter.Seq2[joblogLine, error] {
	return func(yield func(joblogLine, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		fail := func(err error) { yield(joblogLine{}, fmt.Errorf("command: joblog %s: %w", path, err)) }
		var offset int64
		var long []byte
		for number := 1; ; number++ {
			text, err := lines.ReadSlice('\n')
			for long = long[:0]; errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxJoblogLine; {
				long = append(long, text...)
				text, err = lines.ReadSlice('\n')
			}
			if len(long) > 0 {
				long = append(long, text...)
				text = long
			}
			switch {
			case len(text) > maxJoblogLine:
				fail(fmt.Errorf("%w: line %d has more than %d bytes", ErrJoblog, number, maxJoblogLine))
				return
			case number == 1 && !bytes.HasPrefix([]byte(JoblogHeader+"\n"), text[:min(len(text), len(JoblogHeader)+1)]):
				fail(fmt.Errorf("%w: it does not begin as one, with %q; it is left as it is", ErrJoblog, "Seq\tHost\tStarttime"))
				return
			case errors.Is(err, io.EOF): // what is left is torn
				return
			case err != nil:
				fail(err)
				return
			case number > 1 && !yield(joblogLine{offset, text[:len(text)-1]}, nil):
				return
			}
			offset += int64(len(text))
		}
	}
}

// joblogWriter writes whole lines.
type joblogWriter struct {
	file *os.File
	buf  []byte
	err  error // why nothing can be written any more
}

func (w *joblogWriter) write(entries ...JoblogEntry) error {
	if w.err != nil {
		return w.err
	}
	w.buf = w.buf[:0]
	for _, e := range entries {
		var err error
		if w.buf, err = e.AppendText(w.buf); err != nil {
			return err
		}
	}
	return w.writeText(w.buf)
}

func (w *joblogWriter) writeText(text []byte) error {
	if n, err := w.file.Write(text); err != nil {
		if end, seekErr := w.file.Seek(0, io.SeekCurrent); seekErr == nil && n > 0 {
			err = errors.Join(err, w.file.Truncate(end-int64(n)))
		}
		w.err = fmt.Errorf("command: joblog cannot be written: %w", err)
	}
	return w.err
}
