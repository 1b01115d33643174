package parade

import (
	"fmt"
	"time"
)

// Option sets one thing about one call of [Map], [Stream] or [Go].
type Option interface {
	StreamOption
	forJob()
}

// StreamOption is an [Option] that only [Stream] takes, or any Option.
type StreamOption interface {
	apply(*settings)
}

type option func(*settings)

func (o option) apply(s *settings) { o(s) }
func (o option) forJob()           {}

type streamOption func(*settings)

func (o streamOption) apply(s *settings) { o(s) }

// settings is what the options of one call come to.
type settings struct {
	workers   int // 0: all
	batch     int // 0: automatic
	retries   int
	timeout   time.Duration
	maxFailed int // stop when so many failed; 0: never
	crashes   int
	seed      uint64
	unordered bool
	items     int
	bytes     int64
	progress  func(Progress)
	every     time.Duration
	report    *Report
	journal   string // path; "": none
	values    []*namedValue
	onTask    func(TaskInfo)
	capture   bool
	err       error // the first option that makes no sense
}

func settingsOf[O StreamOption](opts []O) (settings, error) {
	s := settings{maxFailed: 1, crashes: 3, bytes: 64 << 20}
	for i, o := range opts {
		if any(o) == nil {
			s.refuse("option %d is nil; leave it out", i)
			break
		}
		o.apply(&s)
	}
	if s.capture && s.onTask == nil {
		s.refuse("CaptureOutput: there is nobody to give the output to; add parade.OnTask, or use MapAsync")
	}
	return s, s.err
}

func (s *settings) refuse(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("parade: "+format, args...)
	}
}

// Workers lets the call use at most n of the executor's workers.
func Workers(n int) Option {
	return option(func(s *settings) {
		if n < 1 {
			s.refuse("Workers(%d): a call needs at least one worker", n)
		}
		s.workers = n
	})
}

// BatchSize sends tasks to workers n at a time. Without it the size adapts to
// the measured time of a task: about a millisecond's worth per batch.
func BatchSize(n int) Option {
	return option(func(s *settings) {
		if n < 1 || n > maxBatchTasks {
			s.refuse("BatchSize(%d): a batch has 1 to %d tasks", n, maxBatchTasks)
		}
		s.batch = n
	})
}

// Retries runs a task that failed up to n more times. By default it is not
// run again. A task whose worker was lost always is: see [Crashes].
func Retries(n int) Option {
	return option(func(s *settings) {
		if n < 0 {
			s.refuse("Retries(%d): give 0 or more", n)
		}
		s.retries = n
	})
}

// Timeout bounds the time of each task. At the deadline the task's context
// ends; if the function does not return soon after, a worker process is
// replaced, while on threads, which nothing can stop, the goroutine is left
// behind. On serial the function must watch its context.
func Timeout(d time.Duration) Option {
	return option(func(s *settings) {
		if d <= 0 {
			s.refuse("Timeout(%v): give a positive duration", d)
		}
		s.timeout = d
	})
}

// StopAfter stops the call when n tasks have failed. The default is
// StopAfter(1). Results computed until then are returned.
func StopAfter(n int) Option {
	return option(func(s *settings) {
		if n < 1 {
			s.refuse("StopAfter(%d): give 1 or more, or use CollectErrors", n)
		}
		s.maxFailed = n
	})
}

// CollectErrors runs every task whatever fails, and reports all failures at
// the end.
func CollectErrors() Option { return option(func(s *settings) { s.maxFailed = 0 }) }

// Crashes sets how many workers one input may cost before it is set aside as
// failed with [ErrWorkerLost]. The default is 3.
func Crashes(n int) Option {
	return option(func(s *settings) {
		if n < 1 {
			s.refuse("Crashes(%d): give 1 or more", n)
		}
		s.crashes = n
	})
}

// Seed sets the seed of the tasks' random streams; see [Rand]. The default is 0.
func Seed(seed uint64) Option { return option(func(s *settings) { s.seed = seed }) }

// OnProgress has f called at the start, about every tenth of a second while
// the call runs, and at its end, one call at a time. f must not block.
func OnProgress(f func(Progress)) Option {
	return option(func(s *settings) { s.progress, s.every = f, 100*time.Millisecond })
}

// WithReport fills r with an account of the call when it ends.
func WithReport(r *Report) Option { return option(func(s *settings) { s.report = r }) }

// Unordered yields results as they are completed instead of in input order.
func Unordered() StreamOption { return streamOption(func(s *settings) { s.unordered = true }) }

// InFlight bounds what a stream holds: inputs read whose results have not
// been taken yet, counted in items and in encoded bytes. One item is always
// allowed. The defaults are 64 Ki items and 64 MiB.
func InFlight(items int, bytes int64) StreamOption {
	return streamOption(func(s *settings) {
		if items < 1 || bytes < 1 {
			s.refuse("InFlight(%d, %d): give at least one item and one byte", items, bytes)
		}
		s.items, s.bytes = items, bytes
	})
}
