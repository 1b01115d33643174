package hdf5

import "fmt"

// dataset is what an object's header says of its elements.
type dataset struct {
	f       *File
	t       *Type
	e       extent
	size    uint64 // bytes of all elements
	fill    []byte // an element that was never written; nil is all zeros
	filters []filter
}

// Read gives the elements of a dataset. Those stored in one piece stay where they
// are in the file; chunks are put together in memory.
func (o *Object) Read() (*Array, error) {
	a, err := o.read()
	return a, about(o.path, err)
}

func (o *Object) read() (*Array, error) {
	if !o.IsDataset() {
		return nil, fmt.Errorf("%w: it is not a dataset", ErrKind)
	}
	if o.has(messageExternal) {
		return nil, unsupported("elements in other files; rewrite the file with h5repack")
	}
	d := &dataset{f: o.file}
	bodies := make(map[int][]byte)
	for _, m := range o.messages {
		switch m.kind {
		case messageDatatype, messageDataspace, messageLayout, messageFilters, messageFill, messageOldFill:
			body, err := o.file.body(m)
			if err != nil {
				return nil, err
			}
			bodies[m.kind] = body
		}
	}
	var err error
	if d.t, err = d.f.datatype(bodies[messageDatatype]); err != nil {
		return nil, err
	}
	if d.e, err = d.f.dataspace(bodies[messageDataspace]); err != nil {
		return nil, err
	}
	if d.size, err = d.e.bytes(d.f, d.t.Size); err != nil {
		return nil, err
	}
	if d.fill, err = d.f.fillValue(bodies[messageFill], bodies[messageOldFill]); err != nil {
		return nil, err
	}
	if len(d.fill) > 0 && len(d.fill) != d.t.Size {
		return nil, damaged("its fill value has %d bytes, want %d", len(d.fill), d.t.Size)
	}
	if body, ok := bodies[messageFilters]; ok {
		if d.filters, err = d.f.filters(body); err != nil {
			return nil, err
		}
	}
	raw, err := d.raw(bodies[messageLayout])
	if err != nil {
		return nil, err
	}
	return newArray(d.f, d.t, d.e, raw)
}

// raw gives the bytes of all elements, by the layout message.
func (d *dataset) raw(body []byte) ([]byte, error) {
	c := d.f.read(body)
	version := c.version("data layouts", 3, 4, 5)
	switch class := c.u8(); {
	case c.err != nil:
	case class == 0:
		return c.bytes(c.u16()), c.err
	case class == 1:
		addr := c.offset()
		if c.err != nil || d.size == 0 {
			return nil, c.err
		}
		if d.f.undefined(addr) {
			return d.unwritten(), nil
		}
		return d.f.part(addr, d.size)
	case class == 2 && version == 3:
		return d.chunks3(c)
	case class == 2:
		return d.chunks4(c)
	case class == 3:
		return nil, unsupported("virtual datasets; rewrite the file with h5repack")
	default:
		return nil, unsupported("data layout class %d", class)
	}
	return nil, c.err
}

// unwritten gives elements before any is written.
func (d *dataset) unwritten() []byte {
	out := make([]byte, d.size)
	for n := copy(out, d.fill); 0 < n && n < len(out); n *= 2 {
		copy(out[n:], out[:n])
	}
	return out
}

// fillValue reads the fill value message, of which there was an older kind.
func (f *File) fillValue(body, old []byte) ([]byte, error) {
	c := f.read(old)
	if body != nil {
		c = f.read(body)
		version := c.version("fill values", 1, 2, 3)
		flags := c.u8()
		defined := flags&(1<<5) != 0
		if version < 3 {
			c.skip(1)
			defined = c.u8() != 0 || version == 1
		}
		if !defined {
			return nil, c.err
		}
	} else if old == nil {
		return nil, nil
	}
	value := c.bytes(c.size(4))
	return value, c.err
}
