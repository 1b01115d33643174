package hdf5

import (
	"fmt"
	"slices"
	"strings"
)

// Attribute is a named value of an object.
type Attribute struct {
	Name  string
	Value *Array
}

// Attributes gives all attributes of an object, sorted by name.
func (o *Object) Attributes() ([]Attribute, error) {
	attributes, err := o.attributes()
	if err != nil {
		return nil, about(o.path, err)
	}
	slices.SortFunc(attributes, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	return attributes, nil
}

// Attribute gives the value of one attribute; the error of one that is not there
// wraps ErrNotFound.
func (o *Object) Attribute(name string) (*Array, error) {
	attributes, err := o.attributes()
	if err != nil {
		return nil, about(o.path, err)
	}
	for _, a := range attributes {
		if a.Name == name {
			return a.Value, nil
		}
	}
	return nil, about(o.path, fmt.Errorf("attribute %q: %w", name, ErrNotFound))
}

func (o *Object) attributes() ([]Attribute, error) {
	var attributes []Attribute
	for _, m := range o.messages {
		switch m.kind {
		case messageAttribute:
			body, err := o.file.body(m)
			if err != nil {
				return nil, err
			}
			a, err := o.file.attribute(body)
			if err != nil {
				return nil, err
			}
			attributes = append(attributes, a)
		case messageAttributeInfo:
			c := o.file.read(m.body)
			c.version("attribute info messages", 0)
			if c.u8()&1 != 0 {
				c.skip(2) // highest creation order
			}
			heap, index := c.offset(), c.offset()
			if c.err != nil {
				return nil, c.err
			}
			err := o.file.dense(heap, index, btreeAttributeNames, func(body []byte, flags int) error {
				if flags&messageShared != 0 {
					return unsupported("shared header messages; rewrite the file with h5repack")
				}
				a, err := o.file.attribute(body)
				attributes = append(attributes, a)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return attributes, nil
}

// attribute reads an attribute message.
func (f *File) attribute(body []byte) (Attribute, error) {
	c := f.read(body)
	version := c.version("attributes", 1, 2, 3)
	flags := c.u8()
	if version == 1 {
		flags = 0 // reserved
	}
	nameSize, typeSize, spaceSize := c.u16(), c.u16(), c.u16()
	if version == 3 {
		c.skip(1) // character set of the name
	}
	field := func(n int) []byte {
		start := c.pos
		b := c.bytes(n)
		if version == 1 {
			c.pad(start)
		}
		return b
	}
	name, _, _ := strings.Cut(string(field(nameSize)), "\x00")
	typeBody, spaceBody := field(typeSize), field(spaceSize)
	if c.err != nil {
		return Attribute{}, c.err
	}
	fail := func(err error) (Attribute, error) {
		return Attribute{}, fmt.Errorf("attribute %q: %w", strings.ToValidUTF8(name, "?"), err)
	}
	typeBody, err := f.body(message{kind: messageDatatype, shared: flags&1 != 0, body: typeBody})
	if err != nil {
		return fail(err)
	}
	t, err := f.datatype(typeBody)
	if err != nil {
		return fail(err)
	}
	spaceBody, err = f.body(message{kind: messageDataspace, shared: flags&2 != 0, body: spaceBody})
	if err != nil {
		return fail(err)
	}
	e, err := f.dataspace(spaceBody)
	if err != nil {
		return fail(err)
	}
	value, err := newArray(f, t, e, c.b[c.pos:])
	if err != nil {
		return fail(err)
	}
	return Attribute{Name: name, Value: value}, nil
}
