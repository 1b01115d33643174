package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade"
	"go.uber.org/goleak"
)

// standIn says that 3dBlurToFWHM is the script in the folder standin.
var standIn bool

func TestMain(m *testing.M) {
	parade.Serve() // the workers are this test's binary
	dir, err := os.MkdirTemp("", "smoothing-")
	if err == nil {
		err = prepare(dir)
	}
	if err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// prepare sees to it that there is a 3dBlurToFWHM, and makes dir the working directory.
func prepare(dir string) error {
	if _, err := exec.LookPath("3dBlurToFWHM"); err != nil && runtime.GOOS != "windows" {
		standIn = true
		script, err := os.ReadFile("standin/3dBlurToFWHM")
		if err != nil {
			return err
		}
		// A copy, as a module's zip file does not tell which files are programs.
		bin := filepath.Join(dir, "bin")
		if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "3dBlurToFWHM"), script, 0o755)); err != nil {
			return err
		}
		if err := os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
			return err
		}
	}
	return os.Chdir(dir)
}

// needs skips a test where there is nothing to run: only the stand-in can be made to
// fail at will.
func needs(t *testing.T, scripted bool) {
	t.Helper()
	if runtime.GOOS == "windows" || scripted && !standIn {
		t.Skip("needs a 3dBlurToFWHM, or its stand-in")
	}
}

// write makes a NIfTI-1 file of noise.
func write(path string) error {
	const edge = 20 // voxels of 3 mm
	header := make([]byte, 352)
	le := binary.LittleEndian
	le.PutUint32(header, 348)
	for i, n := range []uint16{3, edge, edge, edge, 1, 1, 1, 1} {
		le.PutUint16(header[40+2*i:], n)
		le.PutUint32(header[76+4*i:], math.Float32bits(3))
	}
	le.PutUint32(header[76:], math.Float32bits(1)) // right-handed
	le.PutUint16(header[70:], 16)                  // float32
	le.PutUint16(header[72:], 32)                  // bits
	le.PutUint32(header[108:], math.Float32bits(352))
	header[123] = 2 // mm
	copy(header[344:], "n+1")
	data := header
	for rng := rand.New(rand.NewPCG(1, 2)); len(data) < len(header)+4*edge*edge*edge; {
		data = le.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64())))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(data); err != nil {
		return err
	}
	return errors.Join(z.Close(), os.WriteFile(path, packed.Bytes(), 0o644))
}

// study writes subjects and a list that names them. Those that begin with "no-" are not
// written.
func study(dir string, names ...string) (list string, err error) {
	var lines strings.Builder
	for _, name := range names {
		path := filepath.Join(dir, name+".nii.gz")
		fmt.Fprintln(&lines, path)
		if !strings.HasPrefix(name, "no-") {
			err = errors.Join(err, write(path))
		}
	}
	list = filepath.Join(dir, "subjects.txt")
	return list, errors.Join(err, os.WriteFile(list, []byte(lines.String()), 0o644))
}

func Example() {
	if runtime.GOOS == "windows" {
		fmt.Print("subject sub-01.nii.gz: done\nsubject sub-02.nii.gz: done\n")
		return
	}
	list, err := study("", "sub-01", "sub-02")
	if err == nil {
		err = run(context.Background(), "threads", list, "6", os.Stdout)
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// subject sub-01.nii.gz: done
	// subject sub-02.nii.gz: done
}

var executors = []string{"serial", "threads:3", "processes:2"}

// smooth runs the example and gives each subject's message.
func smooth(t *testing.T, executor, list string) (messages map[string]string, err error) {
	t.Helper()
	var out bytes.Buffer
	err = run(t.Context(), executor, list, "6", &out)
	messages = map[string]string{}
	for line := range strings.Lines(out.String()) {
		path, message, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "subject "), "\n"), ": ")
		messages[strings.TrimSuffix(filepath.Base(path), ".nii.gz")] = message
	}
	return messages, err
}

// files are the names in a folder that are not a study's own.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if name != "subjects.txt" && (!strings.HasSuffix(name, ".nii.gz") || strings.Contains(name, "mm.nii.gz") || name[0] == '.') {
			names = append(names, name)
		}
	}
	return names
}

func TestSubjectsOfAList(t *testing.T) {
	t.Parallel()
	needs(t, false)
	for _, executor := range executors {
		t.Run(executor, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			list, err := study(dir, "a", "b", "no-c", "d")
			if err != nil {
				t.Fatal(err)
			}
			got, err := smooth(t, executor, list)
			if err == nil || err.Error() != "1 of 4 subjects failed" {
				t.Errorf("error %v, want that of 1 of 4 subjects", err)
			}
			for _, name := range []string{"a", "b", "d"} {
				if got[name] != "done" {
					t.Errorf("subject %s: %q, want done", name, got[name])
				}
				whole(t, smoothed(dir, name))
			}
			if m := got["no-c"]; !strings.HasPrefix(m, "exit 1: ** ") || !strings.Contains(m, "ERROR") || !strings.Contains(m, "no-c") {
				t.Errorf("the missing subject: %q, want what 3dBlurToFWHM says of it", m)
			}
			if got := strings.Join(files(t, dir), " "); got != "a_6mm.nii.gz b_6mm.nii.gz d_6mm.nii.gz" {
				t.Errorf("the folder has %s", got)
			}

			// Again, with a missing subject that is there now and one that has changed, over
			// whose output the program itself would not write.
			before := map[string]os.FileInfo{}
			for _, name := range []string{"a", "b", "d"} {
				before[name] = stat(t, smoothed(dir, name))
			}
			if err := write(filepath.Join(dir, "no-c.nii.gz")); err != nil {
				t.Fatal(err)
			}
			later := before["b"].ModTime().Add(time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "b.nii.gz"), later, later); err != nil {
				t.Fatal(err)
			}
			got, err = smooth(t, executor, list)
			if err != nil {
				t.Errorf("again: %v", err)
			}
			for name, want := range map[string]string{"a": "done before", "b": "done", "no-c": "done", "d": "done before"} {
				if got[name] != want {
					t.Errorf("again, subject %s: %q, want %s", name, got[name], want)
				}
				whole(t, smoothed(dir, name))
				if was := before[name]; was != nil && os.SameFile(was, stat(t, smoothed(dir, name))) != (want == "done before") {
					t.Errorf("again, subject %s: %s, but computed anew is %v", name, want, want != "done before")
				}
			}
			var out bytes.Buffer
			if err := run(t.Context(), executor, list, "5", &out); err != nil || strings.Contains(out.String(), "before") {
				t.Errorf("to another FWHM: %v, %s", err, &out)
			}
			// 3dFWHMx writes there.
			if _, err := os.Stat("3dFWHMx.1D"); err == nil {
				t.Error("3dFWHMx.1D is in the working directory")
			}
		})
	}
}

func smoothed(dir, name string) string { return filepath.Join(dir, name+"_6mm.nii.gz") }

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// whole unpacks an output to its end.
func whole(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		_, err = io.Copy(io.Discard, z)
	}
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

func TestNoHalfFile(t *testing.T) {
	t.Parallel()
	needs(t, true)
	for _, executor := range executors {
		t.Run(executor, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			troubles := map[string]string{ // and what is said of it
				"kill":   "killed by SIGKILL",
				"cut":    "gzip -t",
				"silent": "NOT written to disk!",
			}
			list, err := study(dir, "kill", "cut", "silent", "none")
			for name := range troubles {
				err = errors.Join(err, os.WriteFile(trouble(dir, name), nil, 0o644))
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := smooth(t, executor, list)
			if err == nil || err.Error() != "3 of 4 subjects failed" {
				t.Errorf("error %v, want that of 3 of 4 subjects", err)
			}
			for name, want := range troubles {
				if !strings.Contains(got[name], want) {
					t.Errorf("subject %s: %q, want %q in it", name, got[name], want)
				}
				if err := os.Remove(trouble(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(files(t, dir), " "); got != "none_6mm.nii.gz" {
				t.Errorf("the folder has %s", got)
			}
			if got, err = smooth(t, executor, list); err != nil || got["kill"] != "done" || got["none"] != "done before" {
				t.Errorf("again: %v, %v", got, err)
			}
		})
	}
}

// trouble is the file that makes the stand-in fail at the subject of that name.
func trouble(dir, name string) string { return filepath.Join(dir, name+".nii.gz."+name) }

func TestCancelledInTheMiddle(t *testing.T) {
	t.Parallel()
	needs(t, true)
	for _, executor := range executors {
		t.Run(executor, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			list, err := study(dir, "hang")
			if err = errors.Join(err, os.WriteFile(trouble(dir, "hang"), nil, 0o644)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, executor, list, "6", io.Discard) }()
			for half := false; !half; time.Sleep(time.Millisecond) {
				select {
				case err := <-ended:
					t.Fatalf("ended with %v before it was cancelled", err)
				default:
				}
				for _, name := range files(t, dir) {
					if info, err := os.Stat(filepath.Join(dir, name)); err == nil && strings.HasSuffix(name, "_6mm.nii.gz") && info.Size() > 0 {
						half = true
					}
				}
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that of a cancelled run", err)
			}
			if _, err := os.Stat(smoothed(dir, "hang")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there is an output: %v", err)
			}
			// What a worker that was ended could not remove, the next run does.
			if err := os.Remove(trouble(dir, "hang")); err != nil {
				t.Fatal(err)
			}
			if got, err := smooth(t, executor, list); err != nil || got["hang"] != "done" {
				t.Errorf("again: %v, %v", got, err)
			}
			if got := strings.Join(files(t, dir), " "); got != "hang_6mm.nii.gz" {
				t.Errorf("the folder has %s", got)
			}
		})
	}
}

// What the stand-in does here, the real program does too.
func TestTraps(t *testing.T) {
	t.Parallel()
	needs(t, false)
	dir := t.TempDir()
	if _, err := study(dir, "a"); err != nil {
		t.Fatal(err)
	}
	smooth := func(args ...string) error {
		cmd := exec.CommandContext(t.Context(), "3dBlurToFWHM", append(args, "-input", "a.nii.gz", "-FWHM", "6")...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "AFNI_LOGFILE=NO")
		return cmd.Run()
	}
	if err := smooth("-prefix", "out.nii.gz"); err != nil {
		t.Fatal(err)
	}
	whole(t, filepath.Join(dir, "out.nii.gz"))
	if _, err := os.Stat(filepath.Join(dir, "3dFWHMx.1D")); err != nil {
		t.Errorf("without -quiet: %v", err)
	}
	before := stat(t, filepath.Join(dir, "out.nii.gz"))
	if err := smooth("-quiet", "-prefix", "out.nii.gz"); err != nil {
		t.Errorf("over an output: %v, want exit status 0", err)
	}
	if after := stat(t, filepath.Join(dir, "out.nii.gz")); !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("the output was written over")
	}
	if err := smooth("-quiet", "-prefix", "missing/out.nii.gz"); err != nil {
		t.Errorf("into a folder that does not exist: %v, want exit status 0", err)
	}
	if err := smooth("-quiet", "-prefix", "an output.nii.gz"); err == nil {
		t.Error("an output with a blank: want an error")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "no-list.txt")
	if err := run(t.Context(), "serial", list, "6", io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing list: %v", err)
	}
	if err := run(t.Context(), "serial", list, "2abc", io.Discard); err == nil || !strings.Contains(err.Error(), "FWHM") {
		t.Errorf("a bad FWHM: %v", err)
	}
}
