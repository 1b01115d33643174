package spike_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func ExampleNewTrain() {
	train, err := spike.NewTrain([]float64{3, 4, 5}, unit.Second, unit.Time{}, unit.Seconds(10))
	fmt.Println(train, err)

	_, err = spike.NewTrain([]float64{3, 4, 50}, unit.Second, unit.Time{}, unit.Seconds(10))
	fmt.Println(err)
	// Output:
	// <SpikeTrain(array([3., 4., 5.]) * s, [0.0 s, 10.0 s])> <nil>
	// spike: bad spike times: spike 2 at 50.0 s is after t_stop (10.0 s)
}

func ExampleTrain_In() {
	train := spike.Train{Times: []float64{700, 800}, Unit: unit.Millisecond, TStop: 1000}
	inSeconds, err := train.In(unit.Second)
	fmt.Println(inSeconds.Times, inSeconds.Stop(), err)
	// Output: [0.7000000000000001 0.8] 1.0 s <nil>
}

func ExamplePoissonProcess() {
	process := spike.PoissonProcess{Rate: unit.Hz(10), TStop: unit.Seconds(100)}
	trains, err := process.Trains(rand.New(rand.NewPCG(1, 2)), 8)
	fmt.Println(len(trains), len(trains[0].Times), err)
	// Output: 8 1001 <nil>
}

func ExampleMeanFiringRate() {
	train := spike.Train{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10}
	rate, err := spike.MeanFiringRate(train)
	fmt.Println(rate, err)
	// Output: 0.4 1/s <nil>
}

func ExampleMeanFiringRateWithin() {
	train := spike.Train{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10}
	rate, err := spike.MeanFiringRateWithin(train, unit.Milliseconds(4500), unit.Seconds(8))
	fmt.Println(rate, err)
	// Output: 0.5714285714285714 1/s <nil>
}

func ExampleTimeHistogram() {
	trains := []spike.Train{
		{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10},
		{Times: []float64{0.7, 4.3, 8.2}, Unit: unit.Second, TStop: 10},
	}
	hist, err := spike.TimeHistogram(trains, unit.Seconds(1), spike.HistogramOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hist.Samples)
	fmt.Println(hist)
	// Output:
	// [2 0 0 0 2 0 1 0 1 1]
	// <AnalogSignal(array([[2],
	//        [0],
	//        [0],
	//        [0],
	//        [2],
	//        [0],
	//        [1],
	//        [0],
	//        [1],
	//        [1]]) * dimensionless, [0.0 s, 10.0 s], sampling rate: 1.0 1/s)>
}

func ExampleTimeHistogram_rate() {
	train := spike.Train{Times: []float64{1, 12, 18, 30}, Unit: unit.Millisecond, TStop: 30}
	hist, err := spike.TimeHistogram([]spike.Train{train}, unit.Milliseconds(10), spike.HistogramOptions{Output: spike.OutputRate})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hist.Samples, hist.Unit, "dropped:", hist.Dropped)
	// Output: [0.1 0.2 0] 1/ms dropped: 1
}

func ExampleReadFile() {
	trains, err := spike.ReadFile("testdata/rows.npy", spike.ReadOptions{Unit: unit.Second, TStop: unit.Seconds(2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, train := range trains {
		fmt.Println(train.Name, train)
	}
	// Output:
	// -1 <SpikeTrain(array([1.25]) * s, [0.0 s, 2.0 s])>
	// 7 <SpikeTrain(array([0.5 , 0.75]) * s, [0.0 s, 2.0 s])>
}
