package linalg

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// EnvThreads is the environment variable for what SetThreads sets in a program. It
// also holds in worker processes, which inherit it. 0 stands for all cores.
const EnvThreads = "PARADE_LINALG_THREADS"

// wish is the number of threads asked for: 0 for nothing asked, which is 1.
var wish atomic.Int64

// SetThreads sets how many threads a call may use, in place of one; n below 1 stands for
// all the cores granted. It goes before PARADE_LINALG_THREADS. Fewer are used where
// workers share the cores. Results then differ in their last bits between numbers of
// threads, and so between executors. gonum's back end has no such number: it uses
// GOMAXPROCS goroutines, which leave the bits alone.
func SetThreads(n int) {
	if n < 1 {
		n = allCores
	}
	wish.Store(int64(n))
}

const allCores = 1 << 30

// threadsFromEnv takes over what the user asks for, unless the program has said.
func threadsFromEnv() error {
	text := os.Getenv(EnvThreads)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return fmt.Errorf("linalg: %s=%s: %w: it must be a number of threads, or 0 for all cores", EnvThreads, text, ErrBackend)
	}
	if n == 0 {
		n = allCores
	}
	wish.CompareAndSwap(0, int64(n))
	return nil
}
