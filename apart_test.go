package parade

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parade-go/parade/internal/wire"
)

// TestApart sends values by way of somebody who does not know their type.
func TestApart(t *testing.T) {
	t.Parallel()
	testApart(t, "numbers", []int{1, -2, 3})
	testApart(t, "none", []int{})
	testApart(t, "nothing", make([]struct{}, 3))
	testApart(t, "pairs", [][2]int16{{1, 2}, {3, 4}})
	testApart(t, "texts of one length", []string{"ab", "cd"})
	testApart(t, "texts", []string{"", "a", "bc"})
	testApart(t, "large texts", []string{strings.Repeat("x", 3000), strings.Repeat("y", 3000)})
	testApart(t, "arrays", make([][200]float64, 2))
	testApart(t, "slices", [][]float64{make([]float64, 5000), {1}, nil})
}

func TestApartDamaged(t *testing.T) {
	t.Parallel()
	var b wire.Buffer
	b.Uvarint(uniformBelow)
	b.Raw(make([]byte, 2*uniformBelow))
	rd := wire.NewReader(b.AppendTo(nil), true)
	if readMessages(rd, make([][]byte, 2)); rd.Err() == nil {
		t.Error("messages of a size that is not sent so are read")
	}
}

func testApart[T any](t *testing.T, name string, want []T) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		codec, err := wire.For[T]()
		if err != nil {
			t.Fatal(err)
		}
		var here, between wire.Buffer
		if n, err := appendApart(codec, &here, want); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		messages := make([][]byte, len(want))
		rd := wire.NewReader(here.AppendTo(nil), true)
		if readMessages(rd, messages); rd.Err() != nil || rd.Len() > 0 {
			t.Fatalf("%v, %d bytes left", rd.Err(), rd.Len())
		}
		appendMessages(&between, messages)
		got := make([]T, len(want))
		rd = wire.NewReader(between.AppendTo(nil), false)
		if err := decodeApart(codec, rd, got); err != nil || rd.Len() > 0 {
			t.Fatalf("%v, %d bytes left", err, rd.Len())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for cut := range between.Len() {
			if cut > 100 && cut < between.Len()-1 {
				continue
			}
			rd := wire.NewReader(between.AppendTo(nil)[:cut], true)
			if readMessages(rd, messages); rd.Err() == nil {
				t.Errorf("the first %d bytes are read", cut)
			}
		}
	})
}
