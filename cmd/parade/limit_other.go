//go:build !unix

package main

// openFileLimit is how many files this process may have open.
func openFileLimit() (limit uint64, ok bool) { return 0, false }
