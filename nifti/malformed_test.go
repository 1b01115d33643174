package nifti_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/nifti"
)

// patch is bytes that are put into a sound file.
type patch struct {
	at   int
	data []byte
}

func bin(at int, values ...any) patch {
	var b []byte
	for _, v := range values {
		var err error
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return patch{at, b}
}

func patched(b []byte, patches ...patch) []byte {
	b = slices.Clone(b)
	for _, p := range patches {
		copy(b[p.at:], p.data)
	}
	return b
}

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}

// sound gives a small float32 image of shape 6, 5, 4, 3 as NIfTI-1 and NIfTI-2.
func sound(t *testing.T) (one, two []byte, values []float64) {
	t.Helper()
	path := filepath.Join(golden, "bad", "ok.nii")
	one, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	two = make([]byte, 544, 544+len(one))
	two = append(two, one[352:]...)
	affine := []float64{3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0}
	two = patched(two, bin(0, int32(540)), patch{4, []byte("n+2\x00\r\n\x1a\n")}, bin(12, int16(16), int16(32)), bin(16, []int64{4, 6, 5, 4, 3, 1, 1, 1}),
		bin(104, []float64{1, 3, 3, 3, 2, 1, 1, 1}), bin(168, int64(544)), bin(176, float64(1), float64(0)), bin(344, int32(0), int32(1)), bin(400, affine), bin(500, int32(10)))
	return one, two, read[float64](t, path)
}

var (
	nan32 = float32(math.NaN())
	inf32 = float32(math.Inf(1))
)

func TestMalformed(t *testing.T) {
	t.Parallel()
	one, two, values := sound(t)
	noForm := []patch{bin(252, int16(0), int16(0))}
	qform := []patch{bin(252, int16(1), int16(0))}
	with := func(base []patch, more ...patch) []byte { return patched(one, slices.Concat(base, more)...) }
	p1 := func(patches ...patch) []byte { return patched(one, patches...) }
	p2 := func(patches ...patch) []byte { return patched(two, patches...) }
	z := zipped(one)
	extended := func(extension ...any) []byte { // one with 32 bytes between the header and the voxels
		b := slices.Concat(one[:352], make([]byte, 32), one[352:])
		return patched(b, bin(108, float32(384)), bin(348, uint8(1)), bin(352, extension...))
	}
	for _, tc := range []struct {
		name string
		data []byte
		want string // in the error; "" accepts, with the sound values
	}{
		{"version 1", one, ""},
		{"version 2", two, ""},
		{"version 2 gzipped", zipped(two), ""},

		// The file.
		{"empty", nil, "it ends inside the header, at byte 0"},
		{"three bytes", one[:3], "it ends inside the header, at byte 3"},
		{"only sizeof_hdr", one[:4], "it ends inside the header, at byte 4"},
		{"header cut", one[:347], "it ends inside the header, at byte 347"},
		{"ends with the header", one[:348], "it is cut after 348 bytes, before its voxels"},
		{"no voxels", one[:352], "which are 1440 bytes from byte 352 on, but the file has 352"},
		{"voxels cut by one byte", one[:len(one)-1], "but the file has 1791"},
		{"version 2 header cut", two[:539], "it ends inside the header, at byte 539"},
		{"version 2 voxels cut", two[:len(two)-1], "but the file has 1983"},
		{"longer than it must be", append(slices.Clone(one), 1, 2, 3), ""},
		{"zeros", make([]byte, 2000), "sizeof_hdr is 0"},
		{"ones", bytes.Repeat([]byte{255}, 2000), "sizeof_hdr is -1"},
		{"text", []byte(strings.Repeat("not an image\n", 100)), "sizeof_hdr is"},
		{"PNG", []byte("\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 600)), "it is no NIfTI image"},

		// Sizes, magic.
		{"sizeof_hdr 349", p1(bin(0, int32(349))), "sizeof_hdr is 349, want 348 or 540"},
		{"sizeof_hdr of version 2 in version 1", p1(bin(0, int32(540))), "magic is"},
		{"big-endian sizeof_hdr before little-endian fields", p1(patch{0, []byte{0, 0, 1, 92}}), "vox_offset is 6"},
		{"ANALYZE", p1(bin(344, int32(0))), `magic is "\x00\x00\x00\x00"`},
		{"wrong magic", p1(patch{344, []byte("n+7\x00")}), `magic is "n+7\x00"`},
		{"magic without NUL", p1(patch{344, []byte("n+11")}), `magic is "n+11"`},
		{"magic of a pair", p1(patch{344, []byte("ni1\x00")}), `magic is "ni1\x00", that of a .hdr`},
		{"version 2 magic of a pair", p2(patch{4, []byte("ni2\x00")}), `magic is "ni2`},
		{"version 2 magic after a text conversion", p2(patch{8, []byte("\n\x1a\n\n")}), `magic is "n+2\x00\n\x1a\n\n"`},

		// Dimensions.
		{"dim[0] 0", p1(bin(40, int16(0))), "dim[0] is 0"},
		{"dim[0] 8", p1(bin(40, int16(8))), "dim[0] is 8"},
		{"dim[0] negative", p1(bin(40, int16(-4))), "dim[0] is -4"},
		{"dim[1] 0", p1(bin(42, int16(0))), "dim[1] is 0"},
		{"dim[3] negative", p1(bin(46, int16(-1))), "dim[3] is -1"},
		{"dim[4] 0", p1(bin(48, int16(0))), "dim[4] is 0"},
		{"dim[4] too large", p1(bin(48, int16(4))), "dim says [6 5 4 4] voxels of float32, which are 1920 bytes"},
		{"dim beyond dim[0] is ignored", p1(bin(50, int16(-3), int16(0), int16(9))), ""},
		{"dims as large as can be", p1(bin(40, []int16{7, 32767, 32767, 32767, 32767, 32767, 32767, 32767})), "more than any file has"},
		{"dims whose product is 2^64", p1(bin(40, []int16{5, 1 << 14, 1 << 14, 1 << 14, 1 << 14, 1 << 8})), "dim says"},
		{"dims of some GB", p1(bin(40, []int16{4, 1000, 1000, 1000, 10})), "which are 40000000000 bytes"},
		{"version 2 dim negative", p2(bin(24, int64(-6))), "dim[1] is -6"},
		{"version 2 dim the smallest", p2(bin(24, int64(math.MinInt64))), "dim[1] is -9223372036854775808"},
		{"version 2 dim the largest", p2(bin(24, int64(math.MaxInt64))), "dim"},
		{"version 2 dims whose product wraps to the size", p2(bin(24, int64(1)<<62+6)), "dim"},
		{"version 2 dim[0] huge", p2(bin(16, int64(1)<<40)), "dim[0] is 1099511627776"},

		// Types.
		{"datatype 0", p1(bin(70, int16(0))), "datatype is 0"},
		{"datatype negative", p1(bin(70, int16(-16))), "datatype is -16"},
		{"datatype unknown", p1(bin(70, int16(17))), "datatype is 17"},
		{"datatype bit", p1(bin(70, int16(1))), "datatype is 1, bits"},
		{"datatype complex64", p1(bin(70, int16(32))), "datatype is 32, complex64"},
		{"datatype RGB", p1(bin(70, int16(128))), "datatype is 128, RGB"},
		{"datatype RGBA", p1(bin(70, int16(2304))), "datatype is 2304, RGBA"},
		{"datatype float128", p1(bin(70, int16(1536))), "datatype is 1536, float128"},
		{"datatype complex128", p1(bin(70, int16(1792))), "datatype is 1792, complex128"},
		{"datatype complex256", p1(bin(70, int16(2048))), "datatype is 2048, complex256"},
		{"datatype float64 needs more", p1(bin(70, int16(64))), "voxels of float64, which are 2880 bytes"},
		{"bitpix of another type", p1(bin(72, int16(8))), ""},
		{"bitpix 0", p1(bin(72, int16(0))), ""},

		// vox_offset.
		{"vox_offset NaN", p1(bin(108, nan32)), "vox_offset is NaN"},
		{"vox_offset Inf", p1(bin(108, inf32)), "vox_offset is +Inf"},
		{"vox_offset -Inf", p1(bin(108, -inf32)), "vox_offset is -Inf"},
		{"vox_offset negative", p1(bin(108, float32(-5))), "vox_offset is -5"},
		{"vox_offset 0", p1(bin(108, float32(0))), "vox_offset is 0"},
		{"vox_offset -0", p1(bin(108, float32(math.Copysign(0, -1)))), "vox_offset is 0"},
		{"vox_offset inside the header", p1(bin(108, float32(348))), "vox_offset is 348"},
		{"vox_offset with a fraction", p1(bin(108, float32(352.5))), "vox_offset is 352.5"},
		{"vox_offset some bytes too far", p1(bin(108, float32(356))), "from byte 356 on"},
		{"vox_offset beyond the file", p1(bin(108, float32(1e9))), "vox_offset is 1000000000"},
		{"vox_offset huge", p1(bin(108, float32(1e38))), "vox_offset is 9.999"},
		{"version 2 vox_offset the largest", p2(bin(168, int64(math.MaxInt64))), "vox_offset is 9223372036854775807"},
		{"version 2 vox_offset the smallest", p2(bin(168, int64(math.MinInt64))), "vox_offset is -9223372036854775808"},
		{"version 2 vox_offset inside the header", p2(bin(168, int64(540))), "vox_offset is 540"},

		// Scaling.
		{"slope 0", p1(bin(112, float32(0), float32(7))), ""},
		{"slope NaN", p1(bin(112, nan32, float32(7))), ""},
		{"slope Inf", p1(bin(112, inf32, float32(7))), ""},
		{"inter NaN", p1(bin(112, float32(2), nan32)), ""},
		{"inter Inf", p1(bin(112, float32(2), -inf32)), ""},

		// Geometry. The sound file has an sform.
		{"pixdim 0", p1(bin(80, float32(0))), ""},
		{"pixdim NaN", p1(bin(80, nan32)), ""},
		{"pixdim Inf", p1(bin(84, inf32)), ""},
		{"pixdim negative", p1(bin(88, float32(-3))), ""},
		{"pixdim[0] NaN", p1(bin(76, nan32)), ""},
		{"pixdim[4] NaN", p1(bin(92, nan32)), ""},
		{"pixdim negative without a form", with(noForm, bin(80, float32(-3))), ""},
		{"pixdim 0 without a form", with(noForm, bin(80, float32(0))), "pixdim[1] is 0"},
		{"pixdim NaN without a form", with(noForm, bin(84, nan32)), "pixdim[2] is NaN"},
		{"pixdim Inf without a form", with(noForm, bin(88, inf32)), "pixdim[3] is +Inf"},
		{"pixdim huge without a form", with(noForm, bin(80, float32(1e30))), "pixdim[1] is 1e+30"},
		{"pixdim 0 with a qform", with(qform, bin(80, float32(0))), "pixdim[1] is 0"},
		{"quatern NaN", with(qform, bin(256, nan32)), "quatern_b, c, d are NaN"},
		{"quatern Inf", with(qform, bin(256, inf32)), "quatern_b, c, d are +Inf"},
		{"qoffset NaN", with(qform, bin(268, nan32)), "qoffset_x is NaN"},
		{"quatern NaN beside an sform", p1(bin(252, int16(1)), bin(256, nan32)), ""},
		{"sform all 0", p1(patch{280, make([]byte, 48)}), "srow_x, y, z[0] are 0, 0, 0"},
		{"sform with a column of 0", p1(bin(284, float32(0)), bin(300, float32(0)), bin(316, float32(0))), "srow_x, y, z[1] are 0, 0, 0"},
		{"sform NaN", p1(bin(280, nan32)), "srow_x, y, z[0] are NaN"},
		{"sform Inf", p1(bin(280, inf32)), "srow_x, y, z[0] are +Inf"},
		{"sform huge", p1(bin(280, float32(1e20))), "srow_x, y, z[0] are 1e+20"},
		{"sform offset NaN", p1(bin(292, nan32)), "srow_x[3] is NaN"},
		{"metres", p1(bin(123, uint8(1))), "xyzt_units is 1"},
		{"unknown units", p1(bin(123, uint8(255))), ""},

		// Extensions.
		{"extension", extended(int32(32), int32(6)), ""},
		{"extensions", extended(int32(16), int32(6), int64(0), int32(16), int32(4)), ""},
		{"extension flag without one", extended(int32(0), int32(0)), ""},
		{"extension without room", p1(bin(348, uint8(1))), "extension[0] is 1"},
		{"esize 0", extended(int32(0), int32(6)), "esize of extension 0 is 0"},
		{"esize negative", extended(int32(-16), int32(6)), "esize of extension 0 is -16"},
		{"esize 8", extended(int32(8), int32(6)), "esize of extension 0 is 8"},
		{"esize no multiple of 16", extended(int32(24), int32(6)), "esize of extension 0 is 24"},
		{"esize into the voxels", extended(int32(48), int32(6)), "esize of extension 0 is 48"},
		{"esize huge", extended(int32(math.MaxInt32/16*16), int32(6)), "esize of extension 0 is 2147483632"},
		{"second esize into the voxels", extended(int32(16), int32(6), int64(0), int32(32), int32(6)), "esize of extension 1 is 32"},
		{"esize big-endian in a little-endian file", extended(int32(32<<24), int32(6)), "esize of extension 0 is 536870912"},

		// gzip.
		{"gzip", z, ""},
		{"two members", slices.Concat(zipped(one[:700]), zipped(one[700:])), ""},
		{"an empty member", slices.Concat(zipped(nil), z, zipped(nil)), ""},
		{"gzip magic alone", z[:2], "gzip"},
		{"gzip header cut", z[:7], "gzip stream is cut after 7 bytes"},
		{"gzip header alone", z[:10], "gzip stream is cut after 10 bytes"},
		{"gzip cut in the header", z[:60], "gzip stream is cut"},
		{"gzip cut in the voxels", z[:len(z)-60], "gzip stream is cut"},
		{"gzip without trailer", z[:len(z)-8], "gzip stream is cut"},
		{"gzip without length", z[:len(z)-4], "gzip stream is cut"},
		{"gzip cut by a byte", z[:len(z)-1], "gzip stream is cut"},
		{"gzip with a wrong checksum", patched(z, patch{len(z) - 8, []byte{z[len(z)-8] ^ 1}}), "wrong checksum or length"},
		{"gzip with a wrong length", patched(z, patch{len(z) - 4, []byte{z[len(z)-4] ^ 1}}), "wrong checksum or length"},
		{"gzip with an unknown method", patched(z, patch{2, []byte{7}}), "no gzip header"},
		{"gzip with a bad block", patched(z, patch{10, []byte{0xff}}), "gzip stream is damaged"},
		{"gzip of a cut file", zipped(one[:1700]), "it ends inside the voxels"},
		{"gzip of a cut header", zipped(one[:100]), "it ends inside the header, at byte 100"},
		{"gzip of nothing", zipped(nil), "it ends inside the header, at byte 0"},
		{"gzip twice", zipped(z), "it is no NIfTI image"},
		{"gzip followed by another file", slices.Concat(z, []byte("another file that is no gzip")), "followed by other bytes"},
		{"gzip followed by a cut member", slices.Concat(z, z[:100]), "gzip stream is cut"},
		{"gzip that can't hold the dims", zipped(p1(bin(40, []int16{4, 1000, 1000, 1000, 10}))), "40000000000 bytes from byte 352 on, but gzip can't hold"},
		{"gzip that can't hold the offset", zipped(p2(bin(168, int64(1)<<60))), "vox_offset is 1152921504606846976"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.nii")
			if err := os.WriteFile(path, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, got, err := nifti.ReadFile[float64](path)
			if tc.want == "" {
				if err != nil || !cmp.Equal(values, got) {
					t.Errorf("error %v, %d values, want those of the sound file", err, len(got))
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "nifti: "+path+": ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q, want %q", err, tc.want)
			}
			if !errors.Is(err, nifti.ErrFormat) && !errors.Is(err, nifti.ErrType) {
				t.Errorf("error %q is of no kind", err)
			}
		})
	}
}

func TestMalformedTakesNoMemory(t *testing.T) {
	one, two, _ := sound(t)
	// As many bytes as gzip could hold at best, which the header may claim.
	bomb := zipped(patched(one, bin(40, []int16{4, 600, 40, 5, 3})))
	for name, data := range map[string][]byte{
		"dims": patched(one, bin(40, []int16{7, 32767, 32767, 32767})),
		"esize": patched(slices.Concat(two[:540], []byte{1, 0, 0, 0}, make([]byte, 1000)), bin(168, int64(1)<<40),
			bin(544, int32(math.MaxInt32/16*16))),
		"gzip": bomb,
	} {
		path := filepath.Join(t.TempDir(), "a.nii")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := nifti.ReadFile[float64](path)
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; err == nil || taken > 4<<20 {
			t.Errorf("%s: %d bytes of memory taken, error %v", name, taken, err)
		}
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder.nii")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := nifti.Open(folder); !errors.Is(err, nifti.ErrFormat) || !strings.Contains(err.Error(), "it is a folder") {
		t.Errorf("a folder: error %v", err)
	}
	if _, err := nifti.Open(filepath.Join(dir, "none.nii.gz")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.nii.gz") {
		t.Errorf("no file: error %v", err)
	}
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip(err)
	}
	if _, err := nifti.Open("/dev/zero"); !errors.Is(err, nifti.ErrFormat) || !strings.Contains(err.Error(), "device") {
		t.Errorf("a device: error %v", err)
	}
}

func TestPairs(t *testing.T) {
	t.Parallel()
	one, _, values := sound(t)
	header := patched(one[:348], bin(108, float32(0)), patch{344, []byte("ni1\x00")})
	voxels := one[352:]
	for _, tc := range []struct {
		name  string
		files map[string][]byte
		open  string
		want  string // in the error, which names the file after the colon
	}{
		{"by header", map[string][]byte{"a.hdr": header, "a.img": voxels}, "a.hdr", ""},
		{"by voxels", map[string][]byte{"a.hdr": header, "a.img": voxels}, "a.img", ""},
		{"upper case", map[string][]byte{"A.HDR": header, "A.IMG": voxels}, "A.HDR", ""},
		{"gzipped", map[string][]byte{"a.hdr.gz": zipped(header), "a.img.gz": zipped(voxels)}, "a.img.gz", ""},
		{"one is gzipped", map[string][]byte{"a.hdr": header, "a.img.gz": zipped(voxels)}, "a.hdr", ""},
		{"the other is gzipped", map[string][]byte{"a.hdr.gz": zipped(header), "a.img": voxels}, "a.img", ""},
		{"offset", map[string][]byte{"a.hdr": patched(header, bin(108, float32(5))), "a.img": slices.Concat([]byte("12345"), voxels)}, "a.hdr", ""},
		{"with room for extensions", map[string][]byte{"a.hdr": slices.Concat(header, make([]byte, 4)), "a.img": voxels}, "a.hdr", ""},
		{"with an extension", map[string][]byte{"a.hdr": slices.Concat(header, bin(0, int32(1), int32(16), int32(6), int64(0)).data), "a.img": voxels}, "a.hdr", ""},
		{"no voxels", map[string][]byte{"a.hdr": header}, "a.hdr", "a.img: no such file"},
		{"no header", map[string][]byte{"a.img": voxels}, "a.img", "a.hdr: no such file"},
		{"voxels cut", map[string][]byte{"a.hdr": header, "a.img": voxels[:1439]}, "a.hdr", "a.img: dim says [6 5 4 3] voxels of float32, which are 1440 bytes from byte 0 on, but the file has 1439"},
		{"gzipped voxels cut", map[string][]byte{"a.hdr": header, "a.img.gz": zipped(voxels)[:200]}, "a.hdr", "a.img.gz: its gzip stream is cut"},
		{"gzipped header cut", map[string][]byte{"a.hdr.gz": zipped(header)[:40], "a.img": voxels}, "a.hdr.gz", "a.hdr.gz: its gzip stream is cut"},
		{"gzipped header without trailer", map[string][]byte{"a.hdr.gz": zipped(header)[:len(zipped(header))-8], "a.img": voxels}, "a.hdr.gz", "a.hdr.gz: its gzip stream is cut"},
		{"header cut", map[string][]byte{"a.hdr": header[:300], "a.img": voxels}, "a.img", "a.hdr: it ends inside the header, at byte 300"},
		{"extension cut", map[string][]byte{"a.hdr": slices.Concat(header, bin(0, int32(1), int32(32), int32(6), int64(0)).data), "a.img": voxels}, "a.hdr", "a.hdr: it ends inside extension 0"},
		{"extension flag cut", map[string][]byte{"a.hdr": slices.Concat(header, []byte{1}), "a.img": voxels}, "a.hdr", "a.hdr: it ends after 1 of the 4 bytes"},
		{"offset beyond the voxels", map[string][]byte{"a.hdr": patched(header, bin(108, float32(1e9))), "a.img": voxels}, "a.hdr", "a.img: dim says"},
		{"offset negative", map[string][]byte{"a.hdr": patched(header, bin(108, float32(-4))), "a.img": voxels}, "a.hdr", "a.hdr: vox_offset is -4"},
		{"magic of a single file", map[string][]byte{"a.hdr": patched(header, patch{344, []byte("n+1\x00")}), "a.img": voxels}, "a.hdr", `a.hdr: magic is "n+1\x00", that of a single file`},
		{"ANALYZE", map[string][]byte{"a.hdr": patched(header, bin(344, int32(0))), "a.img": voxels}, "a.hdr", `a.hdr: magic is "\x00\x00\x00\x00"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, data := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, got, err := nifti.ReadFile[float64](filepath.Join(dir, tc.open))
			switch {
			case tc.want == "":
				if err != nil || !cmp.Equal(values, got) {
					t.Errorf("error %v, %d values, want those of the sound file", err, len(got))
				}
			case strings.HasSuffix(tc.want, "no such file"):
				name, _, _ := strings.Cut(tc.want, ":")
				if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
			case !errors.Is(err, nifti.ErrFormat) || !strings.Contains(err.Error(), string(filepath.Separator)+tc.want):
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}
