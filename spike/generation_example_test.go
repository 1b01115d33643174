package spike_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/parade-go/parade/mt19937"
	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func ExamplePoissonProcess_refractoryPeriod() {
	process := spike.PoissonProcess{Rate: unit.Hz(50), TStart: unit.Seconds(5), TStop: unit.Seconds(105), RefractoryPeriod: unit.Milliseconds(4)}
	cv, err := process.ExpectedCV()
	if err != nil {
		fmt.Println(err)
		return
	}
	train, err := process.Train(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	shortest := math.Inf(1)
	for i := 1; i < len(train.Times); i++ {
		shortest = min(shortest, train.Times[i]-train.Times[i-1])
	}
	fmt.Printf("%d spikes, expected CV %.2f, no interval below 4 ms: %t\n", len(train.Times), cv, shortest >= 0.004)
	// Output: 5032 spikes, expected CV 0.80, no interval below 4 ms: true
}

// The train of Elephant after numpy.random.seed(28).
func ExamplePoissonProcess_Train() {
	process := spike.PoissonProcess{Rate: unit.Hz(5), TStop: unit.Seconds(1)}
	train, err := process.Train(mt19937.New(28))
	fmt.Println(train, err)
	// Output: <SpikeTrain(array([0.26113743, 0.4258978 , 0.45259655, 0.55396074, 0.85797911]) * s, [0.0 s, 1.0 s])> <nil>
}

func ExampleRateModulatedPoisson() {
	rate := spike.AnalogSignal{Samples: []float64{5, 0, 50, 20}, Channels: 1, Unit: unit.Hertz, TStart: unit.Seconds(0), SamplingRate: unit.Hz(1)}
	train, err := spike.RateModulatedPoisson{Rate: rate}.Train(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		fmt.Println(err)
		return
	}
	hist, err := spike.TimeHistogram([]spike.Train{train}, unit.Seconds(1), spike.HistogramOptions{})
	fmt.Println(hist.Samples, err)
	// Output: [5 0 63 20] <nil>
}

func ExampleSurrogate() {
	train := spike.Train{Times: []float64{100, 250, 600, 800}, Unit: unit.Millisecond, TStop: 1000}
	shuffle := spike.Surrogate{Method: spike.ShuffleISIs}
	surrogates, err := shuffle.Trains(rand.New(rand.NewPCG(1, 2)), train, 2)
	for _, s := range surrogates {
		fmt.Println(s)
	}
	fmt.Println(err)
	// Output:
	// <SpikeTrain(array([350., 550., 700., 800.]) * ms, [0.0 ms, 1000.0 ms])>
	// <SpikeTrain(array([150., 350., 450., 800.]) * ms, [0.0 ms, 1000.0 ms])>
	// <nil>
}

// The surrogate of Elephant after numpy.random.seed(28).
func ExampleSurrogate_Train() {
	train := spike.Train{Times: []float64{100, 250, 600, 800}, Unit: unit.Millisecond, TStop: 1000}
	dither := spike.Surrogate{Method: spike.DitherSpikes, Dither: unit.Milliseconds(20)}
	surrogate, err := dither.Train(mt19937.New(28), train)
	fmt.Println(surrogate, err)
	// Output: <SpikeTrain(array([109.16054969, 252.44958409, 584.99868368, 795.90369475]) * ms, [0.0 ms, 1000.0 ms])> <nil>
}
