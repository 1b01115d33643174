package hdf5

import (
	"math/bits"
	"slices"
)

// chunked puts the elements of a dataset together of chunks.
type chunked struct {
	*dataset
	dims     []uint64 // of a chunk, in elements
	size     uint64   // bytes of a chunk without filters
	rawEdges bool     // chunks that reach over the edge are stored without filters
	out      []byte
	unfilter unfilter
	w        *walk
}

// newChunked takes the size of chunks, whose last number is that of an element.
func (d *dataset) newChunked(dims []uint64) (*chunked, error) {
	rank := len(d.e.shape)
	if len(dims) != rank+1 || rank == 0 || dims[rank] != uint64(d.t.Size) {
		return nil, damaged("its chunks do not fit its shape")
	}
	c := &chunked{dataset: d, dims: dims[:rank], size: 1, unfilter: unfilter{filters: d.filters}, w: d.f.walk()}
	for _, n := range dims {
		high, low := bits.Mul64(c.size, n)
		if high != 0 || low == 0 {
			return nil, damaged("its chunks are of impossible size")
		}
		c.size = low
	}
	c.out = d.unwritten()
	return c, nil
}

// add puts a chunk into its place. It begins at chunk number at, counted along
// each dimension, and is stored at addr. Bits of mask name filters that were
// left out.
func (c *chunked) add(at []uint64, addr, stored uint64, mask uint32) error {
	if c.f.undefined(addr) {
		return nil
	}
	origin, partial := make([]uint64, len(at)), false
	for i, n := range at {
		high, low := bits.Mul64(n, c.dims[i])
		if high != 0 || low >= c.e.shape[i] {
			return nil // left over from when the dataset was larger
		}
		origin[i] = low
		partial = partial || c.e.shape[i]-low < c.dims[i]
	}
	b, err := c.f.part(addr, stored)
	if err != nil {
		return err
	}
	if err := c.w.charge(len(b)); err != nil {
		return err
	}
	switch {
	case c.size > c.f.limit():
		return damaged("its chunks are of impossible size")
	case len(c.filters) > 0 && !(c.rawEdges && partial):
		if b, err = c.unfilter.chunk(b, mask, int(c.size)); err != nil {
			return err
		}
	case stored != c.size:
		return damaged("a chunk has %d bytes, want %d", stored, c.size)
	}
	element := uint64(c.t.Size)
	c.place(b, origin, 0, 0, 0, uint64(len(c.out))/element, c.size/element)
	return nil
}

// place copies what lies within the dataset, along dimension i and those after
// it. to and from count elements, as do the sizes of what one step along the
// dimensions before it spans.
func (c *chunked) place(b []byte, origin []uint64, i int, to, from, outSpan, inSpan uint64) {
	element := uint64(c.t.Size)
	outSpan /= c.e.shape[i]
	inSpan /= c.dims[i]
	n := min(c.dims[i], c.e.shape[i]-origin[i])
	to += origin[i] * outSpan
	if i == len(origin)-1 {
		copy(c.out[to*element:(to+n)*element], b[from*element:])
		return
	}
	for k := range n {
		c.place(b, origin, i+1, to+k*outSpan, from+k*inSpan, outSpan, inSpan)
	}
}

// chunks3 reads chunks under a layout of version 3: a B-tree of version 1.
func (d *dataset) chunks3(c *cursor) ([]byte, error) {
	rank := c.u8() - 1
	tree := c.offset()
	var dims []uint64
	for range rank + 1 {
		dims = append(dims, c.uint(4))
	}
	if c.err != nil || d.size == 0 {
		return nil, c.err
	}
	all, err := d.newChunked(dims)
	if err != nil {
		return nil, err
	}
	if d.f.undefined(tree) {
		return all.out, nil
	}
	at := make([]uint64, rank)
	nodes := d.f.walk()
	err = d.f.btree1(nodes, tree, 1, 4+4+8*(rank+1), func(key *cursor, addr uint64) error {
		stored, mask := key.u32(), key.u32()
		for i := range at {
			first := key.uint(8)
			if first%all.dims[i] != 0 {
				return damaged("a chunk is not in its place")
			}
			at[i] = first / all.dims[i]
		}
		return all.add(at, addr, uint64(stored), mask)
	})
	return all.out, err
}

// chunks4 reads chunks under a layout of version 4 or 5, which has five indices
// to choose from.
func (d *dataset) chunks4(c *cursor) ([]byte, error) {
	flags, rank, width := c.u8(), c.u8()-1, c.u8()
	if c.err == nil && (width < 1 || width > 8) {
		return nil, damaged("its chunks are of impossible size")
	}
	var dims []uint64
	for range rank + 1 {
		dims = append(dims, c.uint(width))
	}
	index := c.u8()
	if c.err != nil || d.size == 0 {
		return nil, c.err
	}
	all, err := d.newChunked(dims)
	if err != nil {
		return nil, err
	}
	all.rawEdges = flags&1 != 0
	stored, mask := all.size, uint32(0)
	switch index {
	case 1:
		if flags&2 != 0 {
			stored, mask = c.length(), c.u32()
		}
	case 3:
		c.skip(1) // what follows stands in the index itself, too
	case 4:
		c.skip(5)
	case 5:
		c.skip(6)
	}
	addr := c.offset()
	if c.err != nil || d.f.undefined(addr) {
		return all.out, c.err
	}
	switch index {
	case 1:
		err = all.add(make([]uint64, rank), addr, stored, mask)
	case 2:
		err = all.implicit(addr)
	case 3:
		err = all.fixedArray(addr)
	case 4:
		err = all.extensibleArray(addr)
	case 5:
		err = all.tree(addr)
	default:
		err = unsupported("chunk index %d", index)
	}
	return all.out, err
}

// tree reads the chunks in a B-tree of version 2.
func (c *chunked) tree(addr uint64) error {
	kind := btreeChunks
	if len(c.filters) > 0 {
		kind = btreeFilteredChunks
	}
	at := make([]uint64, len(c.dims))
	return c.f.btree2(addr, kind, func(r *cursor) error {
		addr, stored, mask := r.offset(), c.size, uint32(0)
		if kind == btreeFilteredChunks {
			n := r.left() - 4 - 8*len(at)
			if n < 1 || n > 8 {
				return damaged("its chunks are of impossible size")
			}
			stored, mask = r.uint(n), r.u32()
		}
		for i := range at {
			at[i] = r.uint(8)
		}
		if r.err != nil {
			return r.err
		}
		return c.add(at, addr, stored, mask)
	})
}

// grid counts chunks in the order of an index: row by row over the largest shape
// that the dataset can have, a dimension without end outermost.
type grid struct {
	order []int    // the dimensions, outermost first
	count []uint64 // chunks along each dimension
}

func (c *chunked) grid(endlessFirst bool) grid {
	g := grid{}
	for i, n := range c.e.largest {
		g.order = append(g.order, i)
		g.count = append(g.count, max(1, n/c.dims[i]+min(1, n%c.dims[i])))
		if endlessFirst && n == ^uint64(0) {
			g.order = slices.Insert(g.order[:i], 0, i)
		}
	}
	return g
}

// at gives the numbers of a chunk along each dimension.
func (g grid) at(index uint64) []uint64 {
	at := make([]uint64, len(g.order))
	for _, i := range slices.Backward(g.order[1:]) {
		at[i] = index % g.count[i]
		index /= g.count[i]
	}
	at[g.order[0]] = index
	return at
}

// implicit reads chunks that follow one another without an index.
func (c *chunked) implicit(addr uint64) error {
	g := c.grid(false)
	all := uint64(1)
	for _, n := range g.count {
		high, low := bits.Mul64(all, n)
		if high != 0 {
			return damaged("its chunks are of impossible size")
		}
		all = low
	}
	if high, low := bits.Mul64(all, c.size); high != 0 || low > uint64(len(c.f.data)) {
		return damaged("its chunks reach beyond the end of the file")
	}
	for i := range all {
		if err := c.add(g.at(i), addr+i*c.size, c.size, 0); err != nil {
			return err
		}
	}
	return nil
}

// entries are the entries of an index that is an array.
type entries struct {
	c       *chunked
	g       grid
	size    int    // bytes of an entry
	page    uint64 // entries of a page
	header  uint64 // address
	letters string // that signatures begin with
}

// head takes the beginning of a block after the header's.
func (e *entries) head(c *cursor, kind string) {
	c.signature(e.letters + kind)
	c.version("chunk indices", 0)
	c.skip(1) // whether there are filters
	if header := c.offset(); c.err == nil && header != e.header {
		c.fail(damaged("a block belongs to another chunk index"))
	}
}

// add takes n entries, of which the first has that index.
func (e *entries) add(c *cursor, first, n uint64) error {
	if high, low := bits.Mul64(n, uint64(e.size)); c.err == nil && (high != 0 || low > uint64(c.left())) {
		return damaged("a chunk index ends early")
	}
	for i := range n {
		addr, stored, mask := c.offset(), e.c.size, uint32(0)
		if rest := e.size - e.c.f.offsetSize; rest > 0 {
			stored, mask = c.uint(rest-4), c.u32()
		}
		if c.err != nil {
			return c.err
		}
		if e.c.f.undefined(addr) {
			continue
		}
		if err := e.c.add(e.g.at(first+i), addr, stored, mask); err != nil {
			return err
		}
	}
	return c.err
}

// block begins to read a block that was not met before.
func (e *entries) block(addr uint64) (*cursor, error) {
	c := e.c.f.at(addr)
	if c.err != nil {
		return nil, c.err
	}
	return c, e.c.w.enter(addr)
}

// pages takes n entries that stand in pages, each under a checksum. Of pages that
// were never written, present is false.
func (e *entries) pages(c *cursor, first, n uint64, present func(page uint64) bool) error {
	for page := uint64(0); n > 0 && c.err == nil; page++ {
		here := min(n, e.page)
		size := here * uint64(e.size)
		if size+4 > uint64(c.left()) {
			return damaged("a chunk index ends early")
		}
		if present(page) {
			p := c.f.read(c.b[c.pos : c.pos+int(size)+4])
			if err := e.add(p, first, here); err != nil {
				return err
			}
			p.checksum("a chunk index")
			if p.err != nil {
				return p.err
			}
		}
		c.skip(int(size) + 4)
		first += here
		n -= here
	}
	return c.err
}

// bit tells whether bit i of a map of pages is set, from the highest of each byte
// on.
func bit(bitmap []byte, i uint64) bool {
	return i/8 < uint64(len(bitmap)) && bitmap[i/8]>>(7-i%8)&1 != 0
}

// begin takes the sizes from the header of an index.
func (e *entries) begin(c *cursor, size, pageBits int) error {
	if c.err != nil {
		return c.err
	}
	rest := size - c.f.offsetSize
	if rest != 0 && (rest < 4+1 || rest > 4+8) || pageBits > 32 {
		return damaged("a chunk index has impossible sizes")
	}
	e.size, e.page = size, 1<<pageBits
	return nil
}

// fixedArray reads the index of a dataset that cannot grow without end.
func (c *chunked) fixedArray(addr uint64) error {
	e := &entries{c: c, g: c.grid(false), header: addr, letters: "FA"}
	h := c.f.at(addr)
	h.signature("FAHD")
	h.version("chunk indices", 0)
	h.skip(1)
	size, pageBits := h.u8(), h.u8()
	count, data := h.length(), h.offset()
	h.checksum("a chunk index")
	if err := e.begin(h, size, pageBits); err != nil || c.f.undefined(data) {
		return err
	}
	b, err := e.block(data)
	if err != nil {
		return err
	}
	e.head(b, "DB")
	if count > uint64(len(c.f.data)) {
		return damaged("a chunk index ends early")
	}
	if count > e.page {
		pages := (count-1)/e.page + 1
		bitmap := b.bytes(int(pages+7) / 8)
		b.checksum("a chunk index")
		if b.err != nil {
			return b.err
		}
		return e.pages(b, 0, count, func(page uint64) bool { return bit(bitmap, page) })
	}
	if err := e.add(b, 0, count); err != nil {
		return err
	}
	b.checksum("a chunk index")
	return b.err
}

// extensibleArray reads the index of a dataset that can grow along one dimension.
// The first entries stand in its index block, the next in data blocks, the others
// in data blocks of secondary blocks; both become larger with their number.
func (c *chunked) extensibleArray(addr uint64) error {
	e := &entries{c: c, g: c.grid(true), header: addr, letters: "EA"}
	h := c.f.at(addr)
	h.signature("EAHD")
	h.version("chunk indices", 0)
	h.skip(1)
	size, countBits, inIndex := h.u8(), h.u8(), h.u8()
	least, leastPointers, pageBits := uint64(h.u8()), uint64(h.u8()), h.u8()
	for range 6 {
		h.length() // statistics
	}
	index := h.offset()
	h.checksum("a chunk index")
	if err := e.begin(h, size, pageBits); err != nil || c.f.undefined(index) {
		return err
	}
	if bits.OnesCount64(least) != 1 || bits.OnesCount64(leastPointers) != 1 || countBits > 64 || bits.Len64(least) > countBits {
		return damaged("a chunk index has impossible sizes")
	}
	b, err := e.block(index)
	if err != nil {
		return err
	}
	e.head(b, "IB")
	if err := e.add(b, 0, uint64(inIndex)); err != nil {
		return err
	}
	next := uint64(inIndex)
	secondaries := 2 + countBits - bits.Len64(least)
	direct := 2 * (bits.Len64(leastPointers) - 1) // those without a block of their own
	for k := range secondaries {
		blocks, each := uint64(1)<<(k/2), least<<((k+1)/2)
		if k < direct {
			for range blocks {
				if err := e.dataBlock(b.offset(), next, each, countBits, nil); err != nil {
					return err
				}
				next += each
			}
		} else {
			if err := e.secondary(b.offset(), next, blocks, each, countBits); err != nil {
				return err
			}
			next += blocks * each
		}
		if b.err != nil {
			return b.err
		}
	}
	b.checksum("a chunk index")
	return b.err
}

// secondary reads a secondary block, which has the addresses of data blocks.
func (e *entries) secondary(addr, first, blocks, each uint64, countBits int) error {
	if e.c.f.undefined(addr) {
		return nil
	}
	b, err := e.block(addr)
	if err != nil {
		return err
	}
	e.head(b, "SB")
	b.skip((countBits + 7) / 8) // its first entry
	pages := each / e.page
	var bitmap []byte
	if each > e.page {
		if pages*blocks > 8*uint64(b.left()) {
			return damaged("a chunk index ends early")
		}
		bitmap = b.bytes(int((pages + 7) / 8 * blocks))
	}
	for k := range blocks {
		present := func(page uint64) bool { return bit(bitmap, k*pages+page) }
		if err := e.dataBlock(b.offset(), first, each, countBits, present); err != nil {
			return err
		}
		if b.err != nil {
			return b.err
		}
		first += each
	}
	b.checksum("a chunk index")
	return b.err
}

func (e *entries) dataBlock(addr, first, n uint64, countBits int, present func(page uint64) bool) error {
	if e.c.f.undefined(addr) {
		return nil
	}
	b, err := e.block(addr)
	if err != nil {
		return err
	}
	e.head(b, "DB")
	b.skip((countBits + 7) / 8) // its first entry
	if n > e.page && present != nil {
		b.checksum("a chunk index")
		if b.err != nil {
			return b.err
		}
		return e.pages(b, first, n, present)
	}
	if err := e.add(b, first, n); err != nil {
		return err
	}
	b.checksum("a chunk index")
	return b.err
}
