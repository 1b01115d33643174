package hdf5

import "strings"

// Object is a group, a dataset or a named datatype.
type Object struct {
	file     *File
	addr     uint64 // of its header
	path     string
	messages []message
}

// message is one entry of an object header.
type message struct {
	kind   int
	shared bool // the body says where the message is
	body   []byte
}

// The kinds of messages that matter here.
const (
	messageDataspace     = 0x01
	messageLinkInfo      = 0x02
	messageDatatype      = 0x03
	messageOldFill       = 0x04
	messageFill          = 0x05
	messageLink          = 0x06
	messageExternal      = 0x07
	messageLayout        = 0x08
	messageFilters       = 0x0b
	messageAttribute     = 0x0c
	messageContinuation  = 0x10
	messageSymbolTable   = 0x11
	messageAttributeInfo = 0x15
	messagesKnown        = 0x19 // from here on they are newer than the specification
)

// Flags of messages, and of headers of version 2.
const (
	messageShared         = 1 << 1
	messageMustBeKnown    = 1 << 7
	headerCreationOrder   = 1 << 2
	headerAttributePhases = 1 << 4
	headerTimes           = 1 << 5
)

// IsGroup tells whether the object can have members.
func (o *Object) IsGroup() bool {
	return o.has(messageSymbolTable) || o.has(messageLinkInfo) || o.has(messageLink)
}

// IsDataset tells whether the object can be read.
func (o *Object) IsDataset() bool { return o.has(messageLayout) }

func (o *Object) has(kind int) bool {
	_, ok := o.message(kind)
	return ok
}

// message gives the first message of a kind.
func (o *Object) message(kind int) (message, bool) {
	for _, m := range o.messages {
		if m.kind == kind {
			return m, true
		}
	}
	return message{}, false
}

// body gives a message's bytes, be they here or in another object's header.
func (f *File) body(m message) ([]byte, error) {
	if !m.shared {
		return m.body, nil
	}
	c := f.read(m.body)
	version := c.version("shared messages", 1, 2, 3)
	kind := c.u8()
	if version == 1 {
		c.skip(6)
	} else if version == 3 && kind == 1 {
		return nil, unsupported("shared header messages; rewrite the file with h5repack")
	}
	o, err := f.object(c.offset(), "a named datatype")
	if c.err != nil {
		return nil, c.err
	}
	if err != nil {
		return nil, err
	}
	found, ok := o.message(m.kind)
	if !ok || found.shared {
		return nil, damaged("a shared message is not where it should be")
	}
	return found.body, nil
}

// join gives the path of a member.
func (o *Object) join(name string) string { return strings.TrimSuffix(o.path, "/") + "/" + name }

// object reads the header at an address.
func (f *File) object(addr uint64, path string) (*Object, error) {
	o := &Object{file: f, addr: addr, path: path}
	w := f.walk()
	c := f.at(addr)
	var err error
	if c.left() >= 4 && string(c.b[:4]) == "OHDR" {
		err = o.readHeader2(c, w)
	} else {
		err = o.readHeader1(c, w)
	}
	if err != nil {
		return nil, about(path, err)
	}
	return o, nil
}

// readHeader1 reads a header of version 1, whose continuations are bare messages.
func (o *Object) readHeader1(c *cursor, w *walk) error {
	c.version("object headers", 1)
	c.skip(1)
	count := c.u16()
	c.skip(4) // references to it
	size := c.u32()
	c.skip(4)
	blocks := [][]byte{c.bytes(int(size))}
	if c.err != nil {
		return c.err
	}
	if err := w.enter(o.addr); err != nil {
		return err
	}
	for len(blocks) > 0 {
		c := o.file.read(blocks[0])
		blocks = blocks[1:]
		if err := w.charge(c.left()); err != nil {
			return err
		}
		for ; count > 0 && c.left() >= 8; count-- {
			kind, size, flags := c.u16(), c.u16(), c.u8()
			c.skip(3)
			block, err := o.add(w, kind, flags, c.bytes(size))
			if c.err != nil {
				return c.err
			}
			if err != nil {
				return err
			}
			if block != nil {
				blocks = append(blocks, block)
			}
		}
	}
	if count > 0 {
		return damaged("%d messages are missing in its header", count)
	}
	return nil
}

// readHeader2 reads a header of version 2, all of it under checksums.
func (o *Object) readHeader2(c *cursor, w *walk) error {
	c.signature("OHDR")
	c.version("object headers", 2)
	flags := c.u8()
	if flags&headerTimes != 0 {
		c.skip(16)
	}
	if flags&headerAttributePhases != 0 {
		c.skip(4)
	}
	end := c.size(1 << (flags & 3))
	end += c.pos
	if c.err != nil {
		return c.err
	}
	if err := w.enter(o.addr); err != nil {
		return err
	}
	var blocks [][]byte
	for {
		if err := w.charge(end); err != nil {
			return err
		}
		for end-c.pos >= 4 && c.err == nil { // less is a gap
			kind, size, messageFlags := c.u8(), c.u16(), c.u8()
			if flags&headerCreationOrder != 0 {
				c.skip(2)
			}
			if c.pos+size > end {
				return damaged("a message leaves its header")
			}
			block, err := o.add(w, kind, messageFlags, c.bytes(size))
			if err != nil {
				return err
			}
			if block != nil {
				blocks = append(blocks, block)
			}
		}
		c.skip(end - c.pos)
		c.checksum("an object header")
		if c.err != nil || len(blocks) == 0 {
			return c.err
		}
		c = o.file.read(blocks[0])
		blocks = blocks[1:]
		c.signature("OCHK")
		end = len(c.b) - 4
	}
}

// add keeps a message, or gives the block in which the header continues.
func (o *Object) add(w *walk, kind, flags int, body []byte) (block []byte, err error) {
	switch {
	case kind == messageContinuation:
		c := o.file.read(body)
		addr, size := c.offset(), c.length()
		if c.err != nil {
			return nil, c.err
		}
		if err := w.enter(addr); err != nil {
			return nil, err
		}
		return o.file.part(addr, size)
	case kind >= messagesKnown && flags&messageMustBeKnown != 0:
		return nil, unsupported("header message %#x", kind)
	case kind != 0:
		o.messages = append(o.messages, message{kind: kind, shared: flags&messageShared != 0, body: body})
	}
	return nil, nil
}
