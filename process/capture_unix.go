//go:build unix

package process

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/parade-go/parade"
	"golang.org/x/sys/unix"
)

const (
	// capturedBytes is how much of what a task prints is kept.
	capturedBytes = 64 << 10
	// trimEvery is how often what is beyond that is freed while a task prints, and
	// trimFrom how much it may come to.
	trimEvery = 50 * time.Millisecond
	trimFrom  = 1 << 20
)

// capture keeps what this process and those that it starts print: while it does, the
// descriptors 1 and 2 are files of the parent's. So the last words of a task that takes the
// process along are there, too.
type capture struct {
	mu      sync.Mutex
	streams [2]stream
	trim    *time.Timer
	on      bool
}

// stream is one of the two.
type stream struct {
	fd    int // 1 or 2
	file  int // what it is while it is captured
	saved int // what it was before; 0: not known yet
	freed int64
}

// Begin implements [parade.Capture].
func (c *capture) Begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.streams {
		s := &c.streams[i]
		if s.saved == 0 {
			saved, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return fmt.Errorf("descriptor %d: %w", s.fd, err)
			}
			s.saved = saved
		}
		if err := unix.Dup2(s.file, s.fd); err != nil {
			c.restore()
			return fmt.Errorf("descriptor %d: %w", s.fd, err)
		}
	}
	c.on = true
	if c.trim == nil {
		c.trim = time.AfterFunc(trimEvery, c.trimAll)
	} else {
		c.trim.Reset(trimEvery)
	}
	return nil
}

// restore is called with the capture locked.
func (c *capture) restore() {
	for _, s := range c.streams {
		if s.saved != 0 {
			_ = unix.Dup2(s.saved, s.fd)
		}
	}
	c.on = false
}

// trimAll frees what a task has printed beyond what is kept.
func (c *capture) trimAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return
	}
	for i := range c.streams {
		s := &c.streams[i]
		if to := s.size() - capturedBytes; to-s.freed > trimFrom {
			free(s.file, s.freed, to-s.freed)
			s.freed = to
		}
	}
	c.trim.Reset(trimEvery)
}

// Take implements [parade.Capture].
func (c *capture) Take() (stdout, stderr parade.Output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[0].take(), c.streams[1].take()
}

// End implements [parade.Capture].
func (c *capture) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim.Stop()
	c.restore()
}

func (s *stream) size() int64 {
	var st unix.Stat_t
	if err := unix.Fstat(s.file, &st); err != nil {
		return 0
	}
	return st.Size
}

func (s *stream) take() (out parade.Output) {
	size := s.size()
	if size == 0 {
		return out
	}
	buf := make([]byte, min(size, capturedBytes))
	n, err := unix.Pread(s.file, buf, size-int64(len(buf)))
	if err != nil {
		n = 0
	}
	out.Text, out.Cut = string(buf[:n]), size-int64(n)
	_ = unix.Ftruncate(s.file, 0) // the next one appends to nothing
	s.freed = 0
	return out
}

// lastLines are those at the end of a file.
func lastLines(f *os.File) []string {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil
	}
	buf := make([]byte, min(info.Size(), capturedBytes))
	n, _ := f.ReadAt(buf, info.Size()-int64(len(buf)))
	text := strings.TrimRight(string(bytes.ToValidUTF8(buf[:n], []byte("?"))), "\n")
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-keptLines):]
}

// appending has every write go to the end of a file, whoever has it open.
func appending(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err == nil {
		set := raw.Control(func(fd uintptr) {
			_, err = unix.FcntlInt(fd, unix.F_SETFL, unix.O_APPEND|unix.O_RDWR)
		})
		if set != nil {
			err = set
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// temporaryFile is a file without a name.
func temporaryFile() (*os.File, error) {
	f, err := os.CreateTemp("", "parade-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return appending(f)
}
