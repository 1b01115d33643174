package nifti_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parade-go/parade/nifti"
)

var update = flag.Bool("update", false, "write testdata/written anew, which golden.py must then read")

// number is a float64 that JSON has in hexadecimal.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(v)
	return err
}

// seen is what nibabel says of an image.
type seen struct {
	Name       string
	Shape      []int
	Datatype   string
	Big        bool
	Version    int
	Affine     [4][4]number
	Voxel      [3]number
	TR         number
	Codes      [2]int
	Units      int
	Slices     [4]int
	Intent     int
	IntentName string `json:"intent_name"`
	Descrip    string
	AuxFile    string `json:"aux_file"`
	Numbers    [7]number
	PixDim     [8]number
	Extensions []struct {
		Code int
		Text string
	}
	Values int // index of its values
}

func readNibabel(t *testing.T) (golden struct {
	Read, Written []seen
	Values        [][]number
}) {
	t.Helper()
	data, err := os.ReadFile("testdata/nibabel.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return golden
}

// describe says of a header what nibabel says, without values and name.
func describe(h *nifti.Header) seen {
	s := seen{
		Shape: h.Shape, Datatype: h.Datatype.String(), Big: h.BigEndian, Version: h.Version, TR: number(h.TR()),
		Codes: [2]int{h.QFormCode, h.SFormCode}, Units: int(h.Units), Slices: [4]int{h.SliceStart, h.SliceEnd, h.SliceCode, int(h.DimInfo)},
		Intent: h.IntentCode, IntentName: h.IntentName, Descrip: h.Descrip, AuxFile: h.AuxFile,
		Numbers: [7]number{number(h.TOffset), number(h.SliceDuration), number(h.CalMin), number(h.CalMax),
			number(h.IntentP[0]), number(h.IntentP[1]), number(h.IntentP[2])},
	}
	for i, row := range h.Affine() {
		for j, v := range row {
			s.Affine[i][j] = number(v)
		}
	}
	for i, v := range h.VoxelSize() {
		s.Voxel[i] = number(v)
	}
	for i, v := range h.PixDim {
		s.PixDim[i] = number(v)
	}
	for _, e := range h.Extensions {
		s.Extensions = append(s.Extensions, struct {
			Code int
			Text string
		}{e.Code, strings.TrimRight(string(e.Data), "\x00")})
	}
	return s
}

// sameHeader allows for the rounding of an affine alone.
var sameHeader = cmp.Options{
	cmpopts.IgnoreFields(seen{}, "Name", "Values"), cmpopts.EquateEmpty(),
	cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Index(1).(cmp.StructField)
		return ok && (field.Name() == "Affine" || field.Name() == "Voxel" || field.Name() == "TR")
	}, cmp.Comparer(func(a, b number) bool { return math.Abs(float64(a-b)) <= 1e-6*max(1, math.Abs(float64(a))) })),
}

// sameValues tells NaN from NaN by nothing, and 0 from -0.
func sameValues[T nifti.Float](t *testing.T, want []number, got []T) {
	t.Helper()
	got = got[:min(len(got), 100)]
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, v := range got {
		if w := T(want[i]); v != w && !(v != v && w != w) || math.Signbit(float64(v)) != math.Signbit(float64(w)) && v == v {
			t.Errorf("value %d is %v, want %v", i, v, w)
		}
	}
}

func unpack(t *testing.T, path string) string {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, archive); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReadWhatNibabelWrites(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "testdata/nibabel.zip")
	golden := readNibabel(t)
	for _, want := range golden.Read {
		t.Run(want.Name, func(t *testing.T) {
			path := filepath.Join(dir, want.Name)
			h, values, err := nifti.ReadFile[float64](path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, describe(h), sameHeader); diff != "" {
				t.Errorf("header (-nibabel +got):\n%s", diff)
			}
			if w := h.Warnings(); len(w) > 0 {
				t.Error(w)
			}
			sameValues(t, golden.Values[want.Values], values)
			sameValues(t, golden.Values[want.Values], read[float32](t, path))
		})
	}
}

// writtenImage is an image that package nifti has written to testdata/written.
type writtenImage struct {
	name   string
	header *nifti.Header
	values []float64
}

func writtenImages(t *testing.T) []writtenImage {
	t.Helper()
	count := func(h *nifti.Header, step, first float64) []float64 {
		values := make([]float64, h.VolumeLen()*h.Volumes())
		for i := range values {
			values[i] = first + step*float64(i)
		}
		return values
	}
	var all []writtenImage
	for _, d := range []nifti.Datatype{nifti.Uint8, nifti.Int8, nifti.Int16, nifti.Uint16, nifti.Int32, nifti.Uint32, nifti.Int64, nifti.Uint64, nifti.Float32, nifti.Float64} {
		h := nifti.New([]int{3, 2, 2}, [3]float64{2, 3, 4})
		h.Datatype = d
		values := count(h, 7, 3)
		if d == nifti.Float32 || d == nifti.Float64 {
			values = count(h, 0.125, -0.5)
			values[1], values[2], values[3] = math.NaN(), math.Inf(1), math.Inf(-1)
		}
		all = append(all, writtenImage{d.String() + ".nii", h, values})
	}
	for name, shape := range map[string][]int{"1d.nii": {5}, "2d.nii": {4, 3}, "5d.nii.gz": {3, 2, 2, 1, 4}, "7d.nii.gz": {2, 1, 2, 1, 2, 1, 3}, "long.nii.gz": {40000, 1, 2}} {
		h := nifti.New(shape, [3]float64{1, 1.5, 2})
		step := 0.5
		if name == "long.nii.gz" {
			h.Datatype, step = nifti.Uint8, 0
		}
		all = append(all, writtenImage{name, h, count(h, step, 7)})
	}
	for _, name := range []string{"aniso4d_f32.nii.gz", "be_f32.nii.gz", "n2_f32.nii.gz", "i16_slope_inter.nii.gz"} {
		h, values, err := nifti.ReadFile[float64](filepath.Join(golden, "inputs", name))
		if err != nil {
			t.Fatal(err)
		}
		h = h.Derived("made from " + name)
		h.Shape = []int{h.Shape[0], 2, 1, 3}
		h.Extensions = append(h.Extensions, nifti.Extension{Code: nifti.CommentExtension, Data: []byte("smoothed by 6 mm")}, nifti.Extension{Code: 44, Data: nil})
		values = values[:h.VolumeLen()*h.Volumes()]
		for i, v := range values {
			values[i] = float64(float32(v))
		}
		all = append(all, writtenImage{"derived_" + name, h, values})
	}
	return all
}

// contents are the bytes of a file, inflated: what gzip makes of them depends on
// the version of Go.
func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.Multistream(false) // all of it is one member
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// The files of testdata/written have been read by nibabel, and Create writes these
// very bytes.
func TestWritten(t *testing.T) {
	t.Parallel()
	golden := readNibabel(t)
	readers := map[string]seen{}
	for _, s := range golden.Written {
		readers[s.Name] = s
	}
	for _, image := range writtenImages(t) {
		t.Run(image.name, func(t *testing.T) {
			kept := filepath.Join("testdata", "written", image.name)
			path := kept
			if !*update {
				path = filepath.Join(t.TempDir(), image.name)
			}
			if err := nifti.WriteFile(path, image.header, image.values, nifti.Options{Overwrite: *update}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(contents(t, kept), contents(t, path)) {
				t.Errorf("other bytes than in %s", kept)
			}
			want, ok := readers[image.name]
			if !ok {
				t.Fatal("nibabel has not read it")
			}
			h, values, err := nifti.ReadFile[float64](path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, describe(h), sameHeader); diff != "" {
				t.Errorf("header (-nibabel +got):\n%s", diff)
			}
			sameValues(t, golden.Values[want.Values], image.values)
			if !cmp.Equal(image.values, values, cmpopts.EquateNaNs()) {
				t.Error("other values are read back")
			}
			// What is written is what was asked for.
			asked := describe(image.header)
			asked.Version, asked.Big = h.Version, false
			for i := range asked.PixDim {
				asked.PixDim[i] = number(float32(asked.PixDim[i]))
			}
			if diff := cmp.Diff(asked, describe(h), sameHeader); diff != "" {
				t.Errorf("header (-given +got):\n%s", diff)
			}
		})
	}
}
