package mmap_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parade-go/parade/internal/mmap"
)

func ExampleFile_Guard() {
	dir, err := os.MkdirTemp("", "mmap")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(path, []byte("spikes"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	f, err := mmap.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	err = f.Guard(func() error {
		fmt.Println(string(f.Data))
		return nil
	})
	fmt.Println(err)
	// Output:
	// spikes
	// <nil>
}
