package engine

import (
	"slices"
	"time"
)

// keepFor is how long resources that are there are kept for a queue whose parcels seem to
// have gone elsewhere.
const keepFor = time.Second

// occupy gives a parcel a slot and what it requires. It is called with the engine locked.
func (e *engine) occupy(h *held) {
	e.running++
	for name, amount := range h.source.needs.Amounts {
		e.free[name] -= amount
	}
	h.source.lacks = time.Time{}
	h.began = time.Now()
}

// vacate takes it back. It is called with the engine locked.
func (e *engine) vacate(h *held) {
	e.running--
	for name, amount := range h.source.needs.Amounts {
		e.free[name] += amount
	}
}

// fit reports whether a parcel of a queue may hold now what it requires. What a queue has
// waited for in vain is kept for it, so that others which need less cannot keep it out for
// good. It is called with the engine locked.
func (e *engine) fit(q *source) bool {
	if !q.needs.Fit(e.free) {
		return false
	}
	return len(q.needs.Amounts) == 0 || !slices.ContainsFunc(e.queues, func(other *source) bool {
		return other != q && !other.lacks.IsZero() && other.Priority >= q.Priority &&
			(q.lacks.IsZero() || other.lacks.Before(q.lacks)) && other.needs.Contend(q.needs)
	})
}

// unkeep gives up what is kept for a queue of which no more parcels come, since other
// engines have had them. It is called with the engine locked.
func (q *source) unkeep(e *engine, now time.Time) {
	switch {
	case q.lacks.IsZero() || len(q.waiting) > 0 || e.running >= e.cfg.Slots || !e.fit(q):
		q.fits = time.Time{}
	case q.fits.IsZero():
		q.fits = now
	case now.Sub(q.fits) > keepFor:
		q.lacks = time.Time{}
	}
}
