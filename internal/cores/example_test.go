package cores_test

import (
	"fmt"
	"strings"

	"github.com/parade-go/parade/internal/cores"
)

func Example() {
	workers := cores.Granted()
	threads := cores.InnerThreads(workers)
	name, _, _ := strings.Cut(cores.ThreadEnv(threads)[0], "=")
	fmt.Println(workers*threads <= cores.Granted(), name)
	// Output: true GOMAXPROCS
}
