package npy_test

import (
	"bytes"
	"fmt"

	"github.com/parade-go/parade/npy"
)

func Example() {
	a, err := npy.New([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if err := npy.Write(&file, a); err != nil {
		fmt.Println(err)
		return
	}
	b, err := npy.Read(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := npy.Values[int](b)
	fmt.Println(b.Type, b.Shape, values, err)
	// Output: <f8 [2 3] [1 2 3 4 5 6] <nil>
}

func ExampleOpen() {
	f, err := npy.Open("testdata/fortran.npy")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	items, ok := npy.View[float64](f.Array) // no copy
	fmt.Println(f.Shape, f.Fortran, items, ok)
	values, err := npy.Values[float64](f.Array)
	fmt.Println(values, err)
	// Output:
	// [2 3] true [1 4 2 5 3 6] true
	// [1 2 3 4 5 6] <nil>
}

func ExampleNewArchiveWriter() {
	var file bytes.Buffer
	w := npy.NewArchiveWriter(&file)
	times, _ := npy.New([]float64{0.5, 1.25})
	names, _ := npy.New([]string{"a", "b"})
	for _, err := range []error{w.Write("times", times), w.Write("names", names), w.Close()} {
		if err != nil {
			fmt.Println(err)
			return
		}
	}

	archive, err := npy.ParseArchive(file.Bytes())
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := archive.Read("names")
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := npy.Values[string](a)
	fmt.Println(archive.Names(), read, err)
	// Output: [times names] [a b] <nil>
}
