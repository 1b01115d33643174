package nifti_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parade-go/parade/nifti"
)

// An image is read, changed and written one volume at a time.
func Example() {
	dir, err := os.MkdirTemp("", "nifti")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := double("testdata/reference/inputs/aniso4d_f32.nii.gz", filepath.Join(dir, "double.nii.gz")); err != nil {
		fmt.Println(err)
		return
	}
	h, values, err := nifti.ReadFile[float64](filepath.Join(dir, "double.nii.gz"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Shape, h.Datatype, h.Descrip)
	fmt.Printf("%d volumes of %v voxels of %.2f mm, every %g s\n", h.Volumes(), h.Grid(), h.VoxelSize(), h.TR())
	fmt.Printf("first voxel %.3f\n", values[0])
	// Output:
	// [16 15 11 8] float32 twice as much
	// 8 volumes of [16 15 11] voxels of [2.00 3.00 4.00] mm, every 2 s
	// first voxel 677.131
}

func double(from, to string) error {
	r, err := nifti.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := nifti.Create(to, r.Header().Derived("twice as much"), nifti.Options{})
	if err != nil {
		return err
	}
	defer w.Close()
	volume := make([]float32, r.Header().VolumeLen())
	for range r.Header().Volumes() {
		if err := r.ReadFloat32(volume); err != nil {
			return err
		}
		for i := range volume {
			volume[i] *= 2
		}
		if err := w.WriteFloat32(volume); err != nil {
			return err
		}
	}
	return w.Commit()
}
