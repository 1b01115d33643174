package nifti

import (
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/parade-go/parade/internal/cores"
	"github.com/parade-go/parade/internal/wholefile"
)

// Options say how an image is written. The zero value is good.
type Options struct {
	Overwrite bool // whether a file of that name is replaced
	Level     int  // of gzip, 1 (0 is the same), the fastest, to 9
	Workers   int  // goroutines that compress, 0 for as many as cores are granted, up to 8; the file is the same
}

// Writer writes an image that is there completely or not at all. It is for one
// goroutine at a time. Its memory does not grow with the image.
type Writer struct {
	path    string
	header  *Header
	file    *wholefile.File
	zip     *gzipWriter // nil for a .nii
	out     io.Writer
	options Options
	total   int64
	done    int64
	buffer  []uint64
	err     error // sticks
}

// Create begins an image of a name that ends in .nii or .nii.gz: little-endian,
// NIfTI-1 unless a length beyond 32767 needs NIfTI-2, values as they are given
// (scl_slope 1). It has the name only after Commit. Where there is a file of that
// name and no leave to replace it, the error wraps fs.ErrExist; it wraps ErrFormat
// or ErrType for a header that Validate refuses, or for another name.
func Create(path string, h *Header, o Options) (*Writer, error) {
	w := &Writer{path: path, header: h.Clone(), options: o}
	if err := w.open(); err != nil {
		return nil, named(path, err)
	}
	return w, nil
}

func (w *Writer) open() error {
	if err := w.header.Validate(); err != nil {
		return err
	}
	w.total = w.header.values()
	start, err := w.header.encode()
	if err != nil {
		return err
	}
	name := strings.ToLower(w.path)
	zipped := strings.HasSuffix(name, ".nii.gz")
	if !zipped && !strings.HasSuffix(name, ".nii") {
		return fail(ErrFormat, "its name does not end in .nii or .nii.gz")
	}
	if w.options.Level < 0 || w.options.Level > 9 {
		return fail(ErrFormat, "gzip has no level %d, want 1 to 9", w.options.Level)
	}
	if !w.options.Overwrite {
		if _, err := os.Stat(w.path); err == nil {
			return fail(fs.ErrExist, "it exists already: remove it, or ask to overwrite")
		}
	}
	if w.file, err = wholefile.Create(w.path); err != nil {
		return err
	}
	w.out = w.file
	if zipped {
		workers := w.options.Workers
		if workers < 1 {
			workers = min(8, cores.Granted()) // which is more than disks take
		}
		w.zip = newGzipWriter(w.file, max(1, w.options.Level), workers)
		w.out = w.zip
	}
	if _, err = w.out.Write(start); err != nil {
		w.giveUp(err)
	}
	return err
}

// WriteFloat32 writes the next values: VolumeLen of them are a volume. For a
// datatype of integers they are rounded to the nearest, halves to even. The error
// wraps ErrValue for a value that the datatype can't hold, which NaN is for
// integers, ErrCount for more values than the shape has, or is one of package os.
// After an error nothing is left to be done but Close.
func (w *Writer) WriteFloat32(src []float32) error { return write(w, src) }

// WriteFloat64 writes the next values as WriteFloat32 does.
func (w *Writer) WriteFloat64(src []float64) error { return write(w, src) }

func write[T Float](w *Writer, src []T) error {
	if w.err != nil {
		return w.err
	}
	if left := w.total - w.done; int64(len(src)) > left {
		return w.giveUp(fail(ErrCount, "%d values to write, but only %d are left of shape %v", len(src), left, w.header.Shape))
	}
	d := w.header.Datatype
	c := converter{datatype: d, foreign: bigEndian}
	if sameType[T](d) && !c.foreign {
		if _, err := w.out.Write(bytesOf(src)); err != nil {
			return w.giveUp(err)
		}
		w.done += int64(len(src))
		return nil
	}
	if w.buffer == nil {
		w.buffer = make([]uint64, 1<<13)
	}
	for len(src) > 0 {
		raw := bytesOf(w.buffer)
		n := min(len(src), len(raw)/d.Size())
		raw = raw[:n*d.Size()]
		if i := encode(d, raw, src[:n]); i >= 0 {
			return w.giveUp(fail(ErrValue, "%g at voxel %v does not fit %s", src[i], w.voxel(w.done+int64(i)), d))
		}
		c.swap(raw)
		if _, err := w.out.Write(raw); err != nil {
			return w.giveUp(err)
		}
		src = src[n:]
		w.done += int64(n)
	}
	return nil
}

// voxel gives the indices, counted from 0, of a value.
func (w *Writer) voxel(i int64) []int64 {
	var at []int64
	for _, n := range w.header.Shape {
		at = append(at, i%int64(n))
		i /= int64(n)
	}
	return at
}

// giveUp removes what was written and keeps the error.
func (w *Writer) giveUp(err error) error {
	if w.zip != nil {
		w.zip.abort()
		w.zip = nil
	}
	_ = w.file.Close()
	w.err = named(w.path, err)
	return w.err
}

// Commit ends the image and gives it its name, when all of it is on disk. The error
// wraps ErrCount where values are missing and, without leave to replace it,
// fs.ErrExist where a file of that name has come meanwhile.
func (w *Writer) Commit() error {
	if w.err != nil {
		return w.err
	}
	if w.done < w.total {
		return w.giveUp(fail(ErrCount, "%d values were written, but shape %v has %d", w.done, w.header.Shape, w.total))
	}
	if w.zip != nil {
		err := w.zip.Close()
		if w.zip = nil; err != nil {
			return w.giveUp(err)
		}
	}
	commit := w.file.Commit
	if !w.options.Overwrite {
		commit = w.file.CommitNew
	}
	if err := commit(); err != nil {
		return w.giveUp(err)
	}
	w.err = named(w.path, fail(fs.ErrClosed, "it is written"))
	return nil
}

// Close gives up an image that was not committed: nothing of it is left. After
// Commit, and a second time, it does nothing.
func (w *Writer) Close() error {
	if w.err == nil {
		_ = w.giveUp(fail(fs.ErrClosed, "it was given up"))
	}
	return nil
}

// WriteFile writes an image of one slice of values, as Create and Commit do.
func WriteFile[T Float](path string, h *Header, values []T, o Options) error {
	w, err := Create(path, h, o)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := write(w, values); err != nil {
		return err
	}
	return w.Commit()
}
