package smooth_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parade-go/parade/smooth"
)

// readNIfTI reads the golden files, which are sound; it is no reader for others.
func readNIfTI(t testing.TB, path string) (grid smooth.Grid, data []float32) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var order binary.ByteOrder = binary.LittleEndian
	size := order.Uint32(b)
	if b[0] == 0 {
		order = binary.BigEndian
		size = order.Uint32(b)
	}
	n := 1
	dim := func(i int) int { return int(int16(order.Uint16(b[40+2*i:]))) }
	pixdim := func(i int) float64 { return float64(math.Float32frombits(order.Uint32(b[76+4*i:]))) }
	kind, offset := int(order.Uint16(b[70:])), int(math.Float32frombits(order.Uint32(b[108:])))
	slope, inter := float64(math.Float32frombits(order.Uint32(b[112:]))), float64(math.Float32frombits(order.Uint32(b[116:])))
	if size == 540 {
		dim = func(i int) int { return int(order.Uint64(b[16+8*i:])) }
		pixdim = func(i int) float64 { return math.Float64frombits(order.Uint64(b[104+8*i:])) }
		kind, offset = int(order.Uint16(b[12:])), int(order.Uint64(b[168:]))
		slope, inter = math.Float64frombits(order.Uint64(b[176:])), math.Float64frombits(order.Uint64(b[184:]))
	}
	if slope == 0 || slope-slope != 0 || inter-inter != 0 {
		slope, inter = 1, 0
	}
	for i := 1; i <= dim(0); i++ {
		if i <= 3 {
			grid.Shape[i-1] = dim(i)
		}
		n *= dim(i)
	}
	for i := range 3 {
		grid.Voxel[i] = math.Abs(pixdim(i + 1))
	}
	b = b[offset:]
	data = make([]float32, n)
	for i := range data {
		var v float64
		switch kind {
		case 2:
			v = float64(b[i])
		case 4:
			v = float64(int16(order.Uint16(b[2*i:])))
		case 8:
			v = float64(int32(order.Uint32(b[4*i:])))
		case 16:
			v = float64(math.Float32frombits(order.Uint32(b[4*i:])))
		default:
			t.Fatalf("%s: type %d", path, kind)
		}
		data[i] = float32(slope*v + inter)
	}
	return grid, data
}
