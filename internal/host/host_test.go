package host_test

import (
	"fmt"

	"github.com/parade-go/parade/internal/host"
)

func ExampleName() {
	fmt.Println(host.Name() != "")
	// Output: true
}
