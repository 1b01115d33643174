package spike_test

import (
	"fmt"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func ExampleTrain_Slice() {
	train := spike.Train{Times: []float64{0.5, 1, 2.5, 4}, Unit: unit.Second, TStop: 5}
	part, err := train.Slice(unit.Milliseconds(1000), unit.Seconds(3))
	fmt.Println(part, err)
	// Output: <SpikeTrain(array([1. , 2.5]) * s, [1.0 s, 3.0 s])> <nil>
}

func ExampleMerge() {
	merged, err := spike.Merge([]spike.Train{
		{Times: []float64{0.5, 1.5}, Unit: unit.Second, TStop: 2, Name: "3"},
		{Times: []float64{1000}, Unit: unit.Millisecond, TStop: 2000, Name: "7"},
	})
	fmt.Println(merged, merged.Name, err)
	// Output: <SpikeTrain(array([0.5, 1. , 1.5]) * s, [0.0 s, 2.0 s])> merge(3; 7) <nil>
}

func ExampleAlign() {
	recording := spike.Train{Times: []float64{0.9, 1.25, 1.5, 2, 3.25}, Unit: unit.Second, TStop: 5}
	onsets := spike.Events{Times: []float64{1, 3}, Unit: unit.Second}
	trials, err := spike.Align(recording, onsets, unit.Milliseconds(500), unit.Seconds(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, trial := range trials {
		fmt.Println(trial)
	}
	// Output:
	// <SpikeTrain(array([-0.1 ,  0.25,  0.5 ,  1.  ]) * s, [-0.5 s, 1.0 s])>
	// <SpikeTrain(array([0.25]) * s, [-0.5 s, 1.0 s])>
}

func ExamplePSTH() {
	trials := []spike.Train{
		{Times: []float64{-0.1, 0.25, 0.6}, Unit: unit.Second, TStart: -0.5, TStop: 1},
		{Times: []float64{0.25, 0.3}, Unit: unit.Second, TStart: -0.5, TStop: 1},
	}
	h, err := spike.PSTH(trials, unit.Milliseconds(500), spike.PSTHOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	inHz, err := unit.Factor(h.Unit, unit.Hertz)
	if err != nil {
		fmt.Println(err)
		return
	}
	for k, at := range h.Times() {
		fmt.Printf("from %4.1f s: %.1f ± %.1f Hz\n", at, h.Samples[k]*inHz, h.SEM[k]*inHz)
	}
	// Output:
	// from -0.5 s: 1.0 ± 1.0 Hz
	// from  0.0 s: 3.0 ± 1.0 Hz
	// from  0.5 s: 1.0 ± 1.0 Hz
}
