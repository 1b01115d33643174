package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// freeMemory is how many bytes programs can still take without swapping.
func freeMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

// computing is how many threads of the machine's run or could run, but for the one
// that asks.
func computing() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 {
		return 0, errors.New("/proc/loadavg is not as expected")
	}
	busy, _, _ := strings.Cut(fields[3], "/")
	n, err := strconv.ParseFloat(busy, 64)
	return max(0, n-1), err
}
