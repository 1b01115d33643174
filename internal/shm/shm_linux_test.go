package shm

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSealStopsEveryWriter(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 4096)
	if err := seg.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := seg.File().WriteAt([]byte{1}, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: error is %v, want EPERM", err)
	}
	for _, size := range []int64{0, 8192} {
		if err := seg.File().Truncate(size); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncate to %d: error is %v, want EPERM", size, err)
		}
	}
	if _, err := Map(seg.File(), 4096, Shared); err == nil || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("map shared: error is %v, want one that says sealed", err)
	}
}

func TestSealWaitsForNoWriter(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 4096)
	m, err := Map(seg.File(), 4096, Shared)
	if err != nil {
		t.Fatal(err)
	}
	if err := seg.Seal(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("error is %v, want EBUSY", err)
	}
	if err := m.Unmap(); err != nil {
		t.Fatal(err)
	}
	if err := seg.Seal(); err != nil {
		t.Errorf("after the writer has gone: %v", err)
	}
}

func TestCreateTooLarge(t *testing.T) {
	t.Parallel()
	if _, err := Create("x", 1<<50); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "memory are available") {
		t.Errorf("error is %v, want one that says what is available", err)
	}
}

func TestRetireFreesMemory(t *testing.T) {
	const size = 64 << 20
	seg := newSegment(t, size)
	m, err := Map(seg.File(), size, CopyOnWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Unmap()
	for i := 0; i < size; i += 4096 {
		m.Bytes()[i] = 1
	}
	before := anonymousMemory(t)
	if err := m.Retire(); err != nil {
		t.Fatal(err)
	}
	if freed := before - anonymousMemory(t); freed < size/2 {
		t.Errorf("%d bytes were freed of %d", freed, size)
	}
}

func anonymousMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	kib := 0
	for _, digit := range strings.Fields(rest)[0] {
		kib = 10*kib + int(digit-'0')
	}
	return kib << 10
}
