package mmap_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/parade-go/parade/internal/mmap"
)

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{"empty": {}, "short": []byte("abc"), "long": bytes.Repeat([]byte{7}, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := mmap.Open(write(t, content))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.Data, content) {
				t.Errorf("%d bytes, want %d", len(f.Data), len(content))
			}
			for range 2 {
				if err := f.Close(); err != nil || f.Data != nil {
					t.Errorf("after Close: %d bytes, error %v", len(f.Data), err)
				}
			}
		})
	}
	if _, err := mmap.Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: error %v", err)
	}
	if _, err := mmap.Open(t.TempDir()); !errors.Is(err, mmap.ErrNotRegular) {
		t.Errorf("a directory: error %v", err)
	}
}

// sum touches every page of data.
func sum(data []byte) (total int) {
	for _, b := range data {
		total += int(b)
	}
	return total
}

func TestGuard(t *testing.T) {
	t.Parallel()
	path := write(t, bytes.Repeat([]byte{1}, 1<<20))
	f, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	total := 0
	read := func() error { total = sum(f.Data); return nil }
	if err := f.Guard(read); err != nil || total != 1<<20 {
		t.Fatalf("total %d, error %v", total, err)
	}
	if want := errors.New("mine"); !errors.Is(f.Guard(func() error { return want }), want) {
		t.Error("the error of read is lost")
	}
	if runtime.GOOS == "windows" {
		return // the file was read
	}
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Guard(read); !errors.Is(err, mmap.ErrChanged) {
		t.Errorf("reading a file that was cut: error %v, want %v", err, mmap.ErrChanged)
	}
	buffer := make([]byte, 1<<20) // copying faults in assembly
	if err := f.Guard(func() error { copy(buffer, f.Data); return nil }); !errors.Is(err, mmap.ErrChanged) {
		t.Errorf("copying a file that was cut: error %v, want %v", err, mmap.ErrChanged)
	}
}

func TestGuardLetsPanicsPass(t *testing.T) {
	t.Parallel()
	f, err := mmap.Open(write(t, []byte("abc")))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, read := range map[string]func() error{
		"a value":       func() error { panic("mine") },
		"a nil pointer": func() error { var p *int; *p = 1; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			f.Guard(read) //nolint:errcheck // it panics
		})
	}
}
