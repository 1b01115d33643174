package nifti

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"
)

// readAhead reads on a goroutine of its own what will be asked for next.
type readAhead struct {
	full chan block
	free chan []byte
	quit chan struct{}
	now  block  // being read
	rest []byte // of it
}

type block struct {
	data []byte
	err  error // after data
}

const (
	aheadBlocks = 4
	aheadSize   = 1 << 18
)

func newReadAhead(r io.Reader) *readAhead {
	a := &readAhead{full: make(chan block, aheadBlocks), free: make(chan []byte, aheadBlocks), quit: make(chan struct{})}
	for range aheadBlocks {
		a.free <- make([]byte, aheadSize)
	}
	go a.run(r)
	return a
}

func (a *readAhead) run(r io.Reader) {
	defer close(a.full)
	for {
		var b block
		select {
		case b.data = <-a.free:
		case <-a.quit:
			return
		}
		n := 0
		for n < len(b.data) && b.err == nil {
			var m int
			m, b.err = r.Read(b.data[n:])
			n += m
		}
		b.data = b.data[:n]
		a.full <- b // has room for all blocks
		if b.err != nil {
			return
		}
	}
}

// Read gives what has been read ahead.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.free <- a.now.data[:cap(a.now.data)]
		}
		a.now = <-a.full
		a.rest = a.now.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the goroutine and returns when it has ended.
func (a *readAhead) stop() {
	close(a.quit)
	for range a.full {
	}
}

// gzipWriter deflates blocks of a fixed size on several goroutines. What it writes
// is one gzip stream of one member, which every reader takes, and depends on the
// data alone: each block is deflated by itself and ends at a full byte, so that they
// follow each other as if one compressor had flushed between them.
type gzipWriter struct {
	w     io.Writer
	level int
	now   *deflated      // being filled
	free  chan *deflated // to fill
	work  chan *deflated // to deflate, in any order
	order chan *deflated // to write, in order
	ended sync.WaitGroup
	drop  atomic.Bool // nothing is worth the work any more
	err   atomic.Pointer[error]
}

type deflated struct {
	in   []byte
	out  bytes.Buffer
	last bool
	done chan error
}

const deflateSize = 1 << 18

func newGzipWriter(w io.Writer, level, workers int) *gzipWriter {
	n := 2*workers + 1
	z := &gzipWriter{w: w, level: level, free: make(chan *deflated, n), work: make(chan *deflated, n), order: make(chan *deflated, n)}
	for range n {
		z.free <- &deflated{done: make(chan error, 1)}
	}
	for range workers {
		z.ended.Go(z.deflate)
	}
	z.ended.Go(z.write)
	return z
}

func (z *gzipWriter) deflate() {
	var f *flate.Writer
	for b := range z.work {
		if z.drop.Load() {
			b.done <- nil
			continue
		}
		var err error
		b.out.Reset()
		if f == nil {
			f, err = flate.NewWriter(&b.out, z.level)
		} else {
			f.Reset(&b.out)
		}
		if err == nil {
			_, err = f.Write(b.in)
		}
		if err == nil && b.last {
			err = f.Close()
		} else if err == nil {
			err = f.Flush()
		}
		b.done <- err
	}
}

// write writes blocks in order until there are no more.
func (z *gzipWriter) write() {
	// Deflate, no flags, no time, no claim about the level, no operating system.
	_, err := z.w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255})
	sum, size := uint32(0), uint32(0)
	for b := range z.order {
		if e := <-b.done; err == nil {
			err = e
		}
		if err == nil && !z.drop.Load() {
			sum = crc32.Update(sum, crc32.IEEETable, b.in)
			size += uint32(len(b.in)) // modulo 2^32, as gzip wants it
			_, err = z.w.Write(b.out.Bytes())
			if err == nil && b.last {
				end := binary.LittleEndian.AppendUint32(nil, sum)
				_, err = z.w.Write(binary.LittleEndian.AppendUint32(end, size))
			}
		}
		if err != nil {
			z.err.CompareAndSwap(nil, &err)
			z.drop.Store(true)
		}
		z.free <- b
	}
}

func (z *gzipWriter) failed() error {
	if err := z.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Write copies p. An error may come later, with another block.
func (z *gzipWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if z.now == nil {
			z.now = <-z.free
			z.now.in = z.now.in[:0]
		}
		n := min(len(rest), deflateSize-len(z.now.in))
		z.now.in = append(z.now.in, rest[:n]...)
		if rest = rest[n:]; len(z.now.in) == deflateSize {
			z.send(z.now)
			z.now = nil
		}
	}
	return len(p), z.failed()
}

func (z *gzipWriter) send(b *deflated) {
	z.order <- b
	z.work <- b
}

// Close ends the stream and the goroutines.
func (z *gzipWriter) Close() error {
	if z.now == nil {
		z.now = <-z.free
		z.now.in = z.now.in[:0]
	}
	z.now.last = true
	z.send(z.now)
	z.end()
	return z.failed()
}

// abort ends the goroutines alone.
func (z *gzipWriter) abort() {
	z.drop.Store(true)
	z.end()
}

func (z *gzipWriter) end() {
	close(z.work)
	close(z.order)
	z.ended.Wait()
}
