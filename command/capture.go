package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// nearlyFull is how little room, in bytes, makes a closer look necessary.
	nearlyFull = 1 << 20
	// lineBuffer is how long a line can be that comes in one piece.
	lineBuffer = 64 << 10
	// drainTime is how long lines are read on after the command has ended, where a
	// process that it has left behind holds the pipe.
	drainTime = 100 * time.Millisecond
)

// errFull says that the folder for outputs is full.
var errFull = errors.New("no space left for what the command prints; its output may be cut")

// capture is where the output of one attempt goes.
//
// With Grouped these are two new files without a name. They cost about one percent of
// a start, and what a command has left running cannot write into another's output.
type capture struct {
	stdout, stderr *os.File // what the command gets
	collect        func(*Result) error
	close          func()
}

func (t *task) openCapture() (*capture, error) {
	switch t.spec.Capture {
	case ByLine:
		return t.openLines()
	case Ungrouped:
		return &capture{stdout: os.Stdout, stderr: os.Stderr, collect: func(*Result) error { return nil }, close: func() {}}, nil
	}
	dir := t.spec.Spill
	if dir == "" {
		dir = os.TempDir()
	}
	stdout, err := temporaryFile(dir)
	if err != nil {
		return nil, fmt.Errorf("file for the output: %w", err)
	}
	stderr, err := temporaryFile(dir)
	if err != nil {
		_ = stdout.Close()
		return nil, fmt.Errorf("file for the output: %w", err)
	}
	return &capture{
		stdout: stdout, stderr: stderr,
		collect: func(r *Result) (err error) {
			if r.Stdout, err = t.take(stdout, dir, "stdout"); err == nil {
				r.Stderr, err = t.take(stderr, dir, "stderr")
			}
			if err == nil {
				err = room(dir, stdout)
			}
			if err != nil {
				return fmt.Errorf("folder %s: %w", dir, err)
			}
			return nil
		},
		close: func() {
			_ = stdout.Close()
			_ = stderr.Close()
		},
	}, nil
}

// take makes an Output of a file.
func (t *task) take(f *os.File, dir, name string) (Output, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return Output{}, err
	}
	if size <= max(t.spec.Inline, InlineLimit) {
		data := make([]byte, size)
		n, err := f.ReadAt(data, 0)
		if err == io.EOF { //nolint:errorlint // never wrapped; something has cut the file
			err = nil
		}
		return Output{Data: data[:n], Size: int64(n)}, err
	}
	file := filepath.Join(dir, fmt.Sprintf("parade-%s-%d.%d.%s", runToken(), t.in.Seq, attempts.Add(1), name))
	if err := keepFile(f, file); err != nil {
		_ = os.Remove(file)
		return Output{}, err
	}
	return Output{File: file, Size: size}, nil
}

// room says whether the folder of the outputs is so full that some may be missing. A
// command often does not notice that, or does not say so.
func room(dir string, f *os.File) error {
	if free, ok := freeSpace(dir); !ok || free >= nearlyFull {
		return nil
	}
	if _, err := f.Write(make([]byte, 4<<10)); err != nil {
		return fmt.Errorf("%w: %w", errFull, err)
	}
	return nil
}

// copyFile writes what f holds to a new file.
func copyFile(f *os.File, name string) (err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	to, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = io.Copy(to, f)
	return err
}

// openLines gives the output out line by line.
func (t *task) openLines() (*capture, error) {
	var c capture
	var readers []*os.File
	var running sync.WaitGroup
	var tail []byte
	abandon := func() {
		for _, f := range readers {
			_ = f.Close()
		}
	}
	for i, to := range []**os.File{&c.stdout, &c.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			if i > 0 {
				_ = c.stdout.Close()
			}
			abandon()
			running.Wait()
			return nil, fmt.Errorf("pipe for the output: %w", err)
		}
		*to = w
		readers = append(readers, r)
		emit := t.emitter(i == 1, &tail)
		running.Go(func() { splitLines(r, emit) })
	}
	finish := sync.OnceFunc(func() {
		_ = c.stdout.Close()
		_ = c.stderr.Close()
		for _, r := range readers {
			_ = r.SetReadDeadline(time.Now().Add(drainTime))
		}
		running.Wait()
		abandon()
	})
	c.collect = func(r *Result) error {
		finish()
		r.Stderr = Output{Data: tail, Size: int64(len(tail))}
		return nil
	}
	c.close = finish
	return &c, nil
}

// printing keeps the lines of commands apart.
var printing sync.Mutex

// emitter gives out whole lines, or the last part of a command's output.
func (t *task) emitter(stderr bool, tail *[]byte) func(text []byte) {
	to := os.Stdout
	if stderr {
		to = os.Stderr
	}
	return func(text []byte) {
		if stderr {
			*tail = append(*tail, text...)
			*tail = (*tail)[max(0, len(*tail)-tailBytes):]
		}
		if t.watch != nil && t.watch.Line != nil {
			for len(text) > 0 {
				n := lineLength(text)
				t.watch.Line(OutputLine{Seq: t.in.Seq, Slot: t.seat.slot, Stderr: stderr, Text: text[:n:n]})
				text = text[n:]
			}
			return
		}
		printing.Lock()
		defer printing.Unlock()
		_, _ = to.Write(text) // nobody is left to tell
	}
}
