package hdf5

import (
	"slices"
	"strings"
)

// link is an entry of a group.
type link struct {
	name   string
	kind   linkKind
	addr   uint64 // of a hard link
	target string // of another
}

type linkKind int

const (
	hardLink linkKind = iota
	softLink
	otherLink
)

// Members gives the names in a group, sorted; of what is no group, none.
func (o *Object) Members() ([]string, error) {
	links, err := o.links()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return names, nil
}

// Member finds a member by name or by a path from here, as [File.Object] does.
func (o *Object) Member(path string) (*Object, error) {
	links := 0
	return o.find(path, &links)
}

func (o *Object) links() ([]link, error) {
	links, err := o.allLinks()
	return links, about(o.path, err)
}

func (o *Object) allLinks() ([]link, error) {
	var links []link
	for _, m := range o.messages {
		switch m.kind {
		case messageSymbolTable:
			more, err := o.file.symbolTable(m.body)
			if err != nil {
				return nil, err
			}
			links = append(links, more...)
		case messageLink:
			l, err := o.file.link(m.body)
			if err != nil {
				return nil, err
			}
			links = append(links, l)
		case messageLinkInfo:
			c := o.file.read(m.body)
			c.version("link info messages", 0)
			if c.u8()&1 != 0 {
				c.skip(8) // highest creation order
			}
			heap, index := c.offset(), c.offset()
			if c.err != nil {
				return nil, c.err
			}
			err := o.file.dense(heap, index, btreeLinkNames, func(body []byte, _ int) error {
				l, err := o.file.link(body)
				links = append(links, l)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return links, nil
}

// link reads a link message.
func (f *File) link(body []byte) (link, error) {
	c := f.read(body)
	c.version("link messages", 1)
	flags := c.u8()
	kind := 0
	if flags&(1<<3) != 0 {
		kind = c.u8()
	}
	if flags&(1<<2) != 0 {
		c.skip(8) // creation order
	}
	if flags&(1<<4) != 0 {
		c.skip(1) // character set
	}
	l := link{name: string(c.bytes(c.size(1 << (flags & 3))))}
	switch kind {
	case 0:
		l.addr = c.offset()
	case 1:
		l.kind, l.target = softLink, string(c.bytes(c.u16()))
	case 64:
		body := c.bytes(c.u16())
		l.kind = otherLink
		l.target = strings.ReplaceAll(strings.Trim(string(body), "\x00"), "\x00", ":") // file:path
	default:
		l.kind = otherLink
	}
	return l, c.err
}

// symbolTable reads the links of a group of the old kind: a B-tree of nodes, and
// a heap with the names.
func (f *File) symbolTable(body []byte) ([]link, error) {
	c := f.read(body)
	tree, heap := c.offset(), c.offset()
	if c.err != nil {
		return nil, c.err
	}
	names, err := f.localHeap(heap)
	if err != nil {
		return nil, err
	}
	var links []link
	w := f.walk()
	err = f.btree1(w, tree, 0, f.lengthSize, func(_ *cursor, addr uint64) error {
		if err := w.enter(addr); err != nil {
			return err
		}
		c := f.at(addr)
		c.signature("SNOD")
		c.version("symbol table nodes", 1)
		c.skip(1)
		for count := c.u16(); count > 0 && c.err == nil; count-- {
			name := c.offset()
			l := link{addr: c.offset()}
			cached := c.u32()
			c.skip(4)
			scratch := f.read(c.bytes(16))
			if c.err != nil {
				return c.err
			}
			if l.name, err = names.text(name); err != nil {
				return err
			}
			if cached == 2 {
				l.kind = softLink
				if l.target, err = names.text(scratch.uint(4)); err != nil {
					return err
				}
			}
			if err := w.charge(len(l.name) + len(l.target)); err != nil {
				return err
			}
			links = append(links, l)
		}
		return c.err
	})
	return links, err
}

// localHeap is the segment with the names of a group.
type localHeap struct {
	f       *File
	segment []byte
}

func (f *File) localHeap(addr uint64) (localHeap, error) {
	c := f.at(addr)
	c.signature("HEAP")
	c.version("local heaps", 0)
	c.skip(3)
	size := c.length()
	c.length() // free list
	start := c.offset()
	if c.err != nil {
		return localHeap{}, c.err
	}
	segment, err := f.part(start, size)
	return localHeap{f, segment}, err
}

func (h localHeap) text(offset uint64) (string, error) {
	if offset > uint64(len(h.segment)) {
		return "", damaged("a name lies outside of its heap")
	}
	c := h.f.read(h.segment[offset:])
	s := c.text()
	return s, c.err
}
