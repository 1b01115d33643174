package hdf5_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parade-go/parade/internal/hdf5"
)

// readAll reads every object that there is, and calls report with every error.
func readAll(f *hdf5.File, report func(error)) (objects int) {
	root, err := f.Object("/")
	if err != nil {
		report(err)
		return 0
	}
	seen := map[hdf5.Reference]bool{root.Reference(): true}
	for queue := []*hdf5.Object{root}; len(queue) > 0 && objects < 1000; queue = queue[1:] {
		o := queue[0]
		objects++
		if o.IsDataset() {
			if a, err := o.Read(); err != nil {
				report(err)
			} else {
				readArray(f, a, report)
			}
		}
		attributes, err := o.Attributes()
		if err != nil {
			report(err)
		}
		for _, a := range attributes {
			readArray(f, a.Value, report)
		}
		names, err := o.Members()
		if err != nil {
			report(err)
		}
		for _, name := range names[:min(len(names), 1000)] {
			member, err := o.Member(name)
			if err != nil {
				report(err)
			} else if !seen[member.Reference()] {
				seen[member.Reference()] = true
				queue = append(queue, member)
			}
		}
	}
	return objects
}

// readArray reads the values of an array in every way that there is.
func readArray(f *hdf5.File, a *hdf5.Array, report func(error)) {
	if a.Len() > 1<<20 { // it has nothing new to say
		return
	}
	if _, err := a.Float64s(); err != nil {
		report(err)
	}
	if _, err := a.Int64s(); err != nil {
		report(err)
	}
	if _, err := a.Uint64s(); err != nil {
		report(err)
	}
	if _, err := a.Strings(); err != nil {
		report(err)
	}
	references, err := a.References()
	if err != nil {
		report(err)
	}
	for _, r := range references[:min(len(references), 10)] {
		if _, err := f.Dereference(r); err != nil {
			report(err)
		}
	}
	for _, field := range a.Type.Fields {
		column, err := a.Field(field.Name)
		if err != nil {
			report(err)
			continue
		}
		readArray(f, column, report)
	}
}

// known tells whether an error is one that callers can tell apart.
func known(err error) bool {
	return errors.Is(err, hdf5.ErrFormat) || errors.Is(err, hdf5.ErrUnsupported) || errors.Is(err, hdf5.ErrNotFound) || errors.Is(err, hdf5.ErrKind)
}

func checkHostile(t *testing.T, data []byte, passChecksums bool) {
	t.Helper()
	report := func(err error) {
		if !known(err) {
			t.Errorf("an error of no kind: %v", err)
		}
	}
	f, err := hdf5.Parse(data)
	if err != nil {
		report(err)
		return
	}
	if passChecksums {
		f.PassChecksums()
	}
	readAll(f, report)
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, name := range formats {
		data := load(t, name)
		for i := range 40 {
			_, err := hdf5.Parse(data[:len(data)*i/40])
			if !errors.Is(err, hdf5.ErrFormat) {
				t.Errorf("%d of %d bytes of %s: %v", len(data)*i/40, len(data), name, err)
			}
		}
	}
}

// TestDamaged changes bytes anywhere in sound files.
func TestDamaged(t *testing.T) {
	t.Parallel()
	for k, name := range formats {
		data := load(t, name)
		for _, passChecksums := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(uint64(k), 6))
				for range 12 {
					damaged := append([]byte(nil), data...)
					for range 1 + r.IntN(20) {
						at := r.IntN(len(data))
						switch r.IntN(4) {
						case 0:
							damaged[at] ^= 1 << r.IntN(8)
						case 1:
							damaged[at] = 0xff
						case 2: // another part of the file, such as another block's head
							copy(damaged[at:], data[r.IntN(len(data)):][:min(16, len(data)-at)])
						default:
							damaged[at] = byte(r.Uint32())
						}
					}
					checkHostile(t, damaged, passChecksums)
				}
			})
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"refused", "small_earliest", "small_latest"} {
		f.Add(load(f, name), false)
		f.Add(load(f, name), true)
	}
	f.Fuzz(checkHostile)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	f := parse(t, "refused")
	for path, want := range readGolden(t).Refused {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			o, err := f.Object(path)
			if err != nil {
				t.Fatal(err)
			}
			a, err := o.Read()
			if err == nil {
				readArray(f, a, func(e error) {
					if errors.Is(e, hdf5.ErrUnsupported) {
						err = e
					}
				})
			} else if named := (*hdf5.Error)(nil); !errors.As(err, &named) || named.Object != path {
				t.Errorf("the error does not name the object: %v", err)
			}
			if !errors.Is(err, hdf5.ErrUnsupported) || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
		})
	}
}

func TestObjectRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range formats {
		f := parse(t, name)
		tests := []struct {
			path     string
			sentinel error
			message  string
		}{
			{"/nowhere", hdf5.ErrNotFound, "/nowhere: no such object"},
			{"/numbers/scalar/below", hdf5.ErrNotFound, "/numbers/scalar/below: no such object"},
			{"/groups/dangling", hdf5.ErrNotFound, "/nowhere: no such object"},
			{"/groups/circle", hdf5.ErrFormat, "/groups/circle: not a sound HDF5 file: soft links lead nowhere"},
			{"/groups/outside", hdf5.ErrUnsupported, `/groups/outside: HDF5 feature not supported: a link to another file`},
		}
		for _, c := range tests {
			t.Run(name+c.path, func(t *testing.T) {
				t.Parallel()
				if _, err := f.Object(c.path); !errors.Is(err, c.sentinel) || !strings.Contains(err.Error(), c.message) {
					t.Errorf("error is %v, want %q", err, c.message)
				}
			})
		}
		for path, want := range map[string]string{
			"groups/soft":                      "/numbers/scalar",
			"/groups/relative/":                "/groups/many",
			"/groups/above/groups/./many":      "/groups/many",
			"/groups/above/groups/soft":        "/numbers/scalar",
			"//groups//relative/member 002 xx": "/numbers/scalar",
		} {
			got, err := f.Object(path)
			if err != nil {
				t.Error(err)
				continue
			}
			if o, err := f.Object(want); err != nil || o.Reference() != got.Reference() {
				t.Errorf("%s of %s is not %s (%v)", path, name, want, err)
			}
		}
	}
}

func TestArrayRefuses(t *testing.T) {
	t.Parallel()
	f := parse(t, "latest")
	tests := []struct {
		name, path string
		read       func(*hdf5.Array) error
		message    string
	}{
		{"numbers of texts", "/texts/fixed", func(a *hdf5.Array) error { _, err := a.Float64s(); return err }, "it holds string of 5 bytes, want numbers"},
		{"whole numbers of floats", "/numbers/<f8", func(a *hdf5.Array) error { _, err := a.Int64s(); return err }, "it holds float64, want whole numbers"},
		{"negative", "/numbers/i1", func(a *hdf5.Array) error { _, err := a.Uint64s(); return err }, "element 0 is negative"},
		{"too large", "/numbers/<u8", func(a *hdf5.Array) error { _, err := a.Int64s(); return err }, "element 4 is beyond 2^63"},
		{"not exact", "/numbers/>i8", func(a *hdf5.Array) error { _, err := a.Float64s(); return err }, "element 0 is beyond 2^53"},
		{"texts of numbers", "/numbers/<u8", func(a *hdf5.Array) error { _, err := a.Strings(); return err }, "it holds uint64, want strings"},
		{"references of numbers", "/numbers/<u8", func(a *hdf5.Array) error { _, err := a.References(); return err }, "it holds uint64, want references"},
		{"field of numbers", "/numbers/<u8", func(a *hdf5.Array) error { _, err := a.Field("x"); return err }, "it holds uint64, want compounds"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := f.Object(c.path)
			if err != nil {
				t.Fatal(err)
			}
			a, err := o.Read()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.read(a); !errors.Is(err, hdf5.ErrKind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error is %v, want %q", err, c.message)
			}
		})
	}
	groups, err := f.Object("/groups")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := groups.Read(); !errors.Is(err, hdf5.ErrKind) {
		t.Errorf("reading a group: %v", err)
	}
	if _, err := groups.Attribute("none"); !errors.Is(err, hdf5.ErrNotFound) {
		t.Errorf("an attribute that is not there: %v", err)
	}
}
