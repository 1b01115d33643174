package hdf5

import "math/bits"

// btree1 calls leaf with the key and the address of each entry of a B-tree of
// version 1, in order. kind is 0 for groups and 1 for chunks.
func (f *File) btree1(w *walk, addr uint64, kind, keySize int, leaf func(key *cursor, addr uint64) error) error {
	return f.btree1Node(w, addr, kind, keySize, -1, leaf)
}

func (f *File) btree1Node(w *walk, addr uint64, kind, keySize, wantLevel int, leaf func(key *cursor, addr uint64) error) error {
	if err := w.enter(addr); err != nil {
		return err
	}
	c := f.at(addr)
	c.signature("TREE")
	if c.u8() != kind {
		c.fail(damaged("a B-tree is of the wrong type"))
	}
	level := c.u8()
	if wantLevel >= 0 && level != wantLevel {
		c.fail(damaged("a B-tree has a node on the wrong level"))
	}
	count := c.u16()
	c.offset() // left sibling
	c.offset() // right sibling
	if c.err == nil {
		c.fail(w.charge(count * (keySize + f.offsetSize)))
	}
	for ; count > 0; count-- {
		key := f.read(c.bytes(keySize))
		child := c.offset()
		if c.err != nil {
			return c.err
		}
		var err error
		if level == 0 {
			err = leaf(key, child)
		} else {
			err = f.btree1Node(w, child, kind, keySize, level-1, leaf)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

// The types of B-trees of version 2, by what their records are about.
const (
	btreeHugeObjects    = 1
	btreeLinkNames      = 5
	btreeAttributeNames = 8
	btreeChunks         = 10
	btreeFilteredChunks = 11
)

// btree2 is a B-tree of version 2, all of it under checksums.
type btree2 struct {
	f          *File
	w          *walk
	kind       int
	nodeSize   int
	recordSize int
	countSize  int   // bytes of the number of records in a node
	totalSize  []int // bytes of the number of records below, by depth
	record     func(r *cursor) error
}

// btree2 calls record with each record of a tree, in order.
func (f *File) btree2(addr uint64, kind int, record func(r *cursor) error) error {
	c := f.at(addr)
	c.signature("BTHD")
	c.version("B-tree headers", 0)
	if c.u8() != kind {
		c.fail(damaged("a B-tree is of the wrong type"))
	}
	t := &btree2{f: f, w: f.walk(), kind: kind, record: record}
	t.nodeSize = int(c.u32())
	t.recordSize = c.u16()
	depth := c.u16()
	c.skip(2) // when to split and merge
	root := c.offset()
	count := c.u16()
	c.length() // number of all records
	c.checksum("a B-tree")
	if c.err != nil {
		return c.err
	}
	const overhead = 10 // of a node: signature, version, type, checksum
	if t.recordSize == 0 || t.nodeSize < overhead+t.recordSize || t.nodeSize > len(f.data) || depth > 32 {
		return damaged("a B-tree has impossible sizes")
	}
	most := (t.nodeSize - overhead) / t.recordSize
	t.countSize = encodedSize(uint64(most))
	t.totalSize = []int{0}
	for below := uint64(most); len(t.totalSize) <= depth; {
		pointer := f.offsetSize + t.countSize + t.totalSize[len(t.totalSize)-1]
		most := uint64(max(0, t.nodeSize-overhead-pointer) / (t.recordSize + pointer))
		carry, product := bits.Mul64(most+1, below)
		below = product + most
		if carry != 0 || below < product {
			return damaged("a B-tree is impossibly deep")
		}
		t.totalSize = append(t.totalSize, encodedSize(below))
	}
	if f.undefined(root) {
		return nil
	}
	return t.node(root, count, depth)
}

// encodedSize gives the bytes needed to write numbers up to v.
func encodedSize(v uint64) int { return (max(1, bits.Len64(v))-1)/8 + 1 }

func (t *btree2) node(addr uint64, count, depth int) error {
	if count < 0 || count > t.nodeSize/t.recordSize {
		return damaged("a B-tree's node has too many records")
	}
	if err := t.w.enter(addr); err != nil {
		return err
	}
	if err := t.w.charge(count * t.recordSize); err != nil {
		return err
	}
	c := t.f.at(addr)
	if depth == 0 {
		c.signature("BTLF")
	} else {
		c.signature("BTIN")
	}
	c.version("B-tree nodes", 0)
	if c.u8() != t.kind {
		c.fail(damaged("a B-tree is of the wrong type"))
	}
	records := c.bytes(count * t.recordSize)
	pointers := c.pos
	if depth > 0 {
		c.skip((count + 1) * (t.f.offsetSize + t.countSize + t.totalSize[depth-1]))
	}
	c.checksum("a B-tree's node")
	if c.err != nil {
		return c.err
	}
	c.pos = pointers
	for i := range count + 1 {
		if depth > 0 {
			child := c.offset()
			below := int(c.uint(t.countSize))
			c.skip(t.totalSize[depth-1])
			if err := t.node(child, below, depth-1); err != nil {
				return err
			}
		}
		if i < count {
			if err := t.record(t.f.read(records[i*t.recordSize : (i+1)*t.recordSize])); err != nil {
				return err
			}
		}
	}
	return nil
}
