package command

import "time"

// WithNamedFiles runs f as on a file system that has no files without a name.
func WithNamedFiles(f func()) {
	defer withoutName.Store(withoutName.Load())
	withoutName.Store(false)
	f()
}

// Backoff is the pause after so many attempts.
func Backoff(first time.Duration, attempts int) time.Duration { return backoff(first, attempts) }
