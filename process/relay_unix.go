//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxLine is where an endless line is cut, and keptLines how many of the
	// last ones an error shows.
	maxLine   = 64 << 10
	keptLines = 10
	// maxPipe is what a pipe holds, and drainTime how long a slow reader of
	// the output may delay the end of a call.
	maxPipe   = 64 << 10
	drainTime = time.Second
)

// relay passes a child's output on, a line at a time, with the child's name.
type relay struct {
	pipe   *os.File
	to     io.Writer
	output *sync.Mutex // one for all children: lines do not mix
	prefix string
	done   chan struct{}

	mu     sync.Mutex
	line   []byte
	last   []string
	silent bool // lines are kept, but not passed on
	buf    []byte
}

func newRelay(pipe *os.File, to io.Writer, output *sync.Mutex, name string) *relay {
	r := &relay{pipe: pipe, to: to, output: output, prefix: "[" + name + "] ", done: make(chan struct{}), silent: true}
	go r.run()
	return r
}

// run relays until every process that holds the other end has gone.
func (r *relay) run() {
	defer close(r.done)
	raw, err := r.pipe.SyscallConn()
	if err != nil {
		return
	}
	for more := true; more; {
		err := raw.Read(func(fd uintptr) bool {
			// A little at a time, so that drain gets its turn.
			var end bool
			end, more = r.take(int(fd), 1)
			return end || more
		})
		if err != nil {
			return
		}
	}
}

// take relays what there is, about limit bytes of it, and says whether that
// was the end of the output, or whether there may be more.
func (r *relay) take(fd, limit int) (end, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		r.buf = make([]byte, 4<<10)
	}
	start := time.Now()
	for taken := 0; taken < limit && time.Since(start) < drainTime; {
		n, err := syscall.Read(fd, r.buf)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false, false
		case err != nil || n == 0:
			if len(r.line) > 0 {
				r.pass()
			}
			return true, false
		default:
			r.add(r.buf[:n])
			taken += n
		}
	}
	return false, true
}

func (r *relay) add(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if r.line = append(r.line, p...); len(r.line) >= maxLine {
				r.pass()
			}
			return
		}
		r.line = append(r.line, p[:i]...)
		r.pass()
		p = p[i+1:]
	}
}

func (r *relay) pass() {
	text := string(r.line)
	r.line = r.line[:0]
	if len(r.last) == keptLines {
		r.last = append(r.last[:0], r.last[1:]...)
	}
	r.last = append(r.last, text)
	if r.silent {
		return
	}
	r.output.Lock()
	defer r.output.Unlock()
	fmt.Fprintf(r.to, "%s%s\n", r.prefix, text)
}

// drain relays what has been written so far, which is no more than a pipe
// holds.
func (r *relay) drain() {
	raw, err := r.pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { r.take(int(fd), maxPipe) })
}

// begin drops what came before the child served, which is what main prints in
// every process, and passes on what comes from now on.
func (r *relay) begin() {
	r.drain()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line, r.last, r.silent = nil, nil, false
}

func (r *relay) lastLines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.last...)
}
