package wire_test

import (
	"bytes"
	"fmt"
	"net"

	"github.com/parade-go/parade/internal/wire"
)

type train struct {
	Unit  string
	Times []float64 // in seconds
}

func Example() {
	codec, err := wire.For[train]()
	if err != nil {
		fmt.Println(err)
		return
	}

	var b wire.Buffer
	mark := b.BeginFrame(wire.Header{Kind: 1, Job: 7})
	err = codec.Append(&b, []train{{"a", []float64{0.1, 0.25}}, {"b", nil}})
	if err != nil {
		fmt.Println(err)
		return
	}
	b.EndFrame(mark)
	var connection bytes.Buffer
	chunks := net.Buffers(b.Chunks())
	_, err = chunks.WriteTo(&connection)
	if err != nil {
		fmt.Println(err)
		return
	}

	frames := wire.NewFrameReader(&connection, 1<<30)
	h, payload, owned, err := frames.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	r := wire.NewReader(payload, owned)
	trains := make([]train, 2) // values travel without their number
	if err := codec.Decode(r, trains); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Job, trains)
	// Output: 7 [{a [0.1 0.25]} {b []}]
}

func ExampleFor() {
	type grid struct {
		Voxels []float32
		//lint:ignore U1000 it is here to be refused
		done chan bool
	}
	type sim struct{ Grid grid }
	_, err := wire.For[sim]()
	fmt.Println(err)
	// Output: type wire_test.sim: field sim.Grid (wire_test.grid) has unexported field done: it would be lost; export it or give the type MarshalBinary and UnmarshalBinary
}
