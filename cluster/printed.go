package cluster

import (
	"fmt"
	"reflect"

	"github.com/parade-go/parade/internal/wire"
)

// printers make text of values of Go's own types, by their names.
var printers = map[string]func(encoded []byte) (string, bool){}

func init() {
	addPrinter[bool]()
	addPrinter[int]()
	addPrinter[int8]()
	addPrinter[int16]()
	addPrinter[int32]()
	addPrinter[int64]()
	addPrinter[uint]()
	addPrinter[uint8]()
	addPrinter[uint16]()
	addPrinter[uint32]()
	addPrinter[uint64]()
	addPrinter[float32]()
	addPrinter[float64]()
	addPrinter[string]()
	addPrinter[complex128]()
}

// addPrinter adds T and slices of it.
func addPrinter[T any]() {
	printers[reflect.TypeFor[T]().String()] = decodeText[T]
	printers[reflect.TypeFor[[]T]().String()] = decodeText[[]T]
}

func decodeText[T any](encoded []byte) (string, bool) {
	codec, err := wire.For[T]()
	if err != nil {
		return "", false
	}
	var one [1]T
	if codec.Decode(wire.NewReader(encoded, false), one[:]) != nil {
		return "", false
	}
	return fmt.Sprint(one[0]), true
}

// printed makes text of an encoded value of a type, given by its name.
func printed(kind string, encoded []byte) (string, bool) {
	if p := printers[kind]; p != nil {
		return p(encoded)
	}
	return "", false
}
