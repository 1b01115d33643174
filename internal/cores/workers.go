package cores

import "sync/atomic"

var workers atomic.Int64

// AddWorkers says that n more workers of this process compute at a time from now on,
// or with a negative n fewer. Libraries with threads of their own then take their share
// of the cores only.
func AddWorkers(n int) { workers.Add(int64(n)) }

// Workers returns how many workers of this process compute at a time: at least 1, the
// caller.
func Workers() int { return int(max(1, workers.Load())) }
