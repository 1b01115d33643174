package hdf5

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// cursor reads fields, all little-endian, one after the other. After the first
// one that lies outside of the bytes it has an error and gives zeros.
type cursor struct {
	f   *File
	b   []byte
	pos int
	err error
}

// at begins to read at an address, with the rest of the file ahead.
func (f *File) at(addr uint64) *cursor {
	c := &cursor{f: f}
	if addr > uint64(len(f.data)) {
		c.err = damaged("address %d is beyond its end", addr)
		return c
	}
	c.b = f.data[addr:]
	return c
}

// part gives n bytes at an address.
func (f *File) part(addr, n uint64) ([]byte, error) {
	if end := addr + n; end < addr || end > uint64(len(f.data)) {
		return nil, damaged("%d bytes at address %d are beyond its end", n, addr)
	}
	return f.data[addr : addr+n : addr+n], nil
}

// read begins to read bytes that are already found.
func (f *File) read(b []byte) *cursor { return &cursor{f: f, b: b} }

// undefined tells whether an address is the one that stands for none.
func (f *File) undefined(addr uint64) bool { return addr == ^uint64(0)>>(64-8*f.offsetSize) }

func (c *cursor) left() int { return len(c.b) - c.pos }

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// bytes gives the next n bytes, which are part of the file.
func (c *cursor) bytes(n int) []byte {
	if c.err == nil && (n < 0 || n > c.left()) {
		c.err = damaged("a structure ends early")
	}
	if c.err != nil {
		return nil
	}
	c.pos += n
	return c.b[c.pos-n : c.pos : c.pos]
}

func (c *cursor) skip(n int) { c.bytes(n) }

// uint gives a whole number of n bytes, at most 8.
func (c *cursor) uint(n int) uint64 {
	var v uint64
	for i, b := range c.bytes(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (c *cursor) u8() int        { return int(c.uint(1)) }
func (c *cursor) u16() int       { return int(c.uint(2)) }
func (c *cursor) u32() uint32    { return uint32(c.uint(4)) }
func (c *cursor) offset() uint64 { return c.uint(c.f.offsetSize) }
func (c *cursor) length() uint64 { return c.uint(c.f.lengthSize) }

// size gives a number of n bytes that counts bytes still ahead.
func (c *cursor) size(n int) int {
	v := c.uint(n)
	if v > uint64(c.left()) {
		c.fail(damaged("a structure ends early"))
		return 0
	}
	return int(v)
}

// text gives the bytes up to the next NUL, which is skipped.
func (c *cursor) text() string {
	if c.err != nil {
		return ""
	}
	n := bytes.IndexByte(c.b[c.pos:], 0)
	if n < 0 {
		c.fail(damaged("a name does not end"))
		return ""
	}
	s := string(c.bytes(n))
	c.skip(1)
	return s
}

// pad skips to the next multiple of 8 bytes after start.
func (c *cursor) pad(start int) { c.skip(-(c.pos - start) & 7) }

// signature takes the four letters at the beginning of a structure.
func (c *cursor) signature(want string) {
	if got := c.bytes(4); c.err == nil && string(got) != want {
		c.fail(damaged("want %s, found %q", want, got))
	}
}

// version takes the version of a structure, which is one of those given.
func (c *cursor) version(what string, known ...int) int {
	v := c.u8()
	for _, k := range known {
		if v == k {
			return v
		}
	}
	if c.err == nil {
		c.fail(unsupported("version %d of %s", v, what))
	}
	return 0
}

// checksum compares the bytes so far with the checksum that follows.
func (c *cursor) checksum(what string) {
	seen := c.pos
	if sum := c.u32(); c.err == nil && !c.f.unchecked && sum != lookup3(c.b[:seen]) {
		c.fail(damaged("the checksum of %s is wrong", what))
	}
}

// lookup3 is Bob Jenkins' hash of 2006 (hashlittle, started at 0), the checksum
// of HDF5's metadata.
func lookup3(b []byte) uint32 {
	x := 0xdeadbeef + uint32(len(b))
	y, z := x, x
	rot := bits.RotateLeft32
	for len(b) > 12 {
		x += binary.LittleEndian.Uint32(b)
		y += binary.LittleEndian.Uint32(b[4:])
		z += binary.LittleEndian.Uint32(b[8:])
		x, z = (x-z)^rot(z, 4), z+y
		y, x = (y-x)^rot(x, 6), x+z
		z, y = (z-y)^rot(y, 8), y+x
		x, z = (x-z)^rot(z, 16), z+y
		y, x = (y-x)^rot(x, 19), x+z
		z, y = (z-y)^rot(y, 4), y+x
		b = b[12:]
	}
	if len(b) == 0 {
		return z
	}
	var tail [12]byte
	copy(tail[:], b)
	x += binary.LittleEndian.Uint32(tail[:])
	y += binary.LittleEndian.Uint32(tail[4:])
	z += binary.LittleEndian.Uint32(tail[8:])
	z = (z ^ y) - rot(y, 14)
	x = (x ^ z) - rot(z, 11)
	y = (y ^ x) - rot(x, 25)
	z = (z ^ y) - rot(y, 16)
	x = (x ^ z) - rot(z, 4)
	y = (y ^ x) - rot(x, 14)
	z = (z ^ y) - rot(y, 24)
	return z
}
