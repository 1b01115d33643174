package smooth_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/parade-go/parade/nifti"
	"github.com/parade-go/parade/smooth"
)

// readNIfTI reads a golden file. The inputs are those that package nifti is tested with.
func readNIfTI(t testing.TB, path string) (grid smooth.Grid, data []float32) {
	t.Helper()
	folder := "testdata"
	if strings.HasPrefix(path, "inputs/") {
		folder = "../nifti/testdata/reference"
	}
	h, data, err := nifti.ReadFile[float32](filepath.Join(folder, path))
	if err != nil {
		t.Fatal(err)
	}
	return smooth.Grid{Shape: h.Grid(), Voxel: h.VoxelSize()}, data
}
