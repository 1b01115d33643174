package engine

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// tried returns how many engines have begun a parcel and did not answer, of one that is
// delivered again, and notes that this engine begins it now. Deliveries do not tell: an
// engine that is frozen or cut off has asked for parcels, and for a while the server hands
// it one after another, each of which it never sees. The first engine notes nothing, as
// nearly all parcels are delivered once, and is taken to have begun it.
func (e *engine) tried(h *held) (int, error) {
	ctx, cancel := context.WithTimeout(e.ctx, 5*time.Second)
	defer cancel()
	key := h.source.ID + "-" + strconv.FormatUint(h.seq, 10)
	n := 1
	entry, err := e.tries.Get(ctx, key)
	if err == nil {
		n, err = strconv.Atoi(string(entry.Value()))
	} else if errors.Is(err, jetstream.ErrKeyNotFound) {
		err = nil
	}
	if err == nil {
		_, err = e.tries.Put(ctx, key, strconv.AppendInt(nil, int64(n)+1, 10))
	}
	return n, err
}
