package mmap_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/parade-go/parade/internal/mmap"
)

func Example() {
	dir, err := os.MkdirTemp("", "mmap")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("spikes"), 0o600); err != nil {
		log.Fatal(err)
	}
	f, err := mmap.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	err = f.Read(func(data []byte) error {
		fmt.Println(string(data))
		return nil
	})
	fmt.Println(err)
	// Output:
	// spikes
	// <nil>
}

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := mmap.Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := mmap.Open(dir); err == nil {
		t.Error("a directory was mapped")
	}
}

func TestEmptyFile(t *testing.T) {
	t.Parallel()
	f, err := mmap.Open(write(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Bytes()); n != 0 {
		t.Errorf("%d bytes, want 0", n)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadPassesOn(t *testing.T) {
	t.Parallel()
	f, err := mmap.Open(write(t, []byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := errors.New("mine")
	if err := f.Read(func([]byte) error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v, want the caller's error", err)
	}
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v, want the caller's panic", p)
		}
	}()
	_ = f.Read(func([]byte) error { panic("mine") })
}

func TestReadOfFileCutShort(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files are read here, not mapped")
	}
	path := write(t, make([]byte, 1<<20))
	f, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	sum := byte(0)
	err = f.Read(func(data []byte) error {
		sum += data[len(data)-1]
		return nil
	})
	if !errors.Is(err, mmap.ErrFault) {
		t.Errorf("got %v (sum %d), want ErrFault", err, sum)
	}
}
