//go:build unix

package shm_test

import (
	"fmt"
	"log"

	"github.com/parade-go/parade/internal/shm"
)

func Example() {
	seg, err := shm.Create("numbers", 3)
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Close()
	copy(seg.Bytes(), []byte{1, 2, 3})
	if err := seg.Seal(); err != nil {
		log.Fatal(err)
	}

	// In a child, the file comes from ReceiveFile.
	m, err := shm.Map(seg.File(), seg.Size(), shm.CopyOnWrite)
	if err != nil {
		log.Fatal(err)
	}
	m.Bytes()[0] = 9
	fmt.Println(m.Bytes())
	fmt.Println(m.Unmap())
	// Output:
	// [9 2 3]
	// <nil>
}
