package nifti

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"
)

// header1 is the header of NIfTI-1 as it lies in a file.
type header1 struct {
	SizeofHdr     int32
	_             [35]byte
	DimInfo       uint8
	Dim           [8]int16
	IntentP       [3]float32
	IntentCode    int16
	Datatype      int16
	BitPix        int16
	SliceStart    int16
	PixDim        [8]float32
	VoxOffset     float32
	Slope, Inter  float32
	SliceEnd      int16
	SliceCode     uint8
	Units         uint8
	CalMax        float32
	CalMin        float32
	SliceDuration float32
	TOffset       float32
	_             [8]byte
	Descrip       [80]byte
	AuxFile       [24]byte
	QFormCode     int16
	SFormCode     int16
	Quatern       [3]float32
	QOffset       [3]float32
	SForm         [3][4]float32
	IntentName    [16]byte
	Magic         [4]byte
}

// header2 is the header of NIfTI-2 as it lies in a file.
type header2 struct {
	SizeofHdr     int32
	Magic         [8]byte
	Datatype      int16
	BitPix        int16
	Dim           [8]int64
	IntentP       [3]float64
	PixDim        [8]float64
	VoxOffset     int64
	Slope, Inter  float64
	CalMax        float64
	CalMin        float64
	SliceDuration float64
	TOffset       float64
	SliceStart    int64
	SliceEnd      int64
	Descrip       [80]byte
	AuxFile       [24]byte
	QFormCode     int32
	SFormCode     int32
	Quatern       [3]float64
	QOffset       [3]float64
	SForm         [3][4]float64
	SliceCode     int32
	Units         int32
	IntentCode    int32
	IntentName    [16]byte
	DimInfo       uint8
	_             [15]byte
}

const (
	size1 = 348
	size2 = 540
	// maxExtensions bounds what a file may have beside the image; the largest known,
	// of CIFTI, have some MB.
	maxExtensions = 64 << 20
)

// The magic of NIfTI-1 begins the one of NIfTI-2.
const (
	magicSingle = "n+1\x00"
	magicPair   = "ni1\x00"
	tail2       = "\r\n\x1a\n"
)

// readHeader reads a header with its extensions from a file whose contents have at
// most limit bytes. It gives where the voxels begin, of a pair in the .img, and how
// many bytes it took.
func readHeader(r io.Reader, limit int64, pair bool) (h *Header, offset, at int64, err error) {
	start := make([]byte, size2)
	if err := readHead(r, start[:4], 0); err != nil {
		return nil, 0, 0, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	size := order.Uint32(start)
	if size != size1 && size != size2 {
		order = binary.BigEndian
		size = order.Uint32(start)
	}
	if size != size1 && size != size2 {
		return nil, 0, 0, fail(ErrFormat, "it is no NIfTI image: sizeof_hdr is %d, want %d or %d", int32(binary.LittleEndian.Uint32(start)), size1, size2)
	}
	if err := readHead(r, start[4:size], 4); err != nil {
		return nil, 0, 0, err
	}
	var raw header2
	if size == size1 {
		raw, err = widen(start[:size1], order, pair)
	} else {
		_, err = binary.Decode(start, order, &raw)
		if err == nil {
			err = checkMagic(raw.Magic[:], "n+2\x00"+tail2, "ni2\x00"+tail2, pair)
		}
	}
	if err != nil {
		return nil, 0, 0, err
	}
	if h, err = raw.header(); err != nil {
		return nil, 0, 0, err
	}
	h.Version, h.BigEndian = 1, order == binary.BigEndian
	if size == size2 {
		h.Version = 2
	}
	at = int64(size)
	first := at + 4
	if pair {
		first, limit = 0, math.MaxInt64
	}
	if !pair && limit < first {
		return nil, 0, 0, fail(ErrFormat, "it is cut after %d bytes, before its voxels, which begin at byte %d at the earliest", limit, first)
	}
	if raw.VoxOffset < first || raw.VoxOffset > limit {
		return nil, 0, 0, fail(ErrFormat, "vox_offset is %d, want %d to %d, the end of the header and of the file", raw.VoxOffset, first, limit)
	}
	n, err := h.readExtensions(r, order, raw.VoxOffset-at, pair)
	return h, raw.VoxOffset, at + n, err
}

func readHead(r io.Reader, b []byte, at int) error {
	n, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(ErrFormat, "it ends inside the header, at byte %d", at+n)
	}
	return err
}

func checkMagic(magic []byte, single, paired string, pair bool) error {
	switch string(magic) {
	case single:
		if pair {
			return fail(ErrFormat, "magic is %q, that of a single file, want %q in a .hdr", magic, paired)
		}
	case paired:
		if !pair {
			return fail(ErrFormat, "magic is %q, that of a .hdr with an .img: open it by that name", magic)
		}
	default:
		return fail(ErrFormat, "magic is %q, want %q or %q: it is ANALYZE or no image, which do not say where left is", magic, single, paired)
	}
	return nil
}

// widen reads a header of NIfTI-1 as if it were one of NIfTI-2.
func widen(b []byte, order binary.ByteOrder, pair bool) (header2, error) {
	var a header1
	if _, err := binary.Decode(b, order, &a); err != nil {
		return header2{}, err
	}
	if err := checkMagic(a.Magic[:], magicSingle, magicPair, pair); err != nil {
		return header2{}, err
	}
	raw := header2{
		Datatype: a.Datatype, BitPix: a.BitPix, Slope: float64(a.Slope), Inter: float64(a.Inter),
		CalMax: float64(a.CalMax), CalMin: float64(a.CalMin), SliceDuration: float64(a.SliceDuration), TOffset: float64(a.TOffset),
		SliceStart: int64(a.SliceStart), SliceEnd: int64(a.SliceEnd), Descrip: a.Descrip, AuxFile: a.AuxFile,
		QFormCode: int32(a.QFormCode), SFormCode: int32(a.SFormCode), SliceCode: int32(a.SliceCode), Units: int32(a.Units),
		IntentCode: int32(a.IntentCode), IntentName: a.IntentName, DimInfo: a.DimInfo,
	}
	for i := range 8 {
		raw.Dim[i], raw.PixDim[i] = int64(a.Dim[i]), float64(a.PixDim[i])
	}
	for i := range 3 {
		raw.IntentP[i], raw.Quatern[i], raw.QOffset[i] = float64(a.IntentP[i]), float64(a.Quatern[i]), float64(a.QOffset[i])
		for j := range 4 {
			raw.SForm[i][j] = float64(a.SForm[i][j])
		}
	}
	// This also fails for NaN.
	if v := float64(a.VoxOffset); !(math.Abs(v) < 1<<62 && v == math.Trunc(v)) {
		return raw, fail(ErrFormat, "vox_offset is %g, want a whole number", v)
	}
	raw.VoxOffset = int64(a.VoxOffset)
	return raw, nil
}

// header checks all but the magic and the offset.
func (raw *header2) header() (*Header, error) {
	dims := raw.Dim[0]
	if dims < 1 || dims > 7 {
		return nil, fail(ErrFormat, "dim[0] is %d, want 1 to 7 dimensions", dims)
	}
	h := &Header{
		Datatype: Datatype(raw.Datatype), Slope: raw.Slope, Inter: raw.Inter, Units: Units(raw.Units), PixDim: raw.PixDim,
		QFormCode: int(raw.QFormCode), SFormCode: int(raw.SFormCode), Quatern: raw.Quatern, QOffset: raw.QOffset, SForm: raw.SForm,
		TOffset: raw.TOffset, SliceStart: int(raw.SliceStart), SliceEnd: int(raw.SliceEnd), SliceCode: int(raw.SliceCode),
		SliceDuration: raw.SliceDuration, DimInfo: raw.DimInfo, CalMin: raw.CalMin, CalMax: raw.CalMax,
		IntentCode: int(raw.IntentCode), IntentP: raw.IntentP,
		IntentName: text(raw.IntentName[:]), Descrip: text(raw.Descrip[:]), AuxFile: text(raw.AuxFile[:]),
	}
	for i, n := range raw.Dim[1 : dims+1] {
		if n != int64(int(n)) {
			return nil, fail(ErrFormat, "dim[%d] is %d, which is more than this system can address", i+1, n)
		}
		h.Shape = append(h.Shape, int(n))
	}
	return h, h.Validate()
}

// text is what stands before the first NUL, if there is one.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// readExtensions reads the 4 bytes behind a header and the extensions that they
// announce, in the room that is left before the voxels or, of a pair, before the
// end of the file. It gives the number of bytes that it took.
func (h *Header) readExtensions(r io.Reader, order binary.ByteOrder, room int64, pair bool) (int64, error) {
	var flag [4]byte
	if n, err := io.ReadFull(r, flag[:]); err != nil {
		if pair && errors.Is(err, io.EOF) {
			return 0, nil // a .hdr may end with the header
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, fail(ErrFormat, "it ends after %d of the 4 bytes behind the header", n)
		}
		return 0, err
	}
	at := int64(4)
	if flag[0] == 0 {
		return at, nil
	}
	if pair {
		room = math.MaxInt64
	} else if room < at+16 {
		// To take what lies there as voxels may be to take extensions for them.
		return at, fail(ErrFormat, "extension[0] is %d, so that an extension follows, but vox_offset leaves %d bytes for it", flag[0], room-at)
	}
	for i := 0; room-at >= 8; i++ {
		var head [8]byte
		if n, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) && pair && n == 0 {
			return at, nil
		} else if err := short(err, "extension %d", i); err != nil {
			return at, err
		}
		size := int64(int32(order.Uint32(head[:])))
		code := int(int32(order.Uint32(head[4:])))
		if size == 0 && code == 0 {
			return at + 8, nil // the rest is filled up
		}
		if size < 16 || size%16 != 0 || size > room-at || size > maxExtensions-at {
			return at, fail(ErrFormat, "esize of extension %d is %d, want a multiple of 16, from 16 to the %d bytes that are left for it", i, size, min(room, maxExtensions)-at)
		}
		// Memory follows what arrives.
		var data bytes.Buffer
		if _, err := io.CopyN(&data, r, size-8); err != nil {
			return at, short(err, "extension %d", i)
		}
		h.Extensions = append(h.Extensions, Extension{Code: code, Data: data.Bytes()})
		at += size
	}
	return at, nil
}

// short makes the end of a file an error of its own.
func short(err error, where string, args ...any) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(ErrFormat, "it ends inside %s", fmt.Sprintf(where, args...))
	}
	return err
}

// encode gives the bytes before the voxels of a single file: NIfTI-1 or, where a
// length needs it, NIfTI-2.
func (h *Header) encode() ([]byte, error) {
	var extensions []byte
	for i, e := range h.Extensions {
		n := (len(e.Data) + 8 + 15) / 16 * 16
		if n > maxExtensions-len(extensions) {
			return nil, fail(ErrFormat, "extension %d has %d bytes, want at most %d for all", i, len(e.Data), maxExtensions)
		}
		extensions = binary.LittleEndian.AppendUint32(extensions, uint32(n))
		extensions = binary.LittleEndian.AppendUint32(extensions, uint32(e.Code))
		extensions = append(extensions, e.Data...)
		extensions = append(extensions, make([]byte, n-8-len(e.Data))...)
	}
	raw := header2{
		SizeofHdr: size2, Datatype: int16(h.Datatype), BitPix: int16(8 * h.Datatype.Size()),
		IntentP: h.IntentP, PixDim: h.PixDim, VoxOffset: int64(size2 + 4 + len(extensions)), Slope: 1,
		CalMax: h.CalMax, CalMin: h.CalMin, SliceDuration: h.SliceDuration, TOffset: h.TOffset,
		SliceStart: int64(h.SliceStart), SliceEnd: int64(h.SliceEnd),
		QFormCode: int32(h.QFormCode), SFormCode: int32(h.SFormCode), Quatern: h.Quatern, QOffset: h.QOffset, SForm: h.SForm,
		SliceCode: int32(h.SliceCode), Units: int32(h.Units), IntentCode: int32(h.IntentCode), DimInfo: h.DimInfo,
	}
	copy(raw.Magic[:], "n+2\x00"+tail2)
	setText(raw.Descrip[:], h.Descrip)
	setText(raw.AuxFile[:], h.AuxFile)
	setText(raw.IntentName[:], h.IntentName)
	raw.Dim = [8]int64{int64(len(h.Shape)), 1, 1, 1, 1, 1, 1, 1}
	for i, n := range h.Shape {
		raw.Dim[i+1] = int64(n)
	}
	var b []byte
	var err error
	if slices.Max(h.Shape) > math.MaxInt16 {
		b, err = binary.Append(nil, binary.LittleEndian, &raw)
	} else {
		b, err = binary.Append(nil, binary.LittleEndian, raw.narrow(len(extensions)))
	}
	if err != nil {
		return nil, err
	}
	flag := []byte{0, 0, 0, 0}
	if len(extensions) > 0 {
		flag[0] = 1
	}
	return slices.Concat(b, flag, extensions), nil
}

// setText leaves room for the NUL that many readers need, and cuts no character in
// two.
func setText(field []byte, s string) {
	n := min(len(s), len(field)-1)
	for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	copy(field, s[:n])
}

// narrow gives the header of NIfTI-1.
func (raw *header2) narrow(extensions int) *header1 {
	a := &header1{
		SizeofHdr: size1, Datatype: raw.Datatype, BitPix: raw.BitPix, VoxOffset: float32(size1 + 4 + extensions), Slope: 1,
		CalMax: float32(raw.CalMax), CalMin: float32(raw.CalMin), SliceDuration: float32(raw.SliceDuration), TOffset: float32(raw.TOffset),
		SliceStart: int16(raw.SliceStart), SliceEnd: int16(raw.SliceEnd), Descrip: raw.Descrip, AuxFile: raw.AuxFile,
		QFormCode: int16(raw.QFormCode), SFormCode: int16(raw.SFormCode), SliceCode: uint8(raw.SliceCode), Units: uint8(raw.Units),
		IntentCode: int16(raw.IntentCode), IntentName: raw.IntentName, DimInfo: raw.DimInfo,
	}
	copy(a.Magic[:], magicSingle)
	for i := range 8 {
		a.Dim[i], a.PixDim[i] = int16(raw.Dim[i]), float32(raw.PixDim[i])
	}
	for i := range 3 {
		a.IntentP[i], a.Quatern[i], a.QOffset[i] = float32(raw.IntentP[i]), float32(raw.Quatern[i]), float32(raw.QOffset[i])
		for j := range 4 {
			a.SForm[i][j] = float32(raw.SForm[i][j])
		}
	}
	return a
}
