package nifti_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parade-go/parade/nifti"
)

const golden = "testdata/reference"

// manifest describes the files in testdata/reference.
type manifest struct {
	Inputs map[string]struct {
		Shape          []int
		VoxelMM        []float64 `json:"voxel_mm"`
		Stored         string
		ByteOrder      string `json:"byte_order"`
		Mean, Min, Max float64
		NonFinite      int `json:"non_finite"`
	}
	BadFiles map[string]struct{ Want, Why string } `json:"bad_files"`
}

func readManifest(t *testing.T) manifest {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestReadGolden(t *testing.T) {
	t.Parallel()
	for name, want := range readManifest(t).Inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, values, err := nifti.ReadFile[float64](filepath.Join(golden, "inputs", name))
			if err != nil {
				t.Fatal(err)
			}
			size := h.VoxelSize()
			if diff := cmp.Diff(want.VoxelMM, size[:], cmpopts.EquateApprox(1e-6, 0)); diff != "" {
				t.Errorf("voxel sizes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want.Shape, h.Shape); diff != "" {
				t.Errorf("shape (-want +got):\n%s", diff)
			}
			if h.BigEndian != (want.ByteOrder == "big") {
				t.Errorf("big-endian is %v, want %s", h.BigEndian, want.ByteOrder)
			}
			if len(values) != h.VolumeLen()*h.Volumes() {
				t.Fatalf("%d values of %d volumes of %d", len(values), h.Volumes(), h.VolumeLen())
			}
			sum, low, high, finite := 0.0, math.Inf(1), math.Inf(-1), 0
			for _, v := range values {
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					sum, low, high, finite = sum+v, min(low, v), max(high, v), finite+1
				}
			}
			got := []float64{sum / float64(finite), low, high, float64(len(values) - finite)}
			// The sum of a mean is not of one order.
			if diff := cmp.Diff([]float64{want.Mean, want.Min, want.Max, float64(want.NonFinite)}, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Errorf("mean, min, max and non-finite values (-want +got):\n%s", diff)
			}
		})
	}
}

// These hold the very values of another file, stored in another way.
func TestReadGoldenTwins(t *testing.T) {
	t.Parallel()
	want := read[float32](t, filepath.Join(golden, "inputs", "aniso4d_f32.nii.gz"))
	for _, name := range []string{"be_f32.nii.gz", "n2_f32.nii.gz"} {
		if got := read[float32](t, filepath.Join(golden, "inputs", name)); !cmp.Equal(want, got) {
			t.Errorf("%s has other values", name)
		}
	}
}

func read[T nifti.Float](t *testing.T, path string) []T {
	t.Helper()
	_, values, err := nifti.ReadFile[T](path)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestReadMalformedGolden(t *testing.T) {
	t.Parallel()
	want := read[float64](t, filepath.Join(golden, "bad", "ok.nii"))
	if len(want) != 6*5*4*3 {
		t.Fatalf("ok.nii has %d values", len(want))
	}
	for name, tc := range readManifest(t).BadFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(golden, name)
			_, got, err := nifti.ReadFile[float64](path)
			switch {
			case err == nil && tc.Want == "reject":
				t.Errorf("accepted: %s", tc.Why)
			case err == nil && !cmp.Equal(want, got):
				t.Errorf("other values than ok.nii: %s", tc.Why)
			case err != nil && tc.Want == "accept":
				t.Errorf("%v: %s", err, tc.Why)
			case err != nil:
				t.Log(err)
				if !strings.Contains(err.Error(), path) || !errors.Is(err, nifti.ErrFormat) && !errors.Is(err, nifti.ErrType) {
					t.Errorf("error %q does not name the file, or has no kind", err)
				}
			}
		})
	}
}
