package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// short writes a positive number with three digits: "1.23 M", "12.0".
func short(v float64) string {
	number, prefix := scaled(v)
	return strings.TrimSuffix(number+" "+prefix, " ")
}

// size writes a number of bytes: "55.3 MB".
func size(bytes float64) string {
	number, prefix := scaled(bytes)
	return number + " " + prefix + "B"
}

func scaled(v float64) (number, prefix string) {
	for _, prefix := range []struct {
		factor float64
		letter string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= prefix.factor*0.9995 {
			return digits(v / prefix.factor), prefix.letter
		}
	}
	return digits(v), ""
}

// digits writes a number with three significant digits, without exponent.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// took writes a duration with three digits and its unit: 12.3 ms.
func took(d time.Duration) string {
	switch s := d.Seconds(); {
	case s >= 0.9995:
		return digits(s) + " s"
	case s >= 0.9995e-3:
		return digits(1e3*s) + " ms"
	case s >= 0.9995e-6:
		return digits(1e6*s) + " µs"
	default:
		return digits(1e9*s) + " ns"
	}
}

// count writes a whole number with commas: 6,912,000.
func count(n int) string {
	text := strconv.Itoa(n)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}

// plural writes a number and its noun: "1 train", "8 trains".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", count(n), noun)
}
