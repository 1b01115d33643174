//go:build !linux

package mpi

import "time"

// napper sleeps until it is woken.
type napper struct {
	timer *time.Timer
	woken chan struct{}
}

func newNapper() (*napper, error) {
	return &napper{timer: time.NewTimer(time.Hour), woken: make(chan struct{}, 1)}, nil
}

// nap returns after d, or soon after wake was called, now or before.
func (n *napper) nap(d time.Duration) {
	n.timer.Reset(d)
	select {
	case <-n.timer.C:
	case <-n.woken:
	}
}

// wake may be called at any time.
func (n *napper) wake() {
	select {
	case n.woken <- struct{}{}:
	default:
	}
}

func (n *napper) close() { n.timer.Stop() }

func sleepShort(d time.Duration) { time.Sleep(d) }
