package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Time is a point in time or a duration. The zero Time has no unit and stands
// for a time that was not given.
type Time struct {
	Value float64
	Unit  Unit
}

// Rate is a number of events per time, or a frequency. The zero Rate has no
// unit and stands for a rate that was not given.
type Rate struct {
	Value float64
	Unit  Unit
}

// Seconds makes a time of v s.
func Seconds(v float64) Time { return Time{v, Second} }

// Milliseconds makes a time of v ms.
func Milliseconds(v float64) Time { return Time{v, Millisecond} }

// Microseconds makes a time of v us.
func Microseconds(v float64) Time { return Time{v, Microsecond} }

// Nanoseconds makes a time of v ns.
func Nanoseconds(v float64) Time { return Time{v, Nanosecond} }

// Minutes makes a time of v min.
func Minutes(v float64) Time { return Time{v, Minute} }

// Hours makes a time of v h.
func Hours(v float64) Time { return Time{v, Hour} }

// Hz makes a rate of v Hz.
func Hz(v float64) Rate { return Rate{v, Hertz} }

// KHz makes a rate of v kHz.
func KHz(v float64) Rate { return Rate{v, Kilohertz} }

// ParseTime reads a number and a unit of time: "100 ms", "0.1s", "1e-3 min".
// The error wraps ErrSyntax or ErrDimension and says what is accepted.
func ParseTime(text string) (Time, error) {
	v, u, err := parse(text, DimensionTime, "100 ms")
	return Time{v, u}, err
}

// ParseRate reads a number and a unit of rate: "20 Hz", "8.9 1/s", "51/s".
// The error wraps ErrSyntax or ErrDimension and says what is accepted.
func ParseRate(text string) (Rate, error) {
	v, u, err := parse(text, DimensionRate, "20 Hz")
	return Rate{v, u}, err
}

// In gives the same time in another unit of time, by one multiplication with
// Factor(t.Unit, u); in its own unit it is unchanged. 700 ms is therefore
// 0.7000000000000001 s, as in quantities. The error wraps ErrDimension.
func (t Time) In(u Unit) (Time, error) {
	v, err := rescale(t.Value, t.Unit, u, DimensionTime)
	return Time{v, u}, err
}

// In gives the same rate in another unit of rate, by one multiplication with
// Factor(r.Unit, u); in its own unit it is unchanged. The error wraps
// ErrDimension.
func (r Rate) In(u Unit) (Rate, error) {
	v, err := rescale(r.Value, r.Unit, u, DimensionRate)
	return Rate{v, u}, err
}

// Inverse gives 1/t as a rate: 4.0 1/s for 0.25 s. An unset time gives an
// infinite rate without unit.
func (t Time) Inverse() Rate { return Rate{1 / t.Value, t.Unit.Inverse()} }

// Inverse gives 1/r, the period of a frequency: 0.25 s for 4 Hz. An unset
// rate gives an infinite time without unit.
func (r Rate) Inverse() Time { return Time{1 / r.Value, r.Unit.Inverse()} }

// IsSet is false for the zero Time, which options take for "not given".
func (t Time) IsSet() bool { return t != Time{} }

// IsSet is false for the zero Rate, which options take for "not given".
func (r Rate) IsSet() bool { return r != Rate{} }

// String prints the time as quantities does: "100.0 ms", all digits that
// distinguish the number, exponents from 1e+16 and below 0.0001.
func (t Time) String() string { return FormatFloat(t.Value) + " " + t.Unit.String() }

// String prints the rate as quantities does: "8.9 1/s", all digits that
// distinguish the number, exponents from 1e+16 and below 0.0001.
func (r Rate) String() string { return FormatFloat(r.Value) + " " + r.Unit.String() }

// MarshalText is String, which reads back exactly, but empty for an unset
// time. A time with a unit of another dimension is an error.
func (t Time) MarshalText() ([]byte, error) {
	return marshal(t.Value, t.Unit, DimensionTime)
}

// UnmarshalText is ParseTime; empty text gives the unset time.
func (t *Time) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = Time{}
		return nil
	}
	v, err := ParseTime(string(text))
	if err != nil {
		return err
	}
	*t = v
	return nil
}

// Set is UnmarshalText, so that *Time is a flag.Value.
func (t *Time) Set(text string) error { return t.UnmarshalText([]byte(text)) }

// MarshalText is String, which reads back exactly, but empty for an unset
// rate. A rate with a unit of another dimension is an error.
func (r Rate) MarshalText() ([]byte, error) {
	return marshal(r.Value, r.Unit, DimensionRate)
}

// UnmarshalText is ParseRate; empty text gives the unset rate.
func (r *Rate) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Rate{}
		return nil
	}
	v, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// Set is UnmarshalText, so that *Rate is a flag.Value.
func (r *Rate) Set(text string) error { return r.UnmarshalText([]byte(text)) }

func rescale(v float64, from, to Unit, dim Dimension) (float64, error) {
	if v == 0 && from == Dimensionless {
		return 0, fmt.Errorf("unit: %w: the %s is not given (want a number and a unit of %s)", ErrDimension, dim, symbols(dim))
	}
	if from.Dimension() != dim {
		return 0, fmt.Errorf("unit: %w: %s %s is not a %s (want a unit of %s)", ErrDimension, FormatFloat(v), from, dim, symbols(dim))
	}
	f, err := Factor(from, to)
	if err != nil {
		return 0, fmt.Errorf("%w (want one of %s)", err, symbols(dim))
	}
	if from == to {
		return v, nil
	}
	return f * v, nil
}

func marshal(v float64, u Unit, dim Dimension) ([]byte, error) {
	if v == 0 && !math.Signbit(v) && u == Dimensionless {
		return []byte{}, nil
	}
	if u.Dimension() != dim {
		return nil, fmt.Errorf("unit: %w: %s %s is not a %s (want one of %s)", ErrDimension, FormatFloat(v), u, dim, symbols(dim))
	}
	return []byte(FormatFloat(v) + " " + u.String()), nil
}

func parse(text string, dim Dimension, example string) (float64, Unit, error) {
	fail := func(kind error, why string) (float64, Unit, error) {
		return 0, 0, fmt.Errorf("unit: %w: %q is not a %s: %s (want a number and one of %s, such as %q)", kind, text, dim, why, symbols(dim), example)
	}
	trimmed := strings.TrimSpace(text)
	n := numberLen(trimmed)
	if n == 0 {
		return fail(ErrSyntax, "it does not begin with a number")
	}
	v, err := strconv.ParseFloat(trimmed[:n], 64)
	if err != nil {
		return fail(ErrSyntax, "the number is too large")
	}
	name := strings.TrimSpace(trimmed[n:])
	if name == "" {
		return fail(ErrDimension, "it has no unit")
	}
	u, ok := unitByName[name]
	if !ok {
		return fail(ErrSyntax, fmt.Sprintf("%q is not a unit", name))
	}
	if u.Dimension() != dim {
		return fail(ErrDimension, fmt.Sprintf("%s is a unit of %s", u, u.Dimension()))
	}
	return v, u, nil
}

// numberLen is the length of the decimal number, inf or nan at the front of s.
// strconv has no such function: it wants to be told where the number ends.
func numberLen(s string) int {
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	if rest := strings.ToLower(s[i:min(len(s), i+3)]); rest == "inf" || rest == "nan" {
		return i + 3
	}
	digits := func() int {
		from := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i - from
	}
	n := digits()
	if i < len(s) && s[i] == '.' {
		i++
		n += digits()
	}
	if n == 0 {
		return 0
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		end := i
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if digits() == 0 {
			return end
		}
	}
	return i
}

// FormatFloat prints v as Python and numpy do: the shortest digits that read
// back as v, with a point or an exponent always ("10.0", "1e+16", "1e-05",
// "nan", "-inf").
func FormatFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
