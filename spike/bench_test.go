package spike_test

import (
	"fmt"
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// BenchmarkTimeHistogram is the tutorial of Elephant's parallel module: 8 trains
// of 10 Hz and 100 s, and 100 bin sizes from 1 to 100 ms in one operation.
func BenchmarkTimeHistogram(b *testing.B) {
	trains, err := spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(100)}.Trains(newRand(1), 8)
	if err != nil {
		b.Fatal(err)
	}
	for _, opts := range []spike.HistogramOptions{{}, {Output: spike.OutputRate}, {Binary: true}} {
		b.Run(fmt.Sprintf("%v/binary=%t", opts.Output, opts.Binary), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for ms := range 100 {
					if _, err := spike.TimeHistogram(trains, unit.Milliseconds(float64(1+ms)), opts); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkTimeHistogramLarge is 2.4 million spikes, 19 MB: 200 trains of 20 Hz
// and 600 s. The bins have 1, 10, 100 and 1000 ms.
func BenchmarkTimeHistogramLarge(b *testing.B) {
	trains, err := spike.PoissonProcess{Rate: unit.Hz(20), TStop: unit.Seconds(600)}.Trains(newRand(1), 200)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, t := range trains {
		n += len(t.Times)
	}
	for _, ms := range []float64{1, 10, 100, 1000} {
		for _, binary := range []bool{false, true} {
			b.Run(fmt.Sprintf("bin=%vms/binary=%t", ms, binary), func(b *testing.B) {
				for b.Loop() {
					if _, err := spike.TimeHistogram(trains, unit.Milliseconds(ms), spike.HistogramOptions{Binary: binary}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/spike")
			})
		}
	}
}

func BenchmarkPoissonProcess(b *testing.B) {
	p := spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(100)}
	rng := newRand(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Train(rng); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMeanFiringRateWithin(b *testing.B) {
	train, err := spike.PoissonProcess{Rate: unit.Hz(100), TStop: unit.Seconds(1000)}.Train(newRand(1))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(8 * len(train.Times)))
	for b.Loop() {
		if _, err := spike.MeanFiringRateWithin(train, unit.Seconds(100), unit.Seconds(900)); err != nil {
			b.Fatal(err)
		}
	}
}
