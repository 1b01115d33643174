package wire

import (
	"reflect"
	"testing"
)

type small struct {
	ID   int
	Name string
	X, Y float64
	Tags []string
	On   bool
	F    []float32
}

func TestSmoke(t *testing.T) {
	c, err := For[small]()
	if err != nil {
		t.Fatal(err)
	}
	in := []small{{1, "a", 2, 3, []string{"x", ""}, true, []float32{1, 2}}, {}}
	var b Buffer
	if err := c.Append(&b, in); err != nil {
		t.Fatal(err)
	}
	out := make([]small, 2)
	if err := c.Decode(NewReader(b.AppendTo(nil), false), out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, out) {
		t.Fatal(out)
	}
}
