package smooth

// WithoutVectors runs do without the loops in assembly, and tells whether there are any.
// No other goroutine may smooth at the time.
func WithoutVectors(do func()) bool {
	had := vectors
	vectors = false
	defer func() { vectors = had }()
	do()
	return had
}
