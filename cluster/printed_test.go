package cluster

import (
	"math"
	"testing"

	"github.com/parade-go/parade/internal/wire"
)

func encoded[T any](t *testing.T, v T) []byte {
	t.Helper()
	codec, err := wire.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	var b wire.Buffer
	if err := codec.Append(&b, []T{v}); err != nil {
		t.Fatal(err)
	}
	return b.AppendTo(nil)
}

// TestPrinted: a result that can be printed is text, and JSON of its own kind.
func TestPrinted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, kind   string
		encoded      []byte
		text, object string
	}{
		{"integer", "int64", encoded(t, int64(math.MinInt64)), "-9223372036854775808", "-9223372036854775808"},
		{"float", "float64", encoded(t, 2.5), "2.5", "2.5"},
		{"no number", "float64", encoded(t, math.NaN()), "NaN", `"NaN"`},
		{"bool", "bool", encoded(t, true), "true", "true"},
		{"text", "string", encoded(t, "a\"\n"), "a\"\n", `"a\"\n"`},
		{"floats", "[]float64", encoded(t, []float64{1, math.Inf(1)}), "[1 +Inf]", `[1,"+Inf"]`},
		{"bytes", "[]uint8", encoded(t, []byte{1, 255}), "[1 255]", "[1,255]"},
		{"no texts", "[]string", encoded(t, []string{}), "[]", "[]"},
		{"complex", "complex128", encoded(t, 1+2i), "(1+2i)", `"(1+2i)"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text, object, ok := printed(tc.kind, tc.encoded)
			if text != tc.text || string(object) != tc.object || !ok {
				t.Errorf("text %q, JSON %s, %t; want %q, %s", text, object, ok, tc.text, tc.object)
			}
		})
	}
	if _, _, ok := printed("main.pair", nil); ok {
		t.Error("a type of a program's own can be printed")
	}
}
