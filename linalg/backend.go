package linalg

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// EnvBackend is the environment variable that chooses the back end: openblas,
// mkl, blis, lapack, accelerate, gonum, or the path of a library. Unset or empty
// means the first that is found, in this order (on macOS accelerate first).
const EnvBackend = "PARADE_LINALG"

// BackendInfo says which library does the work, and why.
type BackendInfo struct {
	Name        string    // OpenBLAS, Intel MKL, BLIS, LAPACK, Accelerate or gonum
	Version     string    // as the library tells it, "" if it does not
	Build       string    // what else the library tells about itself
	Library     string    // path of the shared library, "" for gonum
	IntegerBits int       // width of its integers, 32 or 64: beyond 2³¹ elements of work space 64 are needed
	Threads     int       // threads that a call made now would use
	Reason      string    // why this one
	Tried       []Attempt // what was looked for before it and not found
}

// Attempt is a library that could not be used.
type Attempt struct {
	Name    string // as in PARADE_LINALG
	Library string // what the system's loader was asked for
	Error   string
}

// String gives one line: name, version, library, integers and threads.
func (b BackendInfo) String() string {
	text := b.Name
	if b.Version != "" {
		text += " " + b.Version
	}
	var about []string
	if b.Library != "" {
		about = append(about, filepath.Base(b.Library))
	}
	threads := "1 thread"
	if b.Threads != 1 {
		threads = fmt.Sprintf("%d threads", b.Threads)
	}
	about = append(about, fmt.Sprintf("%d-bit integers", b.IntegerBits), threads)
	return text + " (" + strings.Join(about, ", ") + ")"
}

// Backend returns what does the work, and loads it if this has not happened yet.
// The error, which wraps ErrBackend, is that of every other call: PARADE_LINALG
// asks for what is not there. What was tried is then there, too.
func Backend() (BackendInfo, error) {
	e, err := loaded()
	if err != nil {
		return BackendInfo{Tried: choice().tried}, err
	}
	info := e.info()
	info.Reason, info.Tried = choice().reason, choice().tried
	return info, nil
}

// engine is an implementation of LAPACK. Matrices are row-major without gaps and
// have elements; m is overwritten.
type engine interface {
	// svd fills u, s and vt, of the shapes that how asks for.
	svd(how extent, m, u matrix, s []float64, vt matrix) error
	// eigen fills wr, wi and, unless it has no elements, v as dgeev does.
	eigen(m matrix, wr, wi []float64, v matrix) error
	// eigenSym fills w and, with vectors, puts the vectors into the columns of m.
	eigenSym(m matrix, w []float64, vectors bool) error
	// qr puts R into the upper triangle of m and as many columns of Q into q as it has.
	qr(m, q matrix) error
	// cholesky puts L into the lower triangle of m.
	cholesky(m matrix) error
	// solve replaces b by the solution.
	solve(m, b matrix) error
	info() BackendInfo
}

// library is a back end that may be on this machine.
type library struct {
	name  string   // as in PARADE_LINALG
	files []string // the LAPACK, for the system's loader: the first that loads is used
	blas  []string // of which one is loaded before, and overrides the LAPACK's own choice
	needs []string // loaded before if there, as what the LAPACK asks for by the same name
}

// chosen is the outcome of looking for a back end.
type chosen struct {
	engine engine
	reason string
	tried  []Attempt
	err    error
}

// choice looks for the back end once, when it is first needed.
var choice = sync.OnceValue(func() chosen {
	c := choose(os.Getenv(EnvBackend))
	if err := threadsFromEnv(); err != nil {
		return chosen{err: err, tried: c.tried}
	}
	return c
})

func loaded() (engine, error) {
	c := choice()
	return c.engine, c.err
}

const gonumName = "gonum"

func choose(asked string) chosen {
	var c chosen
	var try []library
	switch {
	case asked == gonumName:
		return chosen{engine: pure{}, reason: EnvBackend + "=" + asked}
	case asked == "":
		try = libraries()
	case strings.ContainsAny(asked, "/."):
		try = []library{{name: "path", files: []string{asked}}}
	default:
		for _, l := range libraries() {
			if l.name == asked {
				try = append(try, l)
			}
		}
		if try == nil {
			c.err = fmt.Errorf("linalg: %s=%s: %w: %s", EnvBackend, asked, ErrBackend, fix())
			return c
		}
	}
	for _, l := range try {
		for _, file := range l.files {
			e, err := open(l, file)
			if err != nil {
				c.tried = append(c.tried, Attempt{Name: l.name, Library: file, Error: err.Error()})
				continue
			}
			c.engine, c.reason = e, "the first that was found"
			if asked != "" {
				c.reason = EnvBackend + "=" + asked
			}
			return c
		}
	}
	if asked != "" {
		var causes []string
		for _, t := range c.tried {
			causes = append(causes, t.Error)
		}
		c.err = fmt.Errorf("linalg: %s=%s: %w: %s; %s", EnvBackend, asked, ErrBackend, strings.Join(causes, "; "), fix())
		return c
	}
	c.engine, c.reason = pure{}, "no LAPACK library was found"
	if len(try) == 0 {
		c.reason = "this program was built without others"
	}
	return c
}

// fix says what to put into PARADE_LINALG instead.
func fix() string {
	var names []string
	for _, l := range libraries() {
		names = append(names, l.name)
	}
	if len(names) == 0 {
		return "this program was built with gonum only; unset " + EnvBackend
	}
	return "use one of " + strings.Join(append(names, gonumName), ", ") + " or the path of a library, install it, or unset " + EnvBackend
}
