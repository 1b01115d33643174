//go:build !static && ((linux && !android) || darwin) && (amd64 || arm64)

package mpi

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// load finds the MPI library that suits how this process was started.
func load(l launch) (*library, error) {
	files, chosen := candidates(l.suits, runtime.GOOS), false
	if file := os.Getenv(EnvLibrary); file != "" {
		files, chosen = []string{file}, true
	}
	missing := &LibraryError{Launcher: l.by, Named: chosen}
	for _, file := range files {
		lib, err := open(file)
		if err == nil && !chosen && l.suits != 0 && lib.maker != 0 && lib.maker != l.suits {
			err = fmt.Errorf("it is %s, whose processes %s cannot connect", lib.maker, l.by)
		}
		if err == nil {
			return lib, nil
		}
		missing.Tried = append(missing.Tried, file+": "+err.Error())
	}
	return nil, missing
}

// open loads one file and finds out what it is.
func open(file string) (*library, error) {
	if _, set := os.LookupEnv("UCX_ERROR_SIGNALS"); !set {
		// UCX, which MPICH brings along, takes SIGSEGV away from Go as it is loaded: a nil
		// dereference in a task would end the job instead of being the task's panic.
		setenv("UCX_ERROR_SIGNALS", "")
	}
	dl, err := purego.Dlopen(file, purego.RTLD_LAZY|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	symbol := func(name string) uintptr {
		address, err := purego.Dlsym(dl, name)
		if err != nil {
			return 0
		}
		return address
	}
	lib := &library{file: file}
	switch {
	case standardVersion(symbol("MPI_Abi_get_version")) > 0:
		lib.family, lib.abi = standard, standardABI
	case symbol("ompi_mpi_comm_self") != 0:
		lib.family, lib.abi = openMPI, openMPIABI(symbol)
	default:
		lib.family, lib.abi = mpich, mpichABI
	}
	for name, f := range lib.functions() {
		if *f = function(symbol(name)); *f == 0 {
			return nil, fmt.Errorf("it has no %s: it is no MPI 3 library", name)
		}
	}
	lib.getLibraryVersion.call(uintptr(unsafe.Pointer(&lib.out.text)), uintptr(unsafe.Pointer(&lib.out.number)))
	lib.version = lib.text()
	lib.maker = familyOfVersion(lib.version)
	if lib.maker == 0 && lib.family != standard {
		lib.maker = lib.family
	}
	return lib, nil
}

// standardVersion is the major version of the standard ABI that a library has, 0 or
// below if it has none.
func standardVersion(get uintptr) int32 {
	if get == 0 {
		return 0
	}
	v := new([2]int32)
	function(get).call(uintptr(unsafe.Pointer(&v[0])), uintptr(unsafe.Pointer(&v[1])))
	return v[0]
}

// call calls the C function, whose result is an int. What the addresses among the
// arguments point to stays where it is until it returns.
//
//go:uintptrescapes
func (f function) call(args ...uintptr) int {
	r, _, _ := purego.SyscallN(uintptr(f), args...)
	return int(int32(r))
}

// setenv sets a variable for C code, which has an environment of its own.
func setenv(name, value string) {
	f, err := purego.Dlsym(purego.RTLD_DEFAULT, "setenv")
	if err != nil {
		return
	}
	n, v := append([]byte(name), 0), append([]byte(value), 0)
	function(f).call(uintptr(unsafe.Pointer(&n[0])), uintptr(unsafe.Pointer(&v[0])), 1)
}
