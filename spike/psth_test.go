package spike_test

import (
	"testing"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func TestPSTHGolden(t *testing.T) {
	t.Parallel()
	var golden struct {
		PSTHs []struct {
			Name, Refuse string
			Trains       []goldenTrain
			Bin          hexQuantity
			TStart       hexQuantity `json:"t_start"`
			TStop        hexQuantity `json:"t_stop"`
			Values, SEM  []hexFloat
			Unit         unit.Unit
			Start, Rate  hexQuantity
		}
	}
	readTopic(t, "psth.json", &golden)
	if n := len(golden.PSTHs); n < 90 {
		t.Fatalf("only %d histograms", n)
	}
	for _, c := range golden.PSTHs {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var trials []spike.Train
			for _, g := range c.Trains {
				trials = append(trials, g.train())
			}
			h, err := spike.PSTH(trials, c.Bin.time(), spike.PSTHOptions{TStart: c.TStart.time(), TStop: c.TStop.time()})
			if checkRefusal(t, c.Refuse, err) {
				return
			}
			diff(t, "rate", h.Samples, floats(c.Values))
			diff(t, "unit", h.Unit, c.Unit)
			diff(t, "t_start", h.TStart, c.Start.time())
			diff(t, "sampling rate", h.SamplingRate, c.Rate.rate())
			diff(t, "trials", h.Trains, len(trials))
			diff(t, "output", h.Output, spike.OutputRate)
			if len(h.SEM) != len(c.SEM) {
				t.Fatalf("%d standard errors, want %d", len(h.SEM), len(c.SEM))
			}
			for i, want := range floats(c.SEM) {
				if !near(h.SEM[i], want, 0, 1e-14) {
					t.Errorf("standard error %d is %v, want %v", i, h.SEM[i], want)
				}
			}
		})
	}
}
