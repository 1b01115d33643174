package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parade-go/parade/nifti"
	"github.com/rogpeppe/go-internal/testscript"
)

// phantom makes an image of noise on a smooth structure: phantom NAME 8x7x6x5 [SEED].
func phantom(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: phantom name shape [seed]")
	}
	var shape []int
	for n := range strings.SplitSeq(args[1], "x") {
		length, err := strconv.Atoi(n)
		ts.Check(err)
		shape = append(shape, length)
	}
	seed := uint64(1)
	if len(args) > 2 {
		var err error
		seed, err = strconv.ParseUint(args[2], 10, 64)
		ts.Check(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	h := nifti.New(shape, [3]float64{3, 3, 3.5})
	values := make([]float32, h.VolumeLen()*h.Volumes())
	for i := range values {
		values[i] = float32(100 + 10*math.Sin(float64(i%h.VolumeLen())/50) + rng.NormFloat64())
	}
	ts.Check(nifti.WriteFile(ts.MkAbs(args[0]), h, values, nifti.Options{}))
}

// goldenSmooth is a case of package smooth's golden data.
type goldenSmooth struct {
	ID, Kind, Input, Expected, Tool string
	Mask                            string
	FWHM                            json.RawMessage `json:"fwhm_mm"`
	Goal                            float64         `json:"goal_mm"`
	Iterations                      int
	Tolerance                       struct {
		Most float64 `json:"max_abs_over_max"`
	}
}

// flags are those of "parade smooth" for a case, nil where it has no such method.
func (c goldenSmooth) flags(inputs string) []string {
	if strings.Contains(c.Tool, "-temper") {
		return nil
	}
	method, width := map[string]string{"gaussian": gaussian, "afni_merge": afni, "afni_to_fwhm": toFWHM, "afni_inmask": inMask}[c.Kind], strings.Trim(string(c.FWHM), "[]")
	if method == toFWHM {
		width = fmt.Sprint(c.Goal)
	}
	flags := []string{"smooth", "--json", "--method", method, "--fwhm", width}
	if c.Mask != "" {
		flags = append(flags, "--mask", filepath.Join(inputs, c.Mask))
	}
	words := strings.Fields(c.Tool)
	for i, word := range words {
		switch word {
		case "-FWHMxy":
			flags = append(flags, "--in-plane")
		case "-nodetrend":
			flags = append(flags, "--no-detrend")
		case "-nbhd":
			flags = append(flags, "--uniform")
		case "-rate":
			flags = append(flags, "--rate", words[i+1])
		case "-maxite":
			flags = append(flags, "--max-iterations", words[i+1])
		}
	}
	return flags
}

// The command gives what SciPy and AFNI gave, in files, on every executor.
func TestSmoothGolden(t *testing.T) {
	t.Parallel()
	data, err := filepath.Abs("../../smooth/testdata")
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := filepath.Abs("../../nifti/testdata/reference")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(data, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Cases []goldenSmooth }
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, c := range golden.Cases {
		flags := c.flags(inputs)
		if flags == nil {
			continue
		}
		kinds[c.Kind]++
		t.Run(c.ID+" "+c.Kind, func(t *testing.T) {
			t.Parallel()
			var first []byte
			for _, on := range []string{"threads:3", "serial"} {
				out := t.TempDir()
				var stdout, stderr bytes.Buffer
				args := append(slices.Clone(flags), "--on", on, "-o", out, filepath.Join(inputs, c.Input))
				if code := run(args, nil, &stdout, &stderr); code != 0 {
					t.Fatalf("parade %v: exit code %d: %s", args, code, &stderr)
				}
				var report struct {
					Out        string
					Iterations int
				}
				if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
					t.Fatalf("%q: %v", &stdout, err)
				}
				if report.Iterations != c.Iterations {
					t.Errorf("%d iterations, want %d", report.Iterations, c.Iterations)
				}
				compareImages(t, report.Out, filepath.Join(data, c.Expected), c.Tolerance.Most)
				made, err := os.ReadFile(report.Out)
				if err != nil {
					t.Fatal(err)
				}
				if first != nil && !bytes.Equal(made, first) {
					t.Errorf("the file made on %s is another one", on)
				}
				first = made
			}
		})
	}
	if kinds["gaussian"] < 10 || kinds["afni_merge"] < 5 || kinds["afni_to_fwhm"] < 8 || kinds["afni_inmask"] < 2 {
		t.Errorf("cases: %v", kinds)
	}
}

// NaN is outside a mask, as it is for 3dBlurToFWHM.
func TestSmoothMaskWithNaN(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mask.nii")
	h := nifti.New([]int{2, 2, 1}, [3]float64{2, 2, 2})
	if err := nifti.WriteFile(path, h, []float32{1, 0, float32(math.NaN()), float32(math.Inf(1))}, nifti.Options{}); err != nil {
		t.Fatal(err)
	}
	mask, text, err := readMask(path, h)
	if err != nil || !slices.Equal(mask, []bool{true, false, false, false}) || !strings.HasPrefix(text, "of 1 voxels (") {
		t.Errorf("mask %v, %q, error %v", mask, text, err)
	}
}

// compareImages compares values by the largest.
func compareImages(t *testing.T, got, want string, most float64) {
	t.Helper()
	_, a, err := nifti.ReadFile[float64](got)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := nifti.ReadFile[float64](want)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != len(b) {
		t.Fatalf("%d values, want %d", len(a), len(b))
	}
	diff, largest := 0.0, 0.0
	for i := range b {
		diff, largest = max(diff, math.Abs(a[i]-b[i])), max(largest, math.Abs(b[i]))
	}
	if !(diff <= most*largest) {
		t.Errorf("largest difference %g of %g, want %g of it at most", diff, largest, most)
	}
}

// The output has the header of the image, and says how it was made; the picture shows
// both.
func TestSmoothKeepsHeader(t *testing.T) {
	t.Parallel()
	input, out := "../../nifti/testdata/reference/inputs/aniso4d_f32.nii.gz", t.TempDir()
	var stderr bytes.Buffer
	if code := run([]string{"smooth", "--fwhm", "6", "--picture", "-o", out, input}, nil, io.Discard, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	before, err := nifti.Open(input)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	after, err := nifti.Open(filepath.Join(out, "aniso4d_f32.nii.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	a, b := before.Header(), after.Header()
	if a.Affine() != b.Affine() || a.QFormCode != b.QFormCode || a.SFormCode != b.SFormCode || a.TR() != b.TR() || !slices.Equal(a.Shape, b.Shape) {
		t.Errorf("the header is %+v, was %+v", b, a)
	}
	if b.Descrip != "6mm FWHM, parade smooth gaussian" {
		t.Errorf("descrip %q", b.Descrip)
	}
	comments := slices.DeleteFunc(slices.Clone(b.Extensions), func(e nifti.Extension) bool { return e.Code != nifti.CommentExtension })
	if len(comments) != 2 || !strings.Contains(string(comments[1].Data), "\nGaussian kernel as nilearn.image.smooth_img, FWHM 6 mm, of ") {
		t.Errorf("%d comments, the last %q, want that of the image and one of this command", len(comments), comments[len(comments)-1].Data)
	}
	f, err := os.Open(filepath.Join(out, "aniso4d_f32.nii.gz.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size := img.Bounds().Size(); size.X < 300 || size.Y < 300 {
		t.Errorf("the picture has %v pixels", size)
	}
}

// Images that begin alike are told apart, and so are pairs by their voxels.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seen := map[string]string{}
	for name, change := range map[string]int{"a.nii": 0, "b.nii": 1 << 18, "c.nii": 1<<19 - 100} {
		data := make([]byte, 1<<19)
		data[change] = 1
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := fingerprint(path)
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[f]; other != "" {
			t.Errorf("%s and %s are taken for the same", other, name)
		}
		seen[f] = name
	}
	pair := func(voxel byte) string {
		t.Helper()
		for _, name := range []string{"p.hdr", "p.img"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte{1, voxel}, 0o600); err != nil {
				t.Fatal(err)
			}
			voxel++
		}
		a, err := fingerprint(filepath.Join(dir, "p.hdr"))
		if b, errB := fingerprint(filepath.Join(dir, "p.img")); err != nil || errB != nil || a != b {
			t.Errorf("by its header a pair is %s, by its voxels %s (%v, %v)", a, b, err, errB)
		}
		return a
	}
	if pair(1) == pair(2) {
		t.Error("two pairs are taken for the same")
	}
}

// What is there and was made of an older image is made again; that of another image
// of the same name is not touched.
func TestSmoothAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, out := filepath.Join(dir, "a.nii"), filepath.Join(dir, "out")
	write := func(path string, seed float32, when time.Time) {
		t.Helper()
		h := nifti.New([]int{4, 4, 4}, [3]float64{2, 2, 2})
		values := make([]float32, 64)
		values[21] = seed
		if err := nifti.WriteFile(path, h, values, nifti.Options{Overwrite: true}); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	smooth := func(want int, status string, more ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"smooth", "--fwhm", "4", "--json", "-o", out, image}, more...), nil, &stdout, &stderr)
		if code != want || !strings.Contains(stdout.String(), status) {
			t.Errorf("exit code %d, want %d; it says %q and %q, want %q", code, want, &stdout, &stderr, status)
		}
	}
	now := time.Now()
	write(image, 1, now.Add(-time.Hour))
	smooth(0, statusSmoothed)
	smooth(0, statusThere)
	smooth(0, statusSmoothed, "--force")
	write(image, 1, now.Add(time.Hour)) // the same, but newer
	smooth(0, statusSmoothed)
	smooth(0, statusSmoothed) // it is newer still
	write(image, 2, now.Add(-time.Hour))
	smooth(3, "")
	smooth(0, statusSmoothed, "--force")
}
