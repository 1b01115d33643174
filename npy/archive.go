package npy

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/parade-go/parade/internal/mmap"
)

// maxInflated bounds what a compressed array may grow to: a hostile file of 4 MB
// can claim as much. An array that is not compressed has no such limit.
const maxInflated = 4 << 30

// Archive is a .npz file that is open for reading: arrays by name.
type Archive struct {
	file    *mmap.File
	data    []byte
	names   []string
	entries map[string]*zip.File
}

// OpenArchive maps a .npz file read-only, or reads it on a system that cannot
// map. The error is one of package os, or wraps ErrFormat and names the path.
func OpenArchive(path string) (*Archive, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	var a *Archive
	err = m.Guard(func() (err error) {
		a, err = ParseArchive(m.Data)
		return err
	})
	if err != nil {
		m.Close()
		return nil, named(path, err)
	}
	a.file = m
	return a, nil
}

// ParseArchive is OpenArchive for the bytes of a whole .npz file.
func ParseArchive(data []byte) (*Archive, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	// What zip.NewReader says of paths is about unpacking to disk.
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fail(ErrFormat, "it is no .npz file or is cut off: %v", err)
	}
	a := &Archive{data: data, entries: make(map[string]*zip.File)}
	for _, f := range r.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, fail(ErrFormat, "it has %.40q, want nothing but .npy files", f.Name)
		}
		if a.entries[name] != nil {
			return nil, fail(ErrFormat, "it has two arrays of the name %.40q", name)
		}
		a.entries[name] = f
		a.names = append(a.names, name)
	}
	return a, nil
}

// Names gives the names of the arrays, without .npy, in the order of the file.
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Read gives the array of a name after checking its sum. The data of one that is
// not compressed is the mapped file itself: it must not be written to, nor used
// after Close. The error wraps ErrName, ErrFormat or ErrType.
func (a *Archive) Read(name string) (Array, error) {
	f := a.entries[name]
	if f == nil {
		return Array{}, fail(ErrName, "there is no array %q, want one of %q", name, a.names)
	}
	var data []byte
	var err error
	switch {
	case f.Flags&1 != 0:
		err = fail(ErrFormat, "it is encrypted")
	case f.Method == zip.Store:
		data, err = a.stored(f)
	default:
		data, err = inflate(f)
	}
	var array Array
	if err == nil {
		array, err = Parse(data)
	}
	if err != nil {
		return Array{}, named("array "+name, err)
	}
	return array, nil
}

// stored gives the bytes of an entry that is not compressed.
func (a *Archive) stored(f *zip.File) ([]byte, error) {
	from, err := f.DataOffset()
	if err != nil {
		return nil, fail(ErrFormat, "%v", err)
	}
	size := f.UncompressedSize64
	if f.CompressedSize64 != size || from < 0 || from > int64(len(a.data)) || size > uint64(int64(len(a.data))-from) {
		return nil, fail(ErrFormat, "it ends early")
	}
	data := a.data[from:][:size:size]
	if crc32.ChecksumIEEE(data) != f.CRC32 {
		return nil, fail(ErrFormat, "its checksum is wrong: the file is damaged")
	}
	return data, nil
}

// inflate gives the bytes of a compressed entry.
func inflate(f *zip.File) ([]byte, error) {
	size := f.UncompressedSize64
	if size > maxInflated {
		return nil, fail(ErrFormat, "it has %d bytes, want at most %d of a compressed array: save it without compression", size, uint64(maxInflated))
	}
	r, err := f.Open()
	if err != nil {
		return nil, fail(ErrFormat, "%v", err)
	}
	defer r.Close()
	// One byte more, so that the end is reached and with it the checksum.
	var data bytes.Buffer
	n, err := io.CopyN(&data, r, int64(size)+1)
	switch {
	case err == nil:
		return nil, fail(ErrFormat, "it has more bytes than the archive says, which is %d", size)
	case !errors.Is(err, io.EOF) || uint64(n) != size:
		return nil, fail(ErrFormat, "%v: the file is damaged", err)
	}
	return data.Bytes(), nil
}

// Guard runs read and gives its error, or ErrChanged where read touches a page
// that somebody has cut off the file meanwhile, as File.Guard.
func (a *Archive) Guard(read func() error) error {
	if a.file == nil {
		return read()
	}
	return a.file.Guard(read)
}

// Close gives the memory back. A second call does nothing.
func (a *Archive) Close() error {
	a.entries, a.data = nil, nil
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// ArchiveWriter writes a .npz file, which numpy.load reads.
type ArchiveWriter struct {
	// Compress makes the file smaller, as numpy.savez_compressed, and slower;
	// such arrays cannot be mapped.
	Compress bool

	zip   *zip.Writer
	names map[string]bool
}

// NewArchiveWriter starts a .npz file.
func NewArchiveWriter(w io.Writer) *ArchiveWriter {
	return &ArchiveWriter{zip: zip.NewWriter(w), names: make(map[string]bool)}
}

// Write adds an array under a name. The same arrays give the same bytes at any
// time. The error is that of the writer, or wraps ErrName, ErrShape or ErrType.
func (w *ArchiveWriter) Write(name string, a Array) error {
	if w.names[name] {
		return fail(ErrName, "there is an array %q already", name)
	}
	if err := a.check(); err != nil {
		return err
	}
	w.names[name] = true
	method := zip.Store
	if w.Compress {
		method = zip.Deflate
	}
	entry, err := w.zip.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: method})
	if err != nil {
		return err
	}
	return Write(entry, a)
}

// Close writes the directory, without which the file cannot be read. It does not
// close the underlying writer.
func (w *ArchiveWriter) Close() error { return w.zip.Close() }
