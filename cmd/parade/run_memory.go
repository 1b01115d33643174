package main

import (
	"fmt"
	"os"

	"github.com/parade-go/parade/command"
)

// memory is what a run leaves for the next: a joblog and a journal.
type memory struct{}

func (o *runOptions) checkRemembered() error { return nil }

func (o *runOptions) remember(command.Spec) (*memory, error) { return &memory{}, nil }

func (m *memory) skip(command.Input) bool      { return false }
func (m *memory) record(*command.Result) error { return nil }
func (m *memory) close() error                 { return nil }

// haltedError says that --halt has ended a run.
type haltedError struct {
	text    string
	success bool // the run has what it was for
}

func (e *haltedError) Error() string { return e.text }

// spill makes the folder for outputs that do not fit in memory, within that of the
// results if there is one, so that they need not be copied.
func (o *runOptions) spill() (string, error) {
	if o.lineBuffer || o.ungroup {
		return "", nil
	}
	parent := ""
	if o.resultsDir != nil {
		parent = o.resultsDir.dir
	}
	dir, err := os.MkdirTemp(parent, ".parade-")
	if err != nil {
		return "", fmt.Errorf("there is no place for what the commands print: %w", err)
	}
	return dir, nil
}

func (o *runOptions) removeSpill(dir string) {
	if dir != "" {
		os.RemoveAll(dir) // what is left is in the system's temporary folder
	}
}
