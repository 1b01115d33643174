package unit_test

import (
	"fmt"

	"github.com/parade-go/parade/unit"
)

func ExampleParseTime() {
	bin, err := unit.ParseTime("100 ms")
	fmt.Println(bin, err)
	_, err = unit.ParseTime("100")
	fmt.Println(err)
	// Output:
	// 100.0 ms <nil>
	// unit: wrong dimension: "100" is not a time: it has no unit (want a number and one of s, ms, us, ns, ps, min, h, d, such as "100 ms")
}

func ExampleParseRate() {
	rate, err := unit.ParseRate("8.9 1/s")
	fmt.Println(rate, err)
	// Output: 8.9 1/s <nil>
}

func ExampleTime_In() {
	t, err := unit.Milliseconds(700).In(unit.Second)
	fmt.Println(t, err)
	// Output: 0.7000000000000001 s <nil>
}

func ExampleRate_Inverse() {
	fmt.Println(unit.Hz(20).Inverse(), unit.Milliseconds(5).Inverse())
	// Output: 0.05 s 0.2 1/ms
}
