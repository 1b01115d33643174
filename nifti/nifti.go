// Package nifti reads and writes NIfTI images, the files of brain imaging, one
// volume at a time.
//
//	r, err := nifti.Open("sub-01_bold.nii.gz") // NIfTI-1 or 2, .nii, .nii.gz or .hdr and .img
//	defer r.Close()
//	volume := make([]float32, r.Header().VolumeLen()) // x runs fastest, then y, then z
//	w, err := nifti.Create("out.nii.gz", r.Header().Derived("6mm FWHM"), nifti.Options{})
//	defer w.Close() // leaves nothing unless Commit was called
//	for range r.Header().Volumes() {
//		err = r.ReadFloat32(volume) // scaled: slope*stored + inter
//		err = w.WriteFloat32(volume)
//	}
//	err = w.Commit()
//
// Images of 1 to 7 dimensions of integers and floats of 8 to 64 bits are read, in
// either byte order. Colours, complex numbers, bits and float128 are refused, and so
// is ANALYZE, which does not say where left is. The format is that of
// https://nifti.nimh.nih.gov; gzip is known by its bytes, not by a file's name.
//
// No file is trusted. What a header claims is checked against the length of the
// file before memory is taken; an error names the file, the field and its value.
// Of a gzipped file the length is known only at its end, so its last values are
// given only when the end, with checksum and length, was read and is sound.
package nifti

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
)

// Errors that callers branch on; every error about a file or a header wraps one of
// them, one of package os or, where Create finds a file of that name,
// fs.ErrExist.
var (
	// ErrFormat says that a file or a header is malformed, cut or damaged.
	ErrFormat = errors.New("bad NIfTI image")
	// ErrType says that an image holds what is no real number, such as colours.
	ErrType = errors.New("wrong type of voxel")
	// ErrValue says that a value does not fit the type of the voxels to write.
	ErrValue = errors.New("value out of range")
	// ErrCount says that more or fewer values were written than the shape has, or
	// more asked for than are left.
	ErrCount = errors.New("wrong number of values")
)

// failure is an error of a kind whose text stands without that of the kind.
type failure struct {
	path string
	kind error
	text string
}

func (e *failure) Error() string {
	if e.path == "" {
		return "nifti: " + e.text
	}
	return "nifti: " + e.path + ": " + e.text
}

func (e *failure) Unwrap() error { return e.kind }

func fail(kind error, format string, args ...any) error {
	return &failure{kind: kind, text: fmt.Sprintf(format, args...)}
}

// named says which file an error is about.
func named(path string, err error) error {
	if f := (*failure)(nil); errors.As(err, &f) && f.path == "" {
		return &failure{path, f.kind, f.text}
	}
	if p := (*fs.PathError)(nil); err == nil || errors.As(err, &p) && p.Path == path {
		return err
	}
	return fmt.Errorf("nifti: %s: %w", path, err)
}

// Datatype is how a file stores a value: the number that NIfTI has for it.
type Datatype int16

// The types of voxels that are read and written.
const (
	Uint8   Datatype = 2
	Int16   Datatype = 4
	Int32   Datatype = 8
	Float32 Datatype = 16
	Float64 Datatype = 64
	Int8    Datatype = 256
	Uint16  Datatype = 512
	Uint32  Datatype = 768
	Int64   Datatype = 1024
	Uint64  Datatype = 1280
)

var datatypes = map[Datatype]struct {
	name string
	size int // bytes, 0 where it is refused
}{
	Uint8: {"uint8", 1}, Int16: {"int16", 2}, Int32: {"int32", 4}, Float32: {"float32", 4}, Float64: {"float64", 8},
	Int8: {"int8", 1}, Uint16: {"uint16", 2}, Uint32: {"uint32", 4}, Int64: {"int64", 8}, Uint64: {"uint64", 8},
	1: {"bits", 0}, 32: {"complex64", 0}, 128: {"RGB colours", 0}, 1536: {"float128", 0}, 1792: {"complex128", 0},
	2048: {"complex256", 0}, 2304: {"RGBA colours", 0},
}

// String gives the name that numpy has for the type, such as "int16".
func (d Datatype) String() string {
	if t, ok := datatypes[d]; ok {
		return t.name
	}
	return fmt.Sprintf("datatype %d", int16(d))
}

// Size gives the bytes of one value, or 0 for a type that this package refuses.
func (d Datatype) Size() int { return datatypes[d].size }

// check refuses types that are unknown, or no real numbers.
func (d Datatype) check() error {
	switch t, ok := datatypes[d]; {
	case !ok:
		return fail(ErrFormat, "datatype is %d, which NIfTI does not define", int16(d))
	case t.size == 0:
		return fail(ErrType, "datatype is %d, %s: want integers or floats of 8 to 64 bits", int16(d), t.name)
	}
	return nil
}

// Units is NIfTI's xyzt_units: a unit of length and one of time, added up.
type Units uint8

// The units. Time may also have 32, Hz, 40, ppm, or 48, rad/s, of which the fourth
// dimension then is.
const (
	Metre       Units = 1
	Millimetre  Units = 2
	Micrometre  Units = 3
	Second      Units = 8
	Millisecond Units = 16
	Microsecond Units = 24
)

// millimetres gives the length of the unit of space. An unknown one is taken as mm,
// as everybody does.
func (u Units) millimetres() float64 {
	switch u & 7 {
	case Metre:
		return 1e3
	case Micrometre:
		return 1e-3
	}
	return 1
}

// seconds gives the unit of time, seconds where it is not said, 0 for frequencies.
func (u Units) seconds() float64 {
	switch u & 0x38 {
	case 0, Second:
		return 1
	case Millisecond:
		return 1e-3
	case Microsecond:
		return 1e-6
	}
	return 0
}

// Extension is a block of data that a file has beside the image. Data is as it
// stands in the file, filled up with NUL.
type Extension struct {
	Code int // who understands it, such as 4, AFNI, or 6, a comment
	Data []byte
}

// Codes of extensions.
const (
	AFNIExtension    = 4 // XML of AFNI, with statistics of the voxels
	CommentExtension = 6 // plain text
)

// Header is what a file says about its image, in the terms of NIfTI. It is plain
// data: what a program needs of it, in mm and seconds, is had from its methods.
// Fields of ANALYZE that NIfTI does not use are dropped.
type Header struct {
	Shape    []int    // dim: lengths along x, y, z, t and up to three more
	Datatype Datatype // how the file stores a value

	// Slope and Inter are scl_slope and scl_inter: a value is Slope*stored+Inter or,
	// where Slope is 0 or one of both is not finite, what is stored. A Writer
	// writes values as they are.
	Slope, Inter float64

	Units     Units
	PixDim    [8]float64    // voxel sizes, [1] to [3], interval of volumes, [4], and the sign of z for the qform, [0]
	QFormCode int           // what the coordinates of the qform are, 0: there is none
	SFormCode int           // the same for the sform
	Quatern   [3]float64    // quatern_b, c and d: the rotation of the qform
	QOffset   [3]float64    // qoffset_x, y and z
	SForm     [3][4]float64 // srow_x, y and z

	TOffset       float64 // of time
	SliceStart    int
	SliceEnd      int
	SliceCode     int // order in time
	SliceDuration float64
	DimInfo       uint8 // directions of frequency, phase and slice
	CalMin        float64
	CalMax        float64
	IntentCode    int
	IntentP       [3]float64
	IntentName    string // at most 15 bytes are written
	Descrip       string // at most 79 bytes are written
	AuxFile       string // at most 23 bytes are written

	Extensions []Extension

	Version   int  // 1 or 2: the format of the file that was read
	BigEndian bool // the byte order of the file that was read
}

// New gives the header of an image of float32 whose voxels have a size in mm and
// whose first voxel lies at 0, 0, 0. Its sform is "aligned", code 2.
func New(shape []int, size [3]float64) *Header {
	h := &Header{Shape: slices.Clone(shape), Datatype: Float32, Slope: 1, Units: Millimetre | Second, SFormCode: 2}
	h.PixDim = [8]float64{1, size[0], size[1], size[2], 1, 1, 1, 1}
	for i, d := range size {
		h.SForm[i][i] = d
	}
	return h
}

// Clone gives a copy that shares nothing with h.
func (h *Header) Clone() *Header {
	c := *h
	c.Shape = slices.Clone(h.Shape)
	c.Extensions = slices.Clone(h.Extensions)
	for i, e := range c.Extensions {
		c.Extensions[i].Data = slices.Clone(e.Data)
	}
	return &c
}

// Derived gives the header of an image of float32 that was computed from the one of
// h on the same grid: without scaling, range for display and the extensions of
// AFNI, which hold statistics of the old values. Voxel sizes in PixDim that are
// negative or missing are set. All else is kept.
func (h *Header) Derived(descrip string) *Header {
	d := h.Clone()
	d.Datatype, d.Slope, d.Inter = Float32, 1, 0
	d.CalMin, d.CalMax, d.Descrip = 0, 0, descrip
	d.Extensions = slices.DeleteFunc(d.Extensions, func(e Extension) bool { return e.Code == AFNIExtension })
	for i, size := range h.VoxelSize() {
		if d.PixDim[i+1] = math.Abs(d.PixDim[i+1]); !sound(d.PixDim[i+1]) {
			d.PixDim[i+1] = size / h.Units.millimetres()
		}
	}
	return d
}

// length gives the number of voxels along axis i, 1 where there is no such axis.
func (h *Header) length(i int) int {
	if i < len(h.Shape) {
		return h.Shape[i]
	}
	return 1
}

// Grid gives the lengths of a volume along x, y and z; an image of fewer dimensions
// has 1 there.
func (h *Header) Grid() [3]int { return [3]int{h.length(0), h.length(1), h.length(2)} }

// VolumeLen gives the number of voxels of a volume: of x, y and z together.
func (h *Header) VolumeLen() int { return h.length(0) * h.length(1) * h.length(2) }

// Volumes gives the number of volumes: of time and all further dimensions together.
func (h *Header) Volumes() int {
	return h.length(3) * h.length(4) * h.length(5) * h.length(6)
}

// VoxelSize gives the lengths of a voxel along x, y and z in mm, from the affine.
// An axis of one voxel whose size the file does not tell has 1.
func (h *Header) VoxelSize() [3]float64 {
	_, size, _ := h.geometry()
	return size
}

// Affine gives the matrix that takes a voxel's indices, counted from 0, to
// coordinates in mm: that of the sform or, where there is none, that of the qform
// or, where there is neither, the voxel sizes alone.
func (h *Header) Affine() [4][4]float64 {
	affine, _, _ := h.geometry()
	return affine
}

// TR gives the interval of volumes in seconds, or 0 where the fourth dimension is
// none of time or the file does not tell.
func (h *Header) TR() float64 {
	tr := h.PixDim[4] * h.Units.seconds()
	if h.length(3) > 1 && tr > 0 && !math.IsInf(tr, 1) {
		return tr
	}
	return 0
}

// Scaling tells whether values are computed from what is stored, and by what.
func (h *Header) Scaling() (slope, inter float64, scaled bool) {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	if h.Slope == 0 || !finite(h.Slope) || !finite(h.Inter) || h.Slope == 1 && h.Inter == 0 {
		return 1, 0, false
	}
	return h.Slope, h.Inter, true
}

// Warnings gives what is suspicious about a sound header, as sentences: a voxel
// size in PixDim that is not the one of the affine, which counts.
func (h *Header) Warnings() []string {
	var all []string
	for i, size := range h.VoxelSize() {
		stated := math.Abs(h.PixDim[i+1]) * h.Units.millimetres()
		if h.length(i) > 1 && !(math.Abs(stated-size) <= 0.01*size) {
			all = append(all, fmt.Sprintf("pixdim[%d] says %.6g mm, but the affine, which counts, %.6g mm", i+1, stated, size))
		}
	}
	return all
}

// maxSize is the largest voxel, in mm, that is believed.
const maxSize = 1e3

// sound tells whether d can be the size of a voxel; NaN can't.
func sound(d float64) bool { return d > 0 && d <= maxSize }

// geometry gives the affine and the voxel sizes, in mm, and what is wrong with
// them.
func (h *Header) geometry() (affine [4][4]float64, size [3]float64, err error) {
	mm := h.Units.millimetres()
	affine[3][3] = 1
	field := "srow"
	if h.SFormCode > 0 {
		for i, row := range h.SForm {
			for j, v := range row {
				affine[i][j] = v * mm
			}
		}
	} else {
		field = "pixdim"
		rotation := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
		if h.QFormCode > 0 {
			rotation = h.rotation()
		}
		for j := range 3 {
			d := math.Abs(h.PixDim[j+1]) * mm
			if !sound(d) && h.length(j) == 1 {
				d = 1
			}
			for i := range 3 {
				affine[i][j] = rotation[i][j] * d
			}
			if h.QFormCode > 0 {
				affine[j][3] = h.QOffset[j] * mm
			}
		}
	}
	for j := range 3 {
		size[j] = math.Hypot(math.Hypot(affine[0][j], affine[1][j]), affine[2][j])
		switch {
		case sound(size[j]) || err != nil:
		case h.length(j) == 1:
			size[j] = 1
		case field == "srow":
			err = fail(ErrFormat, "srow_x, y, z[%d] are %.6g, %.6g, %.6g: voxels of %.6g mm, want more than 0 and at most %g%s",
				j, h.SForm[0][j], h.SForm[1][j], h.SForm[2][j], size[j], maxSize, h.unitNote())
		case !sound(math.Abs(h.PixDim[j+1]) * mm):
			err = fail(ErrFormat, "pixdim[%d] is %.6g: voxels of %.6g mm, want more than 0 and at most %g%s",
				j+1, h.PixDim[j+1], h.PixDim[j+1]*mm, maxSize, h.unitNote())
		default:
			err = fail(ErrFormat, "quatern_b, c, d are %.6g, %.6g, %.6g, which is no rotation", h.Quatern[0], h.Quatern[1], h.Quatern[2])
		}
	}
	for i, row := range affine {
		for j, v := range row {
			if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
				name := fmt.Sprintf("qoffset_%c", "xyz"[i])
				if field == "srow" {
					name = fmt.Sprintf("srow_%c[%d]", "xyz"[i], j)
				}
				err = fail(ErrFormat, "%s is %g, want a finite number", name, v)
			}
		}
	}
	return affine, size, err
}

// unitNote explains a size that may be of another unit than its writer thought.
func (h *Header) unitNote() string {
	if h.Units.millimetres() == 1 {
		return ""
	}
	return fmt.Sprintf(" (xyzt_units is %d)", h.Units)
}

// rotation gives the matrix of the qform without voxel sizes.
func (h *Header) rotation() [3][3]float64 {
	b, c, d := h.Quatern[0], h.Quatern[1], h.Quatern[2]
	a := 1 - (b*b + c*c + d*d)
	if a < 1e-7 { // a turn by 180 degrees, rounded
		n := 1 / math.Sqrt(b*b+c*c+d*d)
		a, b, c, d = 0, b*n, c*n, d*n
	} else {
		a = math.Sqrt(a)
	}
	f := 1.0
	if h.PixDim[0] < 0 {
		f = -1
	}
	return [3][3]float64{
		{a*a + b*b - c*c - d*d, 2 * (b*c - a*d), 2 * (b*d + a*c) * f},
		{2 * (b*c + a*d), a*a + c*c - b*b - d*d, 2 * (c*d - a*b) * f},
		{2 * (b*d - a*c), 2 * (c*d + a*b), (a*a + d*d - c*c - b*b) * f},
	}
}

// Validate reports a header that describes no image: a bad shape or type, or voxels
// without a size. The error wraps ErrFormat or ErrType and names the field.
func (h *Header) Validate() error {
	if n := len(h.Shape); n < 1 || n > 7 {
		return fail(ErrFormat, "dim[0] is %d, want 1 to 7 dimensions", n)
	}
	if err := h.Datatype.check(); err != nil {
		return err
	}
	bytes := int64(h.Datatype.Size())
	for i, n := range h.Shape {
		if n < 1 {
			return fail(ErrFormat, "dim[%d] is %d, want at least 1", i+1, n)
		}
		if bytes > math.MaxInt64/8/int64(n) || i < 3 && bytes*int64(n) > math.MaxInt {
			return fail(ErrFormat, "dim says %v voxels of %s, which is more than any file has", h.Shape, h.Datatype)
		}
		bytes *= int64(n)
	}
	_, _, err := h.geometry()
	return err
}

// values gives the number of all values of an image that is valid.
func (h *Header) values() int64 {
	n := int64(1)
	for _, d := range h.Shape {
		n *= int64(d)
	}
	return n
}
