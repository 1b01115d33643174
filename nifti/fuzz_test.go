package nifti_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parade-go/parade/nifti"
)

// FuzzRead reads what may be no image. What is read can be written, and is then the
// same; memory is bounded by the length of the file.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(golden, "bad", "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, error %v", len(files), err)
	}
	more, _ := filepath.Glob("testdata/written/*.nii*")
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 4096 {
			f.Add(data, false)
			f.Add(zipped(data), false)
			f.Add(data, true)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, pair bool) {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.nii")
		if pair { // voxels are never the trouble
			path = filepath.Join(dir, "a.hdr")
			if err := os.WriteFile(filepath.Join(dir, "a.img"), make([]byte, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h, values, err := nifti.ReadFile[float64](path)
		runtime.ReadMemStats(&after)
		// Inflated, of 8 bytes for one, twice as slices grow; and what reading takes.
		if taken := after.TotalAlloc - before.TotalAlloc; taken > uint64(len(data))*1032*8*4+8<<20 {
			t.Errorf("%d bytes taken for a file of %d", taken, len(data))
		}
		if err != nil || len(values) > 1<<20 {
			return
		}
		h.Datatype = nifti.Float64
		path = filepath.Join(dir, "b.nii.gz")
		if err := nifti.WriteFile(path, h, values, nifti.Options{}); err != nil {
			t.Fatal(err)
		}
		again, back, err := nifti.ReadFile[float64](path)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(values, back, cmpopts.EquateNaNs()) || !cmp.Equal(h.Shape, again.Shape) {
			t.Error("what is written is not read back")
		}
	})
}
