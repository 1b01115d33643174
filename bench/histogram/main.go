//go:build ignore

// Times spike.TimeHistogram on the case of Elephant's parallel tutorial, as
// peer.py does with Elephant: go run main.go TRAINS.npy. It is run as a file,
// since nothing under bench is a part of the module.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

const runs = 25

type result struct {
	Metric   string  `json:"metric"`
	Executor string  `json:"executor"`
	Workers  int     `json:"workers"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Checksum uint32  `json:"checksum"`
}

func main() {
	if err := measure(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(path string) error {
	trains, err := spike.ReadFile(path, spike.ReadOptions{Unit: unit.Second, TStop: unit.Seconds(100)})
	if err != nil {
		return err
	}
	for run := range 1 + runs {
		hists := make([]spike.Histogram, 100)
		start := time.Now()
		for i := range hists {
			// np.linspace(1, 100, 100), whose numbers are whole
			if hists[i], err = spike.TimeHistogram(trains, unit.Milliseconds(float64(1+i)), spike.HistogramOptions{}); err != nil {
				return err
			}
		}
		took := time.Since(start)
		if run == 0 {
			continue // to warm up
		}
		checksum := uint32(0)
		for _, h := range hists {
			var counts []byte
			for _, n := range h.Samples {
				counts = binary.LittleEndian.AppendUint64(counts, uint64(n))
			}
			checksum = crc32.Update(checksum, crc32.IEEETable, counts)
		}
		r := result{"time-histogram", "parade", 1, took.Seconds(), "s", checksum}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	return nil
}
