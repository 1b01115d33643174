package command

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Input is the arguments of one task. It is plain data and can be sent to another
// process.
type Input struct {
	// Seq is {#}, the number of the task from 1.
	Seq int
	// Args are {1}, {2} and so on: one of each source, or its columns.
	Args []string
	// Fault, if not "", is why the task must not be started: it fails with that. See
	// [Distinct].
	Fault string
	// Done says that the task was done in an earlier run, so that it is only run where
	// its outputs are not whole any more. See [Journal.Todo].
	Done bool
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
	if e.Line == 0 {
		return fmt.Sprintf("command: %s: %s", e.Source, e.Err)
	}
	return fmt.Sprintf("command: %s: line %d: %s", e.Source, e.Line, e.Err)
}

// Unwrap gives the reason.
func (e *InputError) Unwrap() error { return e.Err }

// inputError makes an *InputError, of an error of package os without the path that
// it repeats.
func inputError(source string, line int, err error) error {
	if inner := (*os.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	return &InputError{Source: source, Line: line, Err: err}
}

func refuse(source string, line int, format string, args ...any) error {
	return inputError(source, line, fmt.Errorf("%w: "+format, append([]any{ErrInput}, args...)...))
}

// Source is a list of items that is read as it is needed, each one or several
// arguments. It may be gone through again, unless it is a stream; not at the same
// time by several goroutines.
type Source struct {
	name    string
	columns []string // nil without names
	width   int      // how many arguments an item has; 0 is not known
	stream  bool     // it can be gone through once only
	rows    rows
}

// rows gives the arguments of each item, ready to be kept, and ends with the
// first error.
type rows = iter.Seq2[[]string, error]

const arguments = "arguments"

// Words gives the words as items: ":::". Each is divided as the lines of a file
// would be.
func Words(words []string, f Format) (*Source, error) {
	d, err := f.divider()
	if err != nil {
		return nil, err
	}
	s := &Source{name: arguments}
	if f.Header {
		if len(words) == 0 {
			return nil, refuse(arguments, 0, "there is no first word to name the columns")
		}
		if s.columns, err = d.divide(words[0], arguments, 1); err != nil {
			return nil, err
		}
	}
	s.width = d.width(s.columns)
	s.rows = func(yield func([]string, error) bool) {
		for i, w := range words {
			if i == 0 && f.Header || f.SkipEmpty && blank(w) {
				continue
			}
			row, err := d.row(w, arguments, i+1, s.columns)
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
	return s, nil
}

// Glob gives the files that match the patterns of filepath.Match, those of each
// pattern sorted by their bytes: --glob. As in a shell, * and ? match no leading
// dot. It looks at once, holds all names, and a pattern that nothing matches is an
// error.
func Glob(patterns ...string) (*Source, error) {
	var names []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, refuse(p, 0, "it is no pattern: close the [")
		}
		found = slices.DeleteFunc(found, func(name string) bool { return hidden(name, p) })
		if len(found) == 0 {
			return nil, inputError(p, 0, fmt.Errorf("%w: %w: no file matches", ErrInput, os.ErrNotExist))
		}
		slices.Sort(found)
		names = append(names, found...)
	}
	return Words(names, Format{})
}

// hidden tells whether a part of a path begins with a dot that the pattern does
// not have.
func hidden(name, pattern string) bool {
	parts, wanted := strings.Split(filepath.ToSlash(name), "/"), strings.Split(filepath.ToSlash(pattern), "/")
	// Counted from the end: the pattern may have had // or ./ before.
	for i := 1; i <= min(len(parts), len(wanted)); i++ {
		part, want := parts[len(parts)-i], wanted[len(wanted)-i]
		if strings.HasPrefix(part, ".") && !strings.HasPrefix(strings.TrimPrefix(want, `\`), ".") {
			return true
		}
	}
	return false
}

// Product gives all combinations of the sources' items, of which the last source's
// vary fastest: several ":::". The first source is read once and never held.
// Others are gone through again for each of its items: files are read again, while
// streams, such as standard input, are held, so put these first.
func Product(sources ...*Source) *Source {
	if len(sources) == 1 {
		return sources[0]
	}
	p := combine(sources)
	p.rows = func(yield func([]string, error) bool) {
		if len(sources) == 0 {
			return
		}
		inner := make([]rows, len(sources))
		for i, s := range sources {
			inner[i] = s.rows
			if i == 0 || !s.stream {
				continue
			}
			held, err := s.hold()
			if err != nil {
				yield(nil, err)
				return
			}
			inner[i] = each(held)
		}
		var walk func(i int, args []string) bool
		walk = func(i int, args []string) bool {
			if i == len(inner) {
				return yield(args, nil)
			}
			for row, err := range inner[i] {
				if err != nil {
					yield(nil, err)
					return false
				}
				if !walk(i+1, append(slices.Clip(args), row...)) {
					return false
				}
			}
			return true
		}
		walk(0, nil)
	}
	return p
}

// Link gives the sources' items side by side: --link, ":::+" and "::::+". Sources of
// different lengths are an error: before the first item or, if one of them is a stream,
// after the items that all of them have. GNU parallel leaves out the rest in silence, and
// with --link takes the shorter again from its start.
func Link(sources ...*Source) *Source {
	if len(sources) == 1 {
		return sources[0]
	}
	l := combine(sources)
	l.rows = func(yield func([]string, error) bool) {
		if !l.stream {
			for _, err := range abreast(sources) {
				if err != nil {
					yield(nil, err)
					return
				}
			}
		}
		abreast(sources)(yield)
	}
	return l
}

// abreast goes through the sources at the same time.
func abreast(sources []*Source) rows {
	return func(yield func([]string, error) bool) {
		pulls := make([]func() ([]string, error, bool), len(sources))
		for i, s := range sources {
			next, stop := iter.Pull2(s.rows)
			defer stop()
			pulls[i] = next
		}
		counts := make([]int, len(sources))
		for {
			var args []string
			longer, shorter := false, false
			for i, next := range pulls {
				row, err, ok := next()
				switch {
				case err != nil:
					yield(nil, err)
					return
				case ok:
					counts[i]++
					longer = true
				default:
					shorter = true
				}
				args = append(args, row...)
			}
			if longer && shorter {
				yield(nil, lengths(sources, pulls, counts))
				return
			}
			if !longer || !yield(args, nil) {
				return
			}
		}
	}
}

// lengths is the error of linked sources that have so many items so far. It reads to
// the end what cannot block.
func lengths(sources []*Source, pulls []func() ([]string, error, bool), counts []int) error {
	longest, reached := 0, slices.Max(counts)
	parts := make([]string, len(sources))
	for i, s := range sources {
		atLeast := ""
		for {
			if s.stream && counts[i] == reached {
				atLeast = "at least "
				break
			}
			_, err, ok := pulls[i]()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			counts[i]++
		}
		if counts[i] > counts[longest] {
			longest = i
		}
		parts[i] = fmt.Sprintf("source %d (%s) has %s%d", i+1, s.name, atLeast, counts[i])
	}
	return refuse(sources[longest].name, 0, "linked sources have different lengths: %s", strings.Join(parts, ", "))
}

// combine makes a source of the columns of several, without rows yet.
func combine(sources []*Source) *Source {
	c := &Source{name: arguments}
	known := true
	for _, s := range sources {
		c.name = s.name
		c.stream = c.stream || s.stream
		if s.columns != nil && known {
			// Those before have a width, and may have no names.
			c.columns = append(c.columns, make([]string, c.width-len(c.columns))...)
			c.columns = append(c.columns, s.columns...)
		}
		known = known && s.width > 0
		c.width += s.width
	}
	if !known {
		c.width = 0
	}
	return c
}

// hold reads all items.
func (s *Source) hold() ([][]string, error) {
	var held [][]string
	for row, err := range s.rows {
		if err != nil {
			return nil, err
		}
		held = append(held, row)
	}
	return held, nil
}

func each(held [][]string) rows {
	return func(yield func([]string, error) bool) {
		for _, row := range held {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// Shuffle gives the items in random order, the same for the same seed: --shuf. It
// reads and holds all of them before it gives the first.
func (s *Source) Shuffle(seed uint64) *Source {
	shuffled := *s
	shuffled.rows = func(yield func([]string, error) bool) {
		held, err := s.hold()
		if err != nil {
			yield(nil, err)
			return
		}
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		each(held)(yield)
	}
	return &shuffled
}

// Pack puts the arguments of n items, or of what is left at the end, one after
// another into one: -n and -N. Columns then name those of the first item. 0 leaves all
// arguments out: as many items, each without any. 1 changes nothing.
func (s *Source) Pack(n int) *Source {
	if n == 1 || n < 0 {
		return s
	}
	packed := *s
	if n == 0 {
		packed.rows = func(yield func([]string, error) bool) {
			for _, err := range s.rows {
				if !yield(nil, err) || err != nil {
					return
				}
			}
		}
		return &packed
	}
	packed.width *= n
	packed.rows = func(yield func([]string, error) bool) {
		var args []string
		count := 0
		for row, err := range s.rows {
			if err != nil {
				yield(nil, err)
				return
			}
			args = append(args, row...)
			if count++; count == n {
				if !yield(args, nil) {
					return
				}
				args, count = nil, 0
			}
		}
		if count > 0 {
			yield(args, nil)
		}
	}
	return &packed
}

// Columns gives the names of the arguments for ParseTemplate, "" for one without
// a name; nil where none has one. In a product or link, sources with names belong
// before those whose number of columns only their items tell.
func (s *Source) Columns() []string { return slices.Clone(s.columns) }

// Inputs numbers the items and gives them one by one. It ends with the first
// error, an *InputError. A stream that is slow blocks it: what waits for standard
// input cannot be stopped from outside.
func (s *Source) Inputs() iter.Seq2[Input, error] {
	return func(yield func(Input, error) bool) {
		n := 0
		for row, err := range s.rows {
			if err != nil {
				yield(Input{}, err)
				return
			}
			n++
			if !yield(Input{Seq: n, Args: row}, nil) {
				return
			}
		}
	}
}
