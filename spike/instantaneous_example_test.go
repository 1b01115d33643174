package spike_test

import (
	"fmt"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

func ExampleKernel() {
	kernel := spike.GaussianKernel(unit.Milliseconds(300))
	density, err := kernel.Density([]float64{-1, 0, 1}, unit.Second)
	fmt.Printf("%v: %.4f %v\n", kernel, density, err)

	area, err := kernel.CDF(unit.Seconds(0.3))
	fmt.Printf("%.4f %v\n", area, err)

	median, err := spike.AlphaKernel(unit.Seconds(1)).ICDF(0.5)
	fmt.Printf("%.4f %v %v\n", median.Value, median.Unit, err)
	// Output:
	// GaussianKernel(sigma=300.0 ms, invert=False): [0.0051 1.3298 0.0051] <nil>
	// 0.8413 <nil>
	// 1.1868 s <nil>
}

func ExampleInstantaneousRate() {
	train := spike.Train{Times: []float64{0}, Unit: unit.Second, TStop: 1}
	rate, err := spike.InstantaneousRate([]spike.Train{train}, unit.Milliseconds(200), spike.GaussianKernel(unit.Milliseconds(300)),
		spike.InstantaneousRateOptions{TStart: unit.Seconds(-1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rate)
	// Output:
	// <AnalogSignal(array([[0.01007419],
	//        [0.05842767],
	//        [0.22928759],
	//        [0.60883028],
	//        [1.0938699 ],
	//        [1.3298076 ],
	//        [1.0938699 ],
	//        [0.60883028],
	//        [0.22928759],
	//        [0.05842767]]) * Hz, [-1.0 s, 1.0 s], sampling rate: 0.005 1/ms)>
}

// The zero Kernel is found from the spikes.
func ExampleInstantaneousRate_auto() {
	train := spike.Train{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10}
	rate, err := spike.InstantaneousRate([]spike.Train{train}, unit.Milliseconds(10), spike.Kernel{}, spike.InstantaneousRateOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d samples, %v kernel of %.4f %v\n", rate.Len(), rate.Kernel.Shape, rate.Kernel.Sigma.Value, rate.Kernel.Sigma.Unit)
	// Output: 1000 samples, gaussian kernel of 7.2732 s
}

func ExampleOptimalKernelBandwidth() {
	train := spike.Train{Times: []float64{0.3, 4.5, 6.7, 9.3}, Unit: unit.Second, TStop: 10}
	best, err := spike.OptimalKernelBandwidth(train, spike.BandwidthOptions{Bandwidths: []float64{0.5, 1, 2, 4, 8}})
	fmt.Println(best.Sigma, err)
	// Output: 8.0 s <nil>
}
