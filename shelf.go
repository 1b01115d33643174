package parade

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/parade-go/parade/internal/shm"
)

// shelveFrom is the size from which a batch travels in shared memory, which
// saves the copies into and out of a socket.
const shelveFrom = 512 << 10

// shelf is shared memory in which large batches of a job travel to one worker,
// one at a time. The worker copies the inputs out, so that a task may keep
// them and the memory, with its pages in place, serves the next batch.
type shelf struct {
	run     *dispatch
	tag     uint64
	segment *shm.Segment
	busy    bool
}

// shelve puts a batch on a shelf, and says how many bytes it took. The shelf
// is nil where there is no shared memory to be had.
func (r *remote) shelve(run *dispatch, b *batch) (*shelf, int64, error) {
	link, ok := r.link.(segmentLink)
	if !ok {
		return nil, 0, nil
	}
	defer r.large.Reset()
	if !encodeBatch(&r.large, b) {
		return nil, 0, nil
	}
	size := r.large.Len()
	s := r.freeShelf(run, size)
	if s == nil {
		// Sizes double, so that growing batches need few shelves.
		segment, err := shm.Create("parade-batch", 1<<bits.Len(uint(size-1)))
		if err != nil {
			return nil, 0, nil //nolint:nilerr // the socket serves as well, only slower
		}
		r.lastTag++
		s = &shelf{run: run, tag: r.lastTag, segment: segment, busy: true}
		if err := link.SendSegment(segment, s.tag); err != nil {
			return nil, 0, errors.Join(err, segment.Close())
		}
		r.mu.Lock()
		r.shelves = append(r.shelves, s)
		r.mu.Unlock()
	}
	r.large.AppendTo(s.segment.Bytes()[:0]) // fills it in place
	return s, int64(size), nil
}

// freeShelf takes a shelf that is free and large enough, if there is one.
func (r *remote) freeShelf(run *dispatch, size int) *shelf {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shelves {
		if !s.busy && s.run == run && s.segment.Size() >= size {
			s.busy = true
			return s
		}
	}
	return nil
}

// clearShelves frees the shelves of a job that are not in use, or with nil
// all there are. It is called with r.mu locked.
func (r *remote) clearShelves(run *dispatch) {
	r.shelves = slices.DeleteFunc(r.shelves, func(s *shelf) bool {
		if run != nil && (s.run != run || s.busy) {
			return false
		}
		_ = s.segment.Close()
		return true
	})
}
