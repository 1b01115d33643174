package hdf5

import "math/bits"

// globalHeaps finds the values of variable length. A collection is read when the
// first of its values is asked for.
type globalHeaps struct {
	f    *File
	w    *walk
	seen map[uint64]map[int][]byte
}

func (f *File) globalHeaps() *globalHeaps {
	return &globalHeaps{f: f, w: f.walk(), seen: make(map[uint64]map[int][]byte)}
}

// value gives the bytes of the element that c is at: its length in the datatype's
// elements of elementSize bytes, and where it is.
func (h *globalHeaps) value(c *cursor, elementSize int) ([]byte, error) {
	count := uint64(c.u32())
	addr, index := c.offset(), int(c.u32())
	if c.err != nil {
		return nil, c.err
	}
	if count == 0 || addr == 0 || h.f.undefined(addr) {
		return nil, nil
	}
	objects, ok := h.seen[addr]
	if !ok {
		var err error
		if objects, err = h.collection(addr); err != nil {
			return nil, err
		}
		h.seen[addr] = objects
	}
	object, ok := objects[index]
	size := count * uint64(elementSize)
	if !ok || size > uint64(len(object)) {
		return nil, damaged("a value of variable length is not in its heap")
	}
	return object[:size:size], nil
}

func (h *globalHeaps) collection(addr uint64) (map[int][]byte, error) {
	c := h.f.at(addr)
	c.signature("GCOL")
	c.version("global heaps", 1)
	c.skip(3)
	size := c.length()
	if c.err != nil {
		return nil, c.err
	}
	all, err := h.f.part(addr, size)
	if err != nil {
		return nil, err
	}
	if err := h.w.charge(len(all)); err != nil {
		return nil, err
	}
	objects := make(map[int][]byte)
	start := c.pos
	c = h.f.read(all)
	c.skip(start)
	for c.left() >= 8+h.f.lengthSize && c.err == nil {
		index := c.u16()
		c.skip(6) // references to it, reserved
		n := c.length()
		if index == 0 { // the rest is free
			break
		}
		if n > uint64(c.left()) {
			return nil, damaged("a value of variable length leaves its heap")
		}
		objects[index] = c.bytes(int(n))
		c.skip(min(-int(n)&7, c.left()))
	}
	return objects, c.err
}

// fractalHeap holds the links of a large group, or an object's many attributes.
type fractalHeap struct {
	f           *File
	w           *walk
	addr        uint64
	idSize      int
	checksummed bool   // the direct blocks; all else is
	hugeIndex   uint64 // B-tree of the objects that are too large for blocks
	hugeObjects map[uint64][]byte
	width       uint64 // blocks in a row
	first       uint64 // size of the blocks of rows 0 and 1
	largest     uint64 // size of the largest direct block
	offsetSize  int    // bytes of a place in the heap
	sizeSize    int    // bytes of the size of an object
	root        uint64
	rows        int               // of the root block; 0 where it is a direct block
	blocks      map[uint64][]byte // that were read and found sound
}

func (f *File) fractalHeap(addr uint64) (*fractalHeap, error) {
	c := f.at(addr)
	c.signature("FRHP")
	c.version("fractal heaps", 0)
	h := &fractalHeap{f: f, w: f.walk(), addr: addr, blocks: make(map[uint64][]byte)}
	h.idSize = c.u16()
	filters := c.u16()
	h.checksummed = c.u8()&2 != 0
	largestObject := uint64(c.u32())
	c.length() // next identifier of a huge object
	h.hugeIndex = c.offset()
	c.length() // free space
	c.offset() // its manager
	for range 8 {
		c.length() // statistics
	}
	h.width = c.uint(2)
	h.first, h.largest = c.length(), c.length()
	heapBits := c.u16()
	c.skip(2) // rows at the beginning
	h.root = c.offset()
	h.rows = c.u16()
	if filters > 0 && c.err == nil {
		return nil, unsupported("filtered heaps of links or attributes; rewrite the file with h5repack")
	}
	c.checksum("a fractal heap")
	if c.err != nil {
		return nil, c.err
	}
	powers := bits.OnesCount64(h.width) == 1 && bits.OnesCount64(h.first) == 1 && bits.OnesCount64(h.largest) == 1
	if !powers || h.largest < h.first || h.largest > 1<<32 || heapBits == 0 || heapBits > 64 || h.rows > 64 {
		return nil, damaged("a fractal heap has impossible sizes")
	}
	h.offsetSize = (heapBits + 7) / 8
	h.sizeSize = min((bits.Len64(h.largest)+6)/8, encodedSize(largestObject))
	return h, nil
}

// object gives the bytes of the object that an identifier names.
func (h *fractalHeap) object(id []byte) ([]byte, error) {
	c := h.f.read(id)
	flags := c.u8()
	if flags>>6 != 0 {
		return nil, unsupported("version %d of identifiers in a heap", flags>>6)
	}
	switch flags >> 4 & 3 {
	case 0:
		offset, size := c.uint(h.offsetSize), c.uint(h.sizeSize)
		if c.err != nil {
			return nil, c.err
		}
		return h.managed(offset, size)
	case 1:
		if h.idSize-1 >= h.f.offsetSize+h.f.lengthSize {
			addr, size := c.offset(), c.length()
			if c.err != nil {
				return nil, c.err
			}
			return h.f.part(addr, size)
		}
		return h.huge(c.uint(min(8, h.idSize-1)))
	case 2:
		size := flags&15 + 1
		if h.idSize-1 > 16 {
			size = (flags&15<<8 | c.u8()) + 1
		}
		b := c.bytes(size)
		return b, c.err
	}
	return nil, damaged("an identifier in a heap is of no known type")
}

// huge gives an object that is too large for blocks.
func (h *fractalHeap) huge(key uint64) ([]byte, error) {
	if h.hugeObjects == nil {
		h.hugeObjects = make(map[uint64][]byte)
		err := h.f.btree2(h.hugeIndex, btreeHugeObjects, func(r *cursor) error {
			addr, size := r.offset(), r.length()
			key := r.length()
			if r.err != nil {
				return r.err
			}
			object, err := h.f.part(addr, size)
			h.hugeObjects[key] = object
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	object, ok := h.hugeObjects[key]
	if !ok {
		return nil, damaged("an object is missing in its heap")
	}
	return object, nil
}

// rowSize gives the size of the blocks of a row.
func (h *fractalHeap) rowSize(row int) uint64 { return h.first << max(0, row-1) }

// managed gives size bytes at an offset, which counts the heads of blocks, too.
// It goes down from the root, whose blocks double in size from row to row.
func (h *fractalHeap) managed(offset, size uint64) ([]byte, error) {
	directRows := bits.Len64(h.largest) - bits.Len64(h.first) + 2
	addr, rows, start, blockSize := h.root, h.rows, uint64(0), h.first
	for rows > 0 {
		head := uint64(4 + 1 + h.f.offsetSize + h.offsetSize)
		block, err := h.block(addr, head+uint64(rows)*h.width*uint64(h.f.offsetSize)+4, start, "FHIB")
		if err != nil {
			return nil, err
		}
		row, rowStart := 0, start
		for row < rows && offset-rowStart >= h.width*h.rowSize(row) {
			rowStart += h.width * h.rowSize(row)
			row++
		}
		if row == rows {
			return nil, damaged("an object lies outside of its heap")
		}
		blockSize = h.rowSize(row)
		column := (offset - rowStart) / blockSize
		start = rowStart + column*blockSize
		c := h.f.read(block[head:])
		c.skip(int(uint64(row)*h.width+column) * h.f.offsetSize)
		addr = c.offset()
		if row < directRows {
			rows = 0
		} else if rows = bits.Len64(blockSize) - bits.Len64(h.first*h.width) + 1; rows < 1 || rows > row {
			return nil, damaged("a fractal heap does not get smaller")
		}
	}
	block, err := h.block(addr, blockSize, start, "FHDB")
	if err != nil {
		return nil, err
	}
	from := offset - start
	if end := from + size; end < from || end > uint64(len(block)) {
		return nil, damaged("an object leaves its block")
	}
	return block[from : from+size], nil
}

// block gives a direct or an indirect block, whose head says where in the heap it
// stands.
func (h *fractalHeap) block(addr, size, start uint64, signature string) ([]byte, error) {
	if block, ok := h.blocks[addr]; ok {
		if uint64(len(block)) != size {
			return nil, damaged("its parts overlap")
		}
		return block, nil
	}
	block, err := h.f.part(addr, size)
	if err != nil {
		return nil, err
	}
	if err := h.w.charge(len(block)); err != nil {
		return nil, err
	}
	c := h.f.read(block)
	c.signature(signature)
	c.version("fractal heaps", 0)
	if heap, at := c.offset(), c.uint(h.offsetSize); c.err == nil && (heap != h.addr || at != start) {
		return nil, damaged("a block belongs to another place in a heap")
	}
	if signature == "FHIB" {
		c.skip(c.left() - 4)
		c.checksum("a heap's block")
	} else if h.checksummed && !h.f.unchecked {
		at := c.pos
		sum := c.u32()
		blank := append([]byte(nil), block...) // the sum is made with zeros in its own place
		clear(blank[at:c.pos])
		if c.err == nil && lookup3(blank) != sum {
			return nil, damaged("the checksum of a heap's block is wrong")
		}
	}
	h.blocks[addr] = block
	return block, c.err
}

// dense calls use with each message that is kept in a heap instead of the header.
// The records of its index are identifiers in the heap, for links after a hash of
// the name, for attributes before the message's flags.
func (f *File) dense(heap, index uint64, kind int, use func(body []byte, flags int) error) error {
	if f.undefined(heap) || f.undefined(index) {
		return nil
	}
	h, err := f.fractalHeap(heap)
	if err != nil {
		return err
	}
	w := f.walk()
	return f.btree2(index, kind, func(r *cursor) error {
		if kind == btreeLinkNames {
			r.skip(4)
		}
		id, flags := r.bytes(h.idSize), 0
		if kind == btreeAttributeNames {
			flags = r.u8()
		}
		if r.err != nil {
			return r.err
		}
		body, err := h.object(id)
		if err != nil {
			return err
		}
		if err := w.charge(len(body)); err != nil {
			return err
		}
		return use(body, flags)
	})
}
