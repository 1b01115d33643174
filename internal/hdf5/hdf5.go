// Package hdf5 reads HDF5 files, as far as recordings in the NWB format need it,
// in Go alone. It follows the HDF5 File Format Specification, versions 1.0 to
// 4.0: what h5py, PyNWB and MatNWB write, whatever their libver.
//
//	file, err := hdf5.Parse(data) // the bytes of the file, best mapped
//	times, err := file.Object("/units/spike_times")
//	array, err := times.Read()
//	seconds, err := array.Float64s()
//
// It reads groups of either kind with hard and soft links; attributes; datasets
// stored in one piece, in the object's header, or in chunks under each of the six
// chunk indices; the filters deflate, shuffle and fletcher32; numbers, strings of
// fixed and variable length, enumerations, compounds, arrays and references to
// objects. What it does not read (other filters, virtual and external storage,
// links to other files, shared header messages, regions, sequences) is an error
// that wraps ErrUnsupported and names the feature.
//
// Files are not trusted: every address and count is checked against the file,
// checksums are compared, a structure that leads back to itself is found, and
// memory grows with the size of the file, not with what the file claims.
package hdf5

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrFormat says that the bytes are not those of an HDF5 file, or damaged.
	ErrFormat = errors.New("not a sound HDF5 file")
	// ErrUnsupported says that a file uses a feature that this package lacks.
	ErrUnsupported = errors.New("HDF5 feature not supported")
	// ErrNotFound says that there is no object of that name.
	ErrNotFound = errors.New("no such object")
	// ErrKind says that an object or a value is not of the kind asked for, such
	// as the numbers of an array of strings.
	ErrKind = errors.New("of another kind")
)

// Error says which object of a file an error is about.
type Error struct {
	Object string // its path, such as /units/spike_times
	Err    error
}

// Error gives the path and what is wrong.
func (e *Error) Error() string { return e.Object + ": " + e.Err.Error() }

// Unwrap gives what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// about names the object that an error is about, unless it is named already.
func about(object string, err error) error {
	if named := (*Error)(nil); err == nil || errors.As(err, &named) {
		return err
	}
	return &Error{Object: object, Err: err}
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// File is an HDF5 file. It keeps the bytes it was made of, and it does not
// change: any number of goroutines may use it.
type File struct {
	data       []byte // from the base address on
	offsetSize int    // bytes of an address in the file
	lengthSize int    // bytes of a length in the file
	root       uint64 // address of the root group's header
	unchecked  bool   // metadata's checksums are passed over, so that tests get behind them
}

// Parse takes the bytes of a file, which must not change while the File or
// anything read from it is in use. It looks at the superblock only. Errors wrap
// ErrFormat or ErrUnsupported.
func Parse(data []byte) (*File, error) { return parseSuperblock(data) }

// maxLinks bounds the soft links on the way to an object.
const maxLinks = 16

// Object finds an object by its path from the root group, such as
// /units/spike_times. Soft links are followed. Where there is no such object,
// the error wraps ErrNotFound.
func (f *File) Object(path string) (*Object, error) {
	o, err := f.object(f.root, "/")
	if err != nil {
		return nil, err
	}
	links := 0
	return o.find(path, &links)
}

// find follows a path from a group, or from the root where it begins with /.
func (o *Object) find(path string, links *int) (*Object, error) {
	if strings.HasPrefix(path, "/") && o.addr != o.file.root {
		root, err := o.file.object(o.file.root, "/")
		if err != nil {
			return nil, err
		}
		o = root
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		if !o.IsGroup() {
			return nil, about(o.join(name), ErrNotFound)
		}
		all, err := o.links()
		if err != nil {
			return nil, err
		}
		next := (*Object)(nil)
		for _, l := range all {
			if l.name != name {
				continue
			}
			switch l.kind {
			case hardLink:
				next, err = o.file.object(l.addr, o.join(name))
			case softLink:
				if *links++; *links > maxLinks {
					return nil, about(o.join(name), damaged("soft links lead nowhere"))
				}
				next, err = o.find(l.target, links)
			default:
				return nil, about(o.join(name), unsupported("a link to another file (%q); copy the object into this file, as h5copy or NWBFile.export do", l.target))
			}
			if err != nil {
				return nil, err
			}
			break
		}
		if next == nil {
			return nil, about(o.join(name), ErrNotFound)
		}
		o = next
	}
	return o, nil
}

// Dereference gives the object that a reference points to. Its path is unknown:
// it stands as "a referenced object" in errors.
func (f *File) Dereference(r Reference) (*Object, error) {
	if r == 0 || f.undefined(uint64(r)) {
		return nil, fmt.Errorf("an empty reference: %w", ErrNotFound)
	}
	return f.object(uint64(r), "a referenced object")
}

// Reference gives the reference that points to the object: the same for all of
// its paths.
func (o *Object) Reference() Reference { return Reference(o.addr) }

// limit bounds the bytes that may be made of this file. Deflate makes at most
// 1032 bytes of one, so only chunks that were never written can ask for more.
func (f *File) limit() uint64 {
	return min(16<<20+1100*uint64(len(f.data)), uint64(maxInt))
}

const maxInt = int(^uint(0) >> 1)

// walk looks after the parts of a structure: none may be met twice, and together
// they cannot be larger than the file.
type walk struct {
	seen map[uint64]bool
	left int
}

func (f *File) walk() *walk { return &walk{seen: make(map[uint64]bool), left: len(f.data)} }

func (w *walk) enter(addr uint64) error {
	if w.seen[addr] {
		return damaged("its parts form a circle at address %d", addr)
	}
	w.seen[addr] = true
	return nil
}

func (w *walk) charge(n int) error {
	if w.left -= n; w.left < 0 {
		return damaged("its parts overlap")
	}
	return nil
}
