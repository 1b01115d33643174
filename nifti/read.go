package nifti

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	// Twice as fast as the standard library's, and reading is the serial part.
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// Float is the type of the values that are read and written.
type Float interface{ float32 | float64 }

// Reader reads the values of an image, from the first to the last. It is for one
// goroutine at a time. Its memory does not grow with the image.
type Reader struct {
	path   string // of the voxels, which are not the header of a pair
	header *Header
	stream *stream
	offset int64 // of the first value in the stream's contents
	total  int64 // values of the image
	done   int64 // values that were read
	buffer []uint64
	err    error // sticks
}

// Open reads the header of an image, by a name that ends in .hdr or .img that of a
// pair of files, and checks what it claims against the length of the file. An error
// names the file, field and value; it wraps ErrFormat or ErrType or is one of
// package os.
func Open(path string) (*Reader, error) {
	header, voxels, pair := partners(path)
	s, err := openStream(header)
	if err != nil {
		return nil, named(header, err)
	}
	r := &Reader{path: voxels, stream: s}
	var at int64
	if r.header, r.offset, at, err = readHeader(s, s.limit, pair); err == nil && pair {
		if err = s.finish(); err == nil {
			s.Close()
			if s, err = openStream(voxels); err != nil {
				return nil, named(voxels, err)
			}
			header, at, r.stream = voxels, 0, s
		}
	}
	if err == nil {
		err = r.begin(at)
	}
	if err != nil {
		s.Close()
		return nil, named(header, err)
	}
	return r, nil
}

// begin checks the length of the file and goes from byte at to the first value.
func (r *Reader) begin(at int64) error {
	h, s := r.header, r.stream
	r.total = h.values()
	size := r.total * int64(h.Datatype.Size())
	if size > s.limit-r.offset {
		what := "the file has"
		if s.gzipped {
			what = fmt.Sprintf("gzip can't hold in %d bytes more than", s.size)
		}
		return fail(ErrFormat, "dim says %v voxels of %s, which are %d bytes from byte %d on, but %s %d",
			h.Shape, h.Datatype, size, r.offset, what, s.limit)
	}
	return s.skip(r.offset - at)
}

// Header gives the header of the image. It is the reader's own: change a Clone.
func (r *Reader) Header() *Header { return r.header }

// ReadFloat32 fills dst with the next values, scaled: dst of VolumeLen values with
// the next volume. Each is computed as float64 and rounded once. After the last
// value the error is io.EOF; ErrCount says that dst has more values than are left.
func (r *Reader) ReadFloat32(dst []float32) error { return read(r, dst) }

// ReadFloat64 fills dst with the next values as ReadFloat32 does. Integers beyond
// 2^53, which only int64 and uint64 have, are rounded.
func (r *Reader) ReadFloat64(dst []float64) error { return read(r, dst) }

func read[T Float](r *Reader, dst []T) error {
	if r.err != nil {
		return r.err
	}
	left := r.total - r.done
	if left == 0 && len(dst) > 0 {
		return io.EOF
	}
	if int64(len(dst)) > left {
		return named(r.path, fail(ErrCount, "%d values asked for, but only %d are left", len(dst), left))
	}
	c := newConverter(r.header)
	err := fill(r, c, dst)
	if r.done += int64(len(dst)); err == nil && r.done == r.total && len(dst) > 0 {
		err = r.stream.finish()
	}
	if err != nil {
		r.err = named(r.path, err)
	}
	return r.err
}

// fill reads straight into dst where the file's values have its type, and else by
// way of a buffer.
func fill[T Float](r *Reader, c converter, dst []T) error {
	if sameType[T](c.datatype) {
		raw := bytesOf(dst)
		if err := r.readVoxels(raw); err != nil {
			return err
		}
		c.swap(raw)
		scale(c, dst)
		return nil
	}
	if r.buffer == nil {
		r.buffer = make([]uint64, 1<<13)
	}
	for size := c.datatype.Size(); len(dst) > 0; {
		raw := bytesOf(r.buffer)
		n := min(len(dst), len(raw)/size)
		raw = raw[:n*size]
		if err := r.readVoxels(raw); err != nil {
			return err
		}
		c.swap(raw)
		decode(c, dst[:n], raw)
		dst = dst[n:]
	}
	return nil
}

func (r *Reader) readVoxels(raw []byte) error {
	_, err := io.ReadFull(r.stream, raw)
	return short(err, "the voxels")
}

// SeekVolume makes volume i, counted from 0, the next to be read. In a gzipped file
// all that lies before it is inflated, from the beginning if i has been read.
func (r *Reader) SeekVolume(i int) error {
	if r.err != nil {
		return r.err
	}
	if i < 0 || i > r.header.Volumes() {
		return named(r.path, fail(ErrCount, "there is no volume %d, only %d", i, r.header.Volumes()))
	}
	done := int64(i) * int64(r.header.VolumeLen())
	size := int64(r.header.Datatype.Size())
	err := error(nil)
	if done < r.done {
		if err = r.stream.restart(); err == nil {
			r.done = 0
			err = r.stream.skip(r.offset)
		}
	}
	if err == nil {
		err = r.stream.skip((done - r.done) * size)
	}
	if r.done = done; err != nil {
		r.err = named(r.path, err)
	}
	return r.err
}

// Close closes the file. A second call does nothing.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = named(r.path, fail(fs.ErrClosed, "it is closed"))
	}
	return r.stream.Close()
}

// ReadFile reads all values of an image. Memory grows with what arrives. The error
// is that of Open or of ReadFloat64.
func ReadFile[T Float](path string) (*Header, []T, error) {
	r, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var values []T
	for int64(len(values)) < r.total {
		n := int(min(r.total-int64(len(values)), max(1<<16, int64(len(values)))))
		values = slices.Grow(values, n)
		at := len(values)
		values = values[:at+n]
		if err := read(r, values[at:]); err != nil {
			return nil, nil, err
		}
	}
	return r.header, values, nil
}

// partners gives the files of header and voxels, which differ for .hdr and .img. Of
// a pair each may be gzipped; the file given is kept, and the other one is the
// first that exists.
func partners(path string) (header, voxels string, pair bool) {
	base, gz := path, ""
	if ext := filepath.Ext(path); strings.EqualFold(ext, ".gz") {
		base, gz = strings.TrimSuffix(path, ext), ext
	}
	ext := filepath.Ext(base)
	base = strings.TrimSuffix(base, ext)
	other := map[string]string{".hdr": ".img", ".img": ".hdr", ".HDR": ".IMG", ".IMG": ".HDR"}[ext]
	if other == "" {
		return path, path, false
	}
	partner := base + other + gz
	for _, name := range []string{partner, base + other, base + other + ".gz"} {
		if _, err := os.Stat(name); err == nil {
			partner = name
			break
		}
	}
	if strings.EqualFold(ext, ".hdr") {
		return path, partner, true
	}
	return partner, path, true
}

// Files gives the names of the files of an image: of a pair the header first. A partner
// that is missing is among them.
func Files(path string) []string {
	header, voxels, pair := partners(path)
	if pair {
		return []string{header, voxels}
	}
	return []string{path}
}

// stream is the contents of a file, inflated if it is gzipped.
type stream struct {
	io.Reader
	file    *os.File
	size    int64 // of the file
	limit   int64 // that the contents can't exceed
	gzipped bool
	ahead   *readAhead // nil before the first skip or in a plain file
}

// maxRatio is what deflate can make of a byte at best.
const maxRatio = 1032

func openStream(path string) (*stream, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// Before it is opened, which for a pipe may never return.
	if !info.Mode().IsRegular() {
		return nil, fail(ErrFormat, "it is a %s, want a regular file", kindOf(info))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &stream{file: f}
	if info, err = f.Stat(); err == nil {
		s.size = info.Size()
		err = s.restart()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func kindOf(info fs.FileInfo) string {
	if info.IsDir() {
		return "folder"
	}
	return "device or pipe"
}

// restart goes to the beginning.
func (s *stream) restart() error {
	s.stop()
	var start [2]byte
	n, err := s.file.ReadAt(start[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	plain := io.NewSectionReader(s.file, 0, s.size)
	s.gzipped = n == 2 && start == [2]byte{0x1f, 0x8b}
	if !s.gzipped {
		s.Reader, s.limit = plain, s.size
		return nil
	}
	s.limit = s.size * maxRatio
	z, err := gzip.NewReader(bufio.NewReaderSize(plain, 1<<16))
	s.Reader = inflater{z, s.size}
	return inflateError(err, s.size)
}

// inflater gives the errors of a gzipped file, whose early end is none of its
// contents.
type inflater struct {
	*gzip.Reader
	size int64 // of the file
}

func (z inflater) Read(p []byte) (int, error) {
	n, err := z.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a Reader's end is never wrapped
		err = inflateError(err, z.size)
	}
	return n, err
}

func inflateError(err error, size int64) error {
	corrupt := flate.CorruptInputError(0)
	switch {
	case errors.Is(err, gzip.ErrHeader):
		return fail(ErrFormat, "its gzip stream is damaged, or followed by other bytes: no gzip header where one must be")
	case errors.Is(err, gzip.ErrChecksum):
		return fail(ErrFormat, "its gzip stream is damaged: wrong checksum or length")
	case errors.As(err, &corrupt):
		return fail(ErrFormat, "its gzip stream is damaged near byte %d", int64(corrupt))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fail(ErrFormat, "its gzip stream is cut after %d bytes", size)
	}
	return err
}

// skip goes n bytes on. From here on a gzipped file is inflated ahead.
func (s *stream) skip(n int64) error {
	if section, ok := s.Reader.(*io.SectionReader); ok {
		_, err := section.Seek(n, io.SeekCurrent)
		return err
	}
	if s.ahead == nil {
		s.ahead = newReadAhead(s.Reader)
		s.Reader = s.ahead
	}
	_, err := io.CopyN(io.Discard, s.Reader, n)
	return short(err, "what is before the voxels")
}

// finish reads a gzipped file to its end, where its checksum and length stand.
func (s *stream) finish() error {
	if !s.gzipped {
		return nil
	}
	_, err := io.Copy(io.Discard, s.Reader)
	return err
}

func (s *stream) stop() {
	if s.ahead != nil {
		s.ahead.stop()
		s.ahead = nil
	}
}

// Close ends the goroutine that reads ahead, too.
func (s *stream) Close() error {
	s.stop()
	err := s.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}
