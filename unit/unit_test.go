package unit_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parade-go/parade/unit"
)

// hexFloat is a float64 written in hexadecimal, so that nothing is lost.
type hexFloat float64

func (f *hexFloat) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*f = hexFloat(v)
	return err
}

type goldenFile struct {
	Values  []hexFloat
	Rescale []struct {
		From, To unit.Unit
		Values   []hexFloat
	}
	Inverse []struct {
		Unit, Inverse unit.Unit
		Value         hexFloat
	}
	Text []struct {
		Value hexFloat
		Unit  unit.Unit
		Text  string
	}
	Parse []struct {
		Name string
		Unit unit.Unit
	}
}

func readGolden(t *testing.T) goldenFile {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// same compares floats bit by bit, all NaN being one.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func TestInGolden(t *testing.T) {
	t.Parallel()
	golden := readGolden(t)
	for _, c := range golden.Rescale {
		t.Run(c.From.String()+" to "+c.To.String(), func(t *testing.T) {
			t.Parallel()
			factor, err := unit.Factor(c.From, c.To)
			if err != nil {
				t.Fatal(err)
			}
			if want := float64(c.Values[0]); factor != want {
				t.Errorf("factor is %v, want %v", factor, want)
			}
			for i, v := range golden.Values {
				var got float64
				switch c.From.Dimension() {
				case unit.DimensionTime:
					q, err := unit.Time{Value: float64(v), Unit: c.From}.In(c.To)
					if err != nil || q.Unit != c.To {
						t.Fatalf("got %v and error %v", q, err)
					}
					got = q.Value
				case unit.DimensionRate:
					q, err := unit.Rate{Value: float64(v), Unit: c.From}.In(c.To)
					if err != nil || q.Unit != c.To {
						t.Fatalf("got %v and error %v", q, err)
					}
					got = q.Value
				default:
					got = factor * float64(v)
				}
				if want := float64(c.Values[i]); !same(got, want) {
					t.Errorf("%v becomes %v, want %v", v, got, want)
				}
			}
		})
	}
}

func TestInverseGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Inverse {
		var value float64
		var u unit.Unit
		if c.Unit.Dimension() == unit.DimensionTime {
			r := unit.Time{Value: 0.7, Unit: c.Unit}.Inverse()
			value, u = r.Value, r.Unit
		} else {
			r := unit.Rate{Value: 0.7, Unit: c.Unit}.Inverse()
			value, u = r.Value, r.Unit
		}
		if !same(value, float64(c.Value)) || u != c.Inverse {
			t.Errorf("1/(0.7 %v) is %v %v, want %v %v", c.Unit, value, u, c.Value, c.Inverse)
		}
	}
}

// TestTextGolden prints as quantities does, and reads back what was printed.
func TestTextGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Text {
		v := float64(c.Value)
		if c.Unit.Dimension() == unit.DimensionTime {
			q := unit.Time{Value: v, Unit: c.Unit}
			checkText(t, q, c.Text)
			back, err := unit.ParseTime(c.Text)
			if err != nil || !same(back.Value, v) || back.Unit != c.Unit {
				t.Errorf("%q reads back as %v, error %v", c.Text, back, err)
			}
			continue
		}
		q := unit.Rate{Value: v, Unit: c.Unit}
		checkText(t, q, c.Text)
		back, err := unit.ParseRate(c.Text)
		if err != nil || !same(back.Value, v) || back.Unit != c.Unit {
			t.Errorf("%q reads back as %v, error %v", c.Text, back, err)
		}
	}
}

func checkText[T interface {
	String() string
	encoding.TextMarshaler
}](t *testing.T, q T, want string) {
	t.Helper()
	if q.String() != want {
		t.Errorf("got %q, want %q", q, want)
	}
	if text, err := q.MarshalText(); err != nil || string(text) != want {
		t.Errorf("marshals as %q, error %v, want %q", text, err, want)
	}
}

func TestParseGolden(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t).Parse {
		if got, err := unit.Parse(c.Name); err != nil || got != c.Unit {
			t.Errorf("%q is %v, error %v, want %v", c.Name, got, err, c.Unit)
		}
	}
}

func TestParseQuantity(t *testing.T) {
	t.Parallel()
	times := map[string]unit.Time{
		"100 ms": unit.Milliseconds(100), "100ms": unit.Milliseconds(100), " +1.5e-3\ts ": unit.Seconds(0.0015), ".5h": unit.Hours(0.5),
		"-5. min": unit.Minutes(-5), "1E3us": unit.Microseconds(1000), "2 µs": unit.Microseconds(2), "2 μs": unit.Microseconds(2),
		"inf s": unit.Seconds(math.Inf(1)), "-inf s": unit.Seconds(math.Inf(-1)), "1e-999 ns": unit.Nanoseconds(0), "1d": {Value: 1, Unit: unit.Day},
	}
	for text, want := range times {
		if got, err := unit.ParseTime(text); err != nil || got != want {
			t.Errorf("ParseTime(%q) = %v, error %v, want %v", text, got, err, want)
		}
	}
	rates := map[string]unit.Rate{
		"20 Hz": unit.Hz(20), "30kHz": unit.KHz(30), "8.9 1/s": {Value: 8.9, Unit: unit.PerSecond}, "51/s": {Value: 51, Unit: unit.PerSecond},
		"0.5 ms**-1": {Value: 0.5, Unit: unit.PerMillisecond}, "1 1/µs": {Value: 1, Unit: unit.PerMicrosecond},
	}
	for text, want := range rates {
		if got, err := unit.ParseRate(text); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %v, error %v, want %v", text, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const wantTime = ` (want a number and one of s, ms, us, ns, ps, min, h, d, such as "100 ms")`
	const wantRate = ` (want a number and one of Hz, kHz, MHz, 1/s, 1/ms, 1/us, 1/ns, 1/ps, 1/min, 1/h, 1/d, such as "20 Hz")`
	parseTime := func(text string) error { _, err := unit.ParseTime(text); return err }
	parseRate := func(text string) error { _, err := unit.ParseRate(text); return err }
	tests := []struct {
		text  string
		parse func(string) error
		want  error
		why   string
	}{
		{"", parseTime, unit.ErrSyntax, `unit: malformed quantity: "" is not a time: it does not begin with a number` + wantTime},
		{"ms", parseTime, unit.ErrSyntax, `unit: malformed quantity: "ms" is not a time: it does not begin with a number` + wantTime},
		{".e5 s", parseTime, unit.ErrSyntax, `unit: malformed quantity: ".e5 s" is not a time: it does not begin with a number` + wantTime},
		{"5 parsec", parseTime, unit.ErrSyntax, `unit: malformed quantity: "5 parsec" is not a time: "parsec" is not a unit` + wantTime},
		{"5 Ms", parseTime, unit.ErrSyntax, `unit: malformed quantity: "5 Ms" is not a time: "Ms" is not a unit` + wantTime},
		{"5e s", parseTime, unit.ErrSyntax, `unit: malformed quantity: "5e s" is not a time: "e s" is not a unit` + wantTime},
		{"0x5 s", parseTime, unit.ErrSyntax, `unit: malformed quantity: "0x5 s" is not a time: "x5 s" is not a unit` + wantTime},
		{"1e999 s", parseTime, unit.ErrSyntax, `unit: malformed quantity: "1e999 s" is not a time: the number is too large` + wantTime},
		{"5", parseTime, unit.ErrDimension, `unit: wrong dimension: "5" is not a time: it has no unit` + wantTime},
		{"5 dimensionless", parseTime, unit.ErrDimension, `unit: wrong dimension: "5 dimensionless" is not a time: dimensionless is a unit of no dimension` + wantTime},
		{"20 Hz", parseTime, unit.ErrDimension, `unit: wrong dimension: "20 Hz" is not a time: Hz is a unit of rate` + wantTime},
		{"20 ms", parseRate, unit.ErrDimension, `unit: wrong dimension: "20 ms" is not a rate: ms is a unit of time` + wantRate},
		{"20 hz", parseRate, unit.ErrSyntax, `unit: malformed quantity: "20 hz" is not a rate: "hz" is not a unit` + wantRate},
	}
	for _, c := range tests {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			err := c.parse(c.text)
			if !errors.Is(err, c.want) || err.Error() != c.why {
				t.Errorf("got error\n%v, want\n%v", err, c.why)
			}
		})
	}
}

func TestWrongDimension(t *testing.T) {
	t.Parallel()
	tests := map[string]func() error{
		"time in a rate":          func() error { _, err := unit.Seconds(1).In(unit.Hertz); return err },
		"rate in a time":          func() error { _, err := unit.Hz(1).In(unit.Second); return err },
		"unset time":              func() error { _, err := unit.Time{}.In(unit.Second); return err },
		"unset to nothing":        func() error { _, err := unit.Time{}.In(unit.Dimensionless); return err },
		"time of a rate's unit":   func() error { _, err := unit.Time{Value: 1, Unit: unit.Hertz}.In(unit.Hertz); return err },
		"unknown unit":            func() error { _, err := unit.Time{Value: 1, Unit: 200}.In(200); return err },
		"marshal a bare number":   func() error { _, err := unit.Time{Value: 1}.MarshalText(); return err },
		"marshal a wrong unit":    func() error { _, err := unit.Rate{Value: 1, Unit: unit.Second}.MarshalText(); return err },
		"marshal an unknown unit": func() error { _, err := unit.Unit(200).MarshalText(); return err },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := f(); !errors.Is(err, unit.ErrDimension) {
				t.Errorf("got error %v, want one that is %q", err, unit.ErrDimension)
			}
		})
	}
	_, err := unit.Seconds(1).In(unit.Hertz)
	if want := "unit: wrong dimension: cannot convert s (time) to Hz (rate) (want one of s, ms, us, ns, ps, min, h, d)"; err.Error() != want {
		t.Errorf("got error %q, want %q", err, want)
	}
	_, err = unit.Time{}.In(unit.Second)
	if want := "unit: wrong dimension: the time is not given (want a number and a unit of s, ms, us, ns, ps, min, h, d)"; err.Error() != want {
		t.Errorf("got error %q, want %q", err, want)
	}
}

func TestDimensionParse(t *testing.T) {
	t.Parallel()
	if u, err := unit.DimensionTime.Parse(" milliseconds "); u != unit.Millisecond || err != nil {
		t.Errorf("got %v and error %v, want ms", u, err)
	}
	for _, c := range []struct {
		name string
		want error
		why  string
	}{
		{"parsec", unit.ErrSyntax, `unit: malformed quantity: "parsec" is not a unit of time (want one of s, ms, us, ns, ps, min, h, d)`},
		{"Hz", unit.ErrDimension, `unit: wrong dimension: Hz is not a unit of time (want one of s, ms, us, ns, ps, min, h, d)`},
		{"dimensionless", unit.ErrDimension, `unit: wrong dimension: dimensionless is not a unit of time (want one of s, ms, us, ns, ps, min, h, d)`},
	} {
		u, err := unit.DimensionTime.Parse(c.name)
		if u != unit.Dimensionless || !errors.Is(err, c.want) || err.Error() != c.why {
			t.Errorf("got %v and error\n%v, want\n%v", u, err, c.why)
		}
	}
}

// TestJSON: every unit, and quantities set or not, come back as they were.
func TestJSON(t *testing.T) {
	t.Parallel()
	type all struct {
		Times []unit.Time
		Rates []unit.Rate
		Units []unit.Unit
	}
	want := all{Times: []unit.Time{{}}, Rates: []unit.Rate{{}}}
	for u := unit.Unit(0); u.Dimension() <= unit.DimensionVoltage; u++ {
		want.Units = append(want.Units, u)
		for _, v := range []float64{1.0 / 3, math.Copysign(0, -1), 5e-324, math.Inf(-1), 1e300} {
			switch u.Dimension() {
			case unit.DimensionTime:
				want.Times = append(want.Times, unit.Time{Value: v, Unit: u})
			case unit.DimensionRate:
				want.Rates = append(want.Rates, unit.Rate{Value: v, Unit: u})
			}
		}
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got all
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	bin, rate, u := unit.Milliseconds(5), unit.Rate{}, unit.Second
	flags.Var(&bin, "bin", "")
	flags.Var(&rate, "rate", "")
	flags.Var(&u, "unit", "")
	if err := flags.Parse([]string{"-bin=100ms", "-rate", "20 Hz", "-unit", "ms"}); err != nil {
		t.Fatal(err)
	}
	if bin != unit.Milliseconds(100) || rate != unit.Hz(20) || u != unit.Millisecond {
		t.Errorf("got %v, %v and %v", bin, rate, u)
	}
	if err := flags.Parse([]string{"-bin=100"}); err == nil || !strings.Contains(err.Error(), "it has no unit") {
		t.Errorf("got error %v", err)
	}
	if bin != unit.Milliseconds(100) {
		t.Error("a refused flag changed the value")
	}
	if err := u.Set("Hertzes"); !errors.Is(err, unit.ErrSyntax) {
		t.Errorf("got error %v", err)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"100 ms", "1e-5s", "-.5 h", "nan s", "infmin", "5e+ s", "1 1/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := unit.ParseTime(text)
		if err != nil {
			return
		}
		back, err := unit.ParseTime(q.String())
		if err != nil || !same(back.Value, q.Value) || back.Unit != q.Unit {
			t.Errorf("%q is %v and then %v, error %v", text, q, back, err)
		}
	})
}
