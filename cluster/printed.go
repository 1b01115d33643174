package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/parade-go/parade/internal/wire"
)

// printers make text and JSON of values of Go's own types, by their names.
var printers = map[string]func(encoded []byte) (text string, object []byte, ok bool){}

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

func decodeText[T any](encoded []byte) (text string, object []byte, ok bool) {
	codec, err := wire.For[T]()
	if err != nil {
		return "", nil, false
	}
	var one [1]T
	if codec.Decode(wire.NewReader(encoded, false), one[:]) != nil {
		return "", nil, false
	}
	return fmt.Sprint(one[0]), appendJSON(nil, reflect.ValueOf(one[0])), true
}

// appendJSON appends a value as JSON. Numbers that JSON does not have, such as NaN and complex
// ones, are texts there; a list of bytes is one of numbers.
func appendJSON(b []byte, v reflect.Value) []byte {
	if v.Kind() == reflect.Slice {
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, v.Index(i))
		}
		return append(b, ']')
	}
	data, err := json.Marshal(v.Interface())
	if err != nil {
		data, _ = json.Marshal(fmt.Sprint(v.Interface())) // a text has no error
	}
	return append(b, data...)
}

// printed makes text and JSON of an encoded value of a type, given by its name.
func printed(kind string, encoded []byte) (text string, object []byte, ok bool) {
	if p := printers[kind]; p != nil {
		return p(encoded)
	}
	return "", nil, false
}
