package spike_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parade-go/parade/spike"
	"github.com/parade-go/parade/unit"
)

// A folder of Kilosort has sample numbers, and the rate of them in params.py.
func ExampleReadFile_kilosort() {
	trains, err := spike.ReadFile("testdata/files/kilosort2", spike.ReadOptions{
		Labels: []string{"good"}, Unit: unit.Millisecond, TStop: unit.Seconds(4),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, train := range trains {
		fmt.Println(train.Name, train)
	}
	// Output:
	// 0 <SpikeTrain(array([3333.3]) * ms, [0.0 ms, 4000.0 ms])>
	// 10 <SpikeTrain(array([1.00000000e+00, 3.33333333e+03]) * ms, [0.0 ms, 4000.0 ms])>
}

func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "spikes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "trains.json")
	train := spike.Train{Name: "3", Times: []float64{1.5, 2}, Unit: unit.Millisecond, TStop: 10}
	if err := spike.WriteFile(path, []spike.Train{train}); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(text))
	trains, err := spike.ReadFile(path, spike.ReadOptions{})
	fmt.Println(trains, err)
	// Output:
	// [
	// {"name": "3", "units": "ms", "t_start": 0.0, "t_stop": 10.0, "times": [1.5, 2.0]}
	// ]
	// [<SpikeTrain(array([1.5, 2. ]) * ms, [0.0 ms, 10.0 ms])>] <nil>
}
