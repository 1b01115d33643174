//go:build !static && ((linux && !android) || darwin) && (amd64 || arm64)

package linalg

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// libraries returns the back ends in the order in which they are tried. Those that
// bring their own LAPACK come before those for which another's is loaded.
func libraries() []library {
	if runtime.GOOS == "darwin" {
		const brew = "/opt/homebrew/opt/openblas/lib/"
		return []library{
			{name: "accelerate", files: []string{"/System/Library/Frameworks/Accelerate.framework/Accelerate"}},
			{name: "openblas", files: []string{"libopenblas.dylib", brew + "libopenblas.dylib"}},
			{name: "mkl", files: []string{"libmkl_rt.dylib", "libmkl_rt.2.dylib"}},
			{name: "blis", files: []string{"liblapack.dylib"}, blas: []string{"libblis.4.dylib", "libblis.dylib"}},
			{name: "lapack", files: []string{"liblapack.dylib"}},
		}
	}
	// Debian's alternatives may put OpenBLAS under the names of the reference
	// libraries, which it keeps in directories of their own.
	debian := "/usr/lib/" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux-gnu/"
	lapack := []string{debian + "lapack/liblapack.so.3", "liblapack.so.3", "liblapack.so"}
	return []library{
		{name: "openblas", files: []string{"libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0", "libopenblas64_.so.0"}},
		{name: "mkl", files: []string{"libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so"}},
		{name: "blis", files: lapack, blas: []string{"libblis.so.4", "libblis.so"}},
		{name: "lapack", files: lapack, needs: []string{debian + "blas/libblas.so.3"}},
	}
}

// native is LAPACK in a shared library. Fortran's matrices are column-major: to it,
// a row-major matrix is its transpose.
type native struct {
	about BackendInfo
	gate  *gate
	max   int64 // largest integer of the library
	routines
}

// handles are loaded libraries, searched in order, each with those it depends on.
type handles []uintptr

func (h handles) find(names ...string) (address uintptr) {
	for _, handle := range h {
		for _, name := range names {
			if address, err := purego.Dlsym(handle, name); err == nil {
				return address
			}
		}
	}
	return 0
}

type spelling struct{ prefix, suffix string }

func (s spelling) of(name string) string { return s.prefix + name + s.suffix }

// spellings are the ways in which libraries decorate Fortran's names, and by which
// those with 64-bit integers can be told from others in one process.
var spellings = []spelling{
	{"", "$NEWLAPACK"}, // Accelerate's present LAPACK; its plain names are version 3.2
	{"", "_"},
	{"", "_64_"},
	{"scipy_", "_64_"}, // the OpenBLAS in pip's NumPy
	{"scipy_", "_"},    // and in SciPy
}

// open loads a library and finds out what it is.
func open(l library, file string) (engine, error) {
	// MKL uses the library of mathematics without asking for it: a C program has it.
	_, _ = openFirst([]string{"libm.so.6", "libm.so"})
	var all handles
	for _, name := range l.needs {
		// Where it does not exist, what the library itself asks for is loaded.
		_, _ = purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	}
	if len(l.blas) > 0 {
		blas, err := openFirst(l.blas)
		if err != nil {
			return nil, err
		}
		all = append(all, blas)
	}
	handle, err := purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	all = append(all, handle)

	i := slices.IndexFunc(spellings, func(s spelling) bool { return all.find(s.of("dgesdd")) != 0 })
	if i < 0 {
		return nil, fmt.Errorf("%s has no dgesdd: it is no LAPACK library", file)
	}
	spelling := spellings[i]
	e := &native{max: math.MaxInt32, about: BackendInfo{Library: cmp.Or(fileOf(all.find(spelling.of("dgesdd"))), file), IntegerBits: 32}}
	for name, fn := range e.byName() {
		if !all.function(fn, spelling.of(name)) {
			return nil, fmt.Errorf("%s has no %s, which is part of LAPACK", file, name)
		}
	}
	var idamax func(n *int64, x *float64, step *int64) int32
	if all.function(&idamax, spelling.of("idamax")) && wideIntegers(idamax) {
		e.max, e.about.IntegerBits = math.MaxInt64, 64
	}
	e.gate = all.identify(&e.about)
	return e, nil
}

// openFirst loads the first of the files for all libraries loaded later, whose own
// choice of a BLAS it overrides.
func openFirst(files []string) (handle uintptr, err error) {
	var failures []string
	for _, file := range files {
		handle, err := purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err == nil {
			return handle, nil
		}
		failures = append(failures, err.Error())
	}
	return 0, errors.New(strings.Join(failures, "; "))
}

// wideIntegers finds the width of a library's integers with a length that is 3 in 32
// bits and negative in 64: then idamax, the index of the largest element, is 0.
func wideIntegers(idamax func(n *int64, x *float64, step *int64) int32) bool {
	n, step := int64(-1<<32|3), int64(1)
	return idamax(&n, unsafe.SliceData([]float64{1, 2, 3}), &step) == 0
}

// fileOf returns the path of the library that holds an address.
func fileOf(address uintptr) string {
	var found struct { // Dl_info
		file    *byte
		base    uintptr
		name    *byte
		address uintptr
	}
	var dladdr func(address uintptr, info unsafe.Pointer) int32
	if !(handles{purego.RTLD_DEFAULT}).function(&dladdr, "dladdr") || dladdr(address, unsafe.Pointer(&found)) == 0 || found.file == nil {
		return ""
	}
	path := unix.BytePtrToString(found.file)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// function binds the first of the names that exists to fn, a pointer to a function
// variable.
func (h handles) function(fn any, names ...string) bool {
	address := h.find(names...)
	if address == 0 {
		return false
	}
	purego.RegisterFunc(fn, address)
	return true
}

// identify asks the library what it is and returns how its threads are set.
func (h handles) identify(about *BackendInfo) *gate {
	openblas := func(name string) []string {
		return []string{"openblas_" + name, "openblas_" + name + "64_", "scipy_openblas_" + name + "64_", "scipy_openblas_" + name}
	}
	var (
		text       func() string
		number     func() int32
		setLibrary func(int32)
		setThread  func(int32)
		setLong    func(int)
		describe   func(*byte, int32)
		version    func(major, minor, patch *int64)
	)
	switch {
	// BLIS comes first: it was loaded on purpose, and the LAPACK may depend on
	// another BLAS that is not used.
	case h.function(&text, "bli_info_get_version_str"):
		about.Name, about.Version = "BLIS", text()
		if blas := fileOf(h.find("bli_info_get_version_str")); blas != about.Library {
			about.Build = "BLAS in " + blas
		}
		if h.function(&setLong, "bli_thread_set_num_threads") {
			// Of the whole process in BLIS, of the calling thread in AMD's.
			return newGate("BLIS_NUM_THREADS", setLong, setLong)
		}
	case h.function(&text, openblas("get_config")...):
		about.Name, about.Build = "OpenBLAS", text()
		if words := strings.Fields(about.Build); len(words) > 1 && words[0] == about.Name {
			about.Version = words[1]
		}
		if h.function(&setLibrary, openblas("set_num_threads")...) {
			set := func(n int) { setLibrary(int32(n)) }
			const openMP = 2
			if h.function(&number, openblas("get_parallel")...) && number() == openMP && h.function(&setThread, "omp_set_num_threads") {
				return newGate("OPENBLAS_NUM_THREADS", set, func(n int) { setThread(int32(n)) })
			}
			return newGate("OPENBLAS_NUM_THREADS", set, nil)
		}
	case h.function(&describe, "mkl_get_version_string", "MKL_Get_Version_String"):
		about.Name = "Intel MKL"
		text := make([]byte, 200)
		describe(&text[0], int32(len(text)))
		about.Build = strings.TrimSpace(unix.ByteSliceToString(text))
		if words := strings.Fields(about.Build); slices.Contains(words, "Version") {
			about.Version = words[slices.Index(words, "Version")+1]
		}
		h.layersOfMKL(about)
		if h.function(&setLibrary, "MKL_Set_Num_Threads") {
			return newGate("MKL_NUM_THREADS", func(n int) { setLibrary(int32(n)) }, nil)
		}
	case strings.Contains(about.Library, "Accelerate.framework"):
		about.Name = "Accelerate"
		var set func(int)
		if h.function(&setLibrary, "BLASSetThreading") { // since macOS 15
			const many, single = 0, 1
			set = func(n int) {
				if n > 1 {
					setLibrary(many)
				} else {
					setLibrary(single)
				}
			}
		}
		return newGate("VECLIB_MAXIMUM_THREADS", set, nil)
	default:
		about.Name = "LAPACK"
		if h.function(&setThread, "omp_set_num_threads") {
			return newGate("OMP_NUM_THREADS", nil, func(n int) { setThread(int32(n)) })
		}
		if h.function(&version, "ilaver_", "ilaver_64_") {
			var v [3]int64
			version(&v[0], &v[1], &v[2])
			about.Version = fmt.Sprintf("%d.%d.%d", int32(v[0]), int32(v[1]), int32(v[2]))
		}
	}
	// It has one thread, or cannot be told.
	return newGate("", nil, nil)
}

// layersOfMKL fixes what libmkl_rt would read from the environment at its first call.
func (h handles) layersOfMKL(about *BackendInfo) {
	var set func(int32) int32
	const narrow, sequential = 0, 1
	if h.function(&set, "MKL_Set_Interface_Layer") {
		set(narrow)
	}
	if os.Getenv("MKL_THREADING_LAYER") != "" || !h.function(&set, "MKL_Set_Threading_Layer") {
		return
	}
	// Without Intel's OpenMP the default layer would end the process.
	name := "libiomp5.so"
	if runtime.GOOS == "darwin" {
		name = "libiomp5.dylib"
	}
	if _, err := openFirst([]string{filepath.Join(filepath.Dir(about.Library), name), name}); err != nil {
		set(sequential)
		about.Build += ", one thread: " + err.Error()
	}
}
