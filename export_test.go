package parade

// ForgetEndedCalls makes the next calls with a journal be like those of a new process.
func ForgetEndedCalls() {
	endedCalls.Lock()
	defer endedCalls.Unlock()
	clear(endedCalls.n)
}

// SetExecutableSum pretends that this program is another build.
func SetExecutableSum(sum string) (restore func()) {
	old := executableSum
	executableSum = func() (string, error) { return sum, nil }
	return func() { executableSum = old }
}
