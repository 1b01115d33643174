package hdf5

import "bytes"

const signature = "\x89HDF\r\n\x1a\n"

// parseSuperblock finds the superblock at byte 0, 512, 1024 and so on, where the
// user's own data go before it.
func parseSuperblock(data []byte) (*File, error) {
	for at := 0; at+len(signature) <= len(data); at = max(512, 2*at) {
		if bytes.HasPrefix(data[at:], []byte(signature)) {
			return readSuperblock(data, at)
		}
	}
	return nil, damaged("it does not begin as one")
}

func readSuperblock(data []byte, start int) (*File, error) {
	f := &File{data: data}
	c := f.at(uint64(start))
	c.skip(len(signature))
	version := c.version("the superblock", 0, 1, 2, 3)
	if version < 2 {
		c.skip(4) // versions of other structures
	}
	f.offsetSize, f.lengthSize = c.u8(), c.u8()
	for _, n := range []int{f.offsetSize, f.lengthSize} {
		if c.err == nil && n != 2 && n != 4 && n != 8 {
			return nil, unsupported("addresses or lengths of %d bytes", n)
		}
	}
	var base, end uint64
	if version < 2 {
		c.skip(1 + 2 + 2 + 4) // reserved, sizes of B-tree nodes, flags
		if version == 1 {
			c.skip(4)
		}
		base = c.offset()
		c.offset() // free space
		end = c.offset()
		c.offset() // driver
		c.offset() // the root group's name
		f.root = c.offset()
	} else {
		flags := c.u8()
		base = c.offset()
		c.offset() // extension
		end = c.offset()
		f.root = c.offset()
		c.checksum("the superblock")
		if version == 3 && flags&5 != 0 && c.err == nil {
			return nil, damaged("its writer has not closed it; close it there, or run h5clear -s on a copy")
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	if base > uint64(len(data)) || end > uint64(len(data)) {
		return nil, damaged("it is truncated: it has %d bytes, want %d", len(data), max(base, end))
	}
	f.data = data[base:]
	return f, nil
}
