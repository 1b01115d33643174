package spike

import (
	"fmt"

	"github.com/parade-go/parade/unit"
)

// ReadOptions are the choices of ReadFile.
type ReadOptions struct {
	// Unit is the unit of the times, required where the file does not say it.
	Unit unit.Unit
	// TStart is the beginning of every train; unset is 0.
	TStart unit.Time
	// TStop is the end of every train; unset is the last spike of the file.
	TStop unit.Time
}

// FileError says what is wrong in which row of a file.
type FileError struct {
	Path string
	Row  int // from 1, the line of a CSV file; 0 where no one row is to blame
	Err  error
}

// Error gives path, row and reason.
func (e *FileError) Error() string {
	if e.Row > 0 {
		return fmt.Sprintf("spike: %s: row %d: %v", e.Path, e.Row, e.Err)
	}
	return fmt.Sprintf("spike: %s: %v", e.Path, e.Err)
}

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// ReadFile reads spike trains from a .csv or .npy file.
func ReadFile(path string, opts ReadOptions) ([]Train, error) {
	return nil, &FileError{Path: path, Err: ErrFormat}
}
