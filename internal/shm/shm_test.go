//go:build unix

package shm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const childVariable = "PARADE_SHM_TEST_CHILD"

// children are what this test binary does when it is started as a child: each
// receives a socket and answers by its error.
var children = map[string]func(conn *net.UnixConn) error{
	"copy-on-write": childCopyOnWrite,
	"shared":        childShared,
	"few-files":     childFewFiles,
	"small-files":   childSmallFiles,
}

func TestMain(m *testing.M) {
	mode := os.Getenv(childVariable)
	if mode == "" {
		os.Exit(m.Run())
	}
	conn, err := connect(os.NewFile(3, "socket"))
	if err == nil {
		err = children[mode](conn)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

func childCopyOnWrite(conn *net.UnixConn) error {
	m, err := receive(conn, 7, CopyOnWrite)
	if err != nil {
		return err
	}
	if !bytes.Equal(m.Bytes(), pattern(len(m.Bytes()))) {
		return errors.New("the child sees other bytes")
	}
	clear(m.Bytes()) // must not reach the parent
	return m.Unmap()
}

func childShared(conn *net.UnixConn) error {
	m, err := receive(conn, 8, Shared)
	if err != nil {
		return err
	}
	copy(m.Bytes(), pattern(len(m.Bytes())))
	return m.Unmap()
}

func childFewFiles(conn *net.UnixConn) error {
	// Open files until there are none left: the limit need not be known.
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	for {
		if _, err := unix.Open("/", unix.O_RDONLY, 0); err != nil {
			break
		}
	}
	if _, err := Create("one too many", 1); !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "ulimit -n") {
		return fmt.Errorf("create: %w", err)
	}
	if runtime.GOOS != "linux" {
		return nil // other kernels report this in other ways
	}
	if _, _, err := ReceiveFile(conn); !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "ulimit -n") {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

func childSmallFiles(*net.UnixConn) error {
	limit := unix.Rlimit{Cur: 4096, Max: 4096}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if _, err := Create("too large", 8192); !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), "ulimit -f") {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}

func receive(conn *net.UnixConn, wantTag uint64, mode Mode) (*Mapping, error) {
	f, tag, err := ReceiveFile(conn)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if tag != wantTag {
		return nil, fmt.Errorf("tag is %d, want %d", tag, wantTag)
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		return nil, fmt.Errorf("descriptor flags %#x, %w: not close-on-exec", flags, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return Map(f, int(info.Size()), mode)
}

// pattern is data in which every page differs.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func connect(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// socketPair returns the ends of a new connection, the second as a file to be
// passed on.
func socketPair(t *testing.T) (*net.UnixConn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	conn, err := connect(os.NewFile(uintptr(fds[0]), "here"))
	if err != nil {
		t.Fatal(err)
	}
	there := os.NewFile(uintptr(fds[1]), "there")
	t.Cleanup(func() { conn.Close(); there.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn, there
}

func connPair(t *testing.T) (here, there *net.UnixConn) {
	t.Helper()
	here, f := socketPair(t)
	there, err := connect(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	return here, there
}

// runChild starts this test binary as a child in the given mode, calls use with
// the connection to it and waits for its end.
func runChild(t *testing.T, mode string, use func(*net.UnixConn)) {
	t.Helper()
	conn, there := socketPair(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+mode)
	cmd.ExtraFiles = []*os.File{there}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	use(conn)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
}

func newSegment(t *testing.T, size int) *Segment {
	t.Helper()
	seg, err := Create(t.Name(), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := seg.Close(); err != nil {
			t.Error(err)
		}
	})
	return seg
}

func TestChildProcess(t *testing.T) {
	t.Parallel()
	const size = 3<<20 + 17 // not a whole number of pages
	for _, tc := range []struct {
		mode string
		tag  uint64
	}{{"copy-on-write", 7}, {"shared", 8}} {
		t.Run(tc.mode, func(t *testing.T) {
			t.Parallel()
			seg := newSegment(t, size)
			sealed := tc.mode == "copy-on-write"
			if sealed {
				copy(seg.Bytes(), pattern(size))
				if err := seg.Seal(); err != nil {
					t.Fatal(err)
				}
			}
			runChild(t, tc.mode, func(conn *net.UnixConn) {
				if err := SendFile(conn, seg.File(), tc.tag); err != nil {
					t.Fatal(err)
				}
			})
			// Whatever the child did, this side must now have the pattern.
			got := seg.Bytes()
			if sealed {
				m, err := Map(seg.File(), size, CopyOnWrite)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Unmap()
				got = m.Bytes()
			}
			if !bytes.Equal(got, pattern(size)) {
				t.Error("the parent does not see the expected bytes")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"few-files", "small-files"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			seg := newSegment(t, 1)
			runChild(t, mode, func(conn *net.UnixConn) {
				if err := SendFile(conn, seg.File(), 1); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		size int
		want string
	}{
		{"zero", 0, "size is 0"},
		{"negative", -1, "size is -1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Create("x", tc.size); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCreateStartsEmpty(t *testing.T) {
	t.Parallel()
	seg, err := Create(strings.Repeat("long name ", 100), 5000)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	if !bytes.Equal(seg.Bytes(), make([]byte, 5000)) || seg.Size() != 5000 {
		t.Error("a new segment is not 5000 zeros")
	}
}

func TestMapRefuses(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 100)
	for _, size := range []int{-1, 0, 101} {
		if _, err := Map(seg.File(), size, CopyOnWrite); err == nil {
			t.Errorf("mapping %d of 100 bytes succeeded", size)
		}
	}
}

func TestSealTwiceAndClosed(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 100)
	for range 2 {
		if err := seg.Seal(); err != nil {
			t.Fatal(err)
		}
	}
	if seg.Bytes() != nil {
		t.Error("a sealed segment has a writable view")
	}
	for range 2 {
		if err := seg.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := newClosed(t).Seal(); err == nil && runtime.GOOS == "linux" {
		t.Error("a closed segment was sealed")
	}
}

func newClosed(t *testing.T) *Segment {
	t.Helper()
	seg := newSegment(t, 1)
	if err := seg.Close(); err != nil {
		t.Fatal(err)
	}
	return seg
}

func TestMappingsAreApart(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 8192)
	copy(seg.Bytes(), pattern(8192))
	var maps [2]*Mapping
	for i := range maps {
		m, err := Map(seg.File(), 8192, CopyOnWrite)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Unmap()
		maps[i] = m
	}
	clear(maps[0].Bytes())
	if !bytes.Equal(maps[1].Bytes(), pattern(8192)) || !bytes.Equal(seg.Bytes(), pattern(8192)) {
		t.Error("what one mapping wrote is seen by another")
	}
}

func TestRetire(t *testing.T) {
	seg := newSegment(t, 1<<20)
	m, err := Map(seg.File(), 1<<20, CopyOnWrite)
	if err != nil {
		t.Fatal(err)
	}
	stale := m.Bytes()
	for range 2 {
		if err := m.Retire(); err != nil {
			t.Fatal(err)
		}
	}
	if m.Bytes() != nil {
		t.Error("a retired mapping gives bytes")
	}
	if !faults(func() byte { return stale[4096] }) {
		t.Error("a stale reference can be read")
	}
	for range 2 {
		if err := m.Unmap(); err != nil {
			t.Fatal(err)
		}
	}
}

// faults tells whether a read ends in a memory fault.
func faults(read func() byte) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	read()
	return false
}

func TestReceiveFileRefuses(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 1)
	fd := int(seg.File().Fd())
	for _, tc := range []struct {
		name    string
		message []byte
		fds     []int
		want    error
	}{
		{"no descriptor", make([]byte, tagSize), nil, errNoDescriptor},
		{"two descriptors", make([]byte, tagSize), []int{fd, fd}, errNoDescriptor},
		{"half a tag", make([]byte, tagSize/2), []int{fd}, io.ErrUnexpectedEOF},
		{"end of stream", nil, nil, io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			here, there := connPair(t)
			if tc.message != nil {
				if _, _, err := here.WriteMsgUnix(tc.message, unix.UnixRights(tc.fds...), nil); err != nil {
					t.Fatal(err)
				}
			}
			here.Close()
			if _, _, err := ReceiveFile(there); !errors.Is(err, tc.want) {
				t.Errorf("error is %v, want %v", err, tc.want)
			}
		})
	}
}

func TestSendFileToNobody(t *testing.T) {
	t.Parallel()
	seg := newSegment(t, 1)
	here, there := connPair(t)
	there.Close()
	if err := SendFile(here, seg.File(), 1); !errors.Is(err, unix.EPIPE) {
		t.Errorf("error is %v, want a broken pipe", err)
	}
	if err := SendFile(here, newClosed(t).File(), 1); err == nil {
		t.Error("a closed file was sent")
	}
}

func TestCreateFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := createFile(dir, "x", 3<<20+1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != 3<<20+1 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
	if err := seal(f); err != nil {
		t.Errorf("seal: %v", err)
	}
	if _, err := createFile(dir+"/none", "x", 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want a missing folder", err)
	}
}

// Not parallel: it counts the descriptors of the whole process.
func TestNoDescriptorLeaks(t *testing.T) {
	here, there := connPair(t)
	before := openDescriptors(t)
	for i := range 100 {
		seg, err := Create("leak", 4096)
		if err != nil {
			t.Fatal(err)
		}
		if err := SendFile(here, seg.File(), uint64(i)); err != nil {
			t.Fatal(err)
		}
		m, err := receive(there, uint64(i), CopyOnWrite)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(m.Retire(), m.Unmap(), seg.Seal(), seg.Close()); err != nil {
			t.Fatal(err)
		}
		// A message that is refused must not leave its descriptors behind.
		if _, _, err := here.WriteMsgUnix(make([]byte, tagSize), unix.UnixRights(0, 1), nil); err != nil {
			t.Fatal(err)
		}
		if f, _, err := ReceiveFile(there); err == nil {
			f.Close()
			t.Fatal("two descriptors were accepted")
		}
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
