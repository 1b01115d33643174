package main

import (
	"fmt"
	"sync/atomic"
	"time"
)

// gate holds back starts.
type gate struct {
	delay   time.Duration // between two starts
	load    float64       // at most so many processes compute
	memfree int64         // at least so many bytes are free

	last time.Time    // start
	said bool         // for what it waits
	held atomic.Int64 // bytes of results that wait for their turn
}

const (
	gateEvery = 250 * time.Millisecond // how often a condition is looked at
	mostHeld  = 64 << 20               // bytes of results that wait for their turn
)

// wait returns when a task may start, and false when none may start any more.
func (g *gate) wait(l *loop) bool {
	if g.delay == 0 && g.load == 0 && g.memfree == 0 && g.held.Load() < mostHeld {
		return true
	}
	for begun := time.Now(); ; {
		pause, why := g.closed()
		l.mu.Lock()
		l.holding = why
		l.mu.Unlock()
		if why != "" && !g.said && time.Since(begun) > time.Second && l.out.bar.shown && !l.out.bar.out.live {
			g.said = true // the lines of progress say it from now on
			l.out.note(why)
		}
		if pause <= 0 {
			g.last = time.Now()
			return true
		}
		select {
		case <-l.stopping:
			return false
		case <-time.After(pause):
		}
	}
}

// closed says how long to wait before looking again, and for what.
func (g *gate) closed() (time.Duration, string) {
	if g.delay > 0 && !g.last.IsZero() {
		if left := g.delay - time.Since(g.last); left > 0 {
			return left, ""
		}
	}
	if g.held.Load() >= mostHeld {
		return gateEvery, "much output waits for an earlier task's"
	}
	if g.memfree > 0 {
		if free, err := freeMemory(); err == nil && free < g.memfree {
			return gateEvery, fmt.Sprintf("waiting for memory: %s is free", size(float64(free)))
		}
	}
	if g.load > 0 {
		if busy, err := computing(); err == nil && busy >= g.load {
			return gateEvery, fmt.Sprintf("waiting: %.0f processes compute", busy)
		}
	}
	return 0, ""
}
