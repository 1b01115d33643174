// Package host names the machine that this process runs on.
//
//	fmt.Println(host.Name()) // lab7
package host

import (
	"os"
	"sync"
)

// Name is the name of the machine, or "localhost" where the system does not tell.
func Name() string { return name() }

var name = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
})
