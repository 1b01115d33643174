package hdf5_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/internal/hdf5"
)

// formats are those of the library in which the same objects were written.
var formats = []string{"earliest", "v108", "v110", "latest"}

func load(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".h5.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, name string) *hdf5.File {
	t.Helper()
	f, err := hdf5.Parse(load(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func Example() {
	packed, err := os.ReadFile("testdata/latest.h5.gz")
	if err != nil {
		log.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		log.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		log.Fatal(err)
	}

	file, err := hdf5.Parse(data)
	if err != nil {
		log.Fatal(err)
	}
	times, err := file.Object("/layouts/gzip shuffle")
	if err != nil {
		log.Fatal(err)
	}
	array, err := times.Read()
	if err != nil {
		log.Fatal(err)
	}
	seconds, err := array.Float64s()
	fmt.Println(array.Type, array.Shape, seconds[0], err)
	// Output: float64 [700] 0.04902563095408041 <nil>
}

// object is what the golden file says of one.
type object struct {
	Attributes map[string]value
	Members    []string
	Array      *value
}

type value struct {
	Null   bool
	Shape  []int
	Values any
}

type goldenFiles struct {
	All, Latest map[string]object
	Refused     map[string]string // what is said of objects that are not read
}

func readGolden(t *testing.T) goldenFiles {
	t.Helper()
	data, err := os.ReadFile("testdata/files.json")
	if err != nil {
		t.Fatal(err)
	}
	var files goldenFiles
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&files); err != nil {
		t.Fatal(err)
	}
	return files
}

// describe gives a value as the golden file has it.
func describe(t *testing.T, f *hdf5.File, paths map[hdf5.Reference]string, a *hdf5.Array) value {
	t.Helper()
	if a.Null {
		return value{Null: true}
	}
	return value{Shape: append([]int{}, a.Shape...), Values: elements(t, f, paths, a)}
}

func elements(t *testing.T, f *hdf5.File, paths map[hdf5.Reference]string, a *hdf5.Array) any {
	t.Helper()
	out := []any{}
	var err error
	var bits []byte
	add := func(v any) { out = append(out, v) }
	switch a.Type.Class {
	case hdf5.ClassInteger, hdf5.ClassEnum:
		if !a.Type.Signed {
			var values []uint64
			values, err = a.Uint64s()
			for _, v := range values {
				add(json.Number(strconv.FormatUint(v, 10)))
				bits = append(bits, binary.LittleEndian.AppendUint64(nil, v)[:a.Type.Size]...)
			}
			break
		}
		var values []int64
		values, err = a.Int64s()
		for _, v := range values {
			add(json.Number(strconv.FormatInt(v, 10)))
			bits = append(bits, binary.LittleEndian.AppendUint64(nil, uint64(v))[:a.Type.Size]...)
		}
	case hdf5.ClassFloat:
		var values []float64
		values, err = a.Float64s()
		for _, v := range values {
			add(hexed(v))
			bits = binary.LittleEndian.AppendUint64(bits, math.Float64bits(v))
		}
	case hdf5.ClassString, hdf5.ClassVariable:
		var values []string
		values, err = a.Strings()
		for _, v := range values {
			add(v)
		}
	case hdf5.ClassReference:
		var values []hdf5.Reference
		values, err = a.References()
		for _, v := range values {
			o, err := f.Dereference(v)
			switch {
			case v == 0 && errors.Is(err, hdf5.ErrNotFound):
				add(nil)
			case err != nil:
				t.Fatal(err)
			default:
				add(paths[o.Reference()])
			}
		}
	case hdf5.ClassCompound:
		fields := make(map[string]any)
		for _, field := range a.Type.Fields {
			column, err := a.Field(field.Name)
			if err != nil {
				t.Fatal(err)
			}
			fields[field.Name] = elements(t, f, paths, column)
		}
		return fields
	default:
		t.Fatalf("elements of %v", a.Type)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > 600 {
		sum := sha256.Sum256(bits)
		return hex.EncodeToString(sum[:])
	}
	return out
}

// hexed writes a float as Python's float.hex does.
func hexed(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(v, 'g', -1, 64), "+"))
	}
	sign := ""
	if math.Signbit(v) {
		sign = "-"
	}
	b := math.Float64bits(v)
	exponent, mantissa := int(b>>52&2047), b&(1<<52-1)
	switch {
	case exponent == 0 && mantissa == 0:
		return sign + "0x0.0p+0"
	case exponent == 0:
		return fmt.Sprintf("%s0x0.%013xp-1022", sign, mantissa)
	}
	return fmt.Sprintf("%s0x1.%013xp%+d", sign, mantissa, exponent-1023)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, name)
			files := readGolden(t)
			want := files.All
			if name == "latest" {
				maps.Copy(want, files.Latest)
			}
			paths := make(map[hdf5.Reference]string)
			for path := range want {
				o, err := f.Object(path)
				if err != nil {
					t.Fatal(err)
				}
				paths[o.Reference()] = path
			}
			for path, want := range want {
				o, err := f.Object(path)
				if err != nil {
					t.Fatal(err)
				}
				got := object{Attributes: make(map[string]value)}
				if o.IsGroup() {
					got.Members = []string{}
					members, err := o.Members()
					if err != nil {
						t.Fatal(err)
					}
					got.Members = append(got.Members, members...)
				}
				if o.IsDataset() {
					a, err := o.Read()
					if err != nil {
						t.Error(err)
						continue
					}
					v := describe(t, f, paths, a)
					got.Array = &v
				}
				attributes, err := o.Attributes()
				if err != nil {
					t.Error(err)
					continue
				}
				for _, a := range attributes {
					got.Attributes[a.Name] = describe(t, f, paths, a.Value)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: -h5py +got:\n%s", path, diff)
				}
			}
		})
	}
}
