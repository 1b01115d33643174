package hdf5

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// filter is one step of what is done to a chunk before it is stored.
type filter struct {
	id     int
	values []uint32
}

const (
	filterDeflate    = 1
	filterShuffle    = 2
	filterFletcher32 = 3
	maxFilters       = 32
)

// filterNames are those of filters that files are known to use.
var filterNames = map[int]string{
	4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bzip2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4",
	32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32026: "Blosc2",
}

// filters reads a filter pipeline message, and refuses what cannot be undone.
func (f *File) filters(body []byte) ([]filter, error) {
	c := f.read(body)
	version := c.version("filter pipelines", 1, 2)
	count := c.u8()
	if version == 1 {
		c.skip(6)
	}
	if c.err == nil && count > maxFilters {
		return nil, damaged("it has %d filters", count)
	}
	var all []filter
	for range count {
		one := filter{id: c.u16()}
		nameSize := 0
		if version == 1 || one.id >= 256 {
			nameSize = c.u16()
		}
		c.skip(2) // flags
		values := c.u16()
		start := c.pos
		c.skip(nameSize)
		if version == 1 {
			c.pad(start)
		}
		for range values {
			one.values = append(one.values, c.u32())
			if c.err != nil {
				return nil, c.err
			}
		}
		if version == 1 && values%2 != 0 {
			c.skip(4)
		}
		if c.err != nil {
			return nil, c.err
		}
		switch one.id {
		case filterDeflate, filterShuffle, filterFletcher32:
		default:
			name, ok := filterNames[one.id]
			if !ok {
				name = fmt.Sprintf("%d", one.id)
			}
			return nil, unsupported("the filter %s; rewrite the file with h5repack -f GZIP=4", name)
		}
		all = append(all, one)
	}
	return all, nil
}

// unfilter undoes filters, each chunk after the other with the same memory.
type unfilter struct {
	filters  []filter
	inflater io.ReadCloser
	buffers  [2]bytes.Buffer
	turn     int
}

// chunk gives the size bytes that a chunk had before the filters. Bits of mask
// name filters that were left out.
func (u *unfilter) chunk(b []byte, mask uint32, size int) ([]byte, error) {
	for i := len(u.filters) - 1; i >= 0; i-- {
		if mask>>i&1 != 0 {
			continue
		}
		out := &u.buffers[u.turn] // b may be in the other one
		u.turn = 1 - u.turn
		var err error
		switch f := u.filters[i]; f.id {
		case filterDeflate:
			b, err = u.inflate(out, b, size+4*len(u.filters))
		case filterShuffle:
			b, err = unshuffle(out, b, f.values)
		case filterFletcher32:
			b, err = checkFletcher32(b)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(b) != size {
		return nil, damaged("a chunk has %d bytes, want %d", len(b), size)
	}
	return b, nil
}

// inflate undoes deflate, up to most bytes.
func (u *unfilter) inflate(out *bytes.Buffer, b []byte, most int) ([]byte, error) {
	var err error
	if u.inflater == nil {
		u.inflater, err = zlib.NewReader(bytes.NewReader(b))
	} else {
		err = u.inflater.(zlib.Resetter).Reset(bytes.NewReader(b), nil)
	}
	if err == nil {
		out.Reset()
		out.Grow(min(most, 1100*len(b)) + bytes.MinRead)
		_, err = io.Copy(out, io.LimitReader(u.inflater, int64(most)+1))
	}
	if err != nil {
		return nil, damaged("a chunk cannot be decompressed: %v", err)
	}
	return out.Bytes(), nil
}

// unshuffle puts the bytes of each element together again: the first of all
// elements are stored first, then the second of all, and so on.
func unshuffle(out *bytes.Buffer, b []byte, values []uint32) ([]byte, error) {
	if len(values) < 1 || values[0] == 0 {
		return nil, damaged("the filter shuffle lacks the size of elements")
	}
	if uint64(values[0]) > uint64(len(b)) || values[0] == 1 {
		return b, nil
	}
	size := int(values[0])
	n := len(b) / size
	out.Reset()
	out.Grow(len(b))
	to := out.AvailableBuffer()[:len(b)]
	if size == 8 {
		for i := range n {
			binary.LittleEndian.PutUint64(to[8*i:], uint64(b[i])|uint64(b[n+i])<<8|uint64(b[2*n+i])<<16|uint64(b[3*n+i])<<24|
				uint64(b[4*n+i])<<32|uint64(b[5*n+i])<<40|uint64(b[6*n+i])<<48|uint64(b[7*n+i])<<56)
		}
	} else {
		for j := range size {
			for i, v := range b[j*n : (j+1)*n] {
				to[i*size+j] = v
			}
		}
	}
	copy(to[n*size:], b[n*size:])
	out.Write(to)
	return out.Bytes(), nil
}

// checkFletcher32 compares the checksum at the end of a chunk, and cuts it off.
func checkFletcher32(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, damaged("a chunk is too short for its checksum")
	}
	b, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	// Before HDF5 1.6.3 the bytes of each half stood the other way round.
	swapped := bits.ReverseBytes32(bits.RotateLeft32(sum, 16))
	if want := fletcher32(b); sum != want && swapped != want {
		return nil, damaged("the checksum of a chunk is wrong")
	}
	return b, nil
}

// fletcher32 is Fletcher's checksum over big-endian words of 16 bits.
func fletcher32(b []byte) uint32 {
	var low, high uint64
	for len(b) > 0 {
		block := b[:min(len(b), 720)] // sums stay far below 2^64 between reductions
		b = b[len(block):]
		for ; len(block) >= 2; block = block[2:] {
			low += uint64(block[0])<<8 | uint64(block[1])
			high += low
		}
		if len(block) == 1 {
			low += uint64(block[0]) << 8
			high += low
		}
		low, high = low&0xffff+low>>16, high&0xffff+high>>16
	}
	for low>>16 != 0 || high>>16 != 0 {
		low, high = low&0xffff+low>>16, high&0xffff+high>>16
	}
	return uint32(high<<16 | low)
}
