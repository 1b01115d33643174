package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parade-go/parade/internal/host"
)

const kind = "test 1"

// collect opens a journal and returns its records as they were appended.
func collect(path string) (j *File, records []string, err error) {
	j, err = Open(path, kind, func(r Record) error {
		records = append(records, string(r.Data))
		return nil
	})
	return j, records, err
}

// contents returns the records of a journal and closes it.
func contents(t *testing.T, path string) []string {
	t.Helper()
	j, records, err := collect(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return records
}

// fill appends records to a journal.
func fill(t *testing.T, path string, records ...string) {
	t.Helper()
	j, _, err := collect(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(toBytes(records)...); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func toBytes(records []string) [][]byte {
	objects := make([][]byte, len(records))
	for i, r := range records {
		objects[i] = []byte(r)
	}
	return objects
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("records %.300q, want %.300q", got, want)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return fmt.Sprintf(`{"v":%q}`, strings.Repeat("x", n)) }
	for _, tc := range []struct {
		name    string
		records []string
	}{
		{"none", nil},
		{"one", []string{`{"a":1}`}},
		{"escapes", []string{`{"a":"\n\"\\é"}`, `{"é":{}}`, `{"crc2":"x","b":[1,2]}`}},
		{"about the window", []string{long(readAhead - 40), long(readAhead - 10), long(readAhead), long(2 * readAhead), `{"a":1}`}},
		{"much longer than it", []string{`{"a":1}`, long(3 * keepUpTo), `{"b":1}`, long(100), long(keepUpTo)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "j")
			for i, r := range tc.records { // each by a program of its own
				fill(t, path, r)
				equal(t, contents(t, path), tc.records[:i+1])
			}
			equal(t, contents(t, path), tc.records)

			all := filepath.Join(t.TempDir(), "j")
			fill(t, all, tc.records...) // all at once
			if got, want := read(t, all)[headerSize:], read(t, path); len(tc.records) > 0 && !bytes.Equal(got, want[headerSize:]) {
				t.Error("records appended at once and one by one differ")
			}
		})
	}
}

func TestRecordAtItsOffset(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	r := rand.New(rand.NewPCG(1, 1))
	var records []string
	for i := range 500 {
		records = append(records, fmt.Sprintf(`{"i":%d,"v":%q}`, i, strings.Repeat("x", r.IntN(1<<r.IntN(18)))))
	}
	fill(t, path, records...)
	var at []int64
	j, err := Open(path, kind, func(r Record) error {
		at = append(at, r.Offset)
		if want := len(at) + 1; r.Line != want {
			t.Errorf("line %d, want %d", r.Line, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for range 2000 {
		i := r.IntN(len(records))
		for k := i; k < min(i+3, len(records)); k++ {
			got, err := j.Record(at[k])
			if err != nil || string(got.Data) != records[k] {
				t.Fatalf("record %d is %.50q, error %v; want %.50q", k, got.Data, err, records[k])
			}
		}
	}
	if _, err := j.Record(at[7] + 1); !errors.Is(err, ErrDamaged) {
		t.Errorf("between two records: %v, want ErrDamaged", err)
	}
	if _, err := j.Record(1 << 40); !errors.Is(err, ErrDamaged) {
		t.Errorf("behind the end: %v, want ErrDamaged", err)
	}
}

// A program may die at any byte of its last write, and power may fail with a block that
// the file has and the disk has not.
func TestTornEnd(t *testing.T) {
	t.Parallel()
	sound := image(t, `{"a":1}`, `{"b":2}`)
	whole := image(t, `{"a":1}`, `{"b":2}`, `{"c":"the last one"}`)
	copy(whole, sound[:headerSize]) // the time in it
	check := func(t *testing.T, torn []byte) {
		t.Helper()
		d := &disk{data: slices.Clone(torn), room: 1 << 20}
		j, records, err := mount(d)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, records, []string{`{"a":1}`, `{"b":2}`})
		if cut := int64(len(torn) - len(sound)); j.Cut() != cut {
			t.Errorf("%d bytes were cut off, want %d", j.Cut(), cut)
		}
		if err := errors.Join(j.Append([]byte(`{"d":4}`)), j.Close()); err != nil {
			t.Fatal(err)
		}
		if _, records, err = mount(d); err != nil {
			t.Fatal(err)
		}
		equal(t, records, []string{`{"a":1}`, `{"b":2}`, `{"d":4}`})
	}
	for n := len(sound); n < len(whole); n++ {
		check(t, whole[:n])
	}
	zeros := make([]byte, 5000)
	check(t, slices.Concat(sound, zeros))
	check(t, slices.Concat(sound, zeros, []byte("\n")))
	check(t, slices.Concat(whole[:len(sound)+5], zeros, []byte("c\n")))
	check(t, slices.Concat(sound, []byte("\n\n\n")))
	for i := len(sound); i < len(whole)-1; i++ { // its last line, with its newline, not what was written
		bad := slices.Clone(whole)
		bad[i] ^= 1
		check(t, bad)
	}
}

func TestTornHeader(t *testing.T) {
	t.Parallel()
	header := image(t)
	if len(header) != headerSize || header[headerSize-1] != '\n' {
		t.Fatalf("the header has %d bytes: %q", len(header), header)
	}
	for n := range header {
		d := &disk{data: slices.Clone(header[:n]), room: 1 << 20}
		j, _, err := mount(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Append([]byte(`{"a":1}`)), j.Close()); err != nil {
			t.Fatal(err)
		}
		_, records, err := mount(d)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, records, []string{`{"a":1}`})
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	whole := image(t, `{"a":1}`, `{"b":2}`, `{"c":3}`)
	starts := []int{0, headerSize, headerSize + len(`{"a":1}`) + framing}
	last := headerSize + 2*(len(`{"a":1}`)+framing)
	for i := range last - 1 { // without line 3's newline, what follows the damage is part of it
		bad := slices.Clone(whole)
		bad[i] ^= 4
		d := &disk{data: slices.Clone(bad), room: 1 << 20}
		_, _, err := mount(d)
		line := 1
		for line < len(starts) && i >= starts[line] {
			line++
		}
		var damage *DamageError
		switch {
		case line > 1:
			if !errors.As(err, &damage) || damage.Line != line || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("line %d ", line)) {
				t.Fatalf("byte %d: %v, want a damage of line %d", i, err, line)
			}
		case !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign):
			t.Fatalf("byte %d of the header: %v, want ErrDamaged or ErrForeign", i, err)
		}
		if !bytes.Equal(d.data, bad) {
			t.Fatalf("byte %d: a damaged journal was changed", i)
		}
	}
	longer := slices.Concat(whole[:last], []byte(`{"crc":"00000000","x":1}`+"\n"), whole[last:])
	var damage *DamageError
	if _, _, err := mount(&disk{data: longer, room: 1 << 20}); !errors.As(err, &damage) || damage.Line != 4 {
		t.Errorf("a line that was put in: %v, want a damage of line 4", err)
	}
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other")
	j, err := Open(other, "another kind", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	newer := bytes.TrimSuffix(bytes.Replace(read(t, other), []byte(`"journal":1`), []byte(`"journal":9`), 1), []byte("\n"))
	newer = appendLine(nil, append([]byte("{"), newer[crcEnd+2:]...))
	for name, data := range map[string][]byte{
		"text":           []byte("subject,fwhm\nsub-01,6.0\n"),
		"one letter":     []byte("x"),
		"json":           []byte(`{"crc":"x"}` + "\n"),
		"zeros":          make([]byte, 4096),
		"a short header": []byte(`{"crc":"00000000","journal":1}` + "\n"),
		"another kind":   read(t, other),
		"a newer format": newer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "j")
			write(t, path, data)
			if _, _, err := collect(path); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want ErrForeign and the path", err)
			}
			if !bytes.Equal(read(t, path), data) {
				t.Error("the file was changed")
			}
		})
	}
	for name, path := range map[string]string{"a folder": t.TempDir(), "no folder": filepath.Join(t.TempDir(), "x", "j"), "a device": os.DevNull} {
		if j, _, err := collect(path); err == nil {
			t.Errorf("%s was taken for a journal", name)
			j.Close()
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	fill(t, path, `{"a":1}`, `{"b":2}`)
	no := errors.New("no such field")
	_, err := Open(path, kind, func(r Record) error {
		if string(r.Data) == `{"b":2}` {
			return no
		}
		return nil
	})
	if !errors.Is(err, no) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v, want the callback's error and line 3", err)
	}
	equal(t, contents(t, path), []string{`{"a":1}`, `{"b":2}`}) // and it was unlocked
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, err := collect(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []string{"", "{", "{}", "[1,2,3]", "{\"a\":\n1}", `{"a":1} `} {
		if err := j.Append([]byte(`{"a":1}`), []byte(o)); err == nil {
			t.Errorf("%q was appended", o)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte(`{"a":1}`)); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v, want ErrClosed", err)
	}
	if err := j.Sync(); !errors.Is(err, ErrClosed) {
		t.Errorf("sync after close: %v, want ErrClosed", err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	equal(t, contents(t, path), nil)
	if _, err := Open(filepath.Join(t.TempDir(), "j"), strings.Repeat("k", maxText+1), nil); err == nil {
		t.Error("a kind without end was accepted")
	}
}

func TestHeaderAlwaysFits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	long := strings.Repeat("\x01", maxText/6) + strings.Repeat("\"", maxText-maxText/6)
	j, err := Open(path, long, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, path)); n != headerSize {
		t.Errorf("the header has %d bytes", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, err := collect(path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 200 {
				if err := j.Append(fmt.Appendf(nil, `{"w":%d,"i":%d}`, w, i)); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					if err := j.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for _, r := range contents(t, path) {
		w, i, _ := strings.Cut(strings.Trim(r, "{}"), ",")
		if want := fmt.Sprintf(`"i":%d`, next[w]); i != want {
			t.Fatalf("%s has %s, want %s", w, i, want)
		}
		next[w]++
	}
	if len(next) != 4 {
		t.Errorf("records of %d writers, want 4", len(next))
	}
}

// disk is a file in memory with room for so many bytes.
type disk struct {
	mu    sync.Mutex
	data  []byte
	room  int
	syncs int
	stuck bool  // it cannot even be truncated
	ill   error // of Sync
}

func (d *disk) ReadAt(p []byte, at int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.NewReader(d.data).ReadAt(p, at)
}

func (d *disk) WriteAt(p []byte, at int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), max(0, d.room-int(at)))
	d.data = slices.Concat(d.data[:at], p[:n], d.data[min(len(d.data), int(at)+n):])
	if n < len(p) {
		return n, &os.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	}
	return n, nil
}

func (d *disk) Truncate(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stuck {
		return syscall.EIO
	}
	d.data = d.data[:size]
	return nil
}

func (d *disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	return d.ill
}

func (d *disk) Close() error { return nil }

// mount opens the journal on a disk.
func mount(d *disk) (j *File, records []string, err error) {
	j = &File{path: "disk", file: d}
	err = j.start(kind, func(r Record) error {
		records = append(records, string(r.Data))
		return nil
	})
	return j, records, err
}

// image returns the bytes of a journal.
func image(t testing.TB, records ...string) []byte {
	t.Helper()
	d := &disk{room: 1 << 20}
	j, _, err := mount(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Append(toBytes(records)...), j.Close()); err != nil {
		t.Fatal(err)
	}
	return d.data
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	record := []byte(`{"v":"some result"}`)
	for _, stuck := range []bool{false, true} {
		for room := range headerSize + 4*(len(record)+framing) {
			d := &disk{room: room, stuck: stuck}
			j, _, err := mount(d)
			if room < headerSize {
				if !errors.Is(err, syscall.ENOSPC) || !stuck && len(d.data) != 0 {
					t.Fatalf("room for %d bytes: %v, and %d bytes are left", room, err, len(d.data))
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				kept := 0
				for ; err == nil && kept < 10; kept++ {
					err = j.Append(record)
				}
				kept--
				for _, err := range []error{err, j.Append(record), j.Sync(), j.Close()} {
					if !errors.Is(err, syscall.ENOSPC) {
						t.Fatalf("room for %d bytes: %v, want ENOSPC", room, err)
					}
				}
				if want := (room - headerSize) / (len(record) + framing); kept != want {
					t.Fatalf("room for %d bytes: %d records, want %d", room, kept, want)
				}
			}
			// When there is room again, all that was written is there.
			before := max(0, (room-headerSize)/(len(record)+framing))
			d.room, d.stuck = 1<<20, false
			j, records, err := mount(d)
			if err != nil || len(records) != before {
				t.Fatalf("room for %d bytes: afterwards %d records and error %v, want %d", room, len(records), err, before)
			}
			if err := errors.Join(j.Append(record), j.Close()); err != nil {
				t.Fatal(err)
			}
			if _, records, err := mount(d); err != nil || len(records) != before+1 {
				t.Fatalf("room for %d bytes: at the end %d records and error %v", room, len(records), err)
			}
		}
	}
}

func TestFailedSync(t *testing.T) {
	t.Parallel()
	d := &disk{room: 1 << 20}
	j, _, err := mount(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	d.ill = syscall.EIO
	if err := j.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v, want EIO", err)
	}
	d.ill = nil // after one failure nobody knows what is on the disk
	for _, err := range []error{j.Append([]byte(`{"a":1}`)), j.Sync(), j.Close()} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("afterwards: %v, want EIO", err)
		}
	}
}

// One fsync serves what was appended within SyncDelay, and none is made for nothing.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 20}
		j, _, err := mount(d)
		if err != nil {
			t.Fatal(err)
		}
		syncs := func(want int) {
			t.Helper()
			synctest.Wait()
			d.mu.Lock()
			defer d.mu.Unlock()
			if got := d.syncs; got != want {
				t.Fatalf("%d fsyncs, want %d", got, want)
			}
		}
		syncs(1) // of the header
		for range 99 {
			if err := j.Append([]byte(`{"a":1}`)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(SyncDelay / 100)
		}
		syncs(1)
		time.Sleep(SyncDelay / 100)
		syncs(2)
		time.Sleep(10 * SyncDelay)
		syncs(2)
		if err := errors.Join(j.Sync(), j.Sync()); err != nil {
			t.Fatal(err)
		}
		syncs(2)
		if err := errors.Join(j.Append([]byte(`{"a":1}`)), j.Sync()); err != nil {
			t.Fatal(err)
		}
		syncs(3)
		time.Sleep(10 * SyncDelay)
		syncs(3)
		if err := errors.Join(j.Append([]byte(`{"a":1}`)), j.Close()); err != nil {
			t.Fatal(err)
		}
		syncs(4)
		time.Sleep(10 * SyncDelay)
		syncs(4)
	})
}

const holderVariable = "PARADE_TEST_JOURNAL_HOLDER"

// TestMain makes this binary a program that holds a journal, writes on and on, and waits
// to be killed.
func TestMain(m *testing.M) {
	path := os.Getenv(holderVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	j, err := Open(path, kind, func(Record) error { return nil })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if err := j.Append(fmt.Appendf(nil, `{"i":%d,"v":%q}`, i, strings.Repeat("x", i%5000))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if i == 100 {
			fmt.Println("ready")
		}
	}
}

func TestHeldByAnotherProgram(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "j")
	for range 3 {
		holder := exec.CommandContext(t.Context(), self)
		holder.Env = append(os.Environ(), holderVariable+"="+path)
		out, err := holder.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("ready"))); err != nil {
			t.Fatal(err)
		}
		_, _, err = collect(path)
		var held *HeldError
		if !errors.As(err, &held) || !errors.Is(err, ErrHeld) || held.PID != holder.Process.Pid || held.Host != host.Name() || held.Since.IsZero() {
			t.Errorf("%v, want a HeldError with process %d", err, holder.Process.Pid)
		}
		if err := holder.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = holder.Wait() // killed
		records := contents(t, path)
		if len(records) < 100 {
			t.Errorf("%d records after kill -9, want at least the 100 that were announced", len(records))
		}
	}
}

func TestHeldByThisProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, err := collect(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := collect(path); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "this very program") {
		t.Errorf("%v, want ErrHeld by this very program", err)
	}
	if err := errors.Join(j.Append([]byte(`{"a":1}`)), j.Close()); err != nil {
		t.Fatal(err)
	}
	equal(t, contents(t, path), []string{`{"a":1}`})
}

func FuzzReplay(f *testing.F) {
	whole := image(f, `{"a":1}`, `{"b":"x"}`)
	header := whole[:headerSize]
	f.Add(whole, []byte(nil))
	f.Add(header, whole[headerSize:])
	f.Add(header, whole[headerSize:len(whole)-3])
	f.Add(header, []byte("\n\x00{\"crc\":\"\",\"}\n"))
	f.Add([]byte(headerStart), []byte(nil))
	f.Fuzz(func(t *testing.T, head, rest []byte) {
		data := slices.Concat(head, rest)
		d := &disk{data: slices.Clone(data), room: 1 << 30}
		j, before, err := mount(d)
		if err != nil {
			if !bytes.Equal(d.data, data) {
				t.Fatal("a refused file was changed")
			}
			return
		}
		if err := errors.Join(j.Append([]byte(`{"new":1}`)), j.Close()); err != nil {
			t.Fatal(err)
		}
		_, after, err := mount(d)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, after, append(before, `{"new":1}`))
	})
}

func BenchmarkAppend(b *testing.B) {
	record := fmt.Appendf(nil, `{"v":%q}`, strings.Repeat("x", 200-len(`{"v":""}`)))
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d at a time", n), func(b *testing.B) {
			j, err := Open(filepath.Join(b.TempDir(), "j"), kind, nil)
			if err != nil {
				b.Fatal(err)
			}
			batch := slices.Repeat([][]byte{record}, n)
			start := time.Now()
			for b.Loop() {
				if err := j.Append(batch...); err != nil {
					b.Fatal(err)
				}
			}
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n*b.N)/time.Since(start).Seconds(), "records/s")
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	path := filepath.Join(b.TempDir(), "j")
	record := fmt.Appendf(nil, `{"v":%q}`, strings.Repeat("x", 200-len(`{"v":""}`)))
	j, err := Open(path, kind, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(j.Append(slices.Repeat([][]byte{record}, 100_000)...), j.Close()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(100_000 * int64(len(record)+framing))
	b.ReportAllocs()
	for b.Loop() {
		j, err := Open(path, kind, func(Record) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
