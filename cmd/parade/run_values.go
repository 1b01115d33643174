package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/parade-go/parade/internal/cores"
)

// jobsValue is the value of -j: N, N% of the cores, +N or -N to them, or 0 for as
// many as possible.
type jobsValue struct {
	text string
	n    int // 0: as many as possible
}

func (v *jobsValue) Type() string   { return "number" }
func (v *jobsValue) String() string { return v.text }

func (v *jobsValue) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	relative := strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-")
	f, err := strconv.ParseFloat(number, 64)
	bad := err != nil || math.IsNaN(f) || math.Abs(f) > 1e6 || percent && relative || !percent && f != math.Trunc(f)
	if bad {
		return usagef("give a number, such as 4, 50%% of the cores, +1 or -1 to their number, or 0 for as many as possible")
	}
	granted := cores.Granted()
	switch {
	case percent:
		v.n = max(1, int(float64(granted)*f/100))
	case relative:
		v.n = max(1, granted+int(f))
	default:
		v.n = int(f)
	}
	v.text = text
	return nil
}

// secondsValue is a time as GNU parallel takes it, in seconds or with units: 10,
// 1.5, 90s, 1h30m, 2d.
type secondsValue struct {
	text string
	d    time.Duration
}

func (v *secondsValue) Type() string   { return "time" }
func (v *secondsValue) String() string { return v.text }

func (v *secondsValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, e := strconv.ParseFloat(days, 64); e == nil && n < 1e5 {
			d, err = time.Duration(n*24*float64(time.Hour)), nil
		}
	} else if n, e := strconv.ParseFloat(text, 64); e == nil && n < 1e9 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if strings.HasSuffix(text, "%") {
		return usagef("a part of the other tasks' time is not taken; give seconds, such as 10 or 1.5")
	}
	if err != nil || d < 0 {
		return usagef("give seconds, such as 10 or 1.5, or a time such as 90s, 1h30m, 2d")
	}
	v.text, v.d = text, d
	return nil
}

// bytesValue is a number of bytes: 500M, 1.5G. Upper-case letters are powers of
// 1024 and lower-case ones of 1000, as for GNU parallel.
type bytesValue struct {
	text string
	n    int64
}

func (v *bytesValue) Type() string   { return "size" }
func (v *bytesValue) String() string { return v.text }

func (v *bytesValue) Set(text string) error {
	number := strings.TrimSuffix(strings.TrimSuffix(text, "B"), "i")
	factor := 1.0
	if number != "" {
		if i := strings.IndexByte("KMGTPkmgtp", number[len(number)-1]); i >= 0 {
			base := 1024.0
			if i >= 5 {
				base = 1000
			}
			factor = math.Pow(base, float64(i%5+1))
			number = number[:len(number)-1]
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0) || f*factor >= 1<<62 {
		return usagef("give a number of bytes, such as 500M or 1.5G")
	}
	v.text, v.n = text, int64(f*factor)
	return nil
}

// loadValue is a number of processes that compute, or a part of the cores: 4, 80%.
type loadValue struct {
	text string
	n    float64
}

func (v *loadValue) Type() string   { return "number" }
func (v *loadValue) String() string { return v.text }

func (v *loadValue) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f > 0) || f > 1e6 {
		return usagef("give a number of processes, such as 4, or of the cores, such as 80%%")
	}
	if percent {
		f *= float64(cores.Granted()) / 100
	}
	v.text, v.n = text, f
	return nil
}
