//go:build !plan9

package wire

import (
	"reflect"
	"syscall"
)

// errnoType is a number, although Go calls it a uintptr.
var errnoType = reflect.TypeFor[syscall.Errno]()
