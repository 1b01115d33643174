//go:build ignore

// Times spike.TimeHistogram as peer.py does Elephant's: go run main.go CASE
// TRAINS.npy WORKERS. It is run as a file, since nothing under bench is a part of
// the module.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"time"

	"github.com/parade-go/parade"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

const runs = 25

type result struct {
	Case     string  `json:"case"`
	Executor string  `json:"executor"`
	Workers  int     `json:"workers"`
	Value    float64 `json:"value"` // seconds
	Spikes   int     `json:"spikes"`
	Checksum uint32  `json:"checksum"`
}

func main() {
	if err := measure(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(name, path, workers string) error {
	var bins []unit.Time
	stop := unit.Seconds(600)
	switch name {
	case "tutorial":
		stop = unit.Seconds(100)
		for ms := range 100 { // np.linspace(1, 100, 100), whose numbers are whole
			bins = append(bins, unit.Milliseconds(float64(1+ms)))
		}
	case "recording":
		bins = []unit.Time{unit.Milliseconds(10)}
	default:
		return fmt.Errorf("there is no case %q", name)
	}
	n, err := strconv.Atoi(workers)
	if err != nil {
		return err
	}
	trains, err := spike.ReadFile(path, spike.ReadOptions{Unit: unit.Second, TStop: stop})
	if err != nil {
		return err
	}
	ctx := context.Background()
	ex := parade.Threads(n)
	defer ex.Close()
	for run := range 1 + runs {
		hists := make([]spike.Histogram, len(bins))
		start := time.Now()
		for i, bin := range bins {
			if n == 1 {
				hists[i], err = spike.TimeHistogram(trains, bin, spike.HistogramOptions{})
			} else {
				hists[i], err = inParts(ctx, ex, trains, bin, n)
			}
			if err != nil {
				return err
			}
		}
		took := time.Since(start)
		if run == 0 {
			continue // to warm up
		}
		r := result{Case: name, Executor: "parade", Workers: n, Value: took.Seconds()}
		for _, t := range trains {
			r.Spikes += len(t.Times) * len(bins)
		}
		for _, h := range hists {
			var counts []byte
			for _, n := range h.Samples {
				counts = binary.LittleEndian.AppendUint64(counts, uint64(n))
			}
			r.Checksum = crc32.Update(r.Checksum, crc32.IEEETable, counts)
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// inParts makes a histogram of each of n parts of the trains, and adds them up.
func inParts(ctx context.Context, ex parade.Executor, trains []spike.Train, bin unit.Time, n int) (spike.Histogram, error) {
	histogram := parade.Closure(func(_ context.Context, part int) (spike.Histogram, error) {
		return spike.TimeHistogram(trains[part*len(trains)/n:(part+1)*len(trains)/n], bin, spike.HistogramOptions{})
	})
	parts := make([]int, n)
	for i := range parts {
		parts[i] = i
	}
	hists, err := parade.Map(ctx, ex, histogram, parts)
	if err != nil {
		return spike.Histogram{}, err
	}
	sum := hists[0]
	for _, h := range hists[1:] {
		for i, v := range h.Samples {
			sum.Samples[i] += v
		}
	}
	return sum, nil
}
