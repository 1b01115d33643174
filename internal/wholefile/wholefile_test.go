package wholefile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parade-go/parade/internal/wholefile"
)

func Example() {
	dir, err := os.MkdirTemp("", "wholefile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rates.csv")
	err = wholefile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "10.01\n")
		return err
	})
	data, _ := os.ReadFile(path)
	fmt.Printf("%q %v\n", data, err)
	// Output: "10.01\n" <nil>
}

// text writes so many bytes, more than any buffer's.
func text(n int) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("x", n))
		return err
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestWriteKeepsPermissions(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no permissions")
	}
	dir := t.TempDir()
	// What a new file has is what the umask leaves.
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(dir, "made")
	if err := wholefile.Write(made, text(1)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Stat(made); err != nil || got.Mode() != want.Mode() {
		t.Errorf("a new file: mode %v, error %v, want %v", got.Mode(), err, want.Mode())
	}
	// More than any usual umask leaves, and less.
	for _, mode := range []fs.FileMode{0o666, 0o600} {
		if err := os.Chmod(made, mode); err != nil {
			t.Fatal(err)
		}
		if err := wholefile.Write(made, text(2)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Stat(made); err != nil || got.Mode() != mode || got.Size() != 2 {
			t.Errorf("mode %v, %d bytes, error %v, want %v and 2 bytes", got.Mode(), got.Size(), err, mode)
		}
	}
}

func TestWriteAllOrNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, write := range map[string]func(io.Writer) error{
		"an error at once":      func(io.Writer) error { return broken },
		"an error after a part": func(w io.Writer) error { return errors.Join(text(1<<20)(w), broken) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "old")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{path, filepath.Join(dir, "new")} {
				if err := wholefile.Write(path, write); !errors.Is(err, broken) {
					t.Errorf("error %v, want %v", err, broken)
				}
			}
			if data, err := os.ReadFile(path); string(data) != "old" || names(t, dir) != "old" {
				t.Errorf("old file %.10q, error %v, folder has %s", data, err, names(t, dir))
			}
		})
	}
	t.Run("a panic", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		defer func() {
			if recover() == nil || names(t, dir) != "" {
				t.Errorf("the panic is lost, or the folder has %q", names(t, dir))
			}
		}()
		_ = wholefile.Write(filepath.Join(dir, "new"), func(io.Writer) error { panic("mine") })
	})
	t.Run("a full disk", func(t *testing.T) {
		t.Parallel()
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip(err)
		}
		if err := wholefile.Write("/dev/full", text(1)); err == nil {
			t.Error("no error")
		}
	})
}

// What a process has left that is gone is removed, what another one makes is not.
func TestSweep(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there it cannot be told which processes are gone")
	}
	dir := filepath.Join(t.TempDir(), "[a]*")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	own := wholefile.Temporary(filepath.Join(dir, "image.nii.gz"))
	if base := filepath.Base(own); !strings.HasPrefix(base, wholefile.Prefix) || !strings.HasSuffix(base, "-image.nii.gz") {
		t.Errorf("the temporary name is %s", base)
	}
	parts := strings.SplitN(filepath.Base(own), "-", 4)
	const gone = "zik0zj" // more than any system's largest number of a process
	left := filepath.Join(dir, strings.Join([]string{parts[0], parts[1], gone, parts[3]}, "-"))
	elsewhere := filepath.Join(dir, strings.Join([]string{parts[0], "otherhost", gone, parts[3]}, "-"))
	for _, name := range []string{own, left, elsewhere} {
		if err := os.WriteFile(name, []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := wholefile.Write(filepath.Join(dir, "whole"), text(1)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{own: true, left: false, elsewhere: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", filepath.Base(name), err, want)
		}
	}
	if long := wholefile.Temporary(filepath.Join(dir, strings.Repeat("ä", 120)+".nii")); len(filepath.Base(long)) > 255 || !strings.HasSuffix(long, "ä.nii") {
		t.Errorf("the temporary name of a long one has %d bytes: %s", len(filepath.Base(long)), long)
	}
}

func TestWriteThroughALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "elsewhere")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	target, link := filepath.Join(folder, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("elsewhere", "target"), link); err != nil {
		t.Skip(err)
	}
	if err := wholefile.Write(link, text(3)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if data, _ := os.ReadFile(target); err != nil || info.Mode()&fs.ModeSymlink == 0 || string(data) != "xxx" {
		t.Errorf("link %v, error %v, target %q", info.Mode(), err, data)
	}
	if got := names(t, dir) + "," + names(t, folder); got != "elsewhere link,target" {
		t.Errorf("the folders have %s", got)
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := wholefile.Write(dir, text(1)); !errors.Is(err, wholefile.ErrFolder) {
		t.Errorf("a folder: error %v", err)
	}
	if err := wholefile.Write(filepath.Join(dir, "no", "file"), text(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: error %v", err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, tc := range []struct {
		name   string
		old    string // there before the commit
		commit func(f *wholefile.File) error
		want   error
		text   string // there after all
	}{
		{"committed", "", (*wholefile.File).Commit, nil, "new"},
		{"committed over an older one", "old", (*wholefile.File).Commit, nil, "new"},
		{"given up", "", func(*wholefile.File) error { return nil }, nil, ""},
		{"given up beside an older one", "old", func(*wholefile.File) error { return nil }, nil, "old"},
		{"new", "", (*wholefile.File).CommitNew, nil, "new"},
		{"not new", "old", (*wholefile.File).CommitNew, fs.ErrExist, "old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_ = os.Remove(path)
			f, err := wholefile.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(f, "new"); err != nil {
				t.Fatal(err)
			}
			if tc.old != "" {
				if err := os.WriteFile(path, []byte(tc.old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := tc.commit(f); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
			data, err := os.ReadFile(path)
			if string(data) != tc.text || (err == nil) != (tc.text != "") || names(t, dir) != filepath.Base(path) && tc.text != "" {
				t.Errorf("the file has %q, error %v; the folder has %s", data, err, names(t, dir))
			}
		})
	}
}
