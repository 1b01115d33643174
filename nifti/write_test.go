package nifti_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/parade-go/parade/nifti"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// noisy gives an image of some MB, so that its gzip has many blocks.
func noisy() (*nifti.Header, []float32) {
	h := nifti.New([]int{64, 40, 16, 8}, [3]float64{3, 3, 3.5})
	h.PixDim[4] = 2
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, h.VolumeLen()*h.Volumes())
	for i := range values {
		if i%64 > 20 { // the rest is 0, as outside of a brain
			values[i] = 500 + 20*float32(r.NormFloat64())
		}
	}
	return h, values
}

func TestGzipIsTheSameForAnyWorkers(t *testing.T) {
	t.Parallel()
	h, values := noisy()
	var want []byte
	for _, workers := range []int{0, 1, 2, 7} {
		path := filepath.Join(t.TempDir(), "a.nii.gz")
		if err := nifti.WriteFile(path, h, values, nifti.Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
			if !slices.Equal(values, read[float32](t, path)) {
				t.Error("other values are read back")
			}
			if n := len(contents(t, path)); n != 352+4*len(values) {
				t.Errorf("%d bytes in the first member", n)
			}
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%d workers write other bytes than the first", workers)
		}
	}
}

// Pieces of any size are the same image.
func TestReadAndWriteInPieces(t *testing.T) {
	t.Parallel()
	h, values := noisy()
	for _, name := range []string{"a.nii", "a.nii.gz"} {
		for _, d := range []nifti.Datatype{nifti.Float32, nifti.Float64} {
			h := h.Clone()
			h.Datatype = d
			path := filepath.Join(t.TempDir(), name)
			w, err := nifti.Create(path, h, nifti.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			for rest, n := values, 1; len(rest) > 0; n = n*3 + 1 {
				n := min(n, len(rest))
				if err := w.WriteFloat32(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			r, err := nifti.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got := make([]float64, len(values))
			for rest, n := got, 1; len(rest) > 0; n = n*2 + 1 {
				n := min(n, len(rest))
				if err := r.ReadFloat64(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			for i, v := range got {
				if float32(v) != values[i] {
					t.Fatalf("%s of %s: value %d is %v, want %v", name, d, i, v, values[i])
				}
			}
			if err := r.ReadFloat64(got[:1]); !errors.Is(err, io.EOF) {
				t.Errorf("after the last value: error %v", err)
			}
		}
	}
}

func TestSeekVolume(t *testing.T) {
	t.Parallel()
	h, values := noisy()
	n := h.VolumeLen()
	for _, name := range []string{"a.nii", "a.nii.gz"} {
		path := filepath.Join(t.TempDir(), name)
		if err := nifti.WriteFile(path, h, values, nifti.Options{}); err != nil {
			t.Fatal(err)
		}
		r, err := nifti.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		volume := make([]float32, n)
		for _, i := range []int{5, 0, 1, 7, 7, 2} {
			if err := r.SeekVolume(i); err != nil {
				t.Fatal(err)
			}
			if err := r.ReadFloat32(volume); err != nil || !slices.Equal(values[i*n:][:n], volume) {
				t.Errorf("%s: volume %d: other values, or error %v", name, i, err)
			}
		}
		if err := r.SeekVolume(8); err != nil || !errors.Is(r.ReadFloat32(volume), io.EOF) {
			t.Errorf("%s: after the last volume: error %v, or no io.EOF", name, err)
		}
		for _, i := range []int{-1, 9} {
			if err := r.SeekVolume(i); !errors.Is(err, nifti.ErrCount) {
				t.Errorf("%s: volume %d: error %v", name, i, err)
			}
		}
		if err := r.SeekVolume(7); err != nil {
			t.Error(err)
		}
		if err := r.ReadFloat32(make([]float32, n+1)); !errors.Is(err, nifti.ErrCount) {
			t.Errorf("%s: more than is left: error %v", name, err)
		}
		if err := r.ReadFloat32(volume); err != nil { // that was no end
			t.Error(err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := r.ReadFloat32(volume); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: after Close: error %v", name, err)
		}
		if err := r.SeekVolume(0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: after Close: error %v", name, err)
		}
	}
}

// What reads ahead must stop wherever the reader is closed.
func TestCloseEarly(t *testing.T) {
	t.Parallel()
	h, values := noisy()
	path := filepath.Join(t.TempDir(), "a.nii.gz")
	if err := nifti.WriteFile(path, h, values, nifti.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, h.VolumeLen(), len(values)} {
		r, err := nifti.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ReadFloat32(make([]float32, n)); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnfinishedLeavesNothing(t *testing.T) {
	t.Parallel()
	h, values := noisy()
	n := h.VolumeLen()
	for _, name := range []string{"a.nii", "a.nii.gz"} {
		for _, tc := range []struct {
			name string
			use  func(w *nifti.Writer) error
			want error
		}{
			{"nothing", func(w *nifti.Writer) error { return nil }, nil},
			{"given up", func(w *nifti.Writer) error { return w.WriteFloat32(values[:3*n]) }, nil},
			{"committed too early", func(w *nifti.Writer) error {
				return errors.Join(w.WriteFloat32(values[:3*n]), w.Commit())
			}, nifti.ErrCount},
			{"too many values", func(w *nifti.Writer) error {
				return errors.Join(w.WriteFloat32(values), w.WriteFloat32(values[:1]))
			}, nifti.ErrCount},
			{"committed after an error", func(w *nifti.Writer) error {
				_ = w.WriteFloat64(make([]float64, len(values)+1))
				return w.Commit()
			}, nifti.ErrCount},
			{"a value that does not fit", func(w *nifti.Writer) error { return w.WriteFloat64([]float64{1, -1e39}) }, nifti.ErrValue},
			{"written after Close", func(w *nifti.Writer) error {
				return errors.Join(w.Close(), w.WriteFloat32(values[:1]))
			}, fs.ErrClosed},
		} {
			t.Run(name+" "+tc.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
				w, err := nifti.Create(path, h, nifti.Options{Overwrite: true})
				if err != nil {
					t.Fatal(err)
				}
				err = tc.use(w)
				if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want %v and the path", err, tc.want)
				}
				for range 2 {
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				}
				if data, err := os.ReadFile(path); string(data) != "old" || names(t, dir) != name {
					t.Errorf("the folder has %s, the file %.10q, error %v", names(t, dir), data, err)
				}
			})
		}
	}
}

func TestCreateDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.nii")
	h := nifti.New([]int{2, 2, 2}, [3]float64{1, 1, 1})
	values := []float32{1, 2, 3, 4, 5, 6, 7, 8}
	if err := nifti.WriteFile(path, h, values, nifti.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := nifti.Create(path, h, nifti.Options{}); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want %v and the path", err, fs.ErrExist)
	}
	values[0] = 9
	if err := nifti.WriteFile(path, h, values, nifti.Options{Overwrite: true}); err != nil || read[float32](t, path)[0] != 9 {
		t.Errorf("not overwritten, error %v", err)
	}
	// A file that comes between Create and Commit stays.
	path = filepath.Join(dir, "b.nii")
	w, err := nifti.Create(path, h, nifti.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := errors.Join(w.WriteFloat32(values), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want %v", err, fs.ErrExist)
	}
	if data, err := os.ReadFile(path); string(data) != "mine" || names(t, dir) != "a.nii b.nii" {
		t.Errorf("the folder has %s, the file %.10q, error %v", names(t, dir), data, err)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full")
	}
	h, values := noisy()
	for _, name := range []string{"full.nii", "full.nii.gz"} {
		link := filepath.Join(t.TempDir(), name)
		if err := os.Symlink("/dev/full", link); err != nil {
			t.Fatal(err)
		}
		if err := nifti.WriteFile(link, h, values, nifti.Options{Overwrite: true}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder.nii"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		path   string
		change func(h *nifti.Header)
		want   error
		text   string
	}{
		{"another name", "a.img", nil, nifti.ErrFormat, "its name does not end in .nii or .nii.gz"},
		{"gzip alone", "a.gz", nil, nifti.ErrFormat, "its name does not end"},
		{"no folder", "none/a.nii", nil, fs.ErrNotExist, "none"},
		{"a folder", "folder.nii", nil, nil, "folder"},
		{"no shape", "a.nii", func(h *nifti.Header) { h.Shape = nil }, nifti.ErrFormat, "dim[0] is 0"},
		{"8 dimensions", "a.nii", func(h *nifti.Header) { h.Shape = make([]int, 8) }, nifti.ErrFormat, "dim[0] is 8"},
		{"length 0", "a.nii", func(h *nifti.Header) { h.Shape[1] = 0 }, nifti.ErrFormat, "dim[2] is 0"},
		{"too many voxels", "a.nii", func(h *nifti.Header) { h.Shape = []int{1 << 30, 1 << 30, 1 << 30} }, nifti.ErrFormat, "dim says"},
		{"complex", "a.nii", func(h *nifti.Header) { h.Datatype = 32 }, nifti.ErrType, "datatype is 32, complex64"},
		{"no type", "a.nii", func(h *nifti.Header) { h.Datatype = 0 }, nifti.ErrFormat, "datatype is 0"},
		{"no size", "a.nii", func(h *nifti.Header) { h.SFormCode, h.PixDim[2] = 0, 0 }, nifti.ErrFormat, "pixdim[2] is 0"},
		{"large extension", "a.nii", func(h *nifti.Header) { h.Extensions = []nifti.Extension{{6, make([]byte, 65<<20)}} }, nifti.ErrFormat, "extension 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := nifti.New([]int{3, 2, 2}, [3]float64{1, 1, 1})
			if tc.change != nil {
				tc.change(h)
			}
			path := filepath.Join(dir, tc.path)
			_, err := nifti.Create(path, h, nifti.Options{Overwrite: true})
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want %v, %q and the path", err, tc.want, tc.text)
			}
		})
	}
	if _, err := nifti.Create(filepath.Join(dir, "a.nii.gz"), nifti.New([]int{1}, [3]float64{1, 1, 1}), nifti.Options{Level: 10}); !errors.Is(err, nifti.ErrFormat) {
		t.Errorf("level 10: error %v", err)
	}
	if got := names(t, dir); got != "folder.nii" {
		t.Errorf("the folder has %s", got)
	}
}

func TestIntegersAreRoundedOrRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		datatype nifti.Datatype
		values   []float64
		want     []float64 // nil: refused
	}{
		{nifti.Uint8, []float64{0.5, 1.5, 2.5, 254.6, -0.4}, []float64{0, 2, 2, 255, 0}},
		{nifti.Uint8, []float64{0, 255.5}, nil},
		{nifti.Uint8, []float64{-0.6}, nil},
		{nifti.Int8, []float64{-128.4, 127.4}, []float64{-128, 127}},
		{nifti.Int16, []float64{-32768, 32767}, []float64{-32768, 32767}},
		{nifti.Int16, []float64{32767.5}, nil},
		{nifti.Int16, []float64{math.NaN()}, nil},
		{nifti.Uint16, []float64{65535, math.Inf(1)}, nil},
		{nifti.Int32, []float64{math.MinInt32, math.MaxInt32}, []float64{math.MinInt32, math.MaxInt32}},
		{nifti.Uint32, []float64{math.MaxUint32}, []float64{math.MaxUint32}},
		{nifti.Int64, []float64{math.MinInt64, 1 << 62}, []float64{math.MinInt64, 1 << 62}},
		{nifti.Int64, []float64{1 << 63}, nil},
		{nifti.Uint64, []float64{1 << 63}, []float64{1 << 63}},
		{nifti.Uint64, []float64{1 << 64}, nil},
		{nifti.Float32, []float64{0.1, math.Inf(-1)}, []float64{float64(float32(0.1)), math.Inf(-1)}},
	} {
		path := filepath.Join(t.TempDir(), "a.nii")
		h := nifti.New([]int{len(tc.values)}, [3]float64{1, 1, 1})
		h.Datatype = tc.datatype
		err := nifti.WriteFile(path, h, tc.values, nifti.Options{})
		if tc.want == nil {
			if !errors.Is(err, nifti.ErrValue) || !strings.Contains(err.Error(), "at voxel ["+string(rune('0'+len(tc.values)-1))+"] does not fit "+tc.datatype.String()) {
				t.Errorf("%v as %s: error %v", tc.values, tc.datatype, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v as %s: error %v", tc.values, tc.datatype, err)
		} else if diff := cmp.Diff(tc.want, read[float64](t, path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.datatype, diff)
		}
	}
}

func TestDerived(t *testing.T) {
	t.Parallel()
	h := nifti.New([]int{3, 2, 2, 4}, [3]float64{2, 3, 4})
	h.Datatype, h.Slope, h.Inter, h.CalMin, h.CalMax, h.Descrip, h.IntentCode = nifti.Int16, 0.1, 5, -1, 1, "raw", 3
	h.PixDim = [8]float64{-1, 0, -3, math.NaN(), 2.5}
	h.Extensions = []nifti.Extension{{6, []byte("kept")}, {nifti.AFNIExtension, []byte("stale")}, {2, []byte("DICOM")}}
	before := h.Clone()
	got := h.Derived("6mm FWHM")
	want := h.Clone()
	want.Datatype, want.Slope, want.Inter, want.CalMin, want.CalMax, want.Descrip = nifti.Float32, 1, 0, 0, 0, "6mm FWHM"
	want.PixDim = [8]float64{-1, 2, 3, 4, 2.5}
	want.Extensions = []nifti.Extension{{6, []byte("kept")}, {2, []byte("DICOM")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got.Extensions[0].Data[0], got.Shape[0] = 'x', 99
	if diff := cmp.Diff(before, h, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("the header itself has changed:\n%s", diff)
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	h := nifti.New([]int{3, 2}, [3]float64{2, 3, 4})
	if h.Grid() != [3]int{3, 2, 1} || h.VolumeLen() != 6 || h.Volumes() != 1 || h.TR() != 0 {
		t.Errorf("2D: grid %v, %d voxels, %d volumes, TR %v", h.Grid(), h.VolumeLen(), h.Volumes(), h.TR())
	}
	h = nifti.New([]int{3, 2, 2, 4, 5}, [3]float64{2, 3, 4})
	h.PixDim[4], h.Units = 1500, nifti.Millimetre|nifti.Millisecond
	if h.VolumeLen() != 12 || h.Volumes() != 20 || h.TR() != 1.5 {
		t.Errorf("5D: %d voxels, %d volumes, TR %v", h.VolumeLen(), h.Volumes(), h.TR())
	}
	h.Units = nifti.Millimetre | 32
	if h.TR() != 0 {
		t.Errorf("a spectrum has a TR of %v", h.TR())
	}
	if w := h.Warnings(); w != nil {
		t.Error(w)
	}
	h.PixDim[2] = 3.05
	if diff := cmp.Diff([]string{"pixdim[2] says 3.05 mm, but the affine, which counts, 3 mm"}, h.Warnings()); diff != "" {
		t.Error(diff)
	}
	// A slice whose thickness the file does not tell.
	h = nifti.New([]int{3, 2, 1}, [3]float64{2, 3, 0})
	h.SFormCode = 0
	if err := h.Validate(); err != nil || h.VoxelSize() != [3]float64{2, 3, 1} {
		t.Errorf("a slice: sizes %v, error %v", h.VoxelSize(), err)
	}
	// Characters are not cut in two.
	path := filepath.Join(t.TempDir(), "a.nii")
	h.Descrip = strings.Repeat("x", 78) + "µm"
	if err := nifti.WriteFile(path, h, make([]float32, 6), nifti.Options{}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := nifti.ReadFile[float32](path); err != nil || got.Descrip != strings.Repeat("x", 78) {
		t.Errorf("descrip %q, error %v", got.Descrip, err)
	}
}
