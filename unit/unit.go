// Package unit holds physical quantities with their units: times, rates and
// the voltages of recorded signals.
//
//	bin := unit.Milliseconds(100)
//	bin, err := unit.ParseTime("100 ms")
//	inSeconds, err := bin.In(unit.Second) // 0.1 s
//	rate := unit.Hz(20)
//	fmt.Println(rate, rate.Inverse()) // 20.0 Hz 0.05 s
//
// Values are plain structs of a number and a unit, so they compare with ==,
// travel between processes as they are, and cost nothing. Rescaling, printing
// and the sizes of the units are those of the Python package quantities, to
// the last bit.
package unit

import (
	"errors"
	"fmt"
	"strings"
)

// Unit names a unit of measurement. The zero Unit is Dimensionless.
type Unit uint8

// The units. Their numbers are part of the wire format: new units go to the end.
const (
	Dimensionless Unit = iota
	Second
	Millisecond
	Microsecond
	Nanosecond
	Picosecond
	Minute
	Hour
	Day
	Hertz
	Kilohertz
	Megahertz
	PerSecond
	PerMillisecond
	PerMicrosecond
	PerNanosecond
	PerPicosecond
	PerMinute
	PerHour
	PerDay
	Volt
	Millivolt
	Microvolt
	numUnits
)

// Dimension is what a unit measures.
type Dimension uint8

// The dimensions. A rate and a frequency are one dimension, 1/time.
const (
	DimensionNone Dimension = iota
	DimensionTime
	DimensionRate
	DimensionVoltage
)

// String gives the name of the dimension, such as "time".
func (d Dimension) String() string {
	switch d {
	case DimensionNone:
		return "no dimension"
	case DimensionTime:
		return "time"
	case DimensionRate:
		return "rate"
	case DimensionVoltage:
		return "voltage"
	}
	return fmt.Sprintf("unknown dimension %d", uint8(d))
}

// Errors that callers branch on; every error of this package wraps one of them.
var (
	// ErrDimension says that a unit is of another dimension than is needed:
	// a rate where a time is due, or a bare number.
	ErrDimension = errors.New("wrong dimension")
	// ErrSyntax says that a text is no quantity.
	ErrSyntax = errors.New("malformed quantity")
)

// unitInfo says what a unit is. size is its magnitude in the base unit of its
// dimension as quantities computes it, by a chain of divisions: a picosecond
// is one ulp above 1e-12, and 1/ns one below 1e9.
type unitInfo struct {
	symbol  string
	dim     Dimension
	size    float64
	inverse Unit
	names   []string // accepted besides the symbol
}

var units = [numUnits]unitInfo{
	Dimensionless:  {"dimensionless", DimensionNone, 1, Dimensionless, nil},
	Second:         {"s", DimensionTime, 1, PerSecond, []string{"sec", "second", "seconds"}},
	Millisecond:    {"ms", DimensionTime, 0.001, PerMillisecond, []string{"msec", "millisecond", "milliseconds"}},
	Microsecond:    {"us", DimensionTime, 1e-06, PerMicrosecond, []string{"µs", "μs", "usec", "microsecond", "microseconds"}},
	Nanosecond:     {"ns", DimensionTime, 1e-09, PerNanosecond, []string{"nsec", "nanosecond", "nanoseconds"}},
	Picosecond:     {"ps", DimensionTime, 1.0000000000000002e-12, PerPicosecond, []string{"picosecond", "picoseconds"}},
	Minute:         {"min", DimensionTime, 60, PerMinute, []string{"minute", "minutes"}},
	Hour:           {"h", DimensionTime, 3600, PerHour, []string{"hr", "hour", "hours"}},
	Day:            {"d", DimensionTime, 86400, PerDay, []string{"day", "days"}},
	Hertz:          {"Hz", DimensionRate, 1, Second, []string{"hertz"}},
	Kilohertz:      {"kHz", DimensionRate, 1000, Millisecond, []string{"kilohertz"}},
	Megahertz:      {"MHz", DimensionRate, 1e6, Microsecond, []string{"megahertz"}},
	PerSecond:      {"1/s", DimensionRate, 1, Second, []string{"/s", "s**-1", "s^-1"}},
	PerMillisecond: {"1/ms", DimensionRate, 1000, Millisecond, []string{"/ms", "ms**-1", "ms^-1"}},
	PerMicrosecond: {"1/us", DimensionRate, 1e6, Microsecond, []string{"1/µs", "1/μs", "/us", "us**-1", "us^-1"}},
	PerNanosecond:  {"1/ns", DimensionRate, 999999999.9999999, Nanosecond, []string{"/ns", "ns**-1", "ns^-1"}},
	PerPicosecond:  {"1/ps", DimensionRate, 999999999999.9999, Picosecond, []string{"/ps", "ps**-1", "ps^-1"}},
	PerMinute:      {"1/min", DimensionRate, 0.016666666666666666, Minute, []string{"/min", "min**-1", "min^-1"}},
	PerHour:        {"1/h", DimensionRate, 0.0002777777777777778, Hour, []string{"/h", "h**-1", "h^-1"}},
	PerDay:         {"1/d", DimensionRate, 1.1574074074074073e-05, Day, []string{"/d", "d**-1", "d^-1"}},
	Volt:           {"V", DimensionVoltage, 1, Dimensionless, []string{"volt", "volts"}},
	Millivolt:      {"mV", DimensionVoltage, 0.001, Dimensionless, []string{"millivolt", "millivolts"}},
	Microvolt:      {"uV", DimensionVoltage, 1e-06, Dimensionless, []string{"µV", "μV", "microvolt", "microvolts"}},
}

var unitByName = func() map[string]Unit {
	m := make(map[string]Unit)
	for u := range numUnits {
		m[units[u].symbol] = u
		for _, name := range units[u].names {
			m[name] = u
		}
	}
	return m
}()

// Parse reads the symbol or the name of a unit: "ms", "milliseconds", "1/s",
// "s**-1", "Hz". Letters keep their case, since mV and MV, ms and Ms differ.
// The error wraps ErrSyntax and lists what is accepted.
func Parse(name string) (Unit, error) {
	if u, ok := unitByName[strings.TrimSpace(name)]; ok {
		return u, nil
	}
	return 0, fmt.Errorf("unit: %w: %q is not a unit (want one of %s)", ErrSyntax, name, symbols(DimensionTime, DimensionRate, DimensionVoltage, DimensionNone))
}

// Parse reads the symbol or the name of a unit of the dimension, as the function
// Parse does. The error wraps ErrSyntax, or ErrDimension for a unit of another
// dimension, and lists the units of this one.
func (d Dimension) Parse(name string) (Unit, error) {
	u, ok := unitByName[strings.TrimSpace(name)]
	switch {
	case !ok:
		return 0, fmt.Errorf("unit: %w: %q is not a unit of %s (want one of %s)", ErrSyntax, name, d, symbols(d))
	case u.Dimension() != d:
		return 0, fmt.Errorf("unit: %w: %s is not a unit of %s (want one of %s)", ErrDimension, u, d, symbols(d))
	}
	return u, nil
}

// symbols lists the symbols of the units of the given dimensions.
func symbols(dims ...Dimension) string {
	var list []string
	for _, d := range dims {
		for u := range numUnits {
			if units[u].dim == d {
				list = append(list, units[u].symbol)
			}
		}
	}
	return strings.Join(list, ", ")
}

// String gives the symbol of the unit as quantities prints it: "ms", "1/s", "Hz".
func (u Unit) String() string {
	if u >= numUnits {
		return fmt.Sprintf("unknown unit %d", uint8(u))
	}
	return units[u].symbol
}

// Dimension says what the unit measures.
func (u Unit) Dimension() Dimension {
	if u >= numUnits {
		return Dimension(255)
	}
	return units[u].dim
}

// Inverse gives the unit of one divided by a quantity in u: PerMillisecond for
// Millisecond and for PerMillisecond and Kilohertz Millisecond. The inverse of a
// unit that is neither a time nor a rate is Dimensionless.
func (u Unit) Inverse() Unit {
	if u >= numUnits {
		return Dimensionless
	}
	return units[u].inverse
}

// Factor gives the one number by which a value in from is multiplied to have
// it in to: the quotient of the units' sizes, as in quantities. The error
// wraps ErrDimension when the two measure different things.
func Factor(from, to Unit) (float64, error) {
	if from >= numUnits || to >= numUnits || units[from].dim != units[to].dim {
		return 0, fmt.Errorf("unit: %w: cannot convert %s to %s", ErrDimension, describe(from), describe(to))
	}
	return units[from].size / units[to].size, nil
}

func describe(u Unit) string {
	if u >= numUnits || u == Dimensionless {
		return u.String()
	}
	return fmt.Sprintf("%s (%s)", u, u.Dimension())
}

// MarshalText gives the symbol, for JSON and flags. An unknown unit is an error.
func (u Unit) MarshalText() ([]byte, error) {
	if u >= numUnits {
		return nil, fmt.Errorf("unit: %w: %s", ErrDimension, u)
	}
	return []byte(units[u].symbol), nil
}

// UnmarshalText is Parse, for JSON and flags.
func (u *Unit) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err != nil {
		return err
	}
	*u = v
	return nil
}

// Set is Parse, so that *Unit is a flag.Value.
func (u *Unit) Set(text string) error { return u.UnmarshalText([]byte(text)) }
