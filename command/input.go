package command

import (
	"fmt"
	"io"
	"iter"
)

// Input is the arguments of one task. It is plain data and can be sent to another
// process.
type Input struct {
	// Seq is {#}, the number of the task from 1.
	Seq int
	// Args are {1}, {2} and so on: one of each source, or its columns.
	Args []string
}

// InputError says where an input is that cannot be used. It wraps ErrInput or an
// error of package os or io.
type InputError struct {
	Source string // a path, "standard input" or "arguments"
	Line   int    // the line, or the item where NUL separates them, from 1; 0 where no one is to blame
	Err    error
}

// Error gives source, line and reason.
func (e *InputError) Error() string {
	return fmt.Sprintf("command: %s: line %d: %s", e.Source, e.Line, e.Err)
}

// Unwrap gives the reason.
func (e *InputError) Unwrap() error { return e.Err }

// Format says how a source is divided into inputs. The zero Format is one argument
// a line.
type Format struct {
	// Null says that items end with a NUL byte instead of a line feed: -0.
	Null bool
	// Colsep is a regular expression that divides an item into columns: --colsep.
	Colsep string
	// CSV says that the source is comma-separated values (RFC 4180): --csv. A
	// Colsep of one character then takes the comma's place.
	CSV bool
	// Header says that the first item names the columns: --header.
	Header bool
	// SkipEmpty leaves items out that are empty or blank: --no-run-if-empty.
	SkipEmpty bool
	// MaxItem is how many bytes an item may have; 0 is 1 MiB.
	MaxItem int
}

// Source is a list of inputs that is read as it is needed.
type Source struct {
	columns []string
}

// Words gives the words as items: ":::".
func Words(words []string, f Format) (*Source, error) { return nil, ErrInput }

// Open gives the items of a file, "-" being standard input: "::::".
func Open(path string, f Format) (*Source, error) { return nil, ErrInput }

// Read gives the items of a stream, which errors call name.
func Read(r io.Reader, name string, f Format) (*Source, error) { return nil, ErrInput }

// Glob gives the files that match the patterns, sorted: --glob.
func Glob(patterns ...string) *Source { return nil }

// Product gives all combinations of the sources' items, of which the last source's
// vary fastest.
func Product(sources ...*Source) *Source { return nil }

// Link gives the sources' items side by side: ":::+" and "::::+".
func Link(sources ...*Source) *Source { return nil }

// Shuffle gives the items in random order: --shuf. It holds all of them.
func (s *Source) Shuffle(seed uint64) *Source { return nil }

// Pack puts the arguments of n items into one input: -n and -N.
func (s *Source) Pack(n int) *Source { return nil }

// Columns gives the names of the arguments, "" for one without a name; nil where
// none has one.
func (s *Source) Columns() []string { return s.columns }

// Inputs numbers the items and gives them one by one. It ends with the first error,
// a *InputError.
func (s *Source) Inputs() iter.Seq2[Input, error] { return nil }
