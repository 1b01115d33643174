package spike

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// How numpy prints arrays unless told otherwise.
const (
	printPrecision = 8    // digits behind the point
	printThreshold = 1000 // larger arrays are shortened
	printEdge      = 3    // items left at each end of a shortened axis
	printWidth     = 75
)

// formatArray prints numbers as repr of a numpy (2.2 or later) array does: of
// one axis where columns is 0, else of rows of that many columns.
func formatArray(v []float64, columns int, integer bool) string {
	rows := 1
	if columns > 0 {
		rows = len(v) / columns
	}
	if len(v) == 0 {
		if columns == 0 {
			return "array([], dtype=float64)"
		}
		return fmt.Sprintf("array([], shape=(0, %d), dtype=float64)", columns)
	}
	short := len(v) > printThreshold
	width := max(columns, 1)
	if columns == 0 {
		width = len(v)
	}
	rowIndex, columnIndex := shown(rows, short), shown(width, short)

	// Numbers get a common width, from those that are shown.
	var numbers []float64
	for _, r := range rowIndex {
		for _, c := range columnIndex {
			if r >= 0 && c >= 0 {
				numbers = append(numbers, v[r*width+c])
			}
		}
	}
	var words []string
	if integer {
		words = formatIntegers(numbers)
	} else {
		words = formatFloats(numbers)
	}

	depth := 1
	if columns > 0 {
		depth = 2
	}
	indent := strings.Repeat(" ", len("array(")+depth)
	lineWidth := printWidth - len(")") - depth
	var lines []string
	for _, r := range rowIndex {
		if r < 0 {
			lines = append(lines, "...")
			continue
		}
		lines = append(lines, "["+joinRow(&words, columnIndex, indent, lineWidth)+"]")
	}
	s := "array(" + lines[0]
	if columns > 0 {
		s = "array([" + strings.Join(lines, ",\n"+indent[1:]) + "]"
	}
	if !short {
		return s + ")"
	}
	shape := fmt.Sprintf("shape=(%d,))", len(v))
	if columns > 0 {
		shape = fmt.Sprintf("shape=(%d, %d))", rows, columns)
	}
	s += ","
	if len(s)-(strings.LastIndex(s, "\n")+1)+len(shape)+1 > printWidth {
		return s + "\n" + strings.Repeat(" ", len("array(")) + shape
	}
	return s + " " + shape
}

// shown gives the indices of an axis that are printed, -1 for the gap.
func shown(n int, short bool) []int {
	var list []int
	for i := range n {
		if short && n > 2*printEdge && i >= printEdge && i < n-printEdge {
			if i == printEdge {
				list = append(list, -1)
			}
			continue
		}
		list = append(list, i)
	}
	return list
}

// joinRow takes the words of one row from the front of words and joins them,
// wrapped at lineWidth.
func joinRow(words *[]string, columnIndex []int, indent string, lineWidth int) string {
	var done strings.Builder
	line := indent
	for i, c := range columnIndex {
		word := "..."
		if c >= 0 {
			word = (*words)[0]
			*words = (*words)[1:]
		}
		if i > 0 {
			line += ", "
		}
		if len(line)+len(word) > lineWidth && len(line) > len(indent) {
			done.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word
	}
	return (done.String() + line)[len(indent):]
}

func formatIntegers(v []float64) []string {
	words := make([]string, len(v))
	width := 0
	for i, x := range v {
		words[i] = strconv.FormatInt(int64(x), 10)
		width = max(width, len(words[i]))
	}
	for i, w := range words {
		words[i] = strings.Repeat(" ", width-len(w)) + w
	}
	return words
}

// formatFloats prints numbers with the points below one another, in exponent
// form when one of them is very large or small, or when they are far apart.
func formatFloats(v []float64) []string {
	smallest, largest := math.Inf(1), 0.0
	allFinite, negInf := true, false
	for _, x := range v {
		a := math.Abs(x)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			allFinite = false
			negInf = negInf || x < 0
		} else if a != 0 {
			smallest, largest = min(smallest, a), max(largest, a)
		}
	}
	exponent := largest != 0 && (largest >= 1e8 || smallest < 1e-4 || largest/smallest > 1000)

	// whole, fraction and power are the parts of the finite numbers.
	type parts struct{ whole, fraction, power string }
	split := make([]parts, len(v))
	var left, right, power int
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		format := byte('f')
		if exponent {
			format = 'e'
		}
		p := parts{}
		digits := strconv.FormatFloat(x, format, -1, 64)
		cut := func() {
			digits, p.power, _ = strings.Cut(digits, "e")
			p.whole, p.fraction, _ = strings.Cut(digits, ".")
		}
		if cut(); len(p.fraction) > printPrecision {
			digits = strconv.FormatFloat(x, format, printPrecision, 64)
			cut()
			p.fraction = strings.TrimRight(p.fraction, "0")
		}
		split[i] = p
		left, right, power = max(left, len(p.whole)), max(right, len(p.fraction)), max(power, len(p.power))
	}
	tail := right
	if exponent {
		tail += 1 + power
	}
	if !allFinite {
		widest := 3
		if negInf {
			widest = 4
		}
		left = max(left, widest-(tail+1))
	}
	words := make([]string, len(v))
	for i, x := range v {
		p := split[i]
		switch {
		case math.IsNaN(x):
			words[i] = fmt.Sprintf("%*s", left+1+tail, "nan")
		case math.IsInf(x, 0):
			words[i] = fmt.Sprintf("%*s", left+1+tail, strings.TrimPrefix(strconv.FormatFloat(x, 'f', -1, 64), "+"))
			words[i] = strings.Replace(words[i], "Inf", "inf", 1)
		case exponent:
			words[i] = fmt.Sprintf("%*s.%s%se%c%s%s", left, p.whole, p.fraction, strings.Repeat("0", right-len(p.fraction)),
				p.power[0], strings.Repeat("0", power-len(p.power)), p.power[1:])
		default:
			words[i] = fmt.Sprintf("%*s.%-*s", left, p.whole, right, p.fraction)
		}
	}
	return words
}
