package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestShort(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.5: "0.5", 12: "12.0", 999.6: "1.00 k", 54321: "54.3 k", 1e6: "1.00 M", 2.5e9: "2.50 G"} {
		if got := short(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 ns", 324: "324 ns", 2500: "2.50 µs", 999_700: "1.00 ms", 12_340_000: "12.3 ms", 75 * time.Second: "75.0 s", 3 * time.Minute: "180 s",
	} {
		if got := took(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 7201168: "7,201,168"} {
		if got := count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	if got := plural(1, "train") + ", " + plural(1200, "train"); got != "1 train, 1,200 trains" {
		t.Error(got)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff([]string{"a bb", "ccc", "longer than that"[:6], "than", "that"}, wrap("a bb ccc longer than that", 5)); d != "" {
		t.Error(d)
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	colours := &terminal{colour: true}
	if n := visible("a " + colours.bold(colours.red("µs")) + "!"); n != 5 {
		t.Errorf("%d columns, want 5", n)
	}
}
