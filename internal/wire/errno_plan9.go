package wire

import "reflect"

// errnoType is nil: system errors are strings here.
var errnoType reflect.Type
