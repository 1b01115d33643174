//go:build !unix

package wholefile

// running says whether there is a process of that number, as far as it can be told.
func running(int) bool { return true }
