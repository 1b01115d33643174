// Package shm shares memory segments between a process and its children, so that
// a large value is written once and mapped, not copied, by each of them.
//
//	seg, err := shm.Create("trains", len(data))      // parent
//	copy(seg.Bytes(), data)
//	err = seg.Seal()                                 // nobody can change it from here on
//	err = shm.SendFile(conn, seg.File(), 1)
//	f, tag, err := shm.ReceiveFile(conn)             // child
//	m, err := shm.Map(f, len(data), shm.CopyOnWrite) // m.Bytes() is the child's own
//
// A segment has no name in the file system and lives as long as somebody holds
// its descriptor or a mapping of it: when the last process dies, even by SIGKILL,
// the kernel frees it. On Linux it is a memfd, on other Unix systems a deleted
// temporary file. On Windows every function returns [errors.ErrUnsupported].
package shm

import (
	"errors"
	"fmt"
	"os"
)

// Mode says what a receiver may do with a segment.
type Mode int

const (
	// CopyOnWrite maps the segment so that what the receiver writes is seen by
	// the receiver only.
	CopyOnWrite Mode = iota
	// Shared maps the segment so that everybody sees what is written. It needs
	// a segment that has not been sealed.
	Shared
)

// Segment is a piece of memory that its creator fills and others map. It must
// not be used by several goroutines at once.
type Segment struct {
	file   *os.File
	data   []byte // nil once sealed
	size   int
	sealed bool
}

// Create makes a segment of size bytes, all zero. The name is for those who look
// at the process from outside; it need not be unique.
func Create(name string, size int) (*Segment, error) {
	if size <= 0 {
		return nil, fmt.Errorf("shm: create %q: size is %d, must be at least 1", name, size)
	}
	f, err := create(name, size)
	if err != nil {
		return nil, fmt.Errorf("shm: create %q of %d bytes: %w", name, size, explain(err))
	}
	data, err := mapFile(f, size, Shared)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("shm: map %q of %d bytes: %w", name, size, explain(err))
	}
	return &Segment{file: f, data: data, size: size}, nil
}

// Bytes returns the creator's writable view, or nil once the segment is sealed
// or closed.
func (s *Segment) Bytes() []byte { return s.data }

// Size returns the size in bytes.
func (s *Segment) Size() int { return s.size }

// File returns the descriptor to hand to a child, by SendFile or as one of
// [os/exec.Cmd]'s ExtraFiles. It still belongs to the segment.
func (s *Segment) File() *os.File { return s.file }

// Seal ends writing for good: it takes back the creator's view, after which
// slices of Bytes must not be used, and, on Linux, makes the kernel refuse any
// change by any process. It fails if another process has the segment mapped as
// Shared. A second call does nothing.
func (s *Segment) Seal() error {
	if s.sealed {
		return nil
	}
	if err := s.unmap(); err != nil {
		return err
	}
	if err := seal(s.file); err != nil {
		return fmt.Errorf("shm: seal: %w", explain(err))
	}
	s.sealed = true
	return nil
}

// Close takes back the creator's view and closes the descriptor. Mappings in
// other processes stay. A second call does nothing.
func (s *Segment) Close() error {
	err := s.unmap()
	if closeErr := s.file.Close(); closeErr != nil && !errors.Is(closeErr, os.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	return err
}

func (s *Segment) unmap() error {
	if s.data == nil {
		return nil
	}
	if err := unmap(s.data); err != nil {
		return fmt.Errorf("shm: unmap: %w", err)
	}
	s.data = nil
	return nil
}

// Mapping is a receiver's view of a segment. It must not be used by several
// goroutines at once.
type Mapping struct {
	data    []byte
	retired bool
}

// Map maps the first size bytes of a segment. The file may be closed afterwards.
func Map(f *os.File, size int, mode Mode) (*Mapping, error) {
	if size <= 0 {
		return nil, fmt.Errorf("shm: map: size is %d, must be at least 1", size)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("shm: map: %w", err)
	}
	// Touching a page beyond the end would kill the process.
	if info.Size() < int64(size) {
		return nil, fmt.Errorf("shm: map %d bytes: the segment has only %d", size, info.Size())
	}
	data, err := mapFile(f, size, mode)
	if err != nil {
		return nil, fmt.Errorf("shm: map %d bytes: %w", size, explain(err))
	}
	return &Mapping{data: data}, nil
}

// Bytes returns the mapped memory, or nil after Retire or Unmap.
func (m *Mapping) Bytes() []byte {
	if m.retired {
		return nil
	}
	return m.data
}

// Retire frees the memory but keeps its addresses reserved, so that a reference
// that somebody has kept faults instead of reading whatever is mapped there
// next. It costs address space, no memory. A second call does nothing.
func (m *Mapping) Retire() error {
	if m.retired || m.data == nil {
		return nil
	}
	if err := reserve(m.data); err != nil {
		return fmt.Errorf("shm: retire: %w", explain(err))
	}
	m.retired = true
	return nil
}

// Unmap frees the memory and its addresses: the caller knows that no slice of
// Bytes is in use. A second call does nothing.
func (m *Mapping) Unmap() error {
	if m.data == nil {
		return nil
	}
	if err := unmap(m.data); err != nil {
		return fmt.Errorf("shm: unmap: %w", err)
	}
	m.data = nil
	return nil
}
